import { zstdCompressSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isKind } from "../../../lambdas/core/errors.ts";
import { decodeContainer, encodeContainer } from "../../../lambdas/core/iceberg/avro.ts";
import { avscEncode, icebirdDecode } from "./avro-oracle.ts";

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
  it("are read back exactly as written", () => {
    fc.assert(
      fc.property(fc.array(row), fc.constantFrom("deflate" as const, "null" as const), (rows, codec) => {
        expect(decodeContainer(encodeContainer(SCHEMA, rows, { content: "data" }, codec)).records).toEqual(rows);
      }),
      { numRuns: 50 },
    );
  });

  it("are read by icebird exactly as written", () => {
    // It cannot read fixed: those are pinned to the specification's bytes below.
    const schema = { ...SCHEMA, fields: SCHEMA.fields.filter(({ name }) => !name.startsWith("x")) };
    fc.assert(
      fc.property(fc.array(row), fc.constantFrom("deflate" as const, "null" as const), (rows, codec) => {
        const expected = rows.map(({ x, x2, ...rest }) => ({
          ...rest,
          d: rest.d ?? undefined,
          y: rest.y ?? undefined,
          m: rest.m ?? undefined,
        }));
        expect(icebirdDecode(encodeContainer(schema, rows, { content: "data" }, codec))).toEqual(expected);
      }),
      { numRuns: 50 },
    );
  });

  it("hold each value in the bytes that the specification says", () => {
    const decimal = { type: "fixed", name: "decimal_3_2", size: 2, logicalType: "decimal", precision: 3, scale: 2 };
    const micros = { type: "long", logicalType: "timestamp-micros", "adjust-to-utc": true };
    const examples: [type: unknown, value: unknown, hex: string][] = [
      ["long", 0, "00"],
      ["long", -1, "01"],
      ["long", 1n, "02"],
      ["long", -64n, "7f"],
      ["long", 64, "8001"],
      ["long", 2n ** 53n + 1n, "8280808080808020"],
      ["long", 2n ** 63n - 1n, "feffffffffffffffff01"],
      ["long", -(2n ** 63n), "ffffffffffffffffff01"],
      [micros, 2n ** 53n + 1n, "8280808080808020"],
      ["int", 2 ** 31 - 1, "feffffff0f"],
      ["int", -(2 ** 31), "ffffffff0f"],
      ["boolean", true, "01"],
      ["float", 1.5, "0000c03f"],
      ["double", -2, "00000000000000c0"],
      ["string", "foo", "06666f6f"],
      ["string", "\u00e9\u{1f9ca}", "0cc3a9f09fa78a"],
      ["bytes", Uint8Array.of(1, 255), "0401ff"],
      [decimal, Uint8Array.of(0xff, 0x38), "ff38"],
      [{ type: "array", items: "long" }, [3, 27], "04063600"],
      [{ type: "array", items: "long" }, [], "00"],
      [["null", "string"], null, "00"],
      [["null", "string"], "a", "020261"],
      [["null", decimal], Uint8Array.of(1, 2), "020102"],
    ];
    for (const [type, value, hex] of examples) {
      const schema = { type: "record", name: "r", fields: [{ name: "v", type }] };
      const text = JSON.stringify(schema);
      const head = ["Obj\u0001", lengthOf(2), textOf("avro.schema"), textOf(text), textOf("avro.codec")];
      const header = [...head, textOf("null"), "\0"].join("");
      const block = Buffer.concat([Buffer.of(2, hex.length), Buffer.from(hex, "hex")]);
      const file = Buffer.from(encodeContainer(schema, [{ v: value }], {}, "null"));
      const sync = file.subarray(-16);
      expect(file.toString("hex"), text).toBe(
        Buffer.concat([Buffer.from(header, "latin1"), sync, block, sync]).toString("hex"),
      );
    }
  });

  it("refuse a value that is not of its type and name its place, before a byte is stored", () => {
    const [good] = fc.sample(row, 1);
    const encode = (change: object) => encodeContainer(SCHEMA, [{ ...good, ...change }], {});
    expect(() => encode({ m: [{ key: 1, value: "text" }] })).toThrow("assertion failed: m.0.value does not fit");
    expect(() => encode({ l: 2 ** 53 })).toThrow("assertion failed: l does not fit");
    expect(() => encode({ l: 2n ** 63n })).toThrow("assertion failed: l does not fit");
    expect(() => encode({ a: [0n, -(2n ** 63n) - 1n] })).toThrow("assertion failed: a.1 does not fit");
    expect(() => encode({ i: 2 ** 31 })).toThrow("assertion failed: i does not fit");
    expect(() => encode({ x: new Uint8Array(4) })).toThrow("assertion failed: x does not fit");
    expect(() => encode({ s: undefined })).toThrow("assertion failed: s does not fit");
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

  it("hold a row larger than a block, among small ones", () => {
    const schema = { type: "record", name: "r", fields: [{ name: "y", type: "bytes" }] };
    const rows = [3, 5000, 200_000, 3].map((length) => ({ y: new Uint8Array(length).fill(length & 255) }));
    expect(decodeContainer(encodeContainer(schema, rows, {})).records).toEqual(rows);
  });

  it("follow their own schema, however many others were written before", () => {
    const fields = (type: string) => [{ name: "v", type: ["null", type] }];
    for (const name of Array.from({ length: 40 }, (_, i) => `r${i}`)) {
      const write = (type: string, v: unknown) =>
        encodeContainer({ type: "record", name, fields: fields(type) }, [{ v }], {});
      expect(decodeContainer(write("long", 7n)).records).toEqual([{ v: 7n }]);
      expect(decodeContainer(write("string", "a")).records).toEqual([{ v: "a" }]);
    }
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
    const row = { a: Uint8Array.of(1, 2), b: Uint8Array.of(3, 4) };
    for (const second of ["decimal_3_2", decimal]) {
      const fields = [
        { name: "a", type: decimal },
        { name: "b", type: second },
      ];
      const file = container("null", Uint8Array.of(1, 2, 3, 4), { type: "record", name: "pair", fields });
      expect(decodeContainer(file).records).toEqual([{ l: row }]);
    }
  });

  it("compressed with zstandard are read", () => {
    expect(decodeContainer(container("zstandard", zstdCompressSync(Uint8Array.of(84)))).records).toEqual([{ l: 42n }]);
  });

  it("compressed with a codec we lack are refused with the property to set", () => {
    expect(() => decodeContainer(container("snappy", new Uint8Array(3)), "s3://b/m.avro")).toThrow(
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

  it("that count more items than they have bytes are corrupt at once, before memory is taken for them", () => {
    const longs = { type: "array", items: "long" };
    // 2^40 items, then two of them: avsc's reader takes all memory for these seven bytes.
    const body = Uint8Array.of(0x80, 0x80, 0x80, 0x80, 0x80, 0x40, 2, 2, 0);
    expect(() => decodeContainer(container("null", body, longs), "s3://b/m.avro")).toThrow(
      /count is out of range file=s3:\/\/b\/m\.avro position=6/,
    );
  });

  it("with numbers longer than their type, unknown branches and symbols, or endless nesting are corrupt", () => {
    const decode = (type: unknown, ...bytes: number[]) => {
      const error = thrownBy(() => decodeContainer(container("null", Uint8Array.from(bytes), type)));
      expect(isKind(error, "Corrupt"), String(error)).toBe(true);
      return String(error);
    };
    expect(decode("int", 0xfe, 0xff, 0xff, 0xff, 0xff, 0x7f)).toMatch(/int is out of range/);
    expect(decode("long", ...new Uint8Array(11).fill(255), 1)).toMatch(/longer than ten bytes/);
    expect(decode(["null", "int"], 4, 2)).toMatch(/no such branch.*position=1/);
    expect(decode({ type: "enum", name: "e", symbols: ["A"] }, 2)).toMatch(/no such symbol.*position=1/);
    expect(decode("r", 1)).toMatch(/record cannot be read/);
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

/** A container of one record of one field `l`, with the block body as given. */
function container(codec: string, body: Uint8Array, type: unknown = "long"): Uint8Array {
  const schema = JSON.stringify({ type: "record", name: "r", fields: [{ name: "l", type }] });
  const head = ["Obj\u0001", lengthOf(2), textOf("avro.schema"), textOf(schema), textOf("avro.codec")];
  const header = Buffer.from([...head, textOf(codec), "\0", "s".repeat(16), "\u0002"].join(""), "latin1");
  const length = Buffer.from(lengthOf(body.length), "latin1");
  return new Uint8Array(Buffer.concat([header, length, body, Buffer.from("s".repeat(16))]));
}

/** A length as the specification writes it, in one or two bytes. */
function lengthOf(length: number): string {
  return length < 64
    ? String.fromCharCode(length * 2)
    : String.fromCharCode(((length * 2) & 0x7f) | 0x80, (length * 2) >> 7);
}

function textOf(text: string): string {
  return lengthOf(text.length) + text;
}
