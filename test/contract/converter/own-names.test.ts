// Statements add columns and keys of their own to those of a file: a file that has such names is a file like any other.

import { expect, test } from "vitest";
import type { FormatOptions } from "../../../lambdas/core/config.ts";
import { RESCUED_DATA } from "../../../lambdas/core/iceberg/schema.ts";
import {
  ADDS,
  addAll,
  type Bytes,
  convertAll,
  csv,
  jobOf,
  RESCUE,
  rowsOf,
  schemaOf,
  UNPARTITIONED,
  useScratch,
} from "./harness.ts";

const work = useScratch();

const NAMES = ["seed", "rescued", "route_0", "file", "bad", "row", "unfit_0", "p0", "path"].map(
  (name) => `__moraine_${name}`,
);
const RECORD = Object.fromEntries(NAMES.map((name) => [name, `{"${name}":1}`]));
const FORMATS: readonly (readonly [string, FormatOptions, Bytes])[] = [
  ["ndjson", { type: "ndjson" }, `${JSON.stringify(RECORD)}\n`],
  [
    "csv",
    { ...csv, delimiter: ";" },
    `${NAMES.join(";")}\n${Object.values(RECORD)
      .map((text) => `"${text.replaceAll('"', '""')}"`)
      .join(";")}\n`,
  ],
];

test.each(FORMATS)("%s: names like ours are columns of a new table", async (_, format, text) => {
  const { rows, failures } = await convertAll(work, jobOf(format), { "a.x": text });
  expect(failures).toEqual([]);
  expect(rows).toMatchObject([RECORD]);
});

test.each(FORMATS)("%s: they are rescued where the table has no such columns", async (_, format, text) => {
  const conversion = await work.converter.start(jobOf(format));
  try {
    await addAll(conversion, { "a.x": text });
    const table = schemaOf([{ name: "id", type: "long" }, ...ADDS]);
    await conversion.inspect(table, UNPARTITIONED);
    conversion.treat(0, RESCUE);
    const [row] = await rowsOf((await conversion.convert(table, UNPARTITIONED)).files);
    expect(JSON.parse(String(row?.[RESCUED_DATA]))).toMatchObject({ values: RECORD });
  } finally {
    await conversion.close();
  }
});

test("a record that looks like a row of ours is rescued as it stands", async () => {
  const forged = '{"__moraine_rescued":"{\\"evil\\":1}","id":1}\n';
  const known = schemaOf([{ name: "id", type: "long" }]);
  const files = { "a.x": `${forged}{"id":"n/a"}\n` };
  const { rows } = await convertAll(work, jobOf({ type: "ndjson" }), files, {
    known,
    treat: () => RESCUE,
    adds: ADDS,
    fixed: true,
  });
  const [first] = rows.filter((row) => row["id"] !== null);
  expect(JSON.parse(String(first?.[RESCUED_DATA]))).toMatchObject({
    values: { __moraine_rescued: '{"evil":1}' },
    line: 1,
  });
});
