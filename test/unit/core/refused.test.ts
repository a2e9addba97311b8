// Files that a table has no place for: they end FAILED by themselves, with a reason, and keep no neighbour waiting for long.

import { afterAll, describe, expect, test } from "vitest";
import type { FormatOptions, Ingestion } from "../../../lambdas/core/config.ts";
import type { ObjectEvent } from "../../../lambdas/core/events.ts";
import type { LoadReport } from "../../../lambdas/core/pipeline.ts";
import { csv, scratch } from "../../contract/converter/harness.ts";
import { Harness, ingestionOf } from "./harness.ts";

const { converter, remove } = await scratch();
afterAll(remove);

function harnessOf(format: FormatOptions, partitionBy: readonly string[], changes: Partial<Ingestion> = {}): Harness {
  const { target } = ingestionOf("orders");
  return new Harness({
    ingestions: [ingestionOf("orders", { format, target: { ...target, partitionBy }, ...changes })],
  });
}

function load(harness: Harness, events: readonly ObjectEvent[], receiveCount = 1): Promise<LoadReport> {
  return harness.load(events, { receiveCount, ports: { converter } });
}

async function recordsOf(harness: Harness): Promise<number | undefined> {
  await harness.commit();
  return (await harness.head())?.totals.records;
}

describe.each<[string, FormatOptions, string[], string[], string[]]>([
  ["csv", csv, ["id,at", "1,2026-01-01"], ["id,at", "2,2026-01-02"], ["id,at,at_day", "3,2026-01-03,monday"]],
  [
    "ndjson",
    { type: "ndjson" },
    ['{"id":1,"at":"2026-01-01"}'],
    ['{"id":2,"at":"2026-01-02"}'],
    ['{"id":3,"at":"2026-01-03","at_day":"monday"}'],
  ],
])("a column named as a partition field, in %s", (_, format, first, good, bad) => {
  test("is never dropped in silence: its file fails alone, and its neighbour lands", async () => {
    const harness = harnessOf(format, ["day(at)"]);
    await load(harness, [await harness.put("orders/1", ...first)]);
    const events = [await harness.put("orders/2", ...good), await harness.put("orders/3", ...bad)];
    expect((await load(harness, events)).outcomes).toMatchObject({ loaded: 1, failed: 1 });
    expect(await recordsOf(harness)).toBe(2);
    const { status, reason, error } = (await harness.file("orders/3")) ?? {};
    expect({ status, reason }).toEqual({ status: "FAILED", reason: "REFUSED_BY_TABLE" });
    expect(error).toMatchObject({
      column: "at_day",
      message:
        "column at_day has the name of a partition field, and no reader could open the table with it; rename it in the file",
    });
  });

  test("fails its file when that comes first, and the table is made by the next one", async () => {
    const harness = harnessOf(format, ["day(at)"]);
    expect((await load(harness, [await harness.put("orders/3", ...bad)])).outcomes).toMatchObject({ failed: 1 });
    expect(await harness.table()).toBeUndefined();
    expect(await harness.file("orders/3")).toMatchObject({ status: "FAILED", reason: "REFUSED_BY_TABLE" });
    await load(harness, [await harness.put("orders/1", ...first)]);
    expect(await recordsOf(harness)).toBe(1);
  });
});

describe("the first file of a partitioned table", () => {
  test.each([
    ["lacks the column", ["id", "1"], /not in the schema.*column=at/],
    ["holds a type that the transform does not take", ["id,at", "1,yesterday"], /does not take this type.*type=string/],
  ])("that %s fails alone, with what to do", async (_, lines, message) => {
    const harness = harnessOf(csv, ["day(at)"]);
    expect((await load(harness, [await harness.put("orders/1", ...lines)])).outcomes).toMatchObject({ failed: 1 });
    const { status, error } = (await harness.file("orders/1")) ?? {};
    expect(status).toBe("FAILED");
    expect(error?.message).toMatch(/^the new table cannot be partitioned .* schema.hints: /);
    expect(error?.message).toMatch(message);
    const good = await harness.put("orders/2", "id,at,x", "1,2026-01-01,y");
    expect((await load(harness, [good])).outcomes).toMatchObject({ loaded: 1 });
    expect(await recordsOf(harness)).toBe(1);
  });

  test("that waits for others lends them its columns: the table is typed by those that lie there together", async () => {
    const harness = harnessOf(csv, []);
    const events = [await harness.put("orders/1", "id", "1"), await harness.put("orders/2", "id", "A-7")];
    expect((await load(harness, events.slice(0, 1))).outcomes).toMatchObject({ loaded: 1 });
    expect((await load(harness, events.slice(1))).outcomes).toMatchObject({ loaded: 1 });
    expect(await recordsOf(harness)).toBe(2);
  });

  test("that has no records is loaded, with none", async () => {
    const harness = harnessOf(csv, ["day(at)"]);
    expect((await load(harness, [await harness.put("orders/1", "id,at")])).outcomes).toMatchObject({ loaded: 1 });
    expect(await harness.file("orders/1")).toMatchObject({ status: "SUCCESS", records: 0 });
    await load(harness, [await harness.put("orders/2", "id,at", "1,2026-01-01")]);
    expect(await recordsOf(harness)).toBe(1);
  });
});

describe("first files whose keys are all null", () => {
  const nulls = ['{"a":null}', '{"a":null}'];
  const ndjson: FormatOptions = { type: "ndjson" };

  test("are rows like any other: none vanishes for want of a column", async () => {
    const harness = harnessOf(ndjson, []);
    const events = [await harness.put("orders/1", ...nulls), await harness.put("orders/2", "")];
    expect((await load(harness, events)).outcomes).toMatchObject({ loaded: 2 });
    expect(await recordsOf(harness)).toBe(2);
    expect(await harness.file("orders/1")).toMatchObject({ status: "SUCCESS", records: 2 });
  });

  test("fail where rows would have no column at all, and load once the table has one", async () => {
    const harness = harnessOf(ndjson, [], { lineage: false, onOverwrite: "append" });
    const event = await harness.put("orders/1", ...nulls);
    expect((await load(harness, [event])).outcomes).toMatchObject({ failed: 1 });
    const { error } = (await harness.file("orders/1")) ?? {};
    expect(error?.message).toMatch(/^records without a value make no table; set lineage: true/);
    await load(harness, [await harness.put("orders/2", '{"a":1}')]);
    await load(harness, [await harness.put("orders/1", ...nulls)]);
    expect(await recordsOf(harness)).toBe(3);
  });

  test.each([
    ["an empty one", "", { status: "SUCCESS", records: 0 }],
    ["a broken one", "{", { status: "FAILED", reason: "MALFORMED_JSON" }],
  ])("make no table when there are no records: %s", async (_, text, fate) => {
    const harness = harnessOf(ndjson, []);
    await load(harness, [await harness.put("orders/1", text)]);
    expect(await harness.file("orders/1")).toMatchObject(fate);
    expect(await harness.table()).toBeUndefined();
  });
});
