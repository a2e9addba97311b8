// Iceberg types as DuckDB writes them, and the field ids that go into the Parquet schema. Readers find columns by id, so a
// missing id is a column of nulls in Athena and Trino.

import { decimalOf, fixedLengthOf } from "../../core/iceberg/type-text.ts";
import type { DraftField, DraftType, NestedField, PrimitiveType, Type } from "../../core/iceberg/types.ts";
import { ident, struct } from "./sql.ts";

const PRIMITIVES: Readonly<Record<string, string>> = {
  boolean: "BOOLEAN",
  int: "INTEGER",
  long: "BIGINT",
  float: "FLOAT",
  double: "DOUBLE",
  date: "DATE",
  time: "TIME",
  timestamp: "TIMESTAMP",
  timestamptz: "TIMESTAMPTZ",
  string: "VARCHAR",
  uuid: "UUID",
  binary: "BLOB",
};

/** The DuckDB type that is written for an Iceberg type. */
export function duckType(type: Type | DraftType): string {
  if (typeof type === "string") return duckPrimitive(type);
  switch (type.type) {
    case "struct":
      return `STRUCT(${type.fields.map((field) => `${ident(field.name)} ${duckType(field.type)}`).join(", ")})`;
    case "list":
      return `${duckType(type.element)}[]`;
    case "map":
      return `MAP(${duckType(type.key)}, ${duckType(type.value)})`;
  }
}

function duckPrimitive(type: PrimitiveType): string {
  const decimal = decimalOf(type);
  if (decimal !== undefined) return `DECIMAL(${decimal.precision}, ${decimal.scale})`;
  return fixedLengthOf(type) === undefined ? (PRIMITIVES[type] as string) : "BLOB";
}

/** The FIELD_IDS option of COPY for these columns. */
export function fieldIds(fields: readonly NestedField[]): string {
  return struct(fields.map((field) => [field.name, idsOf(field.id, field.type)]));
}

function idsOf(id: number, type: Type): string {
  if (typeof type === "string") return String(id);
  const own: [string, string] = ["__duckdb_field_id", String(id)];
  switch (type.type) {
    case "struct":
      return struct([own, ...type.fields.map((field): [string, string] => [field.name, idsOf(field.id, field.type)])]);
    case "list":
      return struct([own, ["element", idsOf(type["element-id"], type.element)]]);
    case "map":
      return struct([own, ["key", idsOf(type["key-id"], type.key)], ["value", idsOf(type["value-id"], type.value)]]);
  }
}

/** A table's type without its field ids. */
export function draftOf(type: Type): DraftType {
  if (typeof type === "string") return type;
  switch (type.type) {
    case "struct":
      return { type: "struct", fields: type.fields.map(draftField) };
    case "list":
      return { type: "list", element: draftOf(type.element) };
    case "map":
      return { type: "map", key: draftOf(type.key), value: draftOf(type.value) };
  }
}

export function draftField(field: NestedField): DraftField {
  return { name: field.name, type: draftOf(field.type) };
}
