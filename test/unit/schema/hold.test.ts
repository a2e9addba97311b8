// Files that wait for a decision, from the first of them to the last row, over the simulated converter: a line `…@c:long` brings column c
// with another type than `…@c`.

import { describe, expect, test } from "vitest";
import type { Ingestion } from "../../../lambdas/core/config.ts";
import { currentSchema } from "../../../lambdas/core/iceberg/metadata.ts";
import type { Fingerprint, IngestionId } from "../../../lambdas/core/ids.ts";
import { carryOut, decide } from "../../../lambdas/core/schema/carry-out.ts";
import { SCHEMA_DEFAULTS } from "../../../lambdas/core/schema/defaults.ts";
import { changesOf, countHeld, versionsOf } from "../../../lambdas/core/schema/history.ts";
import type { SchemaChange, Verdict } from "../../../lambdas/core/schema/records.ts";
import { tendSchemas } from "../../../lambdas/core/schema/tend.ts";
import { Harness, ingestionOf, nameOf } from "../core/harness.ts";

const ORDERS = "orders" as IngestionId;

function harnessOf(schema: Partial<Ingestion["schema"]> = {}): Harness {
  return new Harness({ ingestions: [ingestionOf("orders", { schema: { ...SCHEMA_DEFAULTS, ...schema } })] });
}

async function landed(harness: Harness, key: string, ...lines: string[]) {
  const { outcomes } = await harness.load([await harness.put(`orders/${key}`, ...lines)]);
  await harness.commit();
  return outcomes;
}

async function onlyChange(harness: Harness): Promise<SchemaChange> {
  const [change, ...others] = await changesOf(harness.ledger, ORDERS);
  expect(others).toEqual([]);
  if (change === undefined) throw new Error("nothing is held");
  return change;
}

async function settle(harness: Harness, verdict: Verdict, fingerprint?: Fingerprint) {
  const ports = harness.ports();
  const target = nameOf("orders");
  const print = fingerprint ?? (await onlyChange(harness)).fingerprint;
  const change = await decide(
    ports,
    { ingestion: ORDERS, target, fingerprint: print },
    { verdict, by: "me", why: "so" },
  );
  return carryOut(ports, harness.settings, target, change);
}

/** What release sent is loaded and committed. */
async function loadReleased(harness: Harness): Promise<number> {
  const bodies = harness.queues.intake.splice(0);
  const messages = bodies.flatMap((body) => JSON.parse(body).events);
  const { outcomes } = await harness.load(messages);
  await harness.commit();
  return outcomes.loaded;
}

async function columnsOf(harness: Harness): Promise<string[]> {
  const table = await harness.table();
  const fields = table === undefined ? [] : currentSchema(table.metadata).fields;
  return fields.map(({ name }) => name).filter((name) => !name.startsWith("_"));
}

async function tend(harness: Harness) {
  const sent: { subject: string; text: string }[] = [];
  const alerts = { publish: async (alert: { subject: string; text: string }) => void sent.push(alert) };
  const ports = { ...harness.ports(), alerts };
  const context = { ports, settings: harness.settings, deadlineMs: Number.POSITIVE_INFINITY };
  const report = await tendSchemas(context, harness.ingestions);
  expect(report.errors).toEqual([]);
  return { sent, ...report };
}

describe("a file whose values do not fit", () => {
  test("is held, and nothing else is", async () => {
    const harness = harnessOf();
    await landed(harness, "1", "a@c");
    const bad = await harness.put("orders/2", "b@c:long", "b2@c:long");
    const good = await harness.put("orders/3", "d@c", "e@new");
    expect((await harness.load([bad, good])).outcomes).toMatchObject({ held: 1, loaded: 1 });
    await harness.commit();
    expect(await harness.rows()).toEqual(["a@c", "d@c", "e@new"]);
    const { fingerprint } = await onlyChange(harness);
    expect(await harness.file("orders/2")).toMatchObject({
      status: "SKIPPED",
      reason: "SCHEMA_HELD",
      fingerprint,
      error: { column: "c", message: expect.stringContaining(`moraine schema show ${fingerprint}`) },
    });
  });

  test("is not looked at again by redeliveries, listings and another put of its bytes", async () => {
    const harness = harnessOf();
    await landed(harness, "1", "a@c");
    const event = await harness.put("orders/2", "b@c:long");
    await harness.load([event]);
    expect((await harness.load([event])).outcomes).toMatchObject({ known: 1 });
    expect((await harness.load([await harness.put("orders/2", "b@c:long")])).outcomes).toMatchObject({ known: 1 });
  });

  test("gives way to a version that fits", async () => {
    const harness = harnessOf();
    await landed(harness, "1", "a@c");
    await landed(harness, "2", "b@c:long");
    expect(await landed(harness, "2", "b@c")).toMatchObject({ loaded: 1 });
    expect(await harness.rows()).toEqual(["a@c", "b@c"]);
    await settle(harness, "merge");
    expect(await loadReleased(harness)).toBe(0);
    expect(await harness.rows()).toEqual(["a@c", "b@c"]);
  });

  test("shares its fingerprint and one alert with others of the same difference", async () => {
    const harness = harnessOf();
    await landed(harness, "1", "a@c");
    for (const n of [2, 3, 4]) await landed(harness, `${n}`, `b${n}@c:long`, "x@c:long");
    const { sent } = await tend(harness);
    expect(sent).toHaveLength(1);
    expect(sent[0]?.text).toContain("Held so far: 3 files, 6 rows");
    expect(sent[0]?.text).toContain("c: string, the file has long");
    await landed(harness, "5", "b5@c:long");
    expect((await tend(harness)).sent).toEqual([]);
    expect(await countHeld(harness.ledger, await onlyChange(harness), 2)).toMatchObject({ files: 2, capped: true });
  });
});

test("an alert is sent once by sweeps that overlap, and again only when the one that would send it died", async () => {
  const harness = harnessOf();
  await landed(harness, "1", "a@c");
  await landed(harness, "2", "b@c:long");
  let sent = 0;
  const alerts = {
    publish: async () => {
      sent++;
      await tend(harness).then((other) => expect(other.sent).toEqual([]));
      if (sent === 1) throw new Error("died before it could say so");
    },
  };
  const ports = { ...harness.ports(), alerts };
  const sweep = () =>
    tendSchemas({ ports, settings: harness.settings, deadlineMs: Number.POSITIVE_INFINITY }, harness.ingestions);
  expect((await sweep()).errors).toHaveLength(1);
  expect((await sweep()).alerted).toBe(0);
  harness.clock.advance(harness.settings.functionLifetimeMs);
  expect((await sweep()).alerted).toBe(1);
  harness.clock.advance(harness.settings.functionLifetimeMs);
  expect((await sweep()).alerted).toBe(0);
  expect(sent).toBe(2);
});

describe("a decision", () => {
  test.each<[Verdict, string[]]>([
    ["accept", ["c_v1", "c"]],
    ["merge", ["c", "c_string"]],
  ])("to %s releases every held file, once, and holds no later one", async (verdict, columns) => {
    const harness = harnessOf();
    await landed(harness, "1", "a@c");
    for (const n of [2, 3]) await landed(harness, `${n}`, `b${n}@c:long`);
    const done = await settle(harness, verdict);
    expect(done).toMatchObject({ released: 2, left: 0 });
    expect(await columnsOf(harness)).toEqual(columns);
    expect(await loadReleased(harness)).toBe(2);
    expect(await landed(harness, "4", "b4@c:long")).toMatchObject({ loaded: 1 });
    expect(await harness.rows()).toEqual(["a@c", "b2@c:long", "b3@c:long", "b4@c:long"]);
    harness.clock.advance(harness.settings.functionLifetimeMs);
    await tend(harness);
    expect(await onlyChange(harness)).toMatchObject({
      carriedOutAtMs: expect.any(Number),
      decisions: [{ verdict, by: "me", why: "so" }],
    });
    expect((await versionsOf(harness.ledger, ORDERS)).at(-1)).toMatchObject({
      fingerprint: (await onlyChange(harness)).fingerprint,
    });
  });

  test("to reject rejects every held file for good, and later ones at once", async () => {
    const harness = harnessOf();
    await landed(harness, "1", "a@c");
    await landed(harness, "2", "b@c:long");
    await settle(harness, "reject");
    expect(await harness.file("orders/2")).toMatchObject({
      status: "REJECTED",
      reason: "SCHEMA_REJECTED",
      error: { message: expect.stringContaining("rejected by me: so") },
    });
    expect(await landed(harness, "3", "d@c:long")).toMatchObject({ failed: 1 });
    expect(await harness.file("orders/3")).toMatchObject({ status: "REJECTED" });
    expect(await harness.rows()).toEqual(["a@c"]);
  });

  test("that its command did not live to carry out is carried out by the sweeper", async () => {
    const harness = harnessOf();
    await landed(harness, "1", "a@c");
    await landed(harness, "2", "b@c:long");
    const { fingerprint } = await onlyChange(harness);
    const place = { ingestion: ORDERS, target: nameOf("orders"), fingerprint };
    await decide(harness.ports(), place, { verdict: "merge", by: "me" });
    expect((await tend(harness)).released).toBe(1);
    expect(await loadReleased(harness)).toBe(1);
    expect(await harness.rows()).toEqual(["a@c", "b@c:long"]);
  });

  test("is made once: another one is refused, the same one is as good", async () => {
    const harness = harnessOf();
    await landed(harness, "1", "a@c");
    await landed(harness, "2", "b@c:long");
    const { fingerprint } = await onlyChange(harness);
    await settle(harness, "merge", fingerprint);
    await expect(settle(harness, "reject", fingerprint)).rejects.toMatchObject({ kind: "Conflict" });
    await expect(settle(harness, "merge", fingerprint)).resolves.toMatchObject({ released: 0 });
  });

  test("waits for a file that a loader has in hand", async () => {
    const harness = harnessOf();
    await landed(harness, "1", "a@c");
    const event = await harness.put("orders/2", "b@c:long");
    const { ledger } = harness;
    let done: Awaited<ReturnType<typeof settle>> | undefined;
    const slow = {
      ...harness.ports().ledger,
      write: async (...args: Parameters<typeof ledger.write>) => {
        const [item] = args;
        if (item.body["reason"] === "SCHEMA_HELD") done = await settle(harness, "merge");
        return ledger.write(...args);
      },
      read: ledger.read.bind(ledger),
      readMany: ledger.readMany.bind(ledger),
      remove: ledger.remove.bind(ledger),
      list: ledger.list.bind(ledger),
      listIndex: ledger.listIndex.bind(ledger),
    };
    await harness.load([event], { ports: { ledger: slow as never } });
    expect(done).toMatchObject({ released: 0, left: 1 });
    expect((await tend(harness)).released).toBe(1);
    expect(await loadReleased(harness)).toBe(1);
  });
});

describe("policies", () => {
  test("hold lets no new column in before it is accepted", async () => {
    const harness = harnessOf({ policy: "hold" });
    await landed(harness, "1", "a@c");
    expect(await landed(harness, "2", "b@d")).toMatchObject({ held: 1 });
    expect(await landed(harness, "3", "e@c")).toMatchObject({ loaded: 1 });
    expect(await columnsOf(harness)).toEqual(["c"]);
    await settle(harness, "accept");
    expect(await loadReleased(harness)).toBe(1);
    expect(await columnsOf(harness)).toEqual(["c", "d"]);
    expect(await harness.rows()).toEqual(["a@c", "b@d", "e@c"]);
  });

  test("fail fails the file with the difference", async () => {
    const harness = harnessOf({ policy: "fail" });
    await landed(harness, "1", "a@c");
    expect(await landed(harness, "2", "b@d")).toMatchObject({ failed: 1 });
    expect(await harness.file("orders/2")).toMatchObject({
      reason: "SCHEMA_CHANGED",
      error: { message: expect.stringContaining("d: not in the table, the file has string") },
    });
    expect(await landed(harness, "3", "b@c:long")).toMatchObject({ failed: 1 });
    expect(await harness.file("orders/3")).toMatchObject({ reason: "TYPE_MISMATCH", error: { column: "c" } });
  });

  test("rescue keeps the schema and every row", async () => {
    const harness = harnessOf({ policy: "rescue" });
    await landed(harness, "1", "a@c");
    expect(await landed(harness, "2", "b@d", "e@c:long")).toMatchObject({ loaded: 1 });
    expect(await columnsOf(harness)).toEqual(["c"]);
    expect(await harness.rows()).toEqual(["a@c", "b@d", "e@c:long"]);
  });

  test("evolve rescues the few rows that do not fit, and says how many", async () => {
    const harness = harnessOf({ rescueShareMax: 0.25 });
    await landed(harness, "1", "a@c");
    expect(await landed(harness, "2", "b1@c", "b2@c", "b3@c", "b4@c:long")).toMatchObject({ loaded: 1 });
    expect(await harness.file("orders/2")).toMatchObject({ loaded: { records: 4, rescued: 1 } });
    expect(await landed(harness, "3", "b1@c", "b2@c:long")).toMatchObject({ held: 1 });
  });

  test("a schema given in full is there before the first file says otherwise", async () => {
    const harness = harnessOf({ columns: { c: "string", price: "decimal(9, 2)" } });
    await landed(harness, "1", "a@c", "b@x");
    expect(await columnsOf(harness)).toEqual(["c", "price", "x"]);
  });
});
