// The range lister against a model: whatever the keys, the ranges, the page size, the throttling and the moments it is stopped at,
// every key of the ranges is visited exactly once over all resumptions, none outside, and stretches tile the ranges.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compareUtf8 } from "../../lambdas/core/discovery/key-order.ts";
import { RangeLister, type Stretch } from "../../lambdas/core/discovery/lister.ts";
import type { KeyRange } from "../../lambdas/core/discovery/model.ts";
import { MoraineError } from "../../lambdas/core/errors.ts";
import type { BucketLister, ListPage, ListRequest } from "../../lambdas/core/ports.ts";
import { SequenceLister } from "../fakes/memory-lister.ts";
import { SeededRandom } from "../fakes/seeded-random.ts";

const BUCKET = "b";
const PREFIX = "p/";

const digits = fc.integer({ min: 0, max: 9999 });
const flat = digits.map((n) => String(n).padStart(6, "0"));
const word = fc.constantFrom("a", "alpha", "année", "z", "日本", "2024", "2025", "!", "~", "-", "");
const foldered = fc.tuple(word, fc.integer({ min: 1, max: 12 }), digits).map(([a, b, c]) => `${a}/${b}/${c}`);
const skewed = fc.tuple(fc.nat(20), digits).map(([folder, n]) => `${folder === 0 ? n % 7 : 3}/${n}.json`);
const hex = fc.nat().map((n) => (Math.imul(n, 2654435761) >>> 0).toString(16));
const hostileUnit = fc.constantFrom(
  ..."/ +%&<>\"'\\\u0001\u007f\t\n\r=?#az09AZ",
  "\u0080",
  "\ud7ff",
  "\ue000",
  "\ufffd",
  "\uffff",
  "\u{10000}",
  "😀",
  "\u{10ffff}",
);
const hostile = fc.oneof(
  fc.array(hostileUnit, { maxLength: 6 }).map((parts) => parts.join("")),
  fc.array(hostileUnit, { minLength: 1, maxLength: 3 }).map((parts) => parts.join("").repeat(400).slice(0, 255)),
  fc.string({ unit: "binary", maxLength: 8 }),
);
const scattered = (name: fc.Arbitrary<string>) =>
  fc.array(name, { maxLength: 400 }).map((names) => names.map((each) => `${PREFIX}${each}`));
/** As many as make splitting worth while, from one number. */
const dense = fc
  .record({ count: fc.nat(3000), kind: fc.constantFrom("counter", "hex", "dated") })
  .map(({ count, kind }) =>
    Array.from({ length: count }, (_, n) => {
      if (kind === "counter") return `${PREFIX}${String(n).padStart(8, "0")}`;
      if (kind === "hex") return `${PREFIX}${(Math.imul(n, 2654435761) >>> 0).toString(16).padStart(8, "0")}`;
      return `${PREFIX}2024/${String(1 + (n % 12)).padStart(2, "0")}/${String(1 + (n % 28)).padStart(2, "0")}/${n}`;
    }),
  );
const keySets = fc
  .oneof(
    scattered(flat),
    scattered(foldered),
    scattered(skewed),
    scattered(hex),
    scattered(hostile),
    dense,
    fc.tuple(scattered(hostile), dense).map(([a, b]) => [...a, ...b]),
  )
  .map((keys) => [...new Set(keys)].filter((key) => key.isWellFormed()).sort(compareUtf8));

interface Case {
  readonly keys: readonly string[];
  /** Bounds in order; ranges lie between every other pair or all pairs of neighbours. */
  readonly ranges: readonly KeyRange[];
  readonly pageKeys: number;
  readonly concurrency: number;
  readonly seed: number;
  readonly stops: readonly number[];
  readonly troubles: number;
}

const cases: fc.Arbitrary<Case> = keySets.chain((keys) =>
  fc.record({
    keys: fc.constant(keys),
    ranges: fc
      .tuple(
        fc.array(
          fc.oneof(
            fc.nat(keys.length).map((at) => keys[at] ?? PREFIX),
            hostile.map((key) => PREFIX + key),
          ),
          {
            maxLength: 8,
          },
        ),
        fc.boolean(),
        fc.boolean(),
      )
      .map(([bounds, gaps, open]) => rangesOf(bounds, gaps, open)),
    pageKeys: fc.integer({ min: 1, max: 40 }),
    concurrency: fc.integer({ min: 1, max: 20 }),
    seed: fc.nat(),
    stops: fc.array(fc.nat(40), { maxLength: 3 }),
    troubles: fc.constantFrom(0, 0, 0.1, 0.4),
  }),
);

function rangesOf(bounds: readonly string[], gaps: boolean, open: boolean): KeyRange[] {
  const sorted = [...new Set(bounds)].filter((key) => key !== "" && key.isWellFormed()).sort(compareUtf8);
  const ranges = ["", ...sorted].map((after, index): KeyRange => {
    const upTo = sorted[index];
    return upTo === undefined ? { after } : { after, upTo };
  });
  return ranges.filter((range, index) => (!gaps || index % 2 === 0) && (open || range.upTo !== undefined));
}

/** S3 that answers late, throttles and fails, from one seed. */
class Weather implements BucketLister {
  readonly #lister: SequenceLister;
  readonly #random: SeededRandom;
  readonly #troubles: number;
  inFlight = 0;
  inFlightMax = 0;
  requests = 0;

  constructor(lister: SequenceLister, random: SeededRandom, troubles: number) {
    this.#lister = lister;
    this.#random = random;
    this.#troubles = troubles;
  }

  async page(request: ListRequest): Promise<ListPage> {
    expect((request.after ?? "").isWellFormed()).toBe(true);
    expect(Buffer.byteLength(request.after ?? "")).toBeLessThanOrEqual(1024);
    this.requests++;
    this.inFlightMax = Math.max(this.inFlightMax, ++this.inFlight);
    await delay(this.#random);
    this.inFlight--;
    if (this.#random.fraction() < this.#troubles) {
      throw new MoraineError("Unavailable", "throttled", { throttled: this.#random.fraction() < 0.9 });
    }
    return this.#lister.page(request);
  }
}

async function delay(random: SeededRandom): Promise<void> {
  for (let turns = Math.floor(random.fraction() * 6); turns > 0; turns--) await undefined;
}

/** One run, perhaps stopped after some requests; what was visited, and what is left. */
async function listOnce(each: Case, ranges: readonly KeyRange[], random: SeededRandom, stopAfter: number | undefined) {
  const s3 = new Weather(new SequenceLister(each.keys, each.pageKeys), random, each.troubles);
  const stretches: Stretch[] = [];
  let tiled = true;
  let lister: RangeLister;
  const visiting = new Map<string, string | undefined>();
  lister = new RangeLister(
    { lister: s3, clock: { now: () => 0 }, timer: { sleep: () => delay(random) } },
    {
      bucket: BUCKET,
      prefix: PREFIX,
      ranges,
      concurrency: each.concurrency,
      visit: async (stretch) => {
        // Not visited yet, so it is at the front of one of the ranges left.
        tiled &&= lister.left().some(({ after, upTo }) => after === stretch.after && isUpTo(stretch.upTo, upTo));
        visiting.set(stretch.after, stretch.upTo);
        await delay(random);
        stretches.push(stretch);
      },
      isOver: () => stopAfter !== undefined && s3.requests >= stopAfter,
    },
  );
  await lister.run();
  expect(s3.inFlightMax).toBeLessThanOrEqual(each.concurrency);
  expect(s3.inFlight).toBe(0);
  expect(lister.stats.listRequests).toBe(s3.requests);
  expect(tiled).toBe(true);
  return { stretches, left: lister.left(), requests: s3.requests };
}

const isUpTo = (end: string | undefined, upTo: string | undefined) =>
  upTo === undefined || (end !== undefined && compareUtf8(end, upTo) <= 0);

const within = (key: string, { after, upTo }: KeyRange) =>
  compareUtf8(key, after) > 0 && (upTo === undefined || compareUtf8(key, upTo) <= 0);

/** Joins neighbours. */
function joined(ranges: readonly KeyRange[]): KeyRange[] {
  const all: KeyRange[] = [];
  for (const range of [...ranges].sort((a, b) => compareUtf8(a.after, b.after))) {
    const last = all.at(-1);
    if (last?.upTo !== undefined) expect(compareUtf8(last.upTo, range.after)).toBeLessThanOrEqual(0);
    if (last === undefined || last.upTo !== range.after) all.push(range);
    else all.splice(-1, 1, { ...range, after: last.after });
  }
  return all;
}

describe("range lister", () => {
  test("visits every key of its ranges exactly once over all resumptions, and stretches tile the ranges", async () => {
    await fc.assert(
      fc.asyncProperty(cases, async (each) => {
        const random = new SeededRandom(each.seed);
        const stretches: Stretch[] = [];
        let ranges = each.ranges;
        for (const stop of [...each.stops, undefined]) {
          const run = await listOnce(each, ranges, random, stop);
          stretches.push(...run.stretches);
          const visited = run.stretches.map(({ after, upTo }) => (upTo === undefined ? { after } : { after, upTo }));
          expect(joined([...visited, ...run.left])).toEqual(joined(ranges));
          if (stop === undefined) expect(run.left).toEqual([]);
          ranges = run.left;
        }
        for (const stretch of stretches) expect(stretch.objects.every(({ key }) => within(key, stretch))).toBe(true);
        const visited = stretches.flatMap(({ objects }) => objects.map(({ key }) => key)).sort(compareUtf8);
        expect(visited).toEqual(each.keys.filter((key) => each.ranges.some((range) => within(key, range))));
      }),
      { numRuns: Number(process.env["LISTER_RUNS"] ?? 1000) },
    );
  }, 120_000);
});
