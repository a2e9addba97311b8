// The `discovery` section: what it means, and what it refuses.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Discovery } from "../../../lambdas/core/config.ts";
import { parseConfig } from "../../../lambdas/core/config-file.ts";
import { resolveBuckets } from "../../../lambdas/core/resolve-buckets.ts";
import { notificationPrefixes } from "../../../lib/landing.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

const file = (discovery: string): string => `ingestions:
  - id: orders
    source: { prefix: orders/ }
    format: { type: csv }
    target: { database: sales, table: orders }
    discovery: ${discovery}
`;

function read(discovery: string): Discovery {
  const { config, errors } = parseConfig(file(discovery), "moraine.yaml");
  const found = config?.ingestions[0]?.discovery;
  if (found === undefined) throw new Error(errors?.join("\n"));
  return found;
}

const errorsOf = (discovery: string): readonly string[] => parseConfig(file(discovery), "moraine.yaml").errors ?? [];

describe("a strategy", () => {
  test("is events unless told, and a backfill then lists everything", () => {
    const byEvents = { events: true, listing: { strategy: "full" }, schedules: [], concurrency: 32, functionsMax: 8 };
    expect(read("{}")).toEqual(byEvents);
    expect(read("{ strategy: event_driven, concurrency: 64, functionsMax: 20 }")).toEqual({
      ...byEvents,
      concurrency: 64,
      functionsMax: 20,
    });
  });

  test.each([
    ["{ strategy: full, every: 1h }", { strategy: "full" }],
    ["{ strategy: incremental_lexical, every: 1h }", { strategy: "incremental_lexical", lookbackKeys: 1000 }],
    [
      "{ strategy: incremental_lexical, lookback: 50, every: 1h }",
      { strategy: "incremental_lexical", lookbackKeys: 50 },
    ],
    ["{ strategy: incremental_time, every: 1h }", { strategy: "incremental_time", overlapMs: HOUR_MS }],
    [
      "{ strategy: incremental_time, lookback: 3h, every: 1h }",
      { strategy: "incremental_time", overlapMs: 3 * HOUR_MS },
    ],
    [
      '{ strategy: partitioned, pattern: "%Y/%m/%d/%H", lookback: 48h, every: 1h }',
      { strategy: "partitioned", pattern: "%Y/%m/%d/%H", lookbackMs: 48 * HOUR_MS },
    ],
    [
      "{ strategy: partitioned, pattern: year=%Y/month=%m/day=%d, every: 1h }",
      { strategy: "partitioned", pattern: "year=%Y/month=%m/day=%d", lookbackMs: 7 * DAY_MS },
    ],
    [
      '{ strategy: inventory, location: "s3://reports/daily/landing/all/", every: 1h }',
      { strategy: "inventory", location: "s3://reports/daily/landing/all", ageMaxMs: 48 * HOUR_MS },
    ],
  ])("of listing alone takes no events and runs by itself: %s", (text, listing) => {
    expect(read(text)).toMatchObject({ events: false, listing, schedules: [{ listing, everySeconds: 3600 }] });
  });

  test("may be reconciled by one listing or by several", () => {
    expect(read("{ reconcile: { strategy: full, every: 1d } }")).toMatchObject({
      events: true,
      schedules: [{ listing: { strategy: "full" }, everySeconds: 86_400 }],
    });
    const several = read(`
      strategy: partitioned
      pattern: dt=%Y-%m-%d
      lookback: 3d
      every: 15m
      reconcile:
        - { strategy: partitioned, pattern: dt=%Y-%m-%d, lookback: 40d, every: 1d }
        - { every: 7d }
`);
    expect(several.schedules.map(({ everySeconds }) => everySeconds)).toEqual([900, 86_400, 604_800]);
    expect(several.schedules[2]?.listing).toEqual({ strategy: "full" });
  });
});

test.each([
  [
    "{ strategy: fulll, every: 1h, pattern: x }",
    '6: ingestions[0].discovery.strategy: "fulll" is not known; use event_driven, full, incremental_lexical, incremental_time, partitioned, inventory (did you mean full?)',
  ],
  ["{ strategy: full }", "6: ingestions[0].discovery.every: is missing; add it"],
  [
    "{ every: 1h }",
    "6: ingestions[0].discovery.every: is for listings, and event_driven lists nothing; move it into reconcile",
  ],
  [
    "{ strategy: full, every: 90s }",
    "6: ingestions[0].discovery.every: is 90s; write whole minutes, such as 1m, 6h or 1d",
  ],
  [
    "{ strategy: full, every: 30s }",
    '6: ingestions[0].discovery.every: is "30s"; write a duration such as 30s, 15m, 12h or 7d, from 60s to ',
  ],
  ["{ strategy: full, every: 1h, lookback: 7d }", "6: ingestions[0].discovery.lookback: is not known; remove it"],
  [
    "{ strategy: incremental_lexical, every: 1h, lookback: 7d }",
    '6: ingestions[0].discovery.lookback: is "7d"; write a whole number from 1 to 1000000',
  ],
  [
    "{ strategy: partitioned, pattern: dt=%Y, every: 1h, lookback: 7 }",
    "6: ingestions[0].discovery.lookback: is 7; write a duration such as ",
  ],
  ["{ strategy: partitioned, every: 1h }", "6: ingestions[0].discovery.pattern: is missing; add it"],
  [
    "{ strategy: partitioned, every: 1h, pattern: dt=%d }",
    '6: ingestions[0].discovery.pattern: "dt=%d" has its units in the wrong order; begin with %Y',
  ],
  [
    '{ strategy: partitioned, every: 1h, pattern: "/%Y" }',
    '6: ingestions[0].discovery.pattern: "/%Y" starts with /; it continues the prefix, remove the /',
  ],
  [
    '{ strategy: partitioned, every: 1h, pattern: "%Y/%m/%d/%H", lookback: 3000d }',
    "6: ingestions[0].discovery.lookback: is 72000 partitions, each a request; shorten it to 10000",
  ],
  ["{ strategy: inventory, every: 1h }", "6: ingestions[0].discovery.location: is missing; add it"],
  [
    '{ strategy: inventory, every: 1h, location: "s3://reports" }',
    '6: ingestions[0].discovery.location: "s3://reports" is no inventory location; write s3://bucket/prefix/',
  ],
  ["{ reconcile: { strategy: full } }", "6: ingestions[0].discovery.reconcile.every: is missing; add it"],
  [
    "{ reconcile: [{ every: 1d }, { strategy: event_driven, every: 1d }] }",
    '6: ingestions[0].discovery.reconcile[1].strategy: "event_driven" is not known; use full, ',
  ],
  ["{ reconcile: daily }", '6: ingestions[0].discovery.reconcile: is "daily"; write a mapping'],
  ["{ concurrency: 500 }", "6: ingestions[0].discovery.concurrency: is 500; write a whole number from 1 to 128"],
])("%s is refused", (text, expected) => {
  const errors = errorsOf(text);
  expect(errors).toHaveLength(1);
  expect(errors[0]).toContain(expected);
});

test("a bucket whose files are found by listing alone gets no notification", () => {
  const prefixes = (text: string) => {
    const { config, errors } = parseConfig(text, "moraine.yaml");
    if (config === undefined) throw new Error(errors.join("\n"));
    return notificationPrefixes(config, "landing");
  };
  const listed = "{ strategy: full, every: 1h }";
  expect(prefixes(file(listed))).toEqual([]);
  const both = `${file(listed)}  - id: clicks
    source: { prefix: clicks/ }
    format: { type: ndjson }
    target: { database: web, table: clicks }
`;
  expect(prefixes(both)).toEqual(["clicks/"]);
});

test("an inventory in a bucket of the stack is found by the bucket's real name", () => {
  const text = file(
    '{ reconcile: { strategy: inventory, location: "s3://landing/_inventory/landing/all", every: 1d } }',
  );
  const { config } = parseConfig(text, "moraine.yaml");
  if (config === undefined) throw new Error("not valid");
  const { discovery } = resolveBuckets(config, { landing: "real" }).ingestions[0] ?? {};
  expect(discovery?.schedules[0]?.listing).toMatchObject({ location: "s3://real/_inventory/landing/all" });
});

test("whatever a key holds, the answer is a configuration or located errors", () => {
  const names = ["strategy", "lookback", "pattern", "location", "ageMax", "every", "reconcile", "concurrency", "other"];
  const value = fc.oneof(
    fc.jsonValue({ maxDepth: 2 }),
    fc.constantFrom("full", "partitioned", "inventory", "%Y/%m", "%-d", "1h", "90s", 7, "s3://bucket/a"),
  );
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom(...names), value, { maxKeys: 5 }), (section) => {
      const { config, errors } = parseConfig(file(JSON.stringify(section)), "f.yaml");
      if (config === undefined) expect(errors.length).toBeGreaterThan(0);
      for (const error of errors ?? []) expect(error).toMatch(/^f\.yaml:6: ingestions\[0\]\.discovery.*: .+; ?.+$/);
    }),
    { numRuns: 300 },
  );
});
