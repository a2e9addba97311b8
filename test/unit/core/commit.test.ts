// Committing exactly once: what may happen between the intent and the settled head, step by step. The simulation does the same
// at random; here each harm has its name.

import { describe, expect, test } from "vitest";
import { commitTable } from "../../../lambdas/core/commit.ts";
import { MoraineError } from "../../../lambdas/core/errors.ts";
import type { PointerCatalog } from "../../../lambdas/core/iceberg/pointer-catalog.ts";
import type { TableId } from "../../../lambdas/core/ids.ts";
import type { Ledger } from "../../../lambdas/core/ports.ts";
import { commitKey, headItem, headKey, readCommit, readHead } from "../../../lambdas/core/records.ts";
import { readWatermark } from "../../../lambdas/core/watermark.ts";
import type { MemoryLedger } from "../../fakes/memory-ledger.ts";
import type { MemoryPointer } from "../../fakes/memory-pointer.ts";
import { SeededRandom } from "../../fakes/seeded-random.ts";
import { foreignAppend } from "../../simulation/foreigners.ts";
import { World } from "../../simulation/world.ts";
import { Harness, LEDGER_ID, nameOf, override } from "./harness.ts";

const TABLE = "db.orders" as TableId;
const corrupt = (message: string) =>
  expect.objectContaining({ kind: "Corrupt", message: expect.stringContaining(message) });

/** Files 1 to `count`, each with a row of its name, sealed in one batch. */
async function sealed(count = 2, harness = new Harness()): Promise<Harness> {
  const events = [];
  for (let n = 1; n <= count; n++) events.push(await harness.put(`orders/${n}`, `row ${n}`));
  await harness.load(events);
  return harness;
}

async function watermark(harness: Harness) {
  const table = await harness.table();
  return table && readWatermark(table.metadata, LEDGER_ID);
}

/** A foreign engine that takes no time to think. */
async function appendForeign(harness: Harness, seed = 1): Promise<string[]> {
  const world = override(new World(seed, { keepTrace: false }), { sleep: async () => undefined });
  return foreignAppend({ world, store: harness.store, catalog: harness.ports().catalog }, nameOf("orders"));
}

/** Everything a commit leaves behind, once and consistent. */
async function expectSettled(harness: Harness, seq: number, rows: readonly string[]): Promise<void> {
  const head = await harness.head();
  expect(head).toMatchObject({ seq });
  expect(head).not.toHaveProperty("intent");
  expect((await watermark(harness))?.seq).toBe(seq);
  expect(await harness.rows()).toEqual(rows);
  expect(await harness.batches()).toEqual([]);
}

type SwapArgs = Parameters<MemoryPointer["swap"]>;

function onSwap(
  harness: Harness,
  swap: (real: () => ReturnType<MemoryPointer["swap"]>) => ReturnType<MemoryPointer["swap"]>,
) {
  return override(harness.pointer, { swap: (...args: SwapArgs) => swap(() => harness.pointer.swap(...args)) });
}

/** Fails every write of the ledger from the n-th on, as if the function had died there. */
function dyingAtWrite(harness: Harness, n: number): MemoryLedger {
  let writes = 0;
  const die = () => {
    if (++writes >= n) throw new MoraineError("Fenced", "the function is gone");
  };
  return override(harness.ledger, {
    write: async (...args: Parameters<Ledger["write"]>) => {
      die();
      return harness.ledger.write(...args);
    },
    remove: async (...args: Parameters<Ledger["remove"]>) => {
      die();
      return harness.ledger.remove(...args);
    },
  });
}

describe("a commit", () => {
  test("splices every sealed batch into one snapshot and settles its files", async () => {
    const harness = await sealed();
    await harness.load([await harness.put("orders/3", "row 3")]);
    expect(await harness.commit()).toEqual({ commits: 1, batches: 2, files: 3, records: 3, conflicts: 0, more: false });
    await expectSettled(harness, 1, ["row 1", "row 2", "row 3"]);
    const file = await harness.file("orders/1");
    expect(file).toMatchObject({ status: "SUCCESS", records: 1, loaded: { seq: 1, records: 1 } });
    const snapshots = (await harness.table())?.metadata.snapshots ?? [];
    expect(snapshots.map((snapshot) => `${snapshot["snapshot-id"]}`)).toEqual([file?.snapshotId]);
  });

  test("writes its number and its snapshot into the same metadata file: neither is ever there alone", async () => {
    const harness = await sealed();
    const seen: unknown[] = [];
    const pointer = override(harness.pointer, {
      swap: async (...args: SwapArgs) => {
        const { metadata } = args[2];
        seen.push([metadata.snapshots.length, readWatermark(metadata, LEDGER_ID).seq]);
        return harness.pointer.swap(...args);
      },
    });
    await harness.commit("orders", { pointer });
    expect(seen).toEqual([[1, 1]]);
  });

  test("of nothing does nothing, and asks the ledger only", async () => {
    const harness = await sealed();
    await harness.commit();
    harness.store.calls.clear();
    harness.pointer.calls.clear();
    expect(await harness.commit()).toMatchObject({ commits: 0, more: false });
    expect([...harness.store.calls, ...harness.pointer.calls]).toEqual([]);
  });

  test("takes no more batches at once than its limit, and the rest in the next snapshot", async () => {
    const harness = new Harness({ settings: { commitBatchesMax: 2 } });
    for (let n = 1; n <= 5; n++) await harness.load([await harness.put(`orders/${n}`, `row ${n}`)]);
    expect(await harness.commit()).toMatchObject({ commits: 3, batches: 5, files: 5 });
    await expectSettled(harness, 3, ["row 1", "row 2", "row 3", "row 4", "row 5"]);
  });

  test("begins nothing after its deadline, and says that work is left", async () => {
    const harness = await sealed();
    const context = { ports: harness.ports(), settings: harness.settings, deadlineMs: harness.clock.now() };
    expect(await commitTable(context, nameOf("orders"))).toMatchObject({ commits: 0, more: true });
    expect((await harness.head())?.intent).toBeUndefined();
  });
});

describe("exactly once", () => {
  test("a lost commit response never loads the file twice", async () => {
    const harness = await sealed();
    let lost = 0;
    const pointer = onSwap(harness, async (real) => {
      const outcome = await real();
      if (lost++ === 0) throw new MoraineError("UnknownOutcome", "response lost");
      return outcome;
    });
    expect(await harness.commit("orders", { pointer })).toMatchObject({ commits: 1 });
    expect(lost).toBe(1);
    await expectSettled(harness, 1, ["row 1", "row 2"]);
  });

  test("a lost response of a commit that did not land is tried again: the file is not lost either", async () => {
    const harness = await sealed();
    let lost = 0;
    const pointer = onSwap(harness, async (real) => {
      if (lost++ === 0) throw new MoraineError("UnknownOutcome", "connection lost");
      return real();
    });
    await harness.commit("orders", { pointer });
    await expectSettled(harness, 1, ["row 1", "row 2"]);
  });

  test("nothing is deleted while an outcome is unknown: the attempt may be the table by now", async () => {
    const harness = await sealed();
    let removed = 0;
    const store = override(harness.store, {
      remove: async (uris) => {
        removed += uris.length;
        return harness.store.remove(uris);
      },
    });
    const pointer = onSwap(harness, async (real) => {
      await real();
      throw new MoraineError("UnknownOutcome", "response lost");
    });
    await harness.commit("orders", { pointer, store });
    expect(removed).toBe(0);
    await expectSettled(harness, 1, ["row 1", "row 2"]);
  });

  test("a committer that dies at any write of the ledger is finished by the next one, once", async () => {
    for (let n = 1; ; n++) {
      const harness = await sealed(3);
      const died = await harness.commit("orders", { ledger: dyingAtWrite(harness, n) }).then(
        () => false,
        () => true,
      );
      await harness.commit();
      await expectSettled(harness, 1, ["row 1", "row 2", "row 3"]);
      expect((await harness.head())?.totals).toEqual({ files: 3, records: 3 });
      for (const key of ["orders/1", "orders/2", "orders/3"]) {
        expect(await harness.file(key)).toMatchObject({ status: "SUCCESS", loaded: { seq: 1 } });
      }
      if (!died) {
        expect(n).toBeGreaterThan(7);
        return;
      }
    }
  });

  test("what is sealed while a commit is open waits for the next number, and is in no snapshot twice", async () => {
    const harness = await sealed(1);
    await expect(harness.commit("orders", { ledger: dyingAtWrite(harness, 2) })).rejects.toThrow("gone");
    await harness.load([await harness.put("orders/2", "row 2")]);
    expect(await harness.commit()).toMatchObject({ commits: 2 });
    await expectSettled(harness, 2, ["row 1", "row 2"]);
  });

  test("two committers at once commit every batch once", async () => {
    for (let round = 0; round < 5; round++) {
      const harness = await sealed(2);
      for (let n = 3; n < 3 + round; n++) await harness.load([await harness.put(`orders/${n}`, `row ${n}`)]);
      const other = { random: new SeededRandom(99 + round, harness.clock) };
      const reports = await Promise.all([harness.commit(), harness.commit("orders", other), harness.commit()]);
      const rows = Array.from({ length: 2 + round }, (_, n) => `row ${n + 1}`);
      await expectSettled(harness, 1, rows);
      expect(Math.max(...reports.map((report) => report.files))).toBe(rows.length);
    }
  });

  test("the commit record and totals count a file once, also when several committers settle it", async () => {
    const harness = await sealed(2);
    await Promise.all([harness.commit(), harness.commit()]);
    const item = await harness.ledger.read(commitKey(TABLE, 1));
    expect(item && readCommit(item)).toMatchObject({ seq: 1, files: 2, records: 2 });
    expect((await harness.head())?.totals).toEqual({ files: 2, records: 2 });
  });

  test("a snapshot that expired is still known as landed: the mark is in the table's properties, not in its history", async () => {
    const harness = await sealed(1);
    // Lands, and dies before a single file is settled.
    await expect(harness.commit("orders", { ledger: dyingAtWrite(harness, 2) })).rejects.toThrow("gone");
    const { catalog } = harness.ports();
    const table = await harness.table();
    const landed = table?.metadata["current-snapshot-id"];
    if (table === undefined || landed === undefined) throw new Error("the commit did not land");
    await appendForeign(harness);
    const next = await harness.table();
    if (next === undefined) throw new Error("no table");
    await catalog.commit(next, {
      requirements: [],
      updates: [{ action: "remove-snapshots", "snapshot-ids": [landed] }],
      folder: "foreign",
    });
    await harness.commit();
    expect((await harness.rows()).filter((row) => row === "row 1")).toHaveLength(1);
    expect((await harness.head())?.seq).toBe(1);
  });
});

describe("against other writers", () => {
  test("a commit that lost the race is built again on the new base: their rows and ours are there", async () => {
    const harness = await sealed(1);
    const foreign: string[] = [];
    let races = 0;
    const pointer = onSwap(harness, async (real) => {
      if (races++ < 3) foreign.push(...(await appendForeign(harness, races)));
      return real();
    });
    expect(await harness.commit("orders", { pointer })).toMatchObject({ commits: 1, conflicts: 3 });
    expect(foreign).toHaveLength(3);
    await expectSettled(harness, 1, [...foreign, "row 1"].sort());
  });

  test("a commit that keeps losing gives up with its intent on record, and nothing is lost", async () => {
    const harness = await sealed(1);
    const pointer = onSwap(harness, async () => ({ kind: "conflict" }));
    await expect(harness.commit("orders", { pointer })).rejects.toMatchObject({ kind: "Unavailable" });
    expect((await harness.head())?.intent?.seq).toBe(1);
    await harness.commit();
    await expectSettled(harness, 1, ["row 1"]);
  });

  test("another stack on the same table keeps its own numbers: neither takes the other's commits for its own", async () => {
    const ours = await sealed(1);
    await ours.commit();
    const theirs = new Harness({ settings: { ledgerId: "theirs" }, seed: 2 });
    const shared = { store: ours.store, pointer: ours.pointer };
    const key = "orders/theirs";
    const event = await theirs.put(key, "row x");
    await ours.put(key, "row x");
    expect((await theirs.load([event], { ports: shared })).outcomes.loaded).toBe(1);
    await theirs.commit("orders", shared);
    await ours.load([await ours.put("orders/2", "row 2")]);
    await ours.commit();
    expect(await ours.rows()).toEqual(["row 1", "row 2", "row x"]);
    const { metadata } = (await ours.table()) ?? {};
    expect(metadata && readWatermark(metadata, LEDGER_ID).seq).toBe(2);
    expect(metadata && readWatermark(metadata, "theirs").seq).toBe(1);
  });
});

describe("when ledger and table are not of one history, the table stops and everything is kept", () => {
  test("a table that was dropped", async () => {
    const harness = await sealed(1);
    harness.pointer.drop(nameOf("orders"));
    const before = harness.store.objects.size;
    await expect(harness.commit()).rejects.toThrow(corrupt("dropped"));
    expect(harness.store.objects.size).toBe(before);
  });

  test("a table that was dropped and made again: no silent restart, neither by committers nor by loaders", async () => {
    const harness = await sealed(1);
    const remade = await sealed(1, new Harness({ seed: 2 }));
    const theirs = remade.pointer.tables.get(TABLE);
    if (theirs === undefined) throw new Error("no table was made");
    for (const [uri, object] of remade.store.objects) harness.store.objects.set(uri, object);
    harness.pointer.tables.set(TABLE, theirs);
    await expect(harness.commit()).rejects.toThrow(corrupt("dropped and made again"));
    const report = await harness.load([await harness.put("orders/9", "row 9")]);
    expect(report.errors).toEqual([corrupt("dropped and made again")]);
    expect(report.retry).toHaveLength(1);
  });

  test("a table restored from a backup", async () => {
    const harness = await sealed(1);
    await harness.commit();
    const backup = harness.pointer.tables.get(TABLE);
    await harness.load([await harness.put("orders/2", "row 2")]);
    await harness.commit();
    if (backup !== undefined) harness.pointer.tables.set(TABLE, backup);
    await harness.load([await harness.put("orders/3", "row 3")]);
    const objects = harness.store.objects.size;
    await expect(harness.commit()).rejects.toThrow(corrupt("restored from a backup"));
    await expect(harness.commit()).rejects.toThrow(corrupt("tableSeq=1"));
    expect(harness.store.objects.size).toBe(objects);
    expect((await harness.batches()).map((batch) => batch.state)).toEqual(["SEALED"]);
  });

  test("a ledger restored from a backup", async () => {
    const harness = await sealed(1);
    const early = await harness.ledger.read(headKey(TABLE));
    await harness.commit();
    await harness.load([await harness.put("orders/2", "row 2")]);
    const now = await harness.ledger.read(headKey(TABLE));
    if (early === undefined || now === undefined) throw new Error("no head");
    await harness.ledger.write(headItem(readHead(early), early.revision), now.revision);
    await expect(harness.commit()).rejects.toThrow(corrupt("does not follow"));
    expect(await harness.rows()).toEqual(["row 1"]);
  });

  test("a sealed batch that vanished from the ledger while its commit was open", async () => {
    const harness = await sealed(1);
    await expect(
      harness.commit("orders", { pointer: onSwap(harness, async () => ({ kind: "conflict" })) }),
    ).rejects.toThrow();
    const [batch] = await harness.batches();
    const items = harness.ledger
      .items()
      .filter((item) => item.body["batch"] === batch?.batch && item.body["kind"] === "batch");
    for (const item of items) await harness.ledger.remove(item.key, item.revision);
    await expect(harness.commit()).rejects.toThrow(corrupt("missing from the ledger"));
  });
});

describe("a slow committer", () => {
  test("whose commit was finished by another one is not taken for corruption", async () => {
    const harness = await sealed(1);
    let first = true;
    const honest = harness.ports().catalog;
    const slow = override(honest as PointerCatalog, {
      load: async (name) => {
        if (first) {
          first = false;
          await harness.commit();
          await harness.load([await harness.put("orders/2", "row 2")]);
          await harness.commit();
        }
        return honest.load(name);
      },
    });
    await harness.commit("orders", { catalog: slow });
    await expectSettled(harness, 2, ["row 1", "row 2"]);
  });

  test("that settles late never writes over a newer version of the file", async () => {
    const harness = await sealed(1);
    let settled = false;
    const late = override(harness.ledger, {
      write: async (...args: Parameters<Ledger["write"]>) => {
        const [item] = args;
        if (!settled && item.body["status"] === "SUCCESS") {
          settled = true;
          await harness.commit();
          await harness.load([await harness.put("orders/1", "row 1 new")]);
          await harness.commit();
        }
        return harness.ledger.write(...args);
      },
    });
    await harness.commit("orders", { ledger: late });
    expect(await harness.file("orders/1")).toMatchObject({ status: "SUCCESS", loaded: { seq: 2 } });
    await expectSettled(harness, 2, ["row 1 new"]);
  });
});
