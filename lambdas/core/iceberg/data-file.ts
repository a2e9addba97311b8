// `data_file` records of a manifest: between the Avro record and `DataFile`.
// Partition values are found by field id, because writers sanitise partition names each in their own way.

import { avroName, decimalSize } from "./manifest-schema.ts";
import {
  corrupt,
  type Fields,
  fieldsOf,
  numberAt,
  optionalArrayAt,
  optionalBytesAt,
  optionalNumberAt,
  present,
  stringAt,
} from "./record-fields.ts";
import { decimalOf, fixedLengthOf } from "./type-text.ts";
import type { DataFile, PartitionSpec, PartitionTuple, PrimitiveType, Value } from "./types.ts";
import { decimalBytes, decimalFromBytes, uuidBytes, uuidText } from "./values.ts";

const CONTENTS = ["data", "position-deletes", "equality-deletes"] as const;

export function dataFileRecord(file: DataFile, spec: PartitionSpec, types: readonly PrimitiveType[]): object {
  return {
    content: CONTENTS.indexOf(file.content),
    file_path: file.filePath,
    file_format: file.fileFormat ?? "PARQUET",
    partition: partitionRecord(file.partition, spec, types),
    record_count: file.recordCount,
    file_size_in_bytes: file.fileSizeInBytes,
    column_sizes: pairs(file.columnSizes),
    value_counts: pairs(file.valueCounts),
    null_value_counts: pairs(file.nullValueCounts),
    nan_value_counts: pairs(file.nanValueCounts),
    lower_bounds: pairs(file.lowerBounds),
    upper_bounds: pairs(file.upperBounds),
    key_metadata: file.keyMetadata,
    split_offsets: file.splitOffsets,
    equality_ids: file.equalityIds,
    sort_order_id: file.sortOrderId,
    referenced_data_file: file.referencedDataFile,
  };
}

/** Sorted by field id: the same facts always give the same bytes. */
function pairs<T>(map: ReadonlyMap<number, T> | undefined): { key: number; value: T }[] | undefined {
  return map === undefined ? undefined : [...map].sort(([a], [b]) => a - b).map(([key, value]) => ({ key, value }));
}

function partitionRecord(tuple: PartitionTuple, spec: PartitionSpec, types: readonly PrimitiveType[]): object {
  return Object.fromEntries(
    spec.fields.map((field, index) => [
      avroName(field.name),
      partitionValueToAvro(types[index] ?? "string", tuple[index] ?? null),
    ]),
  );
}

function partitionValueToAvro(type: PrimitiveType, value: Value | null): unknown {
  if (value === null) return null;
  if (type === "uuid") return uuidBytes(value as string);
  const decimal = decimalOf(type);
  return decimal === undefined ? value : decimalBytes(value as bigint, decimalSize(decimal.precision));
}

/** `partitionNames`: name of each partition field in this file's Avro schema, undefined where the file has none. */
export function dataFileOf(
  value: unknown,
  file: string,
  types: readonly PrimitiveType[],
  partitionNames: readonly (string | undefined)[],
): DataFile {
  const fields = fieldsOf(value, file, "data_file");
  const partition = fieldsOf(fields.values["partition"], file, "partition");
  const content = CONTENTS[optionalNumberAt(fields, "content") ?? 0];
  if (content === undefined) throw corrupt(file, "content", "is not a known kind of file");
  return present<DataFile>({
    content,
    filePath: stringAt(fields, "file_path"),
    fileFormat: fileFormatOf(stringAt(fields, "file_format")),
    partition: types.map((type, i) => partitionValueOf(type, partition.values[partitionNames[i] ?? ""], file)),
    recordCount: numberAt(fields, "record_count"),
    fileSizeInBytes: numberAt(fields, "file_size_in_bytes"),
    columnSizes: countsAt(fields, "column_sizes"),
    valueCounts: countsAt(fields, "value_counts"),
    nullValueCounts: countsAt(fields, "null_value_counts"),
    nanValueCounts: countsAt(fields, "nan_value_counts"),
    lowerBounds: boundsAt(fields, "lower_bounds"),
    upperBounds: boundsAt(fields, "upper_bounds"),
    keyMetadata: optionalBytesAt(fields, "key_metadata"),
    splitOffsets: integersAt(fields, "split_offsets"),
    equalityIds: integersAt(fields, "equality_ids"),
    sortOrderId: optionalNumberAt(fields, "sort_order_id"),
    referencedDataFile:
      fields.values["referenced_data_file"] == null ? undefined : stringAt(fields, "referenced_data_file"),
  });
}

/** Absent means Parquet, which is all we write ourselves. */
function fileFormatOf(format: string): string | undefined {
  const upper = format.toUpperCase();
  return upper === "PARQUET" ? undefined : upper;
}

function partitionValueOf(type: PrimitiveType, value: unknown, file: string): Value | null {
  if (value === null || value === undefined) return null;
  if (type === "uuid") return value instanceof Uint8Array ? uuidText(value) : String(value).toLowerCase();
  if (decimalOf(type) !== undefined && value instanceof Uint8Array) return decimalFromBytes(value);
  if (isValueOf(type, value)) return value;
  // A manifest written before a promotion holds the narrower type: an int under what is a long by now.
  if (type === "long" && typeof value === "number") return BigInt(value);
  throw corrupt(file, "partition", `holds a value that is no ${type}`);
}

function isValueOf(type: PrimitiveType, value: unknown): value is Value {
  switch (type) {
    case "boolean":
      return typeof value === "boolean";
    case "int":
    case "date":
    case "float":
    case "double":
      return typeof value === "number";
    case "long":
    case "time":
    case "timestamp":
    case "timestamptz":
      return typeof value === "bigint";
    case "string":
      return typeof value === "string";
    default:
      return value instanceof Uint8Array && (type === "binary" || fixedLengthOf(type) === value.length);
  }
}

function integersAt(fields: Fields, name: string): readonly number[] | undefined {
  const values = optionalArrayAt(fields, name);
  return values?.map((value) => numberAt({ file: fields.file, values: { [name]: value } }, name));
}

function countsAt(fields: Fields, name: string): ReadonlyMap<number, number> | undefined {
  return mapAt(fields, name, (value) => {
    const count = typeof value === "bigint" ? Number(value) : value;
    return Number.isSafeInteger(count) ? (count as number) : undefined;
  });
}

function boundsAt(fields: Fields, name: string): ReadonlyMap<number, Uint8Array> | undefined {
  return mapAt(fields, name, (value) => (value instanceof Uint8Array ? value : undefined));
}

/** Millions of pairs are read in a large table, so they are checked in place. */
function mapAt<T>(
  fields: Fields,
  name: string,
  read: (value: unknown) => T | undefined,
): ReadonlyMap<number, T> | undefined {
  const pairs = optionalArrayAt(fields, name);
  if (pairs === undefined) return undefined;
  const map = new Map<number, T>();
  for (const pair of pairs as readonly ({ readonly key?: unknown; readonly value?: unknown } | null)[]) {
    const value = read(pair?.value);
    if (typeof pair?.key !== "number" || value === undefined) {
      throw corrupt(fields.file, name, "has an entry without field id or value");
    }
    map.set(pair.key, value);
  }
  return map;
}
