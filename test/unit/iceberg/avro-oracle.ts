// avsc as an independent reader and writer of Avro container files, with int64 as bigint.

import { once } from "node:events";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import avsc from "avsc";

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

export async function avscDecode(bytes: Uint8Array): Promise<unknown[]> {
  const decoder = new avsc.streams.BlockDecoder({ parseHook: (schema) => typeOf(schema as object) });
  const records: unknown[] = [];
  decoder.on("data", (record) => records.push(plain(record)));
  const ended = once(decoder, "end");
  Readable.from([Buffer.from(bytes)]).pipe(decoder);
  await ended;
  return records;
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

/** Without avsc's record classes and Buffers, so that values compare by content. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return new Uint8Array(value);
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, plain(inner)]));
}
