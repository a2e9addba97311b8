// Rows with more fields than the header, the last ones empty: DuckDB drops empty fields at the end without a word, also where a delimiter
// too many has moved every value behind it by one column (`1,,2,` under `a,b,c`), or one too few has moved the names (`ab,c` over `1,2,`).
// Such a row gets a space in its last field (where spaces delimit, a dash), and so is one with too many fields to DuckDB as well. Nobody else
// sees the mark: before a row is looked at by anyone but DuckDB it is taken out again.

import { createReadStream, createWriteStream } from "node:fs";
import { rename } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import type { CsvOptions } from "./header.ts";

const CHUNK_BYTES = 1024 * 1024;
const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;

/** `from`: where the rows start. `width`: fields of the header. `head`: the first bytes, `whole` if they are all. Returns where marks were set. */
export async function markExcess(
  path: string,
  head: Buffer,
  whole: boolean,
  from: number,
  width: number,
  options: CsvOptions,
): Promise<readonly number[]> {
  const delimiter = Buffer.from(options.delimiter);
  const lineEnd = head.includes(LF) ? LF : CR;
  if (
    whole
      ? !endsSomeLine(Buffer.concat([head, Buffer.from([lineEnd])]), delimiter, lineEnd)
      : !(await endsSomeLineOf(path, delimiter, lineEnd))
  )
    return [];
  const scan = new ExcessScan(options, width, lineEnd, from);
  if (whole) scan.feed(head.subarray(from), true);
  else await scanFile(scan, path, from);
  const { places } = scan;
  await insertMarks(path, places, options.delimiter.includes(" ") ? "-" : " ");
  return places;
}

/** `mark`: one byte. */
export async function insertMarks(path: string, places: readonly number[], mark: string): Promise<void> {
  if (places.length > 0) await rewrite(path, (chunks) => marked(chunks, places, mark));
}

/** Where a byte of the marked file is in the one that came. */
export function unmarkedByte(byte: number, places: readonly number[]): number {
  let marks = 0;
  while (marks < places.length && (places[marks] as number) + marks < byte) marks++;
  return byte - marks;
}

/** The file is again what it was. `places`: where marks were inserted. */
export async function removeMarks(path: string, places: readonly number[]): Promise<void> {
  if (places.length > 0) await rewrite(path, (chunks) => unmarked(chunks, places));
}

async function rewrite(path: string, change: (chunks: AsyncIterable<Buffer>) => AsyncIterable<Buffer>): Promise<void> {
  const changed = `${path}.changed`;
  await pipeline(createReadStream(path, { highWaterMark: CHUNK_BYTES }), change, createWriteStream(changed));
  await rename(changed, path);
}

/** Few files have a line that ends with a delimiter, and the others need no closer look. */
function endsSomeLine(bytes: Buffer, delimiter: Buffer, lineEnd: number): boolean {
  const last = delimiter[delimiter.length - 1];
  for (let at = bytes.indexOf(lineEnd); at >= 0; at = bytes.indexOf(lineEnd, at + 1)) {
    if (bytes[bytes[at - 1] === CR ? at - 2 : at - 1] === last) return true;
  }
  return false;
}

async function endsSomeLineOf(path: string, delimiter: Buffer, lineEnd: number): Promise<boolean> {
  let tail: Buffer = Buffer.alloc(0);
  for await (const chunk of createReadStream(path, { highWaterMark: CHUNK_BYTES })) {
    const seam = Buffer.concat([tail, (chunk as Buffer).subarray(0, 2)]);
    if (endsSomeLine(seam, delimiter, lineEnd) || endsSomeLine(chunk as Buffer, delimiter, lineEnd)) return true;
    tail = Buffer.concat([tail, (chunk as Buffer).subarray(-2)]).subarray(-2);
  }
  return endsSomeLine(Buffer.concat([tail, Buffer.from([lineEnd])]), delimiter, lineEnd);
}

async function scanFile(scan: ExcessScan, path: string, from: number): Promise<void> {
  for await (const chunk of createReadStream(path, { start: from, highWaterMark: CHUNK_BYTES })) {
    scan.feed(chunk as Buffer, false);
  }
  scan.feed(Buffer.alloc(0), true);
}

async function* marked(chunks: AsyncIterable<Buffer>, places: readonly number[], mark: string): AsyncGenerator<Buffer> {
  let start = 0;
  let next = 0;
  for await (const chunk of chunks) {
    let at = 0;
    for (; next < places.length && (places[next] as number) < start + chunk.length; next++) {
      const end = (places[next] as number) - start;
      yield chunk.subarray(at, end);
      yield Buffer.from(mark);
      at = end;
    }
    yield chunk.subarray(at);
    start += chunk.length;
  }
  if (next < places.length) yield Buffer.from(mark);
}

/** Every mark before has moved the next one by a byte. */
async function* unmarked(chunks: AsyncIterable<Buffer>, places: readonly number[]): AsyncGenerator<Buffer> {
  let start = 0;
  let next = 0;
  for await (const chunk of chunks) {
    let at = 0;
    for (; next < places.length && (places[next] as number) + next < start + chunk.length; next++) {
      const mark = (places[next] as number) + next - start;
      yield chunk.subarray(at, mark);
      at = mark + 1;
    }
    yield chunk.subarray(at);
    start += chunk.length;
  }
}

/** Fed with the bytes of the rows, one chunk after the other. Lines without a quote that end in a value cost one search for their end. */
class ExcessScan {
  readonly #width: number;
  readonly #lineEnd: number;
  readonly #delimiter: Buffer;
  readonly #quote: number;
  readonly #escape: number;
  readonly #comment: number;
  /** Where a mark makes each such row one that DuckDB refuses. */
  readonly places: number[] = [];
  #offset: number;
  #held: Buffer = Buffer.alloc(0);
  /** Of a record that goes on in the next line: delimiters so far, or undefined. */
  #open: number | undefined;

  constructor(options: CsvOptions, width: number, lineEnd: number, from: number) {
    this.#width = width;
    this.#lineEnd = lineEnd;
    this.#delimiter = Buffer.from(options.delimiter);
    this.#quote = byteOf(options.quote);
    this.#escape = byteOf(options.escape);
    this.#comment = byteOf(options.comment);
    this.#offset = from;
  }

  feed(chunk: Buffer, last: boolean): void {
    const bytes = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    let quote = this.#next(bytes, 0);
    let start = 0;
    for (;;) {
      const found = bytes.indexOf(this.#lineEnd, start);
      if (found < 0 && !(last && start < bytes.length)) break;
      const next = found < 0 ? bytes.length : found;
      const end = this.#lineEnd === LF && bytes[next - 1] === CR && next > start ? next - 1 : next;
      if (quote < start) quote = this.#next(bytes, start);
      this.#line(bytes, start, end, quote < end);
      start = next + 1;
      if (found < 0) break;
    }
    this.#offset += Math.min(start, bytes.length);
    this.#held = bytes.subarray(Math.min(start, bytes.length));
  }

  #next(bytes: Buffer, from: number): number {
    const found = this.#quote < 0 ? -1 : bytes.indexOf(this.#quote, from);
    return found < 0 ? Number.POSITIVE_INFINITY : found;
  }

  #line(bytes: Buffer, start: number, end: number, quotes: boolean): void {
    const fresh = this.#open === undefined;
    if (fresh && (start === end || bytes[start] === this.#comment)) return;
    if (!fresh || quotes) this.#quotedLine(bytes, start, end);
    else if (this.#endsWithDelimiter(bytes, start, end) && this.#count(bytes, start, end) >= this.#width)
      this.places.push(this.#offset + end);
  }

  #endsWithDelimiter(bytes: Buffer, start: number, end: number): boolean {
    const { length } = this.#delimiter;
    for (let at = 1; at <= length; at++) if (bytes[end - at] !== this.#delimiter[length - at]) return false;
    return end - start >= length;
  }

  #count(bytes: Buffer, start: number, end: number): number {
    let count = 0;
    if (this.#delimiter.length === 1) {
      const delimiter = this.#delimiter[0];
      for (let at = start; at < end; at++) if (bytes[at] === delimiter) count++;
      return count;
    }
    for (let at = bytes.indexOf(this.#delimiter, start); at >= 0 && at < end; count++)
      at = bytes.indexOf(this.#delimiter, at + this.#delimiter.length);
    return count;
  }

  /** Byte by byte: a delimiter counts only outside of quotes. */
  #quotedLine(bytes: Buffer, start: number, end: number): void {
    let count = this.#open ?? 0;
    let quoted = this.#open !== undefined;
    let emptySoFar = !quoted;
    for (let at = start; at < end; at++) {
      const byte = bytes[at];
      if (quoted) {
        const [next, isLast] = [bytes[at + 1], at + 1 >= end];
        if (byte === this.#escape && !isLast && (next === this.#quote || next === this.#escape)) at++;
        else if (byte === this.#quote) quoted = false;
      } else if (byte === this.#quote && emptySoFar) {
        quoted = true;
        emptySoFar = false;
      } else if (this.#startsDelimiter(bytes, at, end)) {
        count++;
        at += this.#delimiter.length - 1;
        emptySoFar = true;
      } else if (byte !== SPACE) emptySoFar = false;
    }
    this.#open = quoted ? count : undefined;
    const excess = !quoted && emptySoFar && count >= this.#width && this.#endsWithDelimiter(bytes, start, end);
    if (excess) this.places.push(this.#offset + end);
  }

  #startsDelimiter(bytes: Buffer, at: number, end: number): boolean {
    for (let i = 0; i < this.#delimiter.length; i++) if (bytes[at + i] !== this.#delimiter[i]) return false;
    return at + this.#delimiter.length <= end;
  }
}

/** -1: none, which no byte is. */
function byteOf(char: string | undefined): number {
  return char === undefined || char === "" ? -1 : char.charCodeAt(0);
}
