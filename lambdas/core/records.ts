// The ledger's items: what is remembered of files, batches and tables, and where each item lies.
// Every item is written whole, under one condition on its revision, so each change of state is one compare-and-swap.
//
//   file    DISCOVERED -> PROCESSING -> SUCCESS | FAILED | SKIPPED | REJECTED        one item per (ingestion, bucket, key)
//   batch   OPEN -> SEALED -> (settled: item removed)    OPEN -> ABORTED -> (swept: item removed)     under its table
//   head    {seq, intent?}: at most one commit intent is open per table
//   commit  one per landed commit, for people; leftovers: the same for the sweeper, until its folders are empty
//   run, active run, cursor (under their ingestion) and shards (under their run): discovery/run-records.ts
//   schema changes, the files they hold, and schema versions (under their ingestion): schema/records.ts

import { createHash } from "node:crypto";
import { assert, type ErrorKind, MoraineError } from "./errors.ts";
import type { ObjectEvent, ObjectVersion } from "./events.ts";
import type { PartitionField, StagedManifest } from "./iceberg/types.ts";
import type { BatchId, Fingerprint, IngestionId, IntentId, ObjectUri, Revision, TableId } from "./ids.ts";
import { pack, unpack } from "./packing.ts";
import type { Attribute, LedgerItem, LedgerKey } from "./ports.ts";
import type { StagedQuarantine } from "./schema/quarantine.ts";

export type FileStatus = "DISCOVERED" | "PROCESSING" | "SUCCESS" | "FAILED" | "SKIPPED" | "REJECTED";

export const FILE_STATUSES: readonly FileStatus[] = [
  "DISCOVERED",
  "PROCESSING",
  "SUCCESS",
  "FAILED",
  "SKIPPED",
  "REJECTED",
];

export interface FileError {
  readonly kind: ErrorKind;
  readonly message: string;
  readonly line?: number;
  readonly byte?: number;
  readonly column?: string;
}

/** The version whose rows stand in the table now. It outlives later attempts on newer versions. */
export interface LoadedVersion {
  readonly version: ObjectVersion;
  readonly batch: BatchId;
  readonly records: number;
  /** Of these, rows with something in `_rescued_data`; absent: none. */
  readonly rescued?: number;
  /** Rows that went to the quarantine table instead; absent: none. */
  readonly quarantined?: number;
  readonly bytesRead: number;
  readonly seq: number;
  /** Decimal; absent when the commit added no snapshot (an empty file). */
  readonly snapshotId?: string;
  readonly processedAtMs: number;
}

export interface FileRecord {
  readonly ingestion: IngestionId;
  readonly table: TableId;
  readonly bucket: string;
  readonly key: string;
  readonly status: FileStatus;
  /** Upper-case word saying why the status is what it is, such as MALFORMED or SUPERSEDED. */
  readonly reason?: string;
  /** Of the schema change that holds it, or decided it. */
  readonly fingerprint?: Fingerprint;
  /** The version `status` speaks of. */
  readonly version: ObjectVersion;
  /** Holder of the claim while PROCESSING; afterwards the batch that decided. */
  readonly batch: BatchId;
  /** Files in that batch: a death in company says nothing about this file. */
  readonly batchFiles: number;
  /** Claims of this version so far. */
  readonly attempts: number;
  /** Claims of this version that died while it was alone in its batch. */
  readonly deaths: number;
  readonly runId?: string;
  readonly discoveredAtMs: number;
  readonly startedAtMs: number;
  readonly processedAtMs?: number;
  readonly durationMs?: number;
  readonly records?: number;
  readonly bytesRead?: number;
  readonly snapshotId?: string;
  readonly error?: FileError;
  readonly loaded?: LoadedVersion;
}

/** A file of a sealed batch: all that settling needs, so that it costs one write and no read. */
export interface StagedFile {
  readonly claimed: FileRecord;
  readonly records: number;
  readonly bytesRead: number;
  readonly rescued?: number;
  readonly quarantined?: number;
}

/** What a sealed batch asks the committer to splice into the table. */
export interface Staged {
  readonly tableUuid: string;
  readonly dataManifest?: StagedManifest;
  readonly deleteManifest?: StagedManifest;
  /** Of the spec the data manifest is written under, whose id may have been given away by the time it is committed. */
  readonly partitionFields?: readonly PartitionField[];
  readonly files: readonly StagedFile[];
  readonly quarantine?: StagedQuarantine;
  readonly dataFiles: number;
  readonly deleteFiles: number;
  readonly records: number;
  readonly deleteRecords: number;
  readonly dataBytes: number;
  readonly deleteBytes: number;
}

export type BatchState = "OPEN" | "SEALED" | "ABORTED";

export interface BatchRecord {
  readonly table: TableId;
  readonly batch: BatchId;
  readonly ingestion: IngestionId;
  readonly state: BatchState;
  readonly openedAtMs: number;
  readonly leaseUntilMs: number;
  /** Written before the first claim: what the batch may come to hold. */
  readonly intends: readonly ObjectEvent[];
  readonly sealedAtMs?: number;
  readonly abortedAtMs?: number;
  /** The events of an aborted batch are back in the queue: its own loader gave up and held their messages, or the sweeper has sent them. */
  readonly released?: boolean;
  readonly staged?: Staged;
}

export interface Intent {
  readonly seq: number;
  readonly id: IntentId;
  readonly batches: readonly BatchId[];
  readonly files: number;
  readonly records: number;
  readonly openedAtMs: number;
}

export interface HeadRecord {
  readonly table: TableId;
  readonly tableUuid: string;
  /** Number of the last settled commit; 0 before the first. */
  readonly seq: number;
  readonly intent?: Intent;
  /** Over all settled commits. */
  readonly totals: { readonly files: number; readonly records: number };
  readonly updatedAtMs: number;
}

/** One landed commit, for ever: what people ask about. */
export interface CommitRecord {
  readonly table: TableId;
  readonly seq: number;
  readonly intent: IntentId;
  readonly batches: readonly BatchId[];
  readonly files: number;
  readonly records: number;
  readonly snapshotId: string;
  readonly landedAtMs: number;
}

/**
 * The metadata of one landed commit. The sweeper comes by until nothing is left of it: attempts that did not land
 * first, the rest as snapshots expire and manifests are merged.
 */
export interface LeftoversRecord {
  readonly table: TableId;
  readonly seq: number;
  readonly intent: IntentId;
  /** Whose staged manifests were not looked at yet. */
  readonly batches: readonly BatchId[];
  /** Staged manifests that were still reached at the last look. */
  readonly manifests?: readonly ObjectUri[];
  readonly landedAtMs: number;
}

// ---- keys ----------------------------------------------------------------------------------------------------------

/** Its own partition: claims scale without a hot one. An S3 key has at most 1,024 bytes, a partition key 2,048. */
export function fileKey(ingestion: IngestionId, bucket: string, key: string): LedgerKey {
  return { partition: `F#${ingestion}#${bucket}/${key}`, sort: "FILE" };
}

/** Of the files a batch intends, in their order. */
export function fileKeys(batch: BatchRecord): LedgerKey[] {
  return batch.intends.map((event) => fileKey(batch.ingestion, event.bucket, event.key));
}

export const BATCH_PREFIX = "B#";

export function tablePartition(table: TableId): string {
  return `T#${table}`;
}

export function batchKey(table: TableId, batch: BatchId): LedgerKey {
  return { partition: tablePartition(table), sort: `${BATCH_PREFIX}${batch}` };
}

export function headKey(table: TableId): LedgerKey {
  return { partition: tablePartition(table), sort: "HEAD" };
}

export function commitPartition(table: TableId): string {
  return `C#${table}`;
}

export function commitKey(table: TableId, seq: number): LedgerKey {
  return { partition: commitPartition(table), sort: seq.toString().padStart(12, "0") };
}

export const LEFTOVERS_PREFIX = "L#";

export function leftoversKey(table: TableId, seq: number): LedgerKey {
  return { partition: tablePartition(table), sort: `${LEFTOVERS_PREFIX}${seq.toString().padStart(12, "0")}` };
}

/** Shards of the index that serves people: a hot index partition would slow the writes of the base table down. */
export const INDEX_SHARDS = 8;

export function fileIndexPartition(ingestion: IngestionId, status: FileStatus, shard: number): string {
  return `${ingestion}#${status}#${shard}`;
}

function fileIndex(file: FileRecord): LedgerKey {
  const path = `${file.bucket}/${file.key}`;
  const digest = createHash("sha1").update(path).digest();
  return {
    partition: fileIndexPartition(file.ingestion, file.status, (digest[0] ?? 0) % INDEX_SHARDS),
    // An index sort key has at most 1,024 bytes; bucket and key together may have more.
    sort: Buffer.from(path).subarray(0, 1000).toString("utf8"),
  };
}

/** The revision a claim gives its file item: known to the committer without reading the item. */
export function claimRevision(batch: BatchId): Revision {
  return `${batch}:claimed` as Revision;
}

export function settledRevision(batch: BatchId): Revision {
  return `${batch}:settled` as Revision;
}

export function decidedRevision(batch: BatchId): Revision {
  return `${batch}:decided` as Revision;
}

/** Each look at the leftovers of a commit leaves fewer manifests. */
export function clearedRevision(intent: IntentId, manifestsLeft: number): Revision {
  return `${intent}:cleared:${manifestsLeft}` as Revision;
}

// ---- items ---------------------------------------------------------------------------------------------------------

type Kind =
  | ("file" | "batch" | "head" | "commit" | "leftovers")
  | ("run" | "active" | "cursor" | "shard" | "begun")
  | ("schema-change" | "held-file" | "schema-version");

export function fileItem(file: FileRecord, revision: Revision): LedgerItem {
  assert(file.status !== "SUCCESS" || file.loaded !== undefined, "a SUCCESS file names the version that is loaded");
  return {
    key: fileKey(file.ingestion, file.bucket, file.key),
    revision,
    body: bodyOf("file", file),
    index: fileIndex(file),
  };
}

export function batchItem(batch: BatchRecord, revision: Revision): LedgerItem {
  assert(
    (batch.state === "SEALED") === (batch.staged !== undefined),
    "a batch has staged files if and only if it is SEALED",
  );
  const { intends, staged, ...plain } = batch;
  return {
    key: batchKey(batch.table, batch.batch),
    revision,
    body: { ...bodyOf("batch", plain), fileCount: intends.length, packed: pack({ intends, staged }) },
  };
}

export function headItem(head: HeadRecord, revision: Revision): LedgerItem {
  assert(head.intent === undefined || head.intent.seq === head.seq + 1, "an open intent is the next commit");
  return { key: headKey(head.table), revision, body: bodyOf("head", head) };
}

export function commitItem(commit: CommitRecord, revision: Revision): LedgerItem {
  return { key: commitKey(commit.table, commit.seq), revision, body: bodyOf("commit", commit) };
}

export function leftoversItem(leftovers: LeftoversRecord, revision: Revision): LedgerItem {
  return { key: leftoversKey(leftovers.table, leftovers.seq), revision, body: bodyOf("leftovers", leftovers) };
}

export function readFile(item: LedgerItem): FileRecord {
  return readBody<FileRecord>(item, "file", ["ingestion", "bucket", "key", "status", "version", "batch"]);
}

export function readBatch(item: LedgerItem): BatchRecord {
  const names = ["table", "batch", "state", "packed"];
  const plain = readBody<BatchRecord & { packed: Uint8Array; fileCount: number }>(item, "batch", names);
  const { packed, fileCount: _forPeople, ...rest } = plain;
  const { intends, staged } = unpack(packed) as Pick<BatchRecord, "intends" | "staged">;
  return { ...rest, intends, ...(staged === undefined ? {} : { staged }) };
}

export function readHead(item: LedgerItem): HeadRecord {
  return readBody<HeadRecord>(item, "head", ["table", "tableUuid", "seq"]);
}

export function readCommit(item: LedgerItem): CommitRecord {
  return readBody<CommitRecord>(item, "commit", ["table", "seq", "intent"]);
}

export function readLeftovers(item: LedgerItem): LeftoversRecord {
  return readBody<LeftoversRecord>(item, "leftovers", ["table", "seq", "intent", "batches"]);
}

export function bodyOf(kind: Kind, record: object): Record<string, Attribute> {
  return { kind, ...(withoutUndefined(record) as Record<string, Attribute>) };
}

/** Only Moraine writes these items: a wrong kind or a missing attribute is a damaged ledger, not bad input. */
export function readBody<T>(item: LedgerItem, kind: Kind, required: readonly string[]): T {
  const missing = required.find((name) => !(name in item.body));
  if (item.body["kind"] !== kind || missing !== undefined) {
    throw new MoraineError("Corrupt", "ledger item is not what its key says", {
      partition: item.key.partition,
      sort: item.key.sort,
      expected: kind,
      missing,
    });
  }
  const { kind: _kind, ...record } = item.body;
  return record as T;
}

function withoutUndefined(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutUndefined);
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, member]) => member !== undefined)
      .map(([name, member]) => [name, withoutUndefined(member)]),
  );
}
