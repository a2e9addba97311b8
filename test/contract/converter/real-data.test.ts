// Files other people made: real logs, and collections of everything that can be wrong with a format.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { RESCUED_DATA } from "../../../lambdas/core/iceberg/schema.ts";
import { addAll, type Converted, convertAll, csv, jobOf, schemaOf, UNPARTITIONED, useScratch } from "./harness.ts";

const work = useScratch();

const shared = new URL("../../../../shared/data/", import.meta.url).pathname;
const read = (folder: string, ending: string): Record<string, Buffer> =>
  Object.fromEntries(
    readdirSync(`${shared}${folder}`)
      .filter((name) => name.endsWith(ending))
      .map((name) => [name, readFileSync(`${shared}${folder}/${name}`)]),
  );

if (!existsSync(shared)) {
  test("NOT RUN: ../shared/data is not there", () => expect(existsSync(shared)).toBe(false));
} else {
  describe("CloudTrail logs", () => {
    const files = read("cloudtrail", ".json");
    const records = Object.values(files).flatMap(
      (bytes) => (JSON.parse(bytes.toString()) as { Records: Record<string, unknown>[] }).Records,
    );
    const job = jobOf({ type: "json", recordsPath: "Records" });
    let first: Converted;
    beforeAll(async () => {
      first = await convertAll(work, job, files);
    });

    /** Table values as JSON would have them; columns of JSON text are read as JSON. */
    function plain(value: unknown, original: unknown): unknown {
      if (value === null || value === undefined) return null;
      if (typeof value === "bigint") return Number(value);
      if (value instanceof Date) return value.toISOString().replace(".000Z", "Z");
      if (typeof value === "string") return typeof original === "object" ? JSON.parse(value) : value;
      if (Array.isArray(value)) return value.map((item, i) => plain(item, (original as unknown[])?.[i]));
      if (typeof value !== "object") return value;
      const entries = Object.entries(value).map(([key, item]) => [
        key,
        plain(item, (original as Record<string, unknown>)?.[key]),
      ]);
      return Object.fromEntries(entries.filter(([, item]) => item !== null));
    }
    /** Nulls and absent keys are the same to a table. */
    function withoutNulls(value: unknown): unknown {
      if (Array.isArray(value)) return value.map(withoutNulls);
      if (typeof value !== "object" || value === null) return value;
      const entries = Object.entries(value).map(([key, item]) => [key, withoutNulls(item)] as const);
      return Object.fromEntries(entries.filter(([, item]) => item !== null));
    }

    test("all load together, and every value of every record is in the table", () => {
      expect(first.failures).toEqual([]);
      expect(Object.keys(first.loaded)).toHaveLength(Object.keys(files).length);
      expect(first.rows).toHaveLength(records.length);
      const byId = new Map(first.rows.map((row) => [row["eventID"], row]));
      expect(byId.size).toBe(new Set(records.map((record) => record["eventID"])).size);
      for (const record of records) {
        const row = byId.get(record["eventID"]) ?? {};
        for (const [key, value] of Object.entries(record)) {
          const stored = withoutNulls(plain(row[key], value));
          const original = withoutNulls(value);
          const empty = typeof original === "object" && original !== null && Object.keys(original).length === 0;
          if (empty && stored === null) continue;
          expect(stored).toEqual(original);
        }
      }
    });

    test("load again into the table they made without changing it", async () => {
      const again = await convertAll(work, job, files, { known: first.schema });
      expect(again.failures).toEqual([]);
      expect(again.schema).toEqual(first.schema);
      expect(again.rows).toHaveLength(records.length);
    });
  });

  describe("the JSON test suite", () => {
    const files = read("json-test-suite", ".json");
    // Nothing in them, so nothing wrong with them: no bytes, blanks, a byte order mark. (test/conformance/json.test.ts looks closer.)
    const empty = ["n_single_space.json", "n_structure_UTF8_BOM_no_data.json", "n_structure_no_data.json"];

    test.each(["json", "ndjson"] as const)(
      "no invalid file loads a row as %s, and none takes a good one with it",
      async (type) => {
        const bad = Object.fromEntries(Object.entries(files).filter(([name]) => name.startsWith("n_")));
        const { failures, loaded, rows } = await convertAll(work, jobOf({ type }), {
          ...bad,
          "good.json": '{"good":1}\n',
        });
        const failed = new Set(failures.map(({ index }) => index));
        const accepted = Object.keys(bad).filter((_, index) => !failed.has(index));
        expect(accepted.sort()).toEqual(empty);
        expect(rows).toEqual([{ good: 1n }]);
        expect(loaded[Object.keys(bad).length]).toBe(1);
      },
    );

    test("valid files load, or are refused for not being records, never for being invalid", async () => {
      const good = Object.entries(files).filter(([name]) => name.startsWith("y_"));
      for (const [name, bytes] of good) {
        const { failures } = await convertAll(work, jobOf({ type: "json" }), { [name]: bytes });
        for (const { reason } of failures) expect(reason).toMatch(/^(NOT_JSON_RECORDS|DUPLICATE_KEY|KEY_COLLISION)$/);
      }
      expect(good.length).toBeGreaterThan(90);
    });

    test("files the standard leaves open either load or fail", async () => {
      for (const [name, bytes] of Object.entries(files).filter(([file]) => file.startsWith("i_"))) {
        const { failures, loaded } = await convertAll(work, jobOf({ type: "json" }), { [name]: bytes });
        expect(failures.length + Object.keys(loaded).length).toBe(1);
      }
    });
  });

  test("timestamps of the type INT96 that are counted round are refused where values are rescued, too", async () => {
    const name = "int96_from_spark.parquet";
    const files = { [name]: readFileSync(`${shared}parquet-testing/data/${name}`) };
    for (const type of ["date", undefined] as const) {
      const columns = [
        { name: "id", type: "long" },
        { name: RESCUED_DATA, type: "string" },
      ] as const;
      const schema = schemaOf([...columns, ...(type === undefined ? [] : [{ name: "a", type }])]);
      const conversion = await work.converter.start(jobOf({ type: "parquet" }));
      try {
        expect(await addAll(conversion, files)).toEqual([]);
        await conversion.inspect(schema, UNPARTITIONED);
        conversion.treat(0, { rescue: true, routes: [] });
        const { failures, loaded } = await conversion.convert(schema, UNPARTITIONED);
        expect(failures).toMatchObject([{ index: 0, reason: "TIMESTAMP_OUT_OF_RANGE" }]);
        expect(loaded).toEqual([]);
      } finally {
        await conversion.close();
      }
    }
  });

  describe("Pollock's polluted CSV files", () => {
    const dirty = read("pollock/csv", ".csv");
    const names = Object.keys(dirty).filter((_, i) => i % 8 === 0 || i < 16);

    test("never take a good file with them, and lose no row of what they load", async () => {
      const sample = Object.fromEntries(names.map((name) => [name, dirty[name] as Buffer]));
      const { failures, loaded, rows } = await convertAll(work, jobOf(csv), { ...sample, "good.csv": "good\nyes\n" });
      expect(failures.length + Object.keys(loaded).length).toBe(names.length + 1);
      expect(loaded[names.length]).toBe(1);
      expect(rows.filter((row) => row["good"] === "yes")).toHaveLength(1);
      expect(rows).toHaveLength(Object.values(loaded).reduce((sum, n) => sum + n, 0));
      for (const { message } of failures) expect(message).toMatch(/[a-z]/);
    });

    test("lose no more than the row that is polluted, where bad rows are borne", async () => {
      // Those with a quote too many, or a delimiter too few, in the header have no columns that would tell.
      const polluted = Object.entries(dirty).filter(([name]) => /^row_(extra_quote|less_sep_row)(?!0_)/.test(name));
      for (const onBadRow of ["quarantine", "rescue"] as const) {
        const job = jobOf(csv, { badRows: { onBadRow, shareMax: 0.1 }, inferTypes: false });
        const { failures, result } = await convertAll(work, job, Object.fromEntries(polluted), {
          treat: () => ({ rescue: true, routes: [] }),
          adds: [{ name: RESCUED_DATA, type: "string" }],
        });
        expect(failures).toEqual([]);
        for (const { records, rescued, quarantined } of result.loaded) {
          expect(records + quarantined).toBe(83);
          expect(rescued + quarantined).toBeLessThanOrEqual(1);
        }
        expect(result.loaded.filter(({ rescued, quarantined }) => rescued + quarantined === 1).length).toBeGreaterThan(
          100,
        );
      }
    });
  });
}
