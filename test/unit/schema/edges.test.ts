// Decisions and policies where they meet what others did to the table, names that look like paths, and differences as long as a book.

import { describe, expect, test } from "vitest";
import type { Ingestion } from "../../../lambdas/core/config.ts";
import { currentSchema, newTableMetadata } from "../../../lambdas/core/iceberg/metadata.ts";
import { parsePartitionBy } from "../../../lambdas/core/iceberg/partition.ts";
import type { NestedField } from "../../../lambdas/core/iceberg/types.ts";
import type { Fingerprint, IngestionId } from "../../../lambdas/core/ids.ts";
import type { Conversion } from "../../../lambdas/core/ports.ts";
import { carryOut, decide } from "../../../lambdas/core/schema/carry-out.ts";
import { SCHEMA_DEFAULTS } from "../../../lambdas/core/schema/defaults.ts";
import { changesOf } from "../../../lambdas/core/schema/history.ts";
import type { SchemaChange, Verdict } from "../../../lambdas/core/schema/records.ts";
import { RowConverter } from "../../simulation/row-converter.ts";
import { Harness, ingestionOf, nameOf, override } from "../core/harness.ts";

const ORDERS = "orders" as IngestionId;

function harnessOf(schema: Partial<Ingestion["schema"]> = {}, more: Partial<Ingestion> = {}): Harness {
  return new Harness({ ingestions: [ingestionOf("orders", { schema: { ...SCHEMA_DEFAULTS, ...schema }, ...more })] });
}

/** A table that somebody else made. */
async function adopt(harness: Harness, fields: readonly NestedField[], partitionBy: readonly string[] = []) {
  const schema = { type: "struct", "schema-id": 0, fields } as const;
  const metadata = newTableMetadata({
    uuid: "0c5c7b0a-0000-7000-8000-000000000000",
    location: "s3://warehouse/tables/db/orders",
    fields,
    lastColumnId: fields.length,
    specFields: parsePartitionBy(partitionBy, schema),
    properties: {},
    nowMs: 0,
  });
  // A spec of former days: the simulated converter partitions nothing, and the names of its fields count all the same.
  await harness.ports().catalog.create(nameOf("orders"), { ...metadata, "default-spec-id": 0 });
}

async function land(harness: Harness, key: string, ...lines: string[]) {
  const { outcomes, errors } = await harness.load([await harness.put(key, ...lines)]);
  expect(errors).toEqual([]);
  await harness.commit();
  return outcomes;
}

async function openChange(harness: Harness, ingestion = ORDERS): Promise<SchemaChange> {
  const open = (await changesOf(harness.ledger, ingestion)).filter(({ status }) => status === "OPEN");
  expect(open).toHaveLength(1);
  return open[0] as SchemaChange;
}

async function settle(harness: Harness, verdict: Verdict, fingerprint: Fingerprint, ingestion = ORDERS) {
  const ports = harness.ports();
  const target = nameOf("orders");
  const change = await decide(ports, { ingestion, target, fingerprint }, { verdict, by: "me" });
  return carryOut(ports, harness.settings, target, change);
}

async function loadReleased(harness: Harness) {
  const events = harness.queues.intake.splice(0).flatMap((body) => JSON.parse(body).events);
  const { outcomes, errors } = await harness.load(events);
  expect(errors).toEqual([]);
  await harness.commit();
  return outcomes;
}

async function fieldsOf(harness: Harness): Promise<string[]> {
  const table = await harness.table();
  const fields = table === undefined ? [] : currentSchema(table.metadata).fields;
  return fields
    .filter(({ name }) => !/^_(file_(path|modified_at)|ingested_at)$/.test(name))
    .map(({ name, type, required }) => `${name} ${type}${required ? "!" : ""}`);
}

const column = (id: number, name: string, type: NestedField["type"], required = false): NestedField => ({
  id,
  name,
  type,
  required,
});

describe("a required column of a table that somebody else made", () => {
  test.each(["rescue", "hold", "fail"] as const)("stays required under %s: the schema is fixed", async (policy) => {
    const harness = harnessOf({ policy });
    await adopt(harness, [column(1, "c", "string", true), column(2, "d", "string")]);
    await land(harness, "orders/1", "a@c");
    expect(await fieldsOf(harness)).toContain("c string!");
  });

  test.each<Verdict>(["accept", "merge"])(
    "stays required when another column is decided about: %s",
    async (verdict) => {
      const harness = harnessOf();
      await adopt(harness, [column(1, "c", "string"), column(2, "d", "string", true)]);
      await land(harness, "orders/1", "x@d", "a@c:long");
      await settle(harness, verdict, (await openChange(harness)).fingerprint);
      expect(await fieldsOf(harness)).toContain("d string!");
    },
  );
});

test.each(["hold", "fail"] as const)(
  "a file that lacks a column is no less different in company under %s",
  async (policy) => {
    const harness = harnessOf({ policy }, { format: { type: "parquet" }, lineage: false, onOverwrite: "append" });
    await land(harness, "orders/1", "a@c", "b@d");
    const events = [await harness.put("orders/2", "e@c", "f@d"), await harness.put("orders/3", "g@c")];
    const { outcomes } = await harness.load(events);
    expect(outcomes).toMatchObject({ loaded: 1, ...(policy === "hold" ? { held: 1 } : { failed: 1 }) });
  },
);

test.each(["hold", "fail"] as const)(
  "a new column called almost as lineage is a difference like others under %s",
  async (policy) => {
    const harness = harnessOf({ policy });
    await land(harness, "orders/1", "a@c");
    const outcomes = await land(harness, "orders/2", "b@_file_path_1");
    expect(outcomes).toMatchObject(policy === "hold" ? { held: 1 } : { failed: 1 });
  },
);

test("a new column with the name of a partition field is rescued under rescue", async () => {
  const harness = harnessOf({ policy: "rescue" });
  await adopt(harness, [column(1, "c", "string"), column(2, "at", "timestamptz")], ["day(at)"]);
  expect(await land(harness, "orders/1", "a@at_day")).toMatchObject({ loaded: 1 });
});

test("a column with a dot in its name that waits under hold is added when accepted", async () => {
  const harness = harnessOf({ policy: "hold" });
  await land(harness, "orders/1", "a@c");
  await land(harness, "orders/2", "b@unit.price");
  await settle(harness, "accept", (await openChange(harness)).fingerprint);
  expect(await fieldsOf(harness)).toEqual(["c string", "unit.price string"]);
  expect(await loadReleased(harness)).toMatchObject({ loaded: 1 });
});

test("accepting twice what two ingestions of one table ask makes one new column", async () => {
  const { target } = ingestionOf("orders");
  const ingestions = ["orders", "more"].map((id) => ingestionOf(id, { target }));
  const harness = new Harness({ ingestions });
  await land(harness, "orders/1", "a@c");
  await land(harness, "orders/2", "b@c:long");
  await land(harness, "more/1", "d@c:long");
  const more = "more" as IngestionId;
  const second = await openChange(harness, more);
  await settle(harness, "accept", (await openChange(harness)).fingerprint);
  await settle(harness, "accept", second.fingerprint, more);
  expect(await fieldsOf(harness)).toEqual(["c_v1 string", "c long"]);
  expect(await loadReleased(harness)).toMatchObject({ loaded: 2 });
  expect(await harness.rows()).toEqual(["a@c", "b@c:long", "d@c:long"]);
});

describe("a value that neither fits nor has room where a decision sends it", () => {
  // What such values leave the converter with: misfits of a column that has its route already.
  const stubborn = (harness: Harness) => {
    const real = new RowConverter();
    const start: RowConverter["start"] = async (job) => {
      const conversion = await real.start(job);
      let settled = false;
      const treat: Conversion["treat"] = (index, treatment) => {
        settled = treatment.rescue;
        conversion.treat(index, treatment);
      };
      const leaveOut: Conversion["leaveOut"] = (index) => {
        settled = true;
        conversion.leaveOut(index);
      };
      const convert: Conversion["convert"] = async (schema, spec) => {
        const columns = [{ path: "c", fileType: "long" as const, records: 1, samples: [] }];
        const misfits = [{ index: 0, records: 1, unfit: 1, columns }];
        return settled ? conversion.convert(schema, spec) : { files: [], loaded: [], failures: [], misfits };
      };
      return override(conversion, { treat, leaveOut, convert });
    };
    return { ...harness.ports(), converter: { start } };
  };

  test.each([
    ["rescue", 0],
    ["evolve", 1],
  ] as const)("is rescued where its policy %s rescues", async (policy, rescueShareMax) => {
    const harness = harnessOf({ rescueShareMax: 0 });
    await land(harness, "orders/1", "a@c");
    await land(harness, "orders/2", "b@c:long");
    await settle(harness, "merge", (await openChange(harness)).fingerprint);
    const schema = { ...SCHEMA_DEFAULTS, policy, rescueShareMax };
    const later = Object.assign(harness, { ingestions: [ingestionOf("orders", { schema })] });
    const event = await later.put("orders/3", "d@c:long");
    const { outcomes } = await later.load([event], { ports: stubborn(later) });
    expect(outcomes).toMatchObject({ loaded: 1 });
  });
});

test("what the table came to refuse before it was carried out can be decided otherwise", async () => {
  const harness = harnessOf();
  await land(harness, "orders/1", "a@c");
  await land(harness, "orders/2", "b@c:long");
  const { fingerprint } = await openChange(harness);
  const ports = harness.ports();
  const place = { ingestion: ORDERS, target: nameOf("orders"), fingerprint };
  const accepted = await decide(ports, place, { verdict: "accept", by: "me" });
  const table = await ports.catalog.load(place.target);
  if (table === undefined) throw new Error("there is no table");
  const [source] = currentSchema(table.metadata).fields.filter(({ name }) => name === "c");
  const field = { "source-id": source?.id ?? 0, "field-id": 1000, name: "c_bucket", transform: "bucket[4]" } as const;
  const spec = { "spec-id": 7, fields: [field] };
  await ports.catalog.commit(table, { requirements: [], updates: [{ action: "add-spec", spec }], folder: "foreign" });
  await expect(carryOut(ports, harness.settings, place.target, accepted)).rejects.toThrow("use merge");
  expect(await settle(harness, "merge", fingerprint)).toMatchObject({ released: 1 });
  expect(await loadReleased(harness)).toMatchObject({ loaded: 1 });
  expect(await harness.rows()).toEqual(["a@c", "b@c:long"]);
});
