// The end of a run: its shards' counts become the report, its facts the cursor, its segments the seen index. The cursor is written
// before the run is SUCCEEDED: a crash between the two repeats work, and never forgets any.

import { assert, MoraineError } from "../errors.ts";
import type { ObjectUri, Revision } from "../ids.ts";
import { writeItem } from "../ledger-writes.ts";
import { addCounts } from "./counts.ts";
import {
  type CursorFacts,
  cursorFor,
  cursorOfPlan,
  isFiltered,
  isForgotten,
  laterKey,
  nextCursor,
  sourceOf,
} from "./cursor.ts";
import { compareUtf8 } from "./key-order.ts";
import { rangeFromTo } from "./key-ranges.ts";
import type { CursorRecord, RunRecord, RunReport, SeenSegment, ShardRecord } from "./model.ts";
import { reportOf } from "./report.ts";
import { discoveryFolder, missing, needRound, removeFolder, runFolder, shardsOf } from "./rounds.ts";
import type { RunContext, RunHandle } from "./run.ts";
import { freeActive } from "./run-active.ts";
import { readPlan, type StoredPlan } from "./run-plan.ts";
import { cursorItem, cursorKey } from "./run-records.ts";
import { holdIngestion, ingestionOf } from "./run-state.ts";
import type { SeenIndex } from "./seen.ts";
import {
  compactSeenIndex,
  type ListedRange,
  mergeSeenIndex,
  NO_INDEX,
  readSeenIndex,
  writeSeenIndex,
} from "./seen-index.ts";

/** All that the shards of the run, and of those it took up again, have counted. */
export interface Outcome {
  readonly plan: StoredPlan;
  readonly records: readonly ShardRecord[];
  readonly report: RunReport;
}

export async function outcomeOf(context: RunContext, run: RunRecord): Promise<Outcome> {
  const plan = (await readPlan(context, run.runId)) ?? (await missing(context, run, "the plan"));
  const tasks = await needRound(context, run, run.round);
  const chained = await Promise.all([...plan.chain, run.runId].map((runId) => shardsOf(context, runId)));
  const own = chained.at(-1) ?? [];
  const done = new Set(own.filter((record) => record.done).map(({ left }) => left.id));
  assert(
    tasks.every(({ shard }) => done.has(shard.id)),
    "a run is finished when all shards of its last round are done",
  );
  const records = chained.flat();
  const counts = addCounts(plan.counts, ...records.map((record) => record.counts));
  return { plan, records, report: reportOf(run, counts, records.length, context.ports.clock.now()) };
}

/** Each turn means that another function of this run, or one that was taken over, wrote the cursor in between. */
const TURNS_MAX = 8;

/** Of an ingestion that takes other files by now the run has listed what nobody asks for any more: the cursor stays. */
export async function moveCursor(context: RunContext, run: RunRecord, { plan, records }: Outcome): Promise<void> {
  const { ports } = context;
  const revision = `${run.runId}:cursor` as Revision;
  const ingestion = ingestionOf(context, run.ingestion);
  if (run.source !== sourceOf(ingestion, context.config.ingestions)) return;
  for (let turn = 0; turn < TURNS_MAX; turn++) {
    const item = await ports.ledger.read(cursorKey(run.ingestion));
    if (item?.revision === revision) return;
    // Only a cursor read while the ingestion was ours may be replaced by ours.
    await holdIngestion(context, run, false);
    const before = cursorOfPlan(cursorFor(run.source, item), plan);
    const merged = isForgotten(before, plan) ? undefined : await mergeSeen(context, run, plan, records, before);
    const facts: CursorFacts = {
      ingestion,
      run,
      plan,
      records,
      nowMs: ports.clock.now(),
      ...(merged === undefined ? {} : { seen: merged.uri }),
    };
    const outcome = await writeItem(
      ports.ledger,
      cursorItem(nextCursor(before, facts), revision),
      item?.revision ?? "absent",
    );
    if (outcome.kind === "refused") continue;
    if (merged !== undefined) await removeSuperseded(context, run, merged, before);
    return;
  }
  throw new MoraineError("Unavailable", "the cursor of an ingestion keeps changing", { ingestion: run.ingestion });
}

interface StoredIndex {
  readonly uri: ObjectUri;
  readonly index: SeenIndex;
  readonly previous: SeenIndex;
}

/** undefined: the run confirmed nothing that could be told apart from what its filters left out. */
async function mergeSeen(
  { ports, settings }: RunContext,
  run: RunRecord,
  plan: StoredPlan,
  records: readonly ShardRecord[],
  before: CursorRecord | undefined,
): Promise<StoredIndex | undefined> {
  if (isFiltered(run.input)) return undefined;
  const previous = before?.seen === undefined ? NO_INDEX : await readSeenIndex(ports.store, before.seen);
  const fresh = records.flatMap(({ segments }) => segments);
  const folder = seenFolder({ settings }, run);
  const merged = mergeSeenIndex(previous, [...plan.lists.flatMap(rangesOf), ...inventoried(run, fresh)], fresh);
  const name = () => ports.random.uuid();
  const { index } = await compactSeenIndex(ports.store, merged.index, { folder, name });
  const uri = `${folder}index-${run.runId}-${name()}` as ObjectUri;
  await writeSeenIndex(ports.store, uri, index);
  return { uri, index, previous };
}

function rangesOf(shard: StoredPlan["lists"][number]): readonly ListedRange[] {
  return shard.kind === "keys" ? shard.ranges.map((range) => ({ ...range, prefix: shard.prefix })) : [];
}

/**
 * An inventory does not say of which keys it is: what lies between the first and the last that it confirmed. Entries of files that came
 * after it are given up: they cost a wider listing a read of the ledger each, where keeping them would keep every entry twice.
 */
function inventoried({ input }: RunRecord, fresh: readonly SeenSegment[]): readonly ListedRange[] {
  const [first] = fresh.map((segment) => segment.first).sort(compareUtf8);
  const last = fresh.map((segment) => segment.last).reduce(laterKey, "");
  return input.listing.strategy === "inventory" && first !== undefined ? [rangeFromTo(first, last)] : [];
}

/** Segments of this run and of dead ones, and all indexes. */
export function seenFolder({ settings }: Pick<RunContext, "settings">, run: Pick<RunHandle, "ingestion">): string {
  return `${discoveryFolder(settings)}seen/${run.ingestion}/`;
}

/**
 * What neither the new index nor the one before it names, and was there before that one: functions that still read by it find all
 * they ask for, and a run that is taken up again finds its segments.
 */
async function removeSuperseded(
  { ports, settings }: RunContext,
  run: RunRecord,
  { uri: current, index, previous }: StoredIndex,
  before: CursorRecord | undefined,
): Promise<void> {
  const live = new Set<ObjectUri>([...index.segments, ...previous.segments].map((segment) => segment.uri));
  const found: { readonly uri: ObjectUri; readonly lastModifiedMs: number }[] = [];
  for await (const object of ports.store.list(seenFolder({ settings }, run))) found.push(object);
  const previousAtMs = found.find(({ uri }) => uri === before?.seen)?.lastModifiedMs ?? 0;
  const old = found.filter(
    ({ uri, lastModifiedMs }) => lastModifiedMs < previousAtMs && uri !== current && !live.has(uri),
  );
  if (old.length > 0) await ports.store.remove(old.map(({ uri }) => uri));
}

/** Nothing of the run is needed any more but its item and its shards' records. */
export async function clearAway(context: RunContext, run: RunRecord): Promise<void> {
  const plan = await readPlan(context, run.runId);
  const runIds = [...(plan?.chain ?? []), run.runId];
  // The plan names the others: its folder goes last.
  for (const runId of runIds) await removeFolder(context.ports.store, runFolder(context.settings, runId));
  if (!run.input.dryRun) await freeActive(context.ports, run);
}
