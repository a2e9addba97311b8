// What stands before and after the rows of a CSV file and is no row, taken out of the file in the work directory: DuckDB has no option for
// lines at the end, and a lone quote in a line that it should skip would take rows with it.

import { type FileHandle, open } from "node:fs/promises";

const BLOCK_BYTES = 64 * 1024;
const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const DASH = 0x2d;

/** The last bytes of a file. */
export async function tailOf(path: string, bytes: number): Promise<Buffer> {
  const file = await open(path, "r");
  try {
    const { size } = await file.stat();
    return await readAt(file, Math.max(0, size - bytes), Math.min(size, bytes));
  } finally {
    await file.close();
  }
}

/** Cuts the last `lines` lines off, blank ones not counted. False, and nothing is done, where that would reach into the first `keepBytes`. */
export async function cutLines(path: string, lines: number, keepBytes: number): Promise<boolean> {
  const file = await open(path, "r+");
  try {
    const cut = await startOfLast(file, lines);
    if (cut === undefined || cut < keepBytes) return false;
    await file.truncate(cut);
    return true;
  } finally {
    await file.close();
  }
}

/** Where the last `lines` lines start: read backwards, so that a large file is not read whole. */
async function startOfLast(file: FileHandle, lines: number): Promise<number | undefined> {
  let end = (await file.stat()).size;
  let found = 0;
  let filled = false;
  while (end > 0) {
    const start = Math.max(0, end - BLOCK_BYTES);
    const block = await readAt(file, start, end - start);
    for (let at = block.length - 1; at >= 0; at--) {
      const byte = block[at];
      if (byte !== LF && byte !== CR) filled = true;
      else if (filled) {
        filled = false;
        if (++found === lines) return start + at + 1;
      }
    }
    end = start;
  }
  return filled && found + 1 === lines ? 0 : undefined;
}

/** Makes spaces of the first bytes, line ends excepted. */
export function blankOut(path: string, bytes: number): Promise<void> {
  return change(path, 0, bytes, (byte) => (byte === LF || byte === CR ? byte : SPACE));
}

/** Makes dashes of a character of one byte. */
export function overwrite(path: string, char: string, from: number, to: number): Promise<void> {
  const code = char.charCodeAt(0);
  return change(path, from, to, (byte) => (byte === code ? DASH : byte));
}

async function change(path: string, from: number, to: number, instead: (byte: number) => number): Promise<void> {
  const file = await open(path, "r+");
  try {
    const block = (await readAt(file, from, to - from)).map(instead);
    await file.write(block, 0, block.length, from);
  } finally {
    await file.close();
  }
}

async function readAt(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await file.read(buffer, filled, length - filled, position + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return buffer.subarray(0, filled);
}
