// What DuckDB cannot be told of JSON, told by the file itself, written anew in the work directory: records that are no objects become
// objects with the one key `value`; of a key that an object has twice only the last is left. The rest stays as it is, line for line.

import { createReadStream, createWriteStream } from "node:fs";
import { type FileHandle, open, rename, stat } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import { type JsonFault, type JsonLayout, type JsonListener, JsonScan } from "./scan.ts";

/** The column of records that are no objects. */
export const VALUE_COLUMN = "value";

const PIECE = { highWaterMark: 1024 * 1024 };
const OPEN = Buffer.from(`{${JSON.stringify(VALUE_COLUMN)}:`);
const CLOSE = Buffer.from("}");

/** `start`: bytes at the beginning that are no part of the text. */
export async function scanJson(
  path: string,
  layout: JsonLayout,
  start: number,
  listener: JsonListener = {},
): Promise<JsonFault | undefined> {
  const scan = new JsonScan(layout, start, listener);
  for await (const piece of createReadStream(path, { ...PIECE, start })) {
    scan.add(piece as Buffer);
    if (scan.fault !== undefined) return scan.fault;
  }
  scan.end();
  return scan.fault;
}

/** Returns the new size. The text is known to be sound. */
export async function wrapValues(path: string, layout: JsonLayout, start: number): Promise<number> {
  const wrapped = `${path}.wrapped`;
  const pending: { readonly at: number; readonly text: Buffer }[] = [];
  let isObject = false;
  const scan = new JsonScan(layout, start, {
    recordStarts(at, firstByte) {
      isObject = firstByte === 0x7b;
      if (!isObject) pending.push({ at, text: OPEN });
    },
    recordEnds(at) {
      if (!isObject) pending.push({ at, text: CLOSE });
    },
  });
  const parts = async function* (pieces: AsyncIterable<Buffer>) {
    let before = start;
    yield Buffer.alloc(start, " ").fill("\n", Math.max(0, start - 1));
    for await (const piece of pieces) {
      scan.add(piece);
      let done = 0;
      for (const { at, text } of pending.splice(0)) {
        yield piece.subarray(done, at - before);
        yield text;
        done = at - before;
      }
      yield piece.subarray(done);
      before += piece.length;
    }
    scan.end();
    for (const { text } of pending) yield text;
  };
  await pipeline(createReadStream(path, { ...PIECE, start }), parts, createWriteStream(wrapped));
  await rename(wrapped, path);
  return (await stat(path)).size - start;
}

interface Span {
  readonly from: number;
  to: number;
}

/** Finds the members of objects that a later one of the same key replaces. */
class Replaced implements JsonListener {
  readonly spans: Span[] = [];
  readonly #open: { readonly members: Map<string, Span>; last: Span | undefined }[] = [];

  opens(): void {
    this.#open.push({ members: new Map(), last: undefined });
  }

  closes(): void {
    this.#open.pop();
  }

  comma(at: number): void {
    const last = this.#open.at(-1)?.last;
    if (last !== undefined) last.to = at + 1;
  }

  key(text: Buffer, at: number): void {
    const object = this.#open.at(-1);
    if (object === undefined) return;
    const name = JSON.parse(text.toString("utf8")) as string;
    const before = object.members.get(name);
    if (before !== undefined) this.spans.push(before);
    object.last = { from: at, to: at };
    object.members.set(name, object.last);
  }
}

/** Of each key that an object has several times, only the last is left; the others become spaces. */
export async function keepLastKeys(path: string, layout: JsonLayout, start: number): Promise<JsonFault | undefined> {
  const replaced = new Replaced();
  const fault = await scanJson(path, layout, start, replaced);
  if (fault !== undefined || replaced.spans.length === 0) return fault;
  const file = await open(path, "r+");
  try {
    for (const span of replaced.spans) await blank(file, span);
  } finally {
    await file.close();
  }
  return undefined;
}

async function blank(file: FileHandle, { from, to }: Span): Promise<void> {
  const buffer = Buffer.alloc(Math.min(to - from, PIECE.highWaterMark));
  for (let at = from; at < to; at += buffer.length) {
    const { bytesRead } = await file.read(buffer, 0, Math.min(buffer.length, to - at), at);
    const spaces = buffer.subarray(0, bytesRead).map((byte) => (byte === 0x0a ? byte : 0x20));
    await file.write(spaces, 0, bytesRead, at);
  }
}
