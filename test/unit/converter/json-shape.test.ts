import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Shape, ShapeReader, TEXT } from "../../../lambdas/adapters/converter/json/shape.ts";
import { fieldsOfShape, fits, typeOfShape } from "../../../lambdas/adapters/converter/json/types.ts";
import type { DraftType, Type } from "../../../lambdas/core/iceberg/types.ts";

function shapeOf(...records: readonly string[]): Shape {
  const reader = new ShapeReader();
  for (const record of records) reader.add(record);
  return reader.shape;
}

const typeOf = (...values: readonly string[]): DraftType | undefined =>
  fieldsOfShape(shapeOf(...values.map((value) => `{"v":${value}}`)), [])[0]?.type;

/** The kinds of a parsed value, by JSON.parse, to compare with. */
function kindsOf(shape: Shape, value: unknown): boolean {
  if (value === null) return true;
  if (typeof value === "boolean") return shape.bools;
  if (typeof value === "string") return shape.strings;
  if (typeof value === "number") return shape.ints || shape.bigs || shape.huge || shape.reals;
  if (Array.isArray(value))
    return shape.lists && value.every((item) => shape.element !== undefined && kindsOf(shape.element, item));
  return Object.entries(value as object).every(([key, item]) => {
    const field = shape.fields?.get(key);
    return field !== undefined && kindsOf(field.shape, item);
  });
}

describe("the shape of JSON records", () => {
  test("knows every key and kind that JSON.parse finds, however the text is spaced and escaped", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.constantFrom(undefined, 1, "\t"), (record, space) => {
        const shape = shapeOf(JSON.stringify(record, null, space));
        expect(kindsOf(shape, JSON.parse(JSON.stringify(record)))).toBe(true);
        expect(shape.fields?.size ?? 0).toBe(Object.keys(record).length);
      }),
    );
  });

  test("finds a key that an object has twice, also under another escape", () => {
    expect(new ShapeReader().add('{"a":{"b":1},"c":[{"d":1},{"d":2}]}')).toBeUndefined();
    expect(new ShapeReader().add('{"x":[{"a":1,"\\u0061":2}]}')).toBe("a");
  });

  test("throws on text that is no object instead of guessing", () => {
    for (const text of ['{"a":1,}', '{"a" 1}', '{"a":x}', '{"a":"'])
      expect(() => new ShapeReader().add(text)).toThrow();
  });

  test("a hundred thousand nested lists do not end the process", () => {
    const shape = shapeOf(`{"a":${"[".repeat(1e5)}${"]".repeat(1e5)},"b":1}`);
    expect([...(shape.fields?.keys() ?? [])]).toEqual(["a", "b"]);
  });
});

describe("types", () => {
  test.each<[readonly string[], DraftType | undefined]>([
    [["1", "-9223372036854775808"], "long"],
    [["1", "9223372036854775808"], "decimal(38, 0)"],
    [["1", "1.0"], "double"],
    [["1e3"], "double"],
    [["9007199254740993", "0.5"], "string"],
    [["100000000000000000000000000000000000000"], "string"],
    [["true", "null"], "boolean"],
    [["true", "1"], "string"],
    [["null"], undefined],
    [["{}"], "string"],
    [["[]"], { type: "list", element: "string" }],
    [["[null]"], { type: "list", element: "string" }],
    [["[1]", "[2.5]"], { type: "list", element: "double" }],
    [["[1]", '["x"]'], { type: "list", element: "string" }],
    [["[1]", "{}"], "string"],
    [['{"a":1}', '{"A":2}'], "string"],
    [['{"a":null}'], "string"],
    [['"2024-02-29"'], "date"],
    [['"2023-02-29"'], "string"],
    [['"2024-01-01T00:00:00Z"', '"2024-01-01T00:00:00.5+0530"'], "timestamptz"],
    [['"2024-01-01T00:00:00Z"', '"2024-01-01T00:00:00"'], "string"],
    [['"2024-01-01T00:00:00"', '"2024-01-01 10:30"'], "timestamp"],
    [['"2024-01-01T25:00:00"'], "string"],
    [['""', '"2024-01-01"'], "string"],
    [['"123e4567-e89b-12d3-a456-426614174000"'], "string"],
    [['["2024-01-01"]'], { type: "list", element: "string" }],
  ])("%j is %j", (values, type) => expect(typeOf(...values)).toEqual(type));

  test("a table's column keeps its type for what fits, and shows the conflict for what does not", () => {
    const known = (type: Type) => (value: string) =>
      typeOfShape(shapeOf(`{"v":${value}}`).fields?.get("v")?.shape as Shape, type);
    expect(known("double")("1")).toBe("double");
    expect(known("string")('{"a":[1]}')).toBe("string");
    expect(known("long")('"12"')).toBe("long");
    expect(known("long")("1.5")).toBe("double");
    expect(known("timestamptz")('"2024-01-01"')).toBe("timestamptz");
    expect(known("timestamp")('"2024-01-01T00:00:00Z"')).toBe("timestamptz");
    expect(known("decimal(10, 2)")("1.25")).toBe("decimal(10, 2)");
  });

  test("what fits a type never fits it only by losing a key", () => {
    const struct: Type = { type: "struct", fields: [{ id: 1, name: "a", required: false, type: "long" }] };
    expect(fits(shapeOf('{"a":1,"b":null}'), struct)).toBe(true);
    expect(fits(shapeOf('{"a":1,"b":0}'), struct)).toBe(false);
    expect(fits(shapeOf('{"A":1}'), struct)).toBe(false);
  });

  test("a mask of text kinds only ever loses bits", () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.string(), fc.constantFrom("1", "true", "2024-01-01", "2024-01-01T00:00:00Z"))),
        (texts) => {
          const reader = new ShapeReader();
          let before: number = TEXT.all;
          for (const text of texts) {
            reader.add(JSON.stringify({ v: text }));
            const after = reader.shape.fields?.get("v")?.shape.text ?? 0;
            expect(after & ~before).toBe(0);
            before = after;
          }
        },
      ),
    );
  });
});
