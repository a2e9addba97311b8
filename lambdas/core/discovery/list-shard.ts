// One listing function's work: a shard from its checkpoint to its end, the deadline, or the bound at which it hands the rest back.
// Order of effects: an event is sent before the checkpoint passes its key, so a crash sends twice and never forgets.

import { MoraineError } from "../errors.ts";
import type { ObjectUri } from "../ids.ts";
import type { BucketLister, Clock, EventSink, Ledger, ListedObject, ObjectStore, Random, Timer } from "../ports.ts";
import { createRouter } from "../routing.ts";
import { type CheckContext, checkObjects, sendEvents } from "./check.ts";
import { isFiltered, lookbackKeysOf } from "./cursor.ts";
import { readInventory } from "./inventory.ts";
import { compareUtf8 } from "./key-order.ts";
import type { KnownFilesCaches } from "./known-files.ts";
import { RangeLister } from "./lister.ts";
import type { Counts, Shard, ShardRecord } from "./model.ts";
import { newRecord } from "./rounds.ts";
import type { RunContext, RunHandle } from "./run.ts";
import { seenFolder } from "./run-finish.ts";
import type { RunLimits } from "./run-limits.ts";
import { readShard, shardKey } from "./run-records.ts";
import { ingestionOf, limitsOf, readRunOf, requireSource } from "./run-state.ts";
import { SeenReader } from "./seen.ts";
import { readSeenIndex } from "./seen-index.ts";
import { type Passed, ShardProgress } from "./shard-progress.ts";

export interface DiscoveryPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly timer: Timer;
  readonly ledger: Ledger;
  readonly store: ObjectStore;
  readonly lister: BucketLister;
  readonly events: EventSink;
  /** Absent: no cache is configured. */
  readonly caches?: KnownFilesCaches;
}

export interface ShardTask {
  readonly round: number;
  readonly shard: Shard;
}

export interface ShardBounds {
  /** No request is begun after this. */
  readonly deadlineMs: number;
  /** Objects after which the rest of a shard of keys is handed back, to be spread over more functions. */
  readonly objectsMax: number;
}

export interface ShardContext extends Omit<CheckContext, "ports">, ShardBounds {
  readonly ports: DiscoveryPorts;
  readonly limits: RunLimits;
  readonly run: RunHandle;
  /** Folder (`s3://bucket/…/`) for this run's seen segments; absent: none are written. */
  readonly seenFolder?: string;
  /** How far back the tail of what is listed reaches. */
  readonly lookbackKeys: number;
}

/** All a listing function needs to know, from its run's item. Throws Fenced when the run is over. */
export async function openShard(context: RunContext, run: RunHandle, bounds: ShardBounds): Promise<ShardContext> {
  const { ports, config } = context;
  const { record } = await readRunOf(ports, run);
  if (record.status !== "RUNNING") throw new MoraineError("Fenced", "the run is over", { runId: run.runId });
  requireSource(context, record);
  const { input, assumptions, seen } = record;
  const ingestion = ingestionOf(context, run.ingestion);
  return {
    ...bounds,
    ports,
    limits: limitsOf(context),
    run,
    runId: run.runId,
    ingestion,
    route: createRouter(config.ingestions),
    input,
    assumptions,
    lookbackKeys: lookbackKeysOf(ingestion, input),
    ...(input.dryRun || isFiltered(input) ? {} : { seenFolder: seenFolder(context, run) }),
    ...(seen === undefined || input.checkAll ? {} : { seen: await openSeen(ports.store, seen) }),
  };
}

async function openSeen(store: ObjectStore, index: ObjectUri): Promise<SeenReader> {
  return new SeenReader(store, await readSeenIndex(store, index));
}

/**
 * The shard's record as this function leaves it: done, or with what is left. A shard that was closed, or that another function works
 * on, is left alone: quietly, for what this one would do is being done. Throws what stopped it otherwise, after a last checkpoint.
 */
export async function listShard(context: ShardContext, task: ShardTask): Promise<ShardRecord> {
  const { ports, run } = context;
  const item = await ports.ledger.read(shardKey(run.runId, task.shard.id));
  const record = item === undefined ? newRecord(run, task, ports.clock.now()) : readShard(item);
  if (record.done || record.closed) return record;
  const progress = new ShardProgress(context, record, item?.revision ?? "absent");
  if (record.left.kind === "keys") await listKeys(context, progress, record.left);
  else await listInventory(context, progress, record.left);
  return progress.saved;
}

async function listKeys(
  context: ShardContext,
  progress: ShardProgress,
  { prefix, ranges }: Extract<Shard, { kind: "keys" }>,
): Promise<void> {
  const isOver = () => isLate(context, progress) || progress.passed >= context.objectsMax || progress.isFull;
  const lister = new RangeLister(context.ports, {
    bucket: context.ingestion.source.bucket,
    prefix,
    ranges,
    concurrency: context.input.concurrency,
    visit: async (stretch) => {
      progress.pass(stretch, await passObjects(context, stretch.objects));
      await progress.saveIfDue(stats);
    },
    isOver,
  });
  const stats = (): Partial<Counts> => ({ ...lister.stats });
  await toTheEnd(() => lister.run(), progress, stats);
}

/**
 * The files of an inventory are sorted only roughly: each chunk is put in order before it is checked. There are no parts to hand back:
 * who goes on reads the rows before its own as well. So a file is read to its end, or to the deadline.
 */
async function listInventory(
  context: ShardContext,
  progress: ShardProgress,
  { file, rowsDone }: Extract<Shard, { kind: "inventory" }>,
): Promise<void> {
  const prefix = context.input.scope.prefix ?? context.ingestion.source.prefix;
  const stats = (): Partial<Counts> => ({});
  const read = async () => {
    for await (const { objects, rows } of readInventory(context.ports.store, file, { skipRows: rowsDone, prefix })) {
      if (isLate(context, progress)) return;
      const sorted = objects.toSorted((a, b) => compareUtf8(a.key, b.key));
      progress.passRows(rows, await passObjects(context, sorted));
      await progress.saveIfDue(stats);
    }
    progress.finishRows();
  };
  await toTheEnd(read, progress, stats);
}

/** Events are sent here: only then may the stretch be passed. */
async function passObjects(context: ShardContext, objects: readonly ListedObject[]): Promise<Passed> {
  const { counts, confirmed, events } = await checkObjects(context, objects);
  const sendRequests = await sendEvents(context, events);
  return { counts: { ...counts, sendRequests }, confirmed };
}

function isLate({ ports, deadlineMs }: ShardContext, progress: ShardProgress): boolean {
  return progress.isFenced || ports.clock.now() >= deadlineMs;
}

/** What was done before an error is done: the last checkpoint says so, and the error goes on. */
async function toTheEnd(
  work: () => Promise<void>,
  progress: ShardProgress,
  stats: () => Partial<Counts>,
): Promise<void> {
  try {
    await work();
  } catch (error) {
    await progress.save(stats).catch(() => undefined);
    throw error;
  }
  await progress.save(stats);
}
