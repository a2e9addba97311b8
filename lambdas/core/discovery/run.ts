// A run from its beginning to its report: what the state machine's functions do between the listing functions (list-shard.ts).
//
//   begin -> plan -> (list shards, gather)* -> finish          any error: fail, which gives the ingestion free again
//
// Every step may be repeated: Step Functions retries it, and a lost response makes it run twice.

import type { MoraineConfig } from "../config.ts";
import type { IngestionId } from "../ids.ts";
import type { Settings } from "../settings.ts";
import type { DiscoveryPorts } from "./list-shard.ts";
import type { RunReport } from "./model.ts";

export interface RunContext {
  readonly ports: DiscoveryPorts;
  readonly settings: Settings;
  /** With real bucket names. */
  readonly config: MoraineConfig;
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
  /** Another run of the ingestion is under way: this execution ends here, and that one's report is the answer. */
  | { readonly kind: "joined"; readonly run: RunHandle };

export type Gathered = { readonly kind: "more"; readonly round: RoundHandle } | { readonly kind: "done" };

/** `input`: the state machine's, not validated yet (run-input.ts). Throws Invalid naming the field and the remedy. */
export function beginRun(
  _context: RunContext,
  _input: unknown,
  _execution: { readonly name: string; readonly arn: string },
): Promise<Begun> {
  throw new Error("to be built");
}

export function planRound(_context: RunContext, _run: RunHandle): Promise<RoundHandle> {
  throw new Error("to be built");
}

/** Closes the shards of the round and makes the next one of what they left. */
export function gatherRound(_context: RunContext, _run: RunHandle, _round: RoundHandle): Promise<Gathered> {
  throw new Error("to be built");
}

export function finishRun(_context: RunContext, _run: RunHandle): Promise<RunReport> {
  throw new Error("to be built");
}

export function failRun(_context: RunContext, _run: RunHandle, _error: string): Promise<void> {
  throw new Error("to be built");
}
