// `numbers` of the JSON formats: what an inferred column becomes that meets numbers a long does not hold, and that no digit of them is lost.

import { writeFile } from "node:fs/promises";
import { DuckDBInstance } from "@duckdb/node-api";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { JsonOptions } from "../../../lambdas/core/config.ts";
import type { ConversionJob } from "../../../lambdas/core/ports.ts";
import { ADDS, bytesOf, type Converted, convertAll, jobOf, RESCUE, schemaOf, useScratch } from "./harness.ts";

const work = useScratch();

const jobFor = (numbers: JsonOptions["numbers"], changes: Partial<ConversionJob> = {}): ConversionJob =>
  jobOf({ type: "ndjson", ...(numbers && { numbers }) }, changes);
const linesOf = (values: readonly string[]) => values.map((value, i) => `{"i":${i},"v":${value}}\n`).join("");
const typeOf = ({ schema }: Converted) => schema.fields.find(({ name }) => name === "v")?.type;

/** As text: hyparquet makes doubles of decimals. */
async function textsOf({ result }: Converted): Promise<string[]> {
  const connection = await (await DuckDBInstance.create(":memory:")).connect();
  const texts: string[] = [];
  for (const file of result.files) {
    await writeFile(`${work.directory}/read.parquet`, await bytesOf(file));
    const rows = await connection.runAndReadAll(
      `SELECT CAST(v AS VARCHAR) FROM '${work.directory}/read.parquet' ORDER BY i`,
    );
    texts.push(...rows.getRowsJson().map(([text]) => String(text)));
  }
  return texts;
}

/** Sign, digits and power of ten: equal if and only if the numbers are. */
function exactly(number: string): string {
  const [, sign = "", whole = "", fraction = "", exponent = "0"] =
    /^(-?)(\d*)\.?(\d*)(?:[eE]([+-]?\d+))?$/.exec(number) ?? [];
  const digits = (whole + fraction).replace(/^0+/, "");
  const cut = digits.replace(/0+$/, "");
  const power = Number(exponent) - fraction.length + digits.length - cut.length;
  return cut === "" ? "0" : `${sign}${cut}e${power}`;
}

describe("an inferred column of numbers", () => {
  test.each([
    ["1", "-2", "long", "long", "long"],
    ["1", "9223372036854775808", "decimal(38, 0)", "decimal(38, 0)", "string"],
    ["1", "1".repeat(39), "string", "string", "string"],
    ["1", "0.5", "double", "decimal(38, 9)", "string"],
    ["1.0", "2.0", "double", "decimal(38, 9)", "string"],
    ["1e-3", "0.0000000000012", "double", "decimal(38, 13)", "string"],
    ["0.5", "123456789012345678901234567890", "string", "decimal(38, 8)", "string"],
    ["0.5", "9".repeat(37), "string", "decimal(38, 1)", "string"],
    ["0.25", "9".repeat(37), "string", "string", "string"],
    ["0.5", "1.234567890123456e2", "double", "string", "string"],
    ["0.5", "1e400", "string", "string", "string"],
    ["0.5", '"x"', "string", "string", "string"],
  ] as const)("of %s and %s is %s, with decimal %s, with string %s", async (a, b, ...types) => {
    const modes = [undefined, "decimal", "string"] as const;
    for (const [i, numbers] of modes.entries()) {
      const converted = await convertAll(work, jobFor(numbers), { a: linesOf([a]), b: linesOf([b]) });
      expect(converted.failures).toEqual([]);
      expect([numbers, typeOf(converted)]).toEqual([numbers, types[i]]);
    }
  });

  test("is what the table or a hint says, where one does", async () => {
    const text = linesOf(["0.5"]);
    const known = schemaOf([{ name: "v", type: "double" }]);
    for (const numbers of ["decimal", "string"] as const) {
      expect(typeOf(await convertAll(work, jobFor(numbers), { a: text }, { known }))).toBe("double");
      const hinted = jobFor(numbers, { hints: { v: "decimal(9, 2)" } });
      expect(typeOf(await convertAll(work, hinted, { a: text }))).toBe("decimal(9, 2)");
    }
  });

  test("inside structures and lists is typed alike", async () => {
    const line = '{"s":{"n":0.5},"l":[1,2.25],"o":[{"k":12345678901234567890}]}';
    const { schema } = await convertAll(work, jobFor("decimal"), { a: line });
    expect(JSON.stringify(schema.fields).match(/decimal\(38, \d+\)/g)).toEqual([
      "decimal(38, 9)",
      "decimal(38, 9)",
      "decimal(38, 0)",
    ]);
    const { rows } = await convertAll(work, jobFor("string"), { a: line });
    expect(rows).toEqual([{ s: { n: "0.5" }, l: ["1", "2.25"], o: [{ k: "12345678901234567890" }] }]);
  });

  test("that the table has as a decimal keeps its scale: a value with more digits is reported, and rescued with all of them", async () => {
    const known = schemaOf([
      { name: "i", type: "long" },
      { name: "v", type: "decimal(38, 9)" },
    ]);
    const options = { known, treat: () => RESCUE, adds: ADDS };
    const files = { a: linesOf(["1.5", "0.12345678901234567890123"]) };
    const { misfits, rows } = await convertAll(work, jobFor("decimal"), files, options);
    expect(misfits).toMatchObject([{ unfit: 1, columns: [{ path: "v", fileType: "string" }] }]);
    expect(JSON.stringify(rows[1]?.["_rescued_data"])).toContain("0.12345678901234567890123");
  });

  test("that the table has as a long is reported with the type that is configured", async () => {
    const known = schemaOf([{ name: "v", type: "long" }]);
    for (const [numbers, type] of [
      ["decimal", "decimal(38, 9)"],
      ["string", "string"],
    ] as const) {
      const { misfits } = await convertAll(
        work,
        jobFor(numbers),
        { a: '{"v":1}\n{"v":1.25}\n' },
        { known, fixed: true },
      );
      expect(misfits).toMatchObject([{ columns: [{ path: "v", fileType: type }] }]);
    }
  });
});

const digits = (max: number) => fc.stringMatching(new RegExp(`^(?:0|[1-9]\\d{0,${max}})$`));
const fraction = fc.stringMatching(/^(?:\.\d{1,30})?$/);
const exponent = fc.stringMatching(/^(?:[eE][+-]?\d{1,3})?$/);
const number = fc
  .tuple(fc.constantFrom("", "-"), fc.oneof(digits(8), digits(45)), fraction, fc.oneof(fc.constant(""), exponent))
  .map((parts) => parts.join(""));

describe("no digit is lost", () => {
  test.each(["decimal", "string"] as const)("with %s", async (numbers) => {
    await fc.assert(
      fc.asyncProperty(fc.array(number, { minLength: 1, maxLength: 12 }), async (values) => {
        const converted = await convertAll(work, jobFor(numbers), { a: linesOf(values) });
        expect(converted.failures).toEqual([]);
        expect(converted.misfits).toEqual([]);
        expect((await textsOf(converted)).map(exactly)).toEqual(values.map(exactly));
      }),
      { numRuns: 60 },
    );
  });

  test.each(["decimal", "string"] as const)("with %s, in a column with other kinds of values", async (numbers) => {
    const values = ["0.12345678901234567890123", '"x"', "1e-400", "123456789012345678901234567890.5", "-0.1", "1e400"];
    const texts = await textsOf(await convertAll(work, jobFor(numbers), { a: linesOf(values) }));
    expect(texts[1]).toBe("x");
    expect(texts.toSpliced(1, 1).map(exactly)).toEqual(values.toSpliced(1, 1).map(exactly));
    const nested = ['{"a":[0.12345678901234567890123,1e400]}', "1"];
    expect(await textsOf(await convertAll(work, jobFor(numbers), { a: linesOf(nested) }))).toEqual(nested);
  });
});
