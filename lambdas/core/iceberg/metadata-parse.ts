// Reads a metadata.json that anybody may have written: lossless integers, gzip, canonical type texts, Java's -1 for "no snapshot".
// What Moraine does not know is kept as it is, so that committing never drops another writer's facts.

import { gunzipSync } from "node:zlib";
import { MoraineError } from "../errors.ts";
import { parseJson } from "./json.ts";
import {
  arrayAt,
  bigintAt,
  corrupt,
  type Fields,
  fieldsOf,
  numberAt,
  optionalArrayAt,
  optionalBigintAt,
  optionalNumberAt,
  stringAt,
} from "./record-fields.ts";
import { primitiveOf } from "./type-text.ts";
import type {
  NestedField,
  PartitionField,
  PartitionSpec,
  Schema,
  Snapshot,
  SnapshotRef,
  SortOrder,
  TableMetadata,
  Transform,
  Type,
} from "./types.ts";

/** `name`: the file's uri, for messages. */
export function parseMetadata(source: string | Uint8Array, name = "metadata.json"): TableMetadata {
  const fields = fieldsOf(parseDocument(source, name), name, "metadata");
  refuseOtherVersions(fields);
  const currentSnapshotId = optionalBigintAt(fields, "current-snapshot-id");
  const { "current-snapshot-id": _, ...others } = fields.values;
  const metadata = {
    ...others,
    "format-version": 2,
    "table-uuid": stringAt(fields, "table-uuid"),
    location: stringAt(fields, "location"),
    "last-sequence-number": numberAt(fields, "last-sequence-number"),
    "last-updated-ms": numberAt(fields, "last-updated-ms"),
    "last-column-id": numberAt(fields, "last-column-id"),
    schemas: arrayAt(fields, "schemas").map((schema) => schemaOf(schema, name)),
    "current-schema-id": numberAt(fields, "current-schema-id"),
    "partition-specs": arrayAt(fields, "partition-specs").map((spec) => specOf(spec, name)),
    "default-spec-id": numberAt(fields, "default-spec-id"),
    "last-partition-id": numberAt(fields, "last-partition-id"),
    properties: textsAt(fields, "properties"),
    snapshots: (optionalArrayAt(fields, "snapshots") ?? []).map((snapshot) => snapshotOf(snapshot, name)),
    "snapshot-log": (optionalArrayAt(fields, "snapshot-log") ?? []).map((entry) => logEntryOf(entry, name)),
    "metadata-log": (optionalArrayAt(fields, "metadata-log") ?? []).map((entry) => fileLogEntryOf(entry, name)),
    "sort-orders": (optionalArrayAt(fields, "sort-orders") ?? []) as readonly SortOrder[],
    "default-sort-order-id": optionalNumberAt(fields, "default-sort-order-id") ?? 0,
    ...(currentSnapshotId === undefined || currentSnapshotId < 0n ? {} : { "current-snapshot-id": currentSnapshotId }),
    refs: refsOf(fields, currentSnapshotId),
  } satisfies TableMetadata;
  checkReferences(metadata, name);
  return metadata;
}

function parseDocument(source: string | Uint8Array, name: string): unknown {
  try {
    return parseJson(
      typeof source === "string" ? source : new TextDecoder("utf-8", { fatal: true }).decode(plain(source)),
    );
  } catch (error) {
    throw new MoraineError("Corrupt", "table metadata is not JSON", { file: name }, error);
  }
}

/** Tables with write.metadata.compression-codec=gzip have gzipped metadata files. */
function plain(bytes: Uint8Array): Uint8Array {
  return bytes[0] === 0x1f && bytes[1] === 0x8b ? gunzipSync(bytes) : bytes;
}

function refuseOtherVersions(fields: Fields): void {
  const version = numberAt(fields, "format-version");
  if (version === 2) return;
  const remedy =
    version === 1
      ? "upgrade it once with ALTER TABLE ... SET TBLPROPERTIES ('format-version'='2')"
      : "use a table of format version 2";
  throw new MoraineError("Invalid", `table has an iceberg format version moraine does not write; ${remedy}`, {
    file: fields.file,
    formatVersion: version,
  });
}

function checkReferences(m: TableMetadata, name: string): void {
  const current = m["current-snapshot-id"];
  const known = new Set(m.snapshots.map((snapshot) => snapshot["snapshot-id"]));
  if (current !== undefined && !known.has(current)) throw corrupt(name, "current-snapshot-id", "names no snapshot");
  if (!m.schemas.some((schema) => schema["schema-id"] === m["current-schema-id"])) {
    throw corrupt(name, "current-schema-id", "names no schema");
  }
  if (!m["partition-specs"].some((spec) => spec["spec-id"] === m["default-spec-id"])) {
    throw corrupt(name, "default-spec-id", "names no partition spec");
  }
}

export function schemaOf(value: unknown, file: string): Schema {
  const fields = fieldsOf(value, file, "schema");
  return {
    ...fields.values,
    type: "struct",
    // The schema in the header of a manifest of format v1 has no id.
    "schema-id": optionalNumberAt(fields, "schema-id") ?? 0,
    fields: arrayAt(fields, "fields").map((field) => nestedFieldOf(field, file)),
  };
}

function nestedFieldOf(value: unknown, file: string): NestedField {
  const fields = fieldsOf(value, file, "fields");
  return {
    ...fields.values,
    id: numberAt(fields, "id"),
    name: stringAt(fields, "name"),
    required: fields.values["required"] === true,
    type: typeOf(fields.values["type"], file),
  };
}

function typeOf(value: unknown, file: string): Type {
  if (typeof value === "string") {
    const type = primitiveOf(value);
    if (type === undefined) throw corrupt(file, "type", `${JSON.stringify(value)} is not a type of format version 2`);
    return type;
  }
  const fields = fieldsOf(value, file, "type");
  switch (fields.values["type"]) {
    case "struct":
      return { type: "struct", fields: arrayAt(fields, "fields").map((field) => nestedFieldOf(field, file)) };
    case "list":
      return {
        type: "list",
        "element-id": numberAt(fields, "element-id"),
        element: typeOf(fields.values["element"], file),
        "element-required": fields.values["element-required"] === true,
      };
    case "map":
      return {
        type: "map",
        "key-id": numberAt(fields, "key-id"),
        key: typeOf(fields.values["key"], file),
        "value-id": numberAt(fields, "value-id"),
        value: typeOf(fields.values["value"], file),
        "value-required": fields.values["value-required"] === true,
      };
    default:
      throw corrupt(file, "type", "is not a struct, list or map");
  }
}

function specOf(value: unknown, file: string): PartitionSpec {
  const fields = fieldsOf(value, file, "partition-specs");
  return {
    "spec-id": numberAt(fields, "spec-id"),
    fields: arrayAt(fields, "fields").map((field, index) => partitionFieldOf(field, file, index)),
  };
}

export function partitionFieldOf(value: unknown, file: string, index: number): PartitionField {
  const fields = fieldsOf(value, file, "partition-spec");
  return {
    name: stringAt(fields, "name"),
    transform: stringAt(fields, "transform") as Transform,
    "source-id": numberAt(fields, "source-id"),
    // Format v1 numbered partition fields by their place.
    "field-id": optionalNumberAt(fields, "field-id") ?? 1000 + index,
  };
}

function snapshotOf(value: unknown, file: string): Snapshot {
  const fields = fieldsOf(value, file, "snapshots");
  const { "parent-snapshot-id": _, ...others } = fields.values;
  const parent = optionalBigintAt(fields, "parent-snapshot-id");
  return {
    ...others,
    "snapshot-id": bigintAt(fields, "snapshot-id"),
    ...(parent === undefined || parent < 0n ? {} : { "parent-snapshot-id": parent }),
    "sequence-number": optionalNumberAt(fields, "sequence-number") ?? 0,
    "timestamp-ms": numberAt(fields, "timestamp-ms"),
    "manifest-list": manifestListAt(fields),
    // Optional in format v1; "overwrite" promises the least.
    summary: { operation: "overwrite", ...textsAt(fields, "summary") },
  };
}

function manifestListAt(fields: Fields): string {
  if (typeof fields.values["manifest-list"] === "string") return fields.values["manifest-list"];
  throw new MoraineError(
    "Invalid",
    "snapshot of format v1 has no manifest list; expire it, or rewrite the table's manifests with Spark once",
    { file: fields.file, snapshotId: bigintAt(fields, "snapshot-id") },
  );
}

function logEntryOf(value: unknown, file: string): TableMetadata["snapshot-log"][number] {
  const fields = fieldsOf(value, file, "snapshot-log");
  return { "timestamp-ms": numberAt(fields, "timestamp-ms"), "snapshot-id": bigintAt(fields, "snapshot-id") };
}

function fileLogEntryOf(value: unknown, file: string): TableMetadata["metadata-log"][number] {
  const fields = fieldsOf(value, file, "metadata-log");
  return { "timestamp-ms": numberAt(fields, "timestamp-ms"), "metadata-file": stringAt(fields, "metadata-file") };
}

/** Tables from before refs have a current snapshot and no refs: it is the main branch. */
function refsOf(fields: Fields, current: bigint | undefined): Record<string, SnapshotRef> {
  const main: Record<string, SnapshotRef> =
    current === undefined || current < 0n ? {} : { main: { "snapshot-id": current, type: "branch" } };
  const refs = fields.values["refs"] ?? {};
  const named = Object.entries(fieldsOf(refs, fields.file, "refs").values).map(([name, value]) => {
    const ref = fieldsOf(value, fields.file, "refs");
    return [name, { ...ref.values, "snapshot-id": bigintAt(ref, "snapshot-id"), type: refTypeAt(ref) }] as const;
  });
  return { ...Object.fromEntries(named), ...withRules(main, Object.fromEntries(named)["main"]) };
}

/** main always is the current snapshot; its retention rules stay. */
function withRules(main: Record<string, SnapshotRef>, named: SnapshotRef | undefined): Record<string, SnapshotRef> {
  return main["main"] === undefined ? {} : { main: { ...named, ...main["main"] } };
}

function refTypeAt(fields: Fields): "branch" | "tag" {
  const type = stringAt(fields, "type");
  if (type === "branch" || type === "tag") return type;
  throw corrupt(fields.file, "refs", "has a ref that is neither branch nor tag");
}

function textsAt(fields: Fields, name: string): Record<string, string> {
  const texts = fieldsOf(fields.values[name] ?? {}, fields.file, name).values;
  return Object.fromEntries(Object.entries(texts).map(([key, value]) => [key, String(value)]));
}
