// A value as JSON text, for places that hold several kinds: a text is itself, as in the columns of JSON that hold several kinds.

import type { DuckDBValue } from "@duckdb/node-api";
import { duckdb } from "../engine.ts";

export function jsonTextOf(value: DuckDBValue): string | null {
  if (value === null || typeof value === "string") return value;
  return jsonOf(value);
}

function jsonOf(value: DuckDBValue): string {
  const { DuckDBBlobValue, DuckDBDecimalValue, DuckDBListValue, DuckDBMapValue, DuckDBStructValue } = duckdb();
  if (typeof value === "bigint" || value instanceof DuckDBDecimalValue) return String(value);
  // JSON has neither NaN nor Infinity: they are texts, and told apart from null.
  if (typeof value === "number") return numberOf(value);
  if (value instanceof DuckDBListValue) return `[${value.items.map(jsonOf).join(",")}]`;
  if (value instanceof DuckDBStructValue) return objectOf(Object.entries(value.entries));
  if (value instanceof DuckDBMapValue)
    return objectOf(value.entries.map(({ key, value: inner }) => [String(key), inner]));
  if (value instanceof DuckDBBlobValue) return JSON.stringify(Buffer.from(value.bytes).toString("base64"));
  return value === null || typeof value !== "object" ? JSON.stringify(value) : JSON.stringify(String(value));
}

function numberOf(value: number): string {
  if (!Number.isFinite(value)) return `"${value}"`;
  return Object.is(value, -0) ? "-0.0" : JSON.stringify(value);
}

function objectOf(entries: readonly (readonly [string, DuckDBValue])[]): string {
  return `{${entries.map(([key, inner]) => `${JSON.stringify(key)}:${jsonOf(inner)}`).join(",")}}`;
}
