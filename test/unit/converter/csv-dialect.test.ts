import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Recognised, recogniseDialect } from "../../../lambdas/adapters/converter/csv/dialect.ts";
import type { CsvOptions } from "../../../lambdas/adapters/converter/csv/header.ts";
import { rowsOf } from "../../../lambdas/adapters/converter/csv/rows.ts";

const given: CsvOptions = {
  type: "csv",
  delimiter: ",",
  header: true,
  quote: '"',
  escape: '"',
  nullValues: [],
  encoding: "utf-8",
  skipLines: 0,
};

const recognise = (text: string, options: Partial<CsvOptions> = {}): Recognised | undefined =>
  recogniseDialect({ head: text, whole: true, tail: text }, { ...given, ...options });
const dialect = (text: string) => recognise(text)?.dialect;
const unknown = (text: string) => recognise(text)?.unknown;

const RFC_4180 = { delimiter: ",", quote: '"', escape: '"', header: true, skipLines: 0, footerLines: 0 };

describe("a dialect", () => {
  interface Style {
    readonly delimiter: string;
    readonly quote: string;
    readonly escape: string;
    readonly lineEnd: string;
    readonly quoteAll: boolean;
  }
  const style: fc.Arbitrary<Style> = fc
    .record({
      delimiter: fc.constantFrom(",", ";", "\t", "|", "^", "~", ", ", "\u0001", "||"),
      quote: fc.constantFrom('"', "'"),
      backslash: fc.boolean(),
      lineEnd: fc.constantFrom("\n", "\r\n", "\r"),
      quoteAll: fc.boolean(),
    })
    .map(({ backslash, ...other }) => ({ ...other, escape: backslash ? "\\" : other.quote }));
  const word = fc.constantFrom("red", "green", "blue", "New York", "São Paulo", "MG-8769", "x");
  const note = fc.constantFrom(
    "one, two",
    "a; b",
    "it's",
    'a 5" pipe',
    "tab\there",
    "a|b",
    "line\nbreak",
    "so, it's; 5\" | x",
  );
  const row = fc.tuple(
    fc.integer(),
    word,
    fc
      .date({ min: new Date(0), max: new Date(4e12), noInvalidDate: true })
      .map((date) => date.toISOString().slice(0, 10)),
    fc.oneof(word, note, fc.constant("")),
  );

  function written(cells: readonly unknown[], how: Style): string {
    const { delimiter, quote, quoteAll } = how;
    return cells
      .map((cell) => {
        const text = String(cell);
        const needed =
          quoteAll ||
          [",", ";", "\t", "|", '"', "'", "\n", delimiter.trim()].some((char) => char !== "" && text.includes(char));
        if (!needed) return text;
        const escaped = how.escape === "\\" ? text.replaceAll("\\", "\\\\") : text;
        return quote + escaped.replaceAll(quote, how.escape + quote) + quote;
      })
      .join(delimiter);
  }
  const unescaped = (text: string, how: Style) => text.replaceAll(how.escape + how.quote, how.quote);

  test("of a table with words, numbers, dates and notes is found, whatever wrote it", () => {
    fc.assert(
      fc.property(style, fc.array(row, { minLength: 3, maxLength: 40 }), fc.boolean(), (how, rows, header) => {
        const table = header ? [["id", "colour", "day", "remark"], ...rows] : rows;
        const text = table.map((cells) => written(cells, how) + how.lineEnd).join("");
        const found = dialect(text);
        expect({
          text,
          found:
            found === undefined
              ? unknown(text)
              : { header: found.header, skip: found.skipLines, footer: found.footerLines },
        }).toEqual({
          text,
          found: { header, skip: 0, footer: 0 },
        });
        // Another dialect may read the same: what counts is what is read.
        const read = found === undefined ? [] : rowsOf(text, found, true);
        const cells = read.map((each) => each.cells.map((cell) => unescaped(cell.text, how)));
        expect({ text, cells }).toEqual({ text, cells: table.map((each) => each.map((cell) => String(cell))) });
      }),
      { numRuns: 500 },
    );
  });

  test("is the same for the same bytes, and looking never fails, whatever they are", () => {
    const piece = fc.constantFrom(",", ";", '"', "'", "\\", "\n", "\r", " ", "a", "1", "\t", "2024-01-01", "|", "é");
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 200 }), fc.boolean(), (pieces, whole) => {
        const text = pieces.join("");
        const sample = { head: text, whole, tail: text };
        const first = recogniseDialect(sample, given);
        expect(recogniseDialect(sample, given)).toEqual(first);
        if (first?.dialect !== undefined) expect(first.dialect.delimiter.length).toBeGreaterThan(0);
      }),
      { numRuns: 1000 },
    );
  });

  test("of decimal commas between semicolons is that of the semicolons", () => {
    expect(dialect("name;price\na;1,5\nb;2,25\n")).toEqual({ ...RFC_4180, delimiter: ";" });
    expect(dialect("1,5;2,5\n3,5;4,5\n")).toEqual({ ...RFC_4180, delimiter: ";", header: false });
  });

  test("of times and addresses is not that of their colons and slashes", () => {
    expect(dialect("at,url\n10:00:01,https://a.example/x?y=1:2\n11:30:00,https://b.example/\n")).toEqual(RFC_4180);
  });

  test("of one column is found, also when its words stand between spaces", () => {
    expect(dialect("id\n1\n2\n")).toEqual(RFC_4180);
    expect(dialect("name\nAda Lovelace\nAlan Mathison Turing\n")).toEqual(RFC_4180);
  });

  test("is not told where two delimiters do equally well, or none does", () => {
    expect(unknown("a,b;c\nd,e;f\n")).toMatch(/delimiter may be/);
    expect(unknown("Dear all,\nthis is a letter, and no table, in any way.\nYours\n")).toMatch(/give the dialect/);
  });

  test("has the options that are given, and the others are recognised with them", () => {
    const found = recognise("# note\na,b;c\nd,e;f\n", { delimiter: ";", skipLines: 1, recognise: ["quote", "header"] });
    expect(found?.dialect).toEqual({ ...RFC_4180, delimiter: ";", skipLines: 1 });
  });
});

describe("a header", () => {
  test("is text over typed columns, or names that differ and do not come again", () => {
    expect(dialect("id,name\n1,Ada\n2,Alan\n")?.header).toBe(true);
    expect(dialect("colour,shape\nred,round\ngreen,square\n")?.header).toBe(true);
    expect(dialect("a,b,c\n")?.header).toBe(true);
  });

  test("is not a row of values", () => {
    expect(dialect("1,Ada\n2,Alan\n")?.header).toBe(false);
    expect(dialect("Ada,1815-12-10\nAlan,1912-06-23\n")?.header).toBe(false);
  });

  test("is not told where text stands over text that looks alike", () => {
    expect(unknown("yes,no\nno,yes\nyes,yes\n")).toMatch(/line 1 is a header cannot be told/);
  });

  test("that comes again is no row, so the file is not told", () => {
    const rows = Array.from({ length: 20 }, (_, id) => `${id},x\n`).join("");
    expect(unknown(`id,name\n${rows}id,name\n`)).toMatch(/line 22 is the header again/);
    expect(unknown(`id,name\nid,name\n${rows}`)).toMatch(/line 2 is the header again/);
  });

  test("has several rows where all of them are text over columns of numbers and dates, and no row of values is one", () => {
    const rows = Array.from({ length: 20 }, (_, id) => `${id},${id / 2},2024-01-0${1 + (id % 9)},x\n`).join("");
    const header = "id,weight,born,name\n";
    expect(dialect(`${header}${rows}`)).toEqual(RFC_4180);
    expect(dialect(`${header}(-),(kg),(UTC),text\n${rows}`)).toEqual({ ...RFC_4180, headerRows: 2 });
    expect(dialect(`${header}${header}${header}${rows}`)).toEqual({ ...RFC_4180, headerRows: 3 });
    expect(dialect(`${header}(none),,2024-01-01,x\n${rows}`)).toEqual(RFC_4180);
    expect(dialect(`${header}n/a,n/a,n/a,x\n${rows}`)).toEqual(RFC_4180);
    expect(dialect(`${header}(-),(kg),(UTC),text\n1,2,2024-01-01,x\n`)?.headerRows).toBeUndefined();
    expect(
      recognise(`${header}(-),(kg),(UTC),text\n${rows}`, { header: true, recognise: ["delimiter"] })?.dialect,
    ).toEqual(RFC_4180);
  });

  test("with another number of fields than the rows is damaged, and not a note", () => {
    expect(unknown("idname,born,city\n1,Ada,1815-12-10,London\n2,Alan,1912-06-23,London\n")).toMatch(
      /line 1 has 3 fields, most rows have 4/,
    );
    expect(unknown('"id,name,"born"\n1,Ada,1815-12-10\n2,Alan,1912-06-23\n')).toMatch(/quoted field of line 1/);
  });
});

describe("lines that are no rows", () => {
  const table = "id,name,born\n1,Ada,1815-12-10\n2,Alan,1912-06-23\n";

  test("before the header are skipped, also when they are filled up with delimiters", () => {
    expect(dialect(`Report\n\n${table}`)).toEqual({ ...RFC_4180, skipLines: 2 });
    expect(dialect(`PREAMBLE,,\n,,\n${table}`)).toEqual({ ...RFC_4180, skipLines: 2 });
  });

  test("without a header after them are not told from one", () => {
    expect(unknown("id name born\n1,Ada,1815-12-10\n2,Alan,1912-06-23\n")).toMatch(/no header follows/);
  });

  test("after the rows are left out, blank ones not counted", () => {
    expect(dialect(`${table}\n2 rows\nend\n`)).toEqual({ ...RFC_4180, footerLines: 2 });
    expect(dialect("a,b\n1,2\n3,4\n\n2 rows\n")).toEqual({ ...RFC_4180, footerLines: 1 });
  });

  test("are not rows that broke off, rows of two columns, or parts of quoted text", () => {
    expect(dialect(`${table}3`)?.footerLines).toBe(0);
    expect(dialect("a,b\n1,2\n3,4\n5\n")?.footerLines).toBe(0);
    expect(dialect(`${table}3,"Ada\nLovelace",1815-12-10\n`)?.footerLines).toBe(0);
  });
});
