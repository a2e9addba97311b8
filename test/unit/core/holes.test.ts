// Holes that a hostile reading of the protocol found, each closed and named after what it would have cost.

import { expect, test } from "vitest";
import { openBatch } from "../../../lambdas/core/batch.ts";
import { mapLimit } from "../../../lambdas/core/concurrency.ts";
import { MoraineError } from "../../../lambdas/core/errors.ts";
import { formatIntake, type ObjectEvent } from "../../../lambdas/core/events.ts";
import type { Revision, TableId } from "../../../lambdas/core/ids.ts";
import { planLoad } from "../../../lambdas/core/load-plan.ts";
import { load } from "../../../lambdas/core/pipeline.ts";
import { batchItem } from "../../../lambdas/core/records.ts";
import { createRouter } from "../../../lambdas/core/routing.ts";
import { Harness, ingestionOf, override } from "./harness.ts";

/** What a listing would send of the object as it stood when the event was made. */
function listed({ bucket, key, version }: ObjectEvent): ObjectEvent {
  const { etag, sizeBytes, timeMs } = version;
  return { bucket, key, version: { etag, sizeBytes, timeMs } };
}

test("a warehouse that refuses writes for hours, with the sweeper at work, fails no file", async () => {
  const harness = new Harness();
  const event = await harness.put("orders/1", "a");
  const store = override(harness.store, {
    put: async () => {
      throw new MoraineError("Unavailable", "the warehouse is away");
    },
  });
  for (let receiveCount = 3; receiveCount <= 9; receiveCount++) {
    expect((await harness.load([event], { receiveCount, ports: { store } })).retry).toHaveLength(1);
    harness.clock.advance(harness.settings.functionLifetimeMs * 2);
    await harness.sweep();
    await harness.sweep();
  }
  expect((await harness.load([event], { receiveCount: 10 })).outcomes.loaded).toBe(1);
});

test("a listing in one delivery with an event never takes the newer version's message with it", async () => {
  const harness = new Harness();
  const old = await harness.put("orders/1", "old");
  const fresh = await harness.put("orders/1", "new");
  const messages = [fresh, listed(old)].map((event, n) => ({
    id: `m${n}`,
    body: formatIntake([event]),
    receiveCount: 1,
  }));
  const context = {
    ports: harness.ports(),
    settings: harness.settings,
    route: createRouter(harness.ingestions),
    deadlineMs: Number.POSITIVE_INFINITY,
  };
  const report = await load(context, messages);
  expect(report).toMatchObject({ retry: [], outcomes: { loaded: 1, known: 1 } });
  await harness.commit();
  expect(await harness.rows()).toEqual(["new"]);
});

test("an event in one delivery with a listing never takes the message of what was there last: its upload may have begun first", async () => {
  const harness = new Harness();
  harness.clock.advance(60_000);
  const old = await harness.put("orders/1", "old");
  const { version, ...object } = listed(await harness.put("orders/1", "new"));
  const upload = { ...object, version: { ...version, timeMs: version.timeMs - 60_000 } };
  const plan = planLoad(
    createRouter(harness.ingestions),
    harness.settings,
    [old, upload].map((event, n) => ({ id: `m${n}`, body: formatIntake([event]), receiveCount: 1 })),
  );
  const turns = plan.batches.map(({ tasks }) => tasks.map(({ messageIds }) => messageIds));
  expect(turns).toEqual([[["m0"]], [["m1"]]]);
  await harness.load([old]);
  await harness.load([upload]);
  await harness.commit();
  expect(await harness.rows()).toEqual(["new"]);
});

test("a stale listing leaves the reason of a newer version that failed on record", async () => {
  const harness = new Harness();
  const good = await harness.put("orders/1", "good");
  const bad = await harness.put("orders/1", "BAD");
  await harness.load([bad]);
  await harness.load([listed(good)]);
  expect(await harness.file("orders/1")).toMatchObject({
    status: "FAILED",
    reason: "MALFORMED",
    version: { etag: bad.version.etag },
  });
});

test("under `append`, bytes that are loaded and come back after a broken version are not loaded twice", async () => {
  const harness = new Harness({ ingestions: [ingestionOf("orders", { onOverwrite: "append" })] });
  await harness.load([await harness.put("orders/1", "a")]);
  await harness.commit();
  await harness.load([await harness.put("orders/1", "BAD")]);
  await harness.load([await harness.put("orders/1", "a")]);
  await harness.commit();
  expect(await harness.rows()).toEqual(["a"]);
  expect(await harness.file("orders/1")).toMatchObject({ status: "SUCCESS", records: 1 });
});

test("an object that can never be read fails alone, with its reason, in the first delivery", async () => {
  const harness = new Harness();
  const events = [await harness.put("orders/1", "a"), await harness.put("orders/archived", "b")];
  const store = override(harness.store, {
    get: async (uri, options) => {
      if (uri.endsWith("archived"))
        throw new MoraineError("Rejected", "the object is archived: restore it, then put it again");
      return harness.store.get(uri, options);
    },
  });
  expect((await harness.load(events, { ports: { store } })).outcomes).toMatchObject({ loaded: 1, failed: 1 });
  expect(await harness.file("orders/archived")).toMatchObject({ status: "FAILED", reason: "UNREADABLE_OBJECT" });
});

test("a sweep that cannot clear away still asks for the commit that files wait for", async () => {
  const harness = new Harness();
  await harness.load([await harness.put("orders/1", "a")]);
  await harness.commit();
  harness.clock.advance(harness.settings.functionLifetimeMs * 2);
  await harness.load([await harness.put("orders/2", "b")]);
  harness.queues.hints.length = 0;
  const store = override(harness.store, {
    list: () => {
      throw new MoraineError("Corrupt", "an old manifest list cannot be read");
    },
  });
  await expect(harness.sweep("orders", { store })).rejects.toThrow("cannot be read");
  expect(harness.queues.hints).toHaveLength(1);
});

test("a batch that a late write brings back after it was committed costs none of its live objects", async () => {
  const harness = new Harness();
  const event = await harness.put("orders/1", "a");
  await harness.load([event]);
  await harness.commit();
  const batch = (await harness.file("orders/1"))?.loaded?.batch;
  if (batch === undefined) throw new Error("the file was not loaded");
  const facts = { table: "db.orders" as TableId, ingestion: ingestionOf("orders").id, intends: [event] };
  const { record } = await openBatch(harness.ports(), facts, 1);
  await harness.ledger.write(batchItem({ ...record, batch }, `${batch}:open` as Revision), "absent");
  for (let sweeps = 0; sweeps < 4; sweeps++) {
    harness.clock.advance(harness.settings.functionLifetimeMs * 2);
    await harness.sweep();
  }
  expect(await harness.batches()).toEqual([]);
  expect(await harness.rows()).toEqual(["a"]);
});

test("fan-out throws only when everything it began has ended: nothing goes on in a frozen function", async () => {
  const ended: number[] = [];
  let release: () => void = () => undefined;
  const slow = new Promise<void>((resolve) => {
    release = resolve;
  });
  const run = mapLimit([1, 2], 2, async (n) => {
    if (n === 1) throw new Error("first");
    await slow;
    ended.push(n);
  });
  release();
  await expect(run).rejects.toThrow("first");
  expect(ended).toEqual([2]);
});

test("of two versions in one message that nothing orders, neither is lost: also where the first is gone", async () => {
  for (const first of ["one", "two"]) {
    const harness = new Harness();
    const one = listed(await harness.put("orders/1", "one"));
    const two = listed(await harness.put("orders/1", "two"));
    const body = formatIntake(first === "one" ? [one, two] : [two, one]);
    const context = {
      ports: harness.ports(),
      settings: harness.settings,
      route: createRouter(harness.ingestions),
      deadlineMs: Number.POSITIVE_INFINITY,
    };
    const deliver = async (receiveCount: number) => {
      const { retry } = await load(context, [{ id: "m", body, receiveCount }]);
      await harness.commit();
      return retry;
    };
    const retry = await deliver(1);
    if (retry.length > 0) expect(await deliver(2)).toEqual([]);
    expect(await harness.rows()).toEqual(["two"]);
    expect(await harness.file("orders/1")).toMatchObject({ status: "SUCCESS", version: { etag: two.version.etag } });
  }
});
