// One listing function's work: a shard from its checkpoint to its end, the deadline, or the bound at which it hands the rest back.
// Order of effects: an event is sent before the checkpoint passes its key, so a crash sends twice and never forgets.

import type { BucketLister, Clock, EventSink, Ledger, ObjectStore, Random, Timer } from "../ports.ts";
import type { CheckContext } from "./check.ts";
import type { Shard, ShardRecord } from "./model.ts";

export interface DiscoveryPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly timer: Timer;
  readonly ledger: Ledger;
  readonly store: ObjectStore;
  readonly lister: BucketLister;
  readonly events: EventSink;
}

export interface ShardTask {
  readonly round: number;
  readonly shard: Shard;
}

export interface ShardContext extends Omit<CheckContext, "ports" | "seen"> {
  readonly ports: DiscoveryPorts;
  /** No request is begun after this. */
  readonly deadlineMs: number;
  /** Objects after which the rest is handed back, to be spread over more functions. */
  readonly objectsMax: number;
  /** Folder (`s3://bucket/…/`) for this run's seen segments; absent: none are written. */
  readonly seenFolder?: string;
}

export function listShard(_context: ShardContext, _task: ShardTask): Promise<ShardRecord> {
  throw new Error("to be built");
}
