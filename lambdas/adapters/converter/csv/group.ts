// Files that DuckDB reads in one scan, as a FROM item: their columns are named by place, c0, c1, ..., and are text unless told.

import type { FixedColumn } from "../../../core/config.ts";
import { FILE_COLUMN, type SpooledSource } from "../format.ts";
import { indexOfName } from "../names.ts";
import { ROW } from "../places.ts";
import { list, literal, struct, tableFunction } from "../sql.ts";
import type { CsvOptions } from "./header.ts";

/** A line (record) may be this long; DuckDB's own limit is 2 MB. */
const LINE_BYTES_MAX = 16 * 1024 * 1024;
/** No line of a small file is longer than the file; with buffers of its size 2,000 of them take a quarter less CPU. */
const LINE_BYTES_MIN = 256 * 1024;
/** For what is added to a line that is mended, or marked. */
const ROOM_BYTES = 64;

/** Files that can be read in one scan. */
export interface CsvGroup {
  /** As given, or as recognised of its files. */
  readonly options: CsvOptions;
  readonly columns: readonly string[];
  /** Physical lines before the header's last row. */
  readonly linesBefore: number;
  /** The same as DuckDB counts them. */
  readonly skip: number;
  /** Their bad rows were taken out: `rows` and nothing else is left, or rows `noted` in one more field. */
  readonly mended?: "rows" | "noted";
  /** Index of its only source (csv/open.ts). */
  readonly alone?: number;
  readonly sources: SpooledSource[];
}

type Parameters = Readonly<Record<string, string>>;

export function readCsv(group: CsvGroup, extra: Parameters = {}, only?: SpooledSource): string {
  const { nullValues, trim, layout } = group.options;
  if (layout !== undefined) return pieces(group, extra, only);
  const scan = scanOf(group, { columns: columnTypes(fieldsIn(group).map(() => "VARCHAR")), ...extra }, only);
  if (trim !== true) return scan;
  const columns = group.columns.map((_, index) => `${trimmed(`c${index}`, nullValues)} AS c${index}`);
  const notes = group.mended === "noted" ? [noteOf(group)] : [];
  return `(SELECT ${[...columns, ...notes, FILE_COLUMN].join(", ")} FROM ${scan})`;
}

/** Lines with columns of fixed width, each as `line`; blank ones are none. */
export function readLines(group: CsvGroup, extra: Parameters = {}, only?: SpooledSource): string {
  const lines = scanOf(group, { ...extra, nullstr: list([literal("")]), columns: columnTypes(["VARCHAR"]) }, only);
  return `(SELECT c0 AS line, ${FILE_COLUMN} FROM ${lines} WHERE c0 IS NOT NULL)`;
}

function pieces(group: CsvGroup, extra: Parameters, only: SpooledSource | undefined): string {
  const nulls = ["", ...group.options.nullValues].map(literal).join(", ");
  const columns = layoutOf(group).map(({ start, width }, index) => {
    const value = `trim(substr(line, ${start}${width === undefined ? "" : `, ${width}`}), ' \t')`;
    return `CASE WHEN ${value} IN (${nulls}) THEN NULL ELSE ${value} END AS c${index}`;
  });
  const bad = `CASE WHEN ${badLine(group)} THEN CAST(error('a line does not have its columns') AS BOOLEAN) ELSE true END`;
  return `(SELECT ${[...columns, FILE_COLUMN].join(", ")} FROM ${readLines(group, extra, only)} WHERE ${bad})`;
}

/** SQL that is true of a line that ends too early, or goes on behind its last column. */
export function badLine(group: CsvGroup): string {
  const last = layoutOf(group).at(-1) as FixedColumn;
  const end = last.start - 1 + (last.width ?? 0);
  const excess = last.width === undefined ? "false" : `rtrim(substr(line, ${end + 1}), ' ') <> ''`;
  return `(length(line) < ${end} OR ${excess})`;
}

export function layoutOf({ options }: CsvGroup): readonly FixedColumn[] {
  return options.layout ?? [];
}

function scanOf(group: CsvGroup, extra: Parameters, only: SpooledSource | undefined): string {
  const largest = Math.max(...(only ? [only] : group.sources).map(({ sizeBytes }) => sizeBytes));
  // Every byte may be an escape that was doubled.
  const bytes = group.options.escape === group.options.quote ? largest : 2 * largest;
  const lineBytesMax = Math.min(LINE_BYTES_MAX, Math.max(LINE_BYTES_MIN, bytes + ROOM_BYTES));
  const { delimiter, quote, comment, nullValues, header, type } = group.options;
  return tableFunction("read_csv", only ? [only.path] : group.sources.map(({ path }) => path), {
    auto_detect: "false",
    header: String(header && group.mended === undefined),
    skip: String(group.skip),
    delim: literal(delimiter === "" ? (type === "tsv" ? "\t" : ",") : delimiter),
    quote: literal(quote),
    escape: literal(group.options.escape),
    comment: comment === undefined ? undefined : literal(comment),
    nullstr: list(["", ...nullValues].map(literal)),
    allow_quoted_nulls: "false",
    // Told by its first line end, which may be one in quotes.
    new_line: group.mended === undefined ? undefined : literal("\\n"),
    filename: literal(FILE_COLUMN),
    max_line_size: String(lineBytesMax),
    buffer_size: String(2 * lineBytesMax),
    ...extra,
  });
}

/** One thread reads in order, so row numbers are those of the files one after the other. */
export function numberedCsv(group: CsvGroup, types = fieldsIn(group).map(() => "VARCHAR")): string {
  const read = readCsv(group, { parallel: "false", columns: columnTypes(types) });
  return `(SELECT *, row_number() OVER () AS ${ROW} FROM ${read})`;
}

/** What is nothing but white space is empty; an empty text stays one, as it was quoted. */
function trimmed(column: string, nullValues: readonly string[]): string {
  const value = `trim(${column}, ' \t')`;
  const nulls = ["", ...nullValues].map(literal).join(", ");
  return `CASE WHEN ${value} <> ${column} AND ${value} IN (${nulls}) THEN NULL ELSE ${value} END`;
}

export function columnTypes(types: readonly string[]): string {
  return struct(types.map((type, index) => [`c${index}`, literal(type)]));
}

/** Columns as they are read. */
export function fieldsIn({ columns, mended }: CsvGroup): readonly string[] {
  return mended === "noted" ? [...columns, ""] : columns;
}

export function noteOf({ columns }: CsvGroup): string {
  return `c${columns.length}`;
}

export function ownText(group: CsvGroup, column: string): string {
  const index = indexOfName(group.columns, column);
  return index < 0 ? "CAST(NULL AS VARCHAR)" : `c${index}`;
}
