import { deflateRawSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { pack, unpack } from "../../../lambdas/core/packing.ts";

/** What batch items hold: JSON values, bytes (as Uint8Array or Buffer) and bigints, without undefined. */
const { value } = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.string({ unit: "binary" }).filter((text) => text.isWellFormed()),
    fc.double({ noNaN: true, noDefaultInfinity: true }).filter((number) => !Object.is(number, -0)),
    fc.boolean(),
    fc.constant(null),
    fc.bigInt(),
    fc.uint8Array(),
    fc.array(tie("value")),
    fc.dictionary(
      fc.string().filter((name) => !["__proto__", "$bytes", "$bigint"].includes(name)),
      tie("value"),
      { noNullPrototype: true },
    ),
  ),
}));

describe("packing", () => {
  test("gives back every value a ledger item holds", () => {
    fc.assert(
      fc.property(value, (one) => {
        expect(unpack(pack(one))).toEqual(one);
      }),
    );
  });

  test("keeps the bytes of a Buffer, which turns itself into JSON before a replacer sees it", () => {
    const packed = pack({ bound: Buffer.from([0, 255, 1]), list: [Buffer.from("x")] });
    expect(unpack(packed)).toEqual({ bound: new Uint8Array([0, 255, 1]), list: [new Uint8Array([120])] });
  });

  test("keeps integers past 2^53 exact", () => {
    expect(unpack(pack({ id: 9_007_199_254_740_993n }))).toEqual({ id: 9_007_199_254_740_993n });
  });

  test("holds the files of a full batch far below DynamoDB's 400 KB", () => {
    const files = Array.from({ length: 1000 }, (_, n) => ({
      key: `orders/2026/01/02/part-${n}.csv`,
      etag: (n * 2654435761).toString(16).padStart(32, "a"),
    }));
    expect(pack(files).length).toBeLessThan(60_000);
  });

  test.each([
    ["no deflate stream", new Uint8Array([1, 2, 3])],
    ["a stream that breaks off", pack({ a: "x".repeat(1000) }).subarray(0, 10)],
    ["no json", new Uint8Array(deflateRawSync("{"))],
  ])("%s is a damaged ledger", (_name, bytes) => {
    expect(() => unpack(bytes)).toThrow(expect.objectContaining({ kind: "Corrupt" }));
  });
});
