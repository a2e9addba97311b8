import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { PrimitiveType, Value } from "../../../lambdas/core/iceberg/types.ts";
import {
  compareValues,
  decimalBytes,
  decodeValue,
  encodeValue,
  truncateLowerString,
  truncateUpperString,
} from "../../../lambdas/core/iceberg/values.ts";
import { primitiveType, valuesOf } from "./arbitraries.ts";

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

describe("single values", () => {
  it.each<[PrimitiveType, Value, string]>([
    ["boolean", true, "01"],
    ["int", 1, "01000000"],
    ["date", -1, "ffffffff"],
    ["long", 1n, "0100000000000000"],
    ["timestamptz", -2n, "feffffffffffffff"],
    ["float", -4.5, "000090c0"],
    ["double", 6, "0000000000001840"],
    ["string", "ABC", "414243"],
    ["uuid", "f79c3e09-677c-4bbd-a479-3f349cb785e7", "f79c3e09677c4bbda4793f349cb785e7"],
    ["decimal(4, 2)", 1420n, "058c"],
    ["decimal(4, 2)", -1420n, "fa74"],
    ["decimal(9, 0)", 128n, "0080"],
    ["decimal(9, 0)", -128n, "80"],
    ["decimal(9, 0)", 0n, "00"],
  ])("%s %s is written as %3$s, as the specification's appendix D says", (type, value, expected) => {
    expect(hex(encodeValue(type, value))).toBe(expected);
  });

  it("come back as they were", () => {
    const typed = primitiveType.chain((type) => fc.tuple(fc.constant(type), valuesOf(type)));
    fc.assert(
      fc.property(typed, ([type, value]) => {
        expect(decodeValue(type, encodeValue(type, value))).toEqual(
          type === "float" ? Math.fround(value as number) : value,
        );
      }),
    );
  });

  it("written before a promotion are read as the wider type", () => {
    expect(decodeValue("long", encodeValue("int", -7))).toBe(-7n);
    expect(decodeValue("double", encodeValue("float", 1.5))).toBe(1.5);
    expect(decodeValue("decimal(30, 2)", encodeValue("decimal(4, 2)", -1420n))).toBe(-1420n);
  });

  it("of a length that cannot be are corrupt", () => {
    expect(() => decodeValue("int", new Uint8Array(3))).toThrow(expect.objectContaining({ kind: "Corrupt" }));
  });

  it("compare totally, so that a bound never depends on the order of rows", () => {
    const three = primitiveType.chain((type) =>
      fc.tuple(fc.constant(type), valuesOf(type), valuesOf(type), valuesOf(type)),
    );
    fc.assert(
      fc.property(three, ([type, a, b, c]) => {
        const [low, middle, high] = [a, b, c].sort((x, y) => compareValues(type, x, y)) as [Value, Value, Value];
        expect(Math.sign(compareValues(type, a, b))).toBe(0 - Math.sign(compareValues(type, b, a)));
        expect(compareValues(type, low, middle)).toBeLessThanOrEqual(0);
        expect(compareValues(type, low, high)).toBeLessThanOrEqual(0);
      }),
    );
  });

  it("compare strings by code point, where JavaScript compares UTF-16 units", () => {
    expect(compareValues("string", "\u{1f600}", "\uffee")).toBeGreaterThan(0);
    expect("\u{1f600}" < "\uffee").toBe(true);
  });

  it("put -0.0 below 0.0 and NaN above everything, as Java does", () => {
    expect(compareValues("double", -0, 0)).toBeLessThan(0);
    expect(compareValues("double", Number.NaN, Number.POSITIVE_INFINITY)).toBeGreaterThan(0);
    expect(compareValues("double", Number.NaN, Number.NaN)).toBe(0);
  });

  it("give decimals the fewest bytes", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(10n ** 38n), max: 10n ** 38n }), (unscaled) => {
        const bytes = decimalBytes(unscaled);
        const oneLess = (bytes.length - 1) * 8;
        expect(bytes.length === 1 || BigInt.asIntN(oneLess, unscaled) !== unscaled).toBe(true);
      }),
    );
  });
});

describe("string bounds", () => {
  it("enclose the string whatever it holds", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.integer({ min: 1, max: 6 }), (text, length) => {
        expect(compareValues("string", truncateLowerString(text, length), text)).toBeLessThanOrEqual(0);
        const upper = truncateUpperString(text, length);
        if (upper !== undefined) {
          expect(compareValues("string", upper, text)).toBeGreaterThanOrEqual(0);
          expect([...upper].length).toBeLessThanOrEqual(length);
          expect(upper.isWellFormed()).toBe(true);
        }
      }),
    );
  });

  it("step over surrogates, which are no characters", () => {
    expect(truncateUpperString("\ud7ffx", 1)).toBe("\ue000");
  });

  it("are left out when nothing of the length is above", () => {
    expect(truncateUpperString("\u{10ffff}\u{10ffff}x", 2)).toBeUndefined();
    expect(truncateUpperString("a\u{10ffff}x", 2)).toBe("b");
  });
});
