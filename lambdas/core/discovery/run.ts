// A run from its beginning to its report: what the state machine's functions do between the listing functions (list-shard.ts).
//
//   begin -> plan -> (list shards, gather)* -> finish          any error: fail, which gives the ingestion free again
//     └ busy: another run holds the ingestion; begun again later
//
// Every step may be repeated: Step Functions retries it, and a lost response makes it run twice. So each decision - when the run
// began, what it lists, what a round left - is put where it can be put only once, and everything else follows from it.

import { isDeepStrictEqual } from "node:util";
import type { MoraineConfig } from "../config.ts";
import { MoraineError } from "../errors.ts";
import type { IngestionId } from "../ids.ts";
import { writeItem } from "../ledger-writes.ts";
import type { Settings } from "../settings.ts";
import { addCounts, NO_COUNTS } from "./counts.ts";
import { sourceOf } from "./cursor.ts";
import type { DiscoveryPorts } from "./list-shard.ts";
import type { RunInput, RunRecord, RunReport } from "./model.ts";
import { closeShards, gotOn, leftOf, needRound, putRound, roundHandle } from "./rounds.ts";
import { decideStart, freeActive, takeActive } from "./run-active.ts";
import { clearAway, moveCursor, outcomeOf } from "./run-finish.ts";
import { readRunInput } from "./run-input.ts";
import type { RunLimits } from "./run-limits.ts";
import { decidePlan } from "./run-plan.ts";
import { RUN_PREFIX, readRun, runItem, runKey, runsPartition } from "./run-records.ts";
import {
  holdRun,
  ingestionOf,
  limitsOf,
  markFailed,
  moveRun,
  readRunOf,
  requireSource,
  revisionOf,
  type StoredRun,
  storedOf,
} from "./run-state.ts";

export interface RunContext {
  readonly ports: DiscoveryPorts;
  readonly settings: Settings;
  /** With real bucket names. */
  readonly config: MoraineConfig;
  /** Absent: RUN_LIMITS. */
  readonly limits?: RunLimits;
}

export interface RunHandle {
  readonly runId: string;
  readonly ingestion: IngestionId;
  readonly startedAtMs: number;
}

/** The items of one Distributed Map: a JSON array of `ShardTask` in S3. */
export interface RoundHandle {
  readonly round: number;
  readonly bucket: string;
  readonly key: string;
  readonly shards: number;
}

export type Begun =
  | { readonly kind: "begun"; readonly run: RunHandle; readonly functionsMax: number }
  /** Another run is under way: nothing has begun, and the execution begins again when some time has passed. `same`: it lists the same. */
  | { readonly kind: "busy"; readonly run: RunHandle; readonly same: boolean }
  /** The run that was waited for listed the same, and succeeded: its report is the answer. */
  | { readonly kind: "joined"; readonly run: RunHandle };

export type Gathered = { readonly kind: "more"; readonly round: RoundHandle } | { readonly kind: "done" };

/**
 * `input`: the state machine's, not validated yet (run-input.ts). `before`: what this execution's last begin came to, when it waited.
 * Throws Invalid naming the field and the remedy.
 */
export async function beginRun(
  context: RunContext,
  input: unknown,
  execution: { readonly name: string; readonly arn: string },
  before?: Begun,
): Promise<Begun> {
  const { input: wanted, fresh } = readRunInput(context.config, input);
  const { ports } = context;
  const limits = limitsOf(context);
  const ingestion = ingestionOf(context, wanted.ingestion);
  const source = sourceOf(ingestion, context.config.ingestions);
  if (before?.kind === "busy" && before.same && (await hasSucceeded(context, before.run))) {
    return { kind: "joined", run: before.run };
  }
  const start: RunHandle = { runId: execution.name, ingestion: wanted.ingestion, startedAtMs: ports.clock.now() };
  const holder = wanted.dryRun ? start : await takeActive(ports, limits.leaseMs, start);
  if (holder.runId !== start.runId) return meetHolder(context, holder, { input: wanted, source, fresh });
  const run = await decideRun(context, holder, wanted);
  const failed = wanted.dryRun ? undefined : await failDead(context, limits, run);
  const sinceMs = ports.clock.now() - limits.resumeWithinMs;
  const resumed = failed === undefined || fresh ? {} : resumable(failed, { input: wanted, source }, sinceMs);
  await recordBegin(context, {
    ...run,
    status: "RUNNING",
    input: wanted,
    source,
    updatedAtMs: run.startedAtMs,
    execution: execution.arn,
    round: 0,
    shards: 0,
    counts: NO_COUNTS,
    assumptions: {},
    listedFromMs: run.startedAtMs,
    ...resumed,
  });
  return { kind: "begun", run, functionsMax: ingestion.discovery.functionsMax };
}

/** Waiting for a run that does the very same would do its work twice. One that is not on record yet, or has ended, answers nothing. */
async function meetHolder(
  { ports }: RunContext,
  holder: RunHandle,
  asked: Asked & { readonly fresh: boolean },
): Promise<Begun> {
  const item = await ports.ledger.read(runKey(holder.ingestion, holder.startedAtMs, holder.runId));
  const run = item && readRun(item);
  const same = run?.status === "RUNNING" && asksTheSame(run, asked) && !(asked.fresh && run.resumes !== undefined);
  return { kind: "busy", run: holder, same };
}

/** One that failed, or was stopped and is dead, answers nobody: whoever waited for it lists. */
async function hasSucceeded({ ports }: RunContext, run: RunHandle): Promise<boolean> {
  const item = await ports.ledger.read(runKey(run.ingestion, run.startedAtMs, run.runId));
  return item !== undefined && readRun(item).status === "SUCCEEDED";
}

/**
 * Once the ingestion is its own, and not before: a run that waited is younger than all that ended meanwhile. A begin that finds another
 * start decided has come late, and gives back what it has taken.
 */
async function decideRun(context: RunContext, taken: RunHandle, { dryRun }: RunInput): Promise<RunHandle> {
  const { ports } = context;
  const run = await decideStart(ports, limitsOf(context), taken);
  // A dry run has taken nothing that it could have lost.
  if (run.ingestion === taken.ingestion && (dryRun || run.startedAtMs === taken.startedAtMs)) return run;
  await freeActive(ports, taken);
  throw new MoraineError("Fenced", "the run of this execution has lost its ingestion: start another execution", {
    runId: taken.runId,
    ingestion: run.ingestion,
  });
}

export async function planRound(context: RunContext, run: RunHandle): Promise<RoundHandle> {
  const held = await holdRun(context, run);
  requireSource(context, held.record);
  if (held.record.round > 0) return roundHandle(context, run, 1);
  const plan = await decidePlan(context, held.record);
  const round = await putRound(context, run, 1, plan.shards);
  const { counts, assumptions, seen } = plan;
  await moveRun(context, held, {
    round: 1,
    shards: round.shards,
    counts,
    assumptions,
    ...(seen === undefined ? {} : { seen }),
  });
  return round;
}

/** Closes the shards of the round and makes the next one of what they left. */
export async function gatherRound(context: RunContext, run: RunHandle, { round }: RoundHandle): Promise<Gathered> {
  const held = await holdRun(context, run);
  const { record } = held;
  requireSource(context, record);
  if (record.round > round) return { kind: "more", round: await roundHandle(context, run, round + 1) };
  const closed = await closeShards(context, run, await needRound(context, run, round));
  const left = leftOf(closed, ingestionOf(context, run.ingestion).discovery.functionsMax);
  if (left.length === 0) return { kind: "done" };
  const idleRounds = closed.some(gotOn) ? 0 : (record.idleRounds ?? 0) + 1;
  if (idleRounds >= limitsOf(context).idleRoundsMax) {
    const where =
      "what its listing functions failed with is in the failed children of ListShards, and in the log of the discover function";
    throw new MoraineError("Unavailable", `no shard got on in ${idleRounds} rounds: ${where}`, {
      runId: run.runId,
      execution: record.execution,
      round,
      shards: left.length,
    });
  }
  const next = await putRound(context, run, round + 1, left);
  await moveRun(context, held, {
    round: round + 1,
    shards: record.shards + next.shards,
    counts: addCounts(record.counts, ...closed.map((shard) => shard.record.counts)),
    idleRounds,
  });
  return { kind: "more", round: next };
}

export async function finishRun(context: RunContext, run: RunHandle): Promise<RunReport> {
  const record = await succeed(context, run);
  await clearAway(context, record);
  if (record.report === undefined) throw new MoraineError("Corrupt", "a run succeeded without a report", { ...run });
  return record.report;
}

async function succeed(context: RunContext, run: RunHandle): Promise<RunRecord> {
  const { record } = await readRunOf(context.ports, run);
  if (record.status === "SUCCEEDED") return record;
  const held = await holdRun(context, run);
  const outcome = await outcomeOf(context, held.record);
  const { report } = outcome;
  if (!record.input.dryRun) await moveCursor(context, held.record, outcome);
  const endedAtMs = context.ports.clock.now();
  const counts = addCounts(report);
  return moveRun(context, held, { status: "SUCCEEDED", report, counts, shards: report.shards, endedAtMs });
}

/** A run that has ended already stays as it ended. */
export async function failRun(context: RunContext, run: RunHandle, error: string): Promise<void> {
  const record = await markFailed(context.ports, await readRunOf(context.ports, run), error);
  if (record.input.dryRun) await clearAway(context, record);
  else await freeActive(context.ports, run);
}

/**
 * Whoever holds the ingestion knows that every run before it that still says RUNNING is dead. The last of them, if it failed.
 * (Before it: this very function may be late, and a later run alive.)
 */
async function failDead({ ports }: RunContext, limits: RunLimits, run: RunHandle): Promise<RunRecord | undefined> {
  const before: StoredRun[] = [];
  const longAgoMs = ports.clock.now() - limits.resumeWithinMs;
  const recent = ports.ledger.list(runsPartition(run.ingestion), RUN_PREFIX, { limit: RECENT_RUNS, reverse: true });
  for await (const item of recent) {
    const { runId, input, startedAtMs, updatedAtMs } = readRun(item);
    if (runId === run.runId || startedAtMs > run.startedAtMs) continue;
    // A dry run holds nothing that would tell.
    if (!input.dryRun) before.push(storedOf(item));
    else if (updatedAtMs < longAgoMs) await markFailed(ports, storedOf(item), SILENT);
  }
  const ended: RunRecord[] = [];
  for (const other of before) {
    ended.push(await markFailed(ports, other, SILENT));
  }
  return ended[0]?.status === "FAILED" ? ended[0] : undefined;
}

const RECENT_RUNS = 50;
const SILENT = "it gave no sign of life until its lease ran out";

/** The same listing once more: what its shards have done need not be done again, unless it began before `sinceMs`. */
function resumable(failed: RunRecord, asked: Asked, sinceMs: number): Partial<RunRecord> {
  const { listedFromMs, round, resumes } = failed;
  const runId = round > 0 ? failed.runId : resumes;
  if (runId === undefined || listedFromMs < sinceMs || !asksTheSame(failed, asked)) return {};
  return { resumes: runId, listedFromMs };
}

type Asked = Pick<RunRecord, "input" | "source">;

/** But for who asks, and how many requests at once: those change nothing in what is listed. */
function asksTheSame(a: Asked, b: Asked): boolean {
  const asked = ({ trigger: _who, concurrency: _speed, ...rest }: RunInput) => rest;
  return a.source === b.source && isDeepStrictEqual(asked(a.input), asked(b.input));
}

async function recordBegin({ ports }: RunContext, record: RunRecord): Promise<void> {
  const outcome = await writeItem(ports.ledger, runItem(record, revisionOf(record)), "absent");
  const current = outcome.kind === "refused" && outcome.current ? readRun(outcome.current) : record;
  if (current.status === "RUNNING") return;
  // This begin is late: the run it speaks of has ended, and would hold the ingestion for nothing.
  if (!record.input.dryRun) await freeActive(ports, record);
  throw new MoraineError("Fenced", "the run is over", { runId: record.runId, status: current.status });
}
