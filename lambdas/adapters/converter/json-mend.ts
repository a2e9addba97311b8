// An NDJSON file with lines that are no records: they are blanked, so that every other line keeps its number, and are kept apart; where bad
// rows are rescued a record of ours takes the line's place.

import { isUtf8 } from "node:buffer";
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { rename } from "node:fs/promises";
import { finished } from "node:stream/promises";
import type { SourceFailure } from "../../core/ports.ts";
import { type BadRow, KeptRows, type Mended, quarantineRow, tooManyBadRows } from "./bad-rows.ts";
import type { ReaderContext, SpooledSource } from "./format.ts";
import { type Line, linesOf } from "./json-records.ts";
import { rescuedRow } from "./json-rescue.ts";
import { ShapeReader } from "./json-shape.ts";

const RECORD_BYTES_MAX = 16 * 1024 * 1024;
const MESSAGES = {
  MALFORMED_JSON: "a line is not valid JSON",
  NOT_JSON_RECORDS: "a line is no JSON object",
  DUPLICATE_KEY: "an object has the same key twice",
  INVALID_ENCODING: "a line is not UTF-8",
  RECORD_TOO_LARGE: "a record is larger than 16 MiB; split it",
} as const;
type Reason = keyof typeof MESSAGES;

/** Replaces the source's file, if its bad lines are not too many. */
export async function mendJson(
  { job, directory }: Pick<ReaderContext, "job" | "directory">,
  source: SpooledSource,
): Promise<Mended | SourceFailure> {
  const rescue = job.badRows.onBadRow === "rescue";
  const path = `${directory}/mended-${source.source.index}`;
  const kept = new KeptRows(`${directory}/bad-${source.source.index}.ndjson`);
  const out = createWriteStream(path);
  let [seen, bad] = [0, 0];
  let first: BadRow | undefined;
  const mended = (line: Line): Buffer => {
    const text = line.bytes.toString("utf8").trim();
    if (text === "") return line.bytes;
    seen++;
    const reason = reasonOf(line.bytes, text);
    if (reason === undefined) return line.bytes;
    bad++;
    const row = { line: line.line, byte: line.byte, reason, message: MESSAGES[reason], text };
    first ??= { ...row, text: "" };
    if (!rescue) {
      kept.keep(quarantineRow(source, row));
      return Buffer.from("\n");
    }
    const place = { file: source.source.uri, where: `"line":${line.line}` };
    return Buffer.from(`${rescuedRow(text, reason, place)}\n`);
  };
  if (source.roomBytes > 0) out.write(Buffer.alloc(source.roomBytes, " ").fill("\n", source.roomBytes - 1));
  for await (const piece of linesOf(source)) {
    if (!out.write(Buffer.concat(piece.map(mended)))) await once(out, "drain");
    await kept.flush();
  }
  out.end();
  await finished(out);
  await kept.end();
  const failed = tooManyBadRows(source, job.badRows, { bad, seen }, first);
  if (failed !== undefined) return failed;
  await rename(path, source.path);
  return { records: rescue ? seen : seen - bad, seen, bad, kept };
}

function reasonOf(bytes: Buffer, text: string): Reason | undefined {
  if (bytes.length > RECORD_BYTES_MAX) return "RECORD_TOO_LARGE";
  if (!isUtf8(bytes)) return "INVALID_ENCODING";
  if (!isJson(text)) return "MALFORMED_JSON";
  if (!text.startsWith("{")) return "NOT_JSON_RECORDS";
  try {
    return new ShapeReader().add(text, 0) === undefined ? undefined : "DUPLICATE_KEY";
  } catch {
    return "MALFORMED_JSON";
  }
}

/** With NaN and Infinity, which DuckDB reads and JSON does not have: any word like them is as good as a number here. */
function isJson(text: string): boolean {
  return parses(text) || (/nan|inf/i.test(text) && parses(text.replace(/-?\b(?:nan|inf(?:inity)?)\b/gi, "0")));
}

function parses(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
