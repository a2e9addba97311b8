// Listed objects, and keys of every kind, for tests of discovery.

import fc from "fast-check";
import { compareUtf8 } from "../../../lambdas/core/discovery/key-order.ts";
import type { ListedObject } from "../../../lambdas/core/ports.ts";

export const T0 = Date.UTC(2026, 0, 2);

export function listed(key: string, changes: Partial<ListedObject> = {}): ListedObject {
  return { key, etag: `etag of ${key}`, sizeBytes: 10, lastModifiedMs: T0, ...changes };
}

export function inOrder(objects: readonly ListedObject[]): ListedObject[] {
  return objects.toSorted((a, b) => compareUtf8(a.key, b.key));
}

/** Short, so that they meet; and what is hard: beyond U+FFFF, just below it, control characters, long shared beginnings, the empty rest. */
export const hostileKey: fc.Arbitrary<string> = fc.oneof(
  fc.string({
    minLength: 1,
    maxLength: 3,
    unit: fc.constantFrom("a", "b", "/", "é", "\uffff", "\u{10000}", "\u{10ffff}", "\0"),
  }),
  fc.string({ minLength: 1, maxLength: 40, unit: "binary" }),
  fc.nat({ max: 300 }).map((n) => `${"long/".repeat(60)}${n.toString().padStart(4, "0")}`),
  fc.constantFrom("__proto__", "constructor", "x".repeat(1024), "\u{10ffff}".repeat(256)),
);

/** Few versions, so that objects of two listings meet; some differ in one fact only. */
export const hostileObject: fc.Arbitrary<ListedObject> = fc.record({
  key: hostileKey,
  etag: fc.constantFrom("0123456789abcdef0123456789abcdef", "0123456789abcdef0123456789abcdef-2", "", "é"),
  sizeBytes: fc.constantFrom(0, 1, 5 * 2 ** 40),
  lastModifiedMs: fc.constantFrom(0, T0, T0 + 999, T0 + 1000),
});
