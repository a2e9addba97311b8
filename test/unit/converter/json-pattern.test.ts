// The pattern of an NDJSON file against the reader it spares: what it takes must fit, and hold no more than it says.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FitReader } from "../../../lambdas/adapters/converter/json/fit.ts";
import { LinePattern } from "../../../lambdas/adapters/converter/json/pattern.ts";
import { emptyShape, type Shape, ShapeReader } from "../../../lambdas/adapters/converter/json/shape.ts";
import { fits, isNull, typeOfShape } from "../../../lambdas/adapters/converter/json/types.ts";
import { assignFieldIds } from "../../../lambdas/core/iceberg/schema.ts";
import type { DraftField, DraftType, NestedField } from "../../../lambdas/core/iceberg/types.ts";

const SCALARS = [
  "boolean",
  "int",
  "long",
  "float",
  "double",
  "decimal(9, 2)",
  "decimal(38, 0)",
  "decimal(2, 2)",
  "date",
  "timestamp",
  "timestamptz",
  "time",
  "uuid",
  "binary",
  "string",
] as const;
const TYPES: readonly DraftType[] = [
  ...SCALARS,
  { type: "list", element: "long" },
  { type: "list", element: { type: "struct", fields: [{ name: "k", type: "date" }] } },
  { type: "map", key: "string", value: "long" },
  {
    type: "struct",
    fields: [
      { name: "k", type: "long" },
      { name: 'q"\\é', type: "string" },
    ],
  },
];

const columnsOf = (fields: readonly DraftField[]): NestedField[] => assignFieldIds(fields, 0).fields;
/** As the sift reads a file. */
const bytes = (text: string) => Buffer.from(text).toString("latin1");
const takes = (pattern: LinePattern | undefined, text: string) => {
  if (pattern === undefined) return false;
  pattern.line.lastIndex = 0;
  return pattern.line.test(bytes(text));
};

const digits = fc.stringMatching(/^-?(?:0|[1-9]\d{0,20})(?:\.\d{1,22})?(?:[eE][+-]?\d{1,3})?$/);
const short = fc.stringMatching(/^-?(?:0|[1-9]\d{0,3})(?:\.\d{1,3})?$/);
const whole = fc.stringMatching(/^-?[1-9]\d{7,20}$/);
const times = fc.stringMatching(
  /^"(?:2026|0000|1999)-[01]\d-[0-3]\d(?:[T ][0-2]\d:[0-6]\d(?::[0-6]\d(?:\.\d{1,10})?)?(?:Z|\+02:00|-15:30| UTC)?)?"$/,
);
const scalar = fc.oneof(
  digits,
  short,
  whole,
  times,
  fc.constantFrom("null", "true", "false", '"x"', '""', '"5"', '"a\\u0041\\n\\"é"', '"\\ud83d\\ude00"', '"\t"', '" 1"'),
);
const value = fc.oneof(
  { weight: 4, arbitrary: scalar },
  fc.array(scalar, { maxLength: 3 }).map((all) => `[${all.join(",")}]`),
  scalar.map((inner) => `{"k":${inner}}`),
  scalar.map((inner) => `[{"k": ${inner}}, null]`),
  fc.tuple(scalar, scalar).map(([k, q]) => `{"k":${k},"q\\"\\\\é":${q}}`),
  fc.constantFrom("{}", "[]", "[1,]", '{"k":1,}', '{"k":1 "z":2}', '{"other":1}', '{"other":null}', "[[1]]"),
);
const record = fc
  .array(fc.tuple(fc.constantFrom("a", "b", "a", "b", "A", "z"), value), { maxLength: 3 })
  .map((members) => `{${members.map(([key, text]) => `"${key}":${text}`).join(",")}}`);

describe("a line the pattern takes", () => {
  test.each(TYPES.map((type) => [JSON.stringify(type), type] as const))(
    "fits a column of %s, and what it holds is known",
    (_, type) => {
      const columns = columnsOf([
        { name: "a", type },
        { name: "b", type: "long" },
      ]);
      const fit = new FitReader(columns, new Map());
      fc.assert(
        fc.property(fc.array(record, { minLength: 1, maxLength: 6 }), record, (learned, later) => {
          const pattern = LinePattern.learn(columns, learned.map(bytes));
          if (pattern === undefined) return;
          const taken = [...learned, later].filter((text) => takes(pattern, text));
          const reader = new ShapeReader();
          for (const text of taken) {
            expect(() => JSON.parse(text)).not.toThrow();
            expect(fit.read(text).findings).toEqual([]);
            expect(reader.add(text)).toBeUndefined();
          }
          expectKnown(reader.shape, shapeOf(pattern), columns);
        }),
        { numRuns: 400 },
      );
    },
  );

  function shapeOf(pattern: LinePattern): Shape {
    const shape = emptyShape();
    pattern.addTo(shape);
    return shape;
  }

  /** `told` decides as all that was seen would: which columns there are, whether they fit, and what reading may trust. */
  function expectKnown(seen: Shape, told: Shape, columns: readonly NestedField[]): void {
    for (const { name, type } of columns) {
      const [was, is] = [seen.fields?.get(name)?.shape, told.fields?.get(name)?.shape];
      if (was === undefined || isNull(was)) continue;
      expect(is && isNull(is)).toBe(false);
      expect(is && fits(is, type)).toBe(fits(was, type));
      expect((was.rounds && is?.rounds !== true) || was.bigs || was.huge).toBe(false);
      if (type !== "long") expect(is?.rounds).toBe(false);
      expect(was.strings).toBe(is?.strings);
      expect(was.bools).toBe(is?.bools);
      if (was.strings && type !== "string") expect(typeOfShape(is as Shape)).toBe(typeOfShape(was));
    }
  }
});

describe("a pattern", () => {
  const columns = columnsOf([
    { name: "id", type: "long" },
    { name: "at", type: "date" },
    { name: "s", type: { type: "struct", fields: [{ name: "k", type: "double" }] } },
  ]);
  const learn = (...lines: string[]) => LinePattern.learn(columns, lines);

  test("takes keys that are missing, spaces after colons and commas, and both line ends", () => {
    const pattern = learn('{"id":1,"at":"2026-01-01","s":{"k":1.5}}');
    for (const line of ['{"id": 2, "s": {"k": 1}}\r\n', '{"at":null}\n', "{}", '{"id":3,"at":"2026-02-28"}'])
      expect(takes(pattern, line)).toBe(true);
    for (const line of ['{"id":2,}', '{"at":"2026-02-30"}', '{"id":1}{"id":2}', '{"s":{"k":1},"id":2}', " {}"])
      expect(takes(pattern, line)).toBe(false);
  });

  test("takes longs of up to 18 digits where the first records have such", () => {
    const [narrow, wide] = [learn('{"id":1}'), learn('{"id":1}', '{"id":123456789012345678}')];
    expect(takes(narrow, '{"id":123456789012345678}')).toBe(false);
    expect(takes(wide, '{"id":-876543210987654321}')).toBe(true);
    expect(takes(wide, '{"id":9223372036854775808}')).toBe(false);
  });

  test("takes only null where the first records had no value: of the others it is known that there is one", () => {
    const pattern = learn('{"id":1,"at":null}');
    expect(takes(pattern, '{"id":2,"at":null}')).toBe(true);
    expect(takes(pattern, '{"id":2,"at":"2026-01-01"}')).toBe(false);
  });

  test("takes no record without a value in a required column", () => {
    const required = columns.map((field) => ({ ...field, required: field.name === "id" }));
    const pattern = LinePattern.learn(required, ['{"id":1,"at":"2026-01-01"}']);
    expect(takes(pattern, '{"id":2}')).toBe(true);
    expect(takes(pattern, '{"at":"2026-01-02"}')).toBe(false);
    expect(takes(pattern, '{"id":null}')).toBe(false);
  });

  test("is not learned of records that fit nowhere, of names with dots, nor of thousands of columns", () => {
    expect(learn('{"x":1}', '{ "id":1}', "nothing")).toBeUndefined();
    const dotted = columnsOf([{ name: "a.b", type: "long" }]);
    expect(LinePattern.learn(dotted, ['{"a.b":1}'])).toBeUndefined();
    const many = Array.from({ length: 5000 }, (_, i): DraftField => ({ name: `c${i}`, type: "long" }));
    expect(LinePattern.learn(columnsOf(many), [`{${many.map(({ name }) => `"${name}":1`).join(",")}}`])).toBe(
      undefined,
    );
  });

  test("tells of a column of numbers only beside values of another kind", () => {
    const pattern = learn('{"id":1,"s":{"k":1.5}}');
    const shape = emptyShape();
    pattern?.addTo(shape);
    const [id, k] = [shape.fields?.get("id")?.shape, shape.fields?.get("s")?.shape.fields?.get("k")?.shape];
    expect(pattern?.tells("id", id as Shape)).toBe(false);
    expect(pattern?.tells("s.k", { ...(k as Shape), strings: true })).toBe(true);
    expect(pattern?.tells("s", shape)).toBe(false);
    expect(pattern?.tells("at", emptyShape())).toBe(true);
    expect(pattern?.tells("unknown", emptyShape())).toBe(true);
  });
});
