// Key ranges lose no key: not at a prefix, not where one is taken out.

import fc from "fast-check";
import { expect, test } from "vitest";
import { compareUtf8 } from "../../../lambdas/core/discovery/key-order.ts";
import {
  ALL_KEYS,
  holds,
  inOrder,
  rangeBelow,
  rangeFromTo,
  within,
  without,
} from "../../../lambdas/core/discovery/key-ranges.ts";
import type { KeyRange } from "../../../lambdas/core/discovery/model.ts";

const text = (minLength: number) =>
  fc
    .array(fc.constantFrom("a", "b", "/", "0", "\u0000", "\ud7ff", "\ue000", "\uffff", "😀", "\u{10ffff}"), {
      minLength,
      maxLength: 4,
    })
    .map((letters) => letters.join(""));
const anyKey = text(1);
const ranges = fc.array(text(0), { maxLength: 6 }).map((bounds): readonly KeyRange[] => {
  const sorted = [...new Set(bounds)].sort(compareUtf8);
  return sorted.map((after, index) => {
    const upTo = sorted[index + 1];
    return upTo === undefined ? { after } : { after, upTo };
  });
});
const held = (all: readonly KeyRange[], key: string): number => all.filter((range) => holds(range, key)).length;

/** Bounds before a key, and those that leave a prefix out, are drawn with it: keys that have it may be listed for nothing. */
const LAST = "\u{10ffff}";

test("the range below a prefix holds every key that begins with it, and no other but the one right behind them", () => {
  fc.assert(
    fc.property(text(0), anyKey, (prefix, key) => {
      const range = rangeBelow(prefix);
      if (key.startsWith(prefix)) expect(holds(range, key)).toBe(true);
      else if (!key.includes(LAST)) expect(holds(range, key)).toBe(key === range.upTo);
    }),
    { numRuns: 2000 },
  );
});

test("ranges within a prefix hold what they held of it", () => {
  fc.assert(
    fc.property(ranges, text(0), text(0), (all, prefix, rest) => {
      const key = prefix + rest;
      expect(held(within(all, prefix), key)).toBe(held(all, key));
    }),
    { numRuns: 2000 },
  );
});

test("without a prefix, every other key is still held once, and none below it but the prefix itself", () => {
  fc.assert(
    fc.property(ranges, text(1), anyKey, (all, prefix, key) => {
      const left = without(all, prefix);
      if (!key.startsWith(prefix)) expect(held(left, key)).toBe(held(all, key));
      else if (key !== prefix && !key.includes(LAST)) expect(held(left, key)).toBe(0);
      expect(inOrder(left)).toEqual(left);
    }),
    { numRuns: 2000 },
  );
});

test("ranges put in order hold the same keys, each once", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(text(1), text(1)), { maxLength: 5 }), anyKey, (pairs, key) => {
      const all = pairs.map(([a, b]) => (compareUtf8(a, b) < 0 ? rangeFromTo(a, b) : rangeFromTo(b, a)));
      expect(held(inOrder(all), key)).toBe(Math.min(1, held(all, key)));
    }),
    { numRuns: 2000 },
  );
});

test("everything holds everything", () => {
  fc.assert(
    fc.property(anyKey, (key) => {
      expect(holds(ALL_KEYS, key)).toBe(true);
    }),
  );
});
