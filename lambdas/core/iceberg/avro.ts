// Avro object container files: header, blocks, codecs. avsc encodes (avro-type.ts), avro-read.ts reads records.
// The header keeps the schema exactly as given, because Iceberg readers find columns by the `field-id` attributes in it
// (avsc drops unknown attributes when it writes a container). The sync marker is a hash of the content, so that the same
// records always give the same bytes: a manifest written twice after a crash is the same object.

import { createHash } from "node:crypto";
import { deflateRawSync, inflateRawSync, zstdDecompressSync } from "node:zlib";
import type { Type } from "avsc";
import { MoraineError } from "../errors.ts";
import { recordReader } from "./avro-read.ts";
import { AvroSource } from "./avro-source.ts";
import { avroType } from "./avro-type.ts";

const MAGIC = Buffer.from("Obj\u0001", "latin1");
const SYNC_BYTES = 16;
/** First size of a block being filled: most manifests hold a few files. It doubles as needed. */
const BODY_BYTES = 4096;
/** Uncompressed bytes per block, as in Java's DataFileWriter. */
const BLOCK_BYTES = 64_000;
/** A block that inflates past this is no manifest but an attack or a mistake. */
const BLOCK_BYTES_MAX = 512 * 1024 * 1024;

const META_TYPE = avroType('{"type":"map","values":"string"}');
const BLOCK_TYPE = avroType(
  '{"type":"record","name":"block","fields":[{"name":"count","type":"long"},{"name":"bytes","type":"bytes"}]}',
);

export interface Container {
  readonly schema: object;
  readonly meta: Record<string, string>;
  readonly records: unknown[];
}

export function encodeContainer(
  schema: object,
  records: Iterable<object>,
  meta: Readonly<Record<string, string>>,
  codec: "deflate" | "null" = "deflate",
): Uint8Array {
  const schemaText = JSON.stringify(schema);
  const header = Buffer.concat([
    MAGIC,
    META_TYPE.toBuffer({ ...meta, "avro.schema": schemaText, "avro.codec": codec }),
  ]);
  const blocks = encodeBlocks(avroType(schemaText), records, codec);
  const hash = createHash("sha256").update(header);
  for (const block of blocks) hash.update(block);
  const sync = hash.digest().subarray(0, SYNC_BYTES);
  return new Uint8Array(Buffer.concat([header, sync, ...blocks.flatMap((block) => [block, sync])]));
}

/** Each block is its record count, its length and its bytes, still without the sync marker. */
function encodeBlocks(type: Type, records: Iterable<object>, codec: "deflate" | "null"): Buffer[] {
  const blocks: Buffer[] = [];
  let body: Buffer = Buffer.allocUnsafe(BODY_BYTES);
  let length = 0;
  let count = 0;
  const close = () => {
    const raw = body.subarray(0, length);
    blocks.push(BLOCK_TYPE.toBuffer({ count, bytes: codec === "deflate" ? deflateRawSync(raw) : raw }));
    length = 0;
    count = 0;
  };
  for (const record of records) {
    let end = encodeRecord(type, record, body, length);
    if (end < 0) {
      body = Buffer.concat([body.subarray(0, length)], 2 * (body.length - end));
      end = encodeRecord(type, record, body, length);
    }
    length = end;
    count++;
    if (length >= BLOCK_BYTES) close();
  }
  if (count > 0) close();
  return blocks;
}

/** Where the record ends; below zero the number of bytes that `body` is too short by. */
function encodeRecord(type: Type, record: object, body: Buffer, at: number): number {
  try {
    return type.encode(record, body, at);
  } catch (error) {
    const paths: string[] = [];
    type.isValid(record, { errorHook: (path) => paths.push(path.join(".")) });
    // A programmer error, like a failed assertion; avsc's own message has the value, but not its place.
    throw new Error(`assertion failed: ${paths[0] ?? "record"} does not fit its avro type`, { cause: error });
  }
}

/** `name`: what the bytes are, for messages (a uri when there is one). Longs come back as bigint, ints as number. */
export function decodeContainer(bytes: Uint8Array, name = "avro file"): Container {
  const source = new AvroSource(bytes, name);
  if (Buffer.compare(source.readRaw(MAGIC.length), MAGIC) !== 0) {
    throw new MoraineError("Corrupt", "not an avro container file", { file: name });
  }
  const meta = decodeMeta(source);
  const sync = source.readRaw(SYNC_BYTES);
  const schema = parseSchema(meta["avro.schema"], name);
  const inflate = inflaterOf(meta["avro.codec"] ?? "null", name);
  const read = recordReader(schema, name);
  const records: unknown[] = [];
  while (!source.atEnd()) {
    const count = Number(source.readLong());
    const body = inflate(source.readRaw(source.readLength()));
    // As many records as bytes at most, or a damaged count would fill the memory with nothing.
    if (count < 0 || count > body.length)
      throw new MoraineError("Corrupt", "avro record count is out of range", { file: name });
    const block = new AvroSource(body, name);
    readRecords(block, count, read, records);
    if (!block.atEnd() || Buffer.compare(source.readRaw(SYNC_BYTES), sync) !== 0) {
      throw new MoraineError("Corrupt", "avro block does not end where it should", { file: name });
    }
  }
  return { schema, meta, records };
}

function readRecords(
  block: AvroSource,
  count: number,
  read: (source: AvroSource) => unknown,
  records: unknown[],
): void {
  try {
    for (let i = 0; i < count; i++) records.push(read(block));
  } catch (error) {
    if (error instanceof MoraineError) throw error;
    // A type that holds itself can be nested deeper than the stack is.
    throw block.corrupt("avro record cannot be read", error);
  }
}

function decodeMeta(source: AvroSource): Record<string, string> {
  const meta: Record<string, string> = {};
  for (let count = source.readBlockCount(); count !== 0; count = source.readBlockCount()) {
    for (let i = 0; i < count; i++) {
      const key = source.readString();
      meta[key] = source.readString();
    }
  }
  return meta;
}

function parseSchema(text: string | undefined, name: string): object {
  try {
    const schema: unknown = JSON.parse(text ?? "");
    if (typeof schema === "object" && schema !== null) return schema;
  } catch {
    // said below: what matters is that the header names no usable schema
  }
  throw new MoraineError("Corrupt", "avro header has no record schema", { file: name, property: "avro.schema" });
}

function inflaterOf(codec: string, name: string): (bytes: Uint8Array) => Uint8Array {
  const limit = { maxOutputLength: BLOCK_BYTES_MAX };
  switch (codec) {
    case "null":
      return (bytes) => bytes;
    case "deflate":
      return (bytes) => inflateOr(() => inflateRawSync(bytes, limit), name);
    case "zstandard":
      return (bytes) => inflateOr(() => zstdDecompressSync(bytes, limit), name);
    default:
      throw new MoraineError(
        "Invalid",
        "avro codec is not supported; set the table property write.avro.compression-codec to gzip and rewrite the manifests",
        { codec, file: name },
      );
  }
}

function inflateOr(inflate: () => Uint8Array, name: string): Uint8Array {
  try {
    return inflate();
  } catch (error) {
    throw new MoraineError("Corrupt", "avro block does not decompress", { file: name }, error);
  }
}
