import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { applyTransform, hashValue, murmur3, transformResultType } from "../../../lambdas/core/iceberg/transforms.ts";
import type { PrimitiveType, Transform, Value } from "../../../lambdas/core/iceberg/types.ts";

const DAY_MS = 86_400_000;
const daysOf = (iso: string) => Date.parse(iso) / DAY_MS;
const microsOf = (iso: string) => BigInt(Date.parse(iso)) * 1000n;

describe("bucket hashes", () => {
  it.each<[PrimitiveType, Value, number]>([
    ["int", 34, 2017239379],
    ["long", 34n, 2017239379],
    ["decimal(9, 2)", 1420n, -500754589],
    ["date", daysOf("2017-11-16T00:00:00Z"), -653330422],
    ["time", 81_068_000_000n, -662762989],
    ["timestamp", microsOf("2017-11-16T22:31:08Z"), -2047944441],
    ["timestamp", microsOf("2017-11-16T22:31:08Z") + 1n, -1207196810],
    ["timestamptz", microsOf("2017-11-16T14:31:08-08:00"), -2047944441],
    ["timestamptz", microsOf("2017-11-16T14:31:08-08:00") + 1n, -1207196810],
    ["string", "iceberg", 1210000089],
    ["uuid", "f79c3e09-677c-4bbd-a479-3f349cb785e7", 1488055340],
    ["fixed[4]", Uint8Array.of(0, 1, 2, 3), -188683207],
    ["binary", Uint8Array.of(0, 1, 2, 3), -188683207],
  ])("of %s %s are the specification's (appendix B)", (type, value, hash) => {
    expect(hashValue(type, value)).toBe(hash);
  });

  it("match the published Murmur3 vectors, tails of every length", () => {
    const text = (value: string) => murmur3(new TextEncoder().encode(value)) >>> 0;
    expect(text("")).toBe(0);
    expect(murmur3(Uint8Array.of(0x21)) >>> 0).toBe(0x72661cf4);
    expect(murmur3(Uint8Array.of(0x21, 0x43)) >>> 0).toBe(0xa0f7b07a);
    expect(murmur3(Uint8Array.of(0x21, 0x43, 0x65)) >>> 0).toBe(0x7e4a8634);
    expect(murmur3(Uint8Array.of(0x21, 0x43, 0x65, 0x87)) >>> 0).toBe(0xf55b516b);
    expect(murmur3(Uint8Array.of(0xff, 0xff, 0xff, 0xff)) >>> 0).toBe(0x76293b50);
    expect(text("abc")).toBe(0xb3dd93fa);
    expect(text("Hello, world!")).toBe(0xc0363e43);
    expect(text("The quick brown fox jumps over the lazy dog")).toBe(0x2e4ff723);
  });

  it("give a bucket within range for negative hashes, whatever the number of buckets", () => {
    fc.assert(
      fc.property(fc.string(), fc.integer({ min: 1, max: 1000 }), (text, n) => {
        const bucket = applyTransform(`bucket[${n}]`, "string", text);
        expect(bucket).toBe(Number(BigInt.asUintN(31, BigInt(hashValue("string", text)))) % n);
        expect(bucket).toBeGreaterThanOrEqual(0);
      }),
    );
  });
});

describe("truncate", () => {
  it.each<[Transform, PrimitiveType, Value, Value]>([
    ["truncate[10]", "int", 1, 0],
    ["truncate[10]", "int", -1, -10],
    ["truncate[10]", "long", 1n, 0n],
    ["truncate[10]", "long", -1n, -10n],
    ["truncate[50]", "decimal(9, 2)", 1065n, 1050n],
    ["truncate[50]", "decimal(9, 2)", -1n, -50n],
    ["truncate[3]", "string", "iceberg", "ice"],
    ["truncate[3]", "string", "\u{1f600}\u{1f600}\u{1f600}\u{1f600}", "\u{1f600}\u{1f600}\u{1f600}"],
    ["truncate[3]", "binary", Uint8Array.of(1, 2, 3, 4), Uint8Array.of(1, 2, 3)],
  ])("%s of %s %s is %s", (transform, type, value, expected) => {
    expect(applyTransform(transform, type, value)).toEqual(expected);
  });
});

describe("time transforms", () => {
  it.each<[Transform, PrimitiveType, Value, number]>([
    ["year", "date", daysOf("2017-11-16T00:00:00Z"), 47],
    ["month", "date", daysOf("2017-11-16T00:00:00Z"), 47 * 12 + 10],
    ["year", "date", -1, -1],
    ["month", "date", -1, -1],
    ["day", "date", -1, -1],
    ["year", "timestamp", -1n, -1],
    ["month", "timestamptz", -1n, -1],
    ["day", "timestamp", -1n, -1],
    ["hour", "timestamp", -1n, -1],
    ["hour", "timestamp", 2n ** 63n - 1n, 2562047788 - 2 ** 32],
    ["hour", "timestamptz", microsOf("1970-01-01T23:59:59Z"), 23],
  ])("%s of %s %s is %s, rounded down before 1970 too", (transform, type, value, expected) => {
    expect(applyTransform(transform, type, value)).toBe(expected);
  });

  it("agree with JavaScript's calendar wherever it reaches", () => {
    const day = fc.integer({ min: -100_000_000, max: 100_000_000 });
    fc.assert(
      fc.property(day, (days) => {
        const date = new Date(days * DAY_MS);
        const year = date.getUTCFullYear() - 1970;
        expect(applyTransform("year", "date", days)).toBe(year);
        expect(applyTransform("month", "date", days)).toBe(year * 12 + date.getUTCMonth());
        expect(applyTransform("day", "timestamp", BigInt(days) * 86_400_000_000n)).toBe(days);
      }),
    );
  });
});

describe("transforms", () => {
  it("keep null null, or rows without a value would land in a partition of their own making", () => {
    for (const transform of ["identity", "day", "bucket[4]", "void"] as const) {
      expect(applyTransform(transform, "timestamp", null)).toBeNull();
    }
    expect(applyTransform("void", "string", "x")).toBeNull();
  });

  it("are refused for types they are not defined on", () => {
    expect(transformResultType("hour", "date")).toBeUndefined();
    expect(transformResultType("bucket[4]", "double")).toBeUndefined();
    expect(transformResultType("truncate[4]", "date")).toBeUndefined();
    expect(transformResultType("bucket[0]", "int")).toBeUndefined();
    expect(() => applyTransform("day", "string", "2020-01-01")).toThrow(/transform=day type=string/);
  });
});
