import { describe, expect, test } from "vitest";
import { convertAll, csv, jobOf, schemaOf, useScratch } from "./harness.ts";

const work = useScratch();

const options = { inferTypes: false, hints: { id: "long", "s.n": "int" } } as const;

describe("without inference of types", () => {
  test.each([
    ["csv", jobOf(csv, options), "id,price,day\n1,1.50,2026-01-01\n2,007,x\n"],
    [
      "tsv",
      jobOf({ ...csv, type: "tsv", delimiter: "\t" }, options),
      "id\tprice\tday\n1\t1.50\t2026-01-01\n2\t007\tx\n",
    ],
  ] as const)("columns of %s without hint or table are text, as it is written", async (_, job, text) => {
    for (const known of [undefined, schemaOf([{ name: "id", type: "long" }])]) {
      const { rows, schema } = await convertAll(work, job, { a: text }, known && { known });
      expect(schema.fields.map(({ name, type }) => [name, type])).toEqual([
        ["id", "long"],
        ["price", "string"],
        ["day", "string"],
      ]);
      expect(rows).toEqual([
        { id: 1n, price: "1.50", day: "2026-01-01" },
        { id: 2n, price: "007", day: "x" },
      ]);
    }
  });

  const record =
    '{"id":1,"n":7,"f":5980802578965.9641,"b":true,"t":"2026-01-01","o":{"k":[1]},"l":[1,2],"s":{"n":3,"m":4}}';
  test.each([
    ["ndjson", jobOf({ type: "ndjson" }, options), `${record}\n`],
    ["json", jobOf({ type: "json" }, options), `[${record}]`],
    ["records under a path", jobOf({ type: "json", recordsPath: "r" }, options), `{"r":[${record}]}`],
  ] as const)("scalars of %s are text, and structures JSON text", async (_, job, text) => {
    for (const known of [undefined, schemaOf([{ name: "id", type: "long" }])]) {
      const { rows, failures } = await convertAll(work, job, { a: text }, known && { known });
      expect(failures).toEqual([]);
      expect(rows).toEqual([
        {
          id: 1n,
          n: "7",
          f: "5980802578965.9641",
          b: "true",
          t: "2026-01-01",
          o: '{"k":[1]}',
          l: "[1,2]",
          s: { n: 3, m: "4" },
        },
      ]);
    }
  });
});
