// Listing runs as the ledger tells of them: which there were, how far one is, when it may end.

import { addCounts, NO_COUNTS } from "../lambdas/core/discovery/counts.ts";
import type { Counts, CursorRecord, RunRecord } from "../lambdas/core/discovery/model.ts";
import {
  cursorKey,
  RUN_PREFIX,
  readCursor,
  readRun,
  readShard,
  runsPartition,
  SHARD_PREFIX,
  shardsPartition,
} from "../lambdas/core/discovery/run-records.ts";
import { findRun as findBegun } from "../lambdas/core/discovery/run-state.ts";
import { MoraineError } from "../lambdas/core/errors.ts";
import type { IngestionId } from "../lambdas/core/ids.ts";
import { removeItem } from "../lambdas/core/ledger-writes.ts";
import type { Ledger } from "../lambdas/core/ports.ts";

/** Newest first. */
export async function listRuns(ledger: Ledger, ingestion: IngestionId, limit: number): Promise<RunRecord[]> {
  const runs: RunRecord[] = [];
  for await (const item of ledger.list(runsPartition(ingestion), RUN_PREFIX, { limit, reverse: true }))
    runs.push(readRun(item));
  return runs;
}

/** As `readProgress` counts: a run that failed in its first round has listed something, too. */
export async function withCounts(ledger: Ledger, run: RunRecord): Promise<RunRecord> {
  if (run.report !== undefined) return run;
  return { ...run, counts: countsOf(run, await readShards(ledger, run.runId), await readEarlier(ledger, run)) };
}

/** One that began within the last 30 days, by the marker that it left: two reads at most. */
export async function findRecentRun(ledger: Ledger, runId: string): Promise<RunRecord | undefined> {
  return (await findBegun({ ledger }, runId))?.record;
}

/** Looks through all runs for one whose marker has expired. */
export async function findRun(
  ledger: Ledger,
  ingestions: readonly IngestionId[],
  runId: string,
): Promise<RunRecord | undefined> {
  const recent = await findRecentRun(ledger, runId);
  if (recent !== undefined) return recent;
  for (const ingestion of ingestions) {
    for await (const item of ledger.list(runsPartition(ingestion), RUN_PREFIX, { reverse: true })) {
      const run = readRun(item);
      if (run.runId === runId) return run;
    }
  }
  return undefined;
}

export interface Progress {
  readonly run: RunRecord;
  /** Of a run without a report the sum of its shards' checkpoints, and of those of the runs it takes up again. */
  readonly counts: Counts;
  readonly shards: number;
  readonly shardsDone: number;
  readonly elapsedMs: number;
  /** Objects per second since the start; what earlier runs listed is not in it. */
  readonly rate: number;
  /** From the last run of the same strategy that succeeded; absent when there was none, or more is listed than then. */
  readonly leftMs?: number;
}

export async function readProgress(ledger: Ledger, run: RunRecord, nowMs: number): Promise<Progress> {
  const elapsedMs = Math.max(1, (run.endedAtMs ?? nowMs) - run.startedAtMs);
  const { report } = run;
  if (report !== undefined) {
    const { shards } = run;
    return { run, counts: report, shards, shardsDone: shards, elapsedMs, rate: report.total / (elapsedMs / 1000) };
  }
  const own = await readShards(ledger, run.runId);
  const earlier = await readEarlier(ledger, run);
  const counts = countsOf(run, own, earlier);
  const rate = own.counts.total / (elapsedMs / 1000);
  const expected = run.status === "RUNNING" ? await expectedTotal(ledger, run) : undefined;
  const left = expected === undefined || rate === 0 ? -1 : (expected - counts.total) / rate;
  return {
    run,
    counts,
    shards: own.all + earlier.all,
    shardsDone: own.done + earlier.done,
    elapsedMs,
    rate,
    ...(left < 0 ? {} : { leftMs: left * 1000 }),
  };
}

/** Checkpoints expire, and the run stays: then it has what its rounds had gathered. */
function countsOf(run: RunRecord, own: ShardSums, earlier: ShardSums): Counts {
  return own.all + earlier.all === 0 ? run.counts : addCounts(own.counts, earlier.counts);
}

interface ShardSums {
  readonly counts: Counts;
  readonly all: number;
  readonly done: number;
}

async function readShards(ledger: Ledger, runId: string): Promise<ShardSums> {
  let counts = NO_COUNTS;
  let all = 0;
  let done = 0;
  for await (const item of ledger.list(shardsPartition(runId), SHARD_PREFIX)) {
    const shard = readShard(item);
    counts = addCounts(counts, shard.counts);
    all++;
    if (shard.done || shard.closed) done++;
  }
  return { counts, all, done };
}

/** Of the runs that this one takes up again, back to the first. */
async function readEarlier(ledger: Ledger, { resumes }: RunRecord): Promise<ShardSums> {
  const run = resumes === undefined ? undefined : await findRecentRun(ledger, resumes);
  if (run === undefined) return { counts: NO_COUNTS, all: 0, done: 0 };
  const [own, earlier] = [await readShards(ledger, run.runId), await readEarlier(ledger, run)];
  return { counts: addCounts(own.counts, earlier.counts), all: own.all + earlier.all, done: own.done + earlier.done };
}

async function expectedTotal(ledger: Ledger, { ingestion, input }: RunRecord): Promise<number | undefined> {
  const runs = await listRuns(ledger, ingestion, 20);
  return runs.find((other) => other.status === "SUCCEEDED" && other.input.listing.strategy === input.listing.strategy)
    ?.report?.total;
}

export async function readCheckpoint(ledger: Ledger, ingestion: IngestionId): Promise<CursorRecord | undefined> {
  const item = await ledger.read(cursorKey(ingestion));
  return item && readCursor(item);
}

/** Each turn means that a run moved the cursor in between. */
const RESET_TURNS_MAX = 8;

/** Forgets what earlier runs left: the next run lists and asks for everything. The ledger's files stay known. False: there was nothing. */
export async function resetCheckpoint(ledger: Ledger, ingestion: IngestionId): Promise<boolean> {
  for (let turn = 0; turn < RESET_TURNS_MAX; turn++) {
    const item = await ledger.read(cursorKey(ingestion));
    if (item === undefined) return false;
    if ((await removeItem(ledger, item.key, item.revision)).kind === "written") return true;
  }
  throw new MoraineError("Unavailable", "the checkpoint keeps changing and was not forgotten: try again", {
    ingestion,
  });
}
