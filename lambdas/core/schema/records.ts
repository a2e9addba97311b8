// Ledger items of schema changes. All of an ingestion lie in one partition but the held files, which may be many.
//
//   schema change   OPEN -> ACCEPTED | MERGED | REJECTED -> (carried out)    one per fingerprint, kept for ever
//   held file       one per file that waits for the decision; removed when it is released
//   schema version  a note of who changed the table's schema, and why

import { createHash } from "node:crypto";
import type { DraftField } from "../iceberg/types.ts";
import type { Fingerprint, IngestionId, ObjectUri, Revision, TableId } from "../ids.ts";
import { pack, unpack } from "../packing.ts";
import type { LedgerItem, LedgerKey } from "../ports.ts";
import { bodyOf, readBody } from "../records.ts";
import type { Difference } from "./diff.ts";

export type Verdict = "accept" | "merge" | "reject";
export type ChangeStatus = "OPEN" | "ACCEPTED" | "MERGED" | "REJECTED";

export const STATUS_OF: Readonly<Record<Verdict, ChangeStatus>> = {
  accept: "ACCEPTED",
  merge: "MERGED",
  reject: "REJECTED",
};

/** A difference as the first file with it showed it. */
export interface HeldDifference extends Difference {
  /** Rows of that file with a value that does not fit. */
  readonly records?: number;
  readonly samples?: readonly string[];
  readonly line?: number;
  /** Once decided: of the table's column. */
  readonly fieldId?: number;
  /** After `merge`: the column that takes what does not fit. */
  readonly column?: string;
}

export interface Decision {
  readonly verdict: Verdict;
  readonly by: string;
  readonly why?: string;
  readonly atMs: number;
}

export interface SchemaChange {
  readonly ingestion: IngestionId;
  readonly table: TableId;
  readonly fingerprint: Fingerprint;
  readonly status: ChangeStatus;
  readonly differences: readonly HeldDifference[];
  /** Columns the first file brought or needs wider, whole (policy `hold`): what accepting adds to the table. */
  readonly fields: readonly DraftField[];
  readonly firstFile: ObjectUri;
  readonly openedAtMs: number;
  /** A sweep is about to send the alert, or has died on the way. */
  readonly alertingAtMs?: number;
  readonly alertedAtMs?: number;
  /** Oldest first; more than one when a change came up again after it had been decided. */
  readonly decisions: readonly Decision[];
  /** The table is as decided and the files that waited were released. */
  readonly carriedOutAtMs?: number;
  /** Files released or rejected by the last decision. */
  readonly released?: number;
}

export interface HeldFile {
  readonly ingestion: IngestionId;
  readonly fingerprint: Fingerprint;
  readonly bucket: string;
  readonly key: string;
  readonly etag: string;
  /** Rows of the file, where they were counted. */
  readonly records?: number;
  readonly heldAtMs: number;
}

export interface SchemaVersion {
  readonly ingestion: IngestionId;
  readonly table: TableId;
  readonly schemaId: number;
  readonly atMs: number;
  /** Texts for people, one for each difference. */
  readonly changes: readonly string[];
  /** The decision it carries out; absent: a compatible change, applied by a loader. */
  readonly fingerprint?: Fingerprint;
}

// ---- keys ----------------------------------------------------------------------------------------------------------

export const CHANGE_PREFIX = "C#";
export const VERSION_PREFIX = "V#";

export function schemaPartition(ingestion: IngestionId): string {
  return `S#${ingestion}`;
}

export function changeKey(ingestion: IngestionId, fingerprint: Fingerprint): LedgerKey {
  return { partition: schemaPartition(ingestion), sort: `${CHANGE_PREFIX}${fingerprint}` };
}

function versionKey(ingestion: IngestionId, schemaId: number): LedgerKey {
  return { partition: schemaPartition(ingestion), sort: `${VERSION_PREFIX}${String(schemaId).padStart(8, "0")}` };
}

/** Hundreds of loaders may hold files of one change at once. */
const HELD_SHARDS = 8;

export function heldPartitions(ingestion: IngestionId, fingerprint: Fingerprint): string[] {
  return Array.from({ length: HELD_SHARDS }, (_, shard) => `Q#${ingestion}#${fingerprint}#${shard}`);
}

/** By the digest of the path: a sort key has at most 1,024 bytes. */
export function heldKey({ ingestion, fingerprint, bucket, key }: HeldFile): LedgerKey {
  const digest = createHash("sha256").update(`${bucket}/${key}`).digest();
  const partition = heldPartitions(ingestion, fingerprint)[(digest[0] ?? 0) % HELD_SHARDS] as string;
  return { partition, sort: digest.toString("hex") };
}

// ---- items ---------------------------------------------------------------------------------------------------------

export function changeItem(change: SchemaChange, revision: Revision): LedgerItem {
  // Packed: types may be nested deeper than DynamoDB nests its maps.
  const { differences, fields, ...plain } = change;
  const body = { ...bodyOf("schema-change", plain), packed: pack({ differences, fields }) };
  return { key: changeKey(change.ingestion, change.fingerprint), revision, body };
}

export function heldItem(file: HeldFile, revision: Revision): LedgerItem {
  return { key: heldKey(file), revision, body: bodyOf("held-file", file) };
}

export function versionItem(version: SchemaVersion, revision: Revision): LedgerItem {
  return { key: versionKey(version.ingestion, version.schemaId), revision, body: bodyOf("schema-version", version) };
}

export function readChange(item: LedgerItem): SchemaChange {
  const names = ["ingestion", "fingerprint", "status", "packed"];
  const { packed, ...plain } = readBody<SchemaChange & { packed: Uint8Array }>(item, "schema-change", names);
  return { ...plain, ...(unpack(packed) as Pick<SchemaChange, "differences" | "fields">) };
}

export function readHeld(item: LedgerItem): HeldFile {
  return readBody<HeldFile>(item, "held-file", ["ingestion", "fingerprint", "bucket", "key", "etag"]);
}

export function readVersion(item: LedgerItem): SchemaVersion {
  return readBody<SchemaVersion>(item, "schema-version", ["ingestion", "schemaId", "changes"]);
}
