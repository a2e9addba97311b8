// A batch of hundreds of files none of which is like another: statements are cut up, and no row is missed at the seams.

import { expect, test } from "vitest";
import type { FormatOptions } from "../../../lambdas/core/config.ts";
import { convertAll, csv, jobOf, useScratch } from "./harness.ts";
import { parquetOf } from "./parquet-files.ts";

const work = useScratch();

const FILES = 150;

test.each<[string, FormatOptions, (i: number) => string | Promise<Buffer>]>([
  ["parquet", { type: "parquet" }, (i) => parquetOf(`SELECT ${i} AS id, 'v${i}' AS c${i}`)],
  ["csv", csv, (i) => `id,c${i}\n${i},v${i}\n`],
])("%s", async (_, format, make) => {
  const numbers = [...Array(FILES).keys()];
  const contents = await Promise.all(numbers.map(async (i) => [`f${i}`, await make(i)] as const));
  const { rows, loaded, result } = await convertAll(work, jobOf(format), Object.fromEntries(contents));
  expect(Object.keys(loaded)).toHaveLength(FILES);
  expect(result.files.length).toBeGreaterThan(1);
  const seen = rows.map((row) => [Number(row["id"]), row[`c${row["id"]}`]]);
  expect(seen.toSorted(([a], [b]) => Number(a) - Number(b))).toEqual(numbers.map((i) => [i, `v${i}`]));
});
