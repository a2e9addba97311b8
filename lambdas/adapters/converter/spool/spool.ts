// One source's bytes on their way to the work directory: decompressed, transcoded to UTF-8, bounded.
// Nothing is trusted: a compressed file may be cut off, may be no compressed file at all, or may unfold to terabytes.
// Plain bytes are written as they come (one large write at a time, while the next chunks arrive).

import { type FileHandle, open, writeFile } from "node:fs/promises";
import { Readable } from "node:stream";
import { zstdDecompressSync } from "node:zlib";
import type { Compression, CsvEncoding } from "../../../core/config.ts";
import { MoraineError } from "../../../core/errors.ts";
import { OddJson } from "../json/odd.ts";
import { overwrite } from "../slots.ts";
import { ARCHIVE_HEAD_BYTES, type ArchiveKind, archiveKindOf } from "./archive.ts";
import { gunzipWhole } from "./gunzip.ts";
import { CountedBody, decompress, formatOf, isOpen, unreadFormatOf } from "./inflate.ts";
import { peek } from "./peek.ts";
import { SpoolError } from "./spool-error.ts";
import { isUtf8Mark, markOf, transcode } from "./transcode.ts";
import { isSingleFrame } from "./zstd-frames.ts";

/** What the sources of one conversion may take on disk together; several are spooled at once. */
export class DiskBudget {
  readonly bytesMax: number;
  #used = 0;

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax;
  }

  take(bytes: number): boolean {
    if (this.#used + bytes > this.bytesMax) return false;
    this.#used += bytes;
    return true;
  }

  giveBack(bytes: number): void {
    this.#used -= bytes;
  }
}

export interface Spooled {
  /** As received, still compressed. */
  readonly bytesRead: number;
  /** In the work directory. */
  readonly sizeBytes: number;
  /** The first bytes, without byte order mark: enough to know what the file is. */
  readonly head: Buffer;
  /** The last byte that is no white space. */
  readonly lastByte: number | undefined;
  /** JSON that may hold what the standard does not allow (json/odd.ts). */
  readonly odd: boolean;
  /** The file begins with a blank line of this many bytes (0: none), which `sizeBytes` and `head` leave out. */
  readonly roomBytes: number;
}

const HEAD_BYTES = 64 * 1024;
const WRITE_BYTES = 1024 * 1024;
export const SMALL_BYTES = 256 * 1024;
/** A gzip stream cannot exceed 1,032:1; text seldom passes 100:1. */
const RATIO_MAX = 300;
const RATIO_MATTERS_BYTES = 64 * 1024 * 1024;

export type SourceEncoding = CsvEncoding | "binary";

/** What the members of an archive have come to together. */
export interface Unfolded {
  bytes: number;
  receivedBytes(): number;
}

/** An archive, of which nothing has been written yet. */
export interface FoundArchive {
  readonly archive: ArchiveKind;
  readonly body: AsyncIterable<Uint8Array>;
  readonly counted: CountedBody;
}

export interface SpoolOptions {
  readonly disk: DiskBudget;
  readonly path: string;
  readonly name: string;
  readonly compression: Compression;
  readonly encoding: SourceEncoding;
  /** Of a member of an archive: what all members together have unfolded to, and what was received for them. */
  readonly within?: Unfolded;
  /** Bytes to keep free at the start of the file, as one blank line. */
  readonly roomBytes: number;
  readonly isJson: boolean;
}

export async function spool(
  body: AsyncIterable<Uint8Array>,
  sizeBytes: number,
  options: SpoolOptions,
): Promise<Spooled | FoundArchive> {
  if (sizeBytes > SMALL_BYTES) return spoolStream(body, options);
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  const bytes = chunks.length === 1 ? (chunks[0] as Uint8Array) : Buffer.concat(chunks);
  return spoolSmall(bytes, options) ?? spoolStream(Readable.from([bytes]), options);
}

async function spoolStream(body: AsyncIterable<Uint8Array>, options: SpoolOptions): Promise<Spooled | FoundArchive> {
  const counted = new CountedBody(body);
  const inflated = await decompress(counted, options);
  const { start, rest: plain } = isOpen(options.compression)
    ? await peek(inflated, ARCHIVE_HEAD_BYTES)
    : { start: Buffer.alloc(0), rest: inflated };
  const archive = archiveKindOf(start);
  const { compression } = options;
  if (start.length > 0 && (compression === "zip" || compression === "tar") && archive !== compression) {
    throw new SpoolError(
      "NOT_COMPRESSED",
      `not a ${compression} archive although the ingestion says so; set compression: auto`,
    );
  }
  if (archive !== undefined) return { archive, body: plain, counted };
  const text = options.encoding === "binary" ? plain : transcode(plain, options.encoding);
  const odd = new OddJson();
  const bounded = bound(text, counted, options);
  const watched = options.isJson ? watch(bounded, odd) : bounded;
  const written = await write(watched, options.path, options.roomBytes);
  return { ...written, odd: odd.found, roomBytes: options.roomBytes, bytesRead: counted.bytes };
}

/**
 * A batch may be two thousand small files: in one go each takes 0.1 ms, as a stream 1 ms (bench/small-files.ts). Undefined: something is
 * unusual about it, and the stream knows what.
 */
function spoolSmall(bytes: Uint8Array, options: SpoolOptions): Spooled | undefined {
  const found = formatOf(bytes, options.name);
  if (options.compression !== "auto" && options.compression !== found) return undefined;
  let plain: Uint8Array | undefined = bytes;
  const bytesMax = SMALL_BYTES * 32;
  try {
    if (found === "gzip") plain = gunzipWhole(bytes, bytesMax);
    if (found === "zstd" && !isSingleFrame(bytes)) return undefined;
    if (found === "zstd") plain = zstdDecompressSync(bytes, { maxOutputLength: bytesMax });
    if (plain === undefined) return undefined;
  } catch {
    return undefined;
  }
  if (options.compression === "auto" && (archiveKindOf(plain) ?? unreadFormatOf(bytes)) !== undefined) return undefined;
  if (options.encoding !== "binary") {
    const encoding = markOf(plain) ?? options.encoding;
    if (encoding !== "utf-8") return undefined;
    if (isUtf8Mark(plain)) plain = plain.subarray(3);
  }
  if (options.roomBytes > 0 || !options.disk.take(plain.length)) return undefined;
  overwrite(options.path, plain);
  const head = Buffer.from(plain.buffer, plain.byteOffset, Math.min(plain.length, HEAD_BYTES));
  const odd = new OddJson();
  if (options.isJson) odd.add(plain);
  const facts = { bytesRead: bytes.length, sizeBytes: plain.length, lastByte: lastByteOf(plain), roomBytes: 0 };
  return { ...facts, head, odd: odd.found };
}

async function* watch(body: AsyncIterable<Uint8Array>, odd: OddJson): AsyncGenerator<Uint8Array> {
  for await (const chunk of body) {
    odd.add(chunk);
    yield chunk;
  }
}

async function* bound(
  body: AsyncIterable<Uint8Array>,
  counted: CountedBody,
  options: SpoolOptions,
): AsyncGenerator<Uint8Array> {
  let size = 0;
  try {
    for await (const chunk of body) {
      if (!options.disk.take(chunk.length)) throw fullDisk(size + chunk.length, options);
      size += chunk.length;
      if (counted.compressed && size > RATIO_MATTERS_BYTES && size > counted.bytes * RATIO_MAX) {
        throw bomb();
      }
      const { within } = options;
      if (within !== undefined) {
        within.bytes += chunk.length;
        if (within.bytes > RATIO_MATTERS_BYTES && within.bytes > within.receivedBytes() * RATIO_MAX) throw bomb();
      }
      yield chunk;
    }
  } catch (error) {
    options.disk.giveBack(size);
    throw error;
  }
}

function bomb(): SpoolError {
  return new SpoolError(
    "DECOMPRESSION_BOMB",
    `unfolds to more than ${RATIO_MAX} times its size; upload it less compressed`,
  );
}

/** A file that can never fit is refused; when others take the room it goes to another batch. */
export function fullDisk(size: number, { disk, name }: SpoolOptions): Error {
  if (size > disk.bytesMax) {
    return new SpoolError("TOO_LARGE", `larger than ${disk.bytesMax} bytes; give the load function more disk`);
  }
  return new MoraineError(
    "Unavailable",
    "work directory is full, the file goes to another batch; lower batch.bytesMax",
    {
      uri: name,
      diskBytesMax: disk.bytesMax,
    },
  );
}

async function write(
  body: AsyncIterable<Uint8Array>,
  path: string,
  roomBytes: number,
): Promise<Pick<Spooled, "sizeBytes" | "head" | "lastByte">> {
  let pending: Uint8Array[] = roomBytes === 0 ? [] : [Buffer.alloc(roomBytes, " ").fill("\n", roomBytes - 1)];
  let pendingBytes = 0;
  let sizeBytes = 0;
  let lastByte: number | undefined;
  let head = Buffer.alloc(0);
  let file: FileHandle | undefined;
  let writing: Promise<unknown> = Promise.resolve();
  try {
    for await (const chunk of body) {
      if (head.length < HEAD_BYTES) head = Buffer.concat([head, chunk.subarray(0, HEAD_BYTES - head.length)]);
      pending.push(chunk);
      pendingBytes += chunk.length;
      sizeBytes += chunk.length;
      lastByte = lastByteOf(chunk) ?? lastByte;
      if (pendingBytes < WRITE_BYTES) continue;
      await writing;
      file ??= await open(path, "w");
      writing = writeAll(file, pending);
      // An error is met at the next await; until then it must not count as unhandled.
      writing.catch(() => undefined);
      pending = [];
      pendingBytes = 0;
    }
    await writing;
    if (file === undefined) await writeFile(path, Buffer.concat(pending));
    else await writeAll(file, pending);
  } finally {
    await writing.catch(() => undefined);
    await file?.close();
  }
  return { sizeBytes, head, lastByte };
}

function lastByteOf(bytes: Uint8Array): number | undefined {
  return bytes.findLast((byte) => byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09);
}

async function writeAll(file: FileHandle, chunks: readonly Uint8Array[]): Promise<void> {
  const wanted = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  if (wanted === 0) return;
  const { bytesWritten } = await file.writev(chunks);
  if (bytesWritten < wanted) await file.writeFile(Buffer.concat(chunks).subarray(bytesWritten));
}
