// Values of Parquet columns that may not fit the table's: where they are, whether they do, without ever raising an error, and what is cast
// when those that do not are left out. parquet/types.ts has the casts themselves; the conditions here say where they would refuse.

import type { DuckDBType } from "@duckdb/node-api";
import type { DraftType, NestedField, PrimitiveType, Type } from "../../../core/iceberg/types.ts";
import { duckdb } from "../engine.ts";
import { indexOfName } from "../names.ts";
import type { Place } from "../places.ts";
import { ident, literal } from "../sql.ts";
import { misfits } from "../strict-cast.ts";
import { draftOf, duckType } from "../types.ts";
import { jsonSql, textSql } from "./json.ts";
import { castDuck, draftOfDuck, membersBeside } from "./types.ts";

export interface ParquetPlace extends Place {
  readonly fileType: DraftType;
}

/** Places of a value under the path: through structs down to what is no struct on both sides. */
export function placesOf(path: string, value: string, from: DuckDBType, to: Type | undefined): ParquetPlace[] {
  const inner = to === undefined ? undefined : structsOf(from, to);
  if (inner === undefined) {
    const unfit = to === undefined ? `(${value} IS NOT NULL)` : unfitSql(value, from, to);
    if (unfit === "false") return [];
    const place = { path, type: to, unfit, text: textSql(value, from), json: jsonSql(value, from) };
    return [{ ...place, fileType: draftOfDuck(from) }];
  }
  return inner.from.names.flatMap((name, i) => {
    const field = inner.to.find((candidate) => indexOfName(inner.from.names, candidate.name) === i);
    const part = `struct_extract(${value}, ${literal(name)})`;
    return placesOf(`${path}.${field?.name ?? name}`, part, inner.from.types[i] as DuckDBType, field?.type);
  });
}

/** As `castDuck`, but null where a place is unfit: `unfit` gives the SQL that says so. */
export function castFitting(
  path: string,
  value: string,
  from: DuckDBType,
  to: Type,
  unfit: (path: string) => string | undefined,
): string {
  const inner = structsOf(from, to);
  if (inner === undefined) {
    const flag = unfit(path);
    const cast = castDuck(value, from, to);
    return flag === undefined ? cast : `CASE WHEN ${flag} THEN NULL ELSE ${cast} END`;
  }
  const packed = inner.to.map((field) => {
    const index = indexOfName(inner.from.names, field.name);
    const part = `struct_extract(${value}, ${literal(inner.from.names[index] ?? "")})`;
    const type = inner.from.types[index];
    const sql =
      type === undefined
        ? `CAST(NULL AS ${duckType(field.type)})`
        : castFitting(`${path}.${field.name}`, part, type, field.type, unfit);
    return `${ident(field.name)} := ${sql}`;
  });
  return `CASE WHEN ${value} IS NULL THEN NULL ELSE struct_pack(${packed.join(", ")}) END`;
}

interface Structs {
  readonly from: { readonly names: readonly string[]; readonly types: readonly DuckDBType[] };
  readonly to: readonly NestedField[];
}

function structsOf(from: DuckDBType, to: Type): Structs | undefined {
  if (typeof to === "string" || to.type !== "struct" || from.typeId !== duckdb().DuckDBTypeId.STRUCT) return undefined;
  return { from: { names: from.entryNames, types: from.entryTypes }, to: to.fields };
}

/** "false": no value of the one type can be refused by the other. */
function unfitSql(value: string, from: DuckDBType, to: Type, depth = 0): string {
  const { DuckDBTypeId: Id } = duckdb();
  if (typeof to === "string") return unfitPrimitive(value, from, to);
  if (to.type === "struct" && from.typeId === Id.STRUCT) {
    const parts = to.fields.flatMap((field) => {
      const index = indexOfName(from.entryNames, field.name);
      const type = from.entryTypes[index];
      const part = `struct_extract(${value}, ${literal(from.entryNames[index] ?? "")})`;
      const unfit = type === undefined ? "false" : unfitSql(part, type, field.type, depth);
      return unfit === "false" ? [] : [unfit];
    });
    for (const part of membersBeside(value, from, to.fields)) parts.push(`(${part} IS NOT NULL)`);
    return parts.length === 0 ? "false" : `(${parts.join(" OR ")})`;
  }
  if (to.type === "list" && (from.typeId === Id.LIST || from.typeId === Id.ARRAY)) {
    return anySql(value, depth, (element) => unfitSql(element, from.valueType, to.element, depth + 1));
  }
  if (to.type === "map" && from.typeId === Id.MAP) {
    if (JSON.stringify(draftOfDuck(from)) === JSON.stringify(draftOf(to))) return "false";
    const twice = `coalesce(len(map_keys(${value})) > len(list_distinct(map_keys(${value}))), false)`;
    const unfit = anySql(`map_entries(${value})`, depth, (entry) => {
      const key = unfitSql(`${entry}.key`, from.keyType, to.key, depth + 1);
      const inner = unfitSql(`${entry}.value`, from.valueType, to.value, depth + 1);
      return key === "false" && inner === "false" ? "false" : `(${key} OR ${inner})`;
    });
    return unfit === "false" ? twice : `(${twice} OR ${unfit})`;
  }
  return `(${value} IS NOT NULL)`;
}

function anySql(list: string, depth: number, unfit: (element: string) => string): string {
  const element = `e${depth}`;
  const each = unfit(element);
  return each === "false"
    ? "false"
    : `coalesce(list_bool_or(list_transform(${list}, lambda ${element}: ${each})), false)`;
}

function unfitPrimitive(value: string, from: DuckDBType, to: PrimitiveType): string {
  const { DuckDBTypeId: Id } = duckdb();
  if (from.typeId === Id.VARCHAR) return to === "string" ? "false" : misfits(`CAST(${value} AS VARCHAR)`, to);
  if (from.typeId === Id.BLOB && to === "string") return `(${value} IS NOT NULL AND TRY(decode(${value})) IS NULL)`;
  if (from.typeId === Id.TIMESTAMP_TZ && to === "timestamp") return `(${value} IS NOT NULL)`;
  if (to === "string" || draftOfDuck(from) === to) return "false";
  const cast = `TRY_CAST(${value} AS ${duckType(to)})`;
  const back = `TRY_CAST(${cast} AS ${from.toString()})`;
  return `(${value} IS NOT NULL AND (${cast} IS NULL OR ${back} IS DISTINCT FROM ${value}))`;
}
