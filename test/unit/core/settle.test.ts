import { describe, expect, test } from "vitest";
import { MoraineError } from "../../../lambdas/core/errors.ts";
import type { Ledger, LedgerItem } from "../../../lambdas/core/ports.ts";
import { Harness, override } from "./harness.ts";

type Step = string;

function stepOf(item: LedgerItem): Step {
  if (item.body["kind"] !== "head") return String(item.body["kind"]);
  return item.body["intent"] === undefined ? "head settled" : "head open";
}

/** The ledger, and every change of it in order. */
function recording(harness: Harness, fail: (step: Step) => boolean = () => false) {
  const steps: Step[] = [];
  const happen = (step: Step) => {
    if (fail(step)) throw new MoraineError("Fenced", "the function is gone");
    steps.push(step);
  };
  const ledger = override(harness.ledger, {
    write: async (...args: Parameters<Ledger["write"]>) => {
      happen(stepOf(args[0]));
      return harness.ledger.write(...args);
    },
    remove: async (...args: Parameters<Ledger["remove"]>) => {
      happen("batch removed");
      return harness.ledger.remove(...args);
    },
  });
  return { ledger, steps };
}

describe("settling a landed commit", () => {
  test("goes files, batch, commit on record, head, so that a crash anywhere can be finished", async () => {
    const harness = new Harness();
    await harness.load([await harness.put("orders/1", "a"), await harness.put("orders/2", "b")]);
    const { ledger, steps } = recording(harness);
    await harness.commit("orders", { ledger });
    expect(steps).toEqual(["head open", "file", "file", "batch removed", "leftovers", "commit", "head settled"]);
  });

  test("never removes a batch whose files are not all settled: their claims would look free", async () => {
    const harness = new Harness();
    await harness.load([await harness.put("orders/1", "a"), await harness.put("orders/2", "b")]);
    let files = 0;
    const { ledger } = recording(harness, (step) => step === "file" && ++files > 1);
    await expect(harness.commit("orders", { ledger })).rejects.toThrow("gone");
    expect((await harness.batches()).map(({ state }) => state)).toEqual(["SEALED"]);
  });

  test("costs one write per file and no read", async () => {
    const harness = new Harness();
    await harness.load(await Promise.all(["1", "2", "3"].map((name) => harness.put(`orders/${name}`, name))));
    const { ledger, steps } = recording(harness);
    harness.ledger.calls.clear();
    await harness.commit("orders", { ledger });
    expect(steps.filter((step) => step === "file")).toHaveLength(3);
    // The head twice (once to see that nothing is left); a claim of each batch, and the intent's batches.
    expect(harness.ledger.calls.get("read")).toBe(2);
    expect(harness.ledger.calls.get("readMany")).toBe(2);
  });

  test("records what people ask: rows, bytes, duration, commit and snapshot of every file", async () => {
    const harness = new Harness();
    await harness.load([await harness.put("orders/1", "aa", "bb")]);
    harness.clock.advance(5_000);
    await harness.commit();
    const file = await harness.file("orders/1");
    const snapshot = (await harness.table())?.metadata["current-snapshot-id"];
    expect(file).toMatchObject({
      status: "SUCCESS",
      records: 2,
      bytesRead: 5,
      durationMs: 5_000,
      snapshotId: String(snapshot),
      loaded: { seq: 1, version: file?.version, snapshotId: String(snapshot) },
    });
  });
});
