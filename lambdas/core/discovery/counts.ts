// Counts of stretches, shards and runs add up field by field; broken assumptions add their counts and keep a few examples.

import { type BrokenAssumption, type BrokenAssumptions, type Counts, EXAMPLES_MAX } from "./model.ts";

export const NO_COUNTS: Counts = {
  total: 0,
  new: 0,
  changed: 0,
  known: 0,
  skipped: 0,
  excluded: 0,
  bytes: 0,
  newBytes: 0,
  listRequests: 0,
  ledgerReads: 0,
  ledgerRequests: 0,
  sendRequests: 0,
  listingMs: 0,
  ledgerMs: 0,
  ranges: 0,
  splits: 0,
  throttled: 0,
  broken: {},
};

export function addCounts(...all: readonly Partial<Counts>[]): Counts {
  const names = Object.keys(NO_COUNTS).filter((name) => name !== "broken") as Exclude<keyof Counts, "broken">[];
  const sums = names.map((name) => [name, all.reduce((sum, counts) => sum + (counts[name] ?? 0), 0)]);
  const broken = all.reduce<BrokenAssumptions>((sum, counts) => addBroken(sum, counts.broken ?? {}), {});
  return { ...(Object.fromEntries(sums) as Omit<Counts, "broken">), broken };
}

export function addBroken(a: BrokenAssumptions, b: BrokenAssumptions): BrokenAssumptions {
  const sum: Partial<Record<BrokenAssumption, { count: number; examples: readonly string[] }>> = { ...a };
  for (const [name, { count, examples }] of Object.entries(b)) {
    const before = sum[name as BrokenAssumption] ?? { count: 0, examples: [] };
    sum[name as BrokenAssumption] = {
      count: before.count + count,
      examples: [...before.examples, ...examples].slice(0, EXAMPLES_MAX),
    };
  }
  return sum;
}
