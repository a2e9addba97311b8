import { DuckDBConnection } from "@duckdb/node-api";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { csvOptionsOf, divideLine } from "../../../lambdas/adapters/converter/csv/fixed.ts";
import { badLine } from "../../../lambdas/adapters/converter/csv/group.ts";
import type { BadRowPolicy, FixedColumn, FixedOptions } from "../../../lambdas/core/config.ts";
import { RESCUED_DATA } from "../../../lambdas/core/iceberg/schema.ts";
import {
  ADDS,
  addAll,
  type Bytes,
  convertAll,
  jobOf,
  quarantined,
  RESCUE,
  rowsOf,
  schemaOf,
  UNPARTITIONED,
  useScratch,
} from "./harness.ts";

const work = useScratch();

const COLUMNS: readonly FixedColumn[] = [
  { name: "id", start: 1, width: 4 },
  { name: "note", start: 5, width: 6 },
  { name: "price", start: 12, width: 5 },
];
const fixed: FixedOptions = {
  type: "fixed",
  columns: COLUMNS,
  header: false,
  nullValues: [],
  encoding: "utf-8",
  skipLines: 0,
};
const job = (changes: Partial<FixedOptions> = {}, onBadRow: BadRowPolicy["onBadRow"] = "reject_file") =>
  jobOf({ ...fixed, ...changes }, { badRows: { onBadRow, shareMax: 1 } });
const known = schemaOf([
  { name: "id", type: "long" },
  { name: "note", type: "string" },
  { name: "price", type: "double" },
]);
const options = { known, treat: () => RESCUE, adds: ADDS, fixed: true };
const byId = (rows: readonly Record<string, unknown>[]) =>
  rows
    .map(
      ({ id, note, price }) =>
        [id == null ? null : Number(id), note ?? null, price == null ? null : Number(price)] as const,
    )
    .toSorted(([a], [b]) => Number(a ?? 99) - Number(b ?? 99));

async function quarantining(file: Bytes) {
  const conversion = await work.converter.start(job({}, "quarantine"));
  try {
    const refused = await addAll(conversion, { a: file });
    const result = await conversion.convert(known, UNPARTITIONED);
    const failures = [...refused, ...result.failures];
    return { rows: byId(await rowsOf(result.files)), failures, bad: await quarantined(result) };
  } finally {
    await conversion.close();
  }
}

describe("columns of fixed width", () => {
  test("are cut at their places, trimmed and typed, and what is between them is left out", async () => {
    const file = "   1apple |  1.5\n   2NA    |     \n\n  10ü\u0301 日本 |  -2 \n";
    const { rows, failures, inspection } = await convertAll(work, job({ nullValues: ["NA"] }), { a: file });
    expect(failures).toEqual([]);
    expect(inspection.fields.map(({ name, type }) => [name, type])).toEqual([
      ["id", "long"],
      ["note", "string"],
      ["price", "double"],
    ]);
    expect(byId(rows)).toEqual([
      [1, "apple", 1.5],
      [2, null, null],
      [10, "ü\u0301 日本", -2],
    ]);
  });

  test("count characters, whatever the encoding and however many bytes each has", async () => {
    const file = "   1Größe |    1\n   2éàèùçô|    2\n";
    const { rows } = await convertAll(work, job({ encoding: "latin-1" }), { a: Buffer.from(file, "latin1") });
    expect(byId(rows).map(([, note]) => note)).toEqual(["Größe", "éàèùçô"]);
    const wide = Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from("   1😀😀😀😀😀😀|    1\n", "utf16le")]);
    const emoji = await convertAll(work, job(), { a: wide });
    expect(byId(emoji.rows)).toEqual([[1, "😀".repeat(6), 1]]);
  });

  test("go with a header, lines before and after, comments, and quotes that are letters", async () => {
    const changes = { header: true, skipLines: 1, footerLines: 1, comment: "#" };
    const file = 'a "title\nID  NOTE\n   1"a,b" |    1\r\n# no row\n   2x\\"   |    2\nTOTAL 2\n'.replaceAll("\r", "");
    const { rows, failures } = await convertAll(work, job(changes), { a: file });
    expect([failures, byId(rows)]).toEqual([
      [],
      [
        [1, '"a,b"', 1],
        [2, 'x\\"', 2],
      ],
    ]);
  });

  test("of which the last has no width end with the line", async () => {
    const columns = [COLUMNS[0] as FixedColumn, { name: "note", start: 5 }];
    const { rows, failures } = await convertAll(work, job({ columns }), { a: "   1some long text \n   2\n   3x" });
    expect(failures).toEqual([]);
    expect(byId(rows).map(([id, note]) => [id, note])).toEqual([
      [1, "some long text"],
      [2, null],
      [3, "x"],
    ]);
  });

  test("may have values that do not fit: they are rescued with their line", async () => {
    const { rows, misfits } = await convertAll(
      work,
      job(),
      { a: "   1a     |    1\n\n   xb     |  n/a\n   3c     |    3\n" },
      options,
    );
    expect(misfits).toMatchObject([{ records: 3, unfit: 1 }]);
    expect(byId(rows)).toEqual([
      [1, "a", 1],
      [3, "c", 3],
      [null, "b", null],
    ]);
    const kept = rows.flatMap((row) => (row[RESCUED_DATA] == null ? [] : [JSON.parse(String(row[RESCUED_DATA]))]));
    expect(kept).toMatchObject([{ values: { id: "x", price: "n/a" }, line: 3 }]);
  });
});

describe("a line that does not have its columns", () => {
  const good = "   1a     |    1\n";
  const last = "   9z     |    9   \n";
  const LINES = [
    ["ROW_TOO_SHORT", "   5b     |    5".slice(0, -1)],
    ["ROW_TOO_SHORT", "   5b"],
    ["ROW_TOO_SHORT", " "],
    ["ROW_TOO_LONG", "   5b     |    5   x"],
    ["ROW_TOO_LONG", "   5b     |    5\t"],
  ] as const;

  test.each(LINES)("(%s, %j) fails its file with its place, and no other", async (reason, line) => {
    const { failures, rows } = await convertAll(work, job(), { a: `${good}${line}\n${last}`, b: good }, { known });
    expect(failures).toMatchObject([{ index: 0, reason, line: 2, byte: good.length }]);
    expect(byId(rows)).toEqual([[1, "a", 1]]);
  });

  test.each(LINES)("(%s, %j) is quarantined as it is, and the others load", async (reason, line) => {
    const { rows, failures, bad } = await quarantining(`${good}${line}\n${last}`);
    expect(failures).toEqual([]);
    expect(bad).toMatchObject([{ reason, line: 2, byte: good.length, text: line }]);
    expect(rows).toEqual([
      [1, "a", 1],
      [9, "z", 9],
    ]);
  });

  test("that is no UTF-8 is bad too", async () => {
    const file = Buffer.concat([Buffer.from(good), Buffer.from("   5\xff     |    5\n", "latin1"), Buffer.from(last)]);
    expect((await convertAll(work, job(), { a: file }, { known })).failures).toMatchObject([
      { reason: "INVALID_ENCODING", line: 2 },
    ]);
    const { rows, bad } = await quarantining(file);
    expect([rows.length, bad.map(({ reason }) => reason)]).toEqual([2, ["INVALID_ENCODING"]]);
  });

  test("is rescued with the columns that are there in full, and all that was not read", async () => {
    const file = [good.trimEnd(), ...LINES.map(([, line]) => line), last.trimEnd(), ""].join("\n");
    const { rows, failures, result } = await convertAll(work, job({}, "rescue"), { a: file }, options);
    expect(failures).toEqual([]);
    expect(result.loaded).toMatchObject([{ records: 7, rescued: 5 }]);
    const kept = rows.flatMap((row) => (row[RESCUED_DATA] == null ? [] : [JSON.parse(String(row[RESCUED_DATA]))]));
    const told = kept.map(({ line, row, values }) => [line, row ?? values._extra]);
    expect(told.toSorted(([a], [b]) => Number(a) - Number(b))).toEqual([
      [2, LINES[0][1]],
      [3, LINES[1][1]],
      [4, LINES[2][1]],
      [5, ["   x"]],
      [6, ["\t"]],
    ]);
    expect(byId(rows)).toEqual([
      [1, "a", 1],
      [5, "b", null],
      [5, null, null],
      [5, "b", 5],
      [5, "b", 5],
      [9, "z", 9],
      [null, null, null],
    ]);
  });

  test("is one to DuckDB exactly where it is one to us", async () => {
    const connection = await DuckDBConnection.create();
    const layouts = [COLUMNS, [{ name: "a", start: 2, width: 3 }], [{ name: "a", start: 3 }]];
    const chars = fc.constantFrom("a", " ", "\t", "é", "e\u0301", "日", "😀", "\u00a0", "👩‍👩‍👧");
    const lines = fc.array(fc.array(chars, { minLength: 1, maxLength: 20 }), { minLength: 1, maxLength: 30 });
    await fc.assert(
      fc.asyncProperty(lines, fc.constantFrom(...layouts), async (made, columns) => {
        const texts = made.map((parts) => parts.join(""));
        const group = {
          options: csvOptionsOf({ ...fixed, columns }),
          columns: [],
          linesBefore: 0,
          skip: 0,
          sources: [],
        };
        const rows = `(VALUES ${texts.map((text, i) => `(${i}, '${text}')`).join(", ")}) t(i, line)`;
        const reader = await connection.runAndReadAll(`SELECT ${badLine(group)} FROM ${rows} ORDER BY i`);
        const ours = texts.map((text) => divideLine(text, columns).bad !== undefined);
        expect(reader.getRows().map(([bad]) => bad)).toEqual(ours);
      }),
      { numRuns: 100 },
    );
    connection.closeSync();
  });

  test("is in the quarantine as it is, and every other in the table, whatever a file is made of", async () => {
    const cell = fc.stringMatching(/^[a-zé日😀" ,|]{0,6}$/u);
    const line = fc.record({ id: fc.nat(9999), note: cell, price: fc.nat(99999), cut: fc.nat(4), more: fc.nat(4) });
    await fc.assert(
      fc.asyncProperty(
        fc.array(line, { minLength: 1, maxLength: 40 }),
        fc.constantFrom("\n", "\r\n"),
        async (lines, end) => {
          const texts = lines.map(({ id, note, price, cut, more }) => {
            const padded = note + " ".repeat(6 - Array.from(note).length);
            const whole = `${String(id).padStart(4)}${padded}|${String(price).padStart(5)}`;
            if (cut === 1) return whole.slice(0, -1);
            return more === 1 ? `${whole} x` : whole;
          });
          const good = lines.filter(({ cut, more }) => cut !== 1 && more !== 1);
          const { rows, failures, bad } = await quarantining(`${texts.join(end)}${end}`);
          expect(failures).toEqual([]);
          expect(bad.map(({ line: at, text }) => [at, text])).toEqual(
            texts.flatMap((text, at) => (good.includes(lines[at] as (typeof lines)[0]) ? [] : [[at + 1, text]])),
          );
          const expected = good.map(({ id, note, price }) => [id, note.trim() || null, price]);
          expect(rows.map((row) => JSON.stringify(row)).toSorted()).toEqual(
            expected.map((row) => JSON.stringify(row)).toSorted(),
          );
        },
      ),
      { numRuns: 40 },
    );
  });
});
