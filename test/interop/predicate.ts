// Predicates that every engine is asked with, and their truth over canonical rows: what pruning must not change.

import { decimalOf } from "../../lambdas/core/iceberg/type-text.ts";
import type { Canon, Column, ColumnType, Row } from "./rows.ts";

export type Clause =
  | { readonly column: string; readonly op: "=" | "<" | ">="; readonly value: string }
  | { readonly column: string; readonly op: "is null" }
  | { readonly column: string; readonly op: "starts with"; readonly value: string };

/** All clauses must hold. */
export type Predicate = readonly Clause[];

export function select(rows: readonly Row[], columns: readonly Column[], predicate: Predicate): Row[] {
  const types = new Map(columns.map(({ name, type }) => [name, type]));
  return rows.filter((row) =>
    predicate.every((clause) => holds(clause, row[clause.column] ?? null, types.get(clause.column) ?? "string")),
  );
}

function holds(clause: Clause, value: Canon, type: ColumnType): boolean {
  if (clause.op === "is null") return value === null;
  if (value === null) return false;
  const text = String(value);
  if (clause.op === "starts with") return text.startsWith(clause.value);
  const order = compare(text, clause.value, type);
  return clause.op === "=" ? order === 0 : clause.op === "<" ? order < 0 : order >= 0;
}

/** Dates and times in canonical form have one width and order as text. */
function compare(a: string, b: string, type: ColumnType): number {
  const [left, right] = [sortable(a, type), sortable(b, type)];
  return left < right ? -1 : left > right ? 1 : 0;
}

function sortable(text: string, type: ColumnType): string | bigint {
  if (type === "long") return BigInt(text);
  const decimal = typeof type === "string" ? decimalOf(type) : undefined;
  if (decimal === undefined) return text;
  const [whole = "", fraction = ""] = text.split(".");
  return BigInt(whole + fraction.padEnd(decimal.scale, "0"));
}
