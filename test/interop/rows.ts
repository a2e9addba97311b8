// Rows as every engine must show them, and the source objects they are written from. The rows come first and the bytes are
// rendered from them, so nothing that DuckDB or Moraine does can make a wrong expectation.
// A value in canonical form is null, true, false, or text; lists and structs hold such values.

import type { DraftField, DraftType } from "../../lambdas/core/iceberg/types.ts";

export type Canon = null | boolean | string | readonly Canon[] | { readonly [name: string]: Canon };
export type Row = Readonly<Record<string, Canon>>;

/** A string column whose text is JSON: compared as JSON, not as text. */
export const JSON_TEXT = "json";
export type ColumnType = DraftType | typeof JSON_TEXT;
export interface Column {
  readonly name: string;
  readonly type: ColumnType;
}

/** One record of a JSON or NDJSON object. */
export function renderJson(columns: readonly Column[], row: Row): string {
  const members = columns
    .filter(({ name }) => row[name] !== undefined)
    .map(({ name, type }) => `${JSON.stringify(name)}:${jsonValue(type, row[name] as Canon)}`);
  return `{${members.join(",")}}`;
}

export function renderNdjson(columns: readonly Column[], rows: readonly Row[]): string {
  return rows.map((row) => `${renderJson(columns, row)}\n`).join("");
}

function jsonValue(type: ColumnType, value: Canon): string {
  if (value === null || typeof value === "boolean") return String(value);
  if (Array.isArray(value)) {
    const element = typeof type === "object" && type.type === "list" ? type.element : "string";
    return `[${value.map((item) => jsonValue(element, item)).join(",")}]`;
  }
  if (typeof value === "object") {
    return renderJson(typeof type === "object" && type.type === "struct" ? type.fields : [], value as Row);
  }
  // A JSON number is a double to most readers; decimals with more digits than that travel as text.
  const isNumber = type === "int" || type === "long" || type === "double" || (isDecimal(type) && value.length <= 15);
  return isNumber || type === JSON_TEXT ? value : JSON.stringify(value);
}

/** Every text is quoted, so that an empty one is not a null. */
export function renderCsv(columns: readonly Column[], rows: readonly Row[]): string {
  const quoted = (text: string) => `"${text.replaceAll('"', '""')}"`;
  const cell = (type: ColumnType, value: Canon | undefined) => {
    if (value === null || value === undefined) return "";
    return type === "string" ? quoted(String(value)) : String(value);
  };
  const header = columns.map(({ name }) => quoted(name)).join(",");
  const lines = rows.map((row) => columns.map(({ name, type }) => cell(type, row[name])).join(","));
  return [header, ...lines].map((line) => `${line}\r\n`).join("");
}

/** Any string may hold the text of a value that is no string. */
export function asJsonText({ name, type }: Column): Column {
  return { name, type: textual(type) };
}

function textual(type: ColumnType): ColumnType {
  if (typeof type === "string") return type === "string" ? JSON_TEXT : type;
  if (type.type === "list") return { type: "list", element: textual(type.element) as DraftType };
  if (type.type === "map") throw new Error("no source has a map");
  return { type: "struct", fields: type.fields.map((field) => asJsonText(field) as DraftField) };
}

/** JSON records as columns of these types show them. Rows that are in canonical form stay as they are. */
export function canonRows(records: readonly Row[], columns: readonly Column[]): Row[] {
  return records.map((record) =>
    Object.fromEntries(columns.map(({ name, type }) => [name, canonOf(record[name], type)])),
  );
}

function canonOf(value: unknown, type: ColumnType): Canon {
  if (value === null || value === undefined) return null;
  if (typeof type === "string") {
    if (type === "boolean") return value as boolean;
    if (type === "timestamptz") return canonTime(String(value));
    return typeof value === "string" ? value : JSON.stringify(value);
  }
  if (type.type === "list") return (value as unknown[]).map((item) => canonOf(item, type.element));
  return type.type === "struct" ? (canonRows([value as Row], type.fields)[0] ?? null) : null;
}

/** `2024-05-01T00:00:00Z` with six decimals, as all engines' microseconds are written here. */
function canonTime(text: string): string {
  if (text.endsWith("000Z")) return text;
  return `${new Date(text).toISOString().slice(0, -1)}000Z`;
}

function isDecimal(type: ColumnType): boolean {
  return typeof type === "string" && type.startsWith("decimal");
}
