import { zstdCompressSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isKind } from "../../../lambdas/core/errors.ts";
import { decodeContainer, encodeContainer } from "../../../lambdas/core/iceberg/avro.ts";
import { AvroSink } from "../../../lambdas/core/iceberg/avro-io.ts";
import { avscDecode, avscEncode } from "./avro-oracle.ts";

const optional = (type: unknown) => ["null", type];
const SCHEMA = {
  type: "record",
  name: "row",
  fields: [
    { name: "b", type: "boolean", "field-id": 1 },
    { name: "i", type: "int", "field-id": 2 },
    { name: "l", type: "long", "field-id": 3 },
    { name: "d", type: optional("double"), default: null, "field-id": 4 },
    { name: "f", type: "float", "field-id": 5 },
    { name: "s", type: "string", "field-id": 6 },
    { name: "y", type: optional("bytes"), default: null, "field-id": 7 },
    { name: "x", type: { type: "fixed", name: "fixed_3", size: 3 }, "field-id": 8 },
    { name: "x2", type: optional("fixed_3"), default: null, "field-id": 9 },
    { name: "a", type: { type: "array", items: "long", "element-id": 11 }, "field-id": 10 },
    {
      name: "m",
      "field-id": 12,
      type: optional({
        type: "array",
        logicalType: "map",
        items: {
          type: "record",
          name: "k1_v2",
          fields: [
            { name: "key", type: "int", "field-id": 13 },
            { name: "value", type: "bytes", "field-id": 14 },
          ],
        },
      }),
      default: null,
    },
  ],
};

const long = fc.oneof(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), fc.integer().map(BigInt));
const bytes = fc.uint8Array({ maxLength: 12 });
const fixed = fc.uint8Array({ minLength: 3, maxLength: 3 });
const nullable = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: null });
const row = fc.record({
  b: fc.boolean(),
  i: fc.integer(),
  l: long,
  d: nullable(fc.double()),
  f: fc.float(),
  s: fc.string({ unit: "grapheme" }),
  y: nullable(bytes),
  x: fixed,
  x2: nullable(fixed),
  a: fc.array(long),
  m: nullable(fc.array(fc.record({ key: fc.integer(), value: bytes }))),
});

/** avsc wants Buffers where we take and give Uint8Arrays. */
function withBuffers(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value);
  if (Array.isArray(value)) return value.map(withBuffers);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, withBuffers(inner)]));
}

describe("avro container files", () => {
  it("are read back by avsc exactly as written", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(row), fc.constantFrom("deflate" as const, "null" as const), async (rows, codec) => {
        const file = encodeContainer(SCHEMA, rows, { content: "data" }, codec);
        expect(await avscDecode(file)).toEqual(rows);
        expect(decodeContainer(file).records).toEqual(rows);
      }),
      { numRuns: 50 },
    );
  });

  it("written by avsc in many small blocks are read", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(row, { minLength: 1 }), fc.constantFrom("deflate", "null"), async (rows, codec) => {
        const file = await avscEncode(SCHEMA, rows.map(withBuffers), codec, 64);
        expect(decodeContainer(file).records).toEqual(rows);
      }),
      { numRuns: 50 },
    );
  });

  it("hold more rows than fit one block", () => {
    const schema = { type: "record", name: "r", fields: [{ name: "s", type: "string" }] };
    const rows = Array.from({ length: 5000 }, (_, i) => ({ s: `row ${i} ${"x".repeat(40)}` }));
    expect(decodeContainer(encodeContainer(schema, rows, {})).records).toEqual(rows);
  });

  it("keep field ids in the header, by which readers find columns", () => {
    const { schema, meta } = decodeContainer(encodeContainer(SCHEMA, [], { "format-version": "2" }));
    expect(schema).toEqual(SCHEMA);
    expect(meta["format-version"]).toBe("2");
  });

  it("are the same bytes for the same records, so a repeated write changes nothing", () => {
    const [value] = fc.sample(row, 1);
    const write = () => encodeContainer(SCHEMA, [value as object], { a: "1" });
    expect(write()).toEqual(write());
    expect(encodeContainer(SCHEMA, [], { a: "2" })).not.toEqual(encodeContainer(SCHEMA, [], { a: "1" }));
  });

  it("that repeat the definition of a decimal, as PyIceberg's do, are read", () => {
    const decimal = { type: "fixed", name: "decimal_3_2", size: 2, logicalType: "decimal", precision: 3, scale: 2 };
    const schema = (second: unknown) => ({
      type: "record",
      name: "r",
      fields: [
        { name: "a", type: decimal },
        { name: "b", type: second },
      ],
    });
    const row = { a: Uint8Array.of(1, 2), b: Uint8Array.of(3, 4) };
    const file = encodeContainer(schema("decimal_3_2"), [row], {});
    const repeated = encodeContainer(schema(decimal), [row], {});
    expect(decodeContainer(file).records).toEqual([row]);
    expect(decodeContainer(repeated).records).toEqual([row]);
  });

  it("compressed with zstandard are read", () => {
    const body = new AvroSink();
    body.writeLong(42);
    expect(decodeContainer(container("zstandard", zstdCompressSync(body.take()), 1)).records).toEqual([{ l: 42n }]);
  });

  it("compressed with a codec we lack are refused with the property to set", () => {
    expect(() => decodeContainer(container("snappy", new Uint8Array(3), 1), "s3://b/m.avro")).toThrow(
      /write\.avro\.compression-codec.*codec=snappy file=s3:\/\/b\/m\.avro/,
    );
  });

  it("cut short or damaged anywhere are corrupt, never wrong rows or a crash", () => {
    const file = encodeContainer(SCHEMA, fc.sample(row, 3), {}, "null");
    fc.assert(
      fc.property(fc.nat({ max: file.length - 1 }), (length) => {
        const error = thrownBy(() => decodeContainer(file.slice(0, length)));
        // A file may end after its header: then it has no rows.
        if (error === undefined) expect(decodeContainer(file.slice(0, length)).records).toEqual([]);
        else expect(isKind(error, "Corrupt")).toBe(true);
      }),
    );
    fc.assert(
      fc.property(fc.nat({ max: file.length - 1 }), fc.integer({ min: 1, max: 255 }), (at, flip) => {
        const damaged = file.slice();
        damaged[at] = (damaged[at] ?? 0) ^ flip;
        const error = thrownBy(() => decodeContainer(damaged));
        expect(error === undefined || isKind(error, "Corrupt", "Invalid"), String(error)).toBe(true);
      }),
      { numRuns: 500 },
    );
  });
});

function thrownBy(action: () => unknown): unknown {
  try {
    action();
    return undefined;
  } catch (error) {
    return error;
  }
}

/** A container of one long per record with the block body as given. */
function container(codec: string, body: Uint8Array, count: number): Uint8Array {
  const sink = new AvroSink();
  sink.writeRaw(Buffer.from("Obj\u0001", "latin1"));
  sink.writeLong(2);
  sink.writeString("avro.schema");
  sink.writeString('{"type":"record","name":"r","fields":[{"name":"l","type":"long"}]}');
  sink.writeString("avro.codec");
  sink.writeString(codec);
  sink.writeLong(0);
  sink.writeRaw(new Uint8Array(16));
  sink.writeLong(count);
  sink.writeBytes(body);
  sink.writeRaw(new Uint8Array(16));
  return sink.take();
}
