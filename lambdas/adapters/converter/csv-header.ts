// The first record of a CSV file, read here and not by DuckDB: columns are handed to DuckDB by position, and files of one batch
// may order them differently. Header comparison needs only the first bytes of a file.

import type { FormatOptions } from "../../core/config.ts";

export type CsvOptions = Extract<FormatOptions, { readonly type: "csv" | "tsv" }>;

export interface FirstRecord {
  readonly values: readonly string[];
  /** Physical lines before it: blank, commented and skipped ones. */
  readonly linesBefore: number;
  /** Of these, commented ones: DuckDB does not count them among the lines it is told to skip. */
  readonly commentsBefore: number;
}

/** Undefined: no record in the text. "cut": the text ends inside the record (a header longer than what was looked at). */
export function firstRecord(text: string, options: CsvOptions, whole: boolean): FirstRecord | "cut" | undefined {
  let at = 0;
  let linesBefore = 0;
  let commentsBefore = 0;
  while (at < text.length) {
    const end = lineEnd(text, at);
    if (linesBefore >= options.skipLines && !isIgnored(text.slice(at, end), options)) {
      const values = parseRecord(text, at, options, whole);
      return values === undefined ? "cut" : { values, linesBefore, commentsBefore };
    }
    if (options.comment !== undefined && text.startsWith(options.comment, at)) commentsBefore++;
    linesBefore++;
    at = afterLineEnd(text, end);
  }
  return undefined;
}

function isIgnored(line: string, options: CsvOptions): boolean {
  // A tab-separated line of empty values is no blank line.
  const blank = line.trim() === "" && !line.includes(options.delimiter);
  return blank || (options.comment !== undefined && line.startsWith(options.comment));
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

function parseRecord(text: string, from: number, options: CsvOptions, whole: boolean): string[] | undefined {
  const { delimiter, quote } = options;
  const values: string[] = [];
  let value = "";
  let quoted = false;
  let at = from;
  for (; at < text.length; at++) {
    const char = text[at] as string;
    if (quoted) {
      if (quote !== "" && char === options.escape && text[at + 1] === quote) value += text[++at];
      else if (char === quote) quoted = false;
      else value += char;
    } else if (quote !== "" && char === quote && value === "") quoted = true;
    else if (text.startsWith(delimiter, at)) {
      values.push(value);
      value = "";
      at += delimiter.length - 1;
    } else if (char === "\n" || char === "\r") break;
    else value += char;
  }
  if (at >= text.length && (!whole || quoted)) return undefined;
  return [...values, value];
}

/**
 * Names of the columns: trimmed; an empty one is named by its place; one that is there already, in whatever case, or is reserved
 * gets `_1`, `_2`, ... (Glue and Athena do not tell `id` from `ID`).
 */
export function columnNames(header: readonly string[], reserved: readonly string[]): string[] {
  const taken = new Set(reserved.map((name) => name.toLowerCase()));
  return header.map((raw, index) => {
    const wanted = raw.trim() === "" ? `column${index}` : raw.trim();
    let name = wanted;
    for (let n = 1; taken.has(name.toLowerCase()); n++) name = `${wanted}_${n}`;
    taken.add(name.toLowerCase());
    return name;
  });
}
