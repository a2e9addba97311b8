import { describe, expect, test } from "vitest";
import { RESCUED_DATA } from "../../../lambdas/core/iceberg/schema.ts";
import type { DraftField, PartitionSpec, Schema } from "../../../lambdas/core/iceberg/types.ts";
import type { ConversionJob, Treatment } from "../../../lambdas/core/ports.ts";
import {
  ADDS,
  addAll,
  type Bytes,
  type Converted,
  convertAll,
  csv,
  jobOf,
  RESCUE,
  rowsOf,
  schemaOf,
  UNPARTITIONED,
  useScratch,
} from "./harness.ts";
import { parquetOf } from "./parquet-files.ts";

const work = useScratch();

const known = (...more: readonly DraftField[]): Schema =>
  schemaOf([{ name: "id", type: "long" }, { name: "note", type: "string" }, ...more]);

/** Reported sources are treated so; the table's columns are fixed. */
function rescued(
  job: ConversionJob,
  files: Readonly<Record<string, Bytes>>,
  table: Schema,
  treatment: Treatment = RESCUE,
): Promise<Converted> {
  return convertAll(work, job, files, { known: table, treat: () => treatment, adds: ADDS, fixed: true });
}

const rescuedOf = (rows: readonly Record<string, unknown>[]) =>
  rows.map((row) => (row[RESCUED_DATA] == null ? null : (JSON.parse(String(row[RESCUED_DATA])) as object)));
/** hyparquet has no value for a null structure or list. */
const nulled = (row: Record<string, unknown>) =>
  Object.fromEntries(Object.entries(row).map(([k, v]) => [k, v ?? null]));
const byId = (rows: Record<string, unknown>[]) =>
  rows.map(nulled).sort((a, b) => Number(a["id"] ?? 1e9) - Number(b["id"] ?? 1e9));

const FORMATS = {
  csv: [
    jobOf(csv),
    'id,note\n1,"two\nlines"\nn/a,x\n3,ok\n',
    { values: { id: "n/a" }, reasons: { id: "no long" }, line: 4 },
  ],
  ndjson: [
    jobOf({ type: "ndjson" }),
    '{"id":1,"note":"a"}\n\n{"id":"n/a","note":"x"}\n{"id":3}\n',
    { values: { id: "n/a" }, reasons: { id: "no long" }, line: 3 },
  ],
  json: [
    jobOf({ type: "json" }),
    '[{"id":1,"note":"a"},\n {"id":"n/a",\n "note":"x"}, {"id":3}]',
    { values: { id: "n/a" }, reasons: { id: "no long" }, row: 2 },
  ],
  "json under a path": [
    jobOf({ type: "json", recordsPath: "Records" }),
    '{"Records":[{"id":1,"note":"a"},{"id":"n/a","note":"x"},{"id":3}],"other":1}',
    { values: { id: "n/a" }, reasons: { id: "no long" }, row: 2 },
  ],
} as const;

describe("a value that does not fit", () => {
  test.each(Object.entries(FORMATS))(
    "in %s: it is null in its column and kept beside it with its place, and its row and the others load",
    async (_, [job, text, kept]) => {
      const files = { "bad.x": text, "good.x": text.replace("n/a", "2") };
      const { rows, misfits, failures, result } = await rescued(job, files, known());
      expect(failures).toEqual([]);
      expect(misfits).toMatchObject([{ index: 0, records: 3, unfit: 1, columns: [{ path: "id", samples: ["n/a"] }] }]);
      expect(rows).toHaveLength(6);
      const bad = rows.filter((row) => row[RESCUED_DATA] != null);
      expect(rescuedOf(bad)).toEqual([{ ...kept, file: "s3://landing/bad.x" }]);
      expect(bad[0]).toMatchObject({ id: null, note: "x" });
      expect(result.loaded).toMatchObject([
        { index: 0, records: 3, rescued: 1, quarantined: 0 },
        { index: 1, records: 3, rescued: 0, quarantined: 0 },
      ]);
    },
  );

  test("is told of by samples that differ", async () => {
    for (const [job, text] of [
      [jobOf(csv), "id\nn/a\nn/a\n1\nn/a\nnone\n?\n"],
      [jobOf({ type: "ndjson" }), ["n/a", "n/a", 1, "n/a", "none", "?"].map((id) => JSON.stringify({ id })).join("\n")],
    ] as const) {
      const { misfits } = await convertAll(
        work,
        job,
        { "a.x": text },
        { known: schemaOf([{ name: "id", type: "long" }]) },
      );
      expect(misfits).toMatchObject([{ columns: [{ path: "id", records: 5, samples: ["n/a", "none", "?"] }] }]);
    }
  });

  test("in parquet: it is kept as it was, nested columns by their path, with the number of its row", async () => {
    const table = schemaOf([
      { name: "n", type: "long" },
      {
        name: "s",
        type: {
          type: "struct",
          fields: [
            { name: "a", type: "int" },
            { name: "b", type: "string" },
          ],
        },
      },
      { name: "l", type: { type: "list", element: "long" } },
    ]);
    const bytes = await parquetOf(`SELECT * FROM (VALUES
      (1.0::DOUBLE, {'a': '1', 'b': 'x', 'c': NULL::DECIMAL(20,10)}, [1.0::DOUBLE]),
      (2.5, {'a': 'n/a', 'b': 'y', 'c': 1234567890.0123456789}, [1, 2.5]),
      ('nan'::DOUBLE, NULL, NULL)) t(n, s, l)`);
    const { rows, misfits, result } = await rescued(jobOf({ type: "parquet" }), { "a.parquet": bytes }, table);
    expect(misfits[0]?.columns.map(({ path, fileType, records }) => [path, fileType, records])).toEqual([
      ["n", "double", 2],
      ["s.a", "string", 1],
      ["l", { type: "list", element: "double" }, 1],
    ]);
    expect(rows.map(nulled).map(({ n, s, l }) => ({ n, s, l }))).toEqual([
      { n: 1n, s: { a: 1, b: "x" }, l: [1n] },
      { n: null, s: { a: null, b: "y" }, l: null },
      { n: null, s: null, l: null },
    ]);
    const reasons = { n: "no long", "s.a": "no int", "s.c": "no such column", l: "no list" };
    const values = { n: 2.5, "s.a": "n/a", "s.c": Number("1234567890.0123456789"), l: [1, 2.5] };
    expect(rescuedOf(rows)).toEqual([
      null,
      { values, reasons, file: "s3://landing/a.parquet", row: 2 },
      { values: { n: "nan" }, reasons: { n: "no long" }, file: "s3://landing/a.parquet", row: 3 },
    ]);
    expect(rows[1]?.[RESCUED_DATA]).toContain("1234567890.0123456789");
    expect(result.loaded).toMatchObject([{ records: 3, rescued: 2 }]);
  });

  test("in a nested JSON column: only it is taken out, digit for digit, and in lists the whole list", async () => {
    const table = schemaOf([
      { name: "id", type: "long" },
      {
        name: "a",
        type: {
          type: "struct",
          fields: [
            { name: "b", type: "long" },
            { name: "c", type: "string" },
          ],
        },
      },
      {
        name: "l",
        type: { type: "list", element: { type: "struct", fields: [{ name: "q", type: "long" }] } },
      },
    ]);
    const lines = [
      '{"id":1,"a":{"b":1,"c":"x"},"l":[{"q":1}]}',
      '{"id":2,"a":{"b":12345678901234567890.5,"c":"y"},"l":[{"q":1},{"q":1.25}]}',
      '{"id":3,"a":[1, 2],"l":{"q":3}}',
    ];
    const { rows, misfits } = await rescued(jobOf({ type: "ndjson" }), { "a.json": `${lines.join("\n")}\n` }, table);
    expect(misfits[0]).toMatchObject({ records: 3, unfit: 2 });
    expect(misfits[0]?.columns).toEqual([
      { path: "a.b", fileType: "double", records: 1, samples: ["12345678901234567890.5"], line: 2 },
      { path: "l", fileType: "string", records: 2, samples: ['[{"q":1},{"q":1.25}]', '{"q":3}'], line: 2 },
      { path: "a", fileType: "string", records: 1, samples: ["[1, 2]"], line: 3 },
    ]);
    const [first, second, third] = byId(rows);
    expect(first).toEqual({ id: 1n, a: { b: 1n, c: "x" }, l: [{ q: 1n }], [RESCUED_DATA]: null });
    expect(second).toMatchObject({ id: 2n, a: { b: null, c: "y" }, l: null });
    expect(second?.[RESCUED_DATA]).toBe(
      '{"values":{"a.b":12345678901234567890.5,"l":[{"q":1},{"q":1.25}]},"reasons":{"a.b":"no long","l":"no list"},"file":"s3://landing/a.json","line":2}',
    );
    expect(third).toMatchObject({ id: 3n, a: null, l: null });
  });

  test("in the path of an object: it is kept, and so is a part of the path without a column", async () => {
    const table = schemaOf([
      { name: "key", type: "string" },
      { name: "year", type: "int" },
    ]);
    const job = jobOf({ type: "metadata" });
    const files = { "year=soon/day=x/a": "", "year=2026/b": "" };
    const { rows } = await rescued(job, files, table);
    rows.sort((a, b) => Number(a["year"] ?? 0) - Number(b["year"] ?? 0));
    expect(rows.map(({ year }) => year)).toEqual([null, 2026]);
    expect(rescuedOf(rows)).toMatchObject([{ values: { year: "soon", day: "x" }, row: 1 }, null]);
  });

  test("in a required column: it cannot be taken out, and its file fails with the line", async () => {
    const table = known(...ADDS);
    const strict = { ...table, fields: table.fields.map((field) => ({ ...field, required: field.name === "id" })) };
    for (const [job, text] of [FORMATS.csv, FORMATS.ndjson]) {
      const { failures, rows } = await convertAll(
        work,
        job,
        { "a.x": text },
        { known: strict, treat: () => RESCUE, fixed: true },
      );
      expect(failures).toMatchObject([{ index: 0, reason: "REQUIRED_IS_NULL", column: "id" }]);
      expect(rows).toEqual([]);
    }
  });
});

describe("every refusal is explained by values", () => {
  const types = [
    "boolean",
    "int",
    "long",
    "float",
    "double",
    "decimal(9, 2)",
    "decimal(38, 0)",
    "date",
    "timestamp",
    "timestamptz",
    "uuid",
    "time",
    "binary",
    "string",
  ] as const;
  const all = [
    ...types,
    { type: "list", element: "long" },
    { type: "map", key: "string", value: "long" },
    { type: "struct", fields: [{ name: "k", type: "long" }] },
  ] as const;
  const texts = [
    "",
    " ",
    "1",
    " 1 ",
    "+1",
    "-0",
    "01",
    "1.0",
    "1.",
    ".5",
    "1.5",
    "1e2",
    "1E+2",
    "1.5e0",
    "-1e-1",
    "1_000",
    "0x1F",
    "1,5",
    "2147483648",
    "-9223372036854775809",
    "9007199254740993",
    "123456789012345678901234567890",
    "1e400",
    "1e39",
    "0.001",
    "true",
    "True",
    "yes",
    "no",
    "0",
    "NaN",
    "-Infinity",
    "inf",
    "nan",
    "2026-01-01",
    "2026-1-1",
    "2026/01/01",
    "2026-02-30",
    "0000-01-01",
    "2026-01-01 00:00:00",
    "2026-01-01T10:00",
    "2026-01-01T10:00:00.123456789",
    "2026-01-01T24:00:00",
    "2026-01-01 10:00:00 UTC",
    "2026-01-01T10:00:00Z",
    "2026-01-01T10:00:00+02:00",
    "infinity",
    "epoch",
    "10:00:00",
    "10:00:00.123456",
    "25:00:00",
    "f47ac10b-58cc-4372-a567-0e02b2c3d479",
    "F47AC10B58CC4372A5670E02B2C3D479",
    "ä",
    "\\x00",
  ];
  const numbers = texts.filter((text) => /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/.test(text));
  const values = [
    ...texts.map((text) => JSON.stringify(text)),
    ...numbers,
    "true",
    "[1]",
    "[1.5]",
    '["x"]',
    "[]",
    "[null]",
    "{}",
    '{"k":1}',
    '{"k":"1"}',
    '{"k":1.0}',
    '{"k":1.5}',
    '{"k":null}',
  ];

  test.each(all.map((type) => [JSON.stringify(type), type] as const))("of JSON in a column of %s", async (_, type) => {
    const table = schemaOf([{ name: "v", type: type as DraftField["type"] }]);
    const files = Object.fromEntries(values.map((value, i) => [`${i}`, `{"v":${value}}\n`]));
    const { failures, loaded, misfits } = await convertAll(work, jobOf({ type: "ndjson" }), files, {
      known: table,
      fixed: true,
    });
    expect(failures.map(({ index }) => values[index])).toEqual([]);
    expect(misfits.length + Object.keys(loaded).length).toBe(values.length);
    // Treated beforehand all of them load.
    const treated = await rescued(jobOf({ type: "ndjson" }), files, table);
    expect(treated.failures).toEqual([]);
    expect(Object.keys(treated.loaded)).toHaveLength(values.length);
  });

  test("a number too small for a double is no 0 in a column that holds digits", async () => {
    const table = schemaOf([
      { name: "n", type: "long" },
      { name: "price", type: "decimal(9, 2)" },
    ]);
    const { rows } = await rescued(jobOf(csv), { a: "n,price\n1e-400,0.001e-400\n0e-400,0.0e5\n" }, table);
    expect(rows).toMatchObject([
      { n: null, price: null, [RESCUED_DATA]: expect.stringContaining('{"n":"1e-400","price":"0.001e-400"}') },
      { n: 0n, price: 0, [RESCUED_DATA]: null },
    ]);
  });

  test("a text that is true or false is so beside a value that does not fit, too", async () => {
    const table = schemaOf([
      { name: "flag", type: "boolean" },
      { name: "day", type: "date" },
    ]);
    const lines = ["t", "F", "y", "n", "yes", "No", "TRUE", "0"].map((flag) => `{"flag":"${flag}"}\n`).join("");
    const flags = [true, false, true, false, true, false, true, false];
    for (const text of [lines, `${lines}{"day":"none"}\n`]) {
      const { rows } = await rescued(jobOf({ type: "ndjson" }), { a: text }, table);
      expect(rows.slice(0, flags.length).map(({ flag }) => flag)).toEqual(flags);
    }
  });

  const columns = [
    "true",
    "1::TINYINT",
    "300::SMALLINT",
    "70000",
    "5000000000",
    "18446744073709551615::UBIGINT",
    "1.5::FLOAT",
    "1e300::DOUBLE",
    "'nan'::DOUBLE",
    "12.345::DECIMAL(10,3)",
    "DATE '2026-01-01'",
    "TIMESTAMP '2026-01-01 10:00:00'",
    "TIMESTAMPTZ '2026-01-01 10:00:00+02'",
    "TIME '10:00:00'",
    "UUID 'f47ac10b-58cc-4372-a567-0e02b2c3d479'",
    "'\\xFF'::BLOB",
    "'x'",
    "'1'",
    "[1]",
    "['x']",
    "{'k': 'x'}",
    "{'k': 1}",
    "MAP {'k': 1.5}",
    "INTERVAL 1 DAY",
    "NULL::INTEGER",
  ];
  let parquet: Promise<Record<string, Buffer>> | undefined;
  const parquetFiles = async () => {
    const files: Record<string, Buffer> = {};
    for (const [i, column] of columns.entries()) files[`${i}`] = await parquetOf(`SELECT ${column} v`);
    return files;
  };

  test.each(all.map((type) => [JSON.stringify(type), type] as const))(
    "of Parquet in a column of %s",
    async (_, type) => {
      parquet ??= parquetFiles();
      const files = await parquet;
      const table = schemaOf([{ name: "v", type: type as DraftField["type"] }]);
      const { failures, loaded, misfits } = await convertAll(work, jobOf({ type: "parquet" }), files, {
        known: table,
        fixed: true,
      });
      expect(failures.map(({ index }) => columns[index])).toEqual([]);
      expect(misfits.length + Object.keys(loaded).length).toBe(columns.length);
      const treated = await rescued(jobOf({ type: "parquet" }), files, table);
      expect(treated.failures.map(({ index }) => columns[index])).toEqual([]);
    },
  );
});

describe("what the table has no column for", () => {
  const text = {
    csv: [jobOf(csv), "id,Extra,note\n1,,a\n2,more,b\n"],
    ndjson: [jobOf({ type: "ndjson" }), '{"Extra":null,"id":1,"note":"a"}\n{"Extra":"more","id":2,"note":"b"}\n'],
    parquet: [
      jobOf({ type: "parquet" }),
      "SELECT * FROM (VALUES (1, NULL, 'a'), (2, 'more', 'b')) t(id, \"Extra\", note)",
    ],
  } as const;
  test.each(Object.entries(text))("in %s: it is kept where it has a value", async (name, [job, content]) => {
    const conversion = await work.converter.start(job);
    try {
      await addAll(conversion, { "a.x": name === "parquet" ? await parquetOf(content) : content });
      const table = known(...ADDS);
      expect((await conversion.inspect(table, UNPARTITIONED)).fields.map((field) => field.name)).toContain("Extra");
      conversion.treat(0, RESCUE);
      const { files, loaded, misfits } = await conversion.convert(table, UNPARTITIONED);
      expect(misfits).toEqual([]);
      const rows = byId(await rowsOf(files));
      expect(rows).toMatchObject([
        { id: 1n, note: "a", [RESCUED_DATA]: null },
        { id: 2n, note: "b" },
      ]);
      expect(rescuedOf(rows)[1]).toMatchObject({ values: { Extra: "more" }, reasons: { Extra: "no such column" } });
      expect(loaded).toMatchObject([{ records: 2, rescued: 1 }]);
    } finally {
      await conversion.close();
    }
  });

  test("a key that differs from a nested one by case, and one that differs at the top, are kept under their names", async () => {
    const table = known({ name: "s", type: { type: "struct", fields: [{ name: "k", type: "long" }] } });
    const file = '{"id":1,"s":{"k":1}}\n{"id":2,"s":{"K":2,"k":3}}\n{"id":3,"s":{"K":4}}\n{"id":4,"ID":5}\n';
    const { rows, misfits, failures } = await rescued(jobOf({ type: "ndjson" }), { "a.json": file }, table);
    expect(failures).toEqual([]);
    expect(misfits[0]).toMatchObject({
      unfit: 3,
      columns: [
        { path: "s", fileType: "string", records: 2, line: 2 },
        { path: "id", fileType: "string", records: 1, line: 4 },
      ],
    });
    expect(byId(rows).map(({ s }) => s)).toEqual([{ k: 1n }, { k: 3n }, { k: null }, null]);
    expect(rescuedOf(byId(rows)).map((kept) => kept && (kept as { values: object }).values)).toEqual([
      null,
      { "s.K": 2 },
      { "s.K": 4 },
      { ID: 5 },
    ]);
  });

  test("every place of an unknown key leaves JSON that can be read", async () => {
    const members = { a: '"x":1', b: '"id":7', c: '"y":[2]', d: '"note":"n"', e: '"z":{"q":"}"}' };
    const orders = ["a", "b", "ab", "ba", "acb", "bac", "abcd", "acebd", "bdace", "aebcd", "ace", "badce"];
    const lines = orders.map((order) => `{ ${[...order].map((m) => members[m as "a"]).join(" , ")} }`);
    const { rows, result } = await rescued(jobOf({ type: "ndjson" }), { "a.json": `${lines.join("\n")}\n` }, known());
    expect(rows).toHaveLength(orders.length);
    expect(rows.filter(({ id }) => id === 7n)).toHaveLength(orders.filter((order) => order.includes("b")).length);
    expect(result.loaded).toMatchObject([{ rescued: orders.filter((order) => /[ace]/.test(order)).length }]);
  });

  test("a source's own column of that name is renamed, and rescued like any other", async () => {
    const table = known({ name: `${RESCUED_DATA}_1`, type: "string" });
    for (const [job, text] of [
      [jobOf(csv), `id,note,${RESCUED_DATA}\nx,a,mine\n2,b,\n`],
      [jobOf({ type: "ndjson" }), `{"id":"x","${RESCUED_DATA}":"mine"}\n{"id":2}\n`],
    ] as const) {
      const { rows } = await rescued(job, { "a.x": text }, table);
      expect(rows.find(({ id }) => id == null)).toMatchObject({ [`${RESCUED_DATA}_1`]: "mine" });
      expect(rescuedOf(rows).filter(Boolean)).toMatchObject([{ values: { id: "x" } }]);
    }
  });
});

describe("a route", () => {
  const table = known({ name: "id_text", type: "string" });
  const routes: Treatment = { rescue: false, routes: [{ path: "id", column: "id_text" }] };
  const files = {
    csv: [jobOf(csv), "id,note\n1,a\nn/a,b\n"],
    ndjson: [jobOf({ type: "ndjson" }), '{"id":1,"note":"a"}\n{"id":"n/a","note":"b"}\n'],
    json: [jobOf({ type: "json" }), '[{"id":1,"note":"a"},{"id":"n/a","note":"b"}]'],
    parquet: [jobOf({ type: "parquet" }), "SELECT * FROM (VALUES ('1', 'a'), ('n/a', 'b')) t(id, note)"],
  } as const;

  test.each(Object.entries(files))(
    "in %s: the value goes into its other column, and is not rescued",
    async (name, [job, text]) => {
      const bytes = name === "parquet" ? await parquetOf(text) : text;
      const { rows, result } = await rescued(job, { "a.x": bytes }, table, routes);
      expect(rows.sort((a, b) => (String(a["note"]) < String(b["note"]) ? -1 : 1))).toEqual([
        { id: 1n, note: "a", id_text: null, [RESCUED_DATA]: null },
        { id: null, note: "b", id_text: "n/a", [RESCUED_DATA]: null },
      ]);
      expect(result.loaded).toMatchObject([{ records: 2, rescued: 0 }]);
    },
  );

  test("a structure goes as JSON text, also for keys that no type holds", async () => {
    const nested = known(
      { name: "s", type: { type: "struct", fields: [{ name: "k", type: "long" }] } },
      { name: "s_text", type: "string" },
    );
    const { rows } = await rescued(
      jobOf({ type: "ndjson" }),
      { a: '{"id":1,"s":{"k":1}}\n{"id":2,"s":[1.50]}\n{"id":3,"s":{"k":"x","K":2}}\n' },
      nested,
      { rescue: true, routes: [{ path: "s", column: "s_text" }] },
    );
    expect(byId(rows)).toMatchObject([
      { s: { k: 1n }, s_text: null },
      { s: null, s_text: "[1.50]" },
      { s: null, s_text: '{"k":"x","K":2}' },
    ]);
  });

  test("whose column the row itself fills takes nothing: the value is rescued, or reported again", async () => {
    for (const [job, text] of [
      [jobOf(csv), "id,note,id_text\nn/a,a,mine\n"],
      [jobOf({ type: "ndjson" }), '{"id":"n/a","id_text":"mine"}\n'],
    ] as const) {
      const kept = await rescued(job, { a: text }, table, { ...routes, rescue: true });
      expect(kept.rows).toMatchObject([{ id: null, id_text: "mine" }]);
      expect(rescuedOf(kept.rows)).toMatchObject([{ values: { id: "n/a" } }]);
      let times = 0;
      const again = await convertAll(
        work,
        job,
        { a: text },
        {
          known: table,
          treat: () => (++times === 1 ? routes : undefined),
        },
      );
      expect(again.misfits).toHaveLength(2);
      expect(again.rows).toEqual([]);
    }
  });
});

describe("treated sources", () => {
  test("among others keep lineage, partitions and exact counts", async () => {
    const job = jobOf({ type: "ndjson" }, { lineage: true });
    const table = schemaOf([...known().fields.map(({ name, type }) => ({ name, type: type as "long" }))], true);
    const spec = (schema: Schema): PartitionSpec => ({
      "spec-id": 1,
      fields: [
        {
          name: "note",
          transform: "identity",
          "source-id": schema.fields.find(({ name }) => name === "note")?.id ?? 0,
          "field-id": 1000,
        },
      ],
    });
    const files = Object.fromEntries(
      Array.from({ length: 9 }, (_, i) => [
        `${i}.json`,
        Array.from({ length: 50 }, (__, n) => `{"id":${n % 10 === i ? `"x${n}"` : n},"note":"p${n % 3}"}\n`).join(""),
      ]),
    );
    const { rows, result } = await convertAll(work, job, files, {
      known: table,
      spec,
      treat: () => RESCUE,
      adds: ADDS,
    });
    expect(rows).toHaveLength(450);
    expect(result.loaded.map(({ records, rescued: kept }) => [records, kept])).toEqual(Array(9).fill([50, 5]));
    for (const kept of rescuedOf(rows)) {
      if (kept !== null)
        expect(kept).toMatchObject({ file: expect.stringContaining(".json"), line: expect.any(Number) });
    }
    for (const row of rows.filter((candidate) => candidate[RESCUED_DATA] != null)) {
      const { values, line, file } = JSON.parse(String(row[RESCUED_DATA])) as {
        values: { id: string };
        line: number;
        file: string;
      };
      expect([values.id, row["_file_path"]]).toEqual([`x${line - 1}`, file]);
    }
  });

  test("many rows of CSV keep the line of each, with line breaks in fields", async () => {
    const text = Array.from(
      { length: 20_000 },
      (_, i) => `${i % 7 === 3 ? `bad${i}` : i},"${i % 5 === 0 ? "a\r\nb" : "c"}"\r\n`,
    );
    const { rows, result } = await rescued(jobOf(csv), { "a.csv": `id,note\r\n${text.join("")}` }, known());
    expect(rows).toHaveLength(20_000);
    expect(result.loaded).toMatchObject([
      { records: 20_000, rescued: text.filter((row) => row.startsWith("bad")).length },
    ]);
    const lines = new Map<string, number>();
    let line = 2;
    for (const row of text) {
      if (row.startsWith("bad")) lines.set(row.split(",")[0] as string, line);
      line += row.split("\r\n").length - 1;
    }
    for (const kept of rescuedOf(rows) as ({ values: { id: string }; line: number } | null)[]) {
      if (kept !== null) expect(kept.line).toBe(lines.get(kept.values.id));
    }
  });

  test.each(["csv", "ndjson"] as const)(
    "of %s, two hundred of them small, keep their own names and lines",
    async (type) => {
      const conversion = await work.converter.start(jobOf(type === "csv" ? csv : { type }, { lineage: true }));
      try {
        const row = (id: number, more: string) =>
          type === "csv" ? `${id},${more}\n` : `{"id":${id},"more":"${more}"}\n`;
        const text = (i: number) =>
          (type === "csv" ? "id,more\n" : "\n") +
          Array.from({ length: i % 5 }, (_, n) => row(n, `${i}-${n + 2}`)).join("");
        await addAll(conversion, Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`${i}.x`, text(i)])));
        const table = schemaOf([{ name: "id", type: "long" }, ...ADDS], true);
        await conversion.inspect(table, UNPARTITIONED);
        for (let i = 0; i < 200; i++) conversion.treat(i, RESCUE);
        const { files, loaded } = await conversion.convert(table, UNPARTITIONED);
        expect(loaded.map(({ records, rescued: kept }) => [records, kept])).toEqual(
          Array.from({ length: 200 }, (_, i) => [i % 5, i % 5]),
        );
        for (const found of await rowsOf(files)) {
          const { values, file, line } = JSON.parse(String(found[RESCUED_DATA])) as {
            values: { more: string };
            file: string;
            line: number;
          };
          expect([values.more, found["_file_path"]]).toEqual([`${/(\d+)\.x/.exec(file)?.[1]}-${line}`, file]);
        }
      } finally {
        await conversion.close();
      }
    },
  );

  test("can be converted again with a wider schema, and then fit", async () => {
    const conversion = await work.converter.start(jobOf({ type: "ndjson" }));
    try {
      await addAll(conversion, { a: '{"id":"x","note":"a"}\n' });
      const table = known(...ADDS);
      await conversion.inspect(table, UNPARTITIONED);
      conversion.treat(0, RESCUE);
      const first = await conversion.convert(table, UNPARTITIONED);
      expect(first.loaded).toMatchObject([{ records: 1, rescued: 1 }]);
      const text = schemaOf([{ name: "id", type: "string" }, { name: "note", type: "string" }, ...ADDS]);
      const second = await conversion.convert(text, UNPARTITIONED);
      expect(second.loaded).toMatchObject([{ records: 1, rescued: 0 }]);
      expect(await rowsOf(second.files)).toMatchObject([{ id: "x", [RESCUED_DATA]: null }]);
    } finally {
      await conversion.close();
    }
  });
});
