// Table metadata: making it, writing it, looking things up in it. Reading is in metadata-parse.ts, changing in metadata-updates.ts.
// Metadata is a value: every change makes a new one, and the catalog's pointer decides which one is the table.

import { assert } from "../errors.ts";
import { formatJson } from "./json.ts";
import { FIRST_PARTITION_FIELD_ID, UNPARTITIONED } from "./partition.ts";
import type { NestedField, PartitionField, PartitionSpec, Schema, Snapshot, TableMetadata } from "./types.ts";

export { parseMetadata } from "./metadata-parse.ts";
export { applyUpdates, checkRequirements } from "./metadata-updates.ts";

export interface NewTable {
  readonly uuid: string;
  /** Without a slash at the end. */
  readonly location: string;
  readonly fields: readonly NestedField[];
  readonly lastColumnId: number;
  readonly specFields: readonly PartitionField[];
  readonly properties: Readonly<Record<string, string>>;
  readonly nowMs: number;
}

export function newTableMetadata(table: NewTable): TableMetadata {
  assert(!table.location.endsWith("/"), `table location ends with a slash: ${table.location}`);
  const partitioned: PartitionSpec = { "spec-id": 1, fields: table.specFields };
  const isPartitioned = table.specFields.length > 0;
  const ids = table.specFields.map((field) => field["field-id"]);
  return {
    "format-version": 2,
    "table-uuid": table.uuid,
    location: table.location,
    "last-sequence-number": 0,
    "last-updated-ms": table.nowMs,
    "last-column-id": table.lastColumnId,
    schemas: [{ type: "struct", "schema-id": 0, fields: table.fields }],
    "current-schema-id": 0,
    // The unpartitioned spec is always there: an equality-delete file applies to all partitions only if its own spec has
    // none, and replacing a changed object must remove its old rows wherever they are.
    "partition-specs": isPartitioned ? [UNPARTITIONED, partitioned] : [UNPARTITIONED],
    "default-spec-id": isPartitioned ? 1 : 0,
    "last-partition-id": Math.max(FIRST_PARTITION_FIELD_ID - 1, ...ids),
    properties: table.properties,
    snapshots: [],
    "snapshot-log": [],
    "metadata-log": [],
    "sort-orders": [{ "order-id": 0, fields: [] }],
    "default-sort-order-id": 0,
    refs: {},
    statistics: [],
    "partition-statistics": [],
  };
}

export function formatMetadata(m: TableMetadata): Uint8Array {
  return new TextEncoder().encode(formatJson(m));
}

export function schemaById(m: TableMetadata, id: number): Schema {
  const schema = m.schemas.find((candidate) => candidate["schema-id"] === id);
  assert(schema !== undefined, `table ${m["table-uuid"]} has no schema ${id}`);
  return schema;
}

export function currentSchema(m: TableMetadata): Schema {
  return schemaById(m, m["current-schema-id"]);
}

export function specById(m: TableMetadata, id: number): PartitionSpec {
  const spec = m["partition-specs"].find((candidate) => candidate["spec-id"] === id);
  assert(spec !== undefined, `table ${m["table-uuid"]} has no partition spec ${id}`);
  return spec;
}

export function defaultSpec(m: TableMetadata): PartitionSpec {
  return specById(m, m["default-spec-id"]);
}

/** Names that no new column may take: those of the partition fields of every spec, old ones too. */
export function partitionNames(m: TableMetadata): string[] {
  return m["partition-specs"].flatMap((spec) => spec.fields.map((field) => field.name));
}

export function snapshotById(m: TableMetadata, id: bigint): Snapshot | undefined {
  return m.snapshots.find((snapshot) => snapshot["snapshot-id"] === id);
}

/** The head of main; undefined while the table has no snapshot. */
export function currentSnapshot(m: TableMetadata): Snapshot | undefined {
  const id = m["current-snapshot-id"];
  return id === undefined || id === -1n ? undefined : snapshotById(m, id);
}

/** A time for the next snapshot: clocks differ between machines, the history of a table only goes forward. */
export function nextTimestampMs(m: TableMetadata, nowMs: number): number {
  return Math.max(nowMs, m["last-updated-ms"]);
}
