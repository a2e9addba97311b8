// Rows are counted where they are written, and by what the file says of itself: a reader that loses some is found out.

import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import { avroOf } from "./avro-files.ts";
import { addAll, jobOf, schemaOf, UNPARTITIONED, useScratch } from "./harness.ts";
import { parquetOf } from "./parquet-files.ts";

const work = useScratch();
const table = schemaOf([{ name: "id", type: "int" }]);
const RECORD = { type: "record", name: "row", fields: [{ name: "id", type: "int" }] };

/** As if reading had lost all rows but one: another file takes the place of each Parquet file of the work directory that has three. */
async function loseRows(): Promise<number> {
  const one = await parquetOf("SELECT 1::INTEGER AS id");
  const paths = readdirSync(work.directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => `${parentPath}/${name}`)
    .filter((path) => readFileSync(path).subarray(0, 4).toString() === "PAR1");
  for (const path of paths) writeFileSync(path, one);
  return paths.length;
}

test.each([
  ["parquet", () => parquetOf("SELECT unnest([1, 2, 3])::INTEGER AS id")],
  ["avro", async () => avroOf(RECORD, [{ id: 1 }, { id: 2 }, { id: 3 }])],
] as const)("%s whose rows do not all arrive fails, and nothing of it is loaded", async (type, make) => {
  for (const loses of [false, true]) {
    const conversion = await work.converter.start(jobOf({ type }));
    try {
      await addAll(conversion, { "a.x": await make() });
      if (loses) expect(await loseRows()).toBe(1);
      const { failures, loaded } = await conversion.convert(table, UNPARTITIONED);
      expect(failures.map(({ reason }) => reason)).toEqual(loses ? ["MALFORMED_ROWS"] : []);
      expect(loaded).toHaveLength(loses ? 0 : 1);
    } finally {
      await conversion.close();
    }
  }
});
