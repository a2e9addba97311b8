// What a run lists, decided once and kept in S3: from its strategy, or from what a failed run left undone. Whoever plans a second
// time - a retry, a function that was thought dead - finds the first plan and does not make another.

import type { ObjectUri } from "../ids.ts";
import { addCounts } from "./counts.ts";
import { cursorFor, cursorOfPlan, isForgotten, sourceOf } from "./cursor.ts";
import { findInventory } from "./inventory.ts";
import type { Assumptions, Counts, CursorRecord, RunRecord, SeenPartitions, Shard } from "./model.ts";
import { type PlanRequest, planRun } from "./plan.ts";
import { closeShards, leftOf, putJsonOnce, readJson, readRound, removeFolder, runFolder } from "./rounds.ts";
import type { RunContext } from "./run.ts";
import { assumptionsOf } from "./run-assumptions.ts";
import { cursorKey } from "./run-records.ts";
import { findRun, ingestionOf, limitsOf } from "./run-state.ts";
import { readSeenIndex } from "./seen-index.ts";

export interface StoredPlan {
  /** When its run began. */
  readonly startedAtMs: number;
  readonly shards: readonly Shard[];
  /** Of planning; of a run that is taken up again too. */
  readonly counts: Counts;
  readonly assumptions: Assumptions;
  readonly seen?: ObjectUri;
  /** Of the cursor that it was made by; absent: there was none. */
  readonly cursorBegunBy?: string;
  readonly partitioned?: SeenPartitions;
  readonly inventoryAtMs?: number;
  /** All that the run lists, also what the runs before it listed. */
  readonly lists: readonly Shard[];
  /** Runs whose shards this one counts as its own, oldest first. */
  readonly chain: readonly string[];
}

export async function decidePlan(context: RunContext, run: RunRecord): Promise<StoredPlan> {
  const decided = await readPlan(context, run.runId);
  if (decided?.startedAtMs === run.startedAtMs) return decided;
  // Step Functions gives an execution's name again after months.
  if (decided !== undefined) await removeFolder(context.ports.store, runFolder(context.settings, run.runId));
  const plan = (await takeUp(context, run)) ?? (await planAnew(context, run));
  const isFirst = await putJsonOnce(context.ports.store, planUri(context, run.runId), plan);
  return isFirst ? plan : ((await readPlan(context, run.runId)) ?? plan);
}

export function readPlan(context: RunContext, runId: string): Promise<StoredPlan | undefined> {
  return readJson<StoredPlan>(context.ports.store, planUri(context, runId));
}

async function planAnew(context: RunContext, run: RunRecord): Promise<StoredPlan> {
  const { ports } = context;
  const { input, startedAtMs } = run;
  const ingestion = ingestionOf(context, run.ingestion);
  const cursor = await currentCursor(context, run);
  const index = cursor?.seen && (await readSeenIndex(ports.store, cursor.seen));
  const request: PlanRequest = {
    ingestion,
    ingestions: context.config.ingestions,
    input,
    ...(cursor === undefined ? {} : { cursor }),
    ...(index === undefined ? {} : { seen: index }),
  };
  const { shards, listRequests, broken, ...rest } = await planRun(ports, request);
  return {
    startedAtMs,
    shards,
    counts: addCounts({ listRequests, broken }),
    assumptions: assumptionsOf({ ...request, startedAtMs, eventGraceMs: limitsOf(context).eventGraceMs }),
    ...(index === undefined || input.checkAll ? {} : { seen: cursor?.seen as ObjectUri }),
    ...(cursor?.begunBy === undefined ? {} : { cursorBegunBy: cursor.begunBy }),
    ...rest,
    lists: shards,
    chain: [],
  };
}

async function currentCursor(context: RunContext, { ingestion: id }: RunRecord): Promise<CursorRecord | undefined> {
  const source = sourceOf(ingestionOf(context, id), context.config.ingestions);
  return cursorFor(source, await context.ports.ledger.read(cursorKey(id)));
}

/** What the failed run left undone. undefined: there is nothing to take up, or not any more. */
async function takeUp(context: RunContext, run: RunRecord): Promise<StoredPlan | undefined> {
  const { resumes } = run;
  const failed = resumes === undefined ? undefined : (await findRun(context.ports, resumes))?.record;
  const plan = failed && (await readPlan(context, failed.runId));
  const tasks = failed && (await readRound(context, failed.runId, failed.round));
  if (failed === undefined || plan === undefined || tasks === undefined) return undefined;
  if (isForgotten(cursorOfPlan(await currentCursor(context, run), plan), plan)) return undefined;
  if (plan.inventoryAtMs !== undefined && (await hasNewerInventory(context, run, plan.inventoryAtMs))) return undefined;
  const closed = await closeShards(context, failed, tasks);
  const shards = leftOf(closed, ingestionOf(context, failed.ingestion).discovery.functionsMax);
  return { ...plan, startedAtMs: run.startedAtMs, shards, chain: [...plan.chain, failed.runId] };
}

/** What is left of an older one may be gone, and is of less worth. */
async function hasNewerInventory({ ports }: RunContext, { input }: RunRecord, thanMs: number): Promise<boolean> {
  if (input.listing.strategy !== "inventory") return false;
  return (await findInventory(ports.store, input.listing.location)).createdAtMs > thanMs;
}

function planUri({ settings }: RunContext, runId: string): ObjectUri {
  return `${runFolder(settings, runId)}plan.json` as ObjectUri;
}
