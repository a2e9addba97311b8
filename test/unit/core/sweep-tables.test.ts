// Many tables in one sweep: what others wait for is not kept waiting by another table's rubbish, and no table is always the last.

import { beforeEach, expect, test } from "vitest";
import { MoraineError } from "../../../lambdas/core/errors.ts";
import { type SweepReport, sweepTables } from "../../../lambdas/core/sweep.ts";
import type { MemoryObjectStore } from "../../fakes/memory-object-store.ts";
import { reachable } from "../../simulation/table-reader.ts";
import { Harness, ingestionOf, nameOf, override } from "./harness.ts";

const TABLES = ["orders", "clicks", "views", "users"];
const LISTING_MS = 1_000;

let harness: Harness;

/** Every table has `commits` commits of which only the last is needed any more but for its staged manifests. */
async function fill(commits: number): Promise<void> {
  harness = new Harness({
    ingestions: TABLES.map((id) => ingestionOf(id)),
    settings: { snapshotsKeepLast: 1, snapshotAgeMaxMs: 1, manifestFanIn: 2 },
  });
  for (let n = 0; n < commits; n++) {
    for (const table of TABLES) {
      await harness.load([await harness.put(`${table}/${n}`, `row ${n}`)]);
      await harness.commit(table);
    }
    harness.clock.advance(60_000);
  }
  harness.clock.advance(harness.settings.functionLifetimeMs);
  for (const table of TABLES) await harness.load([await harness.put(`${table}/new`, "new")]);
  harness.queues.hints.length = 0;
}

/** A store whose listings take time. */
function slowStore(): MemoryObjectStore {
  const { store, clock } = harness;
  return override(store, {
    list: (prefix) => {
      clock.advance(LISTING_MS);
      return store.list(prefix);
    },
  });
}

function sweep(turn: number, forMs: number, changes: Parameters<Harness["ports"]>[0] = {}): Promise<SweepReport[]> {
  const deadlineMs = harness.clock.now() + forMs;
  const ports = harness.ports({ store: slowStore(), ...changes });
  return sweepTables({ ports, settings: harness.settings, deadlineMs, turn }, TABLES.map(nameOf));
}

beforeEach(() => fill(8));

test("every table is asked for its commit before any is cleared away", async () => {
  const reports = await sweep(0, LISTING_MS * 3);
  expect(reports.map(({ hinted }) => hinted)).toEqual([true, true, true, true]);
  expect(reports.map(({ more }) => more)).toEqual([true, true, true, true]);
  expect(harness.queues.hints.map(({ table }) => table)).toEqual(TABLES);
});

test("each sweep begins with another table, so that with little time all are cleared in the end", async () => {
  const removed = new Map<string, number>();
  for (let turn = 0; turn < TABLES.length; turn++) {
    for (const report of await sweep(turn, LISTING_MS * 7)) {
      removed.set(report.name.table, (removed.get(report.name.table) ?? 0) + report.removed);
    }
  }
  for (const table of TABLES) expect(removed.get(table)).toBeGreaterThan(5);
});

test("what the deadline left is found by the next sweep", async () => {
  await sweep(0, LISTING_MS * 3);
  const rest = await sweep(0, Number.POSITIVE_INFINITY);
  expect(rest.map(({ more }) => more)).toEqual([false, false, false, false]);
  expect((await sweep(0, Number.POSITIVE_INFINITY)).map(({ removed }) => removed)).toEqual([0, 0, 0, 0]);
});

test("a table that fails keeps no other from being swept, and is named", async () => {
  const { store } = harness;
  const broken = override(store, {
    list: (prefix) => {
      if (prefix.includes("/orders/")) throw new MoraineError("Corrupt", "cannot be read");
      return store.list(prefix);
    },
  });
  const reports = await sweep(0, Number.POSITIVE_INFINITY, { store: broken });
  expect(reports.map(({ errors }) => errors.length)).toEqual([1, 0, 0, 0]);
  expect(reports.map(({ hinted }) => hinted)).toEqual([true, true, true, true]);
  for (const { removed } of reports.slice(1)) expect(removed).toBeGreaterThan(5);
});

test("the manifests of a commit are deleted by name: one listing per commit, whatever number of batches it took", async () => {
  for (let n = 0; n < 20; n++) await harness.load([await harness.put(`orders/many ${n}`, "row")]);
  await harness.commit();
  for (let n = 0; n < 8; n++) {
    await harness.load([await harness.put(`orders/more ${n}`, "row")]);
    await harness.commit();
  }
  harness.clock.advance(harness.settings.functionLifetimeMs);
  harness.store.calls.clear();
  await sweepTables(
    { ports: harness.ports(), settings: harness.settings, deadlineMs: Number.POSITIVE_INFINITY, turn: 0 },
    [nameOf("orders")],
  );
  // 8 + 1 + 8 commits, and the folder of schema changes.
  expect(harness.store.calls.get("list")).toBeLessThanOrEqual(18);
  const table = await harness.table();
  const reached = table && reachable(harness.store, table.metadata);
  const staged = harness.store.objects.keys().filter((uri) => /\/orders\/metadata\/.*\/data\.avro$/.test(uri));
  expect(staged.filter((uri) => !reached?.has(uri)).toArray()).toEqual([]);
});
