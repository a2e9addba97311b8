import { hash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { resetCheckpoint } from "../../../cli/runs.ts";
import { sourceOf } from "../../../lambdas/core/discovery/cursor.ts";
import { listShard, openShard, type ShardTask } from "../../../lambdas/core/discovery/list-shard.ts";
import { putRound } from "../../../lambdas/core/discovery/rounds.ts";
import {
  type Begun,
  beginRun,
  failRun,
  finishRun,
  gatherRound,
  planRound,
} from "../../../lambdas/core/discovery/run.ts";
import { begunKey } from "../../../lambdas/core/discovery/run-records.ts";
import { MoraineError } from "../../../lambdas/core/errors.ts";
import type { EventSink, ListedObject } from "../../../lambdas/core/ports.ts";
import { SequenceLister } from "../../fakes/memory-lister.ts";
import { INVENTORY_LOCATION, writeInventory } from "../../simulation/discovery/inventory-report.ts";
import { BUCKET, ingestionOf, override } from "../core/harness.ts";
import { losing, ORDERS, RunHarness } from "./run-harness.ts";

const lost = () => new MoraineError("UnknownOutcome", "response lost");
/** In order, a kilobyte each, and of the kind that does not deflate. */
const longKeys = (count: number) =>
  Array.from({ length: count }, (_, n) => {
    const noise = hash("shake256", `${n}`, { outputEncoding: "base64url", outputLength: 750 });
    return `orders/${n.toString().padStart(5, "0")}-${noise}`;
  });
const execution = (name: string) => ({ name, arn: `arn:${name}` });

describe("a run", () => {
  test("sends every file once and reports what it came to", async () => {
    const world = new RunHarness();
    await world.fill(23);
    const report = await world.run("one");
    expect(world.sent().sort()).toEqual(
      Array.from({ length: 23 }, (_, n) => `orders/00${n.toString().padStart(2, "0")}`),
    );
    expect(report).toMatchObject({ total: 23, new: 23, known: 0, strategy: "full", dryRun: false, shards: 1 });
    expect(report.listRequests).toBeGreaterThanOrEqual(5);
    expect(report.requests).toBe(report.listRequests + report.ledgerRequests + report.sendRequests);
    expect(report.dollars).toBeGreaterThan(0);
    expect(await world.record("one")).toMatchObject({ status: "SUCCEEDED", report: { total: 23 } });
    expect(await world.active()).toBeUndefined();
    expect(world.files("runs/")).toEqual([]);
  });

  test("lists again without asking the ledger about what it confirmed before", async () => {
    const world = new RunHarness();
    await world.fill(23);
    await world.run("one");
    await world.loadSent();
    expect(await world.run("two")).toMatchObject({ known: 23, new: 0, ledgerReads: 23 });
    expect(await world.run("three")).toMatchObject({ known: 23, new: 0, ledgerReads: 0 });
    expect(await world.run("four", { checkAll: true })).toMatchObject({ known: 23, ledgerReads: 23 });
  });

  test("goes on in more rounds when functions hand back what is too much for them", async () => {
    const world = new RunHarness();
    await world.fill(60);
    const report = await world.run("one", {}, { objectsMax: 10 });
    expect(report).toMatchObject({ total: 60, new: 60 });
    expect(report.shards).toBeGreaterThan(2);
    expect(new Set(world.sent()).size).toBe(60);
    expect(world.sent().length).toBe(60);
  });

  test("reads a file of an inventory to its end, however many rows are too much: the next function would read them all again", async () => {
    const ageMaxMs = 86_400_000;
    const world = new RunHarness({ listing: { strategy: "inventory", location: INVENTORY_LOCATION, ageMaxMs } });
    await world.fill(20);
    await writeInventory(world.store, world.clock.now(), 0);
    expect(await world.run("one", {}, { objectsMax: 0 })).toMatchObject({ total: 20, new: 20, shards: 1 });
  });

  test("with keys of a kilobyte is cut into shards that are small enough for the items of a map", async () => {
    const world = new RunHarness();
    const run = await world.begin("one");
    const keys = longKeys(400);
    const ranges = keys.map((upTo, n) => ({ after: keys[n - 1] ?? "", upTo }));
    const round = await putRound(world.context(), run, 1, [{ kind: "keys", id: "", prefix: "orders/", ranges }]);
    const tasks = await world.tasks(round);
    expect(round.shards).toBe(tasks.length);
    expect(new Set(tasks.map(({ shard }) => shard.id)).size).toBe(tasks.length);
    expect(tasks.flatMap(({ shard }) => (shard.kind === "keys" ? shard.ranges : []))).toEqual(ranges);
    for (const task of tasks) expect(Buffer.byteLength(JSON.stringify(task))).toBeLessThan(140_000);
  });

  test("whose checkpoint has no room for more segments hands the rest back", async () => {
    const world = new RunHarness({}, { heldBytesMax: 1 });
    const run = await world.begin("one");
    const [task] = await world.tasks(await planRound(world.context(), run));
    // Each page is confirmed, and makes a segment. The ledger of the tests refuses items of 400 KB.
    const context = world.context({ lister: new SequenceLister(longKeys(1000), 2) });
    const bounds = { deadlineMs: Number.POSITIVE_INFINITY, objectsMax: Number.POSITIVE_INFINITY };
    const seen = { has: async (objects: readonly ListedObject[]) => objects.map(() => true) };
    const shard = { ...(await openShard(context, run, bounds)), seen };
    const record = await listShard(shard, task as ShardTask);
    expect(record).toMatchObject({ done: false, left: { ranges: [{}] } });
    expect(record.counts.known).toBeGreaterThan(50);
  });

  test("moves the lexical cursor, and a later run begins its look-back before it", async () => {
    const world = new RunHarness({ listing: { strategy: "incremental_lexical", lookbackKeys: 4 } });
    await world.fill(40);
    await world.run("one");
    expect(await world.cursor()).toMatchObject({ lexical: { last: "orders/0039" } });
    await world.loadSent();
    await world.fill(10, 40);
    const report = await world.run("two");
    expect(report.new).toBe(10);
    expect(report.total).toBeLessThan(20);
    expect(await world.cursor()).toMatchObject({ lexical: { last: "orders/0049" } });
  });

  test("of an ingestion that takes more files than before passes none over by its old cursor", async () => {
    const world = new RunHarness({ listing: { strategy: "incremental_lexical", lookbackKeys: 2 } });
    const { source } = world.ingestion;
    world.ingestion = { ...world.ingestion, source: { ...source, include: ["*9"] } };
    await world.fill(40);
    expect((await world.run("one")).new).toBe(4);
    await world.loadSent();
    world.ingestion = { ...world.ingestion, source };
    expect(await world.run("two")).toMatchObject({ total: 40, new: 36 });
  });

  test("of a part of the prefix, or with a filter, moves no cursor", async () => {
    const world = new RunHarness({ listing: { strategy: "incremental_lexical", lookbackKeys: 4 } });
    await world.fill(10);
    await world.run("one", { prefix: "orders/000" });
    await world.run("two", { strategy: "incremental_lexical", sizeBytesMin: 1 });
    expect((await world.cursor())?.lexical).toBeUndefined();
    await world.run("three", { strategy: "full" });
    expect((await world.cursor())?.listedFromMs).toBeDefined();
  });
});

describe("a cursor", () => {
  test("is not moved by a run whose ingestion takes other files by now", async () => {
    const world = new RunHarness({ listing: { strategy: "incremental_lexical", lookbackKeys: 2 } });
    const { source } = world.ingestion;
    world.ingestion = { ...world.ingestion, source: { ...source, include: ["*9"] } };
    await world.fill(40);
    const run = await world.begin("one");
    const round = await planRound(world.context(), run);
    await world.listAll(run, round);
    expect(await gatherRound(world.context(), run, round)).toEqual({ kind: "done" });
    world.ingestion = { ...world.ingestion, source };
    expect(await finishRun(world.context(), run)).toMatchObject({ new: 4 });
    expect(await world.cursor()).toBeUndefined();
    await world.loadSent();
    expect(await world.run("two")).toMatchObject({ total: 40, new: 36 });
  });

  test("passes nothing over that a function of another deployment would have left out", async () => {
    const world = new RunHarness({ listing: { strategy: "incremental_lexical", lookbackKeys: 2 } });
    const before = world.ingestion;
    const undone = { ...before, source: { ...before.source, include: ["*9"] } };
    await world.fill(40);
    const run = await world.begin("one");
    const round = await planRound(world.context(), run);
    world.ingestion = undone;
    const refused = { kind: "Unavailable", message: expect.stringContaining("takes other files") };
    await expect(world.listAll(run, round)).rejects.toMatchObject(refused);
    await expect(gatherRound(world.context(), run, round)).rejects.toMatchObject(refused);
    await expect(planRound(world.context(), run)).rejects.toMatchObject(refused);
    world.ingestion = before;
    expect(await world.complete(run)).toMatchObject({ total: 40, new: 40 });
  });

  test("means nothing once an ingestion that took some of the files is gone", async () => {
    const world = new RunHarness({ listing: { strategy: "incremental_lexical", lookbackKeys: 2 } });
    await world.fill(20);
    await world.put("orders/0000-eu/1");
    world.others = [ingestionOf("eu", { source: { ...world.ingestion.source, prefix: "orders/0000-eu/" } })];
    expect((await world.run("one")).new).toBe(20);
    await world.loadSent();
    world.others = [];
    expect(await world.run("two")).toMatchObject({ total: 21, new: 1 });
  });

  test("speaks of what others of its bucket take, in whatever order they stand", () => {
    const of = (id: string, prefix: string, include: readonly string[] = []) =>
      ingestionOf(id, { source: { bucket: BUCKET, prefix, include, exclude: [] } });
    const [own, eu, us] = [of("own", "in/"), of("eu", "in/eu/"), of("us", "in/us/", ["*.csv"])];
    const alone = sourceOf(own, [own]);
    expect(sourceOf(own, [us, own, eu])).toBe(sourceOf(own, [own, eu, us]));
    expect(new Set([alone, sourceOf(own, [own, eu]), sourceOf(own, [own, eu, us])]).size).toBe(3);
    // The first of two with one prefix takes what both would.
    const same = of("same", "in/", ["*.json"]);
    expect(sourceOf(own, [same, own])).not.toBe(alone);
    const none = [own, same, of("wider", "i"), of("beside", "out/")];
    expect(sourceOf(own, none)).toBe(alone);
  });

  test.each([{ sizeBytesMin: 1 }, { modifiedFrom: "2020-01-01" }, { exclude: ["*9"] }, { prefix: "orders/2026" }])(
    "is not moved by a listing of partitions with %j",
    async (scope) => {
      const world = new RunHarness({
        listing: { strategy: "partitioned", pattern: "%Y/%m/%d", lookbackMs: 86_400_000 },
      });
      await world.put("orders/2026/01/01/a");
      await world.run("one", { strategy: "partitioned", ...scope });
      expect((await world.cursor())?.partitioned).toBeUndefined();
      await world.run("two");
      expect((await world.cursor())?.partitioned?.folders).toContain("orders/2026/");
    },
  );

  test("that was forgotten during a run is not brought back by what the run left out because of it", async () => {
    const world = new RunHarness({ listing: { strategy: "incremental_lexical", lookbackKeys: 2 } });
    await world.fill(40);
    await world.run("one");
    await world.loadSent();
    const run = await world.begin("two");
    await planRound(world.context(), run);
    await resetCheckpoint(world.ledger, ORDERS);
    await world.complete(run);
    const { lexical, listedFromMs, partitioned, seen } = (await world.cursor()) ?? {};
    expect([lexical, listedFromMs, partitioned, seen]).toEqual([undefined, undefined, undefined, undefined]);
    expect(await world.run("three")).toMatchObject({ total: 40, ledgerReads: 40 });
    expect(await world.cursor()).toMatchObject({ lexical: { last: "orders/0039" } });
  });

  test("that was forgotten during a listing of all is begun anew by it", async () => {
    const world = new RunHarness();
    await world.fill(10);
    await world.run("one");
    const run = await world.begin("two");
    await planRound(world.context(), run);
    await resetCheckpoint(world.ledger, ORDERS);
    await world.complete(run);
    expect(await world.cursor()).toMatchObject({ begunBy: "two", listedFromMs: run.startedAtMs });
  });

  test("that was forgotten ends what a failed run had listed by it: the next one starts from nothing", async () => {
    const world = new RunHarness({ listing: { strategy: "incremental_lexical", lookbackKeys: 2 } });
    await world.fill(40);
    await world.run("one");
    await world.loadSent();
    const run = await world.begin("two");
    await planRound(world.context(), run);
    await failRun(world.context(), run, "stopped");
    await resetCheckpoint(world.ledger, ORDERS);
    expect(await world.run("three")).toMatchObject({ total: 40, ledgerReads: 40 });
  });
});

describe("an inventory", () => {
  const listing = { strategy: "inventory", location: INVENTORY_LOCATION, ageMaxMs: 86_400_000 } as const;

  test("of which a part was asked for counts as read by nobody", async () => {
    const world = new RunHarness({ listing });
    await world.fill(10);
    await writeInventory(world.store, world.clock.now(), 0);
    expect(await world.run("one", { strategy: "inventory", prefix: "orders/000" })).toMatchObject({
      new: 10,
      broken: {},
    });
    expect(await world.run("two", { strategy: "inventory", sizeBytesMin: 1 })).toMatchObject({ broken: {} });
    expect((await world.cursor())?.inventoriesAtMs).toBeUndefined();
    await world.run("three");
    expect((await world.cursor())?.inventoriesAtMs).toEqual({ [INVENTORY_LOCATION]: world.clock.now() });
    expect((await world.run("four")).broken.stale_inventory?.count).toBe(1);
  });

  test("whose files are gone is not taken up again when a newer one is there", async () => {
    const world = new RunHarness({ listing });
    await world.fill(10);
    await writeInventory(world.store, world.clock.now(), 0);
    const failed = await world.begin("one");
    await planRound(world.context(), failed);
    for (const uri of world.store.objects.keys()) if (uri.includes("/data/")) world.store.objects.delete(uri);
    await failRun(world.context(), failed, "a file of the inventory is not there any more");
    world.clock.advance(60_000);
    await writeInventory(world.store, world.clock.now(), 1);
    expect(await world.run("two")).toMatchObject({ new: 10 });
  });

  test("is not stale because a later report of another one was read", async () => {
    const older = { ...listing, location: "s3://inventories/landing/older" };
    const world = new RunHarness({ listing, schedules: [{ listing: older, everySeconds: 3600 }] });
    await world.fill(10);
    for (const { location } of [older, listing]) {
      await writeInventory(world.store, world.clock.now(), 0, location);
      world.clock.advance(1000);
    }
    for (const stale of [false, true]) {
      for (const { location } of [listing, older]) {
        const { broken } = await world.run(`${location} ${stale}`, { inventory: location });
        expect([location, broken.stale_inventory !== undefined]).toEqual([location, stale]);
      }
    }
  });

  test("is a whole listing as of when it was made: files that no event brings are missed from then on", async () => {
    const world = new RunHarness({ listing });
    await world.fill(10);
    const madeAtMs = world.clock.now();
    await writeInventory(world.store, madeAtMs, 0);
    world.clock.advance(world.limits.eventGraceMs);
    expect((await world.run("one")).broken).toEqual({});
    expect((await world.cursor())?.listedFromMs).toBe(madeAtMs);
    await world.loadSent();
    await world.fill(1, 10);
    await writeInventory(world.store, world.clock.now(), 1);
    world.clock.advance(world.limits.eventGraceMs + 1);
    expect((await world.run("two")).broken.missed_by_events?.examples).toEqual(["orders/0010"]);
    // An older one proves nothing new.
    const { listedFromMs } = (await world.cursor()) ?? {};
    await world.run("three", { strategy: "full" });
    await world.run("four");
    expect((await world.cursor())?.listedFromMs).toBeGreaterThan(listedFromMs ?? 0);
  });

  test("read again and again leaves one set of confirmed files", async () => {
    const world = new RunHarness({ listing });
    await world.fill(60);
    await writeInventory(world.store, world.clock.now(), 0);
    await world.run("one");
    await world.loadSent();
    for (const name of ["two", "three", "four"]) {
      const report = await world.run(name);
      expect(report).toMatchObject({ known: 60, ledgerReads: name === "two" ? 60 : 0 });
      expect(await world.seenEntries()).toBe(60);
    }
  });

  test("of a part of the bucket leaves alone what was confirmed of the rest", async () => {
    const world = new RunHarness({ listing });
    await world.fill(20);
    await writeInventory(world.store, world.clock.now(), 0);
    await world.fill(20, 20);
    await world.run("one", { strategy: "full" });
    await world.loadSent();
    await world.run("two", { strategy: "full", prefix: "orders/000" });
    await world.run("three", { strategy: "full", prefix: "orders/003" });
    await world.run("four");
    await world.run("five");
    expect(await world.seenEntries()).toBe(30);
  });
});

describe("a step that is repeated", () => {
  test("changes nothing and answers the same", async () => {
    const world = new RunHarness();
    await world.fill(30);
    const run = await world.begin("one");
    world.clock.advance(5);
    expect(await world.begin("one")).toEqual(run);
    const round = await planRound(world.context(), run);
    await world.put("orders/a-late-one");
    expect(await planRound(world.context(), run)).toEqual(round);
    await world.listAll(run, round, { objectsMax: 10 });
    await world.listAll(run, round, { objectsMax: 0 });
    const gathered = await gatherRound(world.context(), run, round);
    expect(gathered.kind).toBe("more");
    expect(await gatherRound(world.context(), run, round)).toEqual(gathered);
    const report = await world.complete(run).catch(() => undefined);
    expect(report).toBeDefined();
    expect(await finishRun(world.context(), run)).toEqual(report);
    expect(report?.total).toBe(31);
  });

  test("after lost responses of every write counts every file once", async () => {
    const world = new RunHarness({}, { checkpointEveryMs: 0 });
    await world.fill(47);
    const flaky = () =>
      world.context({
        ledger: losing(world.ledger, ["write", "remove"], lost),
        store: losing(world.store, ["put"], lost),
      });
    const again = async <T>(step: () => Promise<T>): Promise<T> => step().catch(() => again(step));
    const context = flaky();
    const run = await again(() => world.begin("one", {}, context));
    let round = await again(() => planRound(context, run));
    for (;;) {
      for (const task of await world.tasks(round)) await again(() => world.list(run, task, { objectsMax: 9, context }));
      const gathered = await again(() => gatherRound(context, run, round));
      if (gathered.kind === "done") break;
      round = gathered.round;
    }
    const report = await again(() => finishRun(context, run));
    expect(report).toMatchObject({ total: 47, new: 47 });
    expect(await world.active()).toBeUndefined();
  });

  test("too late, and by another version, does not replace the round that others list", async () => {
    const world = new RunHarness({ functionsMax: 1, concurrency: 8 });
    await world.fill(200);
    const run = await world.begin("one");
    const first = await planRound(world.context(), run);
    await world.listAll(run, first, { objectsMax: 50 });
    const gate = Promise.withResolvers<void>();
    const waiting = override(world.store, {
      put: async (uri, body, options) => {
        if (uri.includes("round-2")) await gate.promise;
        return world.store.put(uri, body, options);
      },
    });
    const late = gatherRound(world.context({ store: waiting }), run, first).catch(() => undefined);
    world.ingestion = { ...world.ingestion, discovery: { ...world.ingestion.discovery, functionsMax: 4 } };
    const gathered = await gatherRound(world.context(), run, first);
    if (gathered.kind !== "more") throw new Error("nothing was left");
    const tasks = await world.tasks(gathered.round);
    gate.resolve();
    await late;
    expect(tasks.length).toBeGreaterThan(1);
    expect(await world.tasks(gathered.round)).toEqual(tasks);
    expect(await world.complete(run)).toMatchObject({ total: 200, new: 200 });
  });

  test("too late does nothing to a run that is over", async () => {
    const world = new RunHarness();
    await world.fill(7);
    const run = await world.begin("one");
    const round = await planRound(world.context(), run);
    const [task] = await world.tasks(round);
    await world.listAll(run, round);
    await finishRun(world.context(), run);
    for (const step of [
      () => world.begin("one"),
      () => planRound(world.context(), run),
      () => gatherRound(world.context(), run, round),
      () => world.list(run, task as never),
    ]) {
      await expect(step()).rejects.toMatchObject({ kind: "Fenced" });
    }
    await failRun(world.context(), run, "too late");
    expect(await world.record("one")).toMatchObject({ status: "SUCCEEDED" });
    expect(await world.active()).toBeUndefined();
  });
});

describe("two runs of one ingestion", () => {
  test("do not list at once: the second waits, and joins the first if it asked the same and succeeded", async () => {
    const world = new RunHarness();
    const first = await world.begin("one");
    const second = (before?: Begun) => beginRun(world.context(), { ingestion: "orders" }, execution("two"), before);
    const waits = await second();
    expect(waits).toEqual({ kind: "busy", run: first, same: true });
    expect(await second(waits)).toEqual(waits);
    await world.complete(first);
    expect(await second(waits)).toEqual({ kind: "joined", run: first });
    expect((await second()).kind).toBe("begun");
  });

  test("of which the first is stopped without a word: the second that asks the same lists when its lease has run out", async () => {
    const world = new RunHarness();
    await world.fill(10);
    const first = await world.begin("one");
    const second = (before?: Begun) => beginRun(world.context(), { ingestion: "orders" }, execution("two"), before);
    const waits = await second();
    expect(waits).toEqual({ kind: "busy", run: first, same: true });
    world.clock.advance(world.limits.leaseMs + 1);
    const begun = await second(waits);
    if (begun.kind !== "begun") throw new Error(`it did not begin: ${begun.kind}`);
    expect(await world.complete(begun.run)).toMatchObject({ total: 10, new: 10 });
    expect(await world.record("one")).toMatchObject({ status: "FAILED" });
  });

  test("of which the second asks something else is not joined: it begins when the first is over", async () => {
    const world = new RunHarness();
    await world.fill(10);
    const first = await world.begin("one");
    const asked = { ingestion: "orders", strategy: "full", checkAll: true };
    const other = (before?: Begun) => beginRun(world.context(), asked, execution("two"), before);
    const waits = { kind: "busy", run: first, same: false } as const;
    expect(await other()).toEqual(waits);
    world.clock.advance(60_000);
    expect(await other(waits)).toEqual(waits);
    await world.complete(first);
    expect((await other(waits)).kind).toBe("begun");
    expect(await world.run("two", { checkAll: true })).toMatchObject({ total: 10 });
  });

  test("of which the second is to take nothing up does not join one that did", async () => {
    const world = new RunHarness();
    const failed = await world.begin("one");
    await planRound(world.context(), failed);
    await failRun(world.context(), failed, "stopped");
    world.clock.advance(1);
    await world.begin("two");
    const again = (input: object) => beginRun(world.context(), { ingestion: "orders", ...input }, execution("three"));
    expect(await again({ fresh: true })).toMatchObject({ kind: "busy", same: false });
    expect(await again({})).toMatchObject({ kind: "busy", same: true });
  });

  test("of which the first is not on record yet, or failed and did not say so, is not joined", async () => {
    const world = new RunHarness();
    const stopped = world.context({
      ledger: override(world.ledger, {
        write: (item, expected) =>
          item.body["kind"] === "run" ? Promise.reject(lost()) : world.ledger.write(item, expected),
      }),
    });
    await expect(world.begin("one", {}, stopped)).rejects.toMatchObject({ kind: "UnknownOutcome" });
    expect(await beginRun(world.context(), { ingestion: "orders" }, execution("two"))).toMatchObject({ same: false });
    const run = await world.begin("one");
    const held = world.context({ ledger: override(world.ledger, { remove: () => Promise.reject(lost()) }) });
    await expect(failRun(held, run, "stopped")).rejects.toMatchObject({ kind: "UnknownOutcome" });
    expect(await beginRun(world.context(), { ingestion: "orders" }, execution("two"))).toMatchObject({ same: false });
  });

  test("the one that waited starts when it gets the ingestion, and takes up what failed while it waited", async () => {
    const world = new RunHarness();
    await world.fill(60);
    const failed = await world.begin("one", { strategy: "incremental_time" });
    const asked = { ingestion: "orders", strategy: "incremental_time", checkAll: true };
    const begin = () => beginRun(world.context(), asked, execution("three"));
    expect((await begin()).kind).toBe("busy");
    world.clock.advance(1000);
    await failRun(world.context(), failed, "stopped");
    const second = await world.begin("two", { strategy: "incremental_time", checkAll: true });
    await planRound(world.context(), second);
    world.clock.advance(1000);
    await failRun(world.context(), second, "stopped");
    expect((await begin()).kind).toBe("begun");
    expect(await world.record("three")).toMatchObject({ resumes: "two", startedAtMs: world.clock.now() });
  });

  test("a begin that comes late holds nothing and begins nothing", async () => {
    const world = new RunHarness();
    const gate = Promise.withResolvers<void>();
    const slow = override(world.ledger, {
      write: async (item, expected) => {
        if (item.body["kind"] === "begun") await gate.promise;
        return world.ledger.write(item, expected);
      },
    });
    const late = world.begin("one", {}, world.context({ ledger: slow }));
    late.catch(() => undefined);
    world.clock.advance(world.limits.leaseMs + 1);
    await world.complete(await world.begin("two"));
    world.clock.advance(1);
    const run = await world.begin("one");
    gate.resolve();
    await expect(late).rejects.toMatchObject({ kind: "Fenced" });
    expect(await world.active()).toMatchObject({ runId: "one", startedAtMs: run.startedAtMs });
    await world.complete(run);
    world.clock.advance(1);
    await expect(world.begin("one")).rejects.toMatchObject({ kind: "Fenced" });
    expect(await world.active()).toBeUndefined();
  });

  test("the dead one is taken over when its lease has run out, and is fenced from then on", async () => {
    const world = new RunHarness();
    await world.fill(30);
    const dead = await world.begin("one", { sizeBytesMin: 1 });
    const round = await planRound(world.context(), dead);
    world.clock.advance(world.limits.leaseMs);
    const run = await world.begin("two");
    expect(await world.record("one")).toMatchObject({ status: "FAILED" });
    expect((await world.record("two"))?.resumes).toBeUndefined();
    await expect(gatherRound(world.context(), dead, round)).rejects.toMatchObject({ kind: "Fenced" });
    await failRun(world.context(), dead, "it is over");
    expect(await world.active()).toMatchObject({ runId: "two" });
    expect(await world.complete(run)).toMatchObject({ total: 30 });
  });

  test("a run whose functions get on keeps its ingestion past its first lease", async () => {
    const world = new RunHarness({ concurrency: 1 }, { checkpointEveryMs: 1 });
    await world.fill(30);
    const run = await world.begin("one");
    const round = await planRound(world.context(), run);
    const events: EventSink = {
      send: async (bodies) => {
        world.clock.advance(world.limits.leaseMs * 0.4);
        await world.sink.send(bodies);
      },
    };
    const [task] = await world.tasks(round);
    await world.list(run, task as never, { context: world.context({ events }) });
    expect((await beginRun(world.context(), { ingestion: "orders" }, execution("two"))).kind).toBe("busy");
    expect(await world.complete(run)).toMatchObject({ total: 30, new: 30 });
  });

  test("of two functions on one shard one gets on, and every file is counted once", async () => {
    const world = new RunHarness({ concurrency: 1 }, { checkpointEveryMs: 0 });
    await world.fill(20);
    const run = await world.begin("one");
    const round = await planRound(world.context(), run);
    const [task] = await world.tasks(round);
    await Promise.all([world.list(run, task as never), world.list(run, task as never)]);
    expect(await world.complete(run)).toMatchObject({ total: 20, new: 20 });
    expect(new Set(world.sent()).size).toBe(20);
  });

  test("a function that wakes after its shard was closed counts nothing", async () => {
    const world = new RunHarness({ concurrency: 1 }, { checkpointEveryMs: 0 });
    await world.fill(20);
    const run = await world.begin("one");
    const round = await planRound(world.context(), run);
    const [task] = await world.tasks(round);
    const bounds = { deadlineMs: Number.POSITIVE_INFINITY, objectsMax: Number.POSITIVE_INFINITY };
    const asleep = await openShard(world.context(), run, bounds);
    const gate = Promise.withResolvers<void>();
    const ports = { ...asleep.ports, events: { send: () => gate.promise } };
    const late = listShard({ ...asleep, ports }, task as never);
    const gathered = await gatherRound(world.context(), run, round);
    gate.resolve();
    expect(await late).toMatchObject({ done: false, counts: { total: 0 } });
    expect(gathered.kind).toBe("more");
    expect(await world.complete(run)).toMatchObject({ total: 20 });
  });
});

describe("a run that failed", () => {
  test("is taken up again: what its shards have listed is not listed again", async () => {
    const world = new RunHarness();
    await world.fill(60);
    const run = await world.begin("one");
    const round = await planRound(world.context(), run);
    await world.listAll(run, round, { objectsMax: 30 });
    await failRun(world.context(), run, "stopped");
    const [first] = [world.sent().length];
    expect(first).toBeGreaterThanOrEqual(30);
    const report = await world.run("two", { trigger: "command" });
    expect(await world.record("two")).toMatchObject({ resumes: "one" });
    expect(report).toMatchObject({ total: 60, new: 60 });
    expect(world.sent().length).toBe(60);
    expect(world.files("runs/")).toEqual([]);
    expect((await world.cursor())?.listedFromMs).toBe(run.startedAtMs);
  });

  test("and whose successor failed as well is still counted by the one after it", async () => {
    const world = new RunHarness();
    await world.fill(60);
    for (const name of ["one", "two", "three"]) {
      const run = await world.begin(name);
      if (name !== "two") await world.listAll(run, await planRound(world.context(), run), { objectsMax: 10 });
      await failRun(world.context(), run, "stopped");
      world.clock.advance(1000);
    }
    expect(await world.run("four")).toMatchObject({ total: 60, new: 60 });
    expect(world.sent().length).toBe(60);
  });

  test.each([
    ["fresh is asked for", { fresh: true }, 0],
    ["another listing is asked for", { sizeBytesMin: 1 }, 0],
    ["it is long ago", {}, 25 * 3_600_000],
  ])("is not taken up when %s", async (_why, input, passedMs) => {
    const world = new RunHarness();
    await world.fill(10);
    const run = await world.begin("one");
    await world.listAll(run, await planRound(world.context(), run), { objectsMax: 5 });
    await failRun(world.context(), run, "stopped");
    world.clock.advance(passedMs + 1);
    const report = await world.run("two", input);
    expect((await world.record("two"))?.resumes).toBeUndefined();
    expect(report.total).toBe(10);
  });

  test("is not taken up when the ingestion takes other files by now", async () => {
    const world = new RunHarness();
    await world.fill(10);
    await world.put("orders/eu/1");
    const run = await world.begin("one");
    await world.listAll(run, await planRound(world.context(), run), { objectsMax: 5 });
    await failRun(world.context(), run, "stopped");
    world.clock.advance(1);
    world.ingestion = { ...world.ingestion, source: { ...world.ingestion.source, prefix: "orders/eu/" } };
    expect((await world.run("two")).total).toBe(1);
    expect((await world.record("two"))?.resumes).toBeUndefined();
  });

  test("leaves no plan to an execution that has its name months later", async () => {
    const world = new RunHarness();
    await world.fill(10);
    const failed = await world.begin("nightly");
    await planRound(world.context(), failed);
    await failRun(world.context(), failed, "stopped");
    const begun = await world.ledger.read(begunKey("nightly"));
    if (begun !== undefined) await world.ledger.remove(begun.key, begun.revision);
    world.clock.advance(91 * 86_400_000);
    await world.put("other/1");
    world.ingestion = { ...world.ingestion, source: { ...world.ingestion.source, prefix: "other/" } };
    expect(await world.run("nightly")).toMatchObject({ total: 1, new: 1 });
  });

  test("frees the ingestion and says why", async () => {
    const world = new RunHarness();
    const run = await world.begin("one");
    await failRun(world.context(), run, "no such bucket");
    expect(await world.record("one")).toMatchObject({ status: "FAILED", error: "no such bucket" });
    expect(await world.active()).toBeUndefined();
  });

  test("because no shard gets on ends after three rounds, and says where to look", async () => {
    const world = new RunHarness();
    await world.fill(5);
    const run = await world.begin("one");
    let round = await planRound(world.context(), run);
    for (let turn = 1; turn < 3; turn++) {
      const gathered = await gatherRound(world.context(), run, round);
      if (gathered.kind === "more") round = gathered.round;
    }
    expect(round.round).toBe(3);
    await expect(gatherRound(world.context(), run, round)).rejects.toMatchObject({
      kind: "Unavailable",
      message: expect.stringMatching(/no shard got on in 3 rounds: .*ListShards.*execution=arn:one/),
    });
  });
});

describe("a dry run", () => {
  test("counts, sends nothing, and leaves neither a cursor nor a file behind", async () => {
    const world = new RunHarness();
    await world.fill(12);
    const report = await world.run("dry", { dryRun: true });
    expect(report).toMatchObject({ total: 12, new: 12, dryRun: true, sendRequests: 0 });
    expect(world.sent()).toEqual([]);
    expect(await world.cursor()).toBeUndefined();
    expect([...world.files("runs/"), ...world.files("seen/")]).toEqual([]);
    expect(await world.record("dry")).toMatchObject({ status: "SUCCEEDED" });
  });

  test("goes beside another run, and may be begun twice", async () => {
    const world = new RunHarness();
    await world.begin("one");
    const dry = await world.begin("dry", { dryRun: true });
    world.clock.advance(10);
    expect(await world.begin("dry", { dryRun: true })).toEqual(dry);
    await world.complete(dry);
    expect(await world.active()).toMatchObject({ runId: "one", ingestion: ORDERS });
  });
});
