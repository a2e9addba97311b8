// Partition specs: from the expressions of `moraine.yaml` to partition fields, the types of partition values, and the
// summaries by which engines skip whole manifests. Names follow Java's PartitionSpec.Builder, so that a table made here and one
// made by Spark with the same expressions are alike.

import { MoraineError } from "../errors.ts";
import { findColumn } from "./schema.ts";
import { parseTransform, transformResultType } from "./transforms.ts";
import type {
  FieldSummary,
  PartitionField,
  PartitionSpec,
  PartitionTuple,
  PrimitiveType,
  Schema,
  Transform,
  Value,
} from "./types.ts";
import { compareValues, encodeValue } from "./values.ts";

/** Partition field ids start here (specification, "Partitioning"). */
export const FIRST_PARTITION_FIELD_ID = 1000;

export const UNPARTITIONED: PartitionSpec = { "spec-id": 0, fields: [] };

export function isUnpartitioned(spec: PartitionSpec): boolean {
  return spec.fields.every((field) => field.transform === "void");
}

const REMEDY =
  "use column, year(column), month(column), day(column), hour(column), bucket(n, column) or truncate(n, column)";
const TIME_UNITS: readonly string[] = ["year", "month", "day", "hour"];

export function parsePartitionBy(
  expressions: readonly string[],
  schema: Schema,
  firstFieldId = FIRST_PARTITION_FIELD_ID,
): PartitionField[] {
  const fields: PartitionField[] = [];
  for (const expression of expressions) {
    const field = partitionField(expression, schema, firstFieldId + fields.length);
    refuseCollision(expression, field, fields, schema);
    fields.push(field);
  }
  return fields;
}

function partitionField(expression: string, schema: Schema, fieldId: number): PartitionField {
  const { transform, columnName } = parseExpression(expression);
  const column = findColumn(schema, columnName);
  if (column === undefined) {
    const columns = schema.fields.map((field) => field.name).join(",");
    throw invalid("partition column is not in the schema; name one of its columns", expression, {
      column: columnName,
      columns,
    });
  }
  const { field, path, repeated } = column;
  if (typeof field.type !== "string" || repeated) {
    throw invalid("partition column must be a single value, not inside a list or map", expression, { column: path });
  }
  if (transformResultType(transform, field.type) === undefined) {
    throw invalid(`partition transform does not take this type; ${REMEDY}`, expression, {
      column: path,
      type: field.type,
    });
  }
  return { name: path + suffixOf(transform), transform, "source-id": field.id, "field-id": fieldId };
}

function parseExpression(expression: string): { transform: Transform; columnName: string } {
  const text = expression.trim();
  const match = /^([A-Za-z]+)\((?:\s*(\d+)\s*,)?\s*([^()]+?)\s*\)$/.exec(text);
  if (match === null) {
    if (text === "" || /[()]/.test(text))
      throw invalid(`partition expression is not understood; ${REMEDY}`, expression);
    return { transform: "identity", columnName: text };
  }
  const [, call = "", width, columnName = ""] = match;
  const name = call.toLowerCase().replace(/^(year|month|day|hour)s$/, "$1");
  const transform = width === undefined ? name : `${name}[${Number(width)}]`;
  if (parseTransform(transform) === undefined || name === "void") {
    throw invalid(`partition transform is not known; ${REMEDY}`, expression, { transform });
  }
  return { transform: transform as Transform, columnName };
}

function suffixOf(transform: Transform): string {
  if (transform === "identity") return "";
  if (transform.startsWith("bucket")) return "_bucket";
  return transform.startsWith("truncate") ? "_trunc" : `_${transform}`;
}

function refuseCollision(
  expression: string,
  field: PartitionField,
  earlier: readonly PartitionField[],
  schema: Schema,
): void {
  const lower = field.name.toLowerCase();
  const redundant = earlier.some(
    (other) => other["source-id"] === field["source-id"] && kindOf(other.transform) === kindOf(field.transform),
  );
  if (redundant || earlier.some((other) => other.name.toLowerCase() === lower)) {
    throw invalid("partition expression repeats another one; remove it", expression, { name: field.name });
  }
  const column = findColumn(schema, field.name);
  if (column !== undefined && (field.transform !== "identity" || column.field.id !== field["source-id"])) {
    throw invalid(
      "partition field would have the name of a column; rename the column or partition by another",
      expression,
      {
        name: field.name,
      },
    );
  }
}

/** A finer time unit contains the coarser one, so Java takes only one time transform per column. */
function kindOf(transform: Transform): string {
  return TIME_UNITS.includes(transform) ? "time" : transform;
}

function invalid(message: string, expression: string, context: Readonly<Record<string, string>> = {}): MoraineError {
  return new MoraineError("Invalid", message, { expression: JSON.stringify(expression), ...context });
}

/** Types of the partition values, in the order of the spec's fields. */
export function partitionType(spec: PartitionSpec, schema: Schema): PrimitiveType[] {
  return spec.fields.map((field) => {
    const source = findColumn(schema, field["source-id"])?.field.type;
    const type = typeof source === "string" ? transformResultType(field.transform, source) : undefined;
    if (type !== undefined) return type;
    // A dropped column leaves a void field behind; its values are all null, so any type will do.
    if (field.transform === "void") return "string";
    throw new MoraineError("Corrupt", "partition field has no type in this schema", {
      field: field.name,
      transform: field.transform,
      specId: spec["spec-id"],
      schemaId: schema["schema-id"],
    });
  });
}

/** What a manifest list says of a manifest's partitions. Empty `tuples`: no nulls and no bounds. */
export function summarizePartitions(
  spec: PartitionSpec,
  schema: Schema,
  tuples: readonly PartitionTuple[],
): FieldSummary[] {
  return partitionType(spec, schema).map((type, index) =>
    summarizeField(
      type,
      tuples.map((tuple) => tuple[index] ?? null),
    ),
  );
}

function summarizeField(type: PrimitiveType, values: readonly (Value | null)[]): FieldSummary {
  const bounded = values.filter((value) => value !== null && !Number.isNaN(value)) as Value[];
  const nulls = values.filter((value) => value === null).length;
  const summary = { containsNull: nulls > 0, containsNan: bounded.length + nulls < values.length };
  const [first, ...rest] = bounded;
  if (first === undefined) return summary;
  let lower = first;
  let upper = first;
  for (const value of rest) {
    if (compareValues(type, value, lower) < 0) lower = value;
    if (compareValues(type, value, upper) > 0) upper = value;
  }
  return { ...summary, lowerBound: encodeValue(type, lower), upperBound: encodeValue(type, upper) };
}
