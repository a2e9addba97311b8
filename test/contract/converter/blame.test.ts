import { describe, expect, test } from "vitest";
import type { PrimitiveType, Schema } from "../../../lambdas/core/iceberg/types.ts";
import { convertAll, csv, jobOf, schemaOf, useScratch } from "./harness.ts";

const work = useScratch();

const ndjson = jobOf({ type: "ndjson" });

function requiring(name: string, ...others: readonly string[]): Schema {
  const schema = schemaOf([
    { name, type: "string" },
    ...others.map((other) => ({ name: other, type: "long" as const })),
  ]);
  return { ...schema, fields: schema.fields.map((field) => ({ ...field, required: field.name === name })) };
}

describe("a null in a required column", () => {
  const cases = [
    ["JSON null", ndjson, { a: '{"id":"1","n":1}\n', b: '{"id":"2","n":1}\n{"id":null,"n":2}\n' }, 2],
    ["absent JSON key", ndjson, { a: '{"id":"1","n":1}\n', b: '{"id":"2","n":1}\n{"n":2}\n' }, 2],
    ["empty CSV field", jobOf(csv), { a: "id,n\n1,1\n", b: "id,n\n2,2\n,3\n" }, 3],
    ["absent CSV column", jobOf(csv), { a: "id,n\n1,1\n", b: "n\n2\n" }, undefined],
  ] as const;
  test.each(cases)("%s: fails its file alone and its neighbour lands", async (_, job, files, line) => {
    const { rows, failures } = await convertAll(work, job, files, { known: requiring("id", "n") });
    expect(rows).toEqual([{ id: "1", n: 1n }]);
    expect(failures).toEqual([
      expect.objectContaining({ index: 1, reason: "REQUIRED_IS_NULL", column: "id", ...(line && { line }) }),
    ]);
  });

  test("several guilty files among many are all found, and nobody else", async () => {
    const files = Object.fromEntries(
      Array.from({ length: 12 }, (_, i) => [`${i}.csv`, i % 5 === 3 ? "n\n1\n" : `id,n\nx${i},1\n`]),
    );
    const { failures, loaded } = await convertAll(work, jobOf(csv), files, { known: requiring("id", "n") });
    expect(failures.map(({ index, reason }) => [index, reason])).toEqual([
      [3, "REQUIRED_IS_NULL"],
      [8, "REQUIRED_IS_NULL"],
    ]);
    expect(Object.keys(loaded)).toHaveLength(10);
  });
});

describe("decimals", () => {
  const price = { hints: { price: "decimal(18,4)" } };
  const exact = "5980802578965.9641";
  const known = () => schemaOf([{ name: "price", type: "decimal(18, 4)" }]);
  const cast = async (job: ReturnType<typeof jobOf>, text: string, table?: Schema) => {
    const { result, failures } = await convertAll(work, job, { a: text }, table && { known: table });
    // Bounds are exact, where a reader's JavaScript number is not.
    return { failures, bound: result.files[0]?.file.lowerBounds?.get(1) };
  };

  test.each([
    ["lines", jobOf({ type: "ndjson" }, price), (n: string) => `{"price":${n}}\n`],
    ["a list", jobOf({ type: "json" }, price), (n: string) => `[{"price":${n}}]`],
    [
      "records under a path",
      jobOf({ type: "json", recordsPath: "a.b" }, price),
      (n: string) => `{"a":{"b":[{"price":${n}}]}}`,
    ],
  ] as const)("a JSON number of 17 digits in %s loses none of them, in a new table or an old", async (_, job, text) => {
    for (const table of [undefined, known()]) {
      const number = await cast(job, text(exact), table);
      const quoted = await cast(job, text(`"${exact}"`), table);
      expect(number.failures).toEqual([]);
      expect(number.bound).toEqual(quoted.bound);
      expect(Buffer.from(number.bound ?? []).toString("hex")).toBe(
        BigInt(exact.replace(".", ""))
          .toString(16)
          .padStart(16, "0")
          .replace(/^(00)+(?=[0-7])/, ""),
      );
    }
  });

  test.each([
    ["JSON", ndjson, (n: string) => `{"price":1.5}\n{"price":${n}}\n`],
    ["CSV", jobOf(csv), (n: string) => `price\n${n}\n`],
  ] as const)(
    "more digits than the column has in %s are reported with their line, and never rounded",
    async (_, job, text) => {
      const table = schemaOf([{ name: "price", type: "decimal(10, 2)" }]);
      for (const value of ["10.005", "123456789.5", "1.0000000000000000001"]) {
        const { rows, misfits } = await convertAll(work, job, { a: text(value), b: text("2.50") }, { known: table });
        expect(rows).toContainEqual({ price: 2.5 });
        expect(misfits).toMatchObject([{ index: 0, columns: [{ path: "price", samples: [value], line: 2 }] }]);
      }
    },
  );
});

describe("a digit that a column has no room for, at the widest precision", () => {
  const list = (type: PrimitiveType) => schemaOf([{ name: "price", type: { type: "list", element: type } }]);
  const plain = (type: PrimitiveType) => schemaOf([{ name: "price", type }]);
  const row = {
    CSV: [jobOf(csv), (n: string) => `price\n${n}\n`, plain],
    JSON: [ndjson, (n: string) => `{"price":${n}}\n`, plain],
    "JSON text": [ndjson, (n: string) => `{"price":"${n}"}\n`, plain],
    "a JSON list": [ndjson, (n: string) => `{"price":[1,${n}]}\n`, list],
  } as const;
  test.each(Object.entries(row))("%s: it does not fit, and zeros there do", async (_, [job, text, table]) => {
    for (const [type, bad, good] of [
      ["decimal(38, 0)", ["1.5", "15e-1", "0.1e0"], ["10", "10.0", "1e1", "1.0e1"]],
      ["decimal(38, 10)", ["0.12345678901", "1.00000000001e0"], ["0.1234567890100e1", "0.12345678900"]],
      ["decimal(9, 2)", ["1.005", "1e-3"], ["1.0500", "1.05e0", "105e-2"]],
    ] as const) {
      const files = Object.fromEntries([...bad, ...good].map((n) => [`${n}.x`, text(n)]));
      const { misfits, rows } = await convertAll(work, job, files, { known: table(type) });
      expect(misfits).toMatchObject(bad.map((__, index) => ({ index, unfit: 1, columns: [{ path: "price" }] })));
      expect(misfits.every(({ columns }) => columns[0]?.line !== undefined)).toBe(true);
      expect(rows).toHaveLength(good.length);
    }
  });
});

describe("a table with narrow numbers", () => {
  const known = () =>
    schemaOf([
      { name: "n", type: "int" },
      { name: "f", type: "float" },
    ]);
  const text = {
    JSON: [ndjson, (n: string, f: string) => `{"n":${n},"f":${f}}\n`],
    "JSON text": [ndjson, (n: string, f: string) => `{"n":"${n}","f":"${f}"}\n`],
    CSV: [jobOf(csv), (n: string, f: string) => `n,f\n${n},${f}\n`],
  } as const;

  test.each(Object.entries(text))("is widened by %s that holds more, and no file is refused", async (_, [job, row]) => {
    const files = { a: row("4294967296", "1e300"), b: row("1", "0.5") };
    const { inspection, rows, failures } = await convertAll(work, job, files, { known: known() });
    expect(failures).toEqual([]);
    expect(inspection.fields.map(({ type }) => type)).toEqual(["long", "double"]);
    expect(rows).toContainEqual({ n: 4294967296n, f: 1e300 });
  });

  test.each(Object.entries(text))("keeps its types where the values of %s fit", async (_, [job, row]) => {
    const { inspection, failures } = await convertAll(work, job, { a: row("-2147483648", "0.5") }, { known: known() });
    expect(failures).toEqual([]);
    expect(inspection.fields.map(({ type }) => type)).toEqual(["int", "float"]);
  });
});
