// Clock and randomness: what ids are sorted by, and that a simulation repeats.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { SystemRandom, SystemTimer, uuidV7 } from "../../lambdas/adapters/system.ts";
import { ManualClock } from "../fakes/manual-clock.ts";
import { SeededRandom } from "../fakes/seeded-random.ts";

const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const time = fc.integer({ min: 0, max: 2 ** 48 - 1 });
const random = fc.uint8Array({ minLength: 10, maxLength: 10 });

describe("uuids", () => {
  test("are version 7, whatever the time and the random bytes", () => {
    fc.assert(fc.property(time, random, (timeMs, bytes) => UUID_V7.test(uuidV7(timeMs, bytes))));
  });

  test("made in a later millisecond sort later", () => {
    fc.assert(
      fc.property(time, time, random, random, (a, b, first, second) => {
        fc.pre(a < b);
        return uuidV7(a, first) < uuidV7(b, second);
      }),
    );
  });

  test("are different, a thousand in a row", () => {
    const source = new SystemRandom();
    const made = Array.from({ length: 1000 }, () => source.uuid());
    expect(new Set(made).size).toBe(1000);
    expect(made.every((uuid) => UUID_V7.test(uuid))).toBe(true);
  });
});

describe("seeded randomness", () => {
  const run = (seed: number) => {
    const source = new SeededRandom(seed, new ManualClock());
    return Array.from({ length: 50 }, () => [source.fraction(), source.uuid()]);
  };

  test("the same seed gives the same run, another seed another", () => {
    expect(run(7)).toEqual(run(7));
    expect(run(7)).not.toEqual(run(8));
  });

  test("fractions fill [0, 1) evenly", () => {
    const source = new SeededRandom(1);
    const tenths = Map.groupBy(
      Array.from({ length: 10_000 }, () => source.fraction()),
      (part) => Math.floor(part * 10),
    );
    expect([...tenths.keys()].sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    for (const parts of tenths.values()) expect(parts.length).toBeGreaterThan(850);
  });
});

test("the timer sleeps no shorter than it is told", async () => {
  const startedMs = performance.now();
  await new SystemTimer().sleep(30);
  expect(performance.now() - startedMs).toBeGreaterThan(28);
});
