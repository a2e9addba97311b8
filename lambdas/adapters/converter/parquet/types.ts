// DuckDB's types of a Parquet file as Iceberg types, and the casts between them. Types Iceberg or Athena lack become the nearest one
// that holds every value: unsigned integers the next wider, uuid, time, interval, enum and JSON text; nanoseconds are cut to
// microseconds (format v2 has no finer).

import type { DuckDBStructType, DuckDBType } from "@duckdb/node-api";
import type { DraftType, NestedField, PrimitiveType, Type } from "../../../core/iceberg/types.ts";
import { duckdb } from "../engine.ts";
import { indexOfName } from "../names.ts";
import { ident, literal } from "../sql.ts";
import { castText, MISFIT, TOO_FAR } from "../strict-cast.ts";
import { draftOf, duckType } from "../types.ts";
import { isNested, jsonSql } from "./json.ts";

export function draftOfDuck(type: DuckDBType): DraftType {
  const { DuckDBTypeId: Id } = duckdb();
  switch (type.typeId) {
    case Id.BOOLEAN:
      return "boolean";
    case Id.TINYINT:
    case Id.SMALLINT:
    case Id.INTEGER:
    case Id.UTINYINT:
    case Id.USMALLINT:
      return "int";
    case Id.BIGINT:
    case Id.UINTEGER:
      return "long";
    case Id.UBIGINT:
      return "decimal(20, 0)";
    case Id.FLOAT:
      return "float";
    case Id.DOUBLE:
      return "double";
    case Id.DATE:
      return "date";
    case Id.TIMESTAMP:
    case Id.TIMESTAMP_S:
    case Id.TIMESTAMP_MS:
    case Id.TIMESTAMP_NS:
      return "timestamp";
    case Id.TIMESTAMP_TZ:
      return "timestamptz";
    case Id.BLOB:
      return "binary";
    default:
      return nestedOfDuck(type);
  }
}

function nestedOfDuck(type: DuckDBType): DraftType {
  const { DuckDBTypeId: Id } = duckdb();
  switch (type.typeId) {
    case Id.DECIMAL:
      return `decimal(${type.width}, ${type.scale})`;
    case Id.LIST:
    case Id.ARRAY:
      return { type: "list", element: draftOfDuck(type.valueType) };
    case Id.MAP:
      return { type: "map", key: draftOfDuck(type.keyType), value: draftOfDuck(type.valueType) };
    case Id.STRUCT:
      return {
        type: "struct",
        fields: type.entryNames.map((name, i) => ({ name, type: draftOfDuck(type.entryTypes[i] as DuckDBType) })),
      };
    default:
      return "string";
  }
}

/** SQL of the table's type; a value that would change raises an error. `hasInt96`: timestamps may have been counted round. */
export function castDuck(value: string, from: DuckDBType, to: Type, hasInt96 = false, depth = 0): string {
  if (typeof to === "string") return castPrimitive(hasInt96 ? checkedInt96(value, from, depth) : value, from, to);
  const { DuckDBTypeId: Id } = duckdb();
  if (to.type === "struct" && from.typeId === Id.STRUCT) {
    const packed = to.fields.map((field) => {
      const index = indexOfName(from.entryNames, field.name);
      const inner = from.entryTypes[index];
      const sql =
        inner === undefined
          ? `CAST(NULL AS ${duckType(field.type)})`
          : castDuck(
              `struct_extract(${value}, ${literal(from.entryNames[index] as string)})`,
              inner,
              field.type,
              hasInt96,
              depth,
            );
      return `${ident(field.name)} := ${sql}`;
    });
    const lost = membersBeside(value, from, to.fields).map(
      (part) => `WHEN ${part} IS NOT NULL THEN error(${literal(MISFIT)})`,
    );
    return `CASE WHEN ${value} IS NULL THEN NULL ${lost.join(" ")} ELSE struct_pack(${packed.join(", ")}) END`;
  }
  if (to.type === "list" && (from.typeId === Id.LIST || from.typeId === Id.ARRAY)) {
    const element = `e${depth}`;
    return `list_transform(${value}, lambda ${element}: ${castDuck(element, from.valueType, to.element, hasInt96, depth + 1)})`;
  }
  if (to.type === "map" && from.typeId === Id.MAP) {
    if (!hasInt96 && JSON.stringify(draftOfDuck(from)) === JSON.stringify(draftOf(to)))
      return `CAST(${value} AS ${duckType(to)})`;
    const entry = `e${depth}`;
    const key = castDuck(`${entry}.key`, from.keyType, to.key, hasInt96, depth + 1);
    const inner = castDuck(`${entry}.value`, from.valueType, to.value, hasInt96, depth + 1);
    return `map_from_entries(list_transform(map_entries(${value}), lambda ${entry}: struct_pack(k := ${key}, v := ${inner})))`;
  }
  return onlyNull(value, to);
}

/** SQL of the members that the table's structure has no place for. */
export function membersBeside(value: string, from: DuckDBStructType, to: readonly NestedField[]): string[] {
  const places = new Set(to.map(({ name }) => indexOfName(from.entryNames, name)));
  const beside = from.entryNames.filter((_, i) => !places.has(i));
  return beside.map((name) => `struct_extract(${value}, ${literal(name)})`);
}

/** INT96 holds a day of 32 bits: DuckDB takes it modulo 2^64 microseconds, so that the year 303000 becomes one before Christ. */
function withinYears(value: string, from: DuckDBType): string {
  if (from.typeId !== duckdb().DuckDBTypeId.TIMESTAMP) return value;
  const within = `${value} BETWEEN TIMESTAMP '0001-01-01' AND TIMESTAMP '9999-12-31 23:59:59.999999'`;
  return `(CASE WHEN ${value} IS NULL OR ${within} THEN ${value} ELSE error(${literal(TOO_FAR)}) END)`;
}

/** The value as it is, or an error where a timestamp in it may have been counted round. */
export function checkedInt96(value: string, type: DuckDBType, depth = 0): string {
  const { DuckDBTypeId: Id } = duckdb();
  if (!String(type).includes("TIMESTAMP")) return value;
  if (type.typeId === Id.TIMESTAMP) return withinYears(value, type);
  const entry = `e${depth}`;
  if (type.typeId === Id.STRUCT) {
    const parts = type.entryNames.map((name, i) => {
      const part = `struct_extract(${value}, ${literal(name)})`;
      return `${ident(name)} := ${checkedInt96(part, type.entryTypes[i] as DuckDBType, depth)}`;
    });
    return `CASE WHEN ${value} IS NOT NULL THEN struct_pack(${parts.join(", ")}) END`;
  }
  if (type.typeId === Id.LIST) {
    return `list_transform(${value}, lambda ${entry}: ${checkedInt96(entry, type.valueType, depth + 1)})`;
  }
  if (type.typeId !== Id.MAP) return value;
  const key = checkedInt96(`${entry}.key`, type.keyType, depth + 1);
  const inner = checkedInt96(`${entry}.value`, type.valueType, depth + 1);
  return `map_from_entries(list_transform(map_entries(${value}), lambda ${entry}: struct_pack(k := ${key}, v := ${inner})))`;
}

function onlyNull(value: string, to: Type): string {
  return `CASE WHEN ${value} IS NULL THEN CAST(NULL AS ${duckType(to)}) ELSE error(${literal(MISFIT)}) END`;
}

function castPrimitive(value: string, from: DuckDBType, to: PrimitiveType): string {
  const { DuckDBTypeId: Id } = duckdb();
  // JSON is a VARCHAR by another name, which would be written with a logical type of its own.
  if (from.typeId === Id.VARCHAR) return castText(`CAST(${value} AS VARCHAR)`, to);
  if (from.typeId === Id.BLOB && to === "string") return `decode(${value})`;
  if (isNested(from) && to === "string") return jsonSql(value, from);
  // The cast back would find the zone again, whatever it was.
  if (from.typeId === Id.TIMESTAMP_TZ && to === "timestamp") return onlyNull(value, to);
  const cast = `CAST(${value} AS ${duckType(to)})`;
  if (to === "string" || draftOfDuck(from) === to) return cast;
  return `CASE WHEN CAST(${cast} AS ${from.toString()}) IS DISTINCT FROM ${value} THEN error(${literal(MISFIT)}) ELSE ${cast} END`;
}

/** How many lists and maps lie in one another. */
export function listsIn(type: DuckDBType): number {
  const { LIST, MAP } = duckdb().DuckDBTypeId;
  const own = type.typeId === LIST || type.typeId === MAP ? 1 : 0;
  return own + Math.max(0, ...partsOf(type).map(listsIn));
}

/** Statements about a column of 60 levels take 1 s to plan, of 200 minutes (1.5.5). */
export const LEVELS_MAX = 64;

export function levelsIn(type: DuckDBType): number {
  return 1 + Math.max(0, ...partsOf(type).map(levelsIn));
}

/** A structure's member without a name cannot be asked for. */
export function hasUnnamed(type: DuckDBType): boolean {
  const isUnnamed = type.typeId === duckdb().DuckDBTypeId.STRUCT && type.entryNames.includes("");
  return isUnnamed || partsOf(type).some(hasUnnamed);
}

function partsOf(type: DuckDBType): readonly DuckDBType[] {
  const { DuckDBTypeId: Id } = duckdb();
  switch (type.typeId) {
    case Id.LIST:
      return [type.valueType];
    case Id.MAP:
      return [type.keyType, type.valueType];
    case Id.STRUCT:
      return type.entryTypes;
    default:
      return [];
  }
}
