// What a file costs, counted where it is paid: per file one GET and two ledger writes, everything else per batch or per commit.

import { expect, test } from "vitest";
import type { ObjectEvent } from "../../../lambdas/core/events.ts";
import { Harness, ingestionOf } from "./harness.ts";

const FILES = 2000;
const FILES_PER_BATCH = 500;
const BATCHES = FILES / FILES_PER_BATCH;

function clearCalls({ store, ledger, pointer, queues }: Harness): void {
  for (const port of [store, ledger, pointer, queues]) port.calls.clear();
}

function calls({ store, ledger, pointer, queues }: Harness) {
  const of = (counts: ReadonlyMap<string, number>) => Object.fromEntries(counts);
  return { store: of(store.calls), ledger: of(ledger.calls), pointer: of(pointer.calls), queues: of(queues.calls) };
}

test("2,000 small files in batches of 500 cost one GET and two ledger writes each, and a constant per batch", async () => {
  const batch = { filesMax: FILES_PER_BATCH, bytesMax: 1_000_000_000 };
  const harness = new Harness({ ingestions: [ingestionOf("orders", { batch })] });
  // The table is there, as in steady state.
  await harness.load([await harness.put("orders/first", "row")]);
  await harness.commit();
  const events: ObjectEvent[] = [];
  for (let n = 0; n < FILES; n++) events.push(await harness.put(`orders/${n}`, `row ${n}`));

  clearCalls(harness);
  await harness.load(events);
  const loading = calls(harness);
  clearCalls(harness);
  await harness.commit();
  const committing = calls(harness);
  console.log("loading", JSON.stringify(loading), "committing", JSON.stringify(committing));

  // Per batch: its item opened and sealed, the head and the table read, one hint.
  expect(loading.ledger).toEqual({ write: FILES + 2 * BATCHES, read: BATCHES });
  expect(loading.store["get"]).toBe(FILES + BATCHES);
  expect(loading.store).not.toHaveProperty("list");
  expect(loading.pointer).toEqual({ read: BATCHES });
  expect(loading.queues).toEqual({ hintCommit: BATCHES });
  // Per commit: intent opened and settled, commit and leftovers on record, a batch removed each; one read for the claims of all batches.
  expect(committing.ledger).toEqual({ write: FILES + 4, remove: BATCHES, read: 2, list: 2, readMany: 2 });
  expect(committing.pointer).toEqual({ read: 1, swap: 1 });
  expect(committing.store["put"]).toBe(2);
  expect(committing.store["get"]).toBe(2);
  expect(await harness.rows()).toHaveLength(FILES + 1);
});

test("a file that is known costs one ledger write and nothing else", async () => {
  const harness = new Harness();
  const event = await harness.put("orders/1", "row");
  await harness.load([event]);
  await harness.commit();
  clearCalls(harness);
  await harness.load([event]);
  // The batch's item is opened and discarded: a constant, shared by all files of the delivery.
  expect(calls(harness)).toEqual({ store: {}, ledger: { write: 2, remove: 1 }, pointer: {}, queues: {} });
});
