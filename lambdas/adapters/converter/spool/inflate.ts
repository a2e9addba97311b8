// Decompression that believes nothing: what a file is, its first bytes say; that it is whole, the decompressor must have seen its end.

import { createZstdDecompress } from "node:zlib";
import type { Compression } from "../../../core/config.ts";
import { MoraineError } from "../../../core/errors.ts";
import { gunzip } from "./gunzip.ts";
import { peek } from "./peek.ts";
import { SpoolError } from "./spool-error.ts";
import { through } from "./through.ts";
import { framesOf } from "./zstd-frames.ts";

/** Counts what is received, so that the ratio of decompression is known while it goes on. */
export class CountedBody {
  readonly #body: AsyncIterable<Uint8Array>;
  bytes = 0;
  compressed = false;
  /** What the store threw: kept apart from what the decompressor throws. */
  failure: unknown;

  constructor(body: AsyncIterable<Uint8Array>) {
    this.#body = body;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    try {
      for await (const chunk of this.#body) {
        this.bytes += chunk.length;
        yield chunk;
      }
    } catch (error) {
      this.failure = error;
      throw error;
    }
  }
}

export async function decompress(
  body: CountedBody,
  options: { readonly compression: Compression; readonly name: string },
): Promise<AsyncIterable<Uint8Array>> {
  const { start, rest } = await peek(body, UNREAD_HEAD_BYTES);
  const found = formatOf(start, options.name);
  // An archive may be compressed as a whole.
  const wanted = isOpen(options.compression) ? found : options.compression;
  const unread = isOpen(options.compression) ? unreadFormatOf(start) : undefined;
  if (unread !== undefined) {
    const message = `${unread} data, which cannot be read; compress it with gzip or zstd`;
    throw new SpoolError("UNSUPPORTED_COMPRESSION", message);
  }
  if (wanted === "none" || start.length === 0) return rest;
  if (wanted !== found) {
    throw new SpoolError("NOT_COMPRESSED", `not ${wanted} data although the ingestion says so; set compression: auto`);
  }
  body.compressed = true;
  return inflate(body, rest, wanted);
}

/** By what the bytes say. A name only tells apart what starts like a skippable zstd frame. */
export function formatOf(start: Uint8Array, name: string): "none" | "gzip" | "zstd" {
  const [a, b, c, d] = start;
  if (a === 0x1f && b === 0x8b) return "gzip";
  if (a === 0x28 && b === 0xb5 && c === 0x2f && d === 0xfd) return "zstd";
  const skippable = a !== undefined && a >= 0x50 && a <= 0x5f && b === 0x2a && c === 0x4d && d === 0x18;
  return skippable && /\.zstd?$/i.test(name) ? "zstd" : "none";
}

export function isOpen(compression: Compression): compression is "auto" | "zip" | "tar" {
  return compression === "auto" || compression === "zip" || compression === "tar";
}

const UNREAD_HEAD_BYTES = 10;
const UNREAD: readonly (readonly [name: string, start: string])[] = [
  ["xz", "fd377a585a00"],
  ["7z", "377abcaf271c"],
  ["rar", "526172211a07"],
  ["lz4", "04224d18"],
];

/** What others compress with, by its first bytes. */
export function unreadFormatOf(start: Uint8Array): string | undefined {
  const hex = Buffer.from(start.subarray(0, UNREAD_HEAD_BYTES)).toString("hex");
  // `BZh`, a level, and the first block's own mark: a text may begin with the three letters.
  if (/^425a683[1-9](?:314159265359|177245385090)/.test(hex)) return "bzip2";
  return UNREAD.find(([, magic]) => hex.startsWith(magic))?.[0];
}

const UNREAD_ZSTD: Readonly<Record<string, string>> = {
  ZSTD_error_frameParameter_windowTooLarge: "has a window of more than 128 MiB; compress it without --long",
  ZSTD_error_dictionary_wrong: "needs a dictionary; compress it without one",
};

async function* inflate(
  body: CountedBody,
  compressed: AsyncIterable<Uint8Array>,
  format: "gzip" | "zstd",
): AsyncGenerator<Uint8Array> {
  try {
    if (format === "gzip") yield* gunzip(compressed);
    else for await (const frame of framesOf(compressed)) yield* through(frame, createZstdDecompress());
  } catch (error) {
    if (body.failure !== undefined) throw body.failure;
    if (error instanceof SpoolError || error instanceof MoraineError) throw error;
    const { code } = error as { readonly code?: string };
    const unread = UNREAD_ZSTD[code ?? ""];
    if (unread !== undefined) throw new SpoolError("UNSUPPORTED_COMPRESSION", `zstd data ${unread}`);
    const cut = code === "Z_BUF_ERROR" || /unexpected end|incomplete/i.test(String(error));
    throw cut
      ? new SpoolError(
          "TRUNCATED",
          `${format} data ends before its end after ${body.bytes} bytes; upload the file again`,
        )
      : new SpoolError("CORRUPT_COMPRESSION", `${format} data is damaged; upload the file again`);
  }
}
