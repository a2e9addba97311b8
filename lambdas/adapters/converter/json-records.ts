// The records of one JSON source in their order, with their places: NDJSON straight from its file, which knows lines; other documents by
// way of DuckDB, which takes them apart.

import { open } from "node:fs/promises";
import type { Session } from "./engine.ts";
import type { SpooledSource } from "./format.ts";
import type { JsonFiles } from "./json-files.ts";

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

/** Lines in pieces; their bytes are good until the next piece. */
export async function* linesOf(source: SpooledSource): AsyncGenerator<readonly Line[]> {
  const file = await open(source.path);
  try {
    const chunkBytes = Math.min(CHUNK_BYTES, (await file.stat()).size + 1);
    let line = 0;
    let position = source.roomBytes;
    let rest: Buffer = Buffer.alloc(0);
    for (let ended = false; !ended; ) {
      const chunk = Buffer.allocUnsafe(chunkBytes);
      const { bytesRead } = await file.read(chunk, 0, chunkBytes, position + rest.length);
      ended = bytesRead === 0;
      const bytes = Buffer.concat([rest, chunk.subarray(0, bytesRead)]);
      const lines: Line[] = [];
      let start = 0;
      for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, start)) {
        lines.push({ bytes: bytes.subarray(start, end + 1), line: ++line, byte: position - source.roomBytes + start });
        start = end + 1;
      }
      rest = bytes.subarray(start);
      position += start;
      if (ended && rest.length > 0) lines.push({ bytes: rest, line: ++line, byte: position - source.roomBytes });
      yield lines;
    }
  } finally {
    await file.close();
  }
}
