// From a strategy to shards: which key ranges a run lists, cut by what earlier runs learned about where the keys are.

import type { Ingestion } from "../config.ts";
import type { BucketLister, Clock, ObjectStore, Timer } from "../ports.ts";
import type { BrokenAssumptions, CursorRecord, RunInput, Shard } from "./model.ts";
import type { SeenIndex } from "./seen.ts";

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
}

export interface RunPlan {
  readonly shards: readonly Shard[];
  readonly listRequests: number;
  /** What planning itself noticed. */
  readonly broken: BrokenAssumptions;
  /** partitioned: the partitions now seen, for the next run's cursor. */
  readonly partitions?: readonly string[];
  /** inventory: when it was made. */
  readonly inventoryAtMs?: number;
}

export function planRun(_ports: PlanPorts, _request: PlanRequest): Promise<RunPlan> {
  throw new Error("to be built");
}
