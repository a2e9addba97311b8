// Bounds on requests and time of listing a million keys, in a model of S3 where each request takes one unit. `node bench/listing.ts`
// prints the same for other numbers of keys, and for all layouts with and without hints.

import { expect, test } from "vitest";
import { PAGE_KEYS, SequenceLister } from "../fakes/memory-lister.ts";
import { cutEvenly, LAYOUTS } from "../unit/discovery/layouts.ts";
import { measure } from "../unit/discovery/virtual-s3.ts";

const KEYS = 1_000_000;
const PAGES = KEYS / PAGE_KEYS;

const names = Object.keys(LAYOUTS);
const cases = [
  ...names.map((name) => [name, 64, "no"] as const),
  ...["counter, 10 digits", "uuid", "date folders, counters", "one deep folder", "skewed, 90 % in one folder"].map(
    (name) => [name, 8, "no"] as const,
  ),
  ["uuid", 64, "even"] as const,
  ["skewed, 90 % in one folder", 64, "even"] as const,
];

test.each(cases)(
  "a million keys (%s), %i requests at once, %s hints: few requests to spare, and within 1/0.7 of the ideal time",
  async (name, concurrency, hints) => {
    const layout = LAYOUTS[name];
    if (layout === undefined) throw new Error(name);
    const keys = layout.keys(KEYS);
    const ranges = hints === "even" ? cutEvenly(keys, concurrency) : [{ after: "" }];
    const measured = await measure(new SequenceLister(keys), { prefix: layout.prefix, ranges, concurrency });
    expect(measured.keys).toBe(KEYS);
    expect(measured.listRequests).toBeLessThanOrEqual(1.05 * PAGES + 4 * measured.ranges);
    // That bound grows with empty ranges, this one does not.
    expect(measured.listRequests).toBeLessThanOrEqual((concurrency === 8 ? 1.05 : 1.15) * PAGES);
    expect(Math.max(...measured.inFlight)).toBeLessThanOrEqual(concurrency);
    expect(measured.units).toBeLessThanOrEqual(PAGES / concurrency / 0.7);
  },
  60_000,
);

test("a listing of few pages costs few requests more", async () => {
  for (const [name, { prefix, keys: make }] of Object.entries(LAYOUTS)) {
    for (const count of [1, 999, 1000]) {
      const ranges = [{ after: "" }];
      const { listRequests } = await measure(new SequenceLister(make(count)), { prefix, ranges, concurrency: 64 });
      expect([name, count, listRequests]).toEqual([name, count, 1]);
    }
    const measured = await measure(new SequenceLister(make(3000)), {
      prefix,
      ranges: [{ after: "" }],
      concurrency: 64,
    });
    expect(measured.listRequests).toBeLessThanOrEqual(60);
  }
});
