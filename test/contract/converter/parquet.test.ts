import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { DuckDBInstance } from "@duckdb/node-api";
import { describe, expect, test } from "vitest";
import { Engine } from "../../../lambdas/adapters/converter/engine.ts";
import type { DraftField, DraftType } from "../../../lambdas/core/iceberg/types.ts";
import { addAll, convertAll, jobOf, schemaOf, UNPARTITIONED, useScratch } from "./harness.ts";
import { parquetOf } from "./parquet-files.ts";

const work = useScratch();

const parquet = (changes: Parameters<typeof jobOf>[1] = {}) => jobOf({ type: "parquet" }, changes);
const typesOf = (fields: readonly DraftField[]) => Object.fromEntries(fields.map(({ name, type }) => [name, type]));

/** A file of one column, of which the footer then says that it is encrypted with the footer's key; the footer itself can be read. */
async function withEncryptedColumn(): Promise<Buffer> {
  const bytes = await parquetOf("SELECT 1 AS c");
  // Behind the column's description ends the column, and its row group goes on with field 2.
  const at = bytes.lastIndexOf(Buffer.from("000016", "hex")) + 1;
  const crypto = Buffer.from("5c1c0000", "hex");
  const made = Buffer.concat([bytes.subarray(0, at), crypto, bytes.subarray(at)]);
  made.writeUInt32LE(made.readUInt32LE(made.length - 8) + crypto.length, made.length - 8);
  return made;
}

describe("parquet sources", () => {
  test("keep their types, and those Iceberg or Athena lack become the next that holds them", async () => {
    const select = `SELECT 1::TINYINT a, 2::USMALLINT b, 3::UINTEGER c, 18446744073709551615::UBIGINT d, 1.5::FLOAT f, 2.5::DOUBLE g,
      1.25::DECIMAL(10,2) h, DATE '2024-01-01' i, TIMESTAMP '2024-01-01 00:00:00.123456' j, TIMESTAMPTZ '2024-01-01 00:00:00+00' k,
      TIMESTAMP_NS '2024-01-01 00:00:00.123456789' l, 'x' m, '\\x01\\xff'::BLOB n, uuid '123e4567-e89b-12d3-a456-426614174000' o,
      TIME '10:00' p, 'e'::ENUM('e','f') q, '{"a":1}'::JSON r, {'x': 1, 'y': [1, 2]} s, MAP {'k': 1::BIGINT} t, true u, NULL::INTEGER v`;
    const { inspection, rows, failures } = await convertAll(work, parquet(), { "a.parquet": await parquetOf(select) });
    expect(failures).toEqual([]);
    expect(typesOf(inspection.fields)).toEqual({
      a: "int",
      b: "int",
      c: "long",
      d: "decimal(20, 0)",
      f: "float",
      g: "double",
      h: "decimal(10, 2)",
      i: "date",
      j: "timestamp",
      k: "timestamptz",
      l: "timestamp",
      m: "string",
      n: "binary",
      o: "string",
      p: "string",
      q: "string",
      r: "string",
      s: {
        type: "struct",
        fields: [
          { name: "x", type: "int" },
          { name: "y", type: { type: "list", element: "int" } },
        ],
      },
      t: { type: "map", key: "string", value: "long" },
      u: "boolean",
      v: "int",
    });
    expect(rows[0]).toMatchObject({
      a: 1,
      c: 3n,
      h: 1.25,
      m: "x",
      o: "123e4567-e89b-12d3-a456-426614174000",
      p: "10:00:00",
      q: "e",
    });
    expect(rows[0]).toMatchObject({ r: '{"a":1}', s: { x: 1, y: [1, 2] }, t: { k: 1n }, u: true, v: null });
  });

  test("with different columns, orders and widths go into one table by name", async () => {
    const known = schemaOf([
      { name: "id", type: "long" },
      { name: "s", type: { type: "struct", fields: [{ name: "a", type: "long" }] } },
    ]);
    const files = {
      "1.parquet": await parquetOf("SELECT 1::INTEGER id, {'a': 1::INTEGER} s"),
      "2.parquet": await parquetOf("SELECT {'b': 'x', 'a': 2::BIGINT} s, 2::BIGINT ID"),
      "3.parquet": await parquetOf("SELECT 3::SMALLINT id, 'new' extra"),
    };
    const { rows, schema, failures, loaded } = await convertAll(work, parquet(), files, { known });
    expect(failures).toEqual([]);
    expect(schema.fields.map(({ name }) => name)).toEqual(["id", "s", "extra"]);
    expect(rows).toContainEqual({ id: 1n, s: { a: 1n, b: null }, extra: null });
    expect(rows).toContainEqual({ id: 2n, s: { a: 2n, b: "x" }, extra: null });
    expect(rows).toContainEqual({ id: 3n, s: undefined, extra: "new" });
    expect(loaded).toEqual({ 0: 1, 1: 1, 2: 1 });
  });

  test("whose values the table's narrower type cannot hold do not fit, others of that type do", async () => {
    const known = schemaOf([{ name: "n", type: "long" }]);
    const files = {
      "whole.parquet": await parquetOf("SELECT 2.0::DOUBLE n"),
      "fraction.parquet": await parquetOf("SELECT 2.5::DOUBLE n"),
      "text.parquet": await parquetOf("SELECT 'x' n"),
    };
    const conversion = await work.converter.start(parquet());
    await addAll(conversion, files);
    await conversion.inspect(known);
    const { misfits } = await conversion.convert(known, UNPARTITIONED);
    expect(misfits).toEqual([
      {
        index: 1,
        records: 1,
        unfit: 1,
        columns: [{ path: "n", fileType: "double", records: 1, samples: ["2.5"] }],
      },
      { index: 2, records: 1, unfit: 1, columns: [{ path: "n", fileType: "string", records: 1, samples: ["x"] }] },
    ]);
    for (const { index } of misfits) conversion.leaveOut(index);
    const { loaded } = await conversion.convert(known, UNPARTITIONED);
    expect(loaded).toMatchObject([{ index: 0, records: 1 }]);
    await conversion.close();
  });

  test("no value of a map is rounded, and no zone is dropped", async () => {
    const map = (value: DraftType): DraftType => ({ type: "map", key: "string", value });
    for (const [type, good, bad] of [
      [map("long"), "MAP {'k': 2.0::DOUBLE, 'none': NULL}", "MAP {'k': 1.5::DOUBLE}"],
      [map("long"), "MAP {'k': '7'}", "MAP {'k': '1.5'}"],
      [
        map({ type: "struct", fields: [{ name: "x", type: "long" }] }),
        "MAP {'k': {'x': 2.0}}",
        "MAP {'k': {'x': 2.5}}",
      ],
      [map("long"), "NULL::MAP(VARCHAR, DOUBLE)", "MAP {'k': 'x'}"],
      ["timestamp", "NULL::TIMESTAMPTZ", "TIMESTAMPTZ '2026-01-01 01:00:00+02'"],
    ] as const) {
      const known = schemaOf([{ name: "v", type }]);
      const files = {
        "good.parquet": await parquetOf(`SELECT ${good} v`),
        "bad.parquet": await parquetOf(`SELECT ${bad} v`),
      };
      const conversion = await work.converter.start(parquet());
      await addAll(conversion, files);
      await conversion.inspect(known);
      const { misfits } = await conversion.convert(known, UNPARTITIONED);
      expect(misfits, bad).toMatchObject([{ index: 1, unfit: 1, columns: [{ path: "v" }] }]);
      conversion.leaveOut(1);
      const { loaded } = await conversion.convert(known, UNPARTITIONED);
      expect(loaded).toMatchObject([{ index: 0, records: 1 }]);
      await conversion.close();
    }
  });

  test("a hint finds its column without regard to case, and names that every JavaScript object has are only names", async () => {
    const select = `SELECT 1.5::DOUBLE "Amount", 1 "constructor", 2 "toString", 'x' "__proto__"`;
    const job = parquet({ hints: { amount: "decimal(9, 2)" } });
    const { schema, failures, loaded } = await convertAll(work, job, { "a.parquet": await parquetOf(select) });
    expect(failures).toEqual([]);
    expect(schema.fields.map(({ name, type }) => [name, type])).toEqual([
      ["Amount", "decimal(9, 2)"],
      ["constructor", "int"],
      ["toString", "int"],
      ["__proto__", "string"],
    ]);
    expect(loaded).toEqual({ 0: 1 });
  });

  test("cut off, empty, or no parquet at all fail alone", async () => {
    const good = await parquetOf("SELECT i AS id, 'text ' || i AS t FROM range(5000) r(i)");
    const damaged = Buffer.from(good);
    damaged.fill(0xa5, 4, good.length >> 1);
    const files = {
      "good.parquet": good,
      "cut.parquet": good.subarray(0, good.length - 200),
      "text.parquet": "a,b\n1,2\n",
      "damaged.parquet": damaged,
      "empty.parquet": "",
    };
    const { loaded, failures, rows } = await convertAll(work, parquet(), files);
    expect(failures.map(({ index, reason }) => [index, reason]).sort()).toEqual([
      [1, "UNREADABLE_PARQUET"],
      [2, "NOT_PARQUET"],
      [3, "UNREADABLE_PARQUET"],
    ]);
    expect(loaded).toEqual({ 0: 5000, 4: 0 });
    expect(rows).toHaveLength(5000);
  });
});

const samples = new URL("../../../../shared/data/parquet-testing/", import.meta.url).pathname;

describe("Apache's parquet-testing files", () => {
  if (!existsSync(samples)) {
    test("NOT RUN: ../shared/data/parquet-testing is not there", () => expect(existsSync(samples)).toBe(false));
    return;
  }
  const files = (folder: string) => readdirSync(`${samples}${folder}`).filter((name) => name.endsWith(".parquet"));

  test.each(files("data"))("%s is loaded with as many rows as DuckDB counts, or fails with a reason", async (name) => {
    const bytes = readFileSync(`${samples}data/${name}`);
    const { loaded, failures, result } = await convertAll(work, parquet(), { [name]: bytes });
    const counted = await countOf(`${samples}data/${name}`);
    if (failures.length > 0) {
      expect(failures[0]?.message).toMatch(/; [a-z]/);
      return;
    }
    expect(loaded[0]).toBe(counted);
    expect(result.files.reduce((sum, { file }) => sum + file.recordCount, 0)).toBe(counted);
  });

  test("damaged files never take a good one with them", async () => {
    const bad = files("bad_data").map((name) => [name, readFileSync(`${samples}bad_data/${name}`)] as const);
    const good = await parquetOf("SELECT 7::BIGINT AS good_id");
    const { loaded, failures, rows } = await convertAll(work, parquet(), {
      ...Object.fromEntries(bad),
      "good.parquet": good,
    });
    expect(loaded[bad.length]).toBe(1);
    expect(rows.some((row) => row["good_id"] === 7n)).toBe(true);
    expect(failures.length + Object.keys(loaded).length).toBe(bad.length + 1);
    expect(failures.length).toBeGreaterThan(0);
  });
});

describe("a file that breaks DuckDB's instance", () => {
  const name = "shredded_variant/case-132.parquet";
  if (!existsSync(`${samples}${name}`)) {
    test("NOT RUN: ../shared/data/parquet-testing is not there", () => expect(existsSync(samples)).toBe(false));
    return;
  }

  test("fails alone, its neighbours and the next conversion do not notice", async () => {
    const [bad, good] = [readFileSync(`${samples}${name}`), await parquetOf("SELECT 1::BIGINT a")];
    for (let round = 0; round < 2; round++) {
      const { loaded, failures } = await convertAll(work, parquet(), {
        "1.parquet": good,
        "bad.parquet": bad,
        "2.parquet": good,
      });
      expect(failures).toMatchObject([{ index: 1, reason: "UNSUPPORTED_PARQUET" }]);
      expect(loaded).toEqual({ 0: 1, 2: 1 });
    }
  });

  test("costs an instance, and the next statement has a new one, when DuckDB sees it all the same", async () => {
    const path = `${work.directory}/breaks.parquet`;
    writeFileSync(path, readFileSync(`${samples}${name}`));
    const bounds = { memoryLimitBytes: 1024 ** 3, threads: 1, diskBytesMax: 1024 ** 3 };
    const engine = new Engine({ workDir: work.directory, ...bounds }, () => undefined);
    const session = await engine.connect();
    await expect(session.rows(`SELECT * FROM read_parquet('${path}')`)).rejects.toThrow(/^INTERNAL Error/);
    expect(await session.rows("SELECT 1 AS a")).toEqual([{ a: 1 }]);
    session.close();
  });
});

async function countOf(path: string): Promise<number> {
  const connection = await (await DuckDBInstance.create(":memory:")).connect();
  const reader = await connection.runAndReadAll(`SELECT count(*) FROM read_parquet('${path}')`);
  return Number(reader.getRows()[0]?.[0]);
}

describe("what DuckDB reads wrongly or not at all", () => {
  test("a variant fails before DuckDB sees it, with its column and a remedy", async () => {
    const files = {
      "variant.parquet": await parquetOf("SELECT 1 a, {'x': 1}::VARIANT v"),
      "good.parquet": await parquetOf("SELECT 1 a"),
    };
    const { failures, rows } = await convertAll(work, parquet(), files);
    expect(failures).toMatchObject([{ index: 0, reason: "UNSUPPORTED_PARQUET", column: "v" }]);
    expect(failures[0]?.message).toContain("write it as JSON text");
    expect(rows).toEqual([{ a: 1 }]);
  });

  /** One column `c`: decimal(39, 0) with the value 5, and a structure whose only member has no name. Written by pyarrow 26. */
  const LONG_DECIMAL =
    "UEFSMRUAFS4VLiwVAhUAFQYVBhwAAAACAAAAAgEAAAAAAAAAAAAAAAAAAAAABRUEGSw1ABgGc2NoZW1hFQIAFQ4VIhUCGAFjJQoVABVOLFwVABVOAAAAFgIZHBkcJgAcFQ4ZJQYAGRgBYxUAFgIWVBZUJghJHBUAFQAVAgA8KQYZJgACAAAAFlQWAiYIFlQAKCBwYXJxdWV0LWNwcC1hcnJvdyB2ZXJzaW9uIDI2LjAuMRkcHAAAAIoAAABQQVIx";
  const UNNAMED_MEMBER =
    "UEFSMRUAFRQVFCwVAhUAFQYVBhwAAAACAAAAAgIBAAAAFQQZPDUAGAZzY2hlbWEVAgA1AhgBYxUCABUCJQIYAAAWAhkcGRwmABwVAhklBgAZKAFjABUAFgIWOhY6JghJHBUAFQAVAgA8KQYZNgAAAgAAABY6FgImCBY6ACggcGFycXVldC1jcHAtYXJyb3cgdmVyc2lvbiAyNi4wLjEZHBwAAACDAAAAUEFSMQ==";

  test.each([
    ["a decimal of more than 38 digits", "UNSUPPORTED_PARQUET", async () => Buffer.from(LONG_DECIMAL, "base64")],
    ["a member without a name", "INVALID_NAME", async () => Buffer.from(UNNAMED_MEMBER, "base64")],
    [
      "a name with NUL",
      "INVALID_NAME",
      async () => {
        const bytes = await parquetOf("SELECT 1 AS aXb");
        return Buffer.from(bytes.toString("latin1").replaceAll("aXb", "a\0b"), "latin1");
      },
    ],
    [
      "a file encrypted as a whole",
      "ENCRYPTED_PARQUET",
      () => parquetOf("SELECT 1 AS c", "ENCRYPTION_CONFIG {footer_key: 'key'}"),
    ],
    ["an encrypted column", "ENCRYPTED_PARQUET", withEncryptedColumn],
    [
      "lists in lists too deep to plan for",
      "NESTED_TOO_DEEPLY",
      () => parquetOf(`SELECT ${"[".repeat(40)}1${"]".repeat(40)} AS c`),
    ],
    [
      "structures in structures too deep to plan for",
      "NESTED_TOO_DEEPLY",
      () => parquetOf(`SELECT ${"{'x': ".repeat(100)}1${"}".repeat(100)} AS c`),
    ],
  ])("%s fails its file alone, with a remedy", async (_, reason, made) => {
    const files = { bad: await made(), good: await parquetOf("SELECT 7 AS k") };
    const { failures, rows } = await convertAll(work, parquet(), files);
    expect(failures).toMatchObject([{ index: 0, reason }]);
    expect(failures[0]?.message).toMatch(/; (write it|rename it|give it|upload it without)/);
    expect(rows).toEqual([{ k: 7 }]);
  });

  test("the geometry of a GeoParquet file is its bytes, whatever its description lacks", async () => {
    const geo = `COPY (SELECT '\\x01\\x01'::BLOB g) TO '${work.directory}/geo.parquet' (FORMAT parquet, KV_METADATA {geo: '{"columns":{"g":{}}}'})`;
    await (await (await DuckDBInstance.create(":memory:")).connect()).run(geo);
    const files = { "geo.parquet": readFileSync(`${work.directory}/geo.parquet`) };
    const { failures, rows, schema } = await convertAll(work, parquet(), files);
    expect(failures).toEqual([]);
    expect(schema.fields.map(({ type }) => type)).toEqual(["binary"]);
    expect(rows).toEqual([{ g: new Uint8Array([1, 1]) }]);
  });

  test("a footer damaged in any of its bytes never takes a neighbour along", async () => {
    const whole = await parquetOf("SELECT range id, 'n' AS name FROM range(10)");
    const footerBytes = whole.readUInt32LE(whole.length - 8);
    const good = await parquetOf("SELECT 1 AS neighbour");
    for (let at = whole.length - 8 - footerBytes; at < whole.length; at += 3) {
      const bad = Buffer.from(whole);
      bad[at] = (bad[at] as number) ^ 0x0f;
      const { loaded, failures } = await convertAll(work, parquet(), { "bad.parquet": bad, "good.parquet": good });
      expect([at, loaded[1]]).toEqual([at, 1]);
      expect(failures.length + Object.keys(loaded).length).toBe(2);
    }
  });

  test("a file cut off anywhere fails, and says where it ends", async () => {
    const whole = await parquetOf("SELECT range a, 'x' || range b FROM range(1000)");
    for (const length of [4, 11, 12, Math.floor(whole.length / 2), whole.length - 1]) {
      const { failures, rows } = await convertAll(work, parquet(), {
        "cut.parquet": whole.subarray(0, length),
        "good.parquet": whole,
      });
      expect(failures).toMatchObject([{ index: 0, reason: "UNREADABLE_PARQUET" }]);
      expect(failures[0]?.message).toContain(`at byte ${length}: it is cut off; upload it again`);
      expect(rows).toHaveLength(1000);
    }
  });

  test("of four thousand columns beside one of another costs seconds, and not a minute", async () => {
    const columns = Array.from({ length: 4000 }, (_, i) => `${i} AS c${i}`);
    const files = { wide: await parquetOf(`SELECT ${columns.join(", ")}`), narrow: await parquetOf("SELECT 7 AS k") };
    const before = process.cpuUsage();
    const { loaded, inspection } = await convertAll(work, parquet(), files);
    expect(loaded).toEqual({ 0: 1, 1: 1 });
    expect(inspection.fields).toHaveLength(4001);
    expect(process.cpuUsage(before).user / 1e6).toBeLessThan(12);
  });

  test("members of structures that differ only by case from file to file are one, as columns are", async () => {
    const files = {
      "upper.parquet": await parquetOf("SELECT {'A': 1, 'Only': 2} AS S"),
      "lower.parquet": await parquetOf("SELECT {'a': 3::BIGINT, 'b': 4} AS s"),
    };
    const { failures, rows, inspection } = await convertAll(work, parquet(), files);
    expect(failures).toEqual([]);
    expect(inspection.fields).toEqual([
      {
        name: "S",
        type: {
          type: "struct",
          fields: [
            { name: "A", type: "long" },
            { name: "Only", type: "int" },
            { name: "b", type: "int" },
          ],
        },
      },
    ]);
    const sorted = (some: typeof rows, name: string) =>
      some.toSorted((x, y) => textOf(x[name]).localeCompare(textOf(y[name])));
    const textOf = (value: unknown) => String((value as { A: bigint }).A);
    expect(sorted(rows, "S")).toEqual([{ S: { A: 1n, Only: 2, b: null } }, { S: { A: 3n, Only: null, b: 4 } }]);
    const known = schemaOf([{ name: "s", type: { type: "struct", fields: [{ name: "A", type: "long" }] } }]);
    const again = await convertAll(work, parquet(), files, { known });
    expect(again.failures).toEqual([]);
    expect(again.misfits).toEqual([]);
    expect(sorted(again.rows, "s")).toEqual([{ s: { A: 1n, Only: 2, b: null } }, { s: { A: 3n, Only: null, b: 4 } }]);
  });
});
