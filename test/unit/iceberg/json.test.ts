import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatJson, parseJson } from "../../../lambdas/core/iceberg/json.ts";

describe("lossless JSON", () => {
  it("keeps a snapshot id that Java drew from all 63 bits", () => {
    const text = '{"snapshot-id":3776207205136740581,"sequence-number":7}';
    expect(parseJson(text)).toEqual({ "snapshot-id": 3776207205136740581n, "sequence-number": 7 });
    expect(formatJson(parseJson(text))).toBe(text);
  });

  it("writes every int64 as a number literal and reads it back", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (id) => {
        const text = formatJson({ id });
        expect(text).toBe(`{"id":${id}}`);
        expect(BigInt((parseJson(text) as { id: bigint | number }).id)).toBe(id);
      }),
    );
  });

  it("changes form exactly where numbers stop being exact", () => {
    expect(parseJson("[9007199254740991,-9007199254740991]")).toEqual([2 ** 53 - 1, 1 - 2 ** 53]);
    expect(parseJson("[9007199254740992,-9007199254740992]")).toEqual([2n ** 53n, -(2n ** 53n)]);
    expect(parseJson('{"a":9007199254740993,"b":1234567890123456,"c":0.1234567890123456,"d":1e30}')).toEqual({
      a: 9_007_199_254_740_993n,
      b: 1_234_567_890_123_456,
      c: 0.1234567890123456,
      d: 1e30,
    });
  });

  it("means the same to other JSON readers before and after", () => {
    fc.assert(
      fc.property(fc.json(), (json) => {
        expect(JSON.parse(formatJson(parseJson(json)))).toEqual(JSON.parse(json));
      }),
    );
  });

  it("does not turn digits inside a string into a number", () => {
    expect(parseJson('{"commit":"9007199254740993"}')).toEqual({ commit: "9007199254740993" });
  });

  it("calls bytes that are no JSON corrupt", () => {
    expect(() => parseJson("{")).toThrow(expect.objectContaining({ kind: "Corrupt" }));
  });
});
