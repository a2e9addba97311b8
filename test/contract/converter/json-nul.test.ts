// Keys that hold NUL: no column can have such a name, and DuckDB takes one for the part of it before the NUL.

import { expect, test } from "vitest";
import { RESCUED_DATA } from "../../../lambdas/core/iceberg/schema.ts";
import type { Schema } from "../../../lambdas/core/iceberg/types.ts";
import { ADDS, convertAll, jobOf, RESCUE, schemaOf, useScratch } from "./harness.ts";

const work = useScratch();

const LINES = [
  '{"id":1,"a":"x"}',
  '{"id":2,"a\\u0000b":"kept","a":"y"}',
  '{"id":3,"a\\u0000":null,"\\u0000":[1.50]}',
  '{"id":4,"s":{"k":7,"k\\u0000":8}}',
  '{"id":5,"s":{"k\\u0000":null,"k":9}}',
];
const ROWS = [
  { id: 1n, a: "x", rescued: undefined },
  { id: 2n, a: "y", rescued: { "a\0b": "kept" } },
  { id: 3n, rescued: { "\0": [1.5] } },
  { id: 4n, s: { k: 7n }, rescued: { "s.k\0": 8 } },
  { id: 5n, s: { k: 9n }, rescued: undefined },
];
const known = schemaOf([
  { name: "id", type: "long" },
  { name: "a", type: "string" },
  { name: "s", type: { type: "struct", fields: [{ name: "k", type: "long" }] } },
]);

async function load(format: "json" | "ndjson", text: string, table: Schema | undefined, treated = true) {
  const { rows, failures } = await convertAll(
    work,
    jobOf({ type: format }),
    { a: text, good: '{"id":0}\n' },
    { ...(table && { known: table }), ...(treated && { treat: () => RESCUE, adds: ADDS }) },
  );
  expect(failures).toEqual([]);
  expect(rows.filter(({ id }) => id === 0n)).toHaveLength(1);
  return rows
    .filter(({ id }) => id !== 0n)
    .sort((a, b) => Number(a["id"]) - Number(b["id"]))
    .map(({ [RESCUED_DATA]: kept, ...row }) => ({
      ...row,
      rescued: kept == null ? undefined : (JSON.parse(String(kept)) as { values: object }).values,
    }));
}

test.each([
  ["ndjson", `${LINES.join("\n")}\n`],
  ["json", `[${LINES.join(",")}]`],
] as const)("their values are rescued and no other is touched: %s, of a table that is there", async (format, text) => {
  expect(await load(format, text, known)).toMatchObject(ROWS);
});

test("of a new table they make no column, and a structure with one is JSON text", async () => {
  const rows = await load("ndjson", `${LINES.join("\n")}\n`, undefined);
  expect(rows.map(({ rescued }) => rescued)).toEqual([
    undefined,
    { "a\0b": "kept" },
    { "\0": [1.5] },
    undefined,
    undefined,
  ]);
  expect(rows.map((row) => ({ s: undefined, ...row }).s)).toMatchObject([
    null,
    null,
    null,
    '{"k":7,"k\\u0000":8}',
    '{"k\\u0000":null,"k":9}',
  ]);
});

test("where they are null, nothing has to be rescued for their file to load", async () => {
  const lines = ['{"id":1,"a\\u0000b":null,"a":"x"}', '{"id":2,"a":"y","s":{"k\\u0000":null,"k":5}}'];
  expect(await load("ndjson", lines.join("\n"), known, false)).toMatchObject([
    { id: 1n, a: "x", rescued: undefined },
    { id: 2n, a: "y", s: { k: 5n }, rescued: undefined },
  ]);
});

test("beside the records of a document they fail its file and no other, of a new table and of one that is there", async () => {
  const job = jobOf({ type: "json", recordsPath: "Records.list" });
  const good = '{"Records":{"list":[{"id":1},{"id":2,"a\\u0000":3}],"x":{"y\\u0000":1}},"y":1}';
  for (const text of ['{"Records":{"list\\u0000":null,"list":[{"id":6}]}}', '{"\\u0000":1,"Records":{"list":[]}}']) {
    for (const table of [{}, { known }]) {
      const files = { a: text, good };
      const { rows, failures } = await convertAll(work, job, files, { ...table, treat: () => RESCUE, adds: ADDS });
      expect(failures).toMatchObject([{ index: 0, reason: "KEY_COLLISION" }]);
      expect(rows.map(({ id }) => id)).toEqual([1n, 2n]);
    }
  }
});
