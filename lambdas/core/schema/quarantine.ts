// The quarantine: rows that could not be read as rows, kept as text in a table beside the one they were meant for.
//
// They get there by the one path. A batch stages them as one NDJSON object; settling its commit sends that object's event to the intake queue,
// before the batch item goes; and an ingestion that nobody had to write loads it into `<table>_quarantine`, exactly once like any file.

import { createHash } from "node:crypto";
import type { Ingestion } from "../config.ts";
import { DEFAULT_DISCOVERY } from "../discovery/defaults.ts";
import { assert } from "../errors.ts";
import { formatIntake } from "../events.ts";
import type { DraftField } from "../iceberg/types.ts";
import { type BatchId, type IngestionId, type ObjectUri, splitUri, type TableName, tableIdOf } from "../ids.ts";
import type { Clock, ObjectStore, Queues } from "../ports.ts";
import { BAD_ROW_DEFAULTS, SCHEMA_DEFAULTS } from "./defaults.ts";

/** Columns of a quarantine table, and the keys of each record in a conversion's `quarantine`. */
export const QUARANTINE_FIELDS = [
  /** `s3://bucket/key` */
  { name: "file", type: "string" },
  /** Of a row of a file in an archive: the file's name there. */
  { name: "member", type: "string" },
  /** The object version's ETag. */
  { name: "version", type: "string" },
  /** Physical line at which the row starts, from 1. */
  { name: "line", type: "long" },
  /** Where it starts, in bytes of the file as it was decompressed, as UTF-8 without a byte order mark, from 0. */
  { name: "byte", type: "long" },
  /** Upper-case word, such as ROW_TOO_LONG. */
  { name: "reason", type: "string" },
  { name: "message", type: "string" },
  /** The row as it stands, cut after QUARANTINE_TEXT_MAX characters. */
  { name: "text", type: "string" },
] as const satisfies readonly DraftField[];

export type QuarantineRow = Readonly<Record<(typeof QUARANTINE_FIELDS)[number]["name"], string | number | null>>;

export const QUARANTINE_TEXT_MAX = 16_384;

/** What a batch staged for the quarantine. */
export interface StagedQuarantine {
  readonly uri: ObjectUri;
  readonly etag: string;
  readonly sizeBytes: number;
  readonly rows: number;
}

export function quarantineTable({ database, table }: TableName): TableName {
  return { database, table: `${table}_quarantine` };
}

/** Folder of everything that a batch puts into quarantine. */
export function quarantineFolder(warehouseUri: string, { database, table }: TableName, batch: BatchId): string {
  return `${warehouseUri}/_quarantine/${database}/${table}/${batch}/`;
}

/**
 * A file that cannot be loaded at all is one row of the quarantine: put and sent before its fate is on record, under a name made of the
 * file's version and the reason, so that trying again adds nothing.
 */
export async function quarantineFile(
  { store, queues, clock }: { readonly store: ObjectStore; readonly queues: Queues; readonly clock: Clock },
  warehouseUri: string,
  target: TableName,
  row: QuarantineRow,
): Promise<void> {
  const name = createHash("sha256")
    .update(JSON.stringify([row.file, row.version, row.reason]))
    .digest("hex");
  const uri = `${warehouseUri}/_quarantine/${target.database}/${target.table}/files/${name}.ndjson` as ObjectUri;
  const body = new TextEncoder().encode(`${JSON.stringify(row)}\n`);
  const stored = await store.put(uri, body, { contentType: "application/x-ndjson" });
  assert(stored.kind === "stored", "nothing but a condition refuses a put");
  const staged = { uri, etag: stored.etag, sizeBytes: body.length, rows: 1 };
  await queues.sendIntake([quarantineEvent(staged, clock.now())]);
}

/**
 * The ingestions that load quarantines, one for each table: also where no ingestion quarantines any more, for what was staged before may
 * still be on its way.
 */
export function quarantineIngestions(ingestions: readonly Ingestion[], warehouseUri: string): Ingestion[] {
  const targets = new Map(ingestions.map(({ target }) => [tableIdOf(target), target]));
  return [...targets].map(([table, target]) =>
    quarantineIngestion(`${table}~quarantine` as IngestionId, target, warehouseUri),
  );
}

const TARGET_FILE_BYTES = 128 * 1024 * 1024;

function quarantineIngestion(id: IngestionId, target: Ingestion["target"], warehouseUri: string): Ingestion {
  const { bucket, key: prefix } = splitUri(`${warehouseUri}/_quarantine/${target.database}/${target.table}/`);
  const columns = Object.fromEntries(QUARANTINE_FIELDS.map(({ name, type }) => [name, type]));
  return {
    id,
    source: { bucket, prefix, include: [], exclude: [] },
    format: { type: "ndjson" },
    compression: "auto",
    target: { ...quarantineTable(target), partitionBy: [], targetFileSizeBytes: TARGET_FILE_BYTES, properties: {} },
    // Nobody would be asked: whatever others make of the table, its rows are rescued and never held.
    schema: { ...SCHEMA_DEFAULTS, columns, hints: columns, rescueShareMax: 1 },
    badRows: BAD_ROW_DEFAULTS,
    onOverwrite: "ignore",
    lineage: false,
    batch: { filesMax: 1000, bytesMax: 1024 * 1024 * 1024 },
    discovery: DEFAULT_DISCOVERY,
  };
}

/** The intake message that has it loaded. `putAtMs`: when it was put, or a moment later. */
export function quarantineEvent({ uri, etag, sizeBytes }: StagedQuarantine, putAtMs: number): string {
  const { bucket, key } = splitUri(uri);
  return formatIntake([{ bucket, key, version: { etag, sizeBytes, timeMs: putAtMs } }]);
}
