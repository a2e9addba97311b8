import { readdir } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { RESCUED_DATA } from "../../../lambdas/core/iceberg/schema.ts";
import type { DraftField } from "../../../lambdas/core/iceberg/types.ts";
import {
  ADDS,
  addAll,
  convertAll,
  csv,
  jobOf,
  RESCUE,
  rowsOf,
  type Scratch,
  schemaOf,
  scratch,
  UNPARTITIONED,
} from "./harness.ts";

let work: Scratch;
beforeAll(async () => {
  work = await scratch({ threads: 4 });
});
afterAll(() => work.remove());

const FIELDS: readonly DraftField[] = [
  { name: "id", type: "long" },
  { name: "note", type: "string" },
];

interface Kept {
  readonly values: Readonly<Record<string, string>>;
  readonly file: string;
  readonly line: number;
}

const keptOf = (rows: readonly Record<string, unknown>[]) =>
  rows.flatMap((row) => (row[RESCUED_DATA] == null ? [] : [JSON.parse(String(row[RESCUED_DATA])) as Kept]));

describe("rows of CSV with values that do not fit", () => {
  test("keep their lines where several threads read a large file, and all others load once", async () => {
    const isOdd = (id: number) => id % 9_973 === 7;
    const filler = "a text that is long enough for a file of several pieces, ".repeat(6);
    const lines: string[] = [];
    const expected: [string, number][] = [];
    let line = 2;
    for (let id = 0; id < 80_000; id++) {
      if (isOdd(id)) expected.push([`x${id}`, line]);
      lines.push(`${isOdd(id) ? `x${id}` : id},"${filler}${id % 100 === 0 ? "\n" : ""}"\n`);
      line += id % 100 === 0 ? 2 : 1;
    }
    const file = `id,note\n${lines.join("")}`;
    expect(file.length).toBeGreaterThan(24_000_000);
    const { rows, result, misfits } = await convertAll(
      work,
      jobOf(csv),
      { a: file },
      { known: schemaOf(FIELDS), treat: () => RESCUE, adds: ADDS },
    );
    expect(misfits).toMatchObject([
      {
        records: 80_000,
        unfit: expected.length,
        columns: [{ line: expected[0]?.[1], samples: ["x7", "x9980", "x19953"] }],
      },
    ]);
    expect(result.loaded).toMatchObject([{ records: 80_000, rescued: expected.length }]);
    const kept = keptOf(rows).map(({ values, line }) => [values["id"], line]);
    expect(kept.toSorted(([, a], [, b]) => Number(a) - Number(b))).toEqual(expected);
    const ids = new Set(rows.flatMap(({ id }) => (id == null ? [] : [Number(id)])));
    expect(ids.size).toBe(80_000 - expected.length);
  });

  test.each([
    ["many", 0],
    ["few", 40],
  ])(
    "keep file and line where only some of the files of a scan have any, %s, and one has rows that are none",
    async (_, others) => {
      const more = "100,fits\n".repeat(others);
      const files = {
        a: `id,note\n1,a\n2,b\n${more}`,
        b: `id,note\n3,"a\nb"\nx4,c\n${more}`,
        c: `id,note\n5\nx6,d\n7,e,f\n${more}`,
        d: `id,note\nx8,"e\n\n"\nx9,g\n${more}`,
      };
      const { rows, result, failures } = await convertAll(
        work,
        jobOf(csv, { badRows: { onBadRow: "rescue", shareMax: 1 } }),
        files,
        { known: schemaOf(FIELDS), treat: () => RESCUE, adds: ADDS },
      );
      expect(failures).toEqual([]);
      expect(result.loaded.map(({ records, rescued }) => [records, rescued])).toEqual([
        [2 + others, 0],
        [2 + others, 1],
        [3 + others, 3],
        [2 + others, 2],
      ]);
      const kept = keptOf(rows).map(({ values, file, line }) => [file.at(-1), line, values?.["id"]]);
      expect(kept.toSorted()).toEqual([
        ["b", 4, "x4"],
        ["c", 2, undefined],
        ["c", 3, "x6"],
        ["c", 4, undefined],
        ["d", 2, "x8"],
        ["d", 5, "x9"],
      ]);
      const ids = rows.flatMap(({ id }) => (id == null ? [] : [Number(id)]));
      expect(ids.filter((id) => id === 100)).toHaveLength(4 * others);
      expect(ids.filter((id) => id !== 100).toSorted()).toEqual([1, 2, 3, 5, 7]);
    },
  );

  test.each([
    ["many", 0],
    ["few", 40],
  ])("are found anew under another schema, %s of them", async (_, others) => {
    const conversion = await work.converter.start(jobOf(csv));
    try {
      await addAll(conversion, { a: `id,n\n1,2\nx,3\n4,y\n5,true\n${"1,1\n".repeat(others)}` });
      const convert = async (id: DraftField["type"], n: DraftField["type"]) => {
        const table = schemaOf([{ name: "id", type: id }, { name: "n", type: n }, ...ADDS]);
        const { files, misfits } = await conversion.convert(table, UNPARTITIONED);
        if (misfits.length > 0) conversion.treat(0, RESCUE);
        const { files: again, loaded } =
          misfits.length > 0 ? await conversion.convert(table, UNPARTITIONED) : { files, loaded: [] };
        const kept = keptOf(await rowsOf(again)).map(({ values, line }) => [line, ...Object.values(values)]);
        return [loaded, kept.toSorted()];
      };
      expect(await convert("long", "long")).toMatchObject([
        [{ records: 4 + others, rescued: 3 }],
        [
          [3, "x"],
          [4, "y"],
          [5, "true"],
        ],
      ]);
      expect((await convert("string", "long"))[1]).toEqual([
        [4, "y"],
        [5, "true"],
      ]);
      expect((await convert("long", "boolean"))[1]).toEqual([
        [2, "2"],
        [3, "x", "3"],
      ]);
      expect((await convert("string", "string"))[1]).toEqual([]);
      const files = await readdir(work.directory, { recursive: true });
      expect(files.filter((name) => /odd-\d+\.parquet$/.test(name))).toHaveLength(1);
    } finally {
      await conversion.close();
    }
  });

  test("fail their file where a required column is missing altogether, with the line of its first row", async () => {
    const { fields, ...table } = schemaOf([...FIELDS, { name: "code", type: "string" }]);
    const known = { ...table, fields: fields.map((field) => ({ ...field, required: field.name === "code" })) };
    const { failures } = await convertAll(work, jobOf(csv), { a: "id,note\nx,a\n2,b\n" }, { known, fixed: true });
    expect(failures).toMatchObject([{ reason: "REQUIRED_IS_NULL", column: "code", line: 2 }]);
  });
});
