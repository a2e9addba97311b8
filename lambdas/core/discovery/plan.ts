// From a strategy to shards: which key ranges a run lists, cut by what earlier runs learned about where the keys are.

import type { Ingestion } from "../config.ts";
import { MoraineError } from "../errors.ts";
import type { BucketLister, Clock, ObjectStore, Timer } from "../ports.ts";
import { addBroken } from "./counts.ts";
import { findInventory, type InventoryReport } from "./inventory.ts";
import { ALL_KEYS, inOrder, rangeBelow, within, without } from "./key-ranges.ts";
import type { BrokenAssumptions, CursorRecord, KeyRange, Listing, RunInput, SeenPartitions, Shard } from "./model.ts";
import { Pager } from "./pager.ts";
import { patternOf } from "./partitions.ts";
import { type Cut, cutByFolders, cutBySeen } from "./plan-cut.ts";
import { lookForOthers, windowRanges } from "./plan-partitions.ts";
import { listingOf, windowOf } from "./run-assumptions.ts";
import type { SeenIndex } from "./seen.ts";
import { NO_TAIL, stepBack } from "./tail.ts";

export interface PlanPorts {
  readonly lister: BucketLister;
  readonly store: ObjectStore;
  readonly clock: Clock;
  readonly timer: Timer;
}

export interface PlanRequest {
  readonly ingestion: Ingestion;
  readonly input: RunInput;
  /** What earlier runs left. */
  readonly cursor?: CursorRecord;
  readonly seen?: SeenIndex;
  /** All of the configuration: what a longer prefix takes from this ingestion is not listed. */
  readonly ingestions?: readonly Ingestion[];
}

export interface RunPlan {
  readonly shards: readonly Shard[];
  readonly listRequests: number;
  /** What planning itself noticed. */
  readonly broken: BrokenAssumptions;
  /** partitioned: the partitions now seen, for the next run's cursor. Absent: nobody looked, the cursor's stay. */
  readonly partitioned?: SeenPartitions;
  /** inventory: when it was made. */
  readonly inventoryAtMs?: number;
}

interface Planning extends PlanRequest {
  readonly pager: Pager;
  readonly nowMs: number;
}

export async function planRun(ports: PlanPorts, request: PlanRequest): Promise<RunPlan> {
  const pager = new Pager(ports, request.ingestion.source.bucket);
  const planning = { ...request, pager, nowMs: ports.clock.now() };
  const { listing } = request.input;
  switch (listing.strategy) {
    case "full":
    case "incremental_time":
      return planKeys(planning, [ALL_KEYS]);
    case "incremental_lexical": {
      const after = stepBack(request.cursor?.lexical?.tail ?? NO_TAIL, listing.lookbackKeys);
      return planKeys(planning, [{ after }]);
    }
    case "partitioned":
      return planPartitions(planning, listing);
    case "inventory":
      return planInventory(planning, listing, await findInventory(ports.store, listing.location));
  }
}

async function planPartitions(
  planning: Planning,
  listing: Extract<Listing, { strategy: "partitioned" }>,
): Promise<RunPlan> {
  const { ingestion, input, pager, cursor } = planning;
  const { prefix } = ingestion.source;
  // By another pattern than the ingestion's own nobody knows what was listed before.
  const isOwn = listing.pattern === listingOf("partitioned", undefined, ingestion)?.pattern;
  const times = input.window ?? windowOf(listing, isOwn ? cursor : undefined, planning.nowMs);
  const window = { pattern: patternOf(listing.pattern), prefix, ...times };
  const ranges = windowRanges(window);
  // Whoever names a window or a part of the prefix asks for that, not for news of the rest.
  if (input.window !== undefined || prefixOf(planning) !== prefix || !isOwn) return planKeys(planning, inOrder(ranges));
  const since = { nowMs: planning.nowMs, lookbackMs: listing.lookbackMs };
  const { late, partitioned, broken } = await lookForOthers(pager, window, since, cursor?.partitioned);
  const plan = await planKeys(planning, inOrder([...ranges, ...late.map(rangeBelow)]));
  return { ...plan, broken: addBroken(plan.broken, broken), partitioned };
}

/** `ranges`: disjoint, in order. */
async function planKeys(planning: Planning, ranges: readonly KeyRange[]): Promise<RunPlan> {
  const { pager } = planning;
  const prefix = prefixOf(planning);
  const cut = await cutKeys(planning, within(ranges, prefix));
  const kept = cut.map((shard) => nestedPrefixes(planning).reduce<readonly KeyRange[]>(without, shard));
  const shards = kept
    .filter((shard) => shard.length > 0)
    .map((shard, index): Shard => ({ kind: "keys", id: shardId(index), prefix, ranges: shard }));
  return { shards, listRequests: pager.requests, broken: {} };
}

async function cutKeys(planning: Planning, ranges: readonly KeyRange[]): Promise<Cut> {
  const { pager, ingestion, input } = planning;
  const bySeen = cutBySeen(ranges, planning.seen?.segments ?? [], input.concurrency);
  const all = ranges.length === 1 && ranges[0]?.after === "" && ranges[0].upTo === undefined;
  const uncut = bySeen.length === 1 && bySeen[0]?.length === 1;
  if (!all || !uncut) return bySeen;
  const options = { lanes: input.concurrency, functionsMax: ingestion.discovery.functionsMax };
  return cutByFolders(pager, prefixOf(planning), options);
}

function prefixOf({ ingestion, input }: PlanRequest): string {
  return input.scope.prefix ?? ingestion.source.prefix;
}

/** What belongs to an ingestion with a longer prefix, whatever the key; with globs some of its keys may be this one's. */
function nestedPrefixes({ ingestion, ingestions = [] }: PlanRequest): readonly string[] {
  const own = ingestion.source;
  return ingestions
    .map(({ source }) => source)
    .filter(({ bucket, include, exclude }) => bucket === own.bucket && include.length === 0 && exclude.length === 0)
    .map(({ prefix }) => prefix)
    .filter((prefix) => prefix.length > own.prefix.length && prefix.startsWith(own.prefix));
}

function planInventory(
  { ingestion, cursor, pager, nowMs }: Planning,
  listing: Extract<Listing, { strategy: "inventory" }>,
  report: InventoryReport,
): RunPlan {
  const { bucket } = ingestion.source;
  if (report.sourceBucket !== bucket) {
    throw new MoraineError(
      "Invalid",
      "the inventory is of another bucket: set discovery location to the folder of an inventory of this ingestion's bucket",
      { location: listing.location, inventoryOf: report.sourceBucket, bucket },
    );
  }
  const shards = report.files
    .toSorted((a, b) => b.sizeBytes - a.sizeBytes)
    .map((file, index): Shard => ({ kind: "inventory", id: shardId(index), file, rowsDone: 0 }));
  const hours = Math.floor((nowMs - report.createdAtMs) / 3_600_000);
  const readAtMs = cursor?.inventoriesAtMs?.[listing.location] ?? -1;
  const stale = [
    ...(nowMs - report.createdAtMs > listing.ageMaxMs ? [`${report.manifest} is ${hours} hours old`] : []),
    ...(report.createdAtMs <= readAtMs ? [`${report.manifest} was read by an earlier run`] : []),
  ];
  return {
    shards,
    listRequests: pager.requests,
    broken: stale.length === 0 ? {} : { stale_inventory: { count: 1, examples: stale } },
    inventoryAtMs: report.createdAtMs,
  };
}

/** In order of the ranges; of the first round. */
function shardId(index: number): string {
  return `0-${String(index).padStart(5, "0")}`;
}
