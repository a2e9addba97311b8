// Schema changes that are large, many, or in the way of each other: nothing grows past what the ledger holds, and nobody waits for another.

import { describe, expect, test } from "vitest";
import type { Ingestion } from "../../../lambdas/core/config.ts";
import type { IngestionId } from "../../../lambdas/core/ids.ts";
import { carryOut, decide } from "../../../lambdas/core/schema/carry-out.ts";
import { SCHEMA_DEFAULTS } from "../../../lambdas/core/schema/defaults.ts";
import { changesOf, countHeld, versionsOf } from "../../../lambdas/core/schema/history.ts";
import type { SchemaChange } from "../../../lambdas/core/schema/records.ts";
import { alertOf, tendSchemas } from "../../../lambdas/core/schema/tend.ts";
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

describe("the sweeper", () => {
  test("tends to the other changes of an ingestion when one cannot be", async () => {
    const harness = harnessOf("evolve");
    await land(harness, "orders/1", "a@c", "b@d");
    await land(harness, "orders/2", "a@c:long");
    await land(harness, "orders/3", "b@d:long");
    const sent: string[] = [];
    let publications = 0;
    const alerts = {
      publish: async ({ subject }: { readonly subject: string }) => {
        if (publications++ === 0) throw new Error("no such topic");
        sent.push(subject);
      },
    };
    const ports = { ...harness.ports(), alerts };
    const context = { ports, settings: harness.settings, deadlineMs: Number.POSITIVE_INFINITY };
    expect((await tendSchemas(context, harness.ingestions)).errors).toHaveLength(1);
    expect(sent).toHaveLength(1);
  });

  test("releases as many files as it has time for, and the rest when it comes again", async () => {
    const harness = harnessOf("evolve");
    await land(harness, "orders/1", "a@c");
    const events = await Promise.all(Array.from({ length: 60 }, (_, n) => harness.put(`orders/x${n}`, "a@c:long")));
    await harness.load(events);
    const [change] = (await changes(harness)) as [SchemaChange];
    await decide(harness.ports(), { ...PLACE, ...change }, { verdict: "merge", by: "me" });
    const alerts = { publish: async () => undefined };
    const now = () => {
      harness.clock.advance(1);
      return harness.clock.now();
    };
    const ports = { ...harness.ports(), clock: { now }, alerts };
    const tend = (forMs: number) =>
      tendSchemas({ ports, settings: harness.settings, deadlineMs: harness.clock.now() + forMs }, harness.ingestions);
    const first = await tend(5);
    expect(first.released).toBeLessThan(60);
    expect((await changes(harness))[0]?.carriedOutAtMs).toBeUndefined();
    const second = await tend(1_000_000);
    expect(first.released + second.released).toBe(60);
    expect(await countHeld(harness.ledger, change, 100)).toMatchObject({ files: 0 });
  });
});
