// Whether a CSV file may end inside of quotes. Where DuckDB gives a file to one thread (`parallel = false`, and always when a scan has more
// than two files per thread) it drops such a last record, and all rows it has swallowed, without a word (measured on 1.5.5): such a file is
// read alone, which raises an error.

import { open } from "node:fs/promises";
import type { Dialect } from "./records.ts";
import { eachRecord } from "./records.ts";

const BLOCK_BYTES = 256 * 1024;
const SPACE = 0x20;
const LF = 0x0a;
const CR = 0x0d;

/** Few files need more than a look at their last quote. */
export async function mayEndInQuotes(path: string, dialect: Dialect): Promise<boolean> {
  if (dialect.quote === "" || (await isClosed(path, dialect))) return false;
  let broken = false;
  await eachRecord(path, dialect, (_, record) => {
    broken ||= record.broken;
  });
  return broken;
}

/** There is no quote, or the last one closes a field: a delimiter or an end follows it, and what comes before could neither open nor escape. */
async function isClosed(path: string, dialect: Dialect): Promise<boolean> {
  const quote = dialect.quote.charCodeAt(0);
  const delimiter = Buffer.from(dialect.delimiter);
  const file = await open(path);
  try {
    const { size } = await file.stat();
    for (let end = size; end > 0; end -= BLOCK_BYTES) {
      const start = Math.max(0, end - BLOCK_BYTES);
      // With room for what stands around the quote.
      const from = Math.max(0, start - 1);
      const block = Buffer.alloc(Math.min(size, end + delimiter.length) - from);
      await file.read(block, 0, block.length, from);
      const at = block.lastIndexOf(quote);
      if (at < 0) continue;
      const before = block[at - 1];
      const opens = [undefined, quote, dialect.escape.charCodeAt(0), delimiter.at(-1), SPACE, LF, CR].includes(before);
      const after = block[at + 1];
      const last = from + at + 1 === size;
      return !opens && (last || after === LF || after === CR || block.subarray(at + 1).indexOf(delimiter) === 0);
    }
    return true;
  } finally {
    await file.close();
  }
}
