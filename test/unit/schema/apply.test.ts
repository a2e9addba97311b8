// What accepting and merging make of a table's schema.

import { describe, expect, it } from "vitest";
import { applyUpdates, currentSchema, newTableMetadata } from "../../../lambdas/core/iceberg/metadata.ts";
import { parsePartitionBy } from "../../../lambdas/core/iceberg/partition.ts";
import { assignFieldIds, columnsOf, findField, withSchemaId } from "../../../lambdas/core/iceberg/schema.ts";
import type { DraftField, TableMetadata } from "../../../lambdas/core/iceberg/types.ts";
import type { Fingerprint, IngestionId, ObjectUri, TableId } from "../../../lambdas/core/ids.ts";
import { applyDecision, bindDifferences } from "../../../lambdas/core/schema/apply.ts";
import type { ChangeStatus, HeldDifference, SchemaChange } from "../../../lambdas/core/schema/records.ts";

function tableOf(fields: readonly DraftField[], partitionBy: readonly string[] = []): TableMetadata {
  const assigned = assignFieldIds(fields, 0);
  const schema = { type: "struct", "schema-id": 0, fields: assigned.fields } as const;
  return newTableMetadata({
    uuid: "uuid",
    location: "s3://w/t",
    ...assigned,
    specFields: parsePartitionBy(partitionBy, schema),
    properties: {},
    nowMs: 0,
  });
}

function changeOf(
  table: TableMetadata,
  status: ChangeStatus,
  differences: readonly HeldDifference[],
  fields: readonly DraftField[] = [],
): SchemaChange {
  return {
    ingestion: "orders" as IngestionId,
    table: "db.orders" as TableId,
    fingerprint: "0" as Fingerprint,
    status,
    differences: bindDifferences(table, status, differences),
    fields,
    firstFile: "s3://landing/orders/1" as ObjectUri,
    openedAtMs: 0,
    decisions: [],
  };
}

function applied(table: TableMetadata, change: SchemaChange): TableMetadata {
  const { schema, lastColumnId } = applyDecision(table, change);
  return applyUpdates(
    table,
    [
      { action: "add-schema", schema: withSchemaId(schema, 1), "last-column-id": lastColumnId },
      { action: "set-current-schema", "schema-id": -1 },
    ],
    0,
  );
}

const PRICE: HeldDifference = { kind: "conflict", path: "price", tableType: "long", fileType: "string" };
const ORDERS: readonly DraftField[] = [
  { name: "id", type: "long" },
  { name: "price", type: "long" },
];

describe("accepting", () => {
  it("keeps the old column under a versioned name and id, and puts a new one in its place", () => {
    const before = tableOf(ORDERS);
    const after = applied(before, changeOf(before, "ACCEPTED", [PRICE]));
    const { fields } = currentSchema(after);
    expect(fields.map(({ id, name, type }) => [id, name, type])).toEqual([
      [1, "id", "long"],
      [2, "price_v1", "long"],
      [3, "price", "string"],
    ]);
    expect(after["last-column-id"]).toBe(3);
  });

  it("is done after once", () => {
    const before = tableOf(ORDERS);
    const change = changeOf(before, "ACCEPTED", [PRICE]);
    const once = applied(before, change);
    expect(currentSchema(applied(once, change))).toEqual(currentSchema(once));
  });

  it("counts the versions on when it happens again", () => {
    const before = tableOf(ORDERS);
    const once = applied(before, changeOf(before, "ACCEPTED", [PRICE]));
    const back: HeldDifference = { kind: "conflict", path: "price", tableType: "string", fileType: "double" };
    const twice = applied(once, changeOf(once, "ACCEPTED", [back]));
    expect(currentSchema(twice).fields.map(({ name, type }) => `${name} ${type}`)).toEqual([
      "id long",
      "price_v1 long",
      "price_v2 string",
      "price double",
    ]);
  });

  it("reaches into structures", () => {
    const type = { type: "struct", fields: [{ name: "x", type: "int" }] } as const;
    const before = tableOf([{ name: "s", type: { type: "list", element: type } }]);
    const inside: HeldDifference = { kind: "conflict", path: "s.element.x", tableType: "int", fileType: "boolean" };
    const after = currentSchema(applied(before, changeOf(before, "ACCEPTED", [inside])));
    expect(columnsOf(after).map(({ path }) => path)).toEqual(["s", "s.element", "s.element.x_v1", "s.element.x"]);
    expect(findField(after, "s.element.x")?.type).toBe("boolean");
  });

  it("adds what files bring that wait under the policy hold", () => {
    const before = tableOf(ORDERS);
    const added: HeldDifference = { kind: "added", path: "note", fileType: "string" };
    const after = applied(before, changeOf(before, "ACCEPTED", [added], [{ name: "note", type: "string" }]));
    expect(findField(currentSchema(after), "note")?.type).toBe("string");
  });

  it("refuses a column that the table is partitioned by, and says what else there is", () => {
    const before = tableOf([{ name: "at", type: "timestamptz" }], ["day(at)"]);
    const at: HeldDifference = { kind: "conflict", path: "at", tableType: "timestamptz", fileType: "string" };
    expect(() => applyDecision(before, changeOf(before, "ACCEPTED", [at]))).toThrow(
      /partitioned by this column.*merge/,
    );
    const merged = currentSchema(applied(before, changeOf(before, "MERGED", [at])));
    expect(merged.fields.map(({ name }) => name)).toEqual(["at", "at_string"]);
  });
});

describe("merging", () => {
  it("gives what does not fit a column of its own, under a name that is free", () => {
    const before = tableOf([...ORDERS, { name: "Price_String", type: "int" }]);
    const change = changeOf(before, "MERGED", [PRICE]);
    expect(change.differences[0]?.column).toBe("price_string_1");
    const after = currentSchema(applied(before, change));
    expect(after.fields.map(({ name }) => name)).toEqual(["id", "price", "Price_String", "price_string_1"]);
    expect(currentSchema(applied(applied(before, change), change))).toEqual(after);
  });
});

it("rejecting leaves the table as it is", () => {
  const before = tableOf(ORDERS);
  expect(applyDecision(before, changeOf(before, "REJECTED", [PRICE])).schema).toEqual(currentSchema(before));
});
