// A CSV file with rows that DuckDB cannot read, taken apart once more: its good rows are written anew, byte for byte, its bad rows are kept
// apart. Where bad rows are rescued every row gets one more field, which is empty or names what is kept of a bad one, and the fields of a bad
// row that can be told are in their columns.

import { isUtf8 } from "node:buffer";
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { rename } from "node:fs/promises";
import { finished } from "node:stream/promises";
import type { BadRowPolicy, FixedColumn } from "../../../core/config.ts";
import type { SourceFailure } from "../../../core/ports.ts";
import { type BadRow, KeptRows, type Mended, quarantineRow, tooManyBadRows } from "../bad-rows.ts";
import type { SpooledSource } from "../format.ts";
import { ownName } from "../own-name.ts";
import { inQuotes, readBroken } from "./broken.ts";
import { doubleEscapes } from "./escapes.ts";
import { divideLine, FIXED_MESSAGES } from "./fixed.ts";
import {
  type CsvRecord,
  type Dialect,
  eachRecord,
  fieldsOf,
  RECORD_BYTES_MAX,
  RecordLines,
  textOf,
} from "./records.ts";

export interface MendedCsv extends Mended {
  readonly lines: RecordLines;
}

/** What `_rescued_data` has of a bad row, as JSON members. */
export interface Note {
  readonly row?: string;
  readonly values?: string;
  readonly reasons: string;
}

/** Before the number of a bad row in its additional field: no number of the file's own is taken for one, nor for a null. */
export const NOTE_PREFIX = ownName("bad");

const MESSAGES = {
  ROW_TOO_SHORT: "a row has fewer fields than the header",
  ROW_TOO_LONG: "a row has more fields than the header; quote fields that hold the delimiter",
  MALFORMED_QUOTES: "a quoted field does not end properly; double quotes inside quoted fields",
  LINE_TOO_LONG: "a row is longer than 16 MiB",
  INVALID_ENCODING: "a row is not UTF-8; set the format's encoding",
} as const;
type Reason = keyof typeof MESSAGES;

export interface Mending {
  readonly source: SpooledSource;
  readonly dialect: Dialect;
  readonly columns: number;
  readonly header: boolean;
  /** Of lines with columns of fixed width, which are written as CSV. */
  readonly layout?: readonly FixedColumn[];
  readonly policy: BadRowPolicy;
  /** For what is written beside the source. */
  readonly directory: string;
}

/** Replaces the source's file, if its bad rows are not too many. */
export async function mendCsv(mending: Mending): Promise<MendedCsv | SourceFailure> {
  const { source, dialect, policy } = mending;
  const parts = new Parts(mending);
  let skip = mending.header;
  const visit = (bytes: Buffer, record: CsvRecord) => {
    if (skip) skip = false;
    else parts.add(bytes, record);
  };
  await eachRecord(source.path, dialect, visit, () => parts.flush());
  await parts.end();
  const { bad, seen, first } = parts;
  const failed = tooManyBadRows(source, policy, { bad, seen }, first);
  if (failed !== undefined) return failed;
  await doubleEscapes(parts.path, { ...dialect, linesBefore: 0 });
  await rename(parts.path, source.path);
  return { records: parts.written, seen, bad, kept: parts.kept, lines: parts.lines };
}

/** The two heaps. */
class Parts {
  readonly path: string;
  readonly kept: KeptRows;
  readonly lines = new RecordLines();
  readonly #mending: Mending;
  readonly #out: ReturnType<typeof createWriteStream>;
  #pending: Buffer[] = [];
  #pendingBytes = 0;
  seen = 0;
  bad = 0;
  written = 0;
  first: BadRow | undefined;

  constructor(mending: Mending) {
    this.#mending = mending;
    const { index } = mending.source.source;
    this.path = `${mending.directory}/mended-${index}`;
    this.kept = new KeptRows(`${mending.directory}/bad-${index}.ndjson`);
    this.#out = createWriteStream(this.path);
  }

  add(bytes: Buffer, record: CsvRecord): void {
    const { dialect, policy, source, layout } = this.#mending;
    this.seen++;
    const row = bytes.subarray(record.start, record.end);
    const { fields, reason, message } = divide(bytes, record, this.#mending);
    const rescue = policy.onBadRow === "rescue";
    if (reason === undefined) {
      const written = layout === undefined ? row : Buffer.from(joined(fields, dialect));
      this.#write(
        record.line,
        rescue ? [endedApart(written, fields, dialect), Buffer.from(dialect.delimiter)] : [written],
      );
      return;
    }
    this.bad++;
    const place = { line: record.line, byte: record.byte, reason, message };
    this.first ??= { ...place, text: "" };
    if (rescue) this.#rescue(record.line, row, fields, reason);
    else this.kept.keep(quarantineRow(source, { ...place, text: row.toString("utf8") }));
  }

  #rescue(line: number, row: Buffer, fields: readonly Buffer[], reason: Reason): void {
    const { columns, dialect, layout } = this.#mending;
    const extra = fields.slice(columns).map((field) => textOf(field.toString("utf8"), dialect));
    // Of a line that ends inside of a column nothing but the line has that piece.
    const divided = reason === "ROW_TOO_LONG" || (reason === "ROW_TOO_SHORT" && layout === undefined);
    const number = this.kept.keep(noteOf(reason, divided ? extra : row.toString("utf8")));
    const own = ownFields(row, fields, reason, this.#mending).map((field) => apart(field, dialect));
    const kept = [...own, ...Array<string>(columns - own.length).fill(""), `${NOTE_PREFIX}${number}`];
    this.#write(line, [Buffer.from(kept.join(dialect.delimiter))]);
  }

  async flush(): Promise<void> {
    if (this.#pendingBytes > 0) {
      const pending = Buffer.concat(this.#pending);
      this.#pending = [];
      this.#pendingBytes = 0;
      if (!this.#out.write(pending)) await once(this.#out, "drain");
    }
    await this.kept.flush();
  }

  async end(): Promise<void> {
    await this.flush();
    this.#out.end();
    await finished(this.#out);
    await this.kept.end();
  }

  #write(line: number, parts: readonly Buffer[]): void {
    this.lines.add(++this.written, line);
    for (const part of [...parts, NEWLINE]) {
      this.#pending.push(part);
      this.#pendingBytes += part.length;
    }
  }
}

const NEWLINE = Buffer.from("\n");

interface Divided {
  readonly fields: readonly Buffer[];
  readonly reason?: Reason;
  readonly message: string;
}

function divide(bytes: Buffer, record: CsvRecord, { dialect, columns, layout }: Mending): Divided {
  const row = bytes.subarray(record.start, record.end);
  const apart = !record.broken && row.length <= RECORD_BYTES_MAX;
  if (layout !== undefined && apart && isUtf8(row)) {
    const { fields, rest, bad } = divideLine(row.toString("utf8"), layout);
    const all = bad === "ROW_TOO_LONG" ? [...fields, rest] : fields;
    const told = bad === undefined ? { message: "" } : { reason: bad, message: FIXED_MESSAGES[bad] };
    return { fields: all.map((field) => Buffer.from(field)), ...told };
  }
  const fields =
    apart && layout === undefined
      ? fieldsOf(bytes, record, dialect).map(({ start, end }) => bytes.subarray(start, end))
      : [];
  const reason = reasonOf(record, row, fields.length, columns);
  return { fields, ...(reason === undefined ? { message: "" } : { reason, message: MESSAGES[reason] }) };
}

function joined(fields: readonly Buffer[], { delimiter }: Dialect): string {
  return fields.map((field) => field.toString("utf8")).join(delimiter);
}

/** A row that one more delimiter follows. */
function endedApart(row: Buffer, fields: readonly Buffer[], dialect: Dialect): Buffer {
  const last = fields.at(-1) as Buffer;
  if (dialect.delimiter.length === 1 || !endsInDelimiter(last.toString("utf8"), dialect)) return row;
  const before = row.subarray(0, row.length - last.length);
  return Buffer.concat([before, Buffer.from(apart(last.toString("utf8"), dialect))]);
}

/** A field that a delimiter follows: `a|` before `||` would be read as `a` and a field that starts with `|`. */
function apart(field: string, dialect: Dialect): string {
  return endsInDelimiter(field, dialect) ? inQuotes(field, dialect) : field;
}

/** With what a delimiter of several characters begins with, so that it would be found too early. */
function endsInDelimiter(field: string, { delimiter }: Dialect): boolean {
  const end = field.slice(-delimiter.length);
  return delimiter.length > 1 && (end + delimiter).indexOf(delimiter) < end.length;
}

/** What a bad row has for the columns, from the first on, as it is written. What is no UTF-8 is for none. */
function ownFields(row: Buffer, fields: readonly Buffer[], reason: Reason, mending: Mending): readonly string[] {
  const { columns, dialect } = mending;
  if (reason === "MALFORMED_QUOTES" && isUtf8(row)) {
    return readBroken(row.toString("utf8"), dialect, columns) ?? [];
  }
  if (reason === "INVALID_ENCODING" && fields.length !== columns) return [];
  return fields.slice(0, columns).map((field) => (isUtf8(field) ? field.toString("utf8") : ""));
}

function reasonOf(record: CsvRecord, row: Buffer, fields: number, columns: number): Reason | undefined {
  if (record.broken) return "MALFORMED_QUOTES";
  if (row.length > RECORD_BYTES_MAX) return "LINE_TOO_LONG";
  if (!isUtf8(row)) return "INVALID_ENCODING";
  if (fields < columns) return "ROW_TOO_SHORT";
  return fields > columns ? "ROW_TOO_LONG" : undefined;
}

/** `kept`: the fields beyond the header's, or the whole row. */
function noteOf(reason: Reason, kept: readonly string[] | string): Note {
  const reasons = `"*":${JSON.stringify(reason)}`;
  if (typeof kept === "string") return { row: `"row":${JSON.stringify(kept)}`, reasons };
  return kept.length === 0 ? { reasons } : { values: `"_extra":${JSON.stringify(kept)}`, reasons };
}
