// Disjoint key ranges in order: what a shard has before it. The shard's own account of it, not the lister's, is what a checkpoint
// holds, so that ranges and counts of one checkpoint always speak of the same stretches.

import { compareUtf8 } from "./key-order.ts";
import type { KeyRange } from "./model.ts";

/** `ranges` without the keys of `gone`. */
export function subtractRange(ranges: readonly KeyRange[], gone: KeyRange): readonly KeyRange[] {
  return ranges.flatMap((range) => {
    if (isBefore(range, gone) || isBefore(gone, range)) return [range];
    const rest: KeyRange[] = [];
    if (compareUtf8(range.after, gone.after) < 0) rest.push({ after: range.after, upTo: gone.after });
    if (gone.upTo !== undefined && (range.upTo === undefined || compareUtf8(gone.upTo, range.upTo) < 0)) {
      rest.push({ ...range, after: gone.upTo });
    }
    return rest;
  });
}

/** Neighbours stay together, so that a part is as few stretches of the bucket as can be. */
export function partsOf<T>(items: readonly T[], parts: number): readonly (readonly T[])[] {
  const count = Math.max(1, Math.min(parts, items.length));
  return Array.from({ length: count }, (_, n) =>
    items.slice(Math.floor((n * items.length) / count), Math.floor(((n + 1) * items.length) / count)),
  );
}

function isBefore(a: KeyRange, b: KeyRange): boolean {
  return a.upTo !== undefined && compareUtf8(a.upTo, b.after) <= 0;
}
