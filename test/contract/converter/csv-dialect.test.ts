// What delimited text may look like, given by the format's options or recognised of each file.

import { describe, expect, test } from "vitest";
import { DIALECT_PARTS } from "../../../lambdas/core/config.ts";
import { convertAll, csv, jobOf, schemaOf, useScratch } from "./harness.ts";

const work = useScratch();

const csvJob = (changes: Partial<typeof csv> = {}) => jobOf({ ...csv, ...changes });
const auto = csvJob({ recognise: DIALECT_PARTS });

async function load(job: ReturnType<typeof csvJob>, text: string | Uint8Array) {
  const { rows, failures } = await convertAll(work, job, { "a.csv": text });
  expect(failures).toEqual([]);
  return rows;
}

describe("options", () => {
  test("a delimiter may have several characters, a quote be another one", async () => {
    expect(await load(csvJob({ delimiter: "||" }), 'a||b\n1||"x||y"\n')).toEqual([{ a: 1n, b: "x||y" }]);
    expect(await load(csvJob({ delimiter: "§" }), "a§b\n1§x\n")).toEqual([{ a: 1n, b: "x" }]);
    expect(await load(csvJob({ quote: "'", escape: "'" }), "a,b\n'x, 5\" y','it''s'\n")).toEqual([
      { a: 'x, 5" y', b: "it's" },
    ]);
  });

  test("spaces around quotes are no part of a value, nor of a name", async () => {
    expect(await load(csvJob(), '"a", "b, c"\n1, "x, y" \n')).toEqual([{ a: 1n, "b, c": "x, y" }]);
  });

  test("several header rows make one name, also over line breaks and comments", async () => {
    const job = csvJob({ headerRows: 2, comment: "#" });
    expect(await load(job, "2024,,\n#note\nq1,q2,id\n1,2,x\n")).toEqual([{ "2024_q1": 1n, q2: 2n, id: "x" }]);
    expect(await load(job, '"sales\nEUR",n\n"a\nb",\n1,2\n3,4\n')).toEqual([
      { "sales\nEUR_a\nb": 1n, n: 2n },
      { "sales\nEUR_a\nb": 3n, n: 4n },
    ]);
  });

  test("the line of a value that does not fit counts all header rows", async () => {
    const known = schemaOf([{ name: "a_b", type: "long" }]);
    const { misfits } = await convertAll(work, csvJob({ headerRows: 2 }), { "a.csv": "a\nb\n1\nx\n" }, { known });
    expect(misfits).toMatchObject([{ columns: [{ path: "a_b", records: 1, samples: ["x"], line: 4 }] }]);
  });

  test("lines before and after the rows are left out, whatever quotes they hold", async () => {
    const job = csvJob({ skipLines: 2, footerLines: 2 });
    expect(await load(job, '"Report of 5"" pipes\n"\na,b\n1,x\n2,"y\nz"\n"Total\n2 rows\n\n')).toEqual([
      { a: 1n, b: "x" },
      { a: 2n, b: "y\nz" },
    ]);
    expect(await load(job, "r\r\n\r\na,b\r\n1,x\r\nTotal\r\n2 rows")).toEqual([{ a: 1n, b: "x" }]);
  });

  test("footer lines are found at the end of a large file", async () => {
    const rows = Array.from({ length: 60_000 }, (_, i) => `${i},text ${i}`).join("\n");
    const { loaded, failures } = await convertAll(work, csvJob({ footerLines: 1 }), {
      "a.csv": `a,b\n${rows}\n60000 rows ${"x".repeat(200_000)}\n`,
    });
    expect(failures).toEqual([]);
    expect(loaded).toEqual({ 0: 60_000 });
  });

  test("a file with fewer lines than it should have before and after its rows fails, and its neighbour lands", async () => {
    const { loaded, failures } = await convertAll(work, csvJob({ footerLines: 3 }), {
      "short.csv": "a,b\n1,2\nend\n",
      "good.csv": "a,b\n1,2\n-\n-\nend\n",
    });
    expect(failures).toMatchObject([{ index: 0, reason: "MALFORMED_CSV" }]);
    expect(loaded).toEqual({ 1: 1 });
  });

  test("trimmed values lose white space at both ends; what is nothing else is null", async () => {
    const job = csvJob({ trim: true, nullValues: ["NA"] });
    expect(await load(job, 'a,b,c\n 1 ,\tx y ,  \n2, NA ,""\n')).toEqual([
      { a: 1n, b: "x y", c: null },
      { a: 2n, b: null, c: "" },
    ]);
    expect(await load(csvJob(), "a,b\n1, x \n")).toEqual([{ a: 1n, b: " x " }]);
  });

  test("numbers with a decimal comma and thousands are numbers", async () => {
    const job = csvJob({ delimiter: ";", decimalSeparator: ",", thousandsSeparator: "." });
    expect(await load(job, "d;n;t\n1.234,5;1.000.000;1.5\n-0,25;7;x\n")).toEqual([
      { d: 1234.5, n: 1_000_000n, t: "1.5" },
      { d: -0.25, n: 7n, t: "x" },
    ]);
    const known = schemaOf([{ name: "d", type: "decimal(9, 2)" }]);
    const { rows, misfits } = await convertAll(
      work,
      job,
      { "good.csv": "d\n1.234,50\n", "point.csv": "d\n1.50\n", "groups.csv": "d\n1.23,5\n" },
      { known },
    );
    expect(rows).toEqual([{ d: 1234.5 }]);
    expect(misfits).toMatchObject([
      { index: 1, columns: [{ samples: ["1.50"], line: 2 }] },
      { index: 2, columns: [{ samples: ["1.23,5"], line: 2 }] },
    ]);
  });
});

describe("empty fields at the end of a row", () => {
  const big = (row: string, n: number) => Array.from({ length: n }, () => row).join("\n");

  test("beyond those of the header fail the file with the line, for values may have moved", async () => {
    const files = {
      "moved.csv": "a,b,c\n1,2,3\n4,,5,\n",
      "last.csv": "a,b,c\n1,2,3\n4,,5,",
      "two.csv": "a,b,c\n1,2,3,\n4,5,6,,\n",
      "quoted.csv": 'a,b,c\n1,2,"x,\ny"\n4,,"z,z",\n',
      "crlf.csv": "a,b,c\r\n1,2,3\r\n4,,5,\r\n",
      "large.csv": `a,b,c\n${big("1,2,some text that is long enough", 100_000)}\n4,,5,\n`,
      "good.csv": 'a,b,c\n1,2,\n4,5,"x,"\n7,,\n',
    };
    const { failures, loaded } = await convertAll(work, csvJob(), files);
    expect(failures.map(({ index, reason, line }) => [index, reason, line]).sort()).toEqual([
      [0, "ROW_TOO_LONG", 3],
      [1, "ROW_TOO_LONG", 3],
      [2, "ROW_TOO_LONG", 2],
      // DuckDB counts records here, not lines.
      [3, "ROW_TOO_LONG", 3],
      [4, "ROW_TOO_LONG", 3],
      [5, "ROW_TOO_LONG", 100_002],
    ]);
    expect(loaded).toEqual({ 6: 3 });
  });

  test("count also where spaces delimit", async () => {
    for (const delimiter of [" ", ", "]) {
      const text = ["a|b|c", "1|2|3", "4||5|", ""].join("\n").replaceAll("|", delimiter);
      const { failures } = await convertAll(work, csvJob({ delimiter }), { "a.csv": text });
      expect(failures).toMatchObject([{ reason: "ROW_TOO_LONG", line: 3 }]);
    }
  });

  test("fail the file also where every row has as many, for the header may have lost a name", async () => {
    const { failures } = await convertAll(work, csvJob(), {
      "names.csv": "ab,c\n1,2,\n3,4,\n",
      "large.csv": `ab,c\n${big("1,2,", 50_000)}\n`,
    });
    expect(failures).toMatchObject([
      { index: 0, reason: "ROW_TOO_LONG", line: 2 },
      { index: 1, reason: "ROW_TOO_LONG", line: 2 },
    ]);
    const { loaded } = await convertAll(work, csvJob({ delimiter: "||" }), {
      "a.csv": `a||b||\n${big("1||2||", 50_000)}\n`,
      "b.csv": `a||b\n${big("1||", 50_000)}\n1||"||"`,
    });
    expect(loaded).toEqual({ 0: 50_000, 1: 50_001 });
  });
});

describe("encodings", () => {
  test("windows-1252 is read, and its bytes that mean nothing are refused with their place", async () => {
    const job = csvJob({ encoding: "windows-1252" });
    expect(await load(job, Buffer.from("name,n\nGr\xf6\xdfe,\x80\n", "latin1"))).toEqual([{ name: "Größe", n: "€" }]);
    const { failures } = await convertAll(work, job, { "a.csv": Buffer.from("a\nb\nc\x81d\n", "latin1") });
    expect(failures).toMatchObject([{ reason: "INVALID_ENCODING", line: 3, byte: 5 }]);
  });

  test.each(["le", "be"])(
    "half a character of UTF-16 %s is refused with its place, and no whole one is",
    async (order) => {
      const bytes = (text: string) => {
        const buffer = Buffer.from(`\ufeff${text}`, "utf16le");
        return order === "le" ? buffer : buffer.swap16();
      };
      // Far more than one chunk, so that characters of two units are cut in two.
      const long = `a,b\n${"1,😀\n".repeat(60_001)}`;
      const good = await convertAll(work, csvJob(), { "a.csv": bytes(long) });
      expect(good.failures).toEqual([]);
      expect(good.rows).toHaveLength(60_001);
      expect(new Set(good.rows.map((row) => row["b"]))).toEqual(new Set(["😀"]));
      const { failures } = await convertAll(work, csvJob(), {
        "lone.csv": bytes("a\nx\ud83dy\n"),
        "end.csv": bytes("a\nx\ud83d"),
        "odd.csv": Buffer.concat([bytes("a\nx"), Buffer.from([0x41])]),
      });
      expect(failures.map(({ reason, line, byte }) => [reason, line, byte])).toEqual([
        ["INVALID_ENCODING", 2, 8],
        ["INVALID_ENCODING", 2, 8],
        ["INVALID_ENCODING", 2, 8],
      ]);
    },
  );

  test("a header that is no UTF-8 fails its file instead of naming a column wrongly", async () => {
    const { failures, rows } = await convertAll(work, csvJob(), {
      "latin.csv": Buffer.from("gr\xf6\xdfe,b\n1,2\n", "latin1"),
      "utf8.csv": "größe,b\n1,2\n",
    });
    expect(failures).toMatchObject([{ index: 0, reason: "INVALID_ENCODING", line: 1 }]);
    expect(rows).toEqual([{ größe: 1n, b: 2n }]);
  });
});

describe("a recognised dialect", () => {
  const people = (delimiter: string, quote = '"') =>
    [
      ["id", "name", "born", "note"],
      ["1", "Ada", "1815-12-10", `${quote}first, of all; yes${quote}`],
      ["2", "Alan", "1912-06-23", `${quote}x${quote}`],
    ]
      .map((row) => row.join(delimiter))
      .join("\n");

  test("is each file's own: files of different dialects load together", async () => {
    const files = {
      "comma.csv": people(","),
      "semicolon.csv": people(";", "'"),
      "tab.csv": Buffer.from(`\ufeff${people("\t")}`, "utf16le"),
      "pipe.csv": people("|").replaceAll("\n", "\r\n"),
      "preamble.csv": `People of note\n\n${people(",")}\n\nsource: an encyclopedia\n`,
    };
    const { rows, failures, schema } = await convertAll(work, auto, files);
    expect(failures).toEqual([]);
    expect(schema.fields.map(({ name, type }) => `${name} ${type}`)).toEqual([
      "id long",
      "name string",
      "born date",
      "note string",
    ]);
    expect(rows).toHaveLength(10);
    expect(new Set(rows.map((row) => row["note"]))).toEqual(new Set(["first, of all; yes", "x"]));
  });

  test("that cannot be told fails its file with the reason, and its neighbour lands", async () => {
    const { failures, loaded } = await convertAll(work, auto, {
      "prose.csv": "Dear all,\nthis is a letter, and no table, in any way.\nYours\n",
      "damaged.csv": people(",").replace("id,name", "idname"),
      "good.csv": people(","),
    });
    expect(failures.map(({ index, reason, line }) => [index, reason, line])).toEqual([
      [0, "DIALECT_UNKNOWN", undefined],
      [1, "DIALECT_UNKNOWN", 1],
    ]);
    for (const { message } of failures) expect(message).not.toMatch(/letter|Ada/);
    expect(loaded).toEqual({ 2: 2 });
  });

  test("leaves alone what is given", async () => {
    const job = csvJob({ header: false, recognise: ["delimiter"] });
    expect(await load(job, "a;b\n1;2\n")).toEqual([
      { column0: "a", column1: "b" },
      { column0: "1", column1: "2" },
    ]);
  });

  test("an empty file is loaded, with no rows", async () => {
    const { failures, loaded } = await convertAll(work, auto, { "a.csv": "", "b.csv": "\n\n" });
    expect(failures).toEqual([]);
    expect(loaded).toEqual({ 0: 0, 1: 0 });
  });

  test("a last row that broke off is a row that cannot be read, and no note", async () => {
    const { failures } = await convertAll(work, auto, { "a.csv": `${people(",")}\n3` });
    expect(failures).toMatchObject([{ reason: "ROW_TOO_SHORT" }]);
  });
});
