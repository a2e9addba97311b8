// Discovery under simulation, and the proof that the simulation would notice. CI runs many more: `npm run simulate -- --discovery`.

import { describe, expect, test } from "vitest";
import { DISCOVERY_SABOTAGES, type DiscoverySabotage } from "./discovery/sabotage.ts";
import { simulateDiscovery } from "./discovery.ts";

const SEEDS = 12;
const SEEDS_FOR_A_SABOTAGE = 60;

/** Seeds that fail on a bug that once was there; see simulation.test.ts. */
const KEPT_SEEDS: readonly (readonly [number, string])[] = [
  [1, "partitions between the last run and the look-back were not listed after days without a run"],
  [5, "new partitions outside the window were not noticed"],
  [15, "a cursor passed over what another ingestion had taken before it was removed"],
  [32, "a cursor on a key behind U+10FFFF listed nothing"],
  [86, "two checkpoints of one function at once fenced each other, and files it had sent were counted as known"],
];

describe("the simulation of discovery", () => {
  test("the same seed twice gives the same trace, another seed another one", async () => {
    const [first, second, other] = [await simulateDiscovery(3), await simulateDiscovery(3), await simulateDiscovery(4)];
    expect(first.digest).toBe(second.digest);
    expect(first.digest).not.toBe(other.digest);
    expect(first.ended["succeeded"]).toBeGreaterThan(3);
  });

  test.each(Array.from({ length: SEEDS }, (_, n) => n + 1))("seed %i holds", async (seed) => {
    expect((await simulateDiscovery(seed)).violations).toEqual([]);
  });

  test.each(KEPT_SEEDS)("seed %i still holds: %s", async (seed) => {
    expect((await simulateDiscovery(seed)).violations).toEqual([]);
  });
});

describe("a guard of discovery that is switched off is noticed within the seeds CI runs", () => {
  test.each(DISCOVERY_SABOTAGES)("%s", async (sabotage) => {
    expect(await firstNoticedSeed(sabotage)).toBeLessThanOrEqual(SEEDS_FOR_A_SABOTAGE);
  });
});

async function firstNoticedSeed(sabotage: DiscoverySabotage): Promise<number> {
  for (let seed = 1; seed <= SEEDS_FOR_A_SABOTAGE; seed++) {
    if ((await simulateDiscovery(seed, { sabotage })).violations.length > 0) return seed;
  }
  return Number.POSITIVE_INFINITY;
}
