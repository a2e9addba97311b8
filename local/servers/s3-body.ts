// Bytes of a PUT on their way to disk: unwraps aws-chunked framing, checks every digest the client promised, writes as they come.
// Invariant: a blob is handed over only when its length and all promised digests hold; otherwise the file is gone again.
// SDK v3 promises a CRC32 by default, in a header for buffers and in a trailer for streams.

import { createHash, type Hash } from "node:crypto";
import { open, rm } from "node:fs/promises";
import type { IncomingHttpHeaders } from "node:http";
import { crc32 } from "node:zlib";
import { S3Error } from "./s3-xml.ts";

export interface WrittenBlob {
  readonly sizeBytes: number;
  /** Hex. */
  readonly md5: string;
  /** `x-amz-checksum-*` as promised and found true (crc64nvme: promised only, Node has no code for it). */
  readonly checksum?: { readonly header: string; readonly value: string };
}

type Trailers = Map<string, string>;

/** Writes the body of a request to `file`. */
export async function writeBody(
  body: AsyncIterable<Buffer>,
  headers: IncomingHttpHeaders,
  file: string,
): Promise<WrittenBlob> {
  const trailers: Trailers = new Map();
  const chunked =
    headers["content-encoding"]?.includes("aws-chunked") === true ||
    String(headers["x-amz-content-sha256"] ?? "").startsWith("STREAMING-");
  const payload = chunked ? unwrapChunks(body, trailers) : body;
  const promised = promisedAlgorithm(headers);
  const digest = promised === undefined ? undefined : DIGESTS[promised]?.();
  try {
    const { sizeBytes, md5 } = await writeAll(payload, file, digest);
    checkLength(sizeBytes, chunked ? headers["x-amz-decoded-content-length"] : headers["content-length"]);
    checkMd5(md5, headers["content-md5"]);
    const checksum = checkPromise(promised, digest, headers, trailers);
    return { sizeBytes, md5: md5.toString("hex"), ...(checksum === undefined ? {} : { checksum }) };
  } catch (error) {
    await rm(file, { force: true });
    throw error;
  }
}

async function writeAll(payload: AsyncIterable<Buffer>, file: string, digest: Digest | undefined) {
  const md5 = createHash("md5");
  let sizeBytes = 0;
  const out = await open(file, "wx");
  try {
    for await (const chunk of payload) {
      sizeBytes += chunk.length;
      md5.update(chunk);
      digest?.update(chunk);
      await out.writeFile(chunk);
    }
  } finally {
    await out.close();
  }
  return { sizeBytes, md5: md5.digest() };
}

function checkLength(sizeBytes: number, promised: string | string[] | undefined): void {
  if (promised !== undefined && Number(promised) !== sizeBytes) {
    throw new S3Error(
      400,
      "IncompleteBody",
      "You did not provide the number of bytes specified by the Content-Length HTTP header.",
    );
  }
}

function checkMd5(md5: Buffer, promised: string | string[] | undefined): void {
  if (promised !== undefined && md5.toString("base64") !== promised) {
    throw new S3Error(400, "BadDigest", "The Content-MD5 you specified did not match what we received.");
  }
}

// ---- x-amz-checksum-* ----------------------------------------------------------------------------------------------

interface Digest {
  update(chunk: Buffer): void;
  base64(): string;
}

const DIGESTS: Readonly<Record<string, () => Digest>> = {
  crc32: () => crcDigest((chunk, state) => crc32(chunk, state)),
  crc32c: () => crcDigest(crc32c),
  sha1: () => hashDigest(createHash("sha1")),
  sha256: () => hashDigest(createHash("sha256")),
};
const ALGORITHMS = [...Object.keys(DIGESTS), "crc64nvme"];

function promisedAlgorithm(headers: IncomingHttpHeaders): string | undefined {
  const trailer = String(headers["x-amz-trailer"] ?? "");
  return ALGORITHMS.find((name) => {
    const header = `x-amz-checksum-${name}`;
    return headers[header] !== undefined || trailer === header;
  });
}

function checkPromise(
  algorithm: string | undefined,
  digest: Digest | undefined,
  headers: IncomingHttpHeaders,
  trailers: Trailers,
): WrittenBlob["checksum"] {
  if (algorithm === undefined) return undefined;
  const header = `x-amz-checksum-${algorithm}`;
  const value = String(headers[header] ?? trailers.get(header) ?? "");
  if (digest !== undefined && digest.base64() !== value) {
    throw new S3Error(
      400,
      "BadDigest",
      `The ${algorithm.toUpperCase()} you specified did not match the calculated checksum.`,
    );
  }
  return { header, value };
}

function crcDigest(step: (chunk: Buffer, state: number) => number): Digest {
  let state = 0;
  return {
    update(chunk) {
      state = step(chunk, state);
    },
    base64() {
      const bytes = Buffer.alloc(4);
      bytes.writeUInt32BE(state >>> 0);
      return bytes.toString("base64");
    },
  };
}

function hashDigest(hash: Hash): Digest {
  return { update: (chunk) => void hash.update(chunk), base64: () => hash.digest("base64") };
}

const CRC32C_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1;
  return value;
});

function crc32c(chunk: Buffer, state: number): number {
  let crc = ~state;
  for (const byte of chunk) crc = (CRC32C_TABLE[(crc ^ byte) & 0xff] as number) ^ (crc >>> 8);
  return ~crc >>> 0;
}

// ---- aws-chunked ---------------------------------------------------------------------------------------------------

/** `hex-size[;chunk-signature=…]\r\n` bytes `\r\n` … `0…\r\n` [trailer: value `\r\n`]* `\r\n` */
export async function* unwrapChunks(source: AsyncIterable<Buffer>, trailers: Trailers): AsyncGenerator<Buffer> {
  const reader = new LineReader(source);
  for (;;) {
    const size = Number.parseInt(await reader.line(), 16);
    if (!Number.isInteger(size))
      throw new S3Error(400, "InvalidChunkSizeError", "a chunk does not begin with its size");
    if (size === 0) break;
    yield* reader.bytes(size);
    if ((await reader.line()) !== "") throw new S3Error(400, "IncompleteBody", "a chunk is longer than its size");
  }
  for (;;) {
    const line = await reader.line(true);
    if (line === "") return;
    const colon = line.indexOf(":");
    trailers.set(line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim());
  }
}

class LineReader {
  readonly #source: AsyncIterator<Buffer>;
  #rest: Buffer = Buffer.alloc(0);

  constructor(source: AsyncIterable<Buffer>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  async #more(): Promise<boolean> {
    const step = await this.#source.next();
    if (step.done) return false;
    this.#rest = this.#rest.length === 0 ? step.value : Buffer.concat([this.#rest, step.value]);
    return true;
  }

  async line(endAllowed = false): Promise<string> {
    for (;;) {
      const end = this.#rest.indexOf("\r\n");
      if (end >= 0) {
        const line = this.#rest.subarray(0, end).toString("latin1");
        this.#rest = this.#rest.subarray(end + 2);
        return line;
      }
      if (await this.#more()) continue;
      if (endAllowed) return "";
      throw new S3Error(400, "IncompleteBody", "the request body ended inside a chunk");
    }
  }

  async *bytes(count: number): AsyncGenerator<Buffer> {
    let left = count;
    while (left > 0) {
      if (this.#rest.length === 0 && !(await this.#more())) {
        throw new S3Error(400, "IncompleteBody", "the request body ended inside a chunk");
      }
      const part = this.#rest.subarray(0, left);
      this.#rest = this.#rest.subarray(part.length);
      left -= part.length;
      yield part;
    }
  }
}
