// What becomes of a file whose values do not all fit, by policy, share of rows, place and earlier decisions.

import { describe, expect, it } from "vitest";
import type { Ingestion } from "../../../lambdas/core/config.ts";
import { assignFieldIds } from "../../../lambdas/core/iceberg/schema.ts";
import type { Schema } from "../../../lambdas/core/iceberg/types.ts";
import type { MisfitColumn } from "../../../lambdas/core/ports.ts";
import { SCHEMA_DEFAULTS } from "../../../lambdas/core/schema/defaults.ts";
import { judgeMisfits, routesOf } from "../../../lambdas/core/schema/misfits.ts";
import type { SchemaChange } from "../../../lambdas/core/schema/records.ts";

const column = (path: string): MisfitColumn => ({ path, fileType: "string", records: 1, samples: ["n/a"], line: 3 });
const { fields } = assignFieldIds(
  [
    { name: "price", type: "long" },
    { name: "list.price", type: "long" },
    { name: "request", type: { type: "struct", fields: [{ name: "tags", type: "long" }] } },
  ],
  0,
);
const TABLE: Schema = { type: "struct", "schema-id": 0, fields };

function judge(
  paths: readonly string[],
  unfit: number,
  changes: {
    policy?: Ingestion["schema"]["policy"];
    format?: "csv" | "ndjson" | "parquet";
    routes?: readonly string[];
    records?: ReadonlyMap<string, number>;
  } = {},
) {
  const { policy = "evolve", format = "ndjson", routes = [], records } = changes;
  const columns = paths.map((path) => ({ ...column(path), records: records ? (records.get(path) ?? 1) : unfit }));
  const misfits = { index: 0, records: 1000, unfit, columns };
  const ingestion = { schema: { ...SCHEMA_DEFAULTS, policy }, format: { type: format } as Ingestion["format"] };
  return judgeMisfits(
    misfits,
    ingestion,
    TABLE,
    routes.map((path) => ({ path, column: `${path}_string` })),
  );
}

describe("a file with values that do not fit", () => {
  it("has them rescued under evolve up to the share, and is held above it", () => {
    expect(judge(["price"], 10)).toMatchObject({ kind: "treat", treatment: { rescue: true } });
    expect(judge(["price"], 11)).toMatchObject({
      kind: "hold",
      differences: [{ path: "price", tableType: "long", fileType: "string", samples: ["n/a"] }],
    });
  });

  it("has them rescued under rescue, is held under hold and fails under fail, however many", () => {
    expect(judge(["price"], 900, { policy: "rescue" })).toMatchObject({ kind: "treat" });
    expect(judge(["price"], 1, { policy: "hold" })).toMatchObject({ kind: "hold" });
    expect(judge(["price"], 1, { policy: "fail" })).toMatchObject({
      kind: "fail",
      column: "price",
      line: 3,
      message: expect.stringContaining("type long (line 3)"),
    });
  });

  it("counts towards the share only rows that no decision has a place for", () => {
    const decided = { routes: ["price"], records: new Map([["price", 900]]) };
    expect(judge(["price", "amount"], 901, decided)).toMatchObject({ kind: "treat", treatment: { rescue: true } });
  });

  it("is not held under evolve for what lies inside structures of JSON", () => {
    expect(judge(["request.tags", "request"], 900)).toMatchObject({ kind: "treat", treatment: { rescue: true } });
    expect(judge(["request.tags"], 900, { format: "parquet" })).toMatchObject({ kind: "hold" });
    expect(judge(["request.tags"], 900, { policy: "hold" })).toMatchObject({ kind: "hold" });
    const both = judge(["request.tags", "price"], 900);
    expect(both).toMatchObject({ kind: "hold", differences: [{ path: "price" }] });
  });

  it("is held for a column whose own name has dots", () => {
    expect(judge(["list.price"], 900)).toMatchObject({ kind: "hold", differences: [{ path: "list.price" }] });
  });

  it("goes where earlier decisions send it, and asks about the rest only", () => {
    expect(judge(["price"], 900, { routes: ["price"] })).toEqual({
      kind: "treat",
      treatment: { rescue: false, routes: [{ path: "price", column: "price_string" }] },
    });
    expect(judge(["price", "at"], 900, { routes: ["price"], format: "csv" })).toMatchObject({
      kind: "hold",
      differences: [{ path: "at" }],
    });
  });

  it("has what no table could have a column for rescued, and nobody is asked", () => {
    expect(judge([""], 900, { policy: "hold" })).toMatchObject({ kind: "treat", treatment: { rescue: true } });
    expect(judge([""], 900)).toMatchObject({ kind: "treat", treatment: { rescue: true } });
    expect(judge([""], 900, { policy: "fail" })).toMatchObject({ kind: "fail" });
  });

  it("whose rows, not values, are to be rescued gets the column for it", () => {
    expect(judge([], 3)).toMatchObject({ kind: "treat", treatment: { rescue: true } });
  });
});

it("routes of the latest merge win, and other decisions have none", () => {
  const change = (status: SchemaChange["status"], path: string, sibling: string, atMs: number) =>
    ({
      status,
      differences: [{ kind: "conflict", path, column: sibling }],
      decisions: [{ verdict: "merge", by: "me", atMs }],
    }) as unknown as SchemaChange;
  const changes = [
    change("MERGED", "a", "a_string_1", 2),
    change("MERGED", "a", "a_string", 1),
    change("ACCEPTED", "b", "b_string", 1),
  ];
  expect(routesOf(changes)).toEqual([{ path: "a", column: "a_string_1" }]);
});
