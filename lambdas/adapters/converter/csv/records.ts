// Where the records of a CSV file are, byte by byte as DuckDB splits them, but never at a loss: a record that is broken is said to be, and
// the next one begins on the next line. For messages, for `_rescued_data` and for files with bad rows; DuckDB reads all others alone.
// Lines without quotes are stepped over whole, so that a gigabyte takes seconds.

import { type FileHandle, open } from "node:fs/promises";
import { unescaped } from "./broken.ts";

export interface Dialect {
  readonly delimiter: string;
  readonly quote: string;
  readonly escape: string;
  readonly comment?: string;
  /** Lines before the first record. */
  readonly linesBefore: number;
  /** In a file of one column an empty line is a row. */
  readonly blankRows: boolean;
}

export interface CsvRecord {
  /** In `bytes`, without its line end. */
  readonly start: number;
  readonly end: number;
  /** Physical line it starts on, from 1. */
  readonly line: number;
  /** Where it starts in the file. */
  readonly byte: number;
  /** A quote that is never closed, or closed in the middle of a field. */
  readonly broken: boolean;
}

const CHUNK_BYTES = 4 * 1024 * 1024;
/** DuckDB's limit, too (csv/reader.ts). What is longer is no record. */
export const RECORD_BYTES_MAX = 16 * 1024 * 1024;
const NEWLINE = 0x0a;
const RETURN = 0x0d;
const SPACE = 0x20;

/** Calls `visit` with every record of the file in order, the header among them, and `pause` after each piece of the file. */
export async function eachRecord(
  path: string,
  dialect: Dialect,
  visit: (bytes: Buffer, record: CsvRecord) => void,
  pause: () => Promise<void> = async () => undefined,
): Promise<void> {
  const file = await open(path);
  try {
    // Of a small file no more is asked for than it has: a batch may be two thousand of them.
    const chunkBytes = Math.min(CHUNK_BYTES, (await file.stat()).size + 1);
    let bytes: Buffer = Buffer.alloc(0);
    let place: Place = { line: 1, byte: 0 };
    for (let ended = false; !ended; ) {
      const more = await readOn(file, place.byte + bytes.length, chunkBytes);
      ended = more.length === 0;
      bytes = bytes.length === 0 ? more : Buffer.concat([bytes, more]);
      const scan = new Scan(bytes, ended, dialect, place);
      for (let record = scan.next(); record !== undefined; record = scan.next()) visit(bytes, record);
      await pause();
      place = scan.place();
      bytes = bytes.subarray(scan.at);
    }
  } finally {
    await file.close();
  }
}

async function readOn(file: FileHandle, position: number, chunkBytes: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(chunkBytes);
  const { bytesRead } = await file.read(bytes, 0, chunkBytes, position);
  return bytes.subarray(0, bytesRead);
}

interface Place {
  readonly line: number;
  readonly byte: number;
}

/** The records of a piece of a file. */
class Scan {
  readonly #bytes: Buffer;
  readonly #ended: boolean;
  readonly #dialect: Dialect;
  readonly #delimiter: Buffer;
  readonly #quote: number;
  readonly #escape: number;
  readonly #comment: number;
  readonly #base: number;
  #line: number;
  #nextNewline = -2;
  #nextReturn = -2;
  #nextQuote = -2;
  at = 0;

  constructor(bytes: Buffer, ended: boolean, dialect: Dialect, place: Place) {
    this.#bytes = bytes;
    this.#ended = ended;
    this.#dialect = dialect;
    this.#delimiter = Buffer.from(dialect.delimiter);
    this.#quote = codeOf(dialect.quote);
    this.#escape = codeOf(dialect.escape);
    this.#comment = codeOf(dialect.comment ?? "");
    this.#base = place.byte;
    this.#line = place.line;
  }

  place(): Place {
    return { line: this.#line, byte: this.#base + this.at };
  }

  /** Undefined: no further record ends in this piece. */
  next(): CsvRecord | undefined {
    for (;;) {
      const start = this.at;
      if (start >= this.#bytes.length) return undefined;
      const lineEnd = this.#lineEnd(start);
      const after = this.#after(lineEnd);
      if (after === undefined && !this.#tooLong(start)) return undefined;
      const blank = lineEnd === start && !this.#dialect.blankRows;
      if (this.#line <= this.#dialect.linesBefore || blank || this.#bytes[start] === this.#comment) {
        this.#step(after ?? this.#bytes.length, 1);
        continue;
      }
      const end = this.#recordEnd(start, lineEnd);
      if (end === "more") return undefined;
      const place = { start, line: this.#line, byte: this.#base + start };
      if (end === "broken") {
        this.#step(after ?? this.#bytes.length, 1);
        return { ...place, end: lineEnd, broken: true };
      }
      const next = this.#after(end);
      if (next === undefined) return undefined;
      this.#step(next, end === lineEnd ? 1 : this.#linesIn(start, end));
      return { ...place, end, broken: false };
    }
  }

  #step(to: number, lines: number): void {
    this.at = to;
    this.#line += lines;
  }

  #tooLong(start: number): boolean {
    return this.#bytes.length - start > RECORD_BYTES_MAX;
  }

  /** The first byte of the line end that is next, or the end of the bytes. */
  #lineEnd(from: number): number {
    if (this.#nextNewline < from) this.#nextNewline = placeOf(this.#bytes.indexOf(NEWLINE, from));
    if (this.#nextReturn < from) this.#nextReturn = placeOf(this.#bytes.indexOf(RETURN, from));
    return Math.min(this.#nextNewline, this.#nextReturn, this.#bytes.length);
  }

  /** Behind the line end; undefined: it is not all there yet. */
  #after(lineEnd: number): number | undefined {
    const { length } = this.#bytes;
    if (lineEnd >= length) return this.#ended ? length : undefined;
    if (this.#bytes[lineEnd] === NEWLINE) return lineEnd + 1;
    if (lineEnd + 1 >= length) return this.#ended ? length : undefined;
    return this.#bytes[lineEnd + 1] === NEWLINE ? lineEnd + 2 : lineEnd + 1;
  }

  #quoteAt(from: number): number {
    if (this.#quote < 0) return Number.POSITIVE_INFINITY;
    if (this.#nextQuote < from) this.#nextQuote = placeOf(this.#bytes.indexOf(this.#quote, from));
    return this.#nextQuote;
  }

  /** `lineEnd`: where its first line ends. */
  #recordEnd(start: number, lineEnd: number): number | "more" | "broken" {
    let end = lineEnd;
    for (let at = start; ; ) {
      const quote = this.#quoteAt(at);
      if (quote >= end) return end;
      if (quote !== start && !this.#isDelimited(start, quote)) {
        at = quote + 1;
        continue;
      }
      const close = closingQuote(this.#bytes, quote + 1, this.#quote, this.#escape);
      if (close < 0) return this.#ended || this.#tooLong(start) ? "broken" : "more";
      const after = this.#fieldEnd(close + 1);
      if (after === "more" || after === "broken") return after;
      end = this.#lineEnd(after);
      if (end === after) return end;
      at = after;
    }
  }

  /** As DuckDB, which reads over one space before a quote, but not over two. */
  #isDelimited(start: number, quote: number): boolean {
    if (this.#endsDelimiter(start, quote)) return true;
    const space = quote - 1;
    return this.#bytes[space] === SPACE && (space === start || this.#endsDelimiter(start, space));
  }

  #endsDelimiter(start: number, at: number): boolean {
    const { length } = this.#delimiter;
    if (at - start < length) return false;
    if (length === 1) return this.#bytes[at - 1] === this.#delimiter[0];
    return this.#bytes.subarray(at - length, at).equals(this.#delimiter);
  }

  /** Behind a closing quote: the delimiter or the line end, perhaps after spaces. */
  #fieldEnd(from: number): number | "more" | "broken" {
    let at = from;
    while (this.#bytes[at] === SPACE && this.#delimiter[0] !== SPACE) at++;
    if (at + this.#delimiter.length > this.#bytes.length && !this.#ended) return "more";
    const ends = at >= this.#bytes.length || this.#bytes[at] === NEWLINE || this.#bytes[at] === RETURN;
    return ends || startsWith(this.#bytes, at, this.#delimiter) ? at : "broken";
  }

  #linesIn(start: number, end: number): number {
    let lines = 1;
    for (let at = start; at < end; at++) {
      const byte = this.#bytes[at];
      if (byte === NEWLINE || (byte === RETURN && this.#bytes[at + 1] !== NEWLINE)) lines++;
    }
    return lines;
  }
}

function closingQuote(bytes: Buffer, from: number, quote: number, escaping: number): number {
  for (let at = bytes.indexOf(quote, from); at >= 0; at = bytes.indexOf(quote, at)) {
    if (escaping === quote) {
      if (bytes[at + 1] !== quote) return at;
      at += 2;
    } else {
      let escapes = 0;
      while (at - 1 - escapes >= from && bytes[at - 1 - escapes] === escaping) escapes++;
      if (escapes % 2 === 0) return at;
      at += 1;
    }
  }
  return -1;
}

/** The fields of a record that is not broken, as they are written. */
export function fieldsOf(
  bytes: Buffer,
  { start, end }: Pick<CsvRecord, "start" | "end">,
  dialect: Dialect,
): { readonly start: number; readonly end: number }[] {
  const delimiter = Buffer.from(dialect.delimiter);
  const quote = codeOf(dialect.quote);
  const fields: { start: number; end: number }[] = [];
  for (let at = start; ; ) {
    const first =
      bytes[at] === SPACE && at + 1 < end && bytes[at + 1] === quote && delimiter[0] !== SPACE ? at + 1 : at;
    const quoted = first < end && bytes[first] === quote;
    const from = quoted ? closingQuote(bytes, first + 1, quote, codeOf(dialect.escape)) + 1 : at;
    const next = bytes.subarray(from, end).indexOf(delimiter);
    if (next < 0) return [...fields, { start: at, end }];
    fields.push({ start: at, end: from + next });
    at = from + next + delimiter.length;
  }
}

/** What a field says. */
export function textOf(field: string, dialect: Pick<Dialect, "delimiter" | "quote" | "escape">): string {
  const { quote, delimiter } = dialect;
  const quoted = field.startsWith(` ${quote}`) && !delimiter.startsWith(" ") ? field.slice(1) : field;
  if (quote === "" || !quoted.startsWith(quote)) return field;
  return unescaped(quoted.trimEnd().slice(quote.length, -quote.length), dialect);
}

/** Lines of records by number, kept only where they drift from it: most files need no memory. */
export class RecordLines {
  readonly #records: number[] = [];
  readonly #drifts: number[] = [];

  add(record: number, line: number): void {
    const drift = line - record;
    if (this.#drifts.at(-1) === drift) return;
    this.#records.push(record);
    this.#drifts.push(drift);
  }

  lineOf(record: number): number | undefined {
    let low = 0;
    for (let high = this.#records.length; low < high; ) {
      const middle = (low + high) >>> 1;
      if ((this.#records[middle] as number) <= record) low = middle + 1;
      else high = middle;
    }
    const drift = this.#drifts[low - 1];
    return drift === undefined ? undefined : record + drift;
  }
}

function codeOf(char: string): number {
  return char === "" ? -1 : char.charCodeAt(0);
}

function placeOf(index: number): number {
  return index < 0 ? Number.POSITIVE_INFINITY : index;
}

function startsWith(bytes: Buffer, at: number, text: Buffer): boolean {
  if (text.length === 1) return bytes[at] === text[0];
  return bytes.subarray(at, at + text.length).equals(text);
}
