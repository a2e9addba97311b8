// Text with columns of fixed width, as CSV of one column: DuckDB reads lines, and every value is the piece of its line. A line that ends too
// early, or goes on behind its last column, is a bad row. Once bad rows are taken out of a file it is CSV, with a delimiter of its own.

import type { FixedColumn, FixedOptions } from "../../../core/config.ts";
import type { SourceFailure } from "../../../core/ports.ts";
import type { Session } from "../engine.ts";
import { FILE_COLUMN, failure, type SpooledSource } from "../format.ts";
import { badLine, type CsvGroup, layoutOf, readLines } from "./group.ts";
import type { CsvOptions } from "./header.ts";
import { dialectOf } from "./lines.ts";
import { eachRecord } from "./records.ts";

/** A code that no text has: Unicode keeps it for such ends. */
const DELIMITER = "\u{10ffff}";

export function csvOptionsOf({ type, columns, ...options }: FixedOptions): CsvOptions {
  const names = columns.map(({ name }) => name);
  const none = { delimiter: DELIMITER, quote: "", escape: "" };
  return { ...options, ...none, type: "csv", columns: names, trim: true, layout: columns };
}

export type BadLine = "ROW_TOO_SHORT" | "ROW_TOO_LONG";

export const FIXED_MESSAGES: Readonly<Record<BadLine, string>> = {
  ROW_TOO_SHORT:
    "a line ends before its last column does; complete it, or leave out the width of the last column if blanks at the end are left out",
  ROW_TOO_LONG: "a line goes on behind its last column; correct the columns, or shorten it",
};

/** Fields that are there in full, what stands behind the last, and what is wrong with it. */
export interface Divided {
  readonly fields: readonly string[];
  readonly rest: string;
  readonly bad?: BadLine;
}

export function divideLine(line: string, layout: readonly FixedColumn[]): Divided {
  const chars = Array.from(line);
  const isWhole = ({ start, width }: FixedColumn) => chars.length >= start - 1 + (width ?? 0);
  const fields = layout
    .filter(isWhole)
    .map(({ start, width }) => chars.slice(start - 1, width === undefined ? undefined : start - 1 + width).join(""));
  const last = layout.at(-1);
  const rest = last?.width === undefined ? "" : chars.slice(last.start - 1 + last.width).join("");
  if (fields.length < layout.length) return { fields, rest, bad: "ROW_TOO_SHORT" };
  return { fields, rest, ...(/^ *$/.test(rest) ? {} : { bad: "ROW_TOO_LONG" }) };
}

/** Sources with bad lines, each with its first. */
export async function blameLines(session: Session, group: CsvGroup): Promise<SourceFailure[]> {
  const rows = await session.rows(
    `SELECT DISTINCT ${FILE_COLUMN} AS path FROM ${readLines(group)} WHERE ${badLine(group)}`,
  );
  const paths = new Set(rows.map((row) => String(row["path"])));
  const failures: SourceFailure[] = [];
  for (const source of group.sources) {
    const found = paths.has(source.path) ? await firstBad(source, group) : undefined;
    if (found !== undefined) failures.push(found);
  }
  return failures;
}

async function firstBad(source: SpooledSource, group: CsvGroup): Promise<SourceFailure | undefined> {
  let first: SourceFailure | undefined;
  let skip = group.options.header;
  await eachRecord(source.path, dialectOf(group), (bytes, { start, end, line, byte }) => {
    const { bad } = first === undefined && !skip ? divideLine(bytes.toString("utf8", start, end), layoutOf(group)) : {};
    skip = false;
    if (bad !== undefined) first = failure(source, bad, `${FIXED_MESSAGES[bad]} (line ${line})`, { line, byte });
  });
  return first;
}
