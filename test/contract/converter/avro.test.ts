import { describe, expect, test } from "vitest";
import { RESCUED_DATA } from "../../../lambdas/core/iceberg/schema.ts";
import { avroOf, blockOf, headerOf } from "./avro-files.ts";
import { convertAll, jobOf, schemaOf, useScratch } from "./harness.ts";

const work = useScratch();

const job = jobOf({ type: "avro" });
const recordOf = (fields: Readonly<Record<string, unknown>>) => ({
  type: "record",
  name: "row",
  fields: Object.entries(fields).map(([name, type]) => ({ name, type })),
});
const logical = (type: string, logicalType: string, more: object = {}) => ({ type, logicalType, ...more });
const typesOf = (schema: { readonly fields: readonly { readonly name: string; readonly type: unknown }[] }) =>
  Object.fromEntries(schema.fields.map(({ name, type }) => [name, type]));

describe("types", () => {
  test("every primitive keeps its value, to the last digit", async () => {
    const schema = recordOf({ b: "boolean", i: "int", l: "long", f: "float", d: "double", s: "string", x: "bytes" });
    const row = {
      b: true,
      i: -2147483648,
      l: 9223372036854775807n,
      f: 1.5,
      d: 0.1,
      s: "näme \u{1f30d}\u0000",
      x: Buffer.from([0, 255]),
    };
    const { schema: table, rows, failures } = await convertAll(work, job, { "a.avro": avroOf(schema, [row]) });
    expect(failures).toEqual([]);
    expect(typesOf(table)).toEqual({
      b: "boolean",
      i: "int",
      l: "long",
      f: "float",
      d: "double",
      s: "string",
      x: "binary",
    });
    expect(rows).toEqual([{ ...row, x: new Uint8Array([0, 255]) }]);
  });

  test("logical types are what they stand for, and unknown ones what they stand over", async () => {
    const schema = recordOf({
      date: logical("int", "date"),
      tms: logical("int", "time-millis"),
      ms: logical("long", "timestamp-millis"),
      us: logical("long", "timestamp-micros"),
      ns: logical("long", "timestamp-nanos"),
      local: logical("long", "local-timestamp-micros"),
      uuid: { type: "fixed", name: "u", size: 16, logicalType: "uuid" },
      dec: logical("bytes", "decimal", { precision: 38, scale: 2 }),
      fix: { type: "fixed", name: "d", size: 4, logicalType: "decimal", precision: 5, scale: 1 },
      what: logical("long", "what"),
    });
    const row = {
      date: -1,
      tms: 3_600_000,
      ms: 1_700_000_000_123n,
      us: 1_700_000_000_123_456n,
      ns: 1_700_000_000_123_456_789n,
      local: 0n,
      uuid: Buffer.from("123e4567e89b12d3a456426614174000", "hex"),
      dec: Buffer.from("ff38", "hex"),
      fix: Buffer.from("fffffff6", "hex"),
      what: 7n,
    };
    const { schema: table, rows, failures } = await convertAll(work, job, { "a.avro": avroOf(schema, [row]) });
    expect(failures).toEqual([]);
    expect(typesOf(table)).toEqual({
      date: "date",
      tms: "string",
      ms: "timestamptz",
      us: "timestamptz",
      ns: "timestamptz",
      local: "timestamp",
      uuid: "string",
      dec: "decimal(38, 2)",
      fix: "decimal(5, 1)",
      what: "long",
    });
    expect(rows).toEqual([
      {
        date: new Date("1969-12-31"),
        tms: "01:00:00",
        ms: new Date(1_700_000_000_123),
        us: new Date(1_700_000_000_123),
        ns: new Date(1_700_000_000_123),
        local: new Date(0),
        uuid: "123e4567-e89b-12d3-a456-426614174000",
        dec: -2,
        fix: -1,
        what: 7n,
      },
    ]);
  });

  test("records, lists, maps and enums nest; names may be used again", async () => {
    const point = { type: "record", name: "point", namespace: "geo", fields: [{ name: "x", type: "double" }] };
    const schema = recordOf({
      at: point,
      more: { type: "array", items: ["null", "geo.point"] },
      by: { type: "map", values: { type: "array", items: "int" } },
      kind: ["null", { type: "enum", name: "kind", symbols: ["A", "B"] }],
      nothing: "null",
      again: ["null", "kind"],
    });
    const records = [
      { at: { x: 1 }, more: [{ x: 2 }, null], by: { __proto__x: [1], k: [] }, kind: "B", nothing: null, again: "A" },
      { at: { x: 3 }, more: [], by: {}, kind: null, nothing: null, again: null },
    ];
    const { schema: table, rows, failures } = await convertAll(work, job, { "a.avro": avroOf(schema, records) });
    expect(failures).toEqual([]);
    expect(table.fields.map(({ name }) => name)).toEqual(["at", "more", "by", "kind", "again"]);
    expect(rows).toEqual([
      { at: { x: 1 }, more: [{ x: 2 }, undefined], by: { __proto__x: [1], k: [] }, kind: "B", again: "A" },
      { at: { x: 3 }, more: [], by: {}, kind: null, again: null },
    ]);
  });

  test("a union of several kinds is JSON text, and a text in it is itself", async () => {
    const inner = { type: "record", name: "p", fields: [{ name: "n", type: "long" }] };
    const schema = recordOf({ u: ["null", "long", "string", { type: "array", items: "double" }, inner] });
    const values = [null, 9007199254740993n, "x", [1.5, Number.NaN, -0], { n: 1n }].map((u) => ({ u }));
    const { rows, failures } = await convertAll(work, job, { "a.avro": avroOf(schema, values, { blockRecords: 2 }) });
    expect(failures).toEqual([]);
    expect(rows.map(({ u }) => u)).toEqual([null, "9007199254740993", "x", '[1.5,"NaN",-0.0]', '{"n":1}']);
  });

  test("columns that differ only by case, or are lineage's, get names of their own", async () => {
    const schema = recordOf({ id: "int", ID: "int", _file_path: "string" });
    const row = { id: 1, ID: 2, _file_path: "theirs" };
    const { rows } = await convertAll(work, job, { "a.avro": avroOf(schema, [row]) });
    expect(rows).toEqual([{ id: 1, ID_1: 2, _file_path_1: "theirs" }]);
  });
});

describe("files", () => {
  const schema = recordOf({ id: "long", name: ["null", "string"] });
  const records = Array.from({ length: 5000 }, (_, i) => ({ id: BigInt(i), name: i % 3 === 0 ? null : `n${i}` }));

  test.each(["null", "deflate", "snappy", "zstandard"])("of codec %s load whole", async (codec) => {
    const { rows, loaded, failures } = await convertAll(work, job, { "a.avro": avroOf(schema, records, { codec }) });
    expect(failures).toEqual([]);
    expect(loaded).toEqual({ 0: 5000 });
    const ids = rows.map(({ id }) => Number(id)).sort((a, b) => a - b);
    expect(ids).toEqual(records.map(({ id }) => Number(id)));
  });

  test("of several schemas make one table, and go into one that is there", async () => {
    const other = avroOf(recordOf({ name: "string", extra: "double" }), [{ name: "x", extra: 1.5 }]);
    const files = { "a.avro": avroOf(schema, records.slice(0, 2)), "b.avro": other };
    const known = schemaOf([{ name: "ID", type: "long" }]);
    const { rows, loaded, failures, schema: table } = await convertAll(work, job, files, { known });
    expect(failures).toEqual([]);
    expect(loaded).toEqual({ 0: 2, 1: 1 });
    expect(table.fields.map(({ name }) => name)).toEqual(["ID", "name", "extra"]);
    expect(rows).toContainEqual({ ID: null, name: "x", extra: 1.5 });
  });

  test("without records, and without bytes, are loaded with no rows", async () => {
    const { loaded, failures } = await convertAll(work, job, { "a.avro": avroOf(schema, []), "b.avro": "" });
    expect(failures).toEqual([]);
    expect(loaded).toEqual({ 0: 0, 1: 0 });
  });

  test("that are damaged fail alone, with the byte of their block and a remedy", async () => {
    const good = avroOf(schema, records);
    const start = headerOf(JSON.stringify(schema), "null").length;
    const flipped = Buffer.from(good);
    flipped[start + 10] = 0xff;
    const head = headerOf(JSON.stringify(schema), "null");
    const snappy = Buffer.from(avroOf(schema, records, { codec: "snappy" }));
    snappy[snappy.length - 30] = (snappy[snappy.length - 30] as number) ^ 1;
    const bad: Record<string, Buffer | string> = {
      cut: good.subarray(0, good.length - 20),
      flipped,
      snappy,
      "count too large": Buffer.concat([head, blockOf(1e9, Buffer.alloc(10))]),
      "more than its records": Buffer.concat([head, blockOf(1, Buffer.alloc(10))]),
      "not text": Buffer.concat([head, blockOf(1, Buffer.from([0, 2, 2, 0xff]))]),
      "no avro": "id\n1\n",
      "no schema": headerOf("{", "null"),
      "header cut": head.subarray(0, 20),
    };
    const reasons = ["MALFORMED_AVRO", "NOT_AVRO"];
    for (const [name, bytes] of Object.entries(bad)) {
      const { failures, loaded } = await convertAll(work, job, { "bad.avro": bytes, "good.avro": good });
      expect([name, loaded]).toEqual([name, { 1: 5000 }]);
      expect(reasons).toContain(failures[0]?.reason);
      expect(failures[0]?.message).toMatch(/; (write|set) /);
      expect(failures[0]?.byte).toBeGreaterThanOrEqual(0);
    }
  });

  test("that cannot be rows say why", async () => {
    const list = { type: "record", name: "node", fields: [{ name: "next", type: ["null", "node"] }] };
    const doubled: unknown[] = [recordOf({ a: "int" })];
    for (let i = 0; i < 40; i++) {
      const last = i === 0 ? { ...(doubled[0] as object), name: "r0" } : `r${i}`;
      doubled.push({
        name: `f${i}`,
        type: {
          type: "record",
          name: `r${i + 1}`,
          fields: [
            { name: "a", type: last },
            { name: "b", type: `r${i}` },
          ],
        },
      });
    }
    const nested = doubled.slice(1).map((field, i) => (i === 0 ? field : JSON.parse(JSON.stringify(field))));
    const files: Record<string, [Buffer, string]> = {
      recursive: [headerOf(JSON.stringify(list), "null"), "UNSUPPORTED_AVRO"],
      bzip2: [avroOf(schema, records, { codec: "bzip2" }), "UNSUPPORTED_AVRO"],
      scalar: [headerOf('"int"', "null"), "NOT_AVRO_RECORDS"],
      "nothing but null": [headerOf(JSON.stringify(recordOf({ a: "null" })), "null"), "UNSUPPORTED_AVRO"],
      doubling: [headerOf(JSON.stringify({ type: "record", name: "top", fields: nested }), "null"), "TOO_MANY_COLUMNS"],
      "beyond time": [
        avroOf(recordOf({ t: logical("long", "timestamp-millis") }), [{ t: 9223372036854775807n }]),
        "TIMESTAMP_OUT_OF_RANGE",
      ],
    };
    for (const [name, [bytes, reason]] of Object.entries(files)) {
      const { failures } = await convertAll(work, job, { [name]: bytes });
      expect([name, failures.map((failure) => failure.reason)]).toEqual([name, [reason]]);
      expect(failures[0]?.message).toMatch(/[;,] /);
    }
  });

  test("whose schemas nest without end fail alone, whether by arrays, records, wrapped types or names", async () => {
    const one = '{"type":"record","name":"r","fields":[{"name":"c","type":';
    const nestedIn = (open: (i: number) => string, close: string, depth: number) =>
      `${one}${Array.from({ length: depth }, (_, i) => open(i)).join("")}"int"${close.repeat(depth)}}]}`;
    const fields = Array.from({ length: 500 }, (_, i) => {
      const inner = { type: "record", name: `n${i}`, fields: [{ name: "x", type: i === 0 ? "int" : `n${i - 1}` }] };
      return { name: `f${i}`, type: inner };
    });
    const schemas: Record<string, string> = {
      named: JSON.stringify({ type: "record", name: "r", fields }),
    };
    for (const depth of [500, 20_000]) {
      schemas[`arrays ${depth}`] = nestedIn(() => '{"type":"array","items":', "}", depth);
      schemas[`records ${depth}`] = nestedIn(
        (i) => `{"type":"record","name":"n${i}","fields":[{"name":"x","type":`,
        "}]}",
        depth,
      );
      schemas[`types ${depth}`] = nestedIn(() => '{"type":', "}", depth);
    }
    const bad = Object.entries(schemas).map(([name, text]) => [name, headerOf(text, "null")] as const);
    const files = { ...Object.fromEntries(bad), good: avroOf(recordOf({ c: "int" }), [{ c: 7 }]) };
    const { failures, rows } = await convertAll(work, job, files);
    expect(failures.map(({ reason }) => reason)).toEqual(bad.map(() => "NESTED_TOO_DEEPLY"));
    expect(failures[0]?.message).toContain("; write what is inside as JSON text");
    expect(rows).toEqual([{ c: 7 }]);
  });

  test("that unfold to far more than they are end their own load only", async () => {
    const zeros = [{ id: 1n, name: "0".repeat(200 * 1024 * 1024) }];
    const bomb = avroOf(schema, zeros, { codec: "deflate" });
    const { failures } = await convertAll(work, job, { "bomb.avro": bomb });
    expect(failures).toMatchObject([{ reason: "DECOMPRESSION_BOMB" }]);
  });
});

test("values that do not fit are rescued and routed as those of Parquet, and columns the table lacks are kept", async () => {
  const schema = recordOf({
    id: "string",
    more: ["null", "long"],
    pair: { ...recordOf({ a: "double" }), name: "pair" },
  });
  const records = [
    { id: "1", more: null, pair: { a: 1 } },
    { id: "x", more: 9007199254740993n, pair: { a: 2.5 } },
    { id: "3", more: 7n, pair: { a: 3 } },
  ];
  const pair = { type: "struct", fields: [{ name: "a", type: "long" }] } as const;
  const known = schemaOf([
    { name: "id", type: "long" },
    { name: "pair", type: pair },
    { name: "pair_text", type: "string" },
  ]);
  const { failures, misfits, rows, result } = await convertAll(
    work,
    job,
    { "a.avro": avroOf(schema, records), "good.avro": avroOf(recordOf({ id: "long" }), [{ id: 9n }]) },
    {
      known,
      fixed: true,
      treat: () => ({ rescue: true, routes: [{ path: "pair.a", column: "pair_text" }] }),
      adds: [{ name: RESCUED_DATA, type: "string" }],
    },
  );
  expect(failures).toEqual([]);
  expect(misfits).toMatchObject([
    {
      index: 0,
      records: 3,
      unfit: 1,
      columns: [
        { path: "id", samples: ["x"] },
        { path: "pair.a", samples: ["2.5"] },
      ],
    },
  ]);
  expect(result.loaded).toMatchObject([
    { index: 0, records: 3, rescued: 2 },
    { index: 1, records: 1, rescued: 0 },
  ]);
  const own = rows.filter(({ id }) => id !== 9n);
  const kept = own.map((row) => (row[RESCUED_DATA] == null ? null : String(row[RESCUED_DATA])));
  expect(kept[0]).toBe(null);
  expect(kept[1]).toBe(
    '{"values":{"id":"x","more":9007199254740993},"reasons":{"id":"no long","more":"no such column"},"file":"s3://landing/a.avro","row":2}',
  );
  expect(kept[2]).toBe(
    '{"values":{"more":7},"reasons":{"more":"no such column"},"file":"s3://landing/a.avro","row":3}',
  );
  expect(own.map((row) => [row["id"], row["pair_text"]])).toEqual([
    [1n, null],
    [null, "2.5"],
    [3n, null],
  ]);
});
