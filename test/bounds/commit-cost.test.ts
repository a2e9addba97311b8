// Commit cost does not grow: object bytes read and written by one commit, from the first to the 3,000th, at production's settings.
// Every 30 s one commit of one small file, the worst case for manifests: nothing but merging and expiry keeps them few.

import { expect, test } from "vitest";
import { DEFAULT_LIMITS } from "../../lambdas/core/settings.ts";
import type { MemoryObjectStore } from "../fakes/memory-object-store.ts";
import { Harness, override } from "../unit/core/harness.ts";

const COMMITS = 3000;
const INTERVAL_MS = 30_000;

interface Bytes {
  read: number;
  written: number;
}

/** The store with every byte that passes counted. */
function counting(harness: Harness, bytes: Bytes): MemoryObjectStore {
  const { store } = harness;
  return override(store, {
    get: async (uri, options) => {
      const got = await store.get(uri, options);
      if (got.kind === "found") bytes.read += got.sizeBytes;
      return got;
    },
    put: async (uri, body, options) => {
      const outcome = await store.put(uri, body, options);
      bytes.written += store.objects.get(uri)?.bytes.length ?? 0;
      return outcome;
    },
  });
}

async function measure(): Promise<number[]> {
  const harness = new Harness({ settings: DEFAULT_LIMITS });
  const costs: number[] = [];
  for (let n = 1; n <= COMMITS; n++) {
    harness.clock.advance(INTERVAL_MS);
    await harness.load([await harness.put(`orders/${n}`, `row ${n}`)]);
    const bytes = { read: 0, written: 0 };
    expect(await harness.commit("orders", { store: counting(harness, bytes) })).toMatchObject({ commits: 1 });
    costs.push(bytes.read + bytes.written);
  }
  return costs;
}

/** Commits `from` to `to`, counted from 1. */
function average(costs: readonly number[], from: number, to: number): number {
  return costs.slice(from - 1, to).reduce((sum, cost) => sum + cost, 0) / (to - from + 1);
}

test("the 3,000th commit moves no more bytes than the 100th, so a table may be committed to for ever", {
  timeout: 240_000,
}, async () => {
  const costs = await measure();
  const around = { 10: [6, 15], 100: [51, 150], 1000: [951, 1050], 3000: [2901, 3000] } as const;
  const averages = Object.entries(around).map(([n, [from, to]]) => [n, Math.round(average(costs, from, to))] as const);
  console.log("bytes read and written per commit:", averages.map(([n, bytes]) => `${n}: ${bytes}`).join(", "));
  const { 10: early, 100: filled, 3000: late } = Object.fromEntries(averages) as Record<string, number>;
  if (early === undefined || filled === undefined || late === undefined) throw new Error("nothing was measured");
  // A commit rewrites the snapshots that are kept: ten, and one more for every doubling of the time the table is in use.
  expect(late).toBeLessThanOrEqual(early * 2);
  expect(late).toBeLessThanOrEqual(filled * 1.4);
  expect(Math.max(...costs)).toBeLessThanOrEqual(early * 8);
});
