// Arithmetic of key ranges (after < k <= upTo, in UTF-8 byte order): what lies below a prefix, what is left without one.
// There is no greatest key below a prefix; the least key behind all of them, which is not one of them, stands for it.
// Where a bound could lose a key rather than list one twice, the wider bound is taken.

import { compareUtf8 } from "./key-order.ts";
import type { KeyRange } from "./model.ts";

const LAST = "\u{10ffff}";

/** Everything. */
export const ALL_KEYS: KeyRange = { after: "" };

/** The keys that begin with the prefix. */
export function rangeBelow(prefix: string): KeyRange {
  return prefix === "" ? ALL_KEYS : { after: justBefore(prefix), ...upToBehind(prefix) };
}

/** The keys that begin with `first`, with `last`, or lie between. */
export function rangeFromTo(first: string, last: string): KeyRange {
  return { after: justBefore(first), ...upToBehind(last) };
}

/** What may hold keys that begin with the prefix. A cursor may stand on any key, also on one behind U+10FFFF. */
export function within(ranges: readonly KeyRange[], prefix: string): readonly KeyRange[] {
  if (prefix === "") return ranges;
  return ranges.filter(({ after, upTo }) => {
    const beginsBefore = after.startsWith(prefix) || compareUtf8(after, prefix + LAST) < 0;
    return beginsBefore && (upTo === undefined || compareUtf8(upTo, prefix) >= 0);
  });
}

/** Without the keys that begin with the prefix (one or the other may stay). */
export function without(ranges: readonly KeyRange[], prefix: string): readonly KeyRange[] {
  const end = prefix + LAST;
  return ranges.flatMap(({ after, upTo }) => {
    const before = { after, upTo: upTo !== undefined && compareUtf8(upTo, prefix) < 0 ? upTo : prefix };
    const behind = { after: compareUtf8(after, end) > 0 ? after : end, ...(upTo === undefined ? {} : { upTo }) };
    return [before, behind].filter((range) => range.upTo === undefined || compareUtf8(range.after, range.upTo) < 0);
  });
}

/** In order, and what overlaps joined. */
export function inOrder(ranges: readonly KeyRange[]): readonly KeyRange[] {
  const joined: KeyRange[] = [];
  for (const range of ranges.toSorted((a, b) => compareUtf8(a.after, b.after))) {
    const before = joined.at(-1);
    if (before === undefined || startsBehind(range, before)) joined.push(range);
    else joined[joined.length - 1] = { after: before.after, ...furtherEnd(before, range) };
  }
  return joined;
}

/** Whether the range holds the key. */
export function holds(range: KeyRange, key: string): boolean {
  return compareUtf8(key, range.after) > 0 && !isBehind(key, range);
}

/** Also where one ends and the next begins: they share no key. */
function startsBehind({ after }: KeyRange, { upTo }: KeyRange): boolean {
  return upTo !== undefined && compareUtf8(after, upTo) >= 0;
}

function isBehind(key: string, { upTo }: KeyRange): boolean {
  return upTo !== undefined && compareUtf8(key, upTo) > 0;
}

function furtherEnd(a: KeyRange, b: KeyRange): { readonly upTo?: string } {
  if (a.upTo === undefined || b.upTo === undefined) return {};
  return { upTo: compareUtf8(a.upTo, b.upTo) > 0 ? a.upTo : b.upTo };
}

/** Without an end: nothing lies behind a prefix of nothing but U+10FFFF. */
function upToBehind(prefix: string): { readonly upTo?: string } {
  const points = [...prefix];
  while (points.at(-1) === LAST) points.pop();
  const last = points.pop()?.codePointAt(0);
  if (last === undefined) return {};
  return { upTo: points.join("") + String.fromCodePoint(last === 0xd7ff ? 0xe000 : last + 1) };
}

/** Before every key that begins with the prefix, behind nearly every other that comes before them. */
function justBefore(prefix: string): string {
  const points = [...prefix];
  const last = points.pop()?.codePointAt(0) ?? 0;
  const stem = points.join("");
  if (last === 0) return stem;
  const previous = last === 0xe000 ? 0xd7ff : last - 1;
  return stem + String.fromCodePoint(previous) + LAST;
}
