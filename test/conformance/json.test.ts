// Nicolas Seriot's JSONTestSuite: what JSON is (y_), what it is not (n_), and what RFC 8259 leaves open (i_). Every file goes through the whole
// converter beside a good one, into a new table and into one that is there: they take different paths through DuckDB.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { RESCUED_DATA } from "../../lambdas/core/iceberg/schema.ts";
import { type Converted, convertAll, jobOf, schemaOf, useScratch } from "../contract/converter/harness.ts";

const folder = new URL("../../../shared/data/json-test-suite/", import.meta.url).pathname;

/** Nothing in them, so nothing wrong with them: an empty object of S3 is a file without rows. */
const EMPTY = ["n_single_space.json", "n_structure_UTF8_BOM_no_data.json", "n_structure_no_data.json"];
/** No column can have the name of a key in them: its value is rescued. */
const RESCUED = ["y_object_empty_key.json", "y_object_escaped_null_in_key.json"];
const known = schemaOf([
  { name: "a", type: "string" },
  { name: "value", type: "string" },
  { name: "good", type: "long" },
]);

const work = useScratch();

if (!existsSync(folder)) {
  test("NOT RUN: ../shared/data/json-test-suite is not there", () => expect(existsSync(folder)).toBe(false));
} else {
  const names = readdirSync(folder).filter((name) => name.endsWith(".json"));
  const kind = (letter: string) => names.filter((name) => name.startsWith(`${letter}_`));
  const job = jobOf({ type: "json", values: true, duplicateKeys: "last" });

  /** Beside a neighbour whose row must land, whatever becomes of the file. */
  async function convert(name: string, table: typeof known | undefined): Promise<Converted> {
    const files = { [name]: readFileSync(folder + name), "good.json": '[{"good":1}]' };
    const treat = RESCUED.includes(name)
      ? { treat: () => ({ rescue: true, routes: [] }), adds: [{ name: RESCUED_DATA, type: "string" } as const] }
      : {};
    const converted = await convertAll(work, job, files, {
      ...treat,
      ...(table === undefined ? {} : { known: table }),
    });
    expect(converted.loaded[1]).toBe(1);
    expect(converted.rows.filter(({ good }) => good === 1n)).toHaveLength(1);
    expect(converted.failures.length + Object.keys(converted.loaded).length).toBe(2);
    const records = Object.values(converted.loaded).reduce((sum, rows) => sum + rows, 0);
    expect(converted.rows).toHaveLength(records);
    return converted;
  }

  /** Records as JSON.parse finds them: what a list holds, or the one document. */
  function recordsOf(name: string): number {
    const document = JSON.parse(readFileSync(folder + name, "utf8").replace(/^\ufeff/, "")) as unknown;
    return Array.isArray(document) ? document.length : 1;
  }

  describe.each([
    ["a new table", undefined],
    ["a table that is there", known],
  ])("into %s", (_, table) => {
    test.each(kind("y"))("%s loads, record for record", async (name) => {
      const { failures, loaded, rows } = await convert(name, table);
      expect(failures).toEqual([]);
      expect(loaded[0]).toBe(recordsOf(name));
      const rescued = rows.filter((row) => row[RESCUED_DATA] != null);
      expect(rescued).toHaveLength(RESCUED.includes(name) ? 1 : 0);
    });

    test.each(kind("n"))("%s is refused, with its place", async (name) => {
      const { failures, loaded } = await convert(name, table);
      if (EMPTY.includes(name)) {
        expect(loaded[0]).toBe(0);
        return;
      }
      expect(failures).toMatchObject([{ index: 0, reason: "MALFORMED_JSON" }]);
      const [failure] = failures;
      expect(failure?.line).toBeGreaterThan(0);
      expect(failure?.byte).toBeGreaterThan(0);
      expect(failure?.message).toMatch(/line \d+, byte \d+/);
    });

    test.each(kind("i"))("%s loads whole or fails with a reason", async (name) => {
      const { failures, loaded } = await convert(name, table);
      if (failures.length === 0) expect(loaded[0]).toBeGreaterThan(0);
      else expect(failures[0]?.message).toMatch(/; (correct|write|upload|set) /);
    });
  });
}
