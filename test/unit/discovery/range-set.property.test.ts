import fc from "fast-check";
import { expect, test } from "vitest";
import { compareUtf8 } from "../../../lambdas/core/discovery/key-order.ts";
import type { KeyRange } from "../../../lambdas/core/discovery/model.ts";
import { partsOf, subtractRange } from "../../../lambdas/core/discovery/range-set.ts";

const KEYS = ["a", "b", "c", "ä", "\u{ffee}", "\u{1f600}", "\u{10ffff}"];
const anyCut = fc.integer({ min: 0, max: KEYS.length });

/** Between the n-th key and the one before it; "" and no bound at the ends. */
function rangeOf(from: number, to: number): KeyRange {
  const after = from === 0 ? "" : (KEYS[from - 1] as string);
  return to === KEYS.length ? { after } : { after, upTo: to === 0 ? "" : (KEYS[to - 1] as string) };
}

const anyRange = fc.tuple(anyCut, anyCut).map(([a, b]) => rangeOf(Math.min(a, b), Math.max(a, b)));

function holds(ranges: readonly KeyRange[], key: string): boolean {
  return ranges.some(
    ({ after, upTo }) => compareUtf8(key, after) > 0 && (upTo === undefined || compareUtf8(key, upTo) <= 0),
  );
}

test("what is taken away is gone, and nothing else", () => {
  fc.assert(
    fc.property(fc.array(anyRange, { maxLength: 6 }), (taken) => {
      const left = taken.reduce<readonly KeyRange[]>(subtractRange, [{ after: "" }]);
      for (const key of KEYS) expect(holds(left, key)).toBe(!holds(taken, key));
      left.forEach((range, n) => {
        const next = left[n + 1];
        if (next !== undefined)
          expect(compareUtf8(range.upTo ?? "\u{10ffff}\u{10ffff}", next.after)).toBeLessThanOrEqual(0);
      });
    }),
  );
});

test("parts are the whole in order, none of them empty", () => {
  fc.assert(
    fc.property(fc.array(fc.integer(), { minLength: 1 }), fc.integer({ min: 1, max: 9 }), (items, count) => {
      const parts = partsOf(items, count);
      expect(parts.flat()).toEqual(items);
      expect(parts.length).toBe(Math.min(count, items.length));
      expect(parts.every((part) => part.length > 0)).toBe(true);
    }),
  );
});
