// Where in a file a record is, for messages only: guilty files are read once more, here, because DuckDB counts records and not lines
// once a field may hold line breaks, and names the line after the one where JSON is broken.

import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";

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
