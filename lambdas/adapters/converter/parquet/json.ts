// Parquet's values as text and as JSON text, in SQL. Numbers keep all their digits; what JSON has no way to write is text in it, at every
// depth: NaN and infinities (`to_json` writes them bare, and no reader takes that), and bytes, in Base64.

import type { DuckDBType } from "@duckdb/node-api";
import { duckdb } from "../engine.ts";
import { ident, literal } from "../sql.ts";

/** A scalar as text; what is nested as JSON text. */
export function textSql(value: string, from: DuckDBType): string {
  if (from.typeId === duckdb().DuckDBTypeId.BLOB) return `base64(${value})`;
  return isNested(from) ? jsonSql(value, from) : `CAST(${value} AS VARCHAR)`;
}

export function jsonSql(value: string, from: DuckDBType): string {
  return `CAST(to_json(${writable(value, from, 0)}) AS VARCHAR)`;
}

export function isNested(type: DuckDBType): boolean {
  const { DuckDBTypeId: Id } = duckdb();
  const nested: readonly number[] = [Id.STRUCT, Id.LIST, Id.ARRAY, Id.MAP, Id.UNION];
  return nested.includes(type.typeId);
}

/** What `to_json` writes rightly. */
function writable(value: string, from: DuckDBType, depth: number): string {
  const { DuckDBTypeId: Id } = duckdb();
  switch (from.typeId) {
    case Id.BLOB:
      return `base64(${value})`;
    case Id.FLOAT:
    case Id.DOUBLE:
      return `CASE WHEN isfinite(${value}) THEN to_json(${value}) ELSE to_json(CAST(${value} AS VARCHAR)) END`;
    case Id.VARCHAR:
      // JSON is a VARCHAR by another name, and a text here.
      return `CAST(${value} AS VARCHAR)`;
    case Id.STRUCT: {
      const parts = from.entryNames.map((name, i) => {
        const part = `struct_extract(${value}, ${literal(name)})`;
        return `${ident(name)} := ${writable(part, from.entryTypes[i] as DuckDBType, depth)}`;
      });
      return `CASE WHEN ${value} IS NOT NULL THEN struct_pack(${parts.join(", ")}) END`;
    }
    case Id.LIST: {
      const item = `j${depth}`;
      return `list_transform(${value}, lambda ${item}: ${writable(item, from.valueType, depth + 1)})`;
    }
    case Id.MAP: {
      const entry = `j${depth}`;
      const key = `to_json(${textSql(`${entry}.key`, from.keyType)})`;
      const inner = `to_json(${writable(`${entry}.value`, from.valueType, depth + 1)})`;
      const member = `CAST(${key} AS VARCHAR) || ':' || coalesce(CAST(${inner} AS VARCHAR), 'null')`;
      // Not as a map again: files may have a key twice, and no map is made of that.
      const members = `array_to_string(list_transform(map_entries(${value}), lambda ${entry}: ${member}), ',')`;
      return `CAST('{' || ${members} || '}' AS JSON)`;
    }
    default:
      return value;
  }
}
