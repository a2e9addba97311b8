// Partition patterns: which prefixes a window of time has, and which partition a key lies in.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  lookbackWindow,
  partitionPath,
  partitionStart,
  partitionsBetween,
  patternLevels,
  patternOf,
  readPattern,
} from "../../../lambdas/core/discovery/partitions.ts";

const DAY_MS = 86_400_000;
const at = (iso: string): number => Date.parse(iso);
const between = (text: string, from: string, to: string): readonly string[] =>
  partitionsBetween(patternOf(text), at(from), at(to));

const PATTERNS = [
  "%Y/%m/%d/%H",
  "year=%Y/month=%m/day=%d",
  "year=%Y/month=%-m/day=%-d/hour=%-H/",
  "dt=%Y-%m-%d",
  "%Y%m%d%H",
  "%Y/%Y-%m/%Y-%m-%d/",
  "%Y-%m",
  "y%Y/",
];

test.each([
  [
    "the end of February",
    "%Y/%m/%d",
    "2026-02-27T12:00Z",
    "2026-03-02T00:00Z",
    ["2026/02/27", "2026/02/28", "2026/03/01"],
  ],
  ["a leap day", "dt=%Y-%m-%d", "2028-02-28T00:00Z", "2028-03-01T00:00Z", ["dt=2028-02-28", "dt=2028-02-29"]],
  ["no leap day in 2100", "dt=%Y-%m-%d", "2100-02-28T00:00Z", "2100-03-01T00:01Z", ["dt=2100-02-28", "dt=2100-03-01"]],
  [
    "hours over the end of a year",
    "%Y/%m/%d/%H",
    "2025-12-31T22:59Z",
    "2026-01-01T01:00Z",
    ["2025/12/31/22", "2025/12/31/23", "2026/01/01/00"],
  ],
  ["months of unequal length", "y=%Y/m=%-m/", "2026-01-31T00:00Z", "2026-03-01T00:00Z", ["y=2026/m=1/", "y=2026/m=2/"]],
])("%s", (_name, text, from, to, expected) => {
  expect(between(text, from, to)).toEqual(expected);
});

describe("whatever the pattern", () => {
  const instant = fc.integer({ min: at("1999-12-30T00:00Z"), max: at("2105-01-02T00:00Z") });
  const lookback = fc.integer({ min: 0, max: 45 * DAY_MS });

  test("every instant of a window is covered by exactly one of its prefixes", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...PATTERNS),
        instant,
        lookback,
        fc.double({ min: 0, max: 1, noNaN: true }),
        (text, now, back, share) => {
          const pattern = patternOf(text);
          const { fromMs, toMs } = lookbackWindow(pattern, back, { nowMs: now, sinceMs: now });
          const paths = partitionsBetween(pattern, fromMs, toMs);
          const inside = Math.min(toMs - 1, fromMs + Math.floor(share * (toMs - fromMs)));
          const key = `${partitionPath(pattern, inside)}/file.csv`;
          expect(paths.filter((path) => key.startsWith(path))).toHaveLength(1);
          expect(new Set(paths).size).toBe(paths.length);
          expect(paths).toContain(partitionPath(pattern, now));
        },
      ),
    );
  });

  test("a key leads back to the start of its partition", () => {
    fc.assert(
      fc.property(fc.constantFrom(...PATTERNS), instant, (text, now) => {
        const pattern = patternOf(text);
        const start = partitionStart(pattern, `${partitionPath(pattern, now)}/file.csv`);
        expect(start).toBeLessThanOrEqual(now);
        expect(partitionPath(pattern, start ?? 0)).toBe(partitionPath(pattern, now));
        expect(partitionsBetween(pattern, start ?? 0, now + 1)).toHaveLength(1);
      }),
    );
  });

  test("prefixes of padded patterns are in the order of time", () => {
    fc.assert(
      fc.property(fc.constantFrom("%Y/%m/%d/%H", "dt=%Y-%m-%d"), instant, lookback, (text, now, back) => {
        const paths = partitionsBetween(patternOf(text), now - back, now);
        expect(paths).toEqual(paths.toSorted());
      }),
    );
  });
});

test.each([["2026/02/30/a"], ["2026/13/01/a"], ["2026/00/10/a"], ["2026/1/1/a"], ["26/01/01/a"], ["_tmp/2026/01/01"]])(
  "%s lies in no partition",
  (path) => {
    expect(partitionStart(patternOf("%Y/%m/%d"), path)).toBeUndefined();
  },
);

test("a pattern is cut into the levels that can be listed folded", () => {
  const levels = (text: string) => patternLevels(patternOf(text)).map((level) => level.text);
  expect(levels("raw/%Y/%m/%d/%H")).toEqual(["raw/%Y/", "raw/%Y/%m/", "raw/%Y/%m/%d/", "raw/%Y/%m/%d/%H/"]);
  expect(levels("dt=%Y-%m-%d/")).toEqual(["dt=%Y-%m-%d/"]);
  expect(levels("%Y/data/%Y-%m-%d")).toEqual(["%Y/", "%Y/data/%Y-%m-%d/"]);
});

test.each([
  ["%Y/%j", 'has "%j"; use %Y, %m, %d and %H'],
  ["%y/%m", 'has "%y"; use %Y'],
  ["%-Y/%m", 'has "%-Y"; use %Y'],
  ["%Y%", 'has "%"; use %Y'],
  ["%m/%d", "has its units in the wrong order; begin with %Y"],
  ["%Y/%d/%m", "has its units in the wrong order"],
  ["%Y/%m/%H", "has its units in the wrong order"],
  ["daily/", "names no date"],
  ["", "names no date"],
  ["/%Y", "starts with /"],
  ["%Y/*", "looks like a glob"],
  ["year=%Y/month=%-m", "ends in a number without leading zeros"],
  ["%Y/%-m%d/", "ends in a number without leading zeros"],
  ["%Y/%-m/%m/", "names the month with and without leading zeros"],
])("the pattern %j is refused with its remedy", (text, complaint) => {
  expect(readPattern(text).complaint).toContain(complaint);
});
