// A loader that gives its batch up in good order still holds the messages of its files, and they come back by themselves.

import { expect, test } from "vitest";
import { MoraineError } from "../../../lambdas/core/errors.ts";
import { Harness, override } from "./harness.ts";

test("a batch that keeps failing makes no messages: were each failure sent again too, the queue would grow for ever", async () => {
  const harness = new Harness();
  const event = await harness.put("orders/1", "row 1");
  const broken = override(harness.store, {
    put: () => Promise.reject(new Error("a bug that every attempt meets")),
  });
  for (let delivery = 1; delivery <= 5; delivery++) {
    const report = await harness.load([event], { receiveCount: delivery, ports: { store: broken } });
    expect(report.retry).toHaveLength(1);
    await harness.sweep();
  }
  expect(harness.queues.intake).toEqual([]);
  // The event that is still there loads the file once the bug is gone.
  await harness.load([event], { receiveCount: 6 });
  await harness.commit();
  expect(await harness.rows()).toEqual(["row 1"]);
});

const unblamed = {
  start: () => Promise.reject(new MoraineError("Invalid", "records cannot be read and no source is to blame")),
};

test("what a loader gave up is not sent anew when its batch is cleared away: its message is only hidden for long", async () => {
  const harness = new Harness();
  const event = await harness.put("orders/1", "row 1");
  await harness.load([event], { receiveCount: 4, ports: { converter: unblamed } });
  harness.clock.advance(harness.settings.functionLifetimeMs);
  expect(await harness.sweep()).toMatchObject({ released: 0 });
  expect(harness.queues.intake).toEqual([]);
  expect(await harness.batches()).toEqual([]);
  expect(await harness.file("orders/1")).toMatchObject({ status: "DISCOVERED", reason: "ABORTED", deaths: 0 });
});

test("a file that was tried too often alone, and is not blamed, ends FAILED with its reason, and is tried again when something sends it", async () => {
  const harness = new Harness();
  const event = await harness.put("orders/1", "row 1");
  const { deliveriesMax } = harness.settings;
  for (let delivery = 1; delivery < deliveriesMax; delivery++) {
    const report = await harness.load([event], { receiveCount: delivery, ports: { converter: unblamed } });
    expect(report.retry).toHaveLength(1);
  }
  const last = await harness.load([event], { receiveCount: deliveriesMax, ports: { converter: unblamed } });
  expect(last).toMatchObject({ retry: [], outcomes: { failed: 1 } });
  expect(await harness.file("orders/1")).toMatchObject({
    status: "FAILED",
    reason: "UNLOADABLE",
    error: { kind: "Invalid", message: "records cannot be read and no source is to blame" },
  });
  expect((await harness.load([event])).outcomes).toMatchObject({ loaded: 1 });
  await harness.commit();
  expect(await harness.rows()).toEqual(["row 1"]);
});

test("a loader whose file was taken over while it failed does not decide it", async () => {
  const harness = new Harness();
  const event = await harness.put("orders/1", "row 1");
  const overtaken = {
    start: async () => {
      harness.clock.advance(harness.settings.leaseMs);
      await harness.load([event]);
      return unblamed.start();
    },
  };
  await harness.load([event], { receiveCount: harness.settings.deliveriesMax, ports: { converter: overtaken } });
  await harness.commit();
  expect(await harness.file("orders/1")).toMatchObject({ status: "SUCCESS" });
});
