import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type CsvOptions, headerOf } from "../../../lambdas/adapters/converter/csv/header.ts";
import { columnNames } from "../../../lambdas/adapters/converter/names.ts";

const options: CsvOptions = {
  type: "csv",
  delimiter: ",",
  header: true,
  quote: '"',
  escape: '"',
  nullValues: [],
  encoding: "utf-8",
  skipLines: 0,
};

function firstRecord(text: string, options: CsvOptions, whole: boolean): unknown {
  const found = headerOf(text, options, whole);
  if (found === undefined || found === "cut") return found;
  const { values, linesBefore, comments } = found;
  return { values, linesBefore, commentsBefore: comments };
}

describe("the first record of a CSV file", () => {
  test("is read back whatever its fields hold", () => {
    const field = fc.string({ unit: "grapheme" });
    fc.assert(
      fc.property(fc.array(field, { minLength: 2 }), fc.constantFrom("\n", "\r\n", "\r"), (fields, end) => {
        const text = `${fields.map((value) => `"${value.replaceAll('"', '""')}"`).join(",")}${end}x,y`;
        expect(firstRecord(text, options, true)).toEqual({ values: fields, linesBefore: 0, commentsBefore: 0 });
      }),
    );
  });

  test("follows blank, commented and skipped lines", () => {
    const text = 'tool 1.0\n\n# comment\n  \n"a",b\n';
    expect(firstRecord(text, { ...options, skipLines: 1, comment: "#" }, true)).toEqual({
      values: ["a", "b"],
      linesBefore: 4,
      commentsBefore: 1,
    });
  });

  test("may have another escape, delimiter of several characters, or no quotes", () => {
    expect(firstRecord('"a\\"b",c\n', { ...options, escape: "\\" }, true)).toEqual({
      values: ['a"b', "c"],
      linesBefore: 0,
      commentsBefore: 0,
    });
    expect(firstRecord("a||b\n", { ...options, delimiter: "||" }, true)).toEqual({
      values: ["a", "b"],
      linesBefore: 0,
      commentsBefore: 0,
    });
    expect(firstRecord('"a,b\n', { ...options, quote: "" }, true)).toEqual({
      values: ['"a', "b"],
      linesBefore: 0,
      commentsBefore: 0,
    });
  });

  test("a tab-separated header of empty names is a record, a line of spaces is none", () => {
    expect(firstRecord("\t\t\n", { ...options, delimiter: "\t" }, true)).toEqual({
      values: ["", "", ""],
      linesBefore: 0,
      commentsBefore: 0,
    });
    expect(firstRecord("  \n\n", options, true)).toBeUndefined();
  });

  test("that goes on beyond what was looked at is cut, and so is one whose quote never closes", () => {
    expect(firstRecord("a,b", options, false)).toBe("cut");
    expect(firstRecord("a,b", options, true)).toEqual({ values: ["a", "b"], linesBefore: 0, commentsBefore: 0 });
    expect(firstRecord('a,"b\nc', options, true)).toBe("cut");
  });
});

describe("column names", () => {
  test("are never the same to an engine that sees no case, nor reserved ones", () => {
    const name = fc.oneof(fc.constantFrom("id", "ID", "Id", "id_1", "", " ", "_file_path"), fc.string());
    fc.assert(
      fc.property(fc.array(name), (header) => {
        const names = columnNames(header, ["_file_path"]);
        const lower = ["_file_path", ...names.map((each) => each.toLowerCase())];
        expect(new Set(lower).size).toBe(lower.length);
        expect(names).toHaveLength(header.length);
        expect(names.every((each) => each.trim() !== "")).toBe(true);
      }),
    );
  });

  test("are the header's own where they can be", () => {
    expect(columnNames(["a", " b ", "A", "", "a"], [])).toEqual(["a", "b", "A_1", "column3", "a_2"]);
  });
});
