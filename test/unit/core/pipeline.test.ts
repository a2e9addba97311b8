// The one path on fakes, from messages to rows: what one bad, missing or late file does to itself, and what it must not do to others.

import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { MoraineError } from "../../../lambdas/core/errors.ts";
import type { ObjectEvent } from "../../../lambdas/core/events.ts";
import type { Conversion } from "../../../lambdas/core/ports.ts";
import type { MemoryObjectStore } from "../../fakes/memory-object-store.ts";
import type { MemoryPointer } from "../../fakes/memory-pointer.ts";
import { foreignCompaction } from "../../simulation/foreigners.ts";
import { RowConverter } from "../../simulation/row-converter.ts";
import { World } from "../../simulation/world.ts";
import { Harness, ingestionOf, nameOf, override, SETTINGS } from "./harness.ts";

const OUTCOMES = { loaded: 0, failed: 0, skipped: 0, held: 0, known: 0, busy: 0, retry: 0 };

/** GET of these keys is refused, as by a store that throttles. */
function throttling(harness: Harness, ...keys: string[]): MemoryObjectStore {
  return override(harness.store, {
    get: async (uri, options) => {
      if (keys.some((key) => uri.endsWith(key))) throw new MoraineError("Unavailable", "throttled");
      return harness.store.get(uri, options);
    },
  });
}

describe("files that land", () => {
  test("become rows with the next commit, and their status says so", async () => {
    const harness = new Harness();
    const report = await harness.load([await harness.put("orders/1", "a", "b"), await harness.put("orders/2", "c")]);
    expect(report).toMatchObject({
      retry: [],
      outcomes: { ...OUTCOMES, loaded: 2 },
      records: 3,
      unrouted: 0,
      errors: [],
    });
    expect(await harness.rows()).toEqual([]);
    expect(harness.queues.hints).toEqual([nameOf("orders")]);
    await harness.commit();
    expect(await harness.rows()).toEqual(["a", "b", "c"]);
    expect(await harness.file("orders/1")).toMatchObject({ status: "SUCCESS", records: 2, bytesRead: 3, attempts: 1 });
  });

  test("told of twice are loaded once, before and after the commit", async () => {
    const harness = new Harness();
    const event = await harness.put("orders/1", "a");
    await harness.load([event, event]);
    expect((await harness.load([event])).outcomes).toEqual({ ...OUTCOMES, known: 1 });
    await harness.commit();
    expect((await harness.load([event])).outcomes).toEqual({ ...OUTCOMES, known: 1 });
    await harness.commit();
    expect(await harness.rows()).toEqual(["a"]);
  });

  test("of several ingestions go to their own tables, in one delivery", async () => {
    const harness = new Harness({ ingestions: [ingestionOf("orders"), ingestionOf("clicks")] });
    const events = [
      await harness.put("orders/1", "o"),
      await harness.put("clicks/1", "c"),
      await harness.put("x/1", "x"),
    ];
    expect(await harness.load(events)).toMatchObject({ outcomes: { loaded: 2 }, unrouted: 1, retry: [] });
    await harness.commit();
    await harness.commit("clicks");
    expect([await harness.rows(), await harness.rows("clicks")]).toEqual([["o"], ["c"]]);
  });

  test("are cut into batches by number and by bytes, and nothing is lost at the cuts", async () => {
    for (const batch of [
      { filesMax: 3, bytesMax: 1_000_000 },
      { filesMax: 1000, bytesMax: 15 },
    ]) {
      const harness = new Harness({ ingestions: [ingestionOf("orders", { batch })] });
      const events: ObjectEvent[] = [];
      for (let n = 0; n < 10; n++) events.push(await harness.put(`orders/${n}`, `row ${n}`));
      await harness.load(events);
      const sizes = (await harness.batches()).map(({ staged }) => staged?.files.length ?? 0);
      expect(sizes.sort()).toEqual([1, 3, 3, 3]);
      await harness.commit();
      expect(await harness.rows()).toHaveLength(10);
    }
  });

  test("with the longest keys S3 allows still fit into the item of their batch: DynamoDB's 400 KB fail no delivery", async () => {
    const harness = new Harness();
    const events: ObjectEvent[] = [];
    // Hashes, for a key that compresses well would prove nothing.
    const digest = (text: string) => createHash("sha512").update(text).digest("base64url");
    for (let n = 0; n < 300; n++) {
      const name = Array.from({ length: 12 }, (_, part) => digest(`${n} ${part}`)).join("");
      events.push(await harness.put(`orders/${name}`.slice(0, 1024), `row ${n}`));
    }
    expect(await harness.load(events)).toMatchObject({ retry: [], errors: [], outcomes: { loaded: 300 } });
  });

  test("after the deadline stay in the queue: no batch is begun that could not end", async () => {
    const harness = new Harness();
    const event = await harness.put("orders/1", "a");
    const report = await harness.load([event], { deadlineMs: harness.clock.now() });
    expect(report.retry).toHaveLength(1);
    expect(harness.ledger.items()).toEqual([]);
  });

  test("a hint that cannot be sent fails nothing: the sweeper sees the sealed batch", async () => {
    const harness = new Harness();
    const queues = override(harness.queues, {
      hintCommit: async () => {
        throw new MoraineError("Unavailable", "sqs is away");
      },
    });
    expect(await harness.load([await harness.put("orders/1", "a")], { ports: { queues } })).toMatchObject({
      retry: [],
    });
    expect(await harness.sweep()).toMatchObject({ hinted: true });
  });
});

describe("one bad file never fails its neighbours", () => {
  test.each([
    ["found on reading", "BAD", { line: 2 }],
    ["found only on conversion", "LATE x", {}],
  ])("a malformed file %s is FAILED with its place, the others land", async (_name, line, place) => {
    const harness = new Harness();
    const events = [
      await harness.put("orders/1", "a"),
      await harness.put("orders/2", "b", line),
      await harness.put("orders/3", "c"),
    ];
    const report = await harness.load(events);
    expect(report).toMatchObject({ retry: [], outcomes: { loaded: 2, failed: 1 }, records: 2 });
    expect(await harness.file("orders/2")).toMatchObject({
      status: "FAILED",
      reason: "MALFORMED",
      error: { kind: "Rejected", ...place },
    });
    await harness.commit();
    expect(await harness.rows()).toEqual(["a", "c"]);
  });

  test("a file that cannot be read now goes back alone, unclaimed; its neighbours land", async () => {
    const harness = new Harness();
    const events = [await harness.put("orders/1", "a"), await harness.put("orders/2", "b")];
    const report = await harness.load(events, { ports: { store: throttling(harness, "orders/2") } });
    expect(report).toMatchObject({ outcomes: { loaded: 1, retry: 1 }, errors: [] });
    expect(report.retry).toHaveLength(1);
    expect(await harness.file("orders/2")).toMatchObject({ status: "DISCOVERED", reason: "UNAVAILABLE" });
    expect((await harness.load([events[1] as ObjectEvent])).outcomes.loaded).toBe(1);
    await harness.commit();
    expect(await harness.rows()).toEqual(["a", "b"]);
  });

  test("a file that cannot be read for ever ends with its reason on record, not nameless in the dead-letter queue", async () => {
    const harness = new Harness();
    const event = await harness.put("orders/1", "a");
    const store = throttling(harness, "orders/1");
    const report = await harness.load([event], { receiveCount: SETTINGS.deliveriesMax, ports: { store } });
    expect(report).toMatchObject({ retry: [], outcomes: { failed: 1 } });
    expect(await harness.file("orders/1")).toMatchObject({ status: "FAILED", reason: "UNAVAILABLE" });
  });

  test("a batch of which every file is bad leaves no batch, no table and no hint behind", async () => {
    const harness = new Harness();
    await harness.load([await harness.put("orders/1", "BAD"), await harness.put("orders/2", "BAD")]);
    expect(await harness.batches()).toEqual([]);
    expect(await harness.table()).toBeUndefined();
    expect(harness.queues.hints).toEqual([]);
  });

  test("a message that cannot be read goes back, its neighbours load", async () => {
    const harness = new Harness();
    const event = await harness.put("orders/1", "a");
    const report = await harness.load([event, { ...event, key: "" }]);
    expect(report).toMatchObject({ retry: ["m1"], outcomes: { loaded: 1 } });
    expect(report.errors).toHaveLength(1);
  });
});

describe("what was claimed is what is read", () => {
  test("an object replaced after its event (412) is left to the event that is coming, and its rows are never mixed", async () => {
    const harness = new Harness();
    const old = await harness.put("orders/1", "old");
    const replacement = await harness.put("orders/1", "new");
    expect((await harness.load([old])).outcomes).toEqual({ ...OUTCOMES, skipped: 1 });
    expect(await harness.file("orders/1")).toMatchObject({ status: "SKIPPED", reason: "SUPERSEDED" });
    await harness.load([replacement]);
    await harness.commit();
    expect(await harness.rows()).toEqual(["new"]);
  });

  test("an object that is gone (404) is on record as gone, and acknowledged", async () => {
    const harness = new Harness();
    const event = await harness.put("orders/1", "a");
    await harness.store.remove(["s3://landing/orders/1" as never]);
    expect(await harness.load([event])).toMatchObject({ retry: [], outcomes: { skipped: 1 } });
    expect(await harness.file("orders/1")).toMatchObject({ status: "SKIPPED", reason: "OBJECT_GONE" });
  });

  test("a newer version that is gone again leaves the rows of the loaded one, and the record of them", async () => {
    const harness = new Harness();
    const first = await harness.put("orders/1", "a");
    await harness.load([first]);
    await harness.commit();
    const before = await harness.file("orders/1");
    const second = await harness.put("orders/1", "b");
    await harness.store.remove(["s3://landing/orders/1" as never]);
    await harness.load([second]);
    expect(await harness.file("orders/1")).toMatchObject({
      status: "SUCCESS",
      version: { etag: first.version.etag },
      loaded: before?.loaded,
    });
    expect(await harness.rows()).toEqual(["a"]);
  });

  test("an event older than the version that is known changes nothing", async () => {
    const harness = new Harness();
    const old = await harness.put("orders/1", "old");
    const latest = await harness.put("orders/1", "new");
    await harness.load([latest]);
    await harness.commit();
    expect((await harness.load([old])).outcomes).toEqual({ ...OUTCOMES, known: 1 });
    await harness.commit();
    expect(await harness.rows()).toEqual(["new"]);
  });
});

describe("a file without rows", () => {
  test("is loaded with no rows, also when there is no table yet", async () => {
    const harness = new Harness({ ingestions: [ingestionOf("orders", { lineage: false, onOverwrite: "append" })] });
    const event = await harness.put("orders/1");
    const report = await harness.load([event]);
    expect(report).toMatchObject({ retry: [], outcomes: { loaded: 1 }, records: 0 });
    await harness.commit();
    expect(await harness.file("orders/1")).toMatchObject({ status: "SUCCESS", records: 0, loaded: { records: 0 } });
    expect((await harness.load([event])).outcomes).toEqual({ ...OUTCOMES, known: 1 });
  });

  test("in a table adds no snapshot, and is settled all the same", async () => {
    const harness = new Harness();
    await harness.load([await harness.put("orders/1", "a")]);
    await harness.commit();
    await harness.load([await harness.put("orders/2")]);
    expect(await harness.commit()).toMatchObject({ commits: 1, files: 1, records: 0 });
    const file = await harness.file("orders/2");
    expect(file).toMatchObject({ status: "SUCCESS", loaded: { seq: 2, records: 0 } });
    expect(file).not.toHaveProperty("snapshotId");
    expect((await harness.table())?.metadata.snapshots).toHaveLength(1);
  });

  test("that replaces one with rows takes them out of the table", async () => {
    const harness = new Harness();
    await harness.load([await harness.put("orders/1", "a"), await harness.put("orders/2", "b")]);
    await harness.commit();
    await harness.load([await harness.put("orders/1")]);
    await harness.commit();
    expect(await harness.rows()).toEqual(["b"]);
  });
});

describe("a changed object", () => {
  async function changed(onOverwrite: "replace" | "append" | "ignore"): Promise<Harness> {
    const harness = new Harness({ ingestions: [ingestionOf("orders", { onOverwrite })] });
    await harness.load([await harness.put("orders/1", "old 1", "old 2"), await harness.put("orders/2", "other")]);
    await harness.commit();
    await harness.load([await harness.put("orders/1", "new")]);
    return harness;
  }

  test("under `replace`: old rows leave and new rows arrive in one snapshot, never neither and never both", async () => {
    const harness = await changed("replace");
    expect(await harness.rows()).toEqual(["old 1", "old 2", "other"]);
    await harness.commit();
    expect(await harness.rows()).toEqual(["new", "other"]);
    expect((await harness.table())?.metadata.snapshots).toHaveLength(2);
  });

  test("under `replace` after a foreign compaction: old rows are found wherever they were moved", async () => {
    const harness = await changed("replace");
    const world = override(new World(1, { keepTrace: false }), { sleep: async () => undefined });
    await foreignCompaction({ world, store: harness.store, catalog: harness.ports().catalog }, nameOf("orders"));
    expect(await harness.rows()).toEqual(["old 1", "old 2", "other"]);
    await harness.commit();
    expect(await harness.rows()).toEqual(["new", "other"]);
  });

  test("under `replace`, twice: each version replaces the one before it", async () => {
    const harness = await changed("replace");
    await harness.commit();
    await harness.load([await harness.put("orders/1", "newest")]);
    await harness.commit();
    expect(await harness.rows()).toEqual(["newest", "other"]);
  });

  test("under `replace`: a version that fails leaves the rows that are there", async () => {
    const harness = await changed("replace");
    await harness.commit();
    await harness.load([await harness.put("orders/1", "BAD")]);
    await harness.commit();
    expect(await harness.rows()).toEqual(["new", "other"]);
    expect(await harness.file("orders/1")).toMatchObject({ status: "FAILED", loaded: { records: 1 } });
  });

  test("under `append`: the rows of every version stay", async () => {
    const harness = await changed("append");
    await harness.commit();
    expect(await harness.rows()).toEqual(["new", "old 1", "old 2", "other"]);
  });

  test("under `ignore`: the first version stays", async () => {
    const harness = await changed("ignore");
    await harness.commit();
    expect(await harness.rows()).toEqual(["old 1", "old 2", "other"]);
  });

  test("whose earlier version is sealed and not committed waits, so replacements commit in order", async () => {
    const harness = new Harness();
    await harness.load([await harness.put("orders/1", "first")]);
    const second = await harness.put("orders/1", "second");
    const report = await harness.load([second]);
    expect(report).toMatchObject({ outcomes: { busy: 1 } });
    expect(report.retry).toHaveLength(1);
    await harness.commit();
    await harness.load([second]);
    await harness.commit();
    expect(await harness.rows()).toEqual(["second"]);
  });
});

describe("a batch that cannot go on", () => {
  test("is aborted, its messages come back, and its files are loaded by whoever comes next, at once", async () => {
    const harness = new Harness();
    const event = await harness.put("orders/1", "a");
    const pointer = override(harness.pointer, {
      read: async () => {
        throw new MoraineError("Unavailable", "glue is away");
      },
    });
    const report = await harness.load([event], { ports: { pointer } });
    expect(report.retry).toHaveLength(1);
    expect(report.errors).toEqual([expect.objectContaining({ kind: "Unavailable" })]);
    expect((await harness.batches()).map(({ state }) => state)).toEqual(["ABORTED"]);
    expect((await harness.load([event])).outcomes.loaded).toBe(1);
    await harness.commit();
    expect(await harness.rows()).toEqual(["a"]);
  });

  test("an outage of the catalog, however long, fails no file that is loaded alone", async () => {
    const harness = new Harness();
    const event = await harness.put("orders/1", "a");
    const pointer = override(harness.pointer, {
      read: async () => {
        throw new MoraineError("Unavailable", "glue is away");
      },
    });
    for (let receiveCount = 1; receiveCount <= 6; receiveCount++) {
      expect((await harness.load([event], { receiveCount, ports: { pointer } })).retry).toHaveLength(1);
    }
    expect((await harness.load([event], { receiveCount: 7 })).outcomes.loaded).toBe(1);
  });

  test("does not keep the batches after it from loading", async () => {
    const batch = { filesMax: 1, bytesMax: 1_000_000 };
    const harness = new Harness({ ingestions: [ingestionOf("orders", { batch })] });
    const events = [await harness.put("orders/1", "a"), await harness.put("orders/2", "b")];
    let turn = 0;
    const converter = override(new RowConverter(), {
      start: async (job) => {
        if (turn++ === 0) throw new Error("out of memory");
        return new RowConverter().start(job);
      },
    });
    const report = await harness.load(events, { ports: { converter } });
    expect(report).toMatchObject({ retry: ["m0"], outcomes: { loaded: 1, retry: 1 } });
  });

  test("that was fenced while it slept seals nothing, whatever it had staged", async () => {
    const harness = new Harness();
    const event = await harness.put("orders/1", "a");
    const store = override(harness.store, {
      get: async (uri, options) => {
        if (uri === "s3://landing/orders/1") {
          harness.clock.advance(SETTINGS.leaseMs);
          await harness.sweep();
        }
        return harness.store.get(uri, options);
      },
    });
    const report = await harness.load([event], { ports: { store } });
    expect(report.errors).toEqual([expect.objectContaining({ kind: "Fenced" })]);
    expect(report.retry).toHaveLength(1);
    await harness.load([event]);
    await harness.commit();
    expect(await harness.rows()).toEqual(["a"]);
  });

  test("whose seal was answered by silence is sealed once, and its messages are acknowledged", async () => {
    const harness = new Harness();
    let lost = 0;
    const ledger = override(harness.ledger, {
      write: async (item, expected) => {
        const outcome = await harness.ledger.write(item, expected);
        if (item.body["state"] === "SEALED" && lost++ === 0) throw new MoraineError("UnknownOutcome", "response lost");
        return outcome;
      },
    });
    const report = await harness.load([await harness.put("orders/1", "a")], { ports: { ledger } });
    expect(report).toMatchObject({ retry: [], outcomes: { loaded: 1 } });
    await harness.commit();
    expect(await harness.rows()).toEqual(["a"]);
  });

  test("a converter that loses a source stops the batch: no file becomes SUCCESS without its rows", async () => {
    const harness = new Harness();
    const events = [await harness.put("orders/1", "a"), await harness.put("orders/2", "b")];
    const converter = override(new RowConverter(), {
      start: async (job) => {
        const real = await new RowConverter().start(job);
        const convert: Conversion["convert"] = async (...args) => {
          const result = await real.convert(...args);
          return { ...result, loaded: result.loaded.slice(1) };
        };
        return override(real, { convert });
      },
    });
    const report = await harness.load(events, { ports: { converter } });
    expect(report.errors).toEqual([expect.objectContaining({ kind: "Corrupt" })]);
    expect(report.retry).toHaveLength(2);
    expect((await harness.batches()).map(({ state }) => state)).toEqual(["ABORTED"]);
  });
});

describe("many loaders at once", () => {
  test("that are told of the same files load each once", async () => {
    const harness = new Harness();
    const events: ObjectEvent[] = [];
    for (let n = 0; n < 8; n++) events.push(await harness.put(`orders/${n}`, `row ${n}`));
    const pointer: MemoryPointer = harness.pointer;
    const reports = await Promise.all([1, 2, 3, 4].map(() => harness.load(events, { ports: { pointer } })));
    expect(reports.reduce((sum, report) => sum + report.outcomes.loaded, 0)).toBe(8);
    await harness.commit();
    expect(await harness.rows()).toEqual(events.map((_, n) => `row ${n}`));
  });
});
