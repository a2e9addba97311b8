import { describe, expect, test } from "vitest";
import { metricsOf } from "../../../lambdas/adapters/converter/metrics.ts";
import { boundOfText } from "../../../lambdas/adapters/converter/values.ts";
import type { Schema } from "../../../lambdas/core/iceberg/types.ts";

describe("bounds from DuckDB's text", () => {
  test.each([
    ["int", "-5", -5],
    ["long", "9223372036854775807", 9223372036854775807n],
    ["boolean", "0", false],
    ["date", "1969-12-31", -1],
    ["date", "0001-01-01", -719162],
    ["timestamp", "1969-12-31 23:59:59.999999", -1n],
    ["timestamptz", "2024-01-01 00:00:00.5+00", 1704067200500000n],
    ["decimal(9, 2)", "-0.05", -5n],
    ["decimal(9, 0)", "12", 12n],
    ["string", "é", "é"],
  ] as const)("%s %s is %s", (type, text, value) => expect(boundOfText(type, text)).toBe(value));

  test.each([
    ["date", "0044-03-15 (BC)"],
    ["date", "infinity"],
    ["date", "10000-01-01"],
    ["timestamptz", "2024-01-01 00:00:00+02"],
    ["decimal(38, 2)", "1.00"],
    ["decimal(9, 2)", "1.0"],
    ["double", "1.0"],
    ["string", "a\ufffd"],
    ["uuid", "123e4567-e89b-12d3-a456-426614174000"],
    ["binary", "\\x00"],
  ] as const)("%s %s has none, rather than a wrong one", (type, text) =>
    expect(boundOfText(type, text)).toBeUndefined(),
  );
});

describe("metrics", () => {
  const schema: Schema = {
    type: "struct",
    "schema-id": 0,
    fields: [
      { id: 1, name: "s", required: false, type: "string" },
      { id: 2, name: "d", required: false, type: "double" },
      {
        id: 3,
        name: "l",
        required: false,
        type: { type: "list", "element-id": 4, element: "long", "element-required": false },
      },
    ],
  };

  test("have no upper bound when no string of that length is above the value", () => {
    const statistics = new Map([
      ["max", "\u{10ffff}".repeat(20)],
      ["min", "a"],
      ["num_values", "1"],
    ]);
    const metrics = metricsOf(schema, new Map([['"s"', statistics]]), new Map());
    expect(metrics.upperBounds?.has(1)).toBe(false);
    expect(metrics.lowerBounds?.get(1)).toEqual(new TextEncoder().encode("a"));
  });

  test("say nothing of list elements, and take doubles only as counted", () => {
    const statistics = new Map([
      ["min", "1"],
      ["max", "2"],
      ["num_values", "3"],
      ["null_count", "0"],
      ["column_size_bytes", "9"],
    ]);
    const columns = new Map([
      ['"d"', statistics],
      ['"l"."element"', statistics],
    ]);
    const metrics = metricsOf(schema, columns, new Map([[2, { nans: 1, min: 0, max: -0 }]]));
    expect([...(metrics.valueCounts ?? [])]).toEqual([[2, 3]]);
    expect([...(metrics.nanValueCounts ?? [])]).toEqual([[2, 1]]);
    expect(metrics.lowerBounds?.get(2)).toEqual(new Uint8Array([0, 0, 0, 0, 0, 0, 0, 0x80]));
    expect(metrics.upperBounds?.get(2)).toEqual(new Uint8Array(8));
  });
});
