// What a range lister does when S3 or its visitor misbehaves, and how far it reads ahead.

import { describe, expect, test } from "vitest";
import { RangeLister, type RangeListerOptions, type Stretch } from "../../../lambdas/core/discovery/lister.ts";
import { MoraineError } from "../../../lambdas/core/errors.ts";
import type { BucketLister, ListPage, ListRequest } from "../../../lambdas/core/ports.ts";
import { SequenceLister } from "../../fakes/memory-lister.ts";
import { VirtualS3 } from "./virtual-s3.ts";

const keys = Array.from({ length: 3000 }, (_, index) => `p/${String(index).padStart(6, "0")}`);
const all: Pick<RangeListerOptions, "bucket" | "prefix" | "ranges"> = {
  bucket: "b",
  prefix: "p/",
  ranges: [{ after: "" }],
};

/** Fails with what `trouble` gives for a request's number (from 1), before it is counted as answered. */
function listerOf(trouble: (request: number) => Error | undefined = () => undefined, pageKeys = 50) {
  const inner = new SequenceLister(keys, pageKeys);
  const state = { requests: 0 };
  const lister: BucketLister & typeof state = Object.assign(state, {
    page: async (request: ListRequest): Promise<ListPage> => {
      const error = trouble(++state.requests);
      if (error !== undefined) throw error;
      return inner.page(request);
    },
  });
  return lister;
}

async function run(
  lister: BucketLister,
  options: Partial<RangeListerOptions> = {},
): Promise<{ s3: VirtualS3; ranges: RangeLister; visited: string[]; error: unknown }> {
  const s3 = new VirtualS3(lister);
  const visited: string[] = [];
  const ranges = new RangeLister(
    { lister: s3, clock: s3, timer: s3 },
    {
      ...all,
      concurrency: 8,
      visit: async ({ objects }: Stretch) => void visited.push(...objects.map(({ key }) => key)),
      isOver: () => false,
      ...options,
    },
  );
  const error: unknown = await s3.run(ranges.run()).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  return { s3, ranges, visited, error };
}

const throttled = () => new MoraineError("Unavailable", "throttled", { throttled: true });
const unavailable = () => new MoraineError("Unavailable", "the service did not answer");

describe("range lister", () => {
  test("counts what a page costs over empty ones, and asks for no more of them when its time is up", async () => {
    const lister = listerOf();
    const asking = (times: number): BucketLister => ({
      page: async (request, mayAskOn = () => true) => {
        for (let time = 0; time < times; time++) if (!mayAskOn()) throw unavailable();
        return lister.page(request);
      },
    });
    const whole = await run(asking(2), { concurrency: 1 });
    expect(whole.visited).toEqual(keys);
    expect(whole.ranges.stats.listRequests).toBe(3 * lister.requests);
    let left = 100;
    const cut = await run(asking(1_000_000), { isOver: () => --left < 0 });
    expect(cut).toMatchObject({ visited: [], error: undefined });
    expect(cut.ranges.left()).not.toEqual([]);
    expect(cut.ranges.stats.listRequests).toBeLessThanOrEqual(100);
  });

  test("nothing to list is nothing to do", async () => {
    const lister = listerOf();
    const { ranges, error } = await run(lister, { ranges: [] });
    expect([error, lister.requests, ranges.left()]).toEqual([undefined, 0, []]);
  });

  test("an empty prefix costs one request", async () => {
    const lister = listerOf();
    const stretches: Stretch[] = [];
    await run(lister, { prefix: "none/", visit: async (stretch) => void stretches.push(stretch) });
    expect(lister.requests).toBe(1);
    expect(stretches).toEqual([{ after: "", objects: [] }]);
  });

  test("the page behind the one that is visited is on its way, and no page behind that", async () => {
    const lister = listerOf();
    let visits = 0;
    const ahead: number[] = [];
    const s3 = new VirtualS3(lister);
    const visit = async () => {
      visits++;
      await s3.sleep(600);
      ahead.push(lister.requests - visits);
    };
    const ranges = new RangeLister(
      { lister: s3, clock: s3, timer: s3 },
      { ...all, concurrency: 1, visit, isOver: () => false },
    );
    await s3.run(ranges.run());
    expect(ahead).toEqual([...Array.from({ length: 59 }, () => 1), 0]);
  });

  test("an error of a visit ends the listing when what was begun has ended, and what was not visited is left", async () => {
    const failure = new Error("the ledger is gone");
    let visiting = 0;
    let visits = 0;
    const s3 = new VirtualS3(listerOf());
    const done: Stretch[] = [];
    const visit = async (stretch: Stretch) => {
      visiting++;
      try {
        await s3.sleep(120);
        if (++visits === 20) throw failure;
        done.push(stretch);
      } finally {
        visiting--;
      }
    };
    const ranges = new RangeLister(
      { lister: s3, clock: s3, timer: s3 },
      { ...all, concurrency: 8, visit, isOver: () => false },
    );
    await expect(s3.run(ranges.run())).rejects.toBe(failure);
    expect(visiting).toBe(0);
    const visited = done.flatMap(({ objects }) => objects.map(({ key }) => key));
    const rest = await run(listerOf(), { ranges: ranges.left() });
    expect([...visited, ...rest.visited].sort()).toEqual(keys);
  });

  test("a listing that is over asks for nothing more, visits what it asked for, and says what is left", async () => {
    const lister = listerOf();
    const { visited, ranges, error } = await run(lister, { isOver: () => lister.requests >= 20 });
    expect(error).toBeUndefined();
    // Those in flight when the twentieth was answered, and all of them were visited: a full page each but for ends of ranges.
    expect(lister.requests).toBeLessThan(20 + 8);
    expect(ranges.stats.listRequests).toBe(lister.requests);
    expect(visited.length).toBeGreaterThan(lister.requests * 50 * 0.5);
    const rest = await run(listerOf(), { ranges: ranges.left() });
    expect([...visited, ...rest.visited].sort()).toEqual(keys);
  });

  test("a request that is not answered is made again, a bounded number of times", async () => {
    expect((await run(listerOf((n) => (n % 3 === 0 ? unavailable() : undefined)))).visited.sort()).toEqual(keys);
    const lister = listerOf(unavailable);
    const { error, ranges } = await run(lister, { concurrency: 1 });
    expect(error).toMatchObject({ kind: "Unavailable" });
    expect(lister.requests).toBe(6);
    expect(ranges.left()).toEqual([{ after: "" }]);
  });

  test("any other error ends the listing at once", async () => {
    const denied = new MoraineError("Invalid", "access was denied: allow s3:ListBucket to this role");
    const lister = listerOf((n) => (n === 5 ? denied : undefined));
    const { error, visited, ranges } = await run(lister, { concurrency: 2 });
    expect(error).toBe(denied);
    const rest = await run(listerOf(), { ranges: ranges.left() });
    expect([...visited, ...rest.visited].sort()).toEqual(keys);
  });

  test("throttled, it asks for half as much at once, waits, and comes back to full speed", async () => {
    const lister = listerOf((n) => (n > 40 && n <= 60 ? throttled() : undefined), 5);
    const { s3, visited, ranges } = await run(lister, { concurrency: 16 });
    expect(visited.sort()).toEqual(keys);
    expect(ranges.stats.throttled).toBe(20);
    expect(Math.max(...s3.inFlight)).toBe(16);
    expect(s3.inFlight.filter((count) => count <= 8).length).toBeGreaterThan(5);
    expect(Math.max(...s3.inFlight.slice(-20))).toBe(16);
  });

  test("throttled for ever, it ends when it is over", async () => {
    const lister = listerOf(throttled);
    const { error, ranges } = await run(lister, { isOver: () => lister.requests >= 50 });
    expect(error).toBeUndefined();
    expect(ranges.left()).toEqual([{ after: "" }]);
  });
});
