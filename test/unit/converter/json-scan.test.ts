import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { OddJson } from "../../../lambdas/adapters/converter/json/odd.ts";
import { type JsonFault, type JsonLayout, JsonScan } from "../../../lambdas/adapters/converter/json/scan.ts";

function faultOf(text: string | Buffer, layout: JsonLayout = "documents", pieceBytes = 1 << 16): JsonFault | undefined {
  const bytes = Buffer.from(text as string);
  const scan = new JsonScan(layout);
  for (let at = 0; at < bytes.length; at += pieceBytes) scan.add(bytes.subarray(at, at + pieceBytes));
  scan.end();
  return scan.fault;
}

function isOdd(text: string, pieceBytes = 1 << 16): boolean {
  const bytes = Buffer.from(text);
  const odd = new OddJson();
  for (let at = 0; at < bytes.length; at += pieceBytes) odd.add(bytes.subarray(at, at + pieceBytes));
  return odd.found;
}

function parses(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** JSON with one character changed, taken out or put in. */
const damaged = fc
  .tuple(fc.json(), fc.nat(), fc.constantFrom(...'{}[]:,"\\0123456789.eE+-tfnul \n\t\u0001x', ""), fc.boolean())
  .map(([text, at, char, over]) => {
    const place = at % (text.length + 1);
    return text.slice(0, place) + char + text.slice(over ? place + 1 : place);
  });

describe("the scan of JSON", () => {
  test("takes what JSON.parse takes and refuses what it refuses, wherever the pieces are cut", () => {
    fc.assert(
      fc.property(damaged, fc.integer({ min: 1, max: 7 }), (text, pieceBytes) => {
        // Two objects may follow one another, and half a pair of surrogates is no text: both are this project's rules.
        fc.pre(!/\}\s*\{/.test(text) && !/\\u[dD][89a-fA-F]/.test(text) && text.isWellFormed() && text.trim() !== "");
        expect(faultOf(text) === undefined).toBe(parses(text));
        expect(faultOf(text, "documents", pieceBytes)).toEqual(faultOf(text));
      }),
      { numRuns: 3000 },
    );
  });

  test.each<[string | Buffer, JsonLayout, Partial<JsonFault> | undefined]>([
    ['{"a":1}\n{"a":\n2}\n', "lines", { line: 2, byte: 6 }],
    ['{"a":1}\n\n{"a":2,}\n', "lines", { line: 3, byte: 8, problem: "a comma before a closing brace" }],
    ['{"a":1} {"a":2}', "lines", { line: 1, byte: 9 }],
    ["1\n[2]\n", "lines", undefined],
    ["[1,2]\n[3]", "list", { line: 2, byte: 1 }],
    ['{"a":1}{"a":2}', "documents", undefined],
    ['{"a":1}2', "documents", { line: 1, byte: 8 }],
    ['{"a":"\\ud800"}', "documents", { line: 1, byte: 13 }],
    ['{"a":"\\ud83d\\ude00"}', "documents", undefined],
    [Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]), "documents", { line: 1, byte: 3, problem: "text that is not UTF-8" }],
    ["{", "documents", { line: 1, byte: 2, problem: "ends in the middle of a record" }],
  ])("tells the place in %j as %s", (text, layout, fault) => {
    if (fault === undefined) expect(faultOf(text, layout)).toBeUndefined();
    else expect(faultOf(text, layout)).toMatchObject(fault);
  });

  test("knows a million open lists", () => {
    expect(faultOf("[".repeat(1e6) + "]".repeat(1e6))).toBeUndefined();
    expect(faultOf("[".repeat(1e6))).toMatchObject({ byte: 1e6 + 1 });
  });
});

describe("what looks odd", () => {
  test.each(['{"a":1,}', "[1 , \n ]", '{"a": NaN}', "[nan,1]", '{"a":-Infinity }', "[inf]", '\f{"a":1}', '{"a":1}\v'])(
    "%j does, wherever it is cut",
    (text) => {
      for (let pieceBytes = 1; pieceBytes <= text.length; pieceBytes++) expect(isOdd(text, pieceBytes)).toBe(true);
      expect(isOdd(`${" ".repeat(65_530)}${text}`)).toBe(true);
    },
  );

  test.each(['{"a":"INFO one","b":"Ian Fox"}', '{"nan":1,"information":[],"c":{}}', '{"a":"in fact, no"}'])(
    "%j does not",
    (text) => {
      for (let pieceBytes = 1; pieceBytes <= text.length; pieceBytes++) expect(isOdd(text, pieceBytes)).toBe(false);
    },
  );
});
