// Advice on layouts as they are met: the listing that fits, for reasons that are true, in lines that moraine.yaml takes.

import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { parseConfig } from "../../../lambdas/core/config-file.ts";
import { findPattern, layoutOf, rankCorrelation } from "../../../lambdas/core/discovery/layout.ts";
import { type Recommendation, recommend } from "../../../lambdas/core/discovery/recommend.ts";
import { type FolderLevel, type Sample, sampleBucket } from "../../../lambdas/core/discovery/sample.ts";
import type { ListedObject } from "../../../lambdas/core/ports.ts";
import { ManualClock } from "../../fakes/manual-clock.ts";
import { anObject, SortedBucket } from "./sorted-bucket.ts";

const NOW = Date.parse("2026-03-02T10:30:00Z");
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const COUNT = 30_000;

const hashes = Array.from({ length: COUNT }, (_, n) => createHash("md5").update(String(n)).digest("hex"));
const hash = (n: number): string => hashes[n] ?? "";
const iso = (ms: number): string => new Date(ms).toISOString();
/** Oldest first, `spanMs` in all. */
const timeOf = (n: number, count = COUNT, spanMs = 365 * DAY_MS): number =>
  NOW - spanMs + Math.floor((n / count) * (spanMs - HOUR_MS));
const make = (count: number, key: (n: number, ms: number) => string, lagMs = HOUR_MS): readonly ListedObject[] =>
  Array.from({ length: count }, (_, n) => anObject(key(n, timeOf(n, count)), timeOf(n, count) + lagMs, 5000));

async function look(objects: readonly ListedObject[]): Promise<{ sample: Sample; advice: Recommendation }> {
  const timer = { sleep: async () => undefined };
  const lister = new SortedBucket(objects);
  const sample = await sampleBucket({ lister, timer, clock: new ManualClock(NOW) }, "landing", "in/");
  expect(sample.requests).toBe(lister.requests.length);
  expect(sample.requests).toBeLessThanOrEqual(39);
  const advice = recommend(sample);
  const yaml = advice.yaml.replaceAll(/^/gm, "    ");
  const text = `ingestions:\n  - id: a\n    source: { prefix: in/ }\n    format: { type: csv }\n    target: { database: d, table: t }\n${yaml}`;
  const { config, errors } = parseConfig(text, "advice.yaml");
  expect(errors).toBeUndefined();
  expect(config?.ingestions[0]?.discovery).toMatchObject({ events: true });
  expect(config?.ingestions[0]?.discovery.schedules[0]?.listing.strategy).toBe(advice.strategy);
  return { sample, advice };
}

describe("the advice", () => {
  test("for few files is to list them all", async () => {
    const { sample, advice } = await look(make(500, (n) => `in/${hash(n)}.csv`));
    expect(advice.strategy).toBe("full");
    expect(advice.why[0]).toBe("500 files");
    expect(sample.requests).toBeLessThanOrEqual(3);
  });

  test("for an empty prefix too", async () => {
    expect((await look([])).advice.strategy).toBe("full");
  });

  test.each([
    ["days", (n: number, ms: number) => `in/${iso(ms).slice(0, 10).replaceAll("-", "/")}/${hash(n)}`, "%Y/%m/%d"],
    ["Hive days", (n: number, ms: number) => `in/dt=${iso(ms).slice(0, 10)}/${hash(n)}`, "dt=%Y-%m-%d"],
    [
      "Hive levels without zeros, below a folder",
      (n: number, ms: number) => {
        const [year, month, day] = iso(ms).slice(0, 10).split("-").map(Number);
        return `in/v1/year=${year}/month=${month}/day=${day}/${hash(n)}`;
      },
      "v1/year=%Y/month=%-m/day=%-d/",
    ],
    [
      "hours",
      (n: number, ms: number) => `in/${iso(ms).slice(0, 13).replaceAll(/[-T]/g, "/")}/${hash(n)}`,
      "%Y/%m/%d/%H",
    ],
  ])("for folders of %s is to list by partition", async (_name, key, pattern) => {
    const { sample, advice } = await look(make(COUNT, key));
    const { files } = layoutOf(sample);
    expect(files).toBeGreaterThan(COUNT / 3);
    expect(files).toBeLessThan(COUNT * 3);
    expect(advice.strategy).toBe("partitioned");
    expect(advice.yaml).toContain(`pattern: "${pattern}"`);
    expect(advice.yaml).toContain("{ strategy: full, every: 7d }");
  });

  test("for folders with quotes and backslashes in their names is YAML that says the same names", async () => {
    const { advice } = await look(make(COUNT, (n, ms) => `in/a"b\\c/${iso(ms).slice(0, 10)}/${hash(n)}`));
    expect(advice.strategy).toBe("partitioned");
    const [listing] = parse(advice.yaml).discovery.reconcile;
    expect(listing.pattern).toBe('a"b\\c/%Y-%m-%d');
  });

  test("for files that come late is a look-back that holds them", async () => {
    const key = (n: number, ms: number) => `in/${iso(ms).slice(0, 10)}/${hash(n)}`;
    const { advice } = await look(make(COUNT, key, 9 * DAY_MS));
    expect(advice.yaml).toContain("lookback: 11d");
  });

  test.each([
    ["timestamps", (n: number, ms: number) => `in/${ms}-${hash(n).slice(0, 6)}.csv`],
    ["dates in names", (n: number, ms: number) => `in/events-${iso(ms)}-${hash(n).slice(0, 4)}.json`],
    ["counters", (n: number) => `in/${String(n).padStart(12, "0")}.csv`],
    [
      "ULIDs",
      (n: number, ms: number) => {
        const letters = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
        const time = Array.from({ length: 10 }, (_, at) => letters[Math.floor(ms / 32 ** (9 - at)) % 32]).join("");
        return `in/${time}${hash(n).slice(0, 16).toUpperCase()}`;
      },
    ],
  ])("for flat keys that grow with time (%s) is to list behind the last", async (_name, key) => {
    const { sample, advice } = await look(make(COUNT, key));
    expect(advice.strategy).toBe("incremental_lexical");
    const { files } = layoutOf(sample);
    expect(files).toBeGreaterThan(COUNT / 3);
    expect(files).toBeLessThan(COUNT * 3);
  });

  test("for flat random keys is to list all and report new files with old dates, and the number of files is about right", async () => {
    const { sample, advice } = await look(make(COUNT, (n) => `in/${hash(n)}.csv`));
    expect(advice.strategy).toBe("incremental_time");
    expect(advice.why.join("\n")).toContain("keys do not grow with time");
    expect(advice.why.join("\n")).toContain("the ledger is asked about files that no earlier run has confirmed");
    const { files } = layoutOf(sample);
    expect(files).toBeGreaterThan(COUNT / 2);
    expect(files).toBeLessThan(COUNT * 2);
  });

  test("for a mixture is a listing of everything, and what part could be had cheaper", async () => {
    const dated = make(COUNT, (n, ms) => `in/${iso(ms).slice(0, 10).replaceAll("-", "/")}/${hash(n)}`);
    const other = make(COUNT, (n) => `in/exports/${hash(n).slice(0, 2)}/${hash(n)}`);
    const more = ["a", "b", "c"].flatMap((folder) => make(1000, (n) => `in/${folder}/${hash(n)}`));
    const { advice } = await look([...dated, ...other, ...more]);
    expect(advice.strategy).toBe("incremental_time");
  });

  test("for one large day among small ones says so", async () => {
    const key = (n: number, ms: number) => `in/${iso(n % 2 === 0 ? NOW : ms).slice(0, 10)}/${hash(n)}`;
    const { advice } = await look(make(COUNT, key));
    expect(advice.strategy).toBe("partitioned");
    expect(advice.why.join("\n")).toContain("partitions differ");
  });

  test("for a bucket that was copied does not trust one date for all", async () => {
    const copied = make(COUNT, (n) => `in/${String(n).padStart(9, "0")}`).map((object) => ({
      ...object,
      lastModifiedMs: NOW,
    }));
    const { advice } = await look(copied);
    expect(advice.strategy).toBe("incremental_time");
    expect(advice.why.join("\n")).toContain("a copied bucket has one date");
  });

  test("for very many files without order is an inventory", async () => {
    const { sample } = await look(make(COUNT, (n) => `in/${hash(n)}`));
    // A page that covers a hundred-thousandth of the way.
    const pages = sample.pages.map((page, at) => ({
      truncated: true,
      objects: page.objects.map((object, n) => ({
        ...object,
        key: `in/${(at * 15_000_000 + n).toString(16).padStart(8, "0")}`,
      })),
    }));
    const advice = recommend({ ...sample, pages });
    expect(advice.strategy).toBe("inventory");
    expect(advice.yaml).toContain('location: "s3://my-inventories/landing/all"');
  });
});

test("dates behind a folder that varies, and numbers that are no dates, make no pattern", () => {
  const level = (parent: string, names: readonly string[]): FolderLevel => ({
    parent,
    folders: names.map((name) => `${parent}${name}/`),
    truncated: false,
    files: 0,
  });
  expect(findPattern("in/", [level("in/", ["eu", "us"]), level("in/us/", ["2025", "2026"])])).toBeUndefined();
  expect(findPattern("in/", [level("in/", ["1000", "4711", "9000"])])).toBeUndefined();
  expect(findPattern("in/", [level("in/", ["2025", "2026"]), level("in/2026/", ["17", "31", "55"])])?.text).toBe("%Y");
  expect(findPattern("in/", [])).toBeUndefined();
});

test("ranks correlate as Spearman's do", () => {
  const rising = Array.from({ length: 50 }, (_, n) => n * n);
  expect(rankCorrelation(rising)).toBeCloseTo(1);
  expect(rankCorrelation(rising.toReversed())).toBeCloseTo(-1);
  expect(rankCorrelation(rising.map((_, n) => (n * 37) % 50))).toBeLessThan(0.5);
  expect(rankCorrelation([1, 2])).toBeUndefined();
  expect(rankCorrelation(new Array<number>(50).fill(7))).toBeUndefined();
});
