// What json/fit.ts says of a record beside what becomes of it: a file of which every value was said to fit must load.

import { afterAll, beforeAll, expect, test } from "vitest";
import { RESCUED_DATA } from "../../../lambdas/core/iceberg/schema.ts";
import { ADDS, convertAll, jobOf, RESCUE, type Scratch, schemaOf, scratch } from "./harness.ts";

let work: Scratch;
beforeAll(async () => {
  work = await scratch();
});
afterAll(() => work.remove());

const known = schemaOf([
  { name: "id", type: "long" },
  { name: "n", type: "int" },
  { name: "price", type: "decimal(12, 2)" },
  { name: "ratio", type: "double" },
  { name: "at", type: "timestamptz" },
  {
    name: "items",
    type: {
      type: "list",
      element: {
        type: "struct",
        fields: [
          { name: "qty", type: "long" },
          {
            name: "tags",
            type: { type: "list", element: { type: "struct", fields: [{ name: "t", type: "string" }] } },
          },
        ],
      },
    },
  },
]);

async function load(lines: readonly string[]) {
  const text = `${lines.join("\n")}\n`;
  const { failures, rows } = await convertAll(
    work,
    jobOf({ type: "ndjson" }),
    { a: text },
    { known, treat: () => RESCUE, adds: ADDS, fixed: true },
  );
  expect(failures).toEqual([]);
  return rows.sort((a, b) => Number(a["id"]) - Number(b["id"]));
}

const rescued = (row: Record<string, unknown> | undefined) => {
  const text = row?.[RESCUED_DATA];
  return text == null ? undefined : (JSON.parse(String(text)) as { values: unknown }).values;
};

test("a key in a list that is null here and has a value there fails no file", async () => {
  const rows = await load([
    '{"id":1,"items":[{"qty":1,"x":null}]}',
    '{"id":2,"items":[{"qty":2,"x":7}]}',
    '{"id":3,"items":[{"x":null,"y":null},{"x":null,"qty":3,"y":null},null]}',
    '{"id":4,"items":[{"x":null,"tags":[{"z":null},{"t":"a","z":null}]},{"qty":4}]}',
    '{"id":5,"items":[{"x":null},{"qty":1.5}]}',
    '{"id":6,"items":[{"qty":6,"tags":[{"z":1}]}]}',
  ]);
  expect(rows.map(({ items }) => items)).toEqual([
    [{ qty: 1n, tags: undefined }],
    undefined,
    [{ qty: null, tags: undefined }, { qty: 3n, tags: undefined }, undefined],
    [
      { qty: null, tags: [{ t: null }, { t: "a" }] },
      { qty: 4n, tags: undefined },
    ],
    undefined,
    undefined,
  ]);
  expect(rows.map(rescued)).toEqual([
    undefined,
    { items: [{ qty: 2, x: 7 }] },
    undefined,
    undefined,
    { items: [{ x: null }, { qty: 1.5 }] },
    { items: [{ qty: 6, tags: [{ z: 1 }] }] },
  ]);
});

test.each([
  ["n", "\u00a05"],
  ["id", "5\u3000"],
  ["price", "\u00a01.5"],
  ["ratio", "\ufeff0.5"],
  ["ratio", `1${"0".repeat(38)}`],
  ["at", "2026-01-02T03:04:05z"],
])("%s of the text %j is rescued, as DuckDB does not take it", async (column, value) => {
  const rows = await load(['{"id":-1}', JSON.stringify({ [column]: value })]);
  expect(rows.map(rescued).filter((each) => each !== undefined)).toEqual([{ [column]: value }]);
});

test("a text that is too small for a double is no zero", async () => {
  const rows = await load([
    '{"id":1,"n":"1e-400","price":"1e-400"}',
    '{"id":2,"n":"0e-400","price":"0.00e-400"}',
    '{"id":3,"price":1e-400}',
  ]);
  expect(rows.map(rescued)).toEqual([{ n: "1e-400", price: "1e-400" }, undefined, { price: "1e-400" }]);
  expect(rows[1]).toMatchObject({ n: 0, price: 0 });
});
