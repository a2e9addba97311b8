import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ident, list, literal, struct, tableFunction } from "../../../lambdas/adapters/converter/sql.ts";

/** What a quoted token stands for, read as a SQL lexer would; undefined when the text goes on after the token. */
function unquote(sql: string, quote: string): string | undefined {
  let text = "";
  for (let at = 1; at < sql.length; at++) {
    if (sql[at] !== quote) text += sql[at];
    else if (sql[at + 1] === quote) text += sql[at++];
    else return at === sql.length - 1 ? text : undefined;
  }
  return undefined;
}

const text = fc.string({ unit: "binary" }).filter((value) => !value.includes("\0"));

describe("quoting", () => {
  test("no text can end its literal", () => {
    fc.assert(fc.property(text, (value) => unquote(literal(value), "'") === value));
  });

  test("no name can end its identifier", () => {
    fc.assert(fc.property(text, (value) => unquote(ident(value), '"') === value));
  });

  test("NUL, at which DuckDB stops reading, is refused", () => {
    expect(() => literal("a\0b")).toThrow("NUL");
    expect(() => ident("a\0b")).toThrow("NUL");
  });

  test("table functions leave out parameters without a value", () => {
    expect(tableFunction("read_csv", ["a'b"], { header: "true", comment: undefined })).toBe(
      "read_csv(['a''b'], header = true)",
    );
    expect(struct([["a'", "1"]])).toBe("{'a''': 1}");
    expect(list(["1", "2"])).toBe("[1, 2]");
  });
});
