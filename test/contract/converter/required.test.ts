import { expect, test } from "vitest";
import type { Schema, Type } from "../../../lambdas/core/iceberg/types.ts";
import { ADDS, convertAll, jobOf, RESCUE, useScratch } from "./harness.ts";
import { parquetOf } from "./parquet-files.ts";

const work = useScratch();

const tableOf = (type: Type): Schema => ({
  type: "struct",
  "schema-id": 0,
  fields: [
    { id: 1, name: "c", required: false, type },
    { id: 9, name: "k", required: false, type: "int" },
  ],
});
const struct: Type = { type: "struct", fields: [{ id: 2, name: "a", required: true, type: "long" }] };
const list: Type = { type: "list", "element-id": 2, "element-required": true, element: "long" };
const map: Type = { type: "map", "key-id": 2, key: "string", "value-id": 3, "value-required": true, value: "long" };
const deep: Type = {
  type: "list",
  "element-id": 4,
  "element-required": false,
  element: { type: "struct", fields: [{ id: 5, name: "m", required: false, type: map }] },
};

test.each([
  ["a member", struct, "c.a", "{'a': NULL::BIGINT}", '{"a":null}', "{'a': 1}"],
  ["a member that the file lacks", struct, "c.a", "{'b': NULL::BIGINT}", '{"b":null}', "NULL::STRUCT(a BIGINT)"],
  ["an element", list, "c.element", "[1, NULL]", "[1,null]", "[1, 2]"],
  ["a value of a map", map, "c.value", "MAP {'x': NULL::BIGINT}", '{"x":null}', "MAP {'x': 1}"],
  [
    "a value inside of all",
    deep,
    "c.element.m.value",
    "[NULL, {'m': MAP {'x': 1::BIGINT, 'y': NULL}}]",
    '[null,{"m":{"x":1,"y":null}}]',
    "[NULL, {'m': MAP {'x': 1::BIGINT}}]",
  ],
])("%s that is required and null fails its file alone, with the place", async (_, type, path, bad, json, good) => {
  const files = {
    bad: await parquetOf(`SELECT ${bad} AS c`),
    good: await parquetOf(`SELECT ${good} AS c`),
    narrow: await parquetOf("SELECT 7 AS k"),
  };
  const known = tableOf(type);
  const options = { known, treat: () => RESCUE, adds: ADDS, fixed: true };
  const parquet = await convertAll(work, jobOf({ type: "parquet" }), files, options);
  expect(parquet.failures).toMatchObject([{ index: 0, reason: "REQUIRED_IS_NULL", column: path }]);
  expect(parquet.loaded).toEqual({ 1: 1, 2: 1 });
  const lines = { bad: `{"c":${json}}\n`, good: '{"k":7}\n' };
  const ndjson = await convertAll(work, jobOf({ type: "ndjson" }), lines, options);
  expect(ndjson.failures).toMatchObject([{ index: 0, reason: "REQUIRED_IS_NULL", column: path }]);
  expect(ndjson.loaded).toEqual({ 1: 1 });
});
