// The file that is read in a source's place: the records that do not fit are written anew (json/rescue.ts), all others are copied as they are.
// Of a source that was sifted (json/sift.ts) only the former are in it: it is read beside the source, whose own lines are blanked meanwhile.

import { closeSync, openSync, writeSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import type { Treatment } from "../../../core/ports.ts";
import type { SpooledSource } from "../format.ts";
import { memberJson } from "../member-name.ts";
import type { FitReader } from "./fit.ts";
import { type JsonRecord, lineEnd, piecesOf } from "./records.ts";
import { isRescuedRow, rewritten, settle } from "./rescue.ts";
import { SEED_ROOM_BYTES, SEED_ROOM_MATTERS_BYTES } from "./seed.ts";
import type { DoubtfulLine } from "./sift.ts";

/** Ends the path of a rewritten source: what comes before is the path of the source itself. */
export const TREATED = ".treated";

/** What there is to write: all lines, those of the numbers anew, in order; or all records anew; or these lines alone. */
export type Concerned =
  | { readonly lines: readonly number[] }
  | { readonly records: AsyncIterable<readonly JsonRecord[]> }
  | { readonly some: readonly JsonRecord[] };

/** NDJSON, whatever the source is. */
export async function writeTreated(
  source: SpooledSource,
  concerned: Concerned,
  fits: FitReader,
  treatment: Treatment,
): Promise<SpooledSource> {
  const path = `${source.path}${TREATED}`;
  const place = "records" in concerned ? "row" : "line";
  const anew = ({ text, number }: JsonRecord) => {
    if (isRescuedRow(text)) return `${text}\n`;
    const fit = fits.read(text);
    const where = { file: source.source.uri, where: `${memberJson(source)}"${place}":${number}` };
    return `${rewritten(text, fit, settle(fit, treatment), where)}\n`;
  };
  const isLarge = !("some" in concerned) && source.sizeBytes >= SEED_ROOM_MATTERS_BYTES;
  const roomBytes = isLarge ? SEED_ROOM_BYTES : 0;
  const file = await open(path, "w");
  try {
    if (roomBytes > 0) await file.writeFile(Buffer.alloc(roomBytes, " ").fill("\n", roomBytes - 1));
    if ("lines" in concerned) await writeLines(file, source, concerned.lines, anew);
    else if ("some" in concerned) await file.writeFile(concerned.some.map(anew).join(""));
    else for await (const records of concerned.records) await file.writeFile(records.map(anew).join(""));
    const { size } = await file.stat();
    return { ...source, path, sizeBytes: size - roomBytes, roomBytes };
  } finally {
    await file.close();
  }
}

async function writeLines(
  file: FileHandle,
  source: SpooledSource,
  concerned: readonly number[],
  anew: (record: JsonRecord) => string,
): Promise<void> {
  let line = 0;
  let at = 0;
  for await (const { bytes } of piecesOf(source)) {
    const parts: Buffer[] = [];
    let copied = 0;
    for (let start = 0; start < bytes.length && at < concerned.length; ) {
      const end = lineEnd(bytes, start);
      if (++line === concerned[at]) {
        const text = bytes.toString("utf8", start, end).trim();
        parts.push(bytes.subarray(copied, start), Buffer.from(anew({ text, number: line })));
        copied = end;
        at++;
      }
      start = end;
    }
    const rest = bytes.subarray(copied);
    await file.writeFile(parts.length === 0 ? rest : Buffer.concat([...parts, rest]));
  }
}

/** Lines that are read elsewhere are white space while their source is read, and must be back before anything else reads it. */
export class Blanks {
  readonly #blanked = new Map<SpooledSource, readonly DoubtfulLine[]>();

  blank(source: SpooledSource, lines: readonly DoubtfulLine[]): void {
    this.#blanked.set(source, lines);
    overwrite(source, lines, (bytes) => bytes.fill(" "));
  }

  restore(): void {
    for (const [source, lines] of this.#blanked) overwrite(source, lines, (bytes) => bytes);
    this.#blanked.clear();
  }
}

/** Not by promises: to change threads costs ten times as much as to write a line. */
function overwrite(source: SpooledSource, lines: readonly DoubtfulLine[], by: (bytes: Buffer) => Buffer): void {
  const file = openSync(source.path, "r+");
  try {
    for (const { text, start } of lines) {
      const bytes = by(Buffer.from(text));
      for (let done = 0; done < bytes.length; ) done += writeSync(file, bytes, done, bytes.length - done, start + done);
    }
  } finally {
    closeSync(file);
  }
}
