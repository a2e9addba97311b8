import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { abortBatch, openBatch, sealBatch } from "../../../lambdas/core/batch.ts";
import { checkObjects } from "../../../lambdas/core/discovery/check.ts";
import type { Scope } from "../../../lambdas/core/discovery/model.ts";
import { SeenReader, SeenWriter } from "../../../lambdas/core/discovery/seen.ts";
import type { ListedObject } from "../../../lambdas/core/ports.ts";
import type { FileRecord } from "../../../lambdas/core/records.ts";
import { createRouter } from "../../../lambdas/core/routing.ts";
import { MemoryObjectStore } from "../../fakes/memory-object-store.ts";
import { SeededRandom } from "../../fakes/seeded-random.ts";
import { ingestionOf } from "../core/harness.ts";
import { type CheckSetUp, record, recordOf, setUpCheck, TABLE } from "./check-harness.ts";
import { inOrder, listed, T0 } from "./listed.ts";

const A = listed("orders/a");

async function seenOf(objects: readonly ListedObject[], clock = setUpCheck().clock): Promise<SeenReader> {
  const store = new MemoryObjectStore(clock);
  let segments = 0;
  const writer = new SeenWriter(store, "s3://warehouse/seen/", () => `segment-${segments++}`);
  writer.add(objects);
  return new SeenReader(store, { segments: await writer.flush() });
}

/** What one object with this record comes to. */
async function fateOf(file: FileRecord | undefined, object = A, setUp = setUpCheck()) {
  if (file !== undefined) await record(setUp.ledger, file);
  const { counts, confirmed, events } = await checkObjects(setUp.context, [object]);
  const names = ["new", "changed", "known", "skipped", "excluded"] as const;
  const isConfirmed = confirmed.length === 1 ? " confirmed" : "";
  return `${names.find((name) => counts[name] === 1)}${isConfirmed}${events.length === 1 ? " sent" : ""}`;
}

describe("a listed file", () => {
  const older = { version: { etag: "before", sizeBytes: 1, timeMs: T0 - 5000 } };
  const newer = { version: { etag: "after", sizeBytes: 1, timeMs: T0 + 5000 } };
  const failed = (kind: "Rejected" | "Unavailable") =>
    recordOf(A, { status: "FAILED", error: { kind, message: "why" } });

  test.each<[string, FileRecord | undefined, string]>([
    ["that the ledger does not know", undefined, "new sent"],
    ["that was given back unread", recordOf(A, { status: "DISCOVERED" }), "new sent"],
    ["that loaded", recordOf(A), "known confirmed"],
    ["that loaded with other bytes before", recordOf(A, older), "changed sent"],
    ["of which a version with a later date loaded: A may be a long upload", recordOf(A, newer), "changed sent"],
    ["that failed for good", failed("Rejected"), "known confirmed"],
    ["that failed because a service was away", failed("Unavailable"), "changed sent"],
    ["that failed with other bytes before", { ...failed("Rejected"), ...older }, "changed sent"],
    ["that was rejected", recordOf(A, { status: "REJECTED" }), "known confirmed"],
    ["that was gone when it was to be read", recordOf(A, { status: "SKIPPED" }), "changed sent"],
  ])("%s", async (_, file, fate) => {
    expect(await fateOf(file)).toBe(fate);
  });

  test("with new bytes is known, and asked for again, when overwriting is ignored", async () => {
    const setUp = setUpCheck({}, ingestionOf("orders", { onOverwrite: "ignore" }));
    expect(await fateOf(recordOf(A, older), A, setUp)).toBe("known");
  });

  test("is sent with ETag, size, LastModified and run, and nothing else is asked of S3", async () => {
    const { context } = setUpCheck();
    const { events } = await checkObjects(context, [A]);
    const version = { etag: A.etag, sizeBytes: 10, timeMs: T0 };
    expect(events).toEqual([{ bucket: "landing", key: A.key, version, runId: "run-1" }]);
  });
});

describe("a file that a batch has claimed", () => {
  const LEASE_MS = 1000;

  async function claimed(end: "open" | "expired" | "sealed" | "aborted" | "gone", version?: FileRecord["version"]) {
    const setUp = setUpCheck();
    const ports = { ...setUp.context.ports, random: new SeededRandom(1) };
    const facts = { table: TABLE, ingestion: setUp.context.ingestion.id, intends: [] };
    const held = await openBatch(ports, facts, LEASE_MS);
    const staged = { tableUuid: "u", files: [], dataFiles: 0, deleteFiles: 0, records: 0 };
    const sums = { deleteRecords: 0, dataBytes: 0, deleteBytes: 0 };
    if (end === "sealed") await sealBatch(ports, held, { ...staged, ...sums });
    if (end === "aborted") await abortBatch(ports, held);
    if (end === "expired") setUp.clock.advance(LEASE_MS);
    const batch = end === "gone" ? ("none" as FileRecord["batch"]) : held.record.batch;
    const before = setUp.ledger.items();
    const file = recordOf(A, { status: "PROCESSING", batch, ...(version === undefined ? {} : { version }) });
    const fate = await fateOf(file, A, setUp);
    expect(setUp.ledger.items()).toHaveLength(before.length + 1);
    return fate;
  }

  test.each([
    ["open", "known"],
    ["sealed", "known"],
    ["expired", "changed sent"],
    ["aborted", "changed sent"],
    ["gone", "changed sent"],
  ] as const)("that is %s: %s", async (end, fate) => {
    expect(await claimed(end)).toBe(fate);
  });

  test.each(["open", "sealed"] as const)("that is %s, in an earlier version: it waits for its turn", async (end) => {
    expect(await claimed(end, { etag: "before", sizeBytes: 1, timeMs: T0 - 5000 })).toBe("changed sent");
  });

  test.each(["open", "gone"] as const)(
    "that is %s, in a version with a later date: the store will tell",
    async (end) => {
      expect(await claimed(end, { etag: "after", sizeBytes: 1, timeMs: T0 + 5000 })).toBe("changed sent");
    },
  );
});

describe("what is not looked at", () => {
  test("a folder marker is skipped, a file that ends in a slash is not, and an empty file is one", async () => {
    expect(await fateOf(undefined, listed("orders/x/", { sizeBytes: 0 }))).toBe("skipped");
    expect(await fateOf(undefined, listed("orders/x/", { sizeBytes: 1 }))).toBe("new sent");
    expect(await fateOf(undefined, listed("orders/x", { sizeBytes: 0 }))).toBe("new sent");
  });

  test.each<[string, Scope, readonly string[]]>([
    ["all", {}, ["a.csv", "b/c.json", "b/d.csv"]],
    ["a prefix", { prefix: "orders/b/" }, ["b/c.json", "b/d.csv"]],
    ["include globs", { include: ["**/*.csv"] }, ["a.csv", "b/d.csv"]],
    ["exclude globs", { exclude: ["b/**"] }, ["a.csv"]],
    ["from a time on", { modifiedFromMs: T0 + 1 }, ["b/c.json", "b/d.csv"]],
    ["before a time", { modifiedBeforeMs: T0 + 1 }, ["a.csv"]],
    ["a smallest size", { sizeBytesMin: 10 }, ["b/c.json", "b/d.csv"]],
    ["a largest size", { sizeBytesMax: 10 }, ["a.csv", "b/c.json"]],
  ])("lies outside the scope: %s", async (_, scope, paths) => {
    const objects = [
      listed("orders/a.csv", { sizeBytes: 9 }),
      listed("orders/b/c.json", { lastModifiedMs: T0 + 1, sizeBytes: 10 }),
      listed("orders/b/d.csv", { lastModifiedMs: T0 + 2, sizeBytes: 11 }),
    ];
    const { context } = setUpCheck({ input: { scope } });
    const { counts, events } = await checkObjects(context, objects);
    expect(events.map(({ key }) => key)).toEqual(paths.map((path) => `orders/${path}`));
    expect(counts).toMatchObject({ total: 3, new: paths.length, excluded: 3 - paths.length });
    expect(counts.bytes).toBe(objects.reduce((sum, o) => sum + (paths.includes(o.key.slice(7)) ? o.sizeBytes : 0), 0));
  });

  test("belongs to another ingestion, or to none, and is not asked for", async () => {
    const orders = ingestionOf("orders", {
      source: { bucket: "landing", prefix: "orders/", include: [], exclude: ["tmp/**"] },
    });
    const eu = ingestionOf("eu", { source: { bucket: "landing", prefix: "orders/eu/", include: [], exclude: [] } });
    const { context, ledger } = setUpCheck({ route: createRouter([orders, eu]) }, orders);
    const { counts } = await checkObjects(
      context,
      ["orders/eu/1", "orders/tmp/1", "other/1"].map((key) => listed(key)),
    );
    expect(counts).toMatchObject({ total: 3, excluded: 3, ledgerReads: 0, bytes: 0 });
    expect(ledger.calls.get("readMany")).toBeUndefined();
  });
});

describe("the seen manifest", () => {
  test("stands for the ledger, and what it has seen carries over to the next run", async () => {
    const { context, ledger } = setUpCheck({ seen: await seenOf([A]) });
    const b = listed("orders/b");
    const { counts, confirmed, events } = await checkObjects(context, [A, b]);
    expect(counts).toMatchObject({ total: 2, known: 1, new: 1, ledgerReads: 1, ledgerRequests: 1 });
    expect([confirmed, events.map(({ key }) => key)]).toEqual([[A], [b.key]]);
    expect(ledger.calls.get("readMany")).toBe(1);
  });

  test("is not believed when all is to be checked", async () => {
    const { context } = setUpCheck({ seen: await seenOf([A]), input: { checkAll: true } });
    expect((await checkObjects(context, [A])).counts).toMatchObject({ new: 1, ledgerReads: 1 });
  });

  test.each([{ etag: "other" }, { sizeBytes: 11 }, { lastModifiedMs: T0 + 1000 }])(
    "says nothing of another version: %o",
    async (changes) => {
      const setUp = setUpCheck({ seen: await seenOf([A]) });
      expect(await fateOf(recordOf(A), { ...A, ...changes, etag: "new bytes" }, setUp)).toBe("changed sent");
    },
  );

  test("a relisting of 100,000 known files asks the ledger for none; of a stale manifest for what is new", async () => {
    const objects = Array.from({ length: 100_000 }, (_, n) => listed(`orders/${n.toString().padStart(6, "0")}`));
    const added = Array.from({ length: 500 }, (_, n) => listed(`orders/${(n * 200).toString().padStart(6, "0")}-b`));
    const { context, ledger } = setUpCheck({ seen: await seenOf(objects) });
    for (const relisting of [objects, inOrder([...objects, ...added])]) {
      let [reads, known] = [0, 0];
      for (let start = 0; start < relisting.length; start += 1000) {
        const { counts } = await checkObjects(context, relisting.slice(start, start + 1000));
        reads += counts.ledgerReads ?? 0;
        known += counts.known ?? 0;
      }
      expect([known, reads]).toEqual([100_000, relisting.length - 100_000]);
      expect(reads).toBeLessThan(objects.length / 100);
    }
    expect(ledger.calls.get("readMany")).toBe(101);
  }, 30_000);
});

describe("a new file that breaks an assumption", () => {
  const keys = ["orders/d=1/a", "orders/d=2/a", "orders/d=2/b", "orders/d=3/a"];
  const objects = keys.map((key, n) => listed(key, { lastModifiedMs: T0 + n }));

  test.each([
    ["key_below_cursor", { lexicalLast: "orders/d=2/a" }, keys.slice(0, 2)],
    ["older_file_appeared", { windowFromMs: T0 + 2 }, keys.slice(0, 2)],
    ["missed_by_events", { eventsUntilMs: T0 + 1 }, keys.slice(0, 1)],
    ["partition_outside_window", { windowPrefixes: ["orders/d=2/", "orders/d=3/"] }, keys.slice(0, 1)],
  ] as const)("is sent and reported: %s", async (name, assumptions, examples) => {
    const { context } = setUpCheck({ assumptions });
    const { counts, events } = await checkObjects(context, objects);
    expect(counts.broken).toEqual({ [name]: { count: examples.length, examples } });
    expect(events).toHaveLength(4);
  });

  test("is neither one that was seen, nor one the ledger knows in any state or version", async () => {
    const assumptions = { lexicalLast: "z", windowFromMs: T0 + 9, eventsUntilMs: T0 + 9, windowPrefixes: [] };
    const { context, ledger } = setUpCheck({ assumptions, seen: await seenOf(objects.slice(0, 1)) });
    for (const [n, status] of (["SUCCESS", "DISCOVERED", "PROCESSING"] as const).entries()) {
      const object = { ...(objects[n + 1] ?? A), etag: "before" };
      await record(ledger, recordOf(object, { status }));
    }
    const { counts } = await checkObjects(context, objects);
    expect(counts).toMatchObject({ known: 1, new: 1, changed: 2, broken: {} });
  });

  test("gives a few examples of many", async () => {
    const { context } = setUpCheck({ assumptions: { lexicalLast: "z" } });
    const many = Array.from({ length: 1000 }, (_, n) => listed(`orders/${n.toString().padStart(4, "0")}`));
    const { broken } = (await checkObjects(context, many)).counts;
    expect([broken?.key_below_cursor?.count, broken?.key_below_cursor?.examples.length]).toEqual([1000, 5]);
  });
});

test("every listed object is counted once, whatever it is", async () => {
  const object = fc.record({
    key: fc.constantFrom("orders/a", "orders/b", "orders/c/", "other/d"),
    sizeBytes: fc.constantFrom(0, 1),
    etag: fc.constantFrom("1", "2"),
    lastModifiedMs: fc.constantFrom(T0, T0 + 5000),
  });
  const status = fc.constantFrom("SUCCESS", "FAILED", "DISCOVERED", "PROCESSING", "SKIPPED");
  const listing = fc.uniqueArray(object, { selector: ({ key }) => key });
  const records = fc.uniqueArray(fc.tuple(object, status), { selector: ([{ key }]) => key });
  await fc.assert(
    fc.asyncProperty(listing, records, fc.subarray(["1", "2"]), async (objects, files, seen) => {
      const ordered = inOrder(objects);
      const manifest = await seenOf(ordered.filter(({ etag }) => seen.includes(etag)));
      const setUp: CheckSetUp = setUpCheck({ seen: manifest });
      for (const [known, status] of files) await record(setUp.ledger, recordOf(known, { status }));
      const { counts, events, confirmed } = await checkObjects(setUp.context, ordered);
      const { total = 0, known = 0, changed = 0, skipped = 0, excluded = 0 } = counts;
      expect(total).toBe(ordered.length);
      expect((counts.new ?? 0) + known + changed + skipped + excluded).toBe(total);
      expect(events).toHaveLength((counts.new ?? 0) + changed);
      expect(confirmed.length).toBeLessThanOrEqual(known);
      expect([...events].map(({ key }) => key)).toEqual(events.map(({ key }) => key).toSorted());
    }),
  );
});
