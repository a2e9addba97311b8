// avsc's types for Avro schemas as Iceberg writes them: what the writer encodes records with.
// avsc's own longs end at 2^53 and its bytes are Buffers. Here a long is a number or a bigint up to int64, and bytes and fixed
// are Uint8Arrays. Logical types are left out on purpose: a manifest holds the plain int, long or bytes beneath them.

import type { Type } from "avsc";
import avsc from "avsc/etc/browser/avsc-types.js";

/** A type takes as long to make as a hundred entries to encode, and a sandbox meets few schemas: one per partition spec. */
const CACHED_TYPES_MAX = 32;
const cache = new Map<string, Type>();

/** `text`: the schema as JSON, with whatever attributes; avsc ignores those it does not know. */
export function avroType(text: string): Type {
  const cached = cache.get(text);
  if (cached !== undefined) return cached;
  const type = avsc.Type.forSchema(JSON.parse(text), { wrapUnions: "never", omitRecordMethods: true, typeHook });
  if (cache.size === CACHED_TYPES_MAX) cache.clear();
  cache.set(text, type);
  return type;
}

const longBytes = Buffer.alloc(8);

/** avsc packs the eight bytes at once, so one buffer serves every long. */
function bytesOfLong(value: number | bigint): Buffer {
  longBytes.writeBigInt64LE(BigInt(value));
  return longBytes;
}

const int64 = avsc.types.LongType.__with({
  toBuffer: bytesOfLong,
  fromBuffer: (bytes: Buffer) => bytes.readBigInt64LE(),
  isValid: (value: unknown) =>
    typeof value === "bigint" ? BigInt.asIntN(64, value) === value : Number.isSafeInteger(value),
  fromJSON: BigInt,
  toJSON: String,
  compare: (a: bigint, b: bigint) => (a === b ? 0 : a < b ? -1 : 1),
});

class ByteArrayType extends avsc.types.LogicalType {
  protected override _toValue(value: unknown): Buffer | undefined {
    if (!(value instanceof Uint8Array)) return undefined;
    return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  }

  protected override _fromValue(buffer: Buffer): Uint8Array {
    return new Uint8Array(buffer);
  }
}

const byteArray = new ByteArrayType({ type: "bytes" });

/** avsc asks this for every schema inside a schema, written as a name or as an object. */
function typeHook(schema: unknown, options: object): Type | undefined {
  switch (typeof schema === "object" && schema !== null && "type" in schema ? schema.type : schema) {
    case "long":
      return int64;
    case "bytes":
      return byteArray;
    case "fixed":
      // Without the hook, which would answer the same again.
      return new ByteArrayType(schema as never, { ...options, typeHook: undefined });
    default:
      return undefined;
  }
}
