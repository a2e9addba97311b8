// Avro by libraries that share nothing with the side under test: avsc, which our writer uses, writes files for our own reader;
// icebird reads what our writer wrote. No test lets avsc read what avsc wrote.

import { buffer } from "node:stream/consumers";
import { inflateRawSync } from "node:zlib";
import avsc from "avsc";
import { avroMetadata, avroRead } from "icebird";
import { readZigZag } from "icebird/src/avro/avro.metadata.js";

const int64 = avsc.types.LongType.__with({
  fromBuffer: (bytes: Buffer) => bytes.readBigInt64LE(),
  toBuffer: (value: bigint | number) => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(BigInt(value));
    return bytes;
  },
  fromJSON: BigInt,
  toJSON: Number,
  isValid: (value: unknown) => typeof value === "bigint" || Number.isSafeInteger(value),
  compare: (a: bigint, b: bigint) => (a === b ? 0 : a < b ? -1 : 1),
});

function typeOf(schema: object): avsc.Type {
  const options = { registry: { long: int64 }, wrapUnions: false, logicalTypes: {} };
  return avsc.Type.forSchema(plainLongs(schema) as avsc.Schema, options as never);
}

/** avsc looks up its registry for "long" but not for {"type": "long", "logicalType": ...}, and then loses precision. */
function plainLongs(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(plainLongs);
  if (typeof schema !== "object" || schema === null) return schema;
  if ("logicalType" in schema && "type" in schema && schema.type === "long") return "long";
  return Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, plainLongs(value)]));
}

export async function avscEncode(
  schema: object,
  records: readonly unknown[],
  codec: string,
  blockSize: number,
): Promise<Uint8Array> {
  const encoder = new avsc.streams.BlockEncoder(typeOf(schema), { codec, blockSize });
  for (const record of records) encoder.write(record);
  encoder.end();
  return new Uint8Array(await buffer(encoder));
}

/** Null is undefined; cannot read `fixed`, and turns dates and timestamps into Dates. */
export function icebirdDecode(file: Uint8Array): Record<string, unknown>[] {
  const reader = readerOf(file);
  const { metadata, syncMarker } = avroMetadata(reader);
  const records: Record<string, unknown>[] = [];
  while (reader.offset < file.length) {
    const count = readZigZag(reader);
    const length = readZigZag(reader);
    const body = file.subarray(reader.offset, reader.offset + length);
    reader.offset += length + 16;
    // Inflated by zlib: icebird's own fails on small blocks ("offset is out of bounds").
    const raw = metadata["avro.codec"] === "deflate" ? inflateRawSync(body) : body;
    const sync = file.subarray(reader.offset - 16, reader.offset);
    const block = readerOf(Buffer.concat([zigZag(count), zigZag(raw.length), raw, sync]));
    records.push(...avroRead({ reader: block, metadata: { ...metadata, "avro.codec": "null" }, syncMarker }));
  }
  return records;
}

function readerOf(bytes: Uint8Array): { view: DataView; offset: number } {
  return { view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), offset: 0 };
}

function zigZag(length: number): Buffer {
  const bytes: number[] = [];
  let rest = length * 2;
  for (; rest > 0x7f; rest >>= 7) bytes.push((rest & 0x7f) | 0x80);
  return Buffer.of(...bytes, rest);
}
