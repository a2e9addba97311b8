// An NDJSON file with lines that are no records: they are blanked, so that every other line keeps its number, and are kept apart; where bad
// rows are rescued a record of ours takes the line's place.

import { isUtf8 } from "node:buffer";
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { rename } from "node:fs/promises";
import { finished } from "node:stream/promises";
import type { JsonOptions } from "../../../core/config.ts";
import type { SourceFailure } from "../../../core/ports.ts";
import { type BadRow, KeptRows, type Mended, quarantineRow, tooManyBadRows } from "../bad-rows.ts";
import type { ReaderContext, SpooledSource } from "../format.ts";
import { memberJson } from "../member-name.ts";
import { type Line, linesOf } from "./records.ts";
import { rescuedRow } from "./rescue.ts";
import { VALUE_COLUMN } from "./rewrite.ts";
import { type JsonFault, JsonScan } from "./scan.ts";
import { ShapeReader } from "./shape.ts";

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
  options: JsonOptions,
): Promise<Mended | SourceFailure> {
  const rescue = job.badRows.onBadRow === "rescue";
  const path = `${directory}/mended-${source.source.index}`;
  const kept = new KeptRows(`${directory}/bad-${source.source.index}.ndjson`);
  const out = createWriteStream(path);
  let [seen, bad] = [0, 0];
  let first: BadRow | undefined;
  const mended = (line: Line): Buffer => {
    const content = withoutSpace(line.bytes);
    if (content.length === 0) return line.bytes;
    seen++;
    const text = content.toString("utf8");
    const problem = problemOf(line.bytes, text, options);
    if (problem === undefined) return line.bytes;
    bad++;
    const { reason, message = MESSAGES[reason] } = problem;
    const row = { line: line.line, byte: line.byte, reason, message, text };
    first ??= { ...row, text: "" };
    if (!rescue) {
      kept.keep(quarantineRow(source, row));
      return Buffer.from("\n");
    }
    const place = { file: source.source.uri, where: `${memberJson(source)}"line":${line.line}` };
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

interface Problem {
  readonly reason: Reason;
  readonly message?: string;
}

/** By the letter of the standard: DuckDB takes more than that, and says nothing of it. */
function problemOf(bytes: Buffer, text: string, { values, duplicateKeys }: JsonOptions): Problem | undefined {
  if (bytes.length > RECORD_BYTES_MAX) return { reason: "RECORD_TOO_LARGE" };
  if (!isUtf8(bytes)) return { reason: "INVALID_ENCODING" };
  const fault = faultOf(bytes);
  if (fault !== undefined) {
    const message = `${MESSAGES.MALFORMED_JSON}: ${fault.problem} (byte ${fault.byte} of it)`;
    return { reason: "MALFORMED_JSON", message };
  }
  const isObject = text.startsWith("{");
  if (!isObject && values !== true) return { reason: "NOT_JSON_RECORDS" };
  if (duplicateKeys === "last") return undefined;
  const twice = new ShapeReader().add(isObject ? text : `{${JSON.stringify(VALUE_COLUMN)}:${text}}`);
  return twice === undefined ? undefined : { reason: "DUPLICATE_KEY" };
}

function faultOf(line: Buffer): JsonFault | undefined {
  const scan = new JsonScan("lines");
  scan.add(line);
  scan.end();
  return scan.fault;
}

/** White space as JSON has it: a form feed is none. */
function withoutSpace(line: Buffer): Buffer {
  let [start, end] = [0, line.length];
  while (start < end && isSpace(line[start] as number)) start++;
  while (end > start && isSpace(line[end - 1] as number)) end--;
  return line.subarray(start, end);
}

function isSpace(byte: number): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}
