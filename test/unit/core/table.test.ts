import { describe, expect, test } from "vitest";
import type { Ingestion } from "../../../lambdas/core/config.ts";
import { currentSchema } from "../../../lambdas/core/iceberg/metadata.ts";
import type { Conversion, Inspection } from "../../../lambdas/core/ports.ts";
import type { Fates } from "../../../lambdas/core/schema/job.ts";
import { prepareTable } from "../../../lambdas/core/schema/prepare.ts";
import { loadOwnTable } from "../../../lambdas/core/table.ts";
import { RowConverter } from "../../simulation/row-converter.ts";
import { Harness, ingestionOf, nameOf, override } from "./harness.ts";

async function seeing(...columns: string[]): Promise<Conversion> {
  const real = await new RowConverter().start({} as never);
  const inspect = async (): Promise<Inspection> => ({
    fields: columns.map((name) => ({ name, type: "string" })),
    failures: [],
  });
  return override(real, { inspect });
}

function prepare(harness: Harness, ingestion: Ingestion, conversion: Conversion) {
  const { settings } = harness;
  return prepareTable({ ports: harness.ports(), settings, ingestion, conversion, sources: 1, fates: NO_FATES });
}

const NO_FATES: Fates = {
  fail: async (failures) => expect(failures).toEqual([]),
  hold: async ({ index }) => expect.fail(`source ${index} is held`),
};

async function columnsOf(harness: Harness): Promise<string[]> {
  const table = await harness.table();
  return table === undefined ? [] : currentSchema(table.metadata).fields.map((field) => field.name);
}

const LINEAGE = ["_file_path", "_file_modified_at", "_ingested_at"];

describe("the target table", () => {
  const orders = ingestionOf("orders");

  test("is made when the first file has a column, with the columns of lineage", async () => {
    const harness = new Harness();
    const table = await prepare(harness, orders, await seeing("id"));
    expect(table?.metadata.location).toBe("s3://warehouse/tables/db/orders");
    expect(await columnsOf(harness)).toEqual(["id", ...LINEAGE]);
    expect(await harness.head()).toMatchObject({ seq: 0, tableUuid: table?.metadata["table-uuid"] });
  });

  test("is not made for nothing", async () => {
    const harness = new Harness();
    const plain = ingestionOf("orders", { lineage: false });
    const prepared = await prepare(harness, plain, await seeing());
    expect(prepared).toBeUndefined();
    expect(harness.store.objects.size).toBe(0);
  });

  test("gets a new column once, and keeps the ids of those it has", async () => {
    const harness = new Harness();
    await prepare(harness, orders, await seeing("id"));
    const before = (await harness.table())?.metadata;
    await prepare(harness, orders, await seeing("id", "price"));
    await prepare(harness, orders, await seeing("price"));
    const after = (await harness.table())?.metadata;
    expect(await columnsOf(harness)).toEqual(["id", ...LINEAGE, "price"]);
    expect(after?.schemas).toHaveLength(2);
    if (before === undefined || after === undefined) throw new Error("no table");
    expect(currentSchema(after).fields.slice(0, 4)).toEqual(currentSchema(before).fields);
  });

  test("a table that holds every column is not written", async () => {
    const harness = new Harness();
    await prepare(harness, orders, await seeing("id"));
    const { metadataLocation } = (await harness.table()) ?? {};
    await prepare(harness, orders, await seeing("id"));
    expect((await harness.table())?.metadataLocation).toBe(metadataLocation);
  });

  test("hundreds of loaders that discover the same table and column make one table with one column", async () => {
    const harness = new Harness();
    const prepareAll = (...columns: string[]) =>
      Promise.all(Array.from({ length: 300 }, async () => prepare(harness, orders, await seeing(...columns))));
    const first = await prepareAll("id");
    expect(new Set(first.map((table) => table?.metadata["table-uuid"])).size).toBe(1);
    const second = await prepareAll("id", "price");
    expect(await columnsOf(harness)).toEqual(["id", ...LINEAGE, "price"]);
    expect((await harness.table())?.metadata.schemas).toHaveLength(2);
    for (const table of second) {
      if (table === undefined) throw new Error("a loader went without its table");
      expect(currentSchema(table.metadata).fields.map((field) => field.id)).toEqual([1, 2, 3, 4, 5]);
    }
  });

  test("loaders that discover different columns at once lose none of them", async () => {
    const harness = new Harness();
    await prepare(harness, orders, await seeing("id"));
    const names = Array.from({ length: 8 }, (_, n) => `c${n}`);
    await Promise.all(names.map(async (name) => prepare(harness, orders, await seeing("id", name))));
    expect((await columnsOf(harness)).sort()).toEqual(["id", ...LINEAGE, ...names].sort());
    const table = await harness.table();
    const ids = table === undefined ? [] : currentSchema(table.metadata).fields.map((field) => field.id);
    expect(new Set(ids).size).toBe(ids.length);
  });

  test("that somebody else made is adopted, and gets the spec its replacements need", async () => {
    const made = new Harness({ seed: 2 });
    const partitioned = ingestionOf("orders", { target: { ...orders.target, partitionBy: ["id"] } });
    const table = await prepare(made, partitioned, await seeing("id"));
    if (table === undefined) throw new Error("no table was made");
    const foreign = table.metadata["partition-specs"].filter(({ fields }) => fields.length > 0);
    const harness = new Harness();
    const { catalog } = harness.ports();
    await catalog.create(nameOf("orders"), { ...table.metadata, "partition-specs": foreign });
    const adopted = await prepare(harness, orders, await seeing("id"));
    const specs = adopted?.metadata["partition-specs"] ?? [];
    expect(specs.map(({ fields }) => fields.length)).toEqual([1, 0]);
    expect(adopted?.metadata["default-spec-id"]).toBe(foreign[0]?.["spec-id"]);
    expect(await harness.head()).toMatchObject({ tableUuid: table.metadata["table-uuid"] });
  });
});

describe("a table that is not the one the ledger knows", () => {
  const orders = ingestionOf("orders");

  test("dropped: loaders stop instead of making a new one over the ledger's memory", async () => {
    const harness = new Harness();
    await prepare(harness, orders, await seeing("id"));
    harness.pointer.drop(nameOf("orders"));
    await expect(loadOwnTable(harness.ports(), orders)).rejects.toMatchObject({ kind: "Corrupt" });
    expect(await harness.table()).toBeUndefined();
  });

  test("made again: loaders stop and name both", async () => {
    const harness = new Harness();
    await prepare(harness, orders, await seeing("id"));
    const other = new Harness({ seed: 2 });
    const table = await prepare(other, orders, await seeing("id"));
    const ports = { ...harness.ports(), catalog: other.ports().catalog };
    await expect(loadOwnTable(ports, orders)).rejects.toMatchObject({
      kind: "Corrupt",
      context: { found: table?.metadata["table-uuid"] },
    });
  });
});
