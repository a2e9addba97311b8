import fc from "fast-check";
import { expect, test } from "vitest";
import { RESCUED_DATA } from "../../../lambdas/core/iceberg/schema.ts";
import type { DraftType } from "../../../lambdas/core/iceberg/types.ts";
import { ADDS, convertAll, jobOf, RESCUE, schemaOf, useScratch } from "./harness.ts";
import { parquetOf } from "./parquet-files.ts";

const work = useScratch();

const SCALARS = {
  string: "VARCHAR",
  int: "INTEGER",
  long: "BIGINT",
  double: "DOUBLE",
  "decimal(9, 0)": "DECIMAL(9, 0)",
};
type Scalar = keyof typeof SCALARS;

const { type: types } = fc.letrec<{ type: DraftType; scalar: DraftType }>((tie) => ({
  scalar: fc.constantFrom(...(Object.keys(SCALARS) as Scalar[])),
  type: fc.oneof(
    { maxDepth: 3, depthSize: "small" },
    tie("scalar"),
    fc
      .uniqueArray(fc.tuple(fc.constantFrom("a", "b", "B", "c", "d"), tie("type")), {
        minLength: 1,
        maxLength: 4,
        selector: ([name]) => name.toLowerCase(),
      })
      .map((fields): DraftType => ({ type: "struct", fields: fields.map(([name, type]) => ({ name, type })) })),
    tie("type").map((element): DraftType => ({ type: "list", element })),
    fc
      .tuple(fc.constantFrom<"string" | "int">("string", "int"), tie("type"))
      .map(([key, value]): DraftType => ({ type: "map", key, value })),
  ),
}));

function duckOf(type: DraftType): string {
  if (typeof type === "string") return SCALARS[type as Scalar];
  if (type.type === "list") return `${duckOf(type.element)}[]`;
  if (type.type === "map") return `MAP(${duckOf(type.key)}, ${duckOf(type.value)})`;
  return `STRUCT(${type.fields.map((field) => `"${field.name}" ${duckOf(field.type)}`).join(", ")})`;
}

/** SQL of a value whose leaves are the numbers that `next` gives. */
function literalOf(type: DraftType, next: () => number): string {
  if (typeof type === "string") return type === "string" ? `'${next()}'` : String(next());
  if (type.type === "list") return `[${literalOf(type.element, next)}, ${literalOf(type.element, next)}]`;
  if (type.type === "map") return `MAP {${literalOf(type.key, next)}: ${literalOf(type.value, next)}}`;
  return `{${type.fields.map((field) => `'${field.name}': ${literalOf(field.type, next)}`).join(", ")}}`;
}

function nested(type: DraftType, next: () => number): Promise<Buffer> {
  const rows = [1, 2].map(() => `SELECT CAST(${literalOf(type, next)} AS ${duckOf(type)}) AS c`);
  return parquetOf(rows.join(" UNION ALL "));
}

const textOf = (value: unknown) =>
  JSON.stringify(value, (_, inner) => (typeof inner === "bigint" ? Number(inner) : inner));

test("no value of nested files is lost, whatever they and the table are", async () => {
  const cases = fc.record({
    table: fc.option(types, { nil: undefined }),
    files: fc.array(types, { minLength: 1, maxLength: 3 }),
  });
  await fc.assert(
    fc.asyncProperty(cases, async ({ table, files }) => {
      let number = 1_000_000;
      const next = () => ++number;
      const sources: Record<string, Buffer> = {};
      for (const [i, type] of files.entries()) sources[`f${i}`] = await nested(type, next);
      const known = table === undefined ? {} : { known: schemaOf([{ name: "c", type: table }]) };
      const converted = await convertAll(work, jobOf({ type: "parquet" }), sources, {
        ...known,
        treat: () => RESCUE,
        adds: ADDS,
      });
      expect(converted.failures).toEqual([]);
      expect(converted.rows).toHaveLength(2 * files.length);
      for (const row of converted.rows) JSON.parse(String(row[RESCUED_DATA] ?? null));
      const found = new Set(textOf(converted.rows).match(/\d{7}/g));
      const lost = Array.from({ length: number - 1_000_000 }, (_, i) => String(1_000_001 + i));
      expect(lost.filter((each) => !found.has(each))).toEqual([]);
    }),
    { numRuns: 60 },
  );
});
