// What the history of a schema says was changed.

import { expect, it } from "vitest";
import type { NestedField, Schema, Type } from "../../../lambdas/core/iceberg/types.ts";
import { alterationsOf } from "../../../lambdas/core/schema/alterations.ts";

const field = (id: number, name: string, type: Type, required = false): NestedField => ({ id, name, required, type });
const schema = (...fields: NestedField[]): Schema => ({ type: "struct", "schema-id": 0, fields });

it("a decision that puts a column in another's place is told as what it did to both", () => {
  const before = schema(field(1, "price", "long"));
  const after = schema(field(1, "price_v1", "long"), field(2, "price", "double"));
  expect(alterationsOf(before, after)).toEqual(["price is called price_v1 now", "price double added"]);
});

it("columns that came, grew and need no value any more, inside structures too", () => {
  const inside = (...fields: NestedField[]): Type => ({ type: "struct", fields });
  const before = schema(field(1, "id", "int", true), field(2, "at", inside(field(3, "n", "float"))));
  const after = schema(
    field(1, "id", "long"),
    field(2, "at", inside(field(3, "n", "double"), field(4, "deep", inside(field(5, "x", "long"))))),
  );
  expect(alterationsOf(before, after)).toEqual([
    "id widened, now long",
    "id relaxed, now optional",
    "at.n widened, now double",
    "at.deep struct<x: long> added",
  ]);
});

it("the same schema has none, and a text of any length is cut", () => {
  const same = schema(field(1, "id", "int"));
  expect(alterationsOf(same, same)).toEqual([]);
  const [text] = alterationsOf(same, schema(field(1, "id", "int"), field(2, "x".repeat(5000), "int")));
  expect(text?.length).toBe(300);
});
