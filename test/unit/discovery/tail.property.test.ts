// The look-back of the lexical cursor: never fewer keys than asked for, and hardly more.

import fc from "fast-check";
import { expect, test } from "vitest";
import { joinTails, NO_TAIL, stepBack, tailOf } from "../../../lambdas/core/discovery/tail.ts";
import type { ListedObject } from "../../../lambdas/core/ports.ts";

const listed = (key: string): ListedObject => ({ key, etag: "e", sizeBytes: 1, lastModifiedMs: 0 });
const keyAt = (index: number): string => `k${String(index).padStart(7, "0")}`;

/** Lengths of stretches in order, and an order in which they are handed in. */
const stretches = fc.array(fc.oneof(fc.nat({ max: 3 }), fc.nat({ max: 1000 })), { maxLength: 40 });

function cut(lengths: readonly number[]): { stretches: ListedObject[][]; total: number } {
  let at = 0;
  return {
    stretches: lengths.map((length) => Array.from({ length }, () => listed(keyAt(at++)))),
    total: lengths.reduce((sum, length) => sum + length, 0),
  };
}

const behind = (after: string, total: number): number => (after === "" ? total : total - 1 - Number(after.slice(1)));

test("stepping back lists at least the keys asked for again, and at most a tenth more", () => {
  fc.assert(
    fc.property(stretches, fc.nat({ max: 3000 }), fc.infiniteStream(fc.nat()), (lengths, keys, numbers) => {
      const { stretches, total } = cut(lengths);
      const shuffled = stretches
        .map((objects) => ({ objects, order: numbers.next().value }))
        .sort((a, b) => a.order - b.order)
        .map(({ objects }) => tailOf(objects, keys));
      const found = behind(stepBack(joinTails(shuffled, keys), keys), total);
      expect(found).toBeGreaterThanOrEqual(Math.min(keys, total));
      expect(found).toBeLessThanOrEqual(keys + keys / 10 + 1);
    }),
    { numRuns: 500 },
  );
});

test("tails joined bit by bit give what tails joined at once give, within the same bounds", () => {
  fc.assert(
    fc.property(stretches, fc.nat({ max: 3000 }), fc.nat({ max: 3000 }), (lengths, keysMax, asked) => {
      const keys = Math.min(asked, keysMax);
      const { stretches, total } = cut(lengths);
      const joined = stretches.reduce((tail, objects) => joinTails([tailOf(objects, keysMax), tail], keysMax), NO_TAIL);
      const found = behind(stepBack(joined, keys), total);
      expect(found).toBeGreaterThanOrEqual(Math.min(keys, total));
      expect(found).toBeLessThanOrEqual(keys + keysMax / 10 + 1);
    }),
    { numRuns: 500 },
  );
});

test("a tail is small however many stretches it is made of", () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat({ max: 5 }), { maxLength: 2000 }),
      fc.integer({ min: 10, max: 2000 }),
      (lengths, keys) => {
        const tails = cut(lengths).stretches.map((objects) => tailOf(objects, keys));
        expect(joinTails(tails, keys).samples.length).toBeLessThanOrEqual(25);
      },
    ),
    { numRuns: 100 },
  );
});

test("a look-back longer than what is known begins at the beginning", () => {
  expect(stepBack(NO_TAIL, 10)).toBe("");
  expect(stepBack(tailOf([listed("a"), listed("b")], 10), 2)).toBe("");
  expect(stepBack(tailOf([listed("a"), listed("b")], 10), 1)).toBe("a");
  expect(stepBack(tailOf([listed("a"), listed("b")], 10), 0)).toBe("b");
});
