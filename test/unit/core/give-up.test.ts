// A loader that gives its batch up in good order still holds the messages of its files, and they come back by themselves.

import { expect, test } from "vitest";
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
