// What becomes of a file whose values do not all fit its table. Pure.

import type { FormatOptions, Ingestion } from "../config.ts";
import { columnsOf, typeText } from "../iceberg/schema.ts";
import type { Schema } from "../iceberg/types.ts";
import type { Misfits, Route, Treatment } from "../ports.ts";
import type { Difference } from "./diff.ts";
import type { HeldDifference, SchemaChange } from "./records.ts";

export type MisfitVerdict =
  | { readonly kind: "treat"; readonly treatment: Treatment }
  | { readonly kind: "hold"; readonly differences: readonly HeldDifference[] }
  | {
      readonly kind: "fail";
      readonly reason: string;
      readonly message: string;
      readonly column: string;
      readonly line?: number;
    };

/** `routes`: by earlier decisions. */
export function judgeMisfits(
  misfits: Misfits,
  { schema, format }: Pick<Ingestion, "schema" | "format">,
  table: Schema,
  routes: readonly Route[],
): MisfitVerdict {
  const tableTypes = new Map(columnsOf(table).map(({ path, field }) => [path, typeText(field.type)]));
  const routed = new Set(routes.map(({ path }) => path));
  const open = misfits.columns.filter(({ path }) => !routed.has(path));
  const [first] = open;
  // Every column has its route, or it is rows that are to be rescued and no columns.
  if (first === undefined) return { kind: "treat", treatment: { rescue: misfits.columns.length === 0, routes } };
  // Rows whose values all have their routes do not count; a row may have several of the others.
  const unfit = Math.min(
    misfits.unfit,
    open.reduce((sum, { records }) => sum + records, 0),
  );
  const few = unfit <= schema.rescueShareMax * misfits.records;
  const firm = isJson(format) ? open.filter(({ path }) => isFlat(path, table)) : open;
  // What no table could have a column for (an empty key) is nothing to decide about.
  const homeless = isJson(format) && open.every(({ path }) => !tableTypes.has(path)) && schema.policy !== "fail";
  if (schema.policy === "rescue" || homeless || (schema.policy === "evolve" && (few || firm.length === 0))) {
    return { kind: "treat", treatment: { rescue: true, routes } };
  }
  if (schema.policy === "fail") {
    const { path, line } = first;
    const where = line === undefined ? "" : ` (line ${line})`;
    const message = `a value of column ${path} does not fit the table's type ${tableTypes.get(path) ?? "unknown"}${where}; correct it, give the column a hint, or choose another schema.policy`;
    return { kind: "fail", reason: "TYPE_MISMATCH", message, column: path, ...(line === undefined ? {} : { line }) };
  }
  const asked = schema.policy === "evolve" ? firm : open;
  return { kind: "hold", differences: asked.map((column) => differenceOf(column, tableTypes)) };
}

function isJson({ type }: FormatOptions): boolean {
  return type === "json" || type === "ndjson";
}

/**
 * Not a structure of JSON records, nor a place inside one. Records of many kinds share it (the parameters of every API there is), and what is
 * of another type in some of them is a fact about those, not about the table: nobody is asked. A column's own name may have dots.
 */
function isFlat(path: string, { fields }: Schema): boolean {
  return typeof fields.find(({ name }) => name === path)?.type === "string";
}

function differenceOf(column: Misfits["columns"][number], tableTypes: ReadonlyMap<string, string>): HeldDifference {
  const { path, fileType, records, samples, line } = column;
  const tableType = tableTypes.get(path);
  return {
    kind: "conflict",
    path,
    ...(tableType === undefined ? {} : { tableType }),
    fileType,
    records,
    samples,
    ...(line === undefined ? {} : { line }),
  };
}

/** Where earlier decisions send what does not fit. The latest wins. */
export function routesOf(changes: readonly SchemaChange[]): Route[] {
  const routes = new Map<string, Route>();
  for (const { status, differences } of changes.toSorted((a, b) => decidedAt(a) - decidedAt(b))) {
    if (status !== "MERGED") continue;
    for (const { path, column } of differences) if (column !== undefined) routes.set(path, { path, column });
  }
  return [...routes.values()];
}

/** Columns that a decision lets files leave out: there is nothing in the table that could say so. */
export function settledBy(changes: readonly SchemaChange[]): (difference: Difference) => boolean {
  const settled = new Set(
    changes
      .filter(({ status }) => status === "ACCEPTED" || status === "MERGED")
      .flatMap(({ differences }) => differences)
      .filter(({ kind }) => kind === "absent" || kind === "relaxed")
      .map(({ path }) => path),
  );
  return ({ kind, path }) => (kind === "absent" || kind === "relaxed") && settled.has(path);
}

function decidedAt({ decisions }: SchemaChange): number {
  return decisions.at(-1)?.atMs ?? 0;
}
