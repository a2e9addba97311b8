// Avro object container files, block by block: the header with its schema, then blocks of records, compressed each for itself.
// Nothing is believed: lengths must lie within the file, a block may unfold to so much and no more, and every sync marker is compared.

import { type FileHandle, open } from "node:fs/promises";
import { crc32, inflateRawSync, zstdDecompressSync } from "node:zlib";
import { snappyUncompress } from "hyparquet/src/index.js";
import { MoraineError } from "../../../core/errors.ts";
import { AvroSource } from "../../../core/iceberg/avro-source.ts";
import { AvroError } from "./error.ts";

const MAGIC = Buffer.from("Obj\u0001", "latin1");
const SYNC_BYTES = 16;
const HEADER_BYTES_MAX = 16 * 1024 * 1024;
const BLOCK_BYTES_MAX = 256 * 1024 * 1024;
/** As of a whole compressed file (spool/spool.ts). */
const RATIO_MAX = 300;
const RATIO_MATTERS_BYTES = 64 * 1024 * 1024;
/** A count and a size, at their longest. */
const BLOCK_HEAD_BYTES = 20;
const REWRITE = "write the file again";

export interface AvroHeader {
  readonly schemaText: string;
  readonly codec: string;
  readonly sync: Buffer;
  /** Of the first block. */
  readonly start: number;
}

export interface AvroBlock {
  /** Where it begins in the file. */
  readonly at: number;
  readonly count: number;
  readonly body: Buffer;
}

/** Of the name of the first bytes: AvroError `NOT_AVRO` if there is something else. */
export async function readHeader(path: string, sizeBytes: number): Promise<AvroHeader> {
  const file = await open(path, "r");
  try {
    for (let length = 64 * 1024; ; length *= 8) {
      const bytes = await readAt(file, 0, Math.min(length, sizeBytes));
      if (!bytes.subarray(0, MAGIC.length).equals(MAGIC)) {
        throw new AvroError(
          "NOT_AVRO",
          "does not start as an Avro object container file (Obj 1); set the format it has",
          0,
        );
      }
      try {
        return headerOf(bytes);
      } catch (error) {
        if (error instanceof AvroError || length >= Math.min(sizeBytes, HEADER_BYTES_MAX)) throw error;
      }
    }
  } catch (error) {
    if (error instanceof AvroError) throw error;
    throw new AvroError("MALFORMED_AVRO", `its header is damaged or cut off; ${REWRITE}`, 0);
  } finally {
    await file.close();
  }
}

function headerOf(bytes: Buffer): AvroHeader {
  const source = new AvroSource(bytes, "header");
  source.readRaw(MAGIC.length);
  const meta = new Map<string, string>();
  for (let count = source.readBlockCount(); count !== 0; count = source.readBlockCount()) {
    for (let i = 0; i < count; i++) meta.set(source.readString(), source.readString());
  }
  const sync = Buffer.from(source.readRaw(SYNC_BYTES));
  const schemaText = meta.get("avro.schema");
  if (schemaText === undefined) throw new AvroError("MALFORMED_AVRO", `its header has no schema; ${REWRITE}`, 0);
  return { schemaText, codec: meta.get("avro.codec") ?? "null", sync, start: source.position };
}

export async function* readBlocks(path: string, sizeBytes: number, header: AvroHeader): AsyncGenerator<AvroBlock> {
  const inflate = inflaterOf(header.codec);
  const file = await open(path, "r");
  let unfolded = 0;
  try {
    for (let at = header.start; at < sizeBytes; ) {
      const head = await readAt(file, at, Math.min(BLOCK_HEAD_BYTES, sizeBytes - at));
      const { count, size, start } = headOf(head, at);
      const end = at + start + size;
      if (end + SYNC_BYTES > sizeBytes) throw damaged(at, "is cut off");
      const packed = await readAt(file, at + start, size + SYNC_BYTES);
      if (!packed.subarray(size).equals(header.sync)) throw damaged(at, "does not end where it should");
      const body = unpack(inflate, packed.subarray(0, size), at);
      unfolded += body.length;
      if (unfolded > RATIO_MATTERS_BYTES && unfolded > sizeBytes * RATIO_MAX) {
        throw new AvroError(
          "DECOMPRESSION_BOMB",
          `unfolds to more than ${RATIO_MAX} times its size; write it less compressed`,
        );
      }
      // Records without bytes exist only in damaged files, where their number could be anything.
      if (count < 0 || count > body.length) throw damaged(at, "has a count that cannot be");
      yield { at, count, body };
      at = end + SYNC_BYTES;
    }
  } finally {
    await file.close();
  }
}

export function damaged(at: number, problem: string): AvroError {
  return new AvroError("MALFORMED_AVRO", `the block at byte ${at} ${problem}; ${REWRITE}`, at);
}

function headOf(head: Buffer, at: number): { count: number; size: number; start: number } {
  try {
    const source = new AvroSource(head, "block");
    const count = Number(source.readLong());
    const size = Number(source.readLong());
    if (size < 0 || !Number.isSafeInteger(size)) throw new RangeError("size");
    return { count, size, start: source.position };
  } catch {
    throw damaged(at, "has no size that can be");
  }
}

async function readAt(file: FileHandle, at: number, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length);
  const { bytesRead } = await file.read(bytes, 0, length, at);
  if (bytesRead < length)
    throw new MoraineError("Corrupt", "a file of the work directory is shorter than it was", { at });
  return bytes;
}

function unpack(inflate: (packed: Buffer) => Buffer, packed: Buffer, at: number): Buffer {
  try {
    return inflate(packed);
  } catch (error) {
    const tooLarge = (error as { code?: string }).code === "ERR_BUFFER_TOO_LARGE";
    if (!tooLarge) throw damaged(at, "does not decompress");
    const message = `the block at byte ${at} unfolds to more than ${BLOCK_BYTES_MAX} bytes; write smaller blocks`;
    throw new AvroError("RECORD_TOO_LARGE", message, at);
  }
}

function inflaterOf(codec: string): (packed: Buffer) => Buffer {
  switch (codec) {
    case "null":
      return (packed) => packed;
    case "deflate":
      return (packed) => inflateRawSync(packed, { maxOutputLength: BLOCK_BYTES_MAX });
    case "zstandard":
      return (packed) => zstdDecompressSync(packed, { maxOutputLength: BLOCK_BYTES_MAX });
    case "snappy":
      return unsnap;
    default: {
      const name = /^[a-z0-9-]{1,20}$/i.test(codec) ? codec : "of its header";
      throw new AvroError(
        "UNSUPPORTED_AVRO",
        `the codec ${name} is not supported; write it with zstandard, deflate or snappy`,
      );
    }
  }
}

/** Four bytes behind the data are the CRC-32 of what it unfolds to. */
function unsnap(packed: Buffer): Buffer {
  let length = 0;
  for (let i = 0; i < 5; i++) {
    const byte = packed[i] ?? 0;
    length += (byte & 0x7f) * 2 ** (7 * i);
    if (byte < 0x80) break;
  }
  if (length > BLOCK_BYTES_MAX) throw Object.assign(new RangeError("block"), { code: "ERR_BUFFER_TOO_LARGE" });
  const body = Buffer.alloc(length);
  snappyUncompress(packed.subarray(0, packed.length - 4), body);
  if (crc32(body) !== packed.readUInt32BE(packed.length - 4)) throw new RangeError("checksum");
  return body;
}
