// Rows and files that cannot be read, on their way into the quarantine table. Lines `QUARANTINE…` are rows that are none.

import { describe, expect, test } from "vitest";
import type { Ingestion } from "../../../lambdas/core/config.ts";
import type { ObjectEvent } from "../../../lambdas/core/events.ts";
import { assignFieldIds } from "../../../lambdas/core/iceberg/schema.ts";
import type { Schema } from "../../../lambdas/core/iceberg/types.ts";
import { judgeMisfits } from "../../../lambdas/core/schema/misfits.ts";
import { quarantineIngestions } from "../../../lambdas/core/schema/quarantine.ts";
import { Harness, ingestionOf } from "../core/harness.ts";

function harnessOf(): Harness {
  const orders = ingestionOf("orders", { badRows: { onBadRow: "quarantine", shareMax: 1 } });
  return new Harness({ ingestions: [orders, ...quarantineIngestions([orders], "s3://warehouse/tables")] });
}

/** What was sent for the quarantine is loaded and committed; its rows, as texts. */
async function quarantined(harness: Harness): Promise<string[]> {
  const events = harness.queues.intake.splice(0).flatMap((body) => JSON.parse(body).events as ObjectEvent[]);
  expect((await harness.load(events)).outcomes).toMatchObject({ failed: 0, retry: 0 });
  await harness.commit("orders_quarantine");
  return harness.rows("orders_quarantine");
}

describe("the quarantine", () => {
  test("gets the rows of a file once it is committed, and not before", async () => {
    const harness = harnessOf();
    await harness.load([await harness.put("orders/1", "a", "QUARANTINE#1", "b")]);
    expect(harness.queues.intake).toEqual([]);
    await harness.commit();
    expect(await harness.rows()).toEqual(["a", "b"]);
    expect(await harness.file("orders/1")).toMatchObject({ loaded: { records: 2, quarantined: 1 } });
    expect(await quarantined(harness)).toEqual([expect.stringContaining("QUARANTINE#1")]);
  });

  test("gets a file that cannot be read at all as one row, however often it is tried", async () => {
    const harness = harnessOf();
    const event = await harness.put("orders/1", "BAD");
    for (let n = 0; n < 2; n++) {
      await harness.load([await harness.put("orders/1", "BAD"), event]);
    }
    expect(await harness.file("orders/1")).toMatchObject({ status: "FAILED", reason: "MALFORMED" });
    const rows = await quarantined(harness);
    expect(rows).toHaveLength(1);
    expect(JSON.parse(rows[0] as string)).toMatchObject({
      file: "s3://landing/orders/1",
      line: 1,
      reason: "MALFORMED",
    });
  });

  test("gets nothing of a batch that was aborted, and what that staged is cleared away", async () => {
    const harness = harnessOf();
    const event = await harness.put("orders/1", "a", "QUARANTINE#1");
    const { ledger } = harness;
    const unsealing = new Proxy(ledger, {
      get(target, name) {
        if (name !== "write") return Reflect.get(target, name).bind(target);
        return (...args: Parameters<typeof ledger.write>) => {
          if (args[0].body["state"] === "SEALED") throw new Error("died before the seal");
          return ledger.write(...args);
        };
      },
    });
    await harness.load([event], { ports: { ledger: unsealing } });
    const staged = () => [...harness.store.objects.keys()].filter((uri) => uri.includes("/_quarantine/"));
    expect(staged()).toHaveLength(1);
    harness.clock.advance(harness.settings.functionLifetimeMs * 2);
    await harness.sweep();
    expect(staged()).toEqual([]);
    await harness.load([event]);
    await harness.commit();
    expect(await quarantined(harness)).toHaveLength(1);
  });

  test("holds nothing back, whatever others make of its table", () => {
    const [quarantine] = quarantineIngestions([ingestionOf("orders")], "s3://warehouse/tables");
    const { fields } = assignFieldIds([{ name: "text", type: "int" }], 0);
    const columns = [{ path: "text", fileType: "string", records: 9, samples: [] }] as const;
    const misfits = { index: 0, records: 9, unfit: 9, columns };
    const table: Schema = { type: "struct", "schema-id": 0, fields };
    expect(judgeMisfits(misfits, quarantine as Ingestion, table, [])).toMatchObject({ treatment: { rescue: true } });
  });

  test("gets rows that were on their way when the option was taken back", async () => {
    const harness = harnessOf();
    await harness.load([await harness.put("orders/1", "a", "QUARANTINE#1")]);
    await harness.commit();
    const plain = ingestionOf("orders");
    const now = new Harness({
      ingestions: [plain, ...quarantineIngestions([plain], "s3://warehouse/tables")],
      seed: 2,
    });
    const { store, ledger, queues } = harness;
    const events = queues.intake.splice(0).flatMap((body) => JSON.parse(body).events as ObjectEvent[]);
    expect((await now.load(events, { ports: { store, ledger } })).outcomes).toMatchObject({ loaded: 1 });
  });
});
