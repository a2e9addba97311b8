// The order of keys and the ends of groups, held against the order of their bytes.

import fc from "fast-check";
import { expect, test } from "vitest";
import { compareUtf8, endOfGroup, sharedLength } from "../../../lambdas/core/discovery/key-order.ts";

const hostile = fc.constantFrom(
  "a",
  "/",
  "\u007f",
  "\ud7ff",
  "\ue000",
  "\ufffd",
  "\ufffe",
  "\uffff",
  "\u{10000}",
  "😀",
  "\u{10fffe}",
);
const key = fc.oneof(
  fc.string({ unit: "binary" }).filter((text) => text.isWellFormed()),
  fc.array(hostile, { maxLength: 5 }).map((parts) => parts.join("")),
);
const sign = Math.sign;

test("keys compare as their UTF-8 bytes do", () => {
  fc.assert(
    fc.property(key, key, (a, b) => sign(compareUtf8(a, b)) === sign(Buffer.compare(Buffer.from(a), Buffer.from(b)))),
  );
});

test("the shared length of two keys is where they part", () => {
  fc.assert(
    fc.property(key, key, key, (start, a, b) => {
      const length = sharedLength(start + a, start + b);
      const [left, right] = [start + a, start + b];
      return (
        length >= start.length &&
        left.slice(0, length) === right.slice(0, length) &&
        !(left[length] === right[length] && left.length > length && right.length > length)
      );
    }),
  );
});

test("the end of a group is a key that S3 takes, and comes behind all of the group and before what does not begin with it", () => {
  fc.assert(
    fc.property(key, key, key, (start, rest, other) => {
      fc.pre(start !== "");
      const end = endOfGroup(start);
      if (end === undefined) return true;
      const outside = other.startsWith(start) || compareUtf8(other, start) < 0 || compareUtf8(end, other) <= 0;
      // U+FFFE and U+FFFF are stepped over: they are left to the group before them.
      return end.isWellFormed() && compareUtf8(start + rest, end) < 0 && (outside || /[\ufffe\uffff]/.test(other));
    }),
    { numRuns: 1000 },
  );
});

test("half a character has no end, and neither has the last one there is", () => {
  expect(endOfGroup("a\ud83d")).toBeUndefined();
  expect(endOfGroup("a\u{10ffff}")).toBeUndefined();
  expect(endOfGroup("a\ud7ff")).toBe("a\ue000");
  expect(endOfGroup("a\uffff")).toBe("a\u{10000}");
  expect(endOfGroup("😀")).toBe("😁");
});
