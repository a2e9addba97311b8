// Avro object container files for the tests: avsc writes the records, the container is put together here, so that it can be wrong.

import { crc32, deflateRawSync, zstdCompressSync } from "node:zlib";
import avsc from "avsc";

const SYNC = Buffer.from("0123456789abcdef");

const longType = avsc.types.LongType.__with({
  fromBuffer: (bytes: Buffer) => bytes.readBigInt64LE(),
  toBuffer: (value: bigint) => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(BigInt(value));
    return bytes;
  },
  fromJSON: BigInt,
  toJSON: Number,
  isValid: (value: unknown) => typeof value === "bigint" || Number.isSafeInteger(value),
  compare: (a: bigint, b: bigint) => (a === b ? 0 : a < b ? -1 : 1),
});

const PACKERS: Readonly<Record<string, (body: Buffer) => Buffer>> = {
  null: (body) => body,
  deflate: (body) => deflateRawSync(body),
  zstandard: (body) => zstdCompressSync(body),
  snappy,
  bzip2: (body) => body,
};

export interface AvroOptions {
  readonly codec?: string;
  readonly blockRecords?: number;
}

export function avroOf(schema: object, records: readonly object[], options: AvroOptions = {}): Buffer {
  const { codec = "null", blockRecords = 100 } = options;
  const text = JSON.stringify(schema);
  const type = avsc.Type.forSchema(JSON.parse(text, withoutLogicalType), {
    registry: { long: longType },
    wrapUnions: false,
    logicalTypes: {},
  });
  const blocks: Buffer[] = [];
  for (let at = 0; at < records.length; at += blockRecords) {
    const part = records.slice(at, at + blockRecords);
    blocks.push(blockOf(part.length, Buffer.concat(part.map((record) => type.toBuffer(record))), codec));
  }
  return Buffer.concat([headerOf(text, codec), ...blocks]);
}

/** avsc forgets the registry's long under a logical type. */
function withoutLogicalType(_key: string, value: unknown): unknown {
  const { logicalType, type } = (value ?? {}) as { logicalType?: string; type?: unknown };
  return logicalType !== undefined && type !== "fixed" ? type : value;
}

export function headerOf(schemaText: string, codec: string): Buffer {
  const meta = { "avro.schema": Buffer.from(schemaText), "avro.codec": Buffer.from(codec) };
  const map = avsc.Type.forSchema({ type: "map", values: "bytes" });
  return Buffer.concat([Buffer.from("Obj\u0001", "latin1"), map.toBuffer(meta), SYNC]);
}

export function blockOf(count: number, body: Buffer, codec = "null"): Buffer {
  const packed = (PACKERS[codec] ?? PACKERS["null"])?.(body) ?? body;
  const long = avsc.Type.forSchema("long");
  return Buffer.concat([long.toBuffer(count), long.toBuffer(packed.length), packed, SYNC]);
}

/** Snappy without any compression: literals only. */
function snappy(body: Buffer): Buffer {
  const parts: Buffer[] = [varint(body.length)];
  for (let at = 0; at < body.length; at += 60) {
    const literal = body.subarray(at, at + 60);
    parts.push(Buffer.from([(literal.length - 1) << 2]), literal);
  }
  const crc = Buffer.alloc(4);
  crc.writeUInt32BE(crc32(body));
  return Buffer.concat([...parts, crc]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  return Buffer.from([...bytes, rest]);
}
