// Rows that cannot be read as rows, of one source that is being taken apart: counted against what the ingestion bears, and kept either in
// the quarantine or with their note for `_rescued_data`. They are written to a file as they are found: they may be many.

import { once } from "node:events";
import { closeSync, createWriteStream, openSync, readSync, type WriteStream } from "node:fs";
import { finished } from "node:stream/promises";
import type { BadRowPolicy } from "../../core/config.ts";
import type { SourceFailure } from "../../core/ports.ts";
import { QUARANTINE_TEXT_MAX, type QuarantineRow } from "../../core/schema/quarantine.ts";
import { failure, type SpooledSource } from "./format.ts";

export interface BadRow {
  readonly line: number;
  readonly byte: number;
  readonly reason: string;
  readonly message: string;
  readonly text: string;
}

/** A source that was taken apart: its good rows lie where it lay. */
export interface Mended {
  /** Rows in the file now. */
  readonly records: number;
  /** Rows that were found, good and bad. */
  readonly seen: number;
  readonly bad: number;
  readonly kept: KeptRows;
}

/** More are not written at once: a file may be nothing but bad rows. */
const PENDING_BYTES_MAX = 1024 * 1024;

/** JSON texts in a file, by number from 1 in the order they were kept. */
export class KeptRows {
  readonly path: string;
  readonly #ends: number[] = [];
  #out: WriteStream | undefined;
  #pending = "";
  #sizeBytes = 0;
  #file: number | undefined;

  constructor(path: string) {
    this.path = path;
  }

  get rows(): number {
    return this.#ends.length;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Returns its number. */
  keep(value: object): number {
    const text = `${JSON.stringify(value)}\n`;
    this.#pending += text;
    this.#sizeBytes += Buffer.byteLength(text);
    return this.#ends.push(this.#sizeBytes);
  }

  async flush(bytesMax = PENDING_BYTES_MAX): Promise<void> {
    if (this.#pending.length <= bytesMax) return;
    this.#out ??= createWriteStream(this.path);
    const pending = this.#pending;
    this.#pending = "";
    if (!this.#out.write(pending)) await once(this.#out, "drain");
  }

  async end(): Promise<void> {
    await this.flush(0);
    this.#out?.end();
    if (this.#out !== undefined) await finished(this.#out);
  }

  /** While a statement runs, so not a moment may be waited. */
  at(number: number): unknown {
    const end = this.#ends[number - 1];
    if (end === undefined) return undefined;
    const start = this.#ends[number - 2] ?? 0;
    this.#file ??= openSync(this.path, "r");
    const bytes = Buffer.allocUnsafe(end - start);
    readSync(this.#file, bytes, 0, bytes.length, start);
    return JSON.parse(bytes.toString("utf8")) as unknown;
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }
}

export function quarantineRow({ source, member }: SpooledSource, row: BadRow): QuarantineRow {
  const text = row.text.length > QUARANTINE_TEXT_MAX ? [...row.text.slice(0, 2 * QUARANTINE_TEXT_MAX)] : undefined;
  return {
    file: source.uri,
    member: member ?? null,
    version: source.etag,
    line: row.line,
    byte: row.byte,
    reason: row.reason,
    message: row.message,
    text: text === undefined ? row.text : text.slice(0, QUARANTINE_TEXT_MAX).join(""),
  };
}

/**
 * A file fails when more than its share of rows are bad, or when no row is good. One bad row beside good ones is always borne, unless none
 * is to be (a share of 0): a file of five rows with one bad is no worse than one of fifty.
 */
export function tooManyBadRows(
  source: SpooledSource,
  { shareMax }: BadRowPolicy,
  { bad, seen }: Pick<Mended, "bad" | "seen">,
  first: BadRow | undefined,
): SourceFailure | undefined {
  if (first === undefined || bad === 0 || shareMax >= 1) return undefined;
  const borne = shareMax === 0 ? 0 : Math.max(1, Math.floor(seen * shareMax));
  if (bad <= borne && bad < seen) return undefined;
  const message = `${bad} of ${seen} rows cannot be read, the first in line ${first.line} (${first.reason}: ${first.message}); correct the file, or raise badRowShareMax`;
  return failure(source, "TOO_MANY_BAD_ROWS", message, { line: first.line, byte: first.byte });
}
