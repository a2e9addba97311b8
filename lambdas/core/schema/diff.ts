// How a file's columns differ from its table's, and what the ingestion's policy makes of that. Pure; no row was written yet.
//
//   evolve   a new column, a wider number, a column files lack: compatible, applied at once. Anything else: breaking
//   rescue   the schema is fixed: what is not in it goes to `_rescued_data`, value by value, so nothing is breaking
//   hold     any difference is breaking and waits for a decision
//   fail     any difference is breaking and fails the file
//
// A conflict of declared types is a suspicion: under `evolve` the values decide (text `5` fits a long), see misfits.ts.
// A column that a file lacks is null in its rows and no difference, whatever the format, so that the order of files does not matter
// (decision 0012); only `hold` and `fail`, where any change counts, see it, in formats that name their columns. A required column that a
// file lacks would have to change, so these two see it in every format.

import type { FormatOptions, SchemaPolicy } from "../config.ts";
import { currentSchema, partitionNames } from "../iceberg/metadata.ts";
import {
  evolveSchema,
  lineageFields,
  PARTITION_FIELD,
  rescuedField,
  type SchemaEvolution,
  typeText,
} from "../iceberg/schema.ts";
import type { DraftField, DraftType, Schema, TableMetadata } from "../iceberg/types.ts";

/** One way in which a file differs from its table. */
export interface Difference {
  readonly kind: "added" | "widened" | "relaxed" | "absent" | "conflict";
  /** Dot path of the column. */
  readonly path: string;
  /** The table's type, or what else stands in the way; absent: the table has no such column. */
  readonly tableType?: string;
  /** Absent: the file has no such column. */
  readonly fileType?: DraftType;
}

export interface SchemaDiff {
  readonly kind: "none" | "compatible" | "breaking";
  /** What the policy does not let through; empty unless `breaking`. */
  readonly breaking: readonly Difference[];
  /** What it applies by itself; its `schema` is the table's own when there is nothing to apply. */
  readonly evolution: SchemaEvolution;
}

/** What of a table decides how it may grow. */
export interface TableShape {
  readonly schema: Schema;
  readonly lastColumnId: number;
  /** Of all its specs. */
  readonly partitionNames: readonly string[];
}

export function shapeOfTable(metadata: TableMetadata): TableShape {
  return {
    schema: currentSchema(metadata),
    lastColumnId: metadata["last-column-id"],
    partitionNames: partitionNames(metadata),
  };
}

/** `seen`: all columns that files were seen to hold. */
export function growTable(table: TableShape, seen: readonly DraftField[]): SchemaEvolution {
  return evolveSchema(table.schema, table.lastColumnId, seen, table.partitionNames);
}

/** The table with these columns too: the others stay as they are, also those that are required. */
export function addToTable(table: TableShape, fields: readonly DraftField[]): SchemaEvolution {
  return evolveSchema(table.schema, table.lastColumnId, fields, table.partitionNames, true);
}

/** `file`: all columns the file was seen to hold. */
export function diffSchema(
  table: TableShape,
  file: readonly DraftField[],
  format: FormatOptions["type"],
  policy: SchemaPolicy,
): SchemaDiff {
  const evolution = growTable(table, file);
  const all = differencesOf(evolution, table.schema, namesItsColumns(format));
  const breaking = all.filter((difference) => isBreaking(difference, policy));
  const kept = policy === "evolve" ? evolution : unchanged(evolution, table);
  const kind = breaking.length > 0 ? "breaking" : kept.changed ? "compatible" : "none";
  return { kind, breaking, evolution: kept };
}

function isBreaking({ kind }: Difference, policy: SchemaPolicy): boolean {
  switch (policy) {
    case "evolve":
      return kind === "conflict";
    case "rescue":
      return false;
    case "hold":
    case "fail":
      return true;
  }
}

/** Columns that files do not have and tables do. A file's own column of such a name comes under another (`_file_path_1`). */
const OWN: ReadonlySet<string> = new Set([...lineageFields, rescuedField].map(({ name }) => name));

function differencesOf(evolution: SchemaEvolution, schema: Schema, named: boolean): Difference[] {
  const types = new Map(schema.fields.map(({ name, type }) => [name, type]));
  const changes = evolution.changes
    .filter(({ kind, path }) => !OWN.has(path) && (named || kind !== "absent"))
    .map(({ kind, path, type }): Difference => {
      if (kind === "added") return { kind, path, fileType: type as DraftType };
      if (kind === "absent" || kind === "relaxed") return { kind, path, tableType: typeText(type) };
      const before = types.get(path);
      return { kind, path, ...(before && { tableType: typeText(before) }), fileType: type as DraftType };
    });
  const conflicts = evolution.conflicts.map((conflict): Difference => ({ kind: "conflict", ...conflict }));
  return [...changes, ...conflicts];
}

/** A JSON record or a CSV file leaves out what it has no value for; these formats say what columns they have. */
export function namesItsColumns(format: FormatOptions["type"]): boolean {
  return format === "parquet" || format === "avro";
}

function unchanged(evolution: SchemaEvolution, { schema, lastColumnId }: TableShape): SchemaEvolution {
  return { ...evolution, schema, lastColumnId, changed: false, changes: [] };
}

/** A new column with the name of a partition field: no reader could open the table any more. */
export function isPartitionConflict({ tableType }: { readonly tableType?: string }): boolean {
  return tableType === PARTITION_FIELD;
}

/** Names and types of structures may be as long as a book: texts are cut, so that they fit ledger items, messages and terminals. */
const TEXT_MAX = 300;
const TEXTS_MAX = 1000;

export function cutText(text: string, max = TEXT_MAX): string {
  return text.length <= max ? text : `${text.slice(0, max - 1)}…`;
}

/** For people, in one line. */
export function differencesText(differences: readonly Difference[]): string {
  return cutText(differences.map(differenceText).join("; "), TEXTS_MAX);
}

/** For people: `price: long, the file has string`. */
export function differenceText(difference: Difference): string {
  return cutText(wholeText(difference));
}

function wholeText({ kind, path, tableType, fileType }: Difference): string {
  const file = fileType === undefined ? "nothing" : typeText(fileType);
  switch (kind) {
    case "added":
      return `${path}: not in the table, the file has ${file}`;
    case "absent":
    case "relaxed":
      return `${path}: ${tableType}, not in the file`;
    case "widened":
      return `${path}: ${tableType ?? "a narrower type"}, the file needs ${file}`;
    case "conflict":
      // A text column holds everything but a second spelling of its name.
      if (tableType === file) return `${path}: ${tableType}, the file has a key that differs from it by case alone`;
      return `${path}: ${tableType}, the file has ${file}`;
  }
}
