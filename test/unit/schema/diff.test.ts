// The difference between a file and its table: what it is, and what each policy makes of it.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { SchemaPolicy } from "../../../lambdas/core/config.ts";
import { assignFieldIds, columnsOf, typeText } from "../../../lambdas/core/iceberg/schema.ts";
import type { DraftField, DraftType, PrimitiveType } from "../../../lambdas/core/iceberg/types.ts";
import type { IngestionId } from "../../../lambdas/core/ids.ts";
import { differenceText, diffSchema, type TableShape } from "../../../lambdas/core/schema/diff.ts";
import { fingerprintOf } from "../../../lambdas/core/schema/fingerprint.ts";

const POLICIES: readonly SchemaPolicy[] = ["evolve", "rescue", "hold", "fail"];

function tableOf(fields: readonly DraftField[]): TableShape {
  const assigned = assignFieldIds(fields, 0);
  const schema = { type: "struct", "schema-id": 0, fields: assigned.fields } as const;
  return { schema, lastColumnId: assigned.lastColumnId, partitionNames: [] };
}

function evolve(table: TableShape, file: readonly DraftField[]): TableShape {
  const { evolution } = diffSchema(table, file, "ndjson", "evolve");
  return { ...table, schema: evolution.schema, lastColumnId: evolution.lastColumnId };
}

function shapeOf({ schema }: TableShape): string[] {
  return columnsOf(schema)
    .map(({ path, field }) => (typeof field.type === "string" ? `${path} ${field.type}` : `${path} ${field.type.type}`))
    .sort();
}

/** Columns of one family each, so that any two files are compatible: numbers that widen, texts, structures of these. */
const widths: Readonly<Record<string, readonly PrimitiveType[]>> = {
  whole: ["int", "long"],
  real: ["float", "double"],
  money: ["decimal(9, 2)", "decimal(12, 2)", "decimal(30, 2)"],
  text: ["string"],
};
const plain = fc
  .constantFrom(...Object.keys(widths))
  .chain((name) =>
    fc.constantFrom(...(widths[name] as readonly PrimitiveType[])).map((type): DraftField => ({ name, type })),
  );
const level = (inner: fc.Arbitrary<DraftField>): fc.Arbitrary<DraftField> =>
  fc.oneof(
    plain,
    fc.uniqueArray(inner, { selector: ({ name }) => name, maxLength: 3, minLength: 1 }).chain((fields) => {
      const struct: DraftType = { type: "struct", fields };
      return fc.constantFrom<DraftField>(
        { name: "inside", type: struct },
        { name: "items", type: { type: "list", element: struct } },
        { name: "byKey", type: { type: "map", key: "string", value: struct } },
      );
    }),
  );
const compatibleFile = fc.uniqueArray(level(level(plain)), {
  selector: ({ name }) => name,
  maxLength: 5,
  minLength: 1,
});

describe("the difference between a file and its table", () => {
  it("is none for the table's own columns, whatever the policy", () => {
    fc.assert(
      fc.property(compatibleFile, fc.constantFrom(...POLICIES), (fields, policy) => {
        expect(diffSchema(tableOf(fields), fields, "parquet", policy)).toMatchObject({ kind: "none", breaking: [] });
      }),
    );
  });

  it("is gone once it was applied: compatible changes compose", () => {
    fc.assert(
      fc.property(compatibleFile, compatibleFile, compatibleFile, (first, second, third) => {
        const grown = evolve(evolve(tableOf(first), second), third);
        for (const file of [first, second, third]) {
          expect(diffSchema(grown, file, "ndjson", "evolve").kind).toBe("none");
        }
      }),
    );
  });

  it("leads to the same schema in whatever order the files come, up to the order of the columns", () => {
    fc.assert(
      fc.property(fc.array(compatibleFile, { minLength: 2, maxLength: 5 }), fc.nat(), (files, turn) => {
        const rotated = files.map((_, n) => files[(n + turn) % files.length] as DraftField[]);
        const [a, b] = [files, rotated.toReversed()].map((order) => shapeOf(order.reduce(evolve, tableOf([]))));
        expect(a).toEqual(b);
      }),
    );
  });

  it.each<[SchemaPolicy, string]>([
    ["evolve", "compatible"],
    ["rescue", "none"],
    ["hold", "breaking"],
    ["fail", "breaking"],
  ])("under %s a new column is %s", (policy, kind) => {
    const diff = diffSchema(tableOf([{ name: "a", type: "int" }]), [{ name: "b", type: "int" }], "ndjson", policy);
    expect(diff.kind).toBe(kind);
    expect(diff.evolution.changed).toBe(policy === "evolve");
  });

  it("names what is wrong for people", () => {
    const table = tableOf([{ name: "s", type: { type: "struct", fields: [{ name: "x", type: "int" }] } }]);
    const file: DraftField[] = [
      {
        name: "s",
        type: {
          type: "struct",
          fields: [
            { name: "x", type: "boolean" },
            { name: "y", type: { type: "list", element: "string" } },
          ],
        },
      },
    ];
    expect(diffSchema(table, file, "ndjson", "hold").breaking.map(differenceText)).toEqual([
      "s.y: not in the table, the file has list<string>",
      "s.x: int, the file has boolean",
    ]);
    const twin = { kind: "conflict", path: "v", tableType: "string", fileType: "string" } as const;
    expect(differenceText(twin)).toBe("v: string, the file has a key that differs from it by case alone");
  });

  it.each<["parquet" | "ndjson", number]>([
    ["parquet", 1],
    ["ndjson", 0],
  ])("sees under hold that a %s file lacks a column: %i", (format, breaking) => {
    const table = tableOf([
      { name: "a", type: "int" },
      { name: "b", type: "int" },
    ]);
    expect(diffSchema(table, [{ name: "a", type: "int" }], format, "hold").breaking).toHaveLength(breaking);
    expect(diffSchema(table, [{ name: "a", type: "int" }], format, "evolve").kind).toBe("none");
  });

  it("does not take lineage for columns that files lack", () => {
    const table = tableOf([
      { name: "a", type: "int" },
      { name: "_file_path", type: "string" },
      { name: "_rescued_data", type: "string" },
    ]);
    expect(diffSchema(table, [{ name: "a", type: "int" }], "parquet", "hold").kind).toBe("none");
  });
});

describe("the fingerprint of a breaking difference", () => {
  const id = "orders" as IngestionId;
  const price = { kind: "conflict", path: "price", tableType: "long", fileType: "string" } as const;
  const at = { kind: "conflict", path: "at", tableType: "date", fileType: "string" } as const;

  it("does not depend on the order of the columns, their case or samples", () => {
    const other = { ...price, path: "PRICE", samples: ["n/a"], records: 7 };
    expect(fingerprintOf(id, [at, other])).toBe(fingerprintOf(id, [price, at]));
  });

  it("is another for another type, column or ingestion", () => {
    const prints = [
      fingerprintOf(id, [price]),
      fingerprintOf(id, [at]),
      fingerprintOf(id, [{ ...price, fileType: "double" }]),
      fingerprintOf("clicks" as IngestionId, [price]),
      fingerprintOf(id, [price, at]),
    ];
    expect(new Set(prints).size).toBe(prints.length);
  });

  it("is one for structures that differ in their keys only", () => {
    const of = (name: string) => {
      const fileType: DraftType = { type: "list", element: { type: "struct", fields: [{ name, type: "int" }] } };
      return fingerprintOf(id, [{ kind: "conflict", path: "p", tableType: "string", fileType }]);
    };
    expect(of("a")).toBe(of("b"));
    expect(typeText({ type: "list", element: "int" })).toBe("list<int>");
  });
});

it("of a structure of the table's has the fingerprint it had before the structure grew", () => {
  const asked = (tableType: string) =>
    fingerprintOf("orders" as IngestionId, [{ kind: "conflict", path: "s", tableType, fileType: "string" }]);
  expect(asked("struct<a: int, b: long>")).toBe(asked("struct<a: int>"));
  expect(asked("list<struct<a: int>>")).toBe(asked("list<struct<b: int>>"));
  expect(asked("list<int>")).not.toBe(asked("list<long>"));
});
