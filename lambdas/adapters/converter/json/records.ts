// The records of one JSON source in their order, with their places: NDJSON straight from its file, which knows lines; other documents by
// way of DuckDB, which takes them apart.

import { open } from "node:fs/promises";
import type { Session } from "../engine.ts";
import type { SpooledSource } from "../format.ts";
import type { JsonFiles } from "./files.ts";

export interface JsonRecord {
  readonly text: string;
  /** From 1: the physical line of NDJSON, else the record's number. */
  readonly number: number;
}

const CHUNK_BYTES = 1024 * 1024;
const NEWLINE = 0x0a;

/** Records in pieces. Blank lines are none. */
export async function* jsonRecords(
  session: Session,
  files: JsonFiles,
  source: SpooledSource,
  lines: boolean,
): AsyncGenerator<readonly JsonRecord[]> {
  if (lines) {
    for await (const piece of linesOf(source)) {
      yield piece.flatMap(({ bytes, line }) => {
        const text = bytes.toString("utf8").trim();
        return text === "" ? [] : [{ text, number: line }];
      });
    }
    return;
  }
  let number = 0;
  for (const query of files.records([source])) {
    for await (const rows of session.stream(query)) {
      yield (rows as [string | null][]).map(([text]) => ({ text: text ?? "null", number: ++number }));
    }
  }
}

export interface Line {
  /** With its line end. */
  readonly bytes: Buffer;
  /** From 1. The blank line that the spool put before the first is not counted. */
  readonly line: number;
  /** Where it starts in the file as it was received. */
  readonly byte: number;
}

/** Whole lines. */
export interface Piece {
  /** Good until the next piece. */
  readonly bytes: Buffer;
  /** Where it starts in the file as it lies there. */
  readonly position: number;
}

/** About a mebibyte at a time. */
export async function* piecesOf(source: SpooledSource): AsyncGenerator<Piece> {
  const file = await open(source.path);
  try {
    let buffer = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, (await file.stat()).size + 1));
    let position = source.roomBytes;
    let held = 0;
    for (;;) {
      if (held === buffer.length) buffer = Buffer.concat([buffer], 2 * held);
      const { bytesRead } = await file.read(buffer, held, buffer.length - held, position + held);
      const filled = held + bytesRead;
      const end = bytesRead === 0 ? filled : buffer.subarray(0, filled).lastIndexOf(NEWLINE) + 1;
      if (end > 0) yield { bytes: buffer.subarray(0, end), position };
      if (bytesRead === 0) return;
      buffer.copyWithin(0, end, filled);
      held = filled - end;
      position += end;
    }
  } finally {
    await file.close();
  }
}

/** Lines in pieces; their bytes are good until the next piece. */
export async function* linesOf(source: SpooledSource): AsyncGenerator<readonly Line[]> {
  let line = 0;
  for await (const { bytes, position } of piecesOf(source)) {
    const lines: Line[] = [];
    for (let start = 0; start < bytes.length; ) {
      const end = lineEnd(bytes, start);
      lines.push({ bytes: bytes.subarray(start, end), line: ++line, byte: position - source.roomBytes + start });
      start = end;
    }
    yield lines;
  }
}

/** Behind the line that starts there. */
export function lineEnd(bytes: Buffer | string, start: number): number {
  const end = typeof bytes === "string" ? bytes.indexOf("\n", start) : bytes.indexOf(NEWLINE, start);
  return end < 0 ? bytes.length : end + 1;
}
