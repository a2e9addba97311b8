// Of a large NDJSON file the few records that may not fit the table: only they are looked at value by value. What the others are is known
// from the pattern they were taken by (json/pattern.ts).
// A file whose lines are not alike, or of which anything could be unsound, is not sifted: then DuckDB splits it and every record is read.

import { isUtf8 } from "node:buffer";
import type { NestedField } from "../../../core/iceberg/types.ts";
import type { SpooledSource } from "../format.ts";
import { LinePattern } from "./pattern.ts";
import { type JsonRecord, lineEnd, type Piece, piecesOf } from "./records.ts";

/** Below it learning costs more than it saves. */
export const SIFT_BYTES_MIN = 1024 * 1024;
const LEARNED_FROM = 200;
const DOUBTFUL_SHARE_MAX = 0.1;
/** Longer ones would overflow the stack of V8's expressions. */
const LINE_LENGTH_MAX = 64 * 1024;
/** DuckDB's own limit, and something to spare. */
const RECORD_BYTES_MAX = 15 * 1024 * 1024;
/** Of all sources together: so much is kept in memory. */
const DOUBTFUL_LENGTH_MAX = 32 * 1024 * 1024;
const HALF_PAIR = /\\u[dD][89a-fA-F]/;

export interface Sifted {
  readonly records: number;
  readonly pattern: LinePattern;
  /** Rows of ours (json/mend.ts) among them. */
  readonly doubtful: readonly DoubtfulLine[];
}

export interface DoubtfulLine extends JsonRecord {
  /** Of the record, in the file as it lies there. */
  readonly start: number;
}

/** Keeps what it found until the source is written anew. */
export class Sieve {
  readonly #sifted = new Map<SpooledSource, { readonly columns: string; readonly outcome: Sifted | undefined }>();
  #length = 0;

  /** `columns`: under the keys that the records have for them. Undefined: all records have to be looked at. */
  async sift(source: SpooledSource, columns: readonly NestedField[]): Promise<Sifted | undefined> {
    if (source.sizeBytes < SIFT_BYTES_MIN) return undefined;
    const key = JSON.stringify(columns);
    const known = this.#sifted.get(source);
    if (known?.columns === key) return known.outcome;
    this.forget(source);
    const outcome = await siftLines(source, columns, DOUBTFUL_LENGTH_MAX - this.#length);
    this.#length += lengthOf(outcome);
    this.#sifted.set(source, { columns: key, outcome });
    return outcome;
  }

  has(source: SpooledSource, columns: readonly NestedField[]): boolean {
    const known = this.#sifted.get(source);
    return known?.outcome !== undefined && known.columns === JSON.stringify(columns);
  }

  forget(source: SpooledSource): void {
    this.#length -= lengthOf(this.#sifted.get(source)?.outcome);
    this.#sifted.delete(source);
  }
}

function lengthOf(sifted: Sifted | undefined): number {
  return sifted?.doubtful.reduce((sum, { text }) => sum + text.length, 0) ?? 0;
}

async function siftLines(
  source: SpooledSource,
  columns: readonly NestedField[],
  lengthMax: number,
): Promise<Sifted | undefined> {
  const sift = new Sift(columns, lengthMax);
  for await (const piece of piecesOf(source)) if (!sift.add(piece)) return undefined;
  return sift.outcome;
}

class Sift {
  readonly #columns: readonly NestedField[];
  readonly #doubtful: DoubtfulLine[] = [];
  #pattern: LinePattern | undefined;
  #records = 0;
  #line = 0;
  #lengthLeft: number;

  constructor(columns: readonly NestedField[], lengthMax: number) {
    this.#columns = columns;
    this.#lengthLeft = lengthMax;
  }

  get outcome(): Sifted | undefined {
    return this.#pattern && { records: this.#records, pattern: this.#pattern, doubtful: this.#doubtful };
  }

  /** false: it is not worth going on, or the file may be unsound. */
  add({ bytes, position }: Piece): boolean {
    if (!isUtf8(bytes)) return false;
    const text = bytes.toString("latin1");
    this.#pattern ??= LinePattern.learn(this.#columns, firstLines(text));
    if (this.#pattern === undefined) return false;
    const pattern = this.#pattern.line;
    for (let start = 0; start < text.length; ) {
      const end = lineEnd(text, start);
      this.#line++;
      pattern.lastIndex = start;
      if (end - start <= LINE_LENGTH_MAX && pattern.test(text)) this.#records++;
      else if (!this.#doubt(bytes.subarray(start, end), position + start)) return false;
      start = end;
    }
    return this.#doubtful.length <= LEARNED_FROM + this.#records * DOUBTFUL_SHARE_MAX;
  }

  #doubt(bytes: Buffer, start: number): boolean {
    const line = bytes.toString("utf8");
    const text = line.trim();
    if (text === "") return true;
    this.#records++;
    this.#lengthLeft -= text.length;
    this.#doubtful.push({ text, number: this.#line, start: start + line.indexOf("{") });
    return this.#lengthLeft >= 0 && isSound(line);
  }
}

function firstLines(text: string): string[] {
  const lines: string[] = [];
  for (let start = 0; start < text.length && lines.length < LEARNED_FROM; ) {
    const end = lineEnd(text, start);
    if (end - start <= LINE_LENGTH_MAX) lines.push(text.slice(start, end).trim());
    start = end;
  }
  return lines;
}

/** Whether DuckDB takes it for certain. */
function isSound(text: string): boolean {
  if (!/^[ \t\r]*\{/.test(text) || text.length > RECORD_BYTES_MAX || HALF_PAIR.test(text)) return false;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
