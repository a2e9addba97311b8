// The Avro schemas of manifests (specification, "Manifests") for format v2, with names and field ids as Java writes them.
// Readers find fields by `field-id`, so the ids are the contract and the names are what people see.

import { decimalOf, fixedLengthOf } from "./type-text.ts";
import type { PartitionSpec, PrimitiveType } from "./types.ts";

type AvroSchema = string | object;

function required(id: number, name: string, type: AvroSchema): object {
  return { name, type, "field-id": id };
}

function optional(id: number, name: string, type: AvroSchema): object {
  return { name, type: ["null", type], default: null, "field-id": id };
}

/** Avro maps have string keys only, so a map by field id is an array of pairs. */
function mapOf(keyId: number, valueId: number, valueType: AvroSchema): object {
  const fields = [required(keyId, "key", "int"), required(valueId, "value", valueType)];
  return { type: "array", items: { type: "record", name: `k${keyId}_v${valueId}`, fields }, logicalType: "map" };
}

function arrayOf(elementId: number, items: AvroSchema): object {
  return { type: "array", items, "element-id": elementId };
}

/** Schema of one manifest entry. `types`: those of the partition fields, from `partitionType`. */
export function manifestEntrySchema(spec: PartitionSpec, types: readonly PrimitiveType[]): object {
  const dataFile = { type: "record", name: "r2", fields: dataFileFields(partitionSchema(spec, types)) };
  return {
    type: "record",
    name: "manifest_entry",
    fields: [
      required(0, "status", "int"),
      optional(1, "snapshot_id", "long"),
      optional(3, "sequence_number", "long"),
      optional(4, "file_sequence_number", "long"),
      required(2, "data_file", dataFile),
    ],
  };
}

function dataFileFields(partition: object): object[] {
  return [
    required(134, "content", "int"),
    required(100, "file_path", "string"),
    required(101, "file_format", "string"),
    required(102, "partition", partition),
    required(103, "record_count", "long"),
    required(104, "file_size_in_bytes", "long"),
    optional(108, "column_sizes", mapOf(117, 118, "long")),
    optional(109, "value_counts", mapOf(119, 120, "long")),
    optional(110, "null_value_counts", mapOf(121, 122, "long")),
    optional(137, "nan_value_counts", mapOf(138, 139, "long")),
    optional(125, "lower_bounds", mapOf(126, 127, "bytes")),
    optional(128, "upper_bounds", mapOf(129, 130, "bytes")),
    optional(131, "key_metadata", "bytes"),
    optional(132, "split_offsets", arrayOf(133, "long")),
    optional(135, "equality_ids", arrayOf(136, "int")),
    optional(140, "sort_order_id", "int"),
    optional(143, "referenced_data_file", "string"),
  ];
}

function partitionSchema(spec: PartitionSpec, types: readonly PrimitiveType[]): object {
  const defined = new Set<string>();
  const fields = spec.fields.map((field, index) =>
    optional(field["field-id"], avroName(field.name), avroTypeOf(types[index] ?? "string", defined)),
  );
  return { type: "record", name: "r102", fields };
}

/** A named Avro type may be defined once; after that its name stands for it. */
function avroTypeOf(type: PrimitiveType, defined: Set<string>): AvroSchema {
  const named = namedTypeOf(type);
  if (named === undefined) return plainTypeOf(type);
  if (defined.has(named.name)) return named.name;
  defined.add(named.name);
  return named;
}

function namedTypeOf(type: PrimitiveType): { type: "fixed"; name: string; size: number } | undefined {
  if (type === "uuid") return { type: "fixed", name: "uuid_fixed", size: 16, ...{ logicalType: "uuid" } };
  const length = fixedLengthOf(type);
  if (length !== undefined) return { type: "fixed", name: `fixed_${length}`, size: length };
  const decimal = decimalOf(type);
  if (decimal === undefined) return undefined;
  const { precision, scale } = decimal;
  const size = decimalSize(precision);
  const logical = { logicalType: "decimal", precision, scale };
  return { type: "fixed", name: `decimal_${precision}_${scale}`, size, ...logical };
}

/** Fewest bytes that hold every decimal of this precision. */
export function decimalSize(precision: number): number {
  const largest = 10n ** BigInt(precision) - 1n;
  let size = 1;
  while (BigInt.asIntN(size * 8, largest) !== largest) size++;
  return size;
}

function plainTypeOf(type: PrimitiveType): AvroSchema {
  switch (type) {
    case "date":
      return { type: "int", logicalType: "date" };
    case "time":
      return { type: "long", logicalType: "time-micros" };
    case "timestamp":
      return { type: "long", logicalType: "timestamp-micros", "adjust-to-utc": false };
    case "timestamptz":
      return { type: "long", logicalType: "timestamp-micros", "adjust-to-utc": true };
    case "binary":
      return "bytes";
    default:
      return type;
  }
}

/** Java's AvroSchemaUtil.makeCompatibleName: `amt id` -> `amt_x20id`, `9a` -> `_9a`. */
export function avroName(name: string): string {
  let compatible = "";
  for (let i = 0; i < name.length; i++) {
    const char = name.charAt(i);
    if (/[A-Za-z_]/.test(char) || (i > 0 && /[0-9]/.test(char))) compatible += char;
    else if (/[0-9]/.test(char)) compatible += `_${char}`;
    else compatible += `_x${name.charCodeAt(i).toString(16).toUpperCase()}`;
  }
  return compatible;
}

/** Schema of one record of a manifest list: `manifest_file`. */
export const manifestFileSchema: object = {
  type: "record",
  name: "manifest_file",
  fields: [
    required(500, "manifest_path", "string"),
    required(501, "manifest_length", "long"),
    required(502, "partition_spec_id", "int"),
    required(517, "content", "int"),
    required(515, "sequence_number", "long"),
    required(516, "min_sequence_number", "long"),
    required(503, "added_snapshot_id", "long"),
    required(504, "added_files_count", "int"),
    required(505, "existing_files_count", "int"),
    required(506, "deleted_files_count", "int"),
    required(512, "added_rows_count", "long"),
    required(513, "existing_rows_count", "long"),
    required(514, "deleted_rows_count", "long"),
    optional(
      507,
      "partitions",
      arrayOf(508, {
        type: "record",
        name: "r508",
        fields: [
          required(509, "contains_null", "boolean"),
          optional(518, "contains_nan", "boolean"),
          optional(510, "lower_bound", "bytes"),
          optional(511, "upper_bound", "bytes"),
        ],
      }),
    ),
    optional(519, "key_metadata", "bytes"),
  ],
};
