import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Schema } from "../../../lambdas/core/iceberg/types.ts";
import { convertAll, csv, jobOf, type Scratch, schemaOf, scratch } from "./harness.ts";

let work: Scratch;
beforeAll(async () => {
  work = await scratch();
});
afterAll(() => work.remove());

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
