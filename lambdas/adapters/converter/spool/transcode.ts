// Text of other encodings on its way to UTF-8: everything after the spool reads UTF-8 and nothing else. Bytes that are no text in their
// encoding fail with their place; none becomes a replacement character. (UTF-8 itself is checked by DuckDB, as it reads it.)

import type { CsvEncoding } from "../../../core/config.ts";
import { peek } from "./peek.ts";
import { SpoolError } from "./spool-error.ts";

/** To UTF-8 without byte order mark. A mark wins over the configured encoding. */
export async function* transcode(body: AsyncIterable<Uint8Array>, configured: CsvEncoding): AsyncGenerator<Uint8Array> {
  const { start, rest } = await peek(body, 3);
  const encoding = markOf(start) ?? (configured === "utf-16" ? "utf-16le" : configured);
  switch (encoding) {
    case "utf-8":
      yield* skipMark(rest, start);
      return;
    case "utf-16le":
    case "utf-16be":
      yield* fromUtf16(rest, encoding);
      return;
    default:
      yield* fromBytes(rest, encoding);
  }
}

export function markOf(start: Uint8Array): "utf-8" | "utf-16le" | "utf-16be" | undefined {
  if (start[0] === 0xff && start[1] === 0xfe) return "utf-16le";
  if (start[0] === 0xfe && start[1] === 0xff) return "utf-16be";
  return isUtf8Mark(start) ? "utf-8" : undefined;
}

export function isUtf8Mark(start: Uint8Array): boolean {
  return start[0] === 0xef && start[1] === 0xbb && start[2] === 0xbf;
}

async function* skipMark(body: AsyncIterable<Uint8Array>, start: Uint8Array): AsyncGenerator<Uint8Array> {
  let skip = isUtf8Mark(start) ? 3 : 0;
  for await (const chunk of body) {
    const cut = Math.min(skip, chunk.length);
    skip -= cut;
    yield cut === 0 ? chunk : chunk.subarray(cut);
  }
}

/** A chunk may end inside a unit, or between the two units of one character: that part waits for the next. */
async function* fromUtf16(
  body: AsyncIterable<Uint8Array>,
  encoding: "utf-16le" | "utf-16be",
): AsyncGenerator<Uint8Array> {
  let held: Uint8Array = new Uint8Array(0);
  const place = { byte: 0, line: 1 };
  for await (const chunk of body) {
    const bytes = Buffer.concat([held, chunk]);
    const units = bytes.subarray(0, bytes.length - (bytes.length % 2));
    if (encoding === "utf-16be") units.swap16();
    const text = units.toString("utf16le");
    const whole = isHighSurrogate(text, text.length - 1) ? text.slice(0, -1) : text;
    yield fromUnits(whole, place, encoding);
    held = bytes.subarray(whole.length * 2);
    // What waits was swapped with the rest, and will be again.
    if (encoding === "utf-16be" && held.length >= 2) Buffer.from(held.buffer, held.byteOffset, 2).swap16();
  }
  if (held.length > 0) throw invalid(encoding, place);
}

function fromUnits(text: string, place: { byte: number; line: number }, encoding: string): Uint8Array {
  if (!text.isWellFormed()) {
    const at = text.search(/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/);
    throw invalid(encoding, { byte: place.byte + 2 * at, line: place.line + lineEndsIn(text.slice(0, at)) });
  }
  const marked = place.byte === 0 && text.startsWith("\ufeff");
  place.byte += 2 * text.length;
  place.line += lineEndsIn(text);
  return Buffer.from(marked ? text.slice(1) : text);
}

function isHighSurrogate(text: string, at: number): boolean {
  const unit = text.charCodeAt(at);
  return unit >= 0xd800 && unit <= 0xdbff;
}

/** Of windows-1252 five bytes mean nothing. They are control characters where the encoding is called latin-1, as in browsers. */
const UNDEFINED_1252: ReadonlySet<number> = new Set([0x81, 0x8d, 0x8f, 0x90, 0x9d]);

async function* fromBytes(
  body: AsyncIterable<Uint8Array>,
  encoding: "latin-1" | "windows-1252",
): AsyncGenerator<Uint8Array> {
  const decoder = new TextDecoder("windows-1252");
  const place = { byte: 0, line: 1 };
  for await (const chunk of body) {
    const text = decoder.decode(chunk, { stream: true });
    const at = encoding === "latin-1" ? -1 : chunk.findIndex((byte) => UNDEFINED_1252.has(byte));
    if (at >= 0) throw invalid(encoding, { byte: place.byte + at, line: place.line + lineEndsIn(text.slice(0, at)) });
    if (encoding !== "latin-1") place.line += lineEndsIn(text);
    place.byte += chunk.length;
    yield Buffer.from(text);
  }
}

function lineEndsIn(text: string): number {
  let count = 0;
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) count++;
  return count;
}

function invalid(encoding: string, { byte, line }: { readonly byte: number; readonly line: number }): SpoolError {
  return new SpoolError(
    "INVALID_ENCODING",
    `text is not ${encoding} (line ${line}, byte ${byte}); set the format's encoding, or write the file again`,
    { line, byte },
  );
}
