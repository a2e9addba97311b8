import { describe, expect, test } from "vitest";
import type { DraftField, DraftType } from "../../../lambdas/core/iceberg/types.ts";
import { convertAll, jobOf, schemaOf, scratch, useScratch } from "./harness.ts";

const work = useScratch();

const ndjson = (job: Parameters<typeof jobOf>[1] = {}) => jobOf({ type: "ndjson" }, job);
const json = (recordsPath?: string) => jobOf({ type: "json", ...(recordsPath === undefined ? {} : { recordsPath }) });
const lines = (...records: readonly unknown[]) => records.map((record) => `${JSON.stringify(record)}\n`).join("");
const typesOf = (fields: readonly DraftField[]) => Object.fromEntries(fields.map(({ name, type }) => [name, type]));

test.each([
  ["ndjson", ndjson(), '{"id":1,"s":{"v":1}}\n{"id":2,"s":{"v":2,"V":null},"ID":null}\n', '{"id":3,"s":{"v":3}}\n'],
  [
    "json",
    json("r"),
    '{"r":[{"id":1,"s":{"v":1}},{"id":2,"s":{"v":2,"V":null},"ID":null}]}',
    '{"r":[{"id":3,"s":{"v":3}}]}',
  ],
] as const)(
  "%s: a null key that differs from another by case alone stands in nobody's way",
  async (_, job, twin, good) => {
    const v: DraftType = { type: "struct", fields: [{ name: "v", type: "long" }] };
    const known = schemaOf([
      { name: "id", type: "long" },
      { name: "s", type: v },
    ]);
    const { rows, failures, misfits } = await convertAll(work, job, { twin, good }, { known });
    expect([failures, misfits]).toEqual([[], []]);
    expect(rows.map(({ id, s }) => [Number(id), Number((s as { v: bigint }).v)]).toSorted()).toEqual([
      [1, 1],
      [2, 2],
      [3, 3],
    ]);
  },
);

describe("types of new columns", () => {
  test("end where DuckDB takes too long to plan a statement: lists deeper than that are JSON text", async () => {
    const nested = (depth: number) => `${"[".repeat(depth)}true${"]".repeat(depth)}`;
    const text = `{"c":${nested(12)},"d":${nested(30)}}\n`;
    const { inspection, rows, failures } = await convertAll(work, ndjson(), { "a.json": text });
    expect(failures).toEqual([]);
    const [c, d] = inspection.fields.map(({ type }) => JSON.stringify(type));
    expect(c).toContain('"element":"boolean"');
    expect(d).toContain('"element":"string"');
    expect(rows).toEqual([{ c: JSON.parse(nested(12)), d: [[[[[[[[[[[[nested(18)]]]]]]]]]]]] }]);
  });

  test("follow the rules, at every depth", async () => {
    const text =
      '{"i":1,"f":1.0,"mixed":1,"big":18446744073709551616,"huge":1e2,"b":true,"z":"2024-01-01T10:00:00+02:00","n":"2024-01-01T10:00:00","d":"2024-02-29","u":"123e4567-e89b-12d3-a456-426614174000","nul":null,"e":{},"el":[],"s":{"a":1,"t":"2024-01-01T00:00:00Z","x":null},"l":[1,2.5],"o":[{"k":1},{"k":2,"m":"2024-01-01T00:00:00Z"}],"conflict":{"a":1}}\n' +
      '{"i":-2,"f":2,"mixed":"a","big":1,"huge":2,"b":false,"z":"2024-01-01T10:00:00.5Z","n":"2024-01-01 10:00","d":"1969-12-31","u":"x","conflict":[1]}\n';
    const { inspection, rows, failures } = await convertAll(work, ndjson(), { "a.json": text });
    expect(failures).toEqual([]);
    expect(typesOf(inspection.fields)).toEqual({
      i: "long",
      f: "double",
      mixed: "string",
      big: "decimal(38, 0)",
      huge: "double",
      b: "boolean",
      z: "timestamptz",
      n: "timestamp",
      d: "date",
      u: "string",
      e: "string",
      el: { type: "list", element: "string" },
      s: {
        type: "struct",
        fields: [
          { name: "a", type: "long" },
          { name: "t", type: "timestamptz" },
        ],
      },
      l: { type: "list", element: "double" },
      o: {
        type: "list",
        element: {
          type: "struct",
          fields: [
            { name: "k", type: "long" },
            { name: "m", type: "string" },
          ],
        },
      },
      conflict: "string",
    });
    expect(rows).toContainEqual(
      expect.objectContaining({
        mixed: "1",
        e: "{}",
        z: new Date("2024-01-01T08:00:00Z"),
        conflict: '{"a":1}',
        l: [1, 2.5],
      }),
    );
    expect(rows).toContainEqual(expect.objectContaining({ mixed: "a", conflict: "[1]" }));
  });

  test("a whole number a double would round is never made a double", async () => {
    const { rows } = await convertAll(work, ndjson(), { "a.json": '{"n":1.5}\n{"n":9007199254740993}\n' });
    expect(rows).toContainEqual({ n: "9007199254740993" });
  });

  test("objects whose keys are data are one JSON text, value for value", async () => {
    const records = Array.from({ length: 200 }, (_, i) => ({ id: i, attrs: { [`k${i}`]: { v: i } } }));
    const { schema, rows } = await convertAll(work, ndjson(), { "a.json": lines(...records) });
    expect(schema.fields.map(({ name, type }) => [name, type])).toEqual([
      ["id", "long"],
      ["attrs", "string"],
    ]);
    for (const row of rows)
      expect(JSON.parse(String(row["attrs"]))).toEqual({ [`k${row["id"]}`]: { v: Number(row["id"]) } });
  });

  test("a key or type that first appears after 30,000 records is found", async () => {
    const records = Array.from({ length: 30_000 }, (_, id) =>
      id === 29_999 ? { id, late: { deep: 1 }, v: 1.5 } : { id, v: 1 },
    );
    const { inspection, rows } = await convertAll(work, ndjson(), { "a.json": lines(...records) });
    expect(typesOf(inspection.fields)).toMatchObject({ v: "double", late: { type: "struct" } });
    expect(rows).toContainEqual({ id: 29_999n, v: 1.5, late: { deep: 1n } });
  });

  test("a hint turns a structure into text and text into a decimal", async () => {
    const job = ndjson({ hints: { s: "string", p: "decimal(10,2)" } });
    const { rows } = await convertAll(work, job, { "a.json": '{"s":{"a":[1,2]},"p":"12.50"}\n{"s":"x","p":3}\n' });
    expect(rows).toContainEqual({ s: '{"a":[1,2]}', p: 12.5 });
    expect(rows).toContainEqual({ s: "x", p: 3 });
  });
});

describe("names", () => {
  test("a hint by dot path reaches into structures and leaves their other keys alone", async () => {
    const job = ndjson({ hints: { "user.id": "string", "user.geo.lat": "decimal(9,4)" } });
    const text = '{"user":{"id":7,"name":"x","geo":{"lat":1.25,"lon":2.5}}}\n';
    const { rows, failures } = await convertAll(work, job, { "a.json": text });
    expect(failures).toEqual([]);
    expect(rows).toEqual([{ user: { id: "7", name: "x", geo: { lat: 1.25, lon: 2.5 } } }]);
  });

  test("a key with the name of a lineage column is renamed, with lineage or without", async () => {
    for (const lineage of [true, false]) {
      for (const format of [{ type: "ndjson" }, { type: "json", recordsPath: "r" }] as const) {
        const record = '{"_file_path":"theirs","a":1}';
        const text = format.type === "json" ? `{"r":[${record}]}` : `${record}\n`;
        const { rows, failures } = await convertAll(work, jobOf(format, { lineage }), { "a.json": text });
        expect(failures).toEqual([]);
        expect(rows[0]).toMatchObject({ _file_path_1: "theirs", a: 1n });
        expect(rows[0]?.["_file_path"]).toBe(lineage ? "s3://landing/a.json" : undefined);
      }
    }
  });

  test("keys like numbers, with dots, quotes and of the language keep their values apart", async () => {
    const record = { b: 1, "10": 2, "2": 3, "a.b": 4, 'q"': 5, __proto__x: 6, constructor: 7, "'": 8 };
    const { rows, failures } = await convertAll(work, ndjson(), { "a.json": lines(record) });
    expect(failures).toEqual([]);
    expect(rows).toEqual([Object.fromEntries(Object.entries(record).map(([key, value]) => [key, BigInt(value)]))]);
  });
});

describe("a table that is there", () => {
  const known = schemaOf([
    { name: "id", type: "long" },
    { name: "v", type: "double" },
    { name: "s", type: { type: "struct", fields: [{ name: "a", type: "long" }] } },
    { name: "l", type: { type: "list", element: { type: "struct", fields: [{ name: "q", type: "long" }] } } },
    { name: "t", type: "string" },
  ]);

  test("files that fit are converted as they are looked at, and report the table's columns", async () => {
    const files = {
      "a.json": '{"id":1,"v":2,"s":{"a":1},"l":[{"q":5}],"t":{"any":[1]}}\n',
      "b.json": '{"id":"2","t":5}\n{}\n',
    };
    const { inspection, schema, rows, loaded, failures } = await convertAll(work, ndjson(), files, { known });
    expect(failures).toEqual([]);
    expect(schema).toEqual(known);
    expect(inspection.fields.map(({ name }) => name).sort()).toEqual(["id", "l", "s", "t", "v"]);
    expect(rows).toContainEqual({ id: 1n, v: 2, s: { a: 1n }, l: [{ q: 5n }], t: '{"any":[1]}' });
    expect(rows).toContainEqual({ id: 2n, v: null, s: undefined, l: undefined, t: "5" });
    expect(loaded).toEqual({ 0: 1, 1: 2 });
  });

  test.each([
    ["at the top", { id: 1, extra: true }, "extra"],
    ["in a structure", { s: { a: 1, b: "x" } }, "s"],
    ["in a list of structures", { l: [{ q: 1 }, { q: 2, r: 3 }] }, "l"],
  ])("an unknown key %s is reported, never dropped", async (_, record, column) => {
    const { inspection, schema, rows } = await convertAll(
      work,
      ndjson(),
      { "a.json": lines({ id: 0 }, record) },
      { known },
    );
    expect(inspection.fields.map(({ name }) => name)).toContain(column);
    expect(JSON.stringify(schema)).not.toBe(JSON.stringify(known));
    expect(rows).toHaveLength(2);
    const loaded = JSON.stringify(rows, (__, value) => (typeof value === "bigint" ? Number(value) : value));
    for (const leaf of JSON.stringify(record).match(/"\w+":[\w"]+/g) ?? []) expect(loaded).toContain(leaf);
  });

  test.each([
    ["a fraction in a whole number", '{"id":1.5}', "id"],
    ["a fraction in a whole number inside a list", '{"l":[{"q":1.5}]}', "l"],
    ["a number beyond int64", '{"id":9223372036854775808}', "id"],
    ["a whole number the double would round", '{"v":9007199254740993}', "v"],
    ["a fraction that a double has no room for", '{"id":9007199254740993.5}', "id"],
    ["one that a double writes with an exponent", '{"id":10000000000000000.5}', "id"],
    ["text in a whole number", '{"id":"x"}', "id"],
    ["a list in a structure", '{"s":[1]}', "s"],
  ])("%s is reported of that file alone, with line and column", async (_, bad, column) => {
    const files = { "good.json": lines({ id: 1 }), "bad.json": `{"id":7}\n${bad}\n`, "also.json": lines({ id: 2 }) };
    const { misfits, rows, loaded } = await convertAll(work, ndjson(), files, { known });
    expect(misfits).toMatchObject([
      { index: 1, records: 2, unfit: 1, columns: [{ path: column, records: 1, line: 2 }] },
    ]);
    expect(rows.map(({ id }) => id).sort()).toEqual([1n, 2n]);
    expect(loaded).toEqual({ 0: 1, 2: 1 });
  });

  test.each([
    ["ndjson", ndjson(), (record: string) => `{"id":1}\n${record}\n`],
    ["a list", json(), (record: string) => `[{"id":1},${record}]`],
    ["records under a path", json("Records"), (record: string) => `{"Records":[{"id":1},${record}]}`],
  ] as const)("%s: null is no record, and a record without values is one", async (_, job, text) => {
    for (const table of [{}, { known }]) {
      const files = { "null.json": text("null"), "empty.json": text("{}"), "unset.json": text('{"id":null}') };
      const { failures, loaded } = await convertAll(work, job, files, table);
      expect(failures).toMatchObject([{ index: 0, reason: "NOT_JSON_RECORDS" }]);
      expect(loaded).toEqual({ 1: 2, 2: 2 });
    }
  });

  test("a number too large for a double is no infinity", async () => {
    const files = { "huge.json": '{"v":1e400}\n', "good.json": '{"v":1e300}\n' };
    const { misfits, rows } = await convertAll(work, ndjson(), files, { known });
    expect(misfits).toMatchObject([
      { index: 0, columns: [{ path: "v", fileType: "string", samples: ["1e400"], line: 1 }] },
    ]);
    expect(rows.map(({ v }) => v)).toEqual([1e300]);
    const made = await convertAll(work, ndjson(), { "huge.json": '{"v":1e400}\n{"v":-1.5}\n' });
    expect(made.failures).toEqual([]);
    expect(made.rows.map(({ v }) => v)).toEqual(["1e400", "-1.5"]);
  });

  test("numbers beyond 2^53 keep every digit, and true and false among numbers are 1 and 0, however they are read", async () => {
    const digits = '{"id":9007199254740993}\n{"id":-9223372036854775808}\n';
    const bools = '{"id":true,"v":false}\n';
    const exact = '{"id":-900719925474099.0}\n{"id":9007199254740993}\n';
    expect((await convertAll(work, ndjson(), { "a.json": exact }, { known })).failures).toEqual([]);
    for (const files of [
      { "a.json": digits },
      { "a.json": bools },
      { "a.json": digits, "b.json": bools },
      { "a.json": `${digits}{"new":1}\n`, "b.json": bools },
    ]) {
      const { failures, rows } = await convertAll(work, ndjson(), files, { known });
      expect(failures).toEqual([]);
      if ("b.json" in files || files["a.json"] === bools)
        expect(rows).toContainEqual(expect.objectContaining({ id: 1n, v: 0 }));
      if (files["a.json"] !== bools)
        for (const id of [9007199254740993n, -9223372036854775808n]) expect(rows.map((row) => row["id"])).toContain(id);
    }
  });

  test("large doubles are kept, when no whole number hides among them", async () => {
    const { failures, rows } = await convertAll(
      work,
      ndjson(),
      { "a.json": '{"v":1e300}\n{"v":-1.5e20}\n' },
      { known },
    );
    expect(failures).toEqual([]);
    expect(rows.map(({ v }) => v).sort()).toEqual([-1.5e20, 1e300]);
  });

  test("a key that is always null is no column, and no obstacle", async () => {
    const { failures, rows, schema } = await convertAll(
      work,
      ndjson(),
      { "a.json": '{"id":1,"nil":null,"s":{"a":2,"z":null}}\n' },
      { known },
    );
    expect(failures).toEqual([]);
    expect(schema).toEqual(known);
    expect(rows[0]).toMatchObject({ id: 1n, s: { a: 2n } });
  });

  test("a key that differs from the table's column only by case fills it", async () => {
    const { rows, failures, schema } = await convertAll(work, ndjson(), { "a.json": '{"ID":1,"V":2.5}\n' }, { known });
    expect(failures).toEqual([]);
    expect(schema).toEqual(known);
    expect(rows[0]).toMatchObject({ id: 1n, v: 2.5 });
  });

  test("a second spelling of a key does not fit the column of the first", async () => {
    const files = { "a.json": '{"id":1}\n', "b.json": '{"id":2,"Id":3}\n' };
    const { rows, failures, misfits } = await convertAll(work, ndjson(), files, { known });
    expect(failures).toEqual([]);
    expect(misfits).toMatchObject([
      { index: 1, columns: [{ path: "id", fileType: "string", samples: ["3"], line: 1 }] },
    ]);
    expect(rows).toHaveLength(1);
  });
});

describe("shapes of documents", () => {
  test("an array, one object, pretty-printed, concatenated and line by line are all records", async () => {
    const files = {
      "array.json": '[{"id":1},\n {"id":2}]',
      "one.json": '\n{\n  "id": 3\n}\n',
      "concatenated.json": '{"id":4}{"id":5} {"id":6}',
      "lines.json": '{"id":7}\n{"id":8}\n',
      "empty array.json": "[]",
      "empty.json": " \n",
    };
    const { rows, loaded, failures } = await convertAll(work, json(), files);
    expect(failures).toEqual([]);
    expect(rows.map(({ id }) => Number(id)).sort()).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    expect(loaded).toEqual({ 0: 2, 1: 1, 2: 3, 3: 2, 4: 0, 5: 0 });
  });

  test("records under a path are loaded, what lies beside them is not", async () => {
    const files = {
      "a.json": '{"meta":{"v":1},"data":{"n":2,"items":[{"id":1,"x":{"y":"z"}},{"id":2}]}}',
      "b.json": '{"data":{"items":[]}}',
      "c.json": '{"data":{"items":[{"id":3}],"other":[{"id":9}]},"more":null}',
    };
    for (const known of [undefined, schemaOf([{ name: "id", type: "long" }])]) {
      const { rows, loaded, failures } = await convertAll(
        work,
        json("data.items"),
        files,
        known === undefined ? {} : { known },
      );
      expect(failures).toEqual([]);
      expect(rows.map(({ id }) => Number(id)).sort()).toEqual([1, 2, 3]);
      expect(loaded).toEqual({ 0: 2, 1: 0, 2: 1 });
    }
  });

  test("a document without the path, or with no list there, is refused", async () => {
    const files = {
      "good.json": '{"Records":[{"id":1}]}',
      "none.json": '{"records":[{"id":2}]}',
      "object.json": '{"Records":{"id":3}}',
    };
    const { rows, failures } = await convertAll(work, json("Records"), files);
    expect(rows).toEqual([{ id: 1n }]);
    expect(failures.map(({ index, reason }) => [index, reason]).sort()).toEqual([
      [1, "RECORDS_NOT_FOUND"],
      [2, "RECORDS_NOT_FOUND"],
    ]);
  });

  test("an NDJSON file large enough to be read by several threads keeps every row, and its line numbers", async () => {
    const line = (id: number) => `${JSON.stringify({ id, text: "x".repeat(200) })}\n`;
    const text = Array.from({ length: 50_000 }, (_, id) => line(id)).join("");
    const known = schemaOf([
      { name: "id", type: "long" },
      { name: "text", type: "string" },
    ]);
    const whole = await convertAll(work, ndjson(), { "big.json": text }, { known });
    expect(whole.rows).toHaveLength(50_000);
    expect(new Set(whole.rows.map(({ id }) => id)).size).toBe(50_000);
    const broken = await convertAll(
      work,
      ndjson(),
      { "big.json": `${text}{"id":1.5}\n`, "small.json": line(1) },
      { known },
    );
    expect(broken.misfits).toMatchObject([{ index: 0, columns: [{ path: "id", line: 50_001 }] }]);
    expect(broken.rows).toHaveLength(1);
    const cut = await convertAll(work, ndjson(), { "big.json": `${text}{"id":1`, "small.json": line(1) }, { known });
    expect(cut.failures).toMatchObject([{ index: 0, reason: "MALFORMED_JSON", line: 50_001 }]);
  });
});

describe("records under a path, when a file is alone in its batch", () => {
  const known = schemaOf([{ name: "id", type: "long" }]);
  const broken = [
    ["cut off", '{"Records":[{"id":1},{"id":', "MALFORMED_JSON"],
    ["without the path", '{"x":1}', "RECORDS_NOT_FOUND"],
    ["with no list there", '{"Records":{"id":1}}', "RECORDS_NOT_FOUND"],
    ["with numbers for records", '{"Records":[1,2]}', "NOT_JSON_RECORDS"],
    ["not UTF-8", Buffer.from('{"Records":[{"t":"\xff"}]}', "latin1"), "MALFORMED_JSON"],
    ["with half a character", '{"Records":[{"t":"\\ud800"}]}', "MALFORMED_JSON"],
    ["with a key twice", '{"Records":[{"id":1,"id":2}]}', "DUPLICATE_KEY"],
    ["with the path twice", '{"Records":[{"id":1}],"Records":[{"id":2}]}', "DUPLICATE_KEY"],
    ["with a key beside them twice", '{"x":1,"x":2,"Records":[{"id":1}]}', "DUPLICATE_KEY"],
  ] as const;
  test.each(broken)("%s: it fails with its own reason, in a new table or an old", async (_, bytes, reason) => {
    for (const table of [{}, { known }]) {
      const { failures, loaded, rows } = await convertAll(work, json("Records"), { "bad.json": bytes }, table);
      expect(failures).toEqual([expect.objectContaining({ index: 0, reason })]);
      expect(loaded).toEqual({});
      expect(rows).toEqual([]);
    }
  });

  test("an empty one is loaded, with no rows", async () => {
    for (const table of [{}, { known }]) {
      const { failures, loaded } = await convertAll(work, json("Records"), { "empty.json": "" }, table);
      expect(failures).toEqual([]);
      expect(loaded).toEqual({ 0: 0 });
    }
  });
});

test("a document that needs more memory than there is fails alone, and says so", async () => {
  const small = await scratch({ memoryLimitBytes: 400 * 1024 * 1024 });
  const records = Array.from({ length: 150_000 }, (_, id) => JSON.stringify({ id, text: "x".repeat(400) })).join(",");
  const files = { "large.json": `{"Records":[${records}]}`, "small.json": '{"Records":[{"id":1}]}' };
  const { failures, loaded } = await convertAll(small, json("Records"), files);
  expect(failures).toMatchObject([{ index: 0, reason: "OUT_OF_MEMORY" }]);
  expect(loaded).toEqual({ 1: 1 });
  await small.remove();
});

describe("files that are no JSON records", () => {
  test("fail alone, with the line and without their content", async () => {
    const files = {
      "good.json": '{"id":1}\n',
      "broken.json": '{"id":1}\n{"id":SECRET}\n',
      "cut.json": '{"id":1}\n{"id":',
      "text.json": "hello\n",
      "scalar.json": '{"id":1}\n5\n',
      "twice.json": '{"id":1,"id":2}\n',
      "also.json": '{"id":2}\n',
    };
    const { rows, failures, loaded } = await convertAll(work, ndjson(), files);
    expect(failures.map(({ index, reason, line }) => [index, reason, line]).sort()).toEqual([
      [1, "MALFORMED_JSON", 2],
      [2, "MALFORMED_JSON", 2],
      [3, "NOT_JSON_RECORDS", 1],
      [4, "NOT_JSON_RECORDS", undefined],
      [5, "DUPLICATE_KEY", undefined],
    ]);
    expect(JSON.stringify(failures)).not.toContain("SECRET");
    expect(rows).toHaveLength(2);
    expect(loaded).toEqual({ 0: 1, 6: 1 });
  });

  test("the same files fail when the table is there", async () => {
    const known = schemaOf([{ name: "id", type: "long" }]);
    const files = {
      "good.json": '{"id":1}\n',
      "broken.json": '{"id":1}\n{"id":x}\n',
      "scalar.json": '{"id":1}\n5\n',
      "twice.json": '{"id":1,"id":2}\n',
    };
    const { rows, failures } = await convertAll(work, ndjson(), files, { known });
    expect(failures.map(({ index }) => index).sort()).toEqual([1, 2, 3]);
    expect(rows).toEqual([{ id: 1n }]);
  });

  test("ten thousand nested lists neither crash nor hang", async () => {
    const deep = `${"[".repeat(10_000)}${"]".repeat(10_000)}`;
    const { failures, loaded } = await convertAll(work, ndjson(), {
      "deep.json": `{"a":${deep}}\n`,
      "open.json": `{"a":${"[".repeat(10_000)}\n`,
      "good.json": '{"b":1}\n',
    });
    expect(loaded).toMatchObject({ 2: 1 });
    expect(failures.map(({ index }) => index)).toContain(1);
  });
});

describe("records that are no objects", () => {
  test("are rows of one column, typed as any, beside those that are", async () => {
    const job = jobOf({ type: "json", values: true });
    const files = { "numbers.json": "[1, 2.5 ,null]", "one.json": " 7 \n", "objects.json": '[{"a":1},8]' };
    const { failures, rows, loaded, schema } = await convertAll(work, job, files);
    expect(failures).toEqual([]);
    expect(schema.fields.map(({ name, type }) => [name, type]).sort()).toEqual([
      ["a", "long"],
      ["value", "double"],
    ]);
    expect(loaded).toEqual({ 0: 3, 1: 1, 2: 2 });
    expect(rows.map(({ value }) => value).sort()).toEqual([1, 2.5, 7, 8, null, null]);
  });

  test("of several kinds are JSON text, and every line of NDJSON is one, a list too", async () => {
    const text = '[1,{"b":2}]\n"x"\n\n{"value":3}\ntrue\n';
    const { failures, rows } = await convertAll(work, jobOf({ type: "ndjson", values: true }), { "a.json": text });
    expect(failures).toEqual([]);
    expect(rows.map(({ value }) => value).sort()).toEqual(["3", '[1,{"b":2}]', "true", "x"]);
  });

  test("keep their digits in a large file, which is wrapped piece by piece", async () => {
    const count = 100_000;
    const text = Array.from({ length: count }, (_, i) => `${900719925474099 + i}`).join("\n");
    const { failures, rows } = await convertAll(work, jobOf({ type: "ndjson", values: true }), { "a.json": text });
    expect(failures).toEqual([]);
    expect(rows).toHaveLength(count);
    expect(new Set(rows.map(({ value }) => value)).size).toBe(count);
  });
});

describe("keys that an object has twice", () => {
  const last = jobOf({ type: "ndjson", duplicateKeys: "last" });

  test("fail the file, or the last one counts, at every depth and however it is escaped", async () => {
    const text = '{"a":[1,2],"s":{"b":1,"c":2,"\\u0062":3},"a":5}\n{"a":6,"t":"{\\"x\\":1,\\"x\\":2}"}\n';
    const { failures: refused } = await convertAll(work, ndjson(), { "a.json": text });
    expect(refused).toMatchObject([{ reason: "DUPLICATE_KEY" }]);
    const { failures, rows } = await convertAll(work, last, { "a.json": text });
    expect(failures).toEqual([]);
    expect(rows).toContainEqual({ a: 5n, s: { c: 2n, b: 3n }, t: null });
    expect(rows).toContainEqual({ a: 6n, s: undefined, t: '{"x":1,"x":2}' });
  });

  test("of JSON text too, and lines keep their numbers", async () => {
    const job = jobOf({ type: "json", duplicateKeys: "last" }, { hints: { j: "string" } });
    const { rows } = await convertAll(work, job, { "a.json": '[{"j":{"a":1,\n"a":[2]}}]' });
    expect(rows.map(({ j }) => String(j).replace(/\s/g, ""))).toEqual(['{"a":[2]}']);
    const { failures } = await convertAll(work, job, { "a.json": '[{"j":1,\n"j":2},\n{"j":}]' });
    expect(failures).toMatchObject([{ reason: "MALFORMED_JSON", line: 3, byte: 6 }]);
  });
});

describe("what is no JSON", () => {
  test.each([
    ['{"id":1,}', 9],
    ['{"v": NaN}', 7],
    ['{"v":-Infinity}', 7],
    ["{'id':1}", 2],
    ['{"t":"a\u0001"}', 8],
    ['{"id":01}', 8],
  ])("%j fails, with line and byte, in a new table and in one that is there", async (bad, byte) => {
    for (const table of [
      {},
      {
        known: schemaOf([
          { name: "id", type: "long" },
          { name: "v", type: "double" },
          { name: "t", type: "string" },
        ]),
      },
    ]) {
      const files = { "bad.json": `{"id":1}\n${bad}\n`, "good.json": '{"id":2}\n' };
      const { failures, rows } = await convertAll(work, ndjson(), files, table);
      expect(failures).toMatchObject([{ index: 0, reason: "MALFORMED_JSON", line: 2, byte }]);
      expect(rows).toHaveLength(1);
    }
  });

  test("in a string is text", async () => {
    const { failures, rows } = await convertAll(work, ndjson(), { "a.json": '{"t":"[1,] and {NaN} or : nan,"}\n' });
    expect(failures).toEqual([]);
    expect(rows).toEqual([{ t: "[1,] and {NaN} or : nan," }]);
  });
});
