import { describe, expect, test } from "vitest";
import { DIALECT_PARTS } from "../../../lambdas/core/config.ts";
import { RESCUED_DATA } from "../../../lambdas/core/iceberg/schema.ts";
import { ADDS, convertAll, csv, jobOf, RESCUE, useScratch } from "./harness.ts";

const work = useScratch();

const columns = ["id", "note"];
const load = async (changes: Partial<typeof csv>, file: string, onBadRow: "rescue" | "reject_file" = "reject_file") => {
  const job = jobOf({ ...csv, columns, ...changes }, { badRows: { onBadRow, shareMax: 1 } });
  const { rows, failures, inspection } = await convertAll(work, job, { a: file }, { treat: () => RESCUE, adds: ADDS });
  return { rows, failures, names: inspection.fields.map(({ name, type }) => `${name} ${type}`) };
};
const cells = (rows: readonly Record<string, unknown>[]) =>
  rows.map(({ id, note }) => [Number(id), note]).toSorted(([a], [b]) => Number(a) - Number(b));

describe("names of columns that are given", () => {
  test("are those of a file without a header, the first row among its rows", async () => {
    const { rows, failures, names } = await load({ header: false }, '1,a\n2,"b,c"\n');
    expect([failures, names]).toEqual([[], ["id long", "note string"]]);
    expect(cells(rows)).toEqual([
      [1, "a"],
      [2, "b,c"],
    ]);
  });

  test.each([
    ["of other names", "x,y\n"],
    ["of fewer names", "x\n"],
    ["of more names", "x,y,z\n"],
    ["of names with delimiters and line breaks in quotes", '"x,1","y\nz"\n'],
    ["that ends with delimiters", "x,y,,\n"],
    ["with a quote that never closes", '"x,y\n'],
    ["with a quote that the first row closes", 'x,"y\n'],
    ["with a quote in the middle", 'x,"y"z\n'],
    ["delimited in another way", "x;y\n"],
    ["that is no UTF-8, after blank lines", "\n\nx\ufffd,y\n"],
  ])("stand for a header %s, which is left out", async (_, header) => {
    const { rows, failures, names } = await load({}, `${header}1,a\n2,"b,c"\n3,d\n`);
    expect([failures, names]).toEqual([[], ["id long", "note string"]]);
    expect(cells(rows)).toEqual([
      [1, "a"],
      [2, "b,c"],
      [3, "d"],
    ]);
  });

  test("stand for several header rows, and go with lines to skip", async () => {
    const { rows, failures } = await load({ headerRows: 2, skipLines: 1 }, 'a "note\nx,y\nz,"w\nv"\n1,a\n');
    expect([failures, cells(rows)]).toEqual([[], [[1, "a"]]]);
  });

  test("go with a dialect that is recognised, a damaged header too", async () => {
    const rows = Array.from({ length: 20 }, (_, id) => `${id};text ${id}\n`).join("");
    const recognise = DIALECT_PARTS.filter((part) => part !== "header");
    for (const header of ["id;note;\n", "id\n", '"id;note\n']) {
      const loaded = await load({ recognise }, header + rows);
      expect([header, loaded.failures, loaded.rows.length]).toEqual([header, [], 20]);
    }
  });

  test("say how many fields a row has", async () => {
    const { failures } = await load({ header: false }, "1,a\n2,b,c\n");
    expect(failures).toMatchObject([{ reason: "ROW_TOO_LONG", line: 2 }]);
    const { rows } = await load({}, "x\n1,a\n2\n3,b,c\n4,d,\n", "rescue");
    expect(cells(rows)).toEqual([
      [1, "a"],
      [2, null],
      [3, "b"],
      [4, "d"],
    ]);
    const kept = rows.flatMap((row) => (row[RESCUED_DATA] == null ? [] : [JSON.parse(String(row[RESCUED_DATA])).line]));
    expect(kept.toSorted()).toEqual([3, 4, 5]);
  });

  test("are names of no lineage, and those that are the table's own are matched", async () => {
    const { names } = await load({ header: false, columns: ["_file_path", "b"] }, "1,a\n");
    expect(names).toEqual(["_file_path_1 long", "b string"]);
  });
});

test("values that end as the delimiter begins keep their place beside rows that are rescued", async () => {
  const file = '1||a|||x\n2||b||y|\n3||c|\n4||d|||"z"||more\n5||"|"||\n';
  const { rows, failures } = await load(
    { header: false, delimiter: "||", columns: ["id", "note", "end"] },
    file,
    "rescue",
  );
  expect(failures).toEqual([]);
  const found = rows.map(({ id, note, end, [RESCUED_DATA]: rescued }) => {
    const { reasons, values } = rescued == null ? {} : JSON.parse(String(rescued));
    return [Number(id), note, end ?? null, reasons?.["*"], values?._extra];
  });
  expect(found.toSorted(([a], [b]) => Number(a) - Number(b))).toEqual([
    [1, "a", "|x", undefined, undefined],
    [2, "b", "y|", undefined, undefined],
    [3, "c|", null, "ROW_TOO_SHORT", undefined],
    [4, "d", '|"z"', "ROW_TOO_LONG", ["more"]],
    [5, "|", null, undefined, undefined],
  ]);
});

test("a line break in the quotes of the first row does not pass for the line end beside rows that are rescued", async () => {
  const file = '1,"a\r\nb"\r\n2,c\r\n3,d,e\r\n';
  const { rows, failures } = await load({ header: false }, file, "rescue");
  expect(failures).toEqual([]);
  expect(cells(rows)).toEqual([
    [1, "a\r\nb"],
    [2, "c"],
    [3, "d"],
  ]);
});
