// Large NDJSON files are sifted: only records that may not fit are looked at. What comes of it must be what comes of the same records in a
// file that cannot be sifted (a space after every opening brace).

import { describe, expect, test } from "vitest";
import { SIFT_BYTES_MIN } from "../../../lambdas/adapters/converter/json/sift.ts";
import { RESCUED_DATA } from "../../../lambdas/core/iceberg/schema.ts";
import type { DraftField, Schema } from "../../../lambdas/core/iceberg/types.ts";
import type { ConversionJob, Misfits, Treatment } from "../../../lambdas/core/ports.ts";
import {
  ADDS,
  addAll,
  type Converted,
  convertAll,
  jobOf,
  RESCUE,
  rowsOf,
  schemaOf,
  UNPARTITIONED,
  useScratch,
} from "./harness.ts";

const work = useScratch();

const ndjson = jobOf({ type: "ndjson" });
const FIELDS: readonly DraftField[] = [
  { name: "id", type: "long" },
  { name: "price", type: "decimal(12, 2)" },
  { name: "ratio", type: "double" },
  { name: "whole", type: "double" },
  { name: "at", type: "timestamptz" },
  { name: "note", type: "string" },
  {
    name: "user",
    type: {
      type: "struct",
      fields: [
        { name: "id", type: "long" },
        { name: "day", type: "date" },
        { name: "tag", type: "string" },
      ],
    },
  },
  { name: "items", type: { type: "list", element: { type: "struct", fields: [{ name: "qty", type: "long" }] } } },
];
const known = schemaOf(FIELDS);
const row = (id: number) =>
  `{"id":${id},"price":${id}.25,"ratio":0.${id + 1},"whole":${id},"at":"2026-01-02T03:04:05Z","note":"${"é".repeat(20)}","user":{"id":${id},"day":"2026-01-02","tag":"2026-01-02"},"items":[{"qty":${id}},{"qty":1}]}`;
const ROWS = Math.ceil((SIFT_BYTES_MIN * 1.2) / row(5000).length);

const NO_ROW = [
  '{"id":"n/a","price":1.5}',
  '{"id":12345678901234567890}',
  '{"id":1.5,"ratio":9007199254740993}',
  '{"id":7,"Note":"other case"}',
  '{"id":8,"user":{"id":"x","day":"2026-02-30","more":[1,2]}}',
  '{"id":9,"items":[{"qty":1.5}]}',
  '{"id":10,"price":123456789.123}',
  '{"id":11,"extra":{"a":"2026-01-01","b":null}}',
  '{"id":12,"gone":null}',
];
/** Fit, but not by the pattern. */
const FITTING = [
  '{"note":"order","id":13}',
  '{"id":"14","ratio":"1e3","note":5}',
  '  {"id" : 15, "note" : "\\ud83d\\udE00"}  ',
  "{}",
  '{"id":123456789012345678,"at":"2026-01-31"}',
];

function lines(odd: readonly string[], rows = ROWS): string[] {
  const all = Array.from({ length: rows }, (_, id) => row(id));
  for (const [i, text] of odd.entries()) all.splice(150 + 37 * i, 0, text);
  return all;
}
const textOf = (all: readonly string[]) => `${all.join("\n")}\n`;
const unsiftable = (all: readonly string[]) => all.map((line) => line.replace(/^\{(?="id":\d+,"price":\d+\.25)/, "{ "));

const rescue = (files: Record<string, string>, table: Schema = known, job: ConversionJob = ndjson) =>
  convertAll(work, job, files, { known: table, treat: () => RESCUE, adds: ADDS, fixed: true });
const sorted = (converted: Converted) =>
  converted.rows.map((each) => JSON.stringify(each, (_, v) => (typeof v === "bigint" ? `${v}n` : v))).sort();

/** The same of both, and something at all. */
async function expectSame(all: readonly string[], convert: (text: string) => Promise<Converted>): Promise<Converted> {
  const sifted = await convert(textOf(all));
  const whole = await convert(textOf(unsiftable(all)));
  expect(sifted.failures).toEqual(whole.failures);
  expect(sifted.misfits).toEqual(whole.misfits);
  expect(sifted.inspection.failures).toEqual(whole.inspection.failures);
  expect(sifted.result.loaded.map(({ bytesRead: _, ...counts }) => counts)).toEqual(
    whole.result.loaded.map(({ bytesRead: _, ...counts }) => counts),
  );
  const [own, others] = [sorted(sifted), sorted(whole)];
  expect(own).toHaveLength(others.length);
  expect(own.filter((text, i) => text !== others[i])).toEqual([]);
  expect(own.length + sifted.failures.length).toBeGreaterThan(0);
  return sifted;
}

describe("a large file of which few records do not fit", () => {
  test("loads as if all its records had been read one by one", async () => {
    const all = lines([...NO_ROW, "", ...FITTING]);
    const { rows, misfits } = await expectSame(all, (text) => rescue({ a: text }));
    expect(misfits).toMatchObject([{ records: all.length - 1, unfit: 8 }]);
    expect(rows.filter((each) => each[RESCUED_DATA] !== null)).toHaveLength(8);
    const kept = rows.flatMap((each) => (each[RESCUED_DATA] == null ? [] : [JSON.parse(String(each[RESCUED_DATA]))]));
    expect(kept).toContainEqual({
      values: { Note: "other case" },
      reasons: { Note: "no such column" },
      file: "s3://landing/a",
      line: 151 + 37 * 3,
    });
  });

  test("may end its lines in two characters, and its last in none", async () => {
    const all = [...lines([...NO_ROW, "", ...FITTING]), '{"id":"last"}'];
    const { result } = await expectSame(all, (text) => rescue({ a: text.trimEnd().replaceAll("\n", "\r\n") }));
    expect(result.loaded).toMatchObject([{ records: all.length - 1, rescued: 9 }]);
  });

  test.each([
    ["numbers alone", ['{"id":1.5}', '{"ratio":9007199254740993}', '{"price":0.125}', '{"user":{"id":9e99}}']],
    ["a number that a double rounds", ['{"whole":9007199254740993}', '{"ratio":9007199254740993}']],
    ["texts", ['{"at":"2026-13-01"}', '{"user":{"day":"2026-01-01T10:00:00"}}', '{"id":"2026-01-01"}']],
    ["structures", ['{"user":1}', '{"items":{"qty":1}}', '{"user":{"new":1}}', '{"id":[1],"note":{"a":1}}']],
    ["keys without a column", ['{"b":"2026-01-01"}', '{"b":1,"":2}', '{"a.b":1}', '{"ID":3}']],
  ])("is told of with the same types: %s", async (_, odd) => {
    await expectSame(lines(odd), (text) => rescue({ a: text }));
  });

  test("goes to routes and to the column of what is rescued", async () => {
    const table = schemaOf([...FIELDS, { name: "id_string", type: "string" }]);
    const treatment: Treatment = { rescue: true, routes: [{ path: "id", column: "id_string" }] };
    const { rows } = await expectSame(lines(NO_ROW), (text) =>
      convertAll(work, ndjson, { a: text }, { known: table, treat: () => treatment, adds: ADDS, fixed: true }),
    );
    expect(rows.filter(({ id_string }) => id_string === "n/a")).toHaveLength(1);
  });

  test("brings its new columns to the table", async () => {
    const odd = ['{"id":1,"fresh":{"a":[1],"b":"2026-01-01"}}', '{"id":2,"fresh":{"a":[],"b":null},"user":{"n":true}}'];
    const { schema, misfits } = await expectSame(lines(odd), (text) =>
      convertAll(work, ndjson, { a: text }, { known }),
    );
    expect(misfits).toEqual([]);
    expect(schema.fields.map(({ name }) => name)).toContain("fresh");
  });

  test("fails where a required column has no value, with the line", async () => {
    const table = schemaOf([...FIELDS, ...ADDS]);
    const strict = { ...table, fields: table.fields.map((field) => ({ ...field, required: field.name === "id" })) };
    for (const odd of ['{"note":"x"}', '{"id":null}', '{"id":"n/a"}']) {
      const { failures } = await expectSame(lines(['{"id":1,"fresh":1}', odd]), (text) =>
        convertAll(work, ndjson, { a: text }, { known: strict, treat: () => RESCUE, fixed: true }),
      );
      expect(failures).toMatchObject([{ reason: "REQUIRED_IS_NULL", column: "id" }]);
    }
  });

  test("keeps longs beyond what a double holds", async () => {
    const wide = (all: readonly string[]) =>
      all.map((line) => line.replace(/^\{( ?)"id":(\d{4}),(?="price":\d+\.25)/, '{$1"id":90071992547$2993,'));
    const all = lines(NO_ROW);
    const { rows } = await expectSame(all, (text) => rescue({ a: textOf(wide(text.trimEnd().split("\n"))) }));
    expect(
      rows.filter(({ id }) => BigInt(String(id ?? 0)) % 1000n === 993n && Number(id) > 2 ** 53).length,
    ).toBeGreaterThan(4000);
  });

  test("is refused for what is no JSON, with its place, and keeps its good lines where bad ones are borne", async () => {
    const odd = ['{"id":"n/a"}', '{"id":1,"note":"\\ud800"}', '{"id":1', "null", '{"id":1,"id":2}'];
    for (const [i, text] of odd.slice(1).entries()) {
      const { failures } = await expectSame(lines(['{"id":"n/a"}', text]), (all) => rescue({ a: all }));
      expect(failures[0]?.reason).toBe(["MALFORMED_JSON", "MALFORMED_JSON", "NOT_JSON_RECORDS", "DUPLICATE_KEY"][i]);
    }
    const job = jobOf({ type: "ndjson" }, { badRows: { onBadRow: "rescue", shareMax: 0.5 } });
    const { result } = await expectSame(lines(odd), (all) => rescue({ a: all }, known, job));
    expect(result.loaded).toMatchObject([{ records: ROWS + odd.length, rescued: odd.length }]);
  });

  test("is refused for a byte that is no text, in a record like all others", async () => {
    const [text, bad] = [textOf(lines(NO_ROW)), row(ROWS - 1)];
    const bytes = Buffer.concat([Buffer.from(text), Buffer.from(bad.replace("é", "\xff"), "latin1")]);
    const { failures } = await convertAll(work, ndjson, { a: bytes }, { known, fixed: true });
    expect(failures).toMatchObject([{ reason: "MALFORMED_JSON", line: lines(NO_ROW).length + 1 }]);
  });

  test("is read beside others, of which some are not sifted", async () => {
    const small = '{"id":"n/a"}\n{"id":1}\n';
    const { result } = await expectSame(lines(NO_ROW), (text) =>
      rescue({ small, large: text, fitting: textOf(lines(FITTING)), again: text }),
    );
    expect(result.loaded.map(({ index, rescued }) => [index, rescued])).toEqual([
      [0, 1],
      [1, 8],
      [2, 0],
      [3, 8],
    ]);
  });

  test("is put back after it was read without the records that do not fit", async () => {
    const conversion = await work.converter.start(ndjson);
    try {
      await addAll(conversion, { a: textOf(lines(['{"id":"n/a","note":"kept"}'])) });
      const table = schemaOf([...FIELDS, ...ADDS]);
      await conversion.inspect(table, UNPARTITIONED);
      const [misfits] = (await conversion.convert(table, UNPARTITIONED)).misfits as [Misfits];
      expect(misfits).toMatchObject({ unfit: 1, records: ROWS + 1 });
      conversion.treat(0, RESCUE);
      expect((await conversion.convert(table, UNPARTITIONED)).loaded).toMatchObject([
        { records: ROWS + 1, rescued: 1 },
      ]);
      const wide = {
        ...table,
        fields: table.fields.map((f) => (f.name === "id" ? { ...f, type: "string" as const } : f)),
      };
      const { files, loaded } = await conversion.convert(wide, UNPARTITIONED);
      expect(loaded).toMatchObject([{ records: ROWS + 1, rescued: 0 }]);
      expect((await rowsOf(files)).filter(({ id }) => id === "n/a")).toMatchObject([{ note: "kept" }]);
    } finally {
      await conversion.close();
    }
  });
});
