// The rounds of a run: their items in S3, and what closing one leaves for the next. A shard's record is frozen once it is done or
// closed; so all that is made of a round's records comes out the same however often, and by however many, it is made.

import { mapLimit } from "../concurrency.ts";
import { MoraineError } from "../errors.ts";
import { readObject } from "../iceberg/read-object.ts";
import { type ObjectUri, type Revision, splitUri } from "../ids.ts";
import { writeItem } from "../ledger-writes.ts";
import type { ObjectStore } from "../ports.ts";
import type { Settings } from "../settings.ts";
import { NO_COUNTS } from "./counts.ts";
import type { ShardTask } from "./list-shard.ts";
import type { Shard, ShardRecord } from "./model.ts";
import { partsOf } from "./range-set.ts";
import type { RoundHandle, RunContext, RunHandle } from "./run.ts";
import { readShard, SHARD_PREFIX, shardId, shardItem, shardKey, shardsPartition } from "./run-records.ts";
import { holdRun, limitsOf } from "./run-state.ts";
import { NO_TAIL } from "./tail.ts";

/** Discovery's own folder below the warehouse. */
export function discoveryFolder({ warehouseUri, ledgerId }: Settings): string {
  return `${warehouseUri}/_moraine/${ledgerId}/`;
}

export function runFolder(settings: Settings, runId: string): string {
  return `${discoveryFolder(settings)}runs/${runId}/`;
}

/**
 * Of one shard's ranges, as JSON. A shard is an item of a map, which may have 256 KiB, and a part of the shard's record, which grows by
 * two keys of a kilobyte with each lane, and by its segments, and may have 400 KB.
 */
const RANGES_BYTES_MAX = 128_000;

/** What was put first stays: a call that comes late, perhaps of another version, must not replace what others work on. */
export async function putRound(
  context: RunContext,
  run: RunHandle,
  round: number,
  shards: readonly Shard[],
): Promise<RoundHandle> {
  const uri = roundUri(context.settings, run.runId, round);
  const small = shards.flatMap(cutByBytes);
  const tasks = small.map((shard, n): ShardTask => ({ round, shard: { ...shard, id: shardId(round, n) } }));
  const isFirst = await putJsonOnce(context.ports.store, uri, tasks);
  return isFirst ? { round, ...splitUri(uri), shards: tasks.length } : roundHandle(context, run, round);
}

/** As many shards as it takes for each to be small, all of about one size: keys may have a kilobyte each. */
function cutByBytes(shard: Shard): readonly Shard[] {
  if (shard.kind !== "keys") return [shard];
  const longest = Math.max(...shard.ranges.map((range) => Buffer.byteLength(JSON.stringify(range)) + 1));
  const parts = Math.ceil((shard.ranges.length * longest) / RANGES_BYTES_MAX);
  return partsOf(shard.ranges, parts).map((ranges) => ({ ...shard, ranges }));
}

/** The round as it was put before. */
export async function roundHandle(context: RunContext, run: RunHandle, round: number): Promise<RoundHandle> {
  const tasks = await needRound(context, run, round);
  return { round, ...splitUri(roundUri(context.settings, run.runId, round)), shards: tasks.length };
}

/** undefined: its run is over and cleared away. */
export function readRound(
  { ports, settings }: RunContext,
  runId: string,
  round: number,
): Promise<readonly ShardTask[] | undefined> {
  return readJson<readonly ShardTask[]>(ports.store, roundUri(settings, runId, round));
}

export async function needRound(context: RunContext, run: RunHandle, round: number): Promise<readonly ShardTask[]> {
  return (await readRound(context, run.runId, round)) ?? (await missing(context, run, `round ${round}`));
}

/** A step that comes late finds its run over and cleared away: Fenced. A run that goes on has lost what it cannot do without. */
export async function missing(context: RunContext, run: RunHandle, what: string): Promise<never> {
  await holdRun(context, run);
  throw new MoraineError("Corrupt", `${what} of a run is gone from the warehouse: start the run again with fresh`, {
    runId: run.runId,
  });
}

/** Whatever its functions have recorded is final after this: a late checkpoint of any of them is refused. */
export function closeShards(
  context: RunContext,
  run: RunIdentity,
  tasks: readonly ShardTask[],
): Promise<readonly ClosedShard[]> {
  return mapLimit(tasks, limitsOf(context).parallelism, (task) => closeShard(context, run, task));
}

export type RunIdentity = Pick<RunHandle, "runId" | "ingestion">;

export interface ClosedShard {
  readonly task: ShardTask;
  readonly record: ShardRecord;
}

/** Each turn means that the shard's function made a checkpoint in between. */
const TURNS_MAX = 20;

async function closeShard(context: RunContext, run: RunIdentity, task: ShardTask): Promise<ClosedShard> {
  const { ledger, clock } = context.ports;
  const { runId } = run;
  let item = await ledger.read(shardKey(runId, task.shard.id));
  for (let turn = 0; turn < TURNS_MAX; turn++) {
    // A shard nobody worked on is closed all the same: its function may be late rather than dead.
    const record = item === undefined ? newRecord(run, task, clock.now()) : readShard(item);
    if (record.done || record.closed) return { task, record };
    const closed: ShardRecord = { ...record, closed: true };
    const revision = `${item?.revision ?? runId}:closed` as Revision;
    const expiresAtMs = record.updatedAtMs + limitsOf(context).recordsKeptMs;
    const outcome = await writeItem(ledger, shardItem(closed, revision, expiresAtMs), item?.revision ?? "absent");
    if (outcome.kind === "written") return { task, record: closed };
    item = outcome.current;
  }
  throw new MoraineError("Unavailable", "a shard's record keeps changing", { runId, shard: task.shard.id });
}

export function newRecord(run: RunIdentity, { round, shard }: ShardTask, updatedAtMs: number): ShardRecord {
  const { runId, ingestion } = run;
  const counts = NO_COUNTS;
  return {
    runId,
    ingestion,
    round,
    left: shard,
    done: false,
    closed: false,
    counts,
    segments: [],
    tail: NO_TAIL,
    updatedAtMs,
  };
}

/** Whether the shard's function got anywhere: listed a stretch, or found out that there is nothing. */
export function gotOn({ task, record }: ClosedShard): boolean {
  return record.done || JSON.stringify(record.left) !== JSON.stringify(task.shard);
}

/** What is left of a round, spread over as many functions as may run at once: a shard of many ranges becomes several. */
export function leftOf(closed: readonly ClosedShard[], functionsMax: number): readonly Shard[] {
  const left = closed.filter(({ record }) => !record.done).map(({ record }) => record.left);
  const parts = Math.max(1, Math.floor(functionsMax / Math.max(1, left.length)));
  return left.flatMap((shard): readonly Shard[] =>
    shard.kind === "keys" ? partsOf(shard.ranges, parts).map((ranges) => ({ ...shard, ranges })) : [shard],
  );
}

/** All that the functions of a run have recorded. */
export async function shardsOf({ ports }: RunContext, runId: string): Promise<readonly ShardRecord[]> {
  const records: ShardRecord[] = [];
  for await (const item of ports.ledger.list(shardsPartition(runId), SHARD_PREFIX)) records.push(readShard(item));
  return records;
}

export async function removeFolder(store: ObjectStore, folder: string): Promise<void> {
  const uris: ObjectUri[] = [];
  for await (const { uri } of store.list(folder)) uris.push(uri);
  if (uris.length > 0) await store.remove(uris);
}

/** false: something was put there before, and stays. */
export async function putJsonOnce(store: ObjectStore, uri: ObjectUri, value: unknown): Promise<boolean> {
  const body = new Uint8Array(Buffer.from(JSON.stringify(value)));
  const { kind } = await store.put(uri, body, { ifAbsent: true, contentType: "application/json" });
  return kind === "stored";
}

/** undefined: there is none. */
export async function readJson<T>(store: ObjectStore, uri: ObjectUri): Promise<T | undefined> {
  const bytes = await readObject(store, uri);
  return bytes && (JSON.parse(Buffer.from(bytes).toString("utf8")) as T);
}

function roundUri(settings: Settings, runId: string, round: number): ObjectUri {
  return `${runFolder(settings, runId)}round-${round}.json` as ObjectUri;
}
