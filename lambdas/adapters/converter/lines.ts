// Where in a file a record is, for messages only: guilty files are read once more, here, because DuckDB counts records and not lines
// once a field may hold line breaks, and names the line after the one where JSON is broken.

import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";

export interface Quoting {
  readonly quote: string;
  readonly escape: string;
  readonly comment?: string;
}

/**
 * The physical line (from 1) on which the `nth` CSV record (from 1, the header is one) after `skip` lines starts, blank and commented
 * lines left out.
 */
export async function lineOfRecord(
  path: string,
  nth: number,
  skip: number,
  quoting: Quoting,
): Promise<number | undefined> {
  const [quote, escaping, comment] = [quoting.quote, quoting.escape, quoting.comment].map((char) =>
    char?.charCodeAt(0),
  );
  let line = 1;
  let record = 0;
  let quoted = false;
  let atStart = true;
  let skipping = false;
  let previous = 0;
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 })) {
    for (const byte of chunk as Uint8Array) {
      const newline = byte === 0x0a || byte === 0x0d;
      if (newline && !(byte === 0x0a && previous === 0x0d)) line++;
      if (line <= skip || (newline && line === skip + 1)) {
        atStart = true;
      } else if (newline && !quoted) {
        atStart = true;
        skipping = false;
      } else if (!newline && !skipping) {
        if (atStart) {
          skipping = byte === comment;
          if (!skipping && ++record === nth) return line;
          atStart = false;
        }
        // A doubled quote closes and opens again.
        if (!skipping && byte === quote && (previous !== escaping || escaping === quote)) quoted = !quoted;
      }
      previous = byte;
    }
  }
  return undefined;
}

/** The first line (from 1) of an NDJSON file that `isBad`; `blankLines` at the start are the spool's own and are not counted. */
export async function firstBadLine(
  path: string,
  blankLines: number,
  isBad: (line: string) => boolean,
): Promise<number | undefined> {
  const lines = createInterface({ input: createReadStream(path), crlfDelay: Number.POSITIVE_INFINITY });
  let number = -blankLines;
  try {
    for await (const line of lines) {
      number++;
      if (number > 0 && line.trim() !== "" && isBad(line)) return number;
    }
  } finally {
    lines.close();
  }
  return undefined;
}

export function isMalformed(line: string): boolean {
  try {
    JSON.parse(line);
    return false;
  } catch {
    return true;
  }
}
