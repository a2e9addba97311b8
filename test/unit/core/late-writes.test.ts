// Requests that arrive long after their senders gave them up: a batch that is over and comes back must not be committed again.

import { beforeEach, expect, test } from "vitest";
import type { Revision } from "../../../lambdas/core/ids.ts";
import type { Ledger, LedgerItem } from "../../../lambdas/core/ports.ts";
import type { MemoryLedger } from "../../fakes/memory-ledger.ts";
import { Harness, type HarnessOptions, ingestionOf, override } from "./harness.ts";

type Write = { readonly item: LedgerItem; readonly expected: Revision | "absent" };

/** The harness, and every write of a batch item as it was sent. */
class Recorded {
  readonly harness: Harness;
  readonly writes: Write[] = [];
  readonly ledger: MemoryLedger;

  constructor(options: HarnessOptions = {}) {
    const harness = new Harness(options);
    const { ledger } = harness;
    this.harness = harness;
    this.ledger = override(ledger, {
      write: async (...[item, expected]: Parameters<Ledger["write"]>) => {
        if (item.body["kind"] === "batch") this.writes.push({ item, expected });
        return ledger.write(item, expected);
      },
    });
  }

  /** The open and then the seal of the batch, once more. */
  async arriveLate(): Promise<void> {
    for (const { item, expected } of this.writes) {
      if (item.body["state"] !== "ABORTED") await this.harness.ledger.write(item, expected);
    }
  }
}

let recorded: Recorded;
beforeEach(async () => {
  recorded = new Recorded();
  const { harness, ledger } = recorded;
  await harness.load([await harness.put("orders/1", "a"), await harness.put("orders/2", "b")], { ports: { ledger } });
});

test("a batch whose open and seal arrive again after it was settled is not committed twice", async () => {
  const { harness } = recorded;
  await harness.commit();
  expect(await harness.batches()).toEqual([]);
  await recorded.arriveLate();
  expect((await harness.batches()).map(({ state }) => state)).toEqual(["SEALED"]);
  expect(await harness.commit()).toMatchObject({ commits: 0, more: false });
  expect(await harness.rows()).toEqual(["a", "b"]);
  expect(await harness.batches()).toEqual([]);
});

test("nor is it when its files have moved on, and what waits beside it is committed", async () => {
  const { harness } = recorded;
  await harness.commit();
  await harness.load([await harness.put("orders/1", "c"), await harness.put("orders/3", "d")]);
  await recorded.arriveLate();
  expect(await harness.commit()).toMatchObject({ commits: 1, files: 2 });
  expect(await harness.rows()).toEqual(["b", "c", "d"]);
  expect(await harness.batches()).toEqual([]);
});

test("nor when it was aborted and swept away before", async () => {
  const { harness, ledger } = recorded;
  await harness.commit();
  const event = await harness.put("orders/1", "c");
  recorded.writes.length = 0;
  const sealed: Write[] = [];
  const losing = override(ledger, {
    write: async (...[item, expected]: Parameters<Ledger["write"]>) => {
      if (item.body["state"] !== "SEALED") return ledger.write(item, expected);
      sealed.push({ item, expected });
      throw new Error("the function was killed");
    },
  });
  await harness.load([event], { ports: { ledger: losing } });
  for (let sweeps = 0; sweeps < 3; sweeps++) {
    harness.clock.advance(harness.settings.functionLifetimeMs * 2);
    await harness.sweep();
  }
  expect(await harness.batches()).toEqual([]);
  recorded.writes.push(...sealed);
  await recorded.arriveLate();
  expect((await harness.batches()).map(({ state }) => state)).toEqual(["SEALED"]);
  await harness.commit();
  expect(await harness.rows()).toEqual(["a", "b"]);
  expect(await harness.file("orders/1")).toMatchObject({ status: "DISCOVERED" });
  await harness.load([event]);
  await harness.commit();
  expect(await harness.rows()).toEqual(["b", "c"]);
});

test("a committer that is late itself takes no batch for a ghost that another one is settling", async () => {
  const { harness } = recorded;
  // The slow committer has read the head and the batches; another one lands them and is gone after the first file is settled.
  let turn = 0;
  const slow = override(harness.ledger, {
    readMany: async (keys) => {
      if (turn++ === 0) await dieAfterFirstFile(harness);
      return harness.ledger.readMany(keys);
    },
  });
  await harness.commit("orders", { ledger: slow });
  await harness.commit();
  expect(await harness.rows()).toEqual(["a", "b"]);
  for (const key of ["orders/1", "orders/2"]) expect(await harness.file(key)).toMatchObject({ status: "SUCCESS" });
});

async function dieAfterFirstFile(harness: Harness): Promise<void> {
  let settled = 0;
  const dying = override(harness.ledger, {
    write: async (...[item, expected]: Parameters<Ledger["write"]>) => {
      if (item.body["status"] === "SUCCESS" && settled++ > 0) throw new Error("the function was killed");
      return harness.ledger.write(item, expected);
    },
  });
  await expect(harness.commit("orders", { ledger: dying })).rejects.toThrow("killed");
}

test("a batch whose open arrives after everything was over, its files loaded anew since, costs none of the rows it brought", async () => {
  const recorded = new Recorded({ ingestions: [ingestionOf("orders", { onOverwrite: "append" })] });
  const { harness, ledger } = recorded;
  await harness.load([await harness.put("orders/1", "a")], { ports: { ledger } });
  await harness.commit();
  await harness.load([await harness.put("orders/1", "b")]);
  await harness.commit();
  const [open] = recorded.writes as [Write];
  await harness.ledger.write(open.item, open.expected);
  for (let sweeps = 0; sweeps < 3; sweeps++) {
    harness.clock.advance(harness.settings.functionLifetimeMs * 2);
    await harness.sweep();
  }
  expect(await harness.batches()).toEqual([]);
  expect(await harness.rows()).toEqual(["a", "b"]);
});
