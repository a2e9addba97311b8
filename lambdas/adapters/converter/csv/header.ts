// The header of a CSV file, read here and not by DuckDB: columns are handed to DuckDB by position, and files of one batch
// may order them differently. Header comparison needs only the first bytes of a file.

import type { FixedColumn, FormatOptions } from "../../../core/config.ts";

export type CsvOptions = Extract<FormatOptions, { readonly type: "csv" | "tsv" }> & {
  /** Of text in which every column has its place (csv/fixed.ts). */
  readonly layout?: readonly FixedColumn[];
};

/** The record in which the names end, or the first row where there is no header. */
export interface Header {
  readonly values: readonly string[];
  /** Physical lines before it: blank, commented and skipped ones. */
  readonly linesBefore: number;
  /** What DuckDB is to skip before it. It counts a record as one, however many lines it has, and a comment not at all. */
  readonly skip: number;
  /** Commented lines before `start`. */
  readonly comments: number;
  /** Places in the text: where its first row starts, and where what follows it does. */
  readonly start: number;
  readonly end: number;
  /** The text of its one row if a quote closes in the middle of a field: `values` are then those of DuckDB, and no names. */
  readonly broken?: string;
}

/** Undefined: no record in the text. "cut": the text ends inside it (a header longer than what was looked at). */
export function headerOf(text: string, options: CsvOptions, whole: boolean): Header | "cut" | undefined {
  const rows: string[][] = [];
  const wanted = options.header ? (options.headerRows ?? 1) : 1;
  let from: Position = { at: 0, line: 0, skip: 0 };
  let first: FoundRecord | undefined;
  for (;;) {
    const found = nextRecord(text, from, options, whole);
    if (found === undefined || found === "cut") return found;
    first ??= found;
    rows.push(found.values);
    from = found.next;
    if (rows.length < wanted) continue;
    const comments = first.line - first.skip;
    const broken = rows.length === 1 && found.broken ? { broken: found.text } : {};
    const place = { linesBefore: found.line, skip: found.skip, comments, start: first.at, end: from.at };
    return { values: joined(rows), ...place, ...broken };
  }
}

/** `a` over `b` is `a_b`. A title over several columns stands over the first of them alone: there is no telling how far it goes. */
function joined(rows: readonly (readonly string[])[]): string[] {
  if (rows.length === 1) return [...(rows[0] as string[])];
  const width = Math.max(...rows.map((row) => row.length));
  return Array.from({ length: width }, (_, column) => {
    const parts = rows.map((row) => row[column]?.trim() ?? "");
    return parts.filter((part) => part !== "").join("_");
  });
}

interface Position {
  readonly at: number;
  /** Physical lines before. */
  readonly line: number;
  readonly skip: number;
}

interface FoundRecord extends Position {
  readonly values: string[];
  readonly broken: boolean;
  readonly text: string;
  readonly next: Position;
}

function nextRecord(
  text: string,
  from: Position,
  options: CsvOptions,
  whole: boolean,
): FoundRecord | "cut" | undefined {
  let { at, line, skip } = from;
  while (at < text.length) {
    const end = lineEnd(text, at);
    if (line >= options.skipLines && !isBlank(text.slice(at, end), options) && !isComment(text, at, options)) {
      const record = parseRecord(text, at, options, whole);
      if (record === undefined) return "cut";
      const next = afterLineEnd(text, record.end);
      const lines = linesIn(text.slice(at, record.end)) + 1;
      const { values, broken } = record;
      const written = text.slice(at, record.end);
      return { at, line, skip, values, broken, text: written, next: { at: next, line: line + lines, skip: skip + 1 } };
    }
    line++;
    if (!isComment(text, at, options)) skip++;
    at = afterLineEnd(text, end);
  }
  return undefined;
}

function linesIn(text: string): number {
  return text.match(/\r\n|\r|\n/g)?.length ?? 0;
}

function isBlank(line: string, options: CsvOptions): boolean {
  // A tab-separated line of empty values is no blank line.
  return line.trim() === "" && !line.includes(options.delimiter);
}

function isComment(text: string, at: number, { comment }: CsvOptions): boolean {
  return comment !== undefined && text.startsWith(comment, at);
}

function lineEnd(text: string, from: number): number {
  for (let at = from; at < text.length; at++) {
    const char = text[at];
    if (char === "\n" || char === "\r") return at;
  }
  return text.length;
}

function afterLineEnd(text: string, end: number): number {
  return text[end] === "\r" && text[end + 1] === "\n" ? end + 2 : end + 1;
}

function parseRecord(
  text: string,
  from: number,
  options: CsvOptions,
  whole: boolean,
): { readonly values: string[]; readonly end: number; readonly broken: boolean } | undefined {
  const { delimiter, quote } = options;
  const values: string[] = [];
  let value = "";
  let quoted = false;
  let closed = false;
  let broken = false;
  let at = from;
  for (; at < text.length; at++) {
    const char = text[at] as string;
    if (quoted) {
      const next = text[at + 1];
      if (char === options.escape && (next === quote || next === options.escape)) value += text[++at];
      else if (char === quote) {
        quoted = false;
        closed = true;
      } else value += char;
    } else if (quote !== "" && char === quote && !closed && /^ *$/.test(value)) {
      // Spaces around quotes are no part of a value: DuckDB reads rows so.
      quoted = true;
      value = "";
    } else if (text.startsWith(delimiter, at)) {
      values.push(value);
      value = "";
      closed = false;
      at += delimiter.length - 1;
    } else if (char === "\n" || char === "\r") break;
    else if (!closed || char !== " ") {
      value += char;
      broken ||= closed;
    }
  }
  if (at >= text.length && (!whole || quoted)) return undefined;
  return { values: [...values, value], end: at, broken };
}
