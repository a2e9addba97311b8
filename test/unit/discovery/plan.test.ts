// Plans: what a strategy lists, in how many shards, and with how many requests.

import { describe, expect, test } from "vitest";
import type { Ingestion } from "../../../lambdas/core/config.ts";
import { parseConfig } from "../../../lambdas/core/config-file.ts";
import type { CursorRecord, Listing, RunInput, SeenSegment, Shard } from "../../../lambdas/core/discovery/model.ts";
import { planRun, type RunPlan } from "../../../lambdas/core/discovery/plan.ts";
import { tailOf } from "../../../lambdas/core/discovery/tail.ts";
import { MoraineError } from "../../../lambdas/core/errors.ts";
import type { IngestionId, ObjectUri } from "../../../lambdas/core/ids.ts";
import { ManualClock } from "../../fakes/manual-clock.ts";
import { MemoryObjectStore } from "../../fakes/memory-object-store.ts";
import { SortedBucket } from "./sorted-bucket.ts";

const NOW = Date.parse("2026-03-02T10:30:00Z");
const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;

function ingestionsOf(...prefixes: readonly string[]): readonly Ingestion[] {
  const ingestions = prefixes.map((prefix, index) => ({
    id: `i${index}`,
    source: { prefix },
    format: { type: "ndjson" },
    target: { database: "d", table: `t${index}` },
  }));
  const { config, errors } = parseConfig(JSON.stringify({ ingestions }), "test.yaml");
  if (config === undefined) throw new Error(errors.join("\n"));
  return config.ingestions;
}

interface Asked extends Partial<Omit<RunInput, "listing">> {
  readonly listing?: Listing;
  readonly cursor?: Partial<CursorRecord>;
  readonly segments?: readonly SeenSegment[];
  readonly prefixes?: readonly string[];
  /** Absent: as asked for. */
  readonly configured?: Listing;
  readonly nowMs?: number;
}

const clock = new ManualClock(NOW);
const slept: number[] = [];
const timer = {
  sleep: async (ms: number) => {
    slept.push(ms);
  },
};

function plan(bucket: SortedBucket, asked: Asked = {}, store = new MemoryObjectStore(clock)): Promise<RunPlan> {
  const { cursor, segments, prefixes = ["in/"], configured: _own, nowMs, ...given } = asked;
  const ingestions = ingestionsOf(...prefixes);
  const [first] = ingestions;
  if (first === undefined) throw new Error("no ingestion");
  const { configured = given.listing ?? first.discovery.listing } = asked;
  const ingestion = { ...first, discovery: { ...first.discovery, listing: configured } };
  const input: RunInput = {
    ingestion: ingestion.id,
    listing: { strategy: "full" },
    scope: {},
    dryRun: false,
    checkAll: false,
    trigger: "command",
    concurrency: 32,
    ...given,
  };
  const record = { ingestion: "i0" as IngestionId, source: "", updatedAtMs: 0, ...cursor };
  return planRun(
    { lister: bucket, store, clock: nowMs === undefined ? clock : new ManualClock(nowMs), timer },
    {
      ingestion,
      ingestions,
      input,
      ...(cursor === undefined ? {} : { cursor: record }),
      ...(segments === undefined ? {} : { seen: { segments } }),
    },
  );
}

/** Keys that a lister of the plan's ranges finds. */
async function listed(bucket: SortedBucket, shards: readonly Shard[]): Promise<readonly string[]> {
  const keys: string[] = [];
  for (const shard of shards) {
    if (shard.kind !== "keys") throw new Error("no shard of keys");
    keys.push(...(await bucket.list(shard.prefix, shard.ranges)));
  }
  return keys;
}

const rangesOf = (shard: Shard | undefined) => (shard?.kind === "keys" ? shard.ranges : []);
const numbered = (prefix: string, count: number): readonly string[] =>
  Array.from({ length: count }, (_, index) => `${prefix}${String(index).padStart(8, "0")}`);

function segmentsOf(keys: readonly string[], each: number, weight = 1): readonly SeenSegment[] {
  return Array.from({ length: Math.ceil(keys.length / each) }, (_, n) => {
    const part = keys.slice(n * each, (n + 1) * each);
    return {
      uri: `s3://w/${n}` as ObjectUri,
      first: part[0] ?? "",
      last: part.at(-1) ?? "",
      entries: part.length * weight,
    };
  });
}

describe("full", () => {
  test("what a page holds is one shard and one request", async () => {
    const bucket = new SortedBucket(numbered("in/", 999));
    const { shards, listRequests } = await plan(bucket);
    expect(shards).toEqual([{ kind: "keys", id: "0-00000", prefix: "in/", ranges: [{ after: "" }] }]);
    expect(listRequests).toBe(1);
  });

  test("with folders and no earlier run, lanes begin at folders; large folders are spread over functions", async () => {
    const small = Array.from({ length: 300 }, (_, n) => numbered(`in/${1000 + n}/`, 10)).flat();
    const one = await plan(new SortedBucket(small));
    expect(one.shards).toHaveLength(1);
    expect(rangesOf(one.shards[0])).toHaveLength(32);
    const large = Array.from({ length: 20 }, (_, n) => numbered(`in/${1000 + n}/`, 1100)).flat();
    const bucket = new SortedBucket(large);
    const many = await plan(bucket);
    expect(many.shards).toHaveLength(7);
    expect(many.listRequests).toBeLessThanOrEqual(21);
    expect(await listed(bucket, many.shards)).toEqual(large);
  });

  test("a chain of folders is followed to where it branches, and a few folders one level further", async () => {
    const keys = ["2025", "2026"].flatMap((year) =>
      Array.from({ length: 12 }, (_, month) => numbered(`in/app/v1/${year}/${10 + month}/`, 60)).flat(),
    );
    const bucket = new SortedBucket(keys);
    const { shards, listRequests } = await plan(bucket);
    expect(rangesOf(shards[0]).map(({ after }) => after)).toContain("in/app/v1/2026/15/");
    expect(listRequests).toBeLessThanOrEqual(21);
    expect(await listed(bucket, shards)).toEqual(keys);
  });

  test("a flat prefix without an earlier run is one range, which the lister bisects", async () => {
    const { shards, listRequests } = await plan(new SortedBucket(numbered("in/", 5000)));
    expect(shards.map(rangesOf)).toEqual([[{ after: "" }]]);
    expect(listRequests).toBe(2);
  });

  test("after an earlier run it is cut where the keys are, without a request, and nothing is left out", async () => {
    const keys = numbered("in/", 20_000);
    const bucket = new SortedBucket([...keys, "in/", "in/0", "in/zzz"]);
    const { shards, listRequests } = await plan(bucket, { segments: segmentsOf(keys, 50, 200) });
    expect(listRequests).toBe(0);
    // 4 M entries.
    expect(shards).toHaveLength(8);
    for (const shard of shards) {
      expect(rangesOf(shard).length).toBeGreaterThanOrEqual(16);
      expect(rangesOf(shard).length).toBeLessThanOrEqual(33);
    }
    expect(await listed(bucket, shards)).toEqual(bucket.objects.map(({ key }) => key));
    expect(new Set(shards.map(({ id }) => id)).size).toBe(8);
  });

  test("a shard has a bounded number of ranges, and a small listing stays in one function", async () => {
    const keys = numbered("in/", 20_000);
    const { shards } = await plan(new SortedBucket([]), { segments: segmentsOf(keys, 100) });
    expect(shards).toHaveLength(1);
    expect(rangesOf(shards[0]).length).toBeLessThanOrEqual(10);
  });

  test("a run of a part of the prefix lists that part", async () => {
    const keys = [...numbered("in/a/", 3000), ...numbered("in/b/", 3000)];
    const bucket = new SortedBucket(keys);
    const { shards } = await plan(bucket, { scope: { prefix: "in/b/" }, segments: segmentsOf(keys, 500, 1000) });
    const found = await listed(bucket, shards);
    expect(found).toEqual(numbered("in/b/", 3000));
    expect(shards.every((shard) => shard.kind === "keys" && shard.prefix === "in/b/")).toBe(true);
  });

  test("what belongs to an ingestion with a longer prefix costs no request", async () => {
    const own = [...numbered("in/a/", 50), ...numbered("in/z/", 50)];
    const bucket = new SortedBucket([...own, ...numbered("in/logs/", 30_000)]);
    const { shards } = await plan(bucket, { prefixes: ["in/", "in/logs/", "other/"] });
    const before = bucket.requests.length;
    expect(await listed(bucket, shards)).toEqual(own);
    expect(bucket.requests.length - before).toBeLessThanOrEqual(5);
  });

  test("a throttled request is made again, a little later each time", async () => {
    const bucket = new SortedBucket(numbered("in/", 10));
    let failures = 2;
    const page = bucket.page.bind(bucket);
    bucket.page = async (request) => {
      if (failures-- > 0) throw new MoraineError("Unavailable", "s3 is throttling", { throttled: true });
      return page(request);
    };
    slept.length = 0;
    expect((await plan(bucket)).listRequests).toBe(3);
    expect(slept).toEqual([200, 400]);
  });
});

describe("incremental_lexical", () => {
  const listing: Listing = { strategy: "incremental_lexical", lookbackKeys: 100 };

  test("lists what is behind the cursor and the look-back before it", async () => {
    const bucket = new SortedBucket(numbered("in/", 20_000));
    const tail = tailOf(bucket.objects.slice(0, 19_000), 100);
    const { shards, listRequests } = await plan(bucket, {
      listing,
      cursor: { lexical: { last: "in/00018999", tail } },
      segments: segmentsOf(numbered("in/", 19_000), 5000, 100),
    });
    expect(listRequests).toBe(0);
    const found = await listed(bucket, shards);
    expect(found.length).toBeGreaterThanOrEqual(1100);
    expect(found.length).toBeLessThanOrEqual(1111);
    expect(bucket.requests).toHaveLength(2);
  });

  test("without a cursor lists everything", async () => {
    const { shards } = await plan(new SortedBucket(numbered("in/", 10)), { listing });
    expect(shards.map(rangesOf)).toEqual([[{ after: "" }]]);
  });
});

test("incremental_time lists everything", async () => {
  const listing: Listing = { strategy: "incremental_time", overlapMs: HOUR_MS };
  const { shards } = await plan(new SortedBucket(numbered("in/", 10)), { listing });
  expect(shards.map(rangesOf)).toEqual([[{ after: "" }]]);
});

describe("partitioned", () => {
  const daily: Listing = { strategy: "partitioned", pattern: "%Y/%m/%d", lookbackMs: 7 * DAY_MS };
  const dayOf = (ms: number) => new Date(ms).toISOString().slice(0, 10);
  const days = (count: number) => Array.from({ length: count }, (_, n) => dayOf(NOW - (count - 1 - n) * DAY_MS));
  const folder = (day: string) => `in/${day.replaceAll("-", "/")}/`;
  const threeYears = days(1095).flatMap((day) => numbered(folder(day), 30));

  test("seven days of three years cost at most a request for each day, and for each folder of days", async () => {
    const bucket = new SortedBucket(threeYears);
    const { shards, listRequests, partitioned } = await plan(bucket, { listing: daily });
    expect(listRequests).toBe(1 + 4 + 37);
    bucket.requests.length = 0;
    expect(shards).toHaveLength(1);
    const found = await listed(bucket, shards);
    expect(found).toEqual(days(8).flatMap((day) => numbered(folder(day), 30)));
    expect(bucket.requests.length).toBeLessThanOrEqual(9);
    expect(partitioned?.folders).toContain("in/2025/");
    expect(partitioned?.folders).toContain("in/2026/02/11/");
  });

  test("hours are listed by the day, and a window without any file costs a request for each day", async () => {
    const listing: Listing = { strategy: "partitioned", pattern: "%Y/%m/%d/%H", lookbackMs: 2 * DAY_MS };
    const bucket = new SortedBucket(["in/2020/01/01/00/a", "in/zzz"]);
    const { shards, listRequests } = await plan(bucket, { listing });
    expect(rangesOf(shards[0])).toHaveLength(3);
    expect(await listed(bucket, shards)).toEqual([]);
    expect(bucket.requests.length - listRequests).toBe(3);
  });

  test("numbers without leading zeros are listed one by one", async () => {
    const listing: Listing = { strategy: "partitioned", pattern: "y=%Y/m=%-m/d=%-d/", lookbackMs: 3 * DAY_MS };
    const keys = ["in/y=2026/m=2/d=27/a", "in/y=2026/m=2/d=28/a", "in/y=2026/m=3/d=1/a", "in/y=2026/m=3/d=2/a"];
    const bucket = new SortedBucket([...keys, "in/y=2026/m=2/d=2/a", "in/y=2026/m=3/d=10/a", "in/y=2025/m=3/d=1/a"]);
    const { shards } = await plan(bucket, { listing });
    expect(rangesOf(shards[0])).toHaveLength(5);
    expect(await listed(bucket, shards)).toEqual(keys);
  });

  test("a large window is cut where an earlier run saw keys", async () => {
    const keys = numbered("in/2026/03/01/", 4000);
    const { shards } = await plan(new SortedBucket([]), { listing: daily, segments: segmentsOf(keys, 100, 500) });
    expect(shards).toHaveLength(4);
  });

  test("a window begins at the look-back before the last run, however long ago that was", async () => {
    const bucket = new SortedBucket(threeYears);
    const seen = { pattern: "%Y/%m/%d", lookedInto: [], folders: [] };
    const found = async (cursor: Partial<CursorRecord>) =>
      new Set(
        (await listed(bucket, (await plan(bucket, { listing: daily, cursor })).shards)).map((key) => key.slice(3, 13)),
      );
    const ago = (count: number) => NOW - count * DAY_MS;
    expect((await found({ partitioned: { ...seen, listedFromMs: ago(30) } })).size).toBe(38);
    expect((await found({ partitioned: { ...seen, listedFromMs: ago(30) }, listedFromMs: ago(90) })).size).toBe(38);
    // The first of its pattern goes by the last listing of all.
    expect((await found({ listedFromMs: ago(20) })).size).toBe(28);
    expect((await found({ partitioned: { ...seen, pattern: "%Y", listedFromMs: ago(30) } })).size).toBe(8);
  });

  test("dates of the input replace the look-back, and nobody looks elsewhere", async () => {
    const bucket = new SortedBucket(threeYears);
    const window = { fromMs: Date.parse("2024-02-28T00:00Z"), toMs: Date.parse("2024-03-01T00:00Z") };
    const { shards, listRequests, partitioned } = await plan(bucket, { listing: daily, window });
    const found = await listed(bucket, shards);
    expect(new Set(found.map((key) => key.slice(3, 13)))).toEqual(new Set(["2024/02/28", "2024/02/29"]));
    expect([listRequests, partitioned]).toEqual([0, undefined]);
  });

  test("by another pattern than the configured one nobody looks elsewhere", async () => {
    const configured: Listing = { ...daily, pattern: "dt=%Y-%m-%d" };
    const { listRequests, partitioned } = await plan(new SortedBucket(threeYears), { listing: daily, configured });
    expect([listRequests, partitioned]).toEqual([0, undefined]);
  });

  test("a part of the prefix outside the window leaves nothing to list", async () => {
    const { shards } = await plan(new SortedBucket(threeYears), { listing: daily, scope: { prefix: "in/2024/" } });
    expect(shards).toEqual([]);
  });

  describe("notices partitions outside the window", () => {
    const cursorOf = ({ partitioned }: RunPlan, listedFromMs = NOW): Partial<CursorRecord> =>
      partitioned === undefined ? {} : { partitioned: { ...partitioned, listedFromMs } };
    const known = async () => cursorOf(await plan(new SortedBucket(threeYears), { listing: daily }));

    test.each([
      ["a day late in a month of the window", "in/2026/02/11/", days(1095).filter((day) => day !== "2026-02-11")],
      ["a day late in a month of another year", "in/2024/07/14/", days(1095).filter((day) => day !== "2024-07-14")],
      ["a month late in another year", "in/2024/07/", days(1095).filter((day) => !day.startsWith("2024-07"))],
      ["a year nobody had", "in/2019/", days(1095)],
      ["a day to come", "in/2026/03/19/", days(1095)],
    ])("%s is reported and listed", async (_name, late, before) => {
      const earlier = new SortedBucket(before.flatMap((day) => numbered(folder(day), 2)));
      const cursor = cursorOf(await plan(earlier, { listing: daily }));
      const now = new SortedBucket([...earlier.objects, `${late}${"01/01/".slice(0, 14 - late.length)}a.csv`]);
      const { shards, broken } = await plan(now, { listing: daily, cursor });
      expect(broken).toEqual({ partition_outside_window: { count: 1, examples: [late] } });
      expect((await listed(now, shards)).filter((key) => key.startsWith(late))).toHaveLength(1);
    });

    test("a late one is listed for as long as the look-back, for it may still be written to", async () => {
      const bucket = new SortedBucket([...threeYears, "in/2019/05/06/a.csv"].sort());
      const cursor = cursorOf(await plan(new SortedBucket(threeYears), { listing: daily }));
      const seen = await plan(bucket, { listing: daily, cursor });
      const foundAfter = async (ms: number) => {
        const { shards, broken } = await plan(bucket, { listing: daily, cursor: cursorOf(seen), nowMs: NOW + ms });
        expect(broken).toEqual({});
        return (await listed(bucket, shards)).filter((key) => key.startsWith("in/2019/"));
      };
      expect(await foundAfter(7 * DAY_MS)).toEqual(["in/2019/05/06/a.csv"]);
      expect(await foundAfter(7 * DAY_MS + 1)).toEqual([]);
    });

    test("the first run reports none, nor does one that finds the same", async () => {
      expect((await plan(new SortedBucket(threeYears), { listing: daily })).broken).toEqual({});
      const again = await plan(new SortedBucket(threeYears), { listing: daily, cursor: await known() });
      expect(again.broken).toEqual({});
    });

    test("where nobody looked before nothing is news, nor by another pattern than before", async () => {
      const { partitioned: all = { pattern: "", lookedInto: [], folders: [], listedFromMs: 0 } } = await known();
      const lookedInto = all.lookedInto.filter((folder) => !folder.startsWith("in/2024/"));
      const folders = all.folders.filter((folder) => !/^in\/2024\/./.test(folder));
      const asked = { listing: daily, cursor: { partitioned: { ...all, lookedInto, folders } } };
      expect((await plan(new SortedBucket(threeYears), asked)).broken).toEqual({});
      const other: Listing = { ...daily, pattern: "%Y/%m" };
      const none = { partitioned: { pattern: "%Y/%m/%d", lookedInto: ["in/"], folders: [], listedFromMs: NOW } };
      expect((await plan(new SortedBucket(threeYears), { listing: other, cursor: none })).broken).toEqual({});
    });

    test("the very first partition of a folder that was seen empty is news", async () => {
      const cursor = cursorOf(await plan(new SortedBucket(["in/readme"]), { listing: daily }));
      const now = new SortedBucket(["in/2019/01/01/a", "in/readme"]);
      const { shards, broken } = await plan(now, { listing: daily, cursor });
      expect(broken.partition_outside_window?.examples).toEqual(["in/2019/"]);
      expect(await listed(now, shards)).toEqual(["in/2019/01/01/a"]);
    });

    test("what came with a new folder of the window is listed with it", async () => {
      const cursor = cursorOf(await plan(new SortedBucket(["in/2025/12/31/a"]), { listing: daily }));
      const now = new SortedBucket(["in/2025/12/31/a", "in/2026/01/02/late", "in/2026/03/01/a"]);
      expect(await listed(now, (await plan(now, { listing: daily, cursor })).shards)).toEqual([
        "in/2026/01/02/late",
        "in/2026/03/01/a",
      ]);
    });

    test("beside thousands of files that are in no partition", async () => {
      const loose = [...numbered("in/1-", 2500), ...numbered("in/2026/03/_tmp-", 3500)];
      const cursor = cursorOf(await plan(new SortedBucket([...loose, ...threeYears]), { listing: daily }));
      const now = new SortedBucket([...loose, ...threeYears, "in/2026/03/19/a"]);
      expect((await plan(now, { listing: daily, cursor })).broken).toEqual({
        partition_outside_window: { count: 1, examples: ["in/2026/03/19/"] },
      });
    });

    test("in a flat folder of more than five pages", async () => {
      const hourly: Listing = { strategy: "partitioned", pattern: "h=%Y-%m-%d-%H", lookbackMs: DAY_MS };
      const name = (n: number) => `in/h=${new Date(NOW - n * HOUR_MS).toISOString().slice(0, 13).replace("T", "-")}/`;
      const keys = Array.from({ length: 7000 }, (_, n) => `${name(n + 1)}a`).filter((key) => key !== `${name(40)}a`);
      const cursor = cursorOf(await plan(new SortedBucket(keys), { listing: hourly }));
      const { broken } = await plan(new SortedBucket([...keys, `${name(40)}a`]), { listing: hourly, cursor });
      expect(broken).toEqual({ partition_outside_window: { count: 1, examples: [name(40)] } });
    });

    test("in as many folders as there are requests for, the newest first", async () => {
      const hourly: Listing = { ...daily, pattern: "%Y/%m/%d/%H" };
      const bucket = new SortedBucket(days(400).map((day) => `${folder(day)}10/a`));
      const { listRequests, partitioned, broken } = await plan(bucket, { listing: hourly });
      expect([listRequests, broken]).toEqual([64, {}]);
      expect(partitioned?.lookedInto.slice(0, 5)).toEqual([
        "in/",
        "in/2026/",
        "in/2026/03/",
        "in/2026/03/02/",
        "in/2026/03/01/",
      ]);
      expect(partitioned?.lookedInto).toContain("in/2026/01/10/");
    });

    test("or says where it cannot see them, and takes nothing there for new later", async () => {
      const crowded = [...threeYears, ...numbered("in/2026/03/a", 70_000)];
      const first = await plan(new SortedBucket(crowded), { listing: daily });
      expect(first.broken).toEqual({ partitions_unseen: { count: 1, examples: ["in/2026/03/"] } });
      expect(first.partitioned?.lookedInto).not.toContain("in/2026/03/");
      const later = await plan(new SortedBucket(threeYears), { listing: daily, cursor: cursorOf(first) });
      expect(later.broken).toEqual({});
    });

    test("not where files themselves are the partitions: that costs a request for each folder of them", async () => {
      const listing: Listing = { ...daily, pattern: "%Y/%m/%d-" };
      const bucket = new SortedBucket([...numbered("in/2026/02/11-", 3000), ...numbered("in/2026/03/01-", 3000)]);
      expect(await plan(bucket, { listing })).toMatchObject({ listRequests: 4, broken: {} });
    });

    test("folders that are no partitions are none of its business", async () => {
      const bucket = new SortedBucket([...threeYears, "in/_tmp/a", "in/2026/02/30/a"]);
      expect((await plan(bucket, { listing: daily, cursor: await known() })).broken).toEqual({});
    });

    test("also where the prefix ends within a name", async () => {
      const listing: Listing = { strategy: "partitioned", pattern: "%Y-%m-%d", lookbackMs: DAY_MS };
      const bucket = (extra: readonly string[]) =>
        new SortedBucket([...days(100).map((day) => `logs/app-${day}/a`), ...extra]);
      const prefixes = ["logs/app-"];
      const cursor = cursorOf(await plan(bucket([]), { listing, prefixes }));
      const { broken } = await plan(bucket(["logs/app-2024-01-01/a"]), { listing, prefixes, cursor });
      expect(broken.partition_outside_window?.examples).toEqual(["logs/app-2024-01-01/"]);
    });
  });
});

describe("inventory", () => {
  const listing: Listing = { strategy: "inventory", location: "s3://reports/all", ageMaxMs: 2 * DAY_MS };
  const madeAtMs = NOW - 30 * HOUR_MS;

  async function withReport(createdAtMs: number, sourceBucket = "landing"): Promise<MemoryObjectStore> {
    const store = new MemoryObjectStore(clock);
    const manifest = {
      sourceBucket,
      destinationBucket: "arn:aws:s3:::reports",
      creationTimestamp: String(createdAtMs),
      fileFormat: "CSV",
      fileSchema: "Bucket, Key, Size, LastModifiedDate, ETag",
      files: [
        { key: "all/data/small.csv.gz", size: 10 },
        { key: "all/data/large.csv.gz", size: 1000 },
      ],
    };
    const uri = "s3://reports/all/2026-03-01T01-00Z/manifest.json" as ObjectUri;
    await store.put(uri, new TextEncoder().encode(JSON.stringify(manifest)));
    return store;
  }

  test("is a shard for each file, the largest first", async () => {
    const { shards, broken, inventoryAtMs } = await plan(new SortedBucket([]), { listing }, await withReport(madeAtMs));
    expect(shards.map((shard) => shard.kind === "inventory" && [shard.id, shard.file.uri, shard.rowsDone])).toEqual([
      ["0-00000", "s3://reports/all/data/large.csv.gz", 0],
      ["0-00001", "s3://reports/all/data/small.csv.gz", 0],
    ]);
    expect([broken, inventoryAtMs]).toEqual([{}, madeAtMs]);
  });

  test("that is old, or was read before, is used and reported", async () => {
    const old = await plan(new SortedBucket([]), { listing }, await withReport(NOW - 73 * HOUR_MS));
    expect(old.shards).toHaveLength(2);
    expect(old.broken.stale_inventory).toEqual({
      count: 1,
      examples: ["s3://reports/all/2026-03-01T01-00Z/manifest.json is 73 hours old"],
    });
    const asked = { listing, cursor: { inventoriesAtMs: { [listing.location]: madeAtMs } } };
    const again = await plan(new SortedBucket([]), asked, await withReport(madeAtMs));
    expect(again.shards).toHaveLength(2);
    expect(again.broken.stale_inventory?.examples).toEqual([
      "s3://reports/all/2026-03-01T01-00Z/manifest.json was read by an earlier run",
    ]);
  });

  test("of another bucket is refused with the remedy", async () => {
    const store = await withReport(madeAtMs, "elsewhere");
    await expect(plan(new SortedBucket([]), { listing }, store)).rejects.toThrow(
      "the inventory is of another bucket: set",
    );
  });
});
