// Schema changes that are large, many, or in the way of each other: nothing grows past what the ledger holds, and nobody waits for another.

import { describe, expect, test } from "vitest";
import type { Ingestion } from "../../../lambdas/core/config.ts";
import type { IngestionId } from "../../../lambdas/core/ids.ts";
import { carryOut, decide } from "../../../lambdas/core/schema/carry-out.ts";
import { SCHEMA_DEFAULTS } from "../../../lambdas/core/schema/defaults.ts";
import { changesOf, versionsOf } from "../../../lambdas/core/schema/history.ts";
import type { SchemaChange } from "../../../lambdas/core/schema/records.ts";
import { alertOf } from "../../../lambdas/core/schema/tend.ts";
import { Harness, ingestionOf, nameOf } from "../core/harness.ts";

const ORDERS = "orders" as IngestionId;
const PLACE = { ingestion: ORDERS, target: nameOf("orders") };

function harnessOf(policy: Ingestion["schema"]["policy"]): Harness {
  return new Harness({ ingestions: [ingestionOf("orders", { schema: { ...SCHEMA_DEFAULTS, policy } })] });
}

async function land(harness: Harness, key: string, ...lines: string[]): Promise<void> {
  const { errors } = await harness.load([await harness.put(key, ...lines)]);
  expect(errors).toEqual([]);
  await harness.commit();
}

async function changes(harness: Harness): Promise<SchemaChange[]> {
  return changesOf(harness.ledger, ORDERS);
}

/** 450 KB of names: more than a ledger item holds. */
const MANY = Array.from({ length: 150 }, (_, n) => `b@${"n".repeat(3000)}${n}`);

describe("differences as long as a book", () => {
  test("are added and noted in short", async () => {
    const harness = harnessOf("evolve");
    await land(harness, "orders/1", "a@c");
    await land(harness, "orders/2", ...MANY);
    const [version] = await versionsOf(harness.ledger, ORDERS);
    expect(version?.changes.length).toBe(150);
  });

  test("are rejected all the same, and asked about in a message that says how to decide", async () => {
    const harness = harnessOf("hold");
    await land(harness, "orders/1", "a@c");
    await land(harness, "orders/2", ...MANY);
    const [change] = (await changes(harness)) as [SchemaChange];
    const { text } = alertOf(change, { files: 1, rows: 150, capped: false });
    expect(text.length).toBeLessThan(20_000);
    expect(text).toContain(`moraine schema reject ${change.fingerprint}`);
    const ports = harness.ports();
    const decided = await decide(ports, { ...PLACE, ...change }, { verdict: "reject", by: "me" });
    expect(await carryOut(ports, harness.settings, PLACE.target, decided)).toMatchObject({ released: 1, left: 0 });
    expect(await harness.file("orders/2")).toMatchObject({ status: "REJECTED" });
  });
});
