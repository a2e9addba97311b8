// DuckDB says nothing of unknown keys in a read of which a column is not asked for: every column of the seed has to be.

import { expect, test } from "vitest";
import type { FormatOptions } from "../../../lambdas/core/config.ts";
import { RESCUED_DATA } from "../../../lambdas/core/iceberg/schema.ts";
import { ADDS, convertAll, jobOf, RESCUE, schemaOf, useScratch } from "./harness.ts";

const work = useScratch();

const known = schemaOf([{ name: "id", type: "long" }]);

test.each<[string, FormatOptions, string]>([
  ["a key that is always null", { type: "ndjson" }, '{"id":1,"gone":null,"":"kept"}\n{"id":2}\n'],
  ["a key that is always null, in a document", { type: "json" }, '[{"id":1,"gone":null,"":"kept"},{"id":2}]'],
  ["a key beside the records", { type: "json", recordsPath: "R" }, '{"a":1,"R":[{"id":1,"":"kept"},{"id":2}]}'],
  [
    "keys beside nested records",
    { type: "json", recordsPath: "R.S" },
    '{"a":1,"R":{"b":2,"S":[{"id":1,"":"kept"},{"id":2}]}}',
  ],
])("beside %s no value without a column is lost", async (_, format, text) => {
  const options = { known, treat: () => RESCUE, adds: ADDS };
  const { rows, failures } = await convertAll(work, jobOf(format), { a: text }, options);
  expect(failures).toEqual([]);
  expect(rows.map(({ id }) => id)).toEqual([1n, 2n]);
  expect(JSON.parse(String(rows[0]?.[RESCUED_DATA]))).toMatchObject({ values: { "": "kept" } });
});

test("a new key beside the records' own siblings becomes a column", async () => {
  const format = { type: "json", recordsPath: "R" } as const;
  const { rows, schema } = await convertAll(work, jobOf(format), { a: '{"a":1,"R":[{"id":1,"fresh":2}]}' }, { known });
  expect(schema.fields.map(({ name }) => name)).toEqual(["id", "fresh"]);
  expect(rows).toEqual([{ id: 1n, fresh: 2n }]);
});
