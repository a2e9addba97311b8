import { describe, expect, test } from "vitest";
import { RESCUED_DATA } from "../../../lambdas/core/iceberg/schema.ts";
import type { DraftType } from "../../../lambdas/core/iceberg/types.ts";
import { ADDS, type Converted, convertAll, jobOf, RESCUE, schemaOf, useScratch } from "./harness.ts";
import { parquetOf } from "./parquet-files.ts";

const work = useScratch();

const job = jobOf({ type: "parquet" });
const table = (type: DraftType) => schemaOf([{ name: "c", type }]);
const struct = (...names: readonly string[]): DraftType => ({
  type: "struct",
  fields: names.map((name) => ({ name, type: name === "a" ? "long" : "string" })),
});
const typeOf = ({ schema }: Converted) => JSON.stringify(schema.fields[0]?.type).replace(/"(?:\w+-)?id":\d+,/g, "");
const valuesOf = ({ rows }: Converted) =>
  rows.map(({ c }) => JSON.stringify(c ?? null, (_, v) => (typeof v === "bigint" ? Number(v) : v))).sort();

describe("a new table", () => {
  test.each([
    ["decimals of several widths", "1.5::DECIMAL(10, 2)", "12345678901.25::DECIMAL(14, 3)", '"decimal(14, 3)"'],
    ["whole numbers and decimals", "7::INTEGER", "1.25::DECIMAL(4, 2)", '"decimal(12, 2)"'],
    ["int and float", "16777217::INTEGER", "1.5::FLOAT", '"double"'],
    ["dates and timestamps", "DATE '2024-01-01'", "TIMESTAMP '2024-01-01 10:00:00'", '"timestamp"'],
    ["structures and scalars", "{'a': 1}", "5", '"string"'],
    ["lists and texts", "['a', 'b, c']", "'[a, b, c]'", '"string"'],
  ])("holds %s, in whichever order they come", async (_, first, second, type) => {
    const [a, b] = [await parquetOf(`SELECT ${first} AS c`), await parquetOf(`SELECT ${second} AS c`)];
    const forth = await convertAll(work, job, { a, b });
    const back = await convertAll(work, job, { b, a });
    expect([forth.misfits, forth.failures, back.misfits, back.failures]).toEqual([[], [], [], []]);
    expect([typeOf(forth), typeOf(back)]).toEqual([type, type]);
    expect(valuesOf(forth)).toEqual(valuesOf(back));
    expect(valuesOf(forth)).toHaveLength(2);
  });

  test("has the members of all maps of structures", async () => {
    const converted = await convertAll(work, job, {
      a: await parquetOf("SELECT MAP {'k': {'a': 1::BIGINT}} AS c"),
      b: await parquetOf("SELECT MAP {'k': {'a': 2::BIGINT, 'b': 'kept'}} AS c"),
    });
    expect(converted.failures).toEqual([]);
    expect(valuesOf(converted)).toEqual(['{"k":{"a":1,"b":null}}', '{"k":{"a":2,"b":"kept"}}']);
  });
});

describe("a file of another kind", () => {
  const cases: readonly (readonly [string, DraftType, string, string])[] = [
    ["a member of a structure", struct("a"), "{'a': 1::BIGINT, 'b': 'kept'}", '{"a":1,"b":"kept"}'],
    [
      "a member inside a map",
      { type: "map", key: "string", value: struct("a") },
      "MAP {'k': {'a': 1, 'b': 'kept'}}",
      '{"k":{"a":1,"b":"kept"}}',
    ],
    [
      "a member inside a list",
      { type: "list", element: struct("a") },
      "[{'a': 1, 'b': 'kept'}]",
      '[{"a":1,"b":"kept"}]',
    ],
    ["a wider whole number", "int", "5000000000", "5000000000"],
    ["a wider fraction", "float", "0.1::DOUBLE", "0.1"],
    ["a wider decimal", "decimal(4, 2)", "123456.25::DECIMAL(8, 2)", "123456.25"],
  ];
  test.each(cases)("does not keep its neighbour from bringing %s", async (_, type, value, loaded) => {
    const [other, fine] = [await parquetOf("SELECT 'x' AS c"), await parquetOf(`SELECT ${value} AS c`)];
    for (const files of [
      { other, fine },
      { fine, other },
    ]) {
      const converted = await convertAll(work, job, files, { known: table(type) });
      expect(converted.failures).toEqual([]);
      expect(converted.misfits).toMatchObject([{ index: Object.keys(files).indexOf("other"), records: 1, unfit: 1 }]);
      expect(valuesOf(converted)).toEqual([loaded]);
    }
  });
});

describe("where the table's columns are fixed", () => {
  const rescued = async (type: DraftType, value: string) => {
    const converted = await convertAll(
      work,
      job,
      { a: await parquetOf(`SELECT ${value} AS c, 1 AS beside`) },
      { known: table(type), treat: () => RESCUE, adds: ADDS, fixed: true },
    );
    expect(converted.failures).toEqual([]);
    expect(converted.rows).toHaveLength(1);
    return JSON.parse(String(converted.rows[0]?.[RESCUED_DATA])) as { values: Record<string, unknown> };
  };

  test.each([
    ["a list", { type: "list", element: struct("a") } as const, "[{'a': 1, 'b': 'kept'}]", [{ a: 1, b: "kept" }]],
    [
      "a map",
      { type: "map", key: "string", value: struct("a") } as const,
      "MAP {'k': {'a': 1, 'b': 'kept'}}",
      { k: { a: 1, b: "kept" } },
    ],
  ])("a member that structures in %s have no place for is rescued with it", async (_, type, value, kept) => {
    expect((await rescued(type, value)).values).toEqual({ c: kept, beside: 1 });
  });

  test("what JSON cannot write is text inside of nested values too", async () => {
    const nested = "[{'d': ['nan'::DOUBLE, '-inf'::DOUBLE, -1.5], 'b': '\\xff\\x00'::BLOB, 'f': 'nan'::FLOAT}]";
    const kept = [{ d: ["nan", "-inf", -1.5], b: "/wA=", f: "nan" }];
    expect((await rescued("boolean", nested)).values).toEqual({ c: kept, beside: 1 });
    expect((await rescued("boolean", "MAP {'k': 'inf'::FLOAT}")).values).toEqual({ c: { k: "inf" }, beside: 1 });
    const digits = "[12345678901234567890.25::DECIMAL(38, 2)]";
    const { rows } = await convertAll(
      work,
      job,
      { a: await parquetOf(`SELECT ${digits} AS c`) },
      { known: table("string") },
    );
    expect(rows).toEqual([{ c: "[12345678901234567890.25]" }]);
  });
});

test("what is nested goes into a column of text as JSON text", async () => {
  const nested = "{'a': ['x', 'y, z'], 'm': MAP {'k': '\\xff'::BLOB}, 'n': NULL}";
  const converted = await convertAll(
    work,
    job,
    { a: await parquetOf(`SELECT ${nested} AS c`), none: await parquetOf("SELECT NULL::STRUCT(a INTEGER) AS c") },
    { known: table("string") },
  );
  expect([converted.misfits, converted.failures]).toEqual([[], []]);
  const texts = new Set(converted.rows.map(({ c }) => c ?? null));
  expect(texts).toEqual(new Set(['{"a":["x","y, z"],"m":{"k":"/w=="},"n":null}', null]));
});

test("a map that has a key twice stays as it is, and becomes no other map", async () => {
  /** {a: 1, a: 2} of longs. Written by pyarrow 26. */
  const twice = Buffer.from(
    "UEFSMRUAFSwVLCwVBBUAFQYVBhwAAAACAAAAAwICAAAABAIBAAAAYQEAAABhFQAVOBU4LBUEFQAVBhUGHAAAAAIAAAADAgIAAAAEAwEAAAAAAAAAAgAAAAAAAAAVBBlcNQAYBnNjaGVtYRUCADUCGAFjFQIVAkwsAAAANQQYCWtleV92YWx1ZRUEABUMJQAYA2tleSUATBwAAAAVBCUCGAV2YWx1ZQAWAhkcGSwmABwVDBklBgAZOAFjCWtleV92YWx1ZQNrZXkVABYEFlIWUiYISRwVABUAFQIAPBYEGSYCAhk2AAAEAAAAJgAcFQQZJQYAGTgBYwlrZXlfdmFsdWUFdmFsdWUVABYEFl4WXiZaSRwVABUAFQIAPCkmAgIZRgAAAAQAAAAWsAEWAiYIFrABACggcGFycXVldC1jcHAtYXJyb3cgdmVyc2lvbiAyNi4wLjEZLBwAABwAAAACAQAAUEFSMQ==",
    "base64",
  );
  const map = (value: DraftType) => table({ type: "map", key: "string", value });
  const same = await convertAll(work, job, { twice }, { known: map("long") });
  expect([same.misfits, same.failures, same.rows.length]).toEqual([[], [], 1]);
  const text = await convertAll(work, job, { twice }, { known: table("string") });
  expect([text.misfits, text.failures, text.rows]).toEqual([[], [], [{ c: '{"a":1,"a":2}' }]]);
  const other = await convertAll(work, job, { twice }, { known: map("double"), treat: () => RESCUE, adds: ADDS });
  expect(other.failures).toEqual([]);
  expect(other.misfits).toMatchObject([{ index: 0, records: 1, unfit: 1 }]);
  expect(String(other.rows[0]?.[RESCUED_DATA])).toContain('"values":{"c":{"a":1,"a":2}}');
});
