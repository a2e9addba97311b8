// The batch is the unit of fencing: of sealing and aborting exactly one wins.

import { describe, expect, test } from "vitest";
import {
  abortBatch,
  discardBatch,
  type HeldBatch,
  openBatch,
  sealBatch,
  settleClaimOf,
} from "../../../lambdas/core/batch.ts";
import { MoraineError } from "../../../lambdas/core/errors.ts";
import type { BatchId, IngestionId, TableId } from "../../../lambdas/core/ids.ts";
import type { Staged } from "../../../lambdas/core/records.ts";
import { ManualClock } from "../../fakes/manual-clock.ts";
import { MemoryLedger } from "../../fakes/memory-ledger.ts";
import { SeededRandom } from "../../fakes/seeded-random.ts";
import { override } from "./harness.ts";

const TABLE = "db.orders" as TableId;
const LEASE_MS = 1000;
const STAGED: Staged = {
  tableUuid: "u",
  files: [],
  dataFiles: 0,
  deleteFiles: 0,
  records: 0,
  deleteRecords: 0,
  dataBytes: 0,
  deleteBytes: 0,
};

function portsOf() {
  const clock = new ManualClock();
  return { ledger: new MemoryLedger(), clock, random: new SeededRandom(1, clock) };
}

function open(ports: ReturnType<typeof portsOf>): Promise<HeldBatch> {
  return openBatch(ports, { table: TABLE, ingestion: "orders" as IngestionId, intends: [] }, LEASE_MS);
}

/** Every write is answered by silence, after its effect, once. */
function losingOnce(ledger: MemoryLedger): MemoryLedger {
  const lost = new Set<string>();
  return override(ledger, {
    write: async (item, expected) => {
      const outcome = await ledger.write(item, expected);
      if (lost.has(item.revision)) return outcome;
      lost.add(item.revision);
      throw new MoraineError("UnknownOutcome", "response lost");
    },
  });
}

describe("sealing and aborting one batch", () => {
  test("sealed first: the abort hears that it lost, and the batch stays sealed", async () => {
    const ports = portsOf();
    const batch = await open(ports);
    await sealBatch(ports, batch, STAGED);
    expect(await abortBatch(ports, batch)).toBe("sealed");
    expect(await settleClaimOf(ports, TABLE, batch.record.batch)).toBe("sealed");
  });

  test("aborted first: a loader that slept past its lease can never seal", async () => {
    const ports = portsOf();
    const batch = await open(ports);
    expect(await abortBatch(ports, batch)).toBe("aborted");
    await expect(sealBatch(ports, batch, STAGED)).rejects.toMatchObject({ kind: "Fenced" });
    expect(await settleClaimOf(ports, TABLE, batch.record.batch)).toBe("given up");
  });

  test("at the same time: exactly one wins, in either order, also when responses get lost", async () => {
    for (const sealFirst of [true, false]) {
      const honest = portsOf();
      const ports = { ...honest, ledger: losingOnce(honest.ledger) };
      const batch = await open(ports);
      const seal = () =>
        sealBatch(ports, batch, STAGED).then(
          () => true,
          () => false,
        );
      const abort = () => abortBatch(ports, batch).then((outcome) => outcome === "aborted");
      const [first, second] = sealFirst ? [seal(), abort()] : [abort(), seal()];
      const won = [await first, await second];
      expect(won.filter(Boolean)).toHaveLength(1);
      const state = await settleClaimOf(ports, TABLE, batch.record.batch);
      expect(state).toBe(won[sealFirst ? 0 : 1] ? "sealed" : "given up");
    }
  });

  test("an abort of a batch that is over is no error", async () => {
    const ports = portsOf();
    const batch = await open(ports);
    await discardBatch(ports, batch);
    expect(await abortBatch(ports, batch)).toBe("gone");
  });

  test("two aborts: both hear that it is aborted", async () => {
    const ports = portsOf();
    const batch = await open(ports);
    expect(await abortBatch(ports, batch)).toBe("aborted");
    expect(await abortBatch(ports, batch)).toBe("aborted");
  });
});

describe("the claim of a batch", () => {
  test("binds until the lease ends, and not a millisecond longer", async () => {
    const ports = portsOf();
    const { record } = await open(ports);
    ports.clock.advance(LEASE_MS - 1);
    expect(await settleClaimOf(ports, TABLE, record.batch)).toBe("open");
    ports.clock.advance(1);
    expect(await settleClaimOf(ports, TABLE, record.batch)).toBe("over");
  });

  test("stops binding only by an abort on record: its holder is fenced before anybody else takes the file", async () => {
    const ports = portsOf();
    const batch = await open(ports);
    ports.clock.advance(LEASE_MS);
    await settleClaimOf(ports, TABLE, batch.record.batch);
    await expect(sealBatch(ports, batch, STAGED)).rejects.toMatchObject({ kind: "Fenced" });
  });

  test("of a batch sealed past its lease still binds: sealing in time is not asked for, only sealing first", async () => {
    const ports = portsOf();
    const batch = await open(ports);
    ports.clock.advance(LEASE_MS * 10);
    await sealBatch(ports, batch, STAGED);
    expect(await settleClaimOf(ports, TABLE, batch.record.batch)).toBe("sealed");
  });

  test("of a batch nobody knows is gone, which is no death", async () => {
    expect(await settleClaimOf(portsOf(), TABLE, "unknown" as BatchId)).toBe("gone");
  });
});

describe("opening a batch", () => {
  test("whose response was lost gives the batch once", async () => {
    const honest = portsOf();
    const batch = await open({ ...honest, ledger: losingOnce(honest.ledger) });
    await sealBatch(honest, batch, STAGED);
    expect(honest.ledger.items()).toHaveLength(1);
  });

  test("whose response was lost past its lease, and which was aborted meanwhile, begins no work", async () => {
    const honest = portsOf();
    let first = true;
    const slow = override(honest.ledger, {
      write: async (item, expected) => {
        const outcome = await honest.ledger.write(item, expected);
        if (!first) return outcome;
        first = false;
        honest.clock.advance(LEASE_MS);
        await settleClaimOf(honest, TABLE, item.body["batch"] as BatchId);
        throw new MoraineError("UnknownOutcome", "response lost");
      },
    });
    await expect(open({ ...honest, ledger: slow })).rejects.toMatchObject({ kind: "Fenced" });
  });
});
