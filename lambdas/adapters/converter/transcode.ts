// Text of other encodings on its way to UTF-8: everything after the spool reads UTF-8 and nothing else.

import { peek } from "./peek.ts";
import { SpoolError } from "./spool-error.ts";

/** To UTF-8 without byte order mark. A mark wins over the configured encoding. */
export async function* transcode(body: AsyncIterable<Uint8Array>, configured: string): AsyncGenerator<Uint8Array> {
  const { start, rest } = await peek(body, 3);
  const encoding = markOf(start) ?? (configured === "utf-16" ? "utf-16le" : configured);
  if (encoding === "utf-8") {
    yield* skipMark(rest, start);
    return;
  }
  // windows-1252 is what the standard decodes "latin1" as; it is what such files hold in practice.
  const decoder = new TextDecoder(encoding === "latin-1" ? "windows-1252" : encoding, { fatal: true });
  const encoder = new TextEncoder();
  try {
    for await (const chunk of rest) yield encoder.encode(decoder.decode(chunk, { stream: true }));
    yield encoder.encode(decoder.decode());
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new SpoolError("INVALID_ENCODING", `text is not ${encoding}; set the format's encoding`);
  }
}

export function markOf(start: Uint8Array): string | undefined {
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
