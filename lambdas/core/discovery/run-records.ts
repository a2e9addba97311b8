// Discovery's items in the ledger. A run and the cursor lie under their ingestion, shards under their run, so one query each gives
// what `moraine runs` and a gathering function ask for.

import type { IngestionId, Revision } from "../ids.ts";
import { pack, unpack } from "../packing.ts";
import type { LedgerItem, LedgerKey } from "../ports.ts";
import { bodyOf, readBody } from "../records.ts";
import type { CursorRecord, RunRecord, ShardRecord } from "./model.ts";
import type { RunHandle } from "./run.ts";

/** One run at a time: whoever holds this item lists the ingestion. */
export interface ActiveRecord {
  readonly ingestion: IngestionId;
  readonly runId: string;
  readonly startedAtMs: number;
  /** A run that shows no sign of life until then is dead, and may be taken over. */
  readonly leaseUntilMs: number;
}

export const RUN_PREFIX = "RUN#";

export function runsPartition(ingestion: IngestionId): string {
  return `R#${ingestion}`;
}

/** Runs sort by their start. */
export function runKey(ingestion: IngestionId, startedAtMs: number, runId: string): LedgerKey {
  return {
    partition: runsPartition(ingestion),
    sort: `${RUN_PREFIX}${startedAtMs.toString().padStart(15, "0")}#${runId}`,
  };
}

export function activeKey(ingestion: IngestionId): LedgerKey {
  return { partition: runsPartition(ingestion), sort: "ACTIVE" };
}

export function cursorKey(ingestion: IngestionId): LedgerKey {
  return { partition: runsPartition(ingestion), sort: "CURSOR" };
}

export function shardsPartition(runId: string): string {
  return `S#${runId}`;
}

/** What every shard id begins with: ids sort by round. */
export const SHARD_PREFIX = "r";

export function shardId(round: number, n: number): string {
  return `${SHARD_PREFIX}${round.toString().padStart(4, "0")}-${n.toString().padStart(6, "0")}`;
}

export function begunKey(runId: string): LedgerKey {
  return { partition: shardsPartition(runId), sort: "BEGUN" };
}

export function shardKey(runId: string, shardId: string): LedgerKey {
  return { partition: shardsPartition(runId), sort: shardId };
}

/** A window of ten thousand partitions is among the assumptions: packed, it has some tens of kilobytes. */
export function runItem(run: RunRecord, revision: Revision): LedgerItem {
  const { assumptions, ...rest } = run;
  return {
    key: runKey(run.ingestion, run.startedAtMs, run.runId),
    revision,
    body: { ...bodyOf("run", rest), packed: pack({ assumptions }) },
  };
}

export function activeItem(active: ActiveRecord, revision: Revision): LedgerItem {
  return { key: activeKey(active.ingestion), revision, body: bodyOf("active", active) };
}

/** When the run of this id began: written before anything else of it. */
export function begunItem(run: RunHandle, revision: Revision, expiresAtMs: number): LedgerItem {
  return {
    key: begunKey(run.runId),
    revision,
    body: bodyOf("begun", run),
    expiresAt: Math.ceil(expiresAtMs / 1000),
  };
}

export function cursorItem(cursor: CursorRecord, revision: Revision): LedgerItem {
  const { ingestion, ...rest } = cursor;
  return {
    key: cursorKey(ingestion),
    revision,
    body: { ...bodyOf("cursor", { ingestion }), packed: pack(rest) },
  };
}

/** Keys may have a kilobyte each: its ranges (rounds.ts) and segments (shard-progress.ts) are bounded so that, packed, they stay below 400 KB. */
export function shardItem(shard: ShardRecord, revision: Revision, expiresAtMs: number): LedgerItem {
  const { runId, ingestion, ...rest } = shard;
  return {
    key: shardKey(runId, shard.left.id),
    revision,
    body: { ...bodyOf("shard", { runId, ingestion }), packed: pack(rest) },
    expiresAt: Math.ceil(expiresAtMs / 1000),
  };
}

export function readRun(item: LedgerItem): RunRecord {
  const required = ["runId", "ingestion", "status", "input", "startedAtMs", "counts", "packed"];
  const { packed, ...rest } = readBody<RunRecord & { packed: Uint8Array }>(item, "run", required);
  return { ...rest, ...(unpack(packed) as Pick<RunRecord, "assumptions">) };
}

export function readActive(item: LedgerItem): ActiveRecord {
  return readBody<ActiveRecord>(item, "active", ["ingestion", "runId", "leaseUntilMs"]);
}

export function readBegun(item: LedgerItem): RunHandle {
  return readBody<RunHandle>(item, "begun", ["runId", "ingestion", "startedAtMs"]);
}

export function readCursor(item: LedgerItem): CursorRecord {
  const { packed, ...rest } = readBody<CursorRecord & { packed: Uint8Array }>(item, "cursor", ["ingestion", "packed"]);
  return { ...rest, ...(unpack(packed) as Omit<CursorRecord, "ingestion">) };
}

export function readShard(item: LedgerItem): ShardRecord {
  const { packed, ...rest } = readBody<ShardRecord & { packed: Uint8Array }>(item, "shard", ["runId", "packed"]);
  return { ...rest, ...(unpack(packed) as Omit<ShardRecord, "runId" | "ingestion">) };
}
