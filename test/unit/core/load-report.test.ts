// What a load says about itself: the metrics and the bench are made from it.

import { expect, test } from "vitest";
import { Harness, override } from "./harness.ts";

test("the report counts the bytes of the files that landed, and names the step that took the time", async () => {
  const harness = new Harness();
  const slow = override(harness.store, {
    get: (uri, options) => {
      harness.clock.advance(7);
      return harness.store.get(uri, options);
    },
  });
  const events = [await harness.put("orders/1", "row 1"), await harness.put("orders/2", "row 2")];
  const { bytesRead, spentMs } = await harness.load(events, { ports: { store: slow } });
  expect(bytesRead).toBe(events.reduce((sum, { version }) => sum + version.sizeBytes, 0));
  expect(spentMs.fetch).toBe(14);
  expect(spentMs).toMatchObject({ claim: 0, convert: 0, seal: 0 });

  const again = await harness.load(events);
  expect(again.bytesRead).toBe(0);
});
