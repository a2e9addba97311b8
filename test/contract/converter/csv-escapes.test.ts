import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { BadRowPolicy } from "../../../lambdas/core/config.ts";
import { RESCUED_DATA } from "../../../lambdas/core/iceberg/schema.ts";
import {
  ADDS,
  addAll,
  convertAll,
  csv,
  jobOf,
  quarantined,
  RESCUE,
  schemaOf,
  UNPARTITIONED,
  useScratch,
} from "./harness.ts";

const work = useScratch();

const known = schemaOf([
  { name: "id", type: "long" },
  { name: "note", type: "string" },
]);
const job = (onBadRow: BadRowPolicy["onBadRow"] = "reject_file") =>
  jobOf({ ...csv, escape: "\\" }, { badRows: { onBadRow, shareMax: 1 } });
const load = async (file: string, onBadRow: BadRowPolicy["onBadRow"] = "reject_file") => {
  return convertAll(work, job(onBadRow), { a: file }, { known, treat: () => RESCUE, adds: ADDS, fixed: true });
};
const notes = (rows: readonly Record<string, unknown>[]) =>
  rows.toSorted((a, b) => Number(a["id"] ?? 99) - Number(b["id"] ?? 99)).map(({ note }) => note ?? null);

/** As PostgreSQL and Spark write it: an escape only where something else would be read without one. */
const sparing = (text: string) => `"${text.replace(/"|\\(?=["\\]|$)/g, "\\$&")}"`;
const doubling = (text: string) => `"${text.replace(/["\\]/g, "\\$&")}"`;

describe("an escape that is not the quote", () => {
  test("is a letter where neither a quote nor an escape follows it", async () => {
    const file = String.raw`id,"no\"te"
1,"C:\temp\new"
2,C:\temp\new
3,"a \" b \\ c \\"
4, "8\'9"
5,"line \
 break\n"
6,"\\\x"
`.replace(String.raw`"no\"te"`, "note");
    const { rows, failures } = await load(file);
    expect(failures).toEqual([]);
    expect(notes(rows)).toEqual([
      String.raw`C:\temp\new`,
      String.raw`C:\temp\new`,
      String.raw`a " b \ c ${"\\"}`,
      String.raw`8\'9`,
      "line \\\n break\\n",
      String.raw`\\x`,
    ]);
  });

  test("is one in the names of a header, too", async () => {
    const { inspection } = await convertAll(work, job(), {
      a: String.raw`id,"a\b","c\"d","e\\f"${"\n"}1,2,3,4${"\n"}`,
    });
    expect(inspection.fields.map(({ name }) => name)).toEqual(["id", String.raw`a\b`, 'c"d', String.raw`e\f`]);
  });

  test("is kept in files with bad rows, which are quarantined as they came", async () => {
    const good = String.raw`1,"C:\temp"`;
    const bad = [String.raw`2,"D:\x",y`, String.raw`3,"D:\x"z`];
    const file = `id,note\n${good}\n${bad.join("\n")}\n4,"\\e"\n`;
    const conversion = await work.converter.start(job("quarantine"));
    try {
      await addAll(conversion, { a: file });
      const result = await conversion.convert(known, UNPARTITIONED);
      expect(result.loaded).toMatchObject([{ records: 2, quarantined: 2 }]);
      const kept = await quarantined(result);
      expect(kept.map(({ line, byte, text }) => [line, byte, text])).toEqual(
        bad.map((text, i) => [i + 3, file.indexOf(text), text]),
      );
    } finally {
      await conversion.close();
    }
    const { rows } = await load(file, "rescue");
    expect(notes(rows)).toEqual([String.raw`C:\temp`, String.raw`D:\x`, String.raw`"D:\x"z`, String.raw`\e`]);
    const rescued = rows.flatMap((row) => (row[RESCUED_DATA] == null ? [] : [JSON.parse(String(row[RESCUED_DATA]))]));
    expect(rescued).toContainEqual(expect.objectContaining({ values: { _extra: ["y"] }, line: 3 }));
    expect(rescued).toContainEqual(expect.objectContaining({ row: bad[1], line: 4 }));
  });

  test("does not move the place of a bad row", async () => {
    const place = async (note: string) => (await load(`id,note\n1,"${note}"\n2,x,y\n`)).failures[0]?.byte;
    expect(await place("\\a\\b\\c")).toBe(await place("xaxbxc"));
  });

  test("hides no empty field too many behind a value that ends with it", async () => {
    const file = `id,note\n${String.raw`1,"x\\",,`}\n`;
    expect((await load(file)).failures).toMatchObject([{ reason: "ROW_TOO_LONG", line: 2 }]);
  });

  test.each([
    ["sparingly", sparing],
    ["everywhere", doubling],
  ])("gives every text back that was written with it %s", async (_, write) => {
    const text = fc.stringMatching(/^[a-c\\",\n é]{1,12}$/).filter((value) => value.trim() === value);
    await fc.assert(
      fc.asyncProperty(fc.array(text, { minLength: 1, maxLength: 30 }), async (texts) => {
        const file = `id,note\n${texts.map((value, id) => `${id},${write(value)}\n`).join("")}`;
        const { rows, failures } = await load(file);
        expect([failures, notes(rows)]).toEqual([[], texts]);
      }),
      { numRuns: 60 },
    );
  });

  test("is a letter in every part of a large file", async () => {
    const note = `${"text ".repeat(20)}\\t `;
    const file = `id,note\n${Array.from({ length: 60_000 }, (_, id) => `${id},"${note}${id}"\n`).join("")}`;
    expect(file.length).toBeGreaterThan(6_000_000);
    const { rows } = await load(file);
    expect(rows).toHaveLength(60_000);
    expect(rows.filter((row) => row["note"] !== `${note}${row["id"]}`)).toEqual([]);
  });
});
