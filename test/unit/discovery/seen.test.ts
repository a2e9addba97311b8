import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { SeenSegment } from "../../../lambdas/core/discovery/model.ts";
import { SeenReader, SeenWriter } from "../../../lambdas/core/discovery/seen.ts";
import { SEGMENT_ENTRIES } from "../../../lambdas/core/discovery/seen-segment.ts";
import type { GetOutcome, ListedObject } from "../../../lambdas/core/ports.ts";
import { ManualClock } from "../../fakes/manual-clock.ts";
import { MemoryObjectStore } from "../../fakes/memory-object-store.ts";
import { hostileKey, hostileObject, inOrder, listed } from "./listed.ts";

const FOLDER = "s3://warehouse/seen/orders/";

function names(): () => string {
  let count = 0;
  return () => `segment-${count++}`;
}

function setUp() {
  const store = new MemoryObjectStore(new ManualClock());
  return { store, writer: new SeenWriter(store, FOLDER, names()) };
}

/** What an entry stands for. */
function versionOf({ key, etag, sizeBytes, lastModifiedMs }: ListedObject): string {
  return JSON.stringify([key, etag, sizeBytes, Math.floor(lastModifiedMs / 1000)]);
}

const sequence = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, index) => listed(`orders/${(from + index).toString().padStart(8, "0")}`));

describe("the seen manifest", () => {
  test("answers like a set of versions, however runs overlapped, stretches were mixed and keys are spelled", async () => {
    const run = fc.array(fc.array(hostileObject, { maxLength: 30 }), { maxLength: 4 });
    const asked = fc.array(hostileObject, { maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(fc.array(run, { maxLength: 4 }), asked, async (runs, others) => {
        const { store, writer } = setUp();
        const segments: SeenSegment[] = [];
        for (const stretches of runs) {
          for (const stretch of stretches) writer.add(inOrder(stretch));
          segments.push(...(await writer.flush()));
        }
        const written = runs.flat(2);
        const model = new Set(written.map(versionOf));
        const objects = inOrder([...written, ...others]);
        const found = await new SeenReader(store, { segments }).has(objects);
        expect(found).toEqual(objects.map((object) => model.has(versionOf(object))));
        expect(segments.reduce((sum, { entries }) => sum + entries, 0)).toBeGreaterThanOrEqual(model.size);
      }),
      { numRuns: 200 },
    );
  }, 30_000);

  test("answers objects that come in no order", async () => {
    const { store, writer } = setUp();
    const objects = sequence(0, 500);
    writer.add(objects.toReversed());
    const reader = new SeenReader(store, { segments: await writer.flush() });
    expect(await reader.has([...objects, listed("orders/x")].toReversed())).toEqual([
      false,
      ...objects.map(() => true),
    ]);
  });

  test("a key that is no Unicode text never has an entry, nor lends its bytes to another", async () => {
    const { store, writer } = setUp();
    writer.add([listed("a\ud800", { etag: "e" }), listed("a\ufffd", { etag: "e" })]);
    const reader = new SeenReader(store, { segments: await writer.flush() });
    const asked = ["a\ud800", "a\udc00", "a\ufffd"].map((key) => listed(key, { etag: "e" }));
    expect(await reader.has(asked)).toEqual([false, false, true]);
  });

  test("LastModified counts in whole seconds: inventories have more digits than listings", async () => {
    const { store, writer } = setUp();
    writer.add([listed("a", { lastModifiedMs: 5_999 })]);
    const reader = new SeenReader(store, { segments: await writer.flush() });
    const asked = [5_000, 5_999, 6_000].map((lastModifiedMs) => listed("a", { lastModifiedMs }));
    expect(await reader.has(asked)).toEqual([true, true, false]);
  });
});

describe("a damaged segment", () => {
  test("never says yes wrongly and never throws, whichever byte is changed, cut or added", async () => {
    const { store, writer } = setUp();
    const objects = sequence(0, 70);
    writer.add(objects);
    const [segment] = await writer.flush();
    const stored = segment && store.objects.get(segment.uri);
    if (segment === undefined || stored === undefined) throw new Error("nothing was written");
    const length = stored.bytes.length;
    const damages = [
      ...Array.from({ length }, (_, at) => stored.bytes.with(at, (stored.bytes[at] ?? 0) ^ (1 << (at % 8)))),
      ...[0, 1, 7, 8, 31, 32, 33, length - 1].map((size) => stored.bytes.subarray(0, size)),
      Uint8Array.from([...stored.bytes, 0]),
    ];
    for (const bytes of damages) {
      store.objects.set(segment.uri, { ...stored, bytes });
      const reader = new SeenReader(store, { segments: [segment] });
      expect(await reader.has(objects)).not.toContain(true);
      expect(reader.reads).toEqual({ loaded: 0, missing: 0, unreadable: 1 });
    }
  }, 30_000);

  test("that is gone has no entries, and the others keep theirs", async () => {
    const { store, writer } = setUp();
    writer.add(sequence(0, 10));
    const gone = await writer.flush();
    writer.add(sequence(5, 15));
    const kept = await writer.flush();
    await store.remove(gone.map(({ uri }) => uri));
    const reader = new SeenReader(store, { segments: [...gone, ...kept] });
    expect(await reader.has(sequence(0, 15))).toEqual(sequence(0, 15).map((_, index) => index >= 5));
    expect(reader.reads).toEqual({ loaded: 1, missing: 1, unreadable: 0 });
  });

  test("is asked for again when the store was only away", async () => {
    const { store, writer } = setUp();
    writer.add(sequence(0, 10));
    const segments = await writer.flush();
    const get = store.get.bind(store);
    store.get = () => Promise.reject(new Error("away"));
    const reader = new SeenReader(store, { segments });
    expect(await reader.has(sequence(0, 10))).not.toContain(true);
    store.get = get;
    expect(await reader.has(sequence(0, 10))).not.toContain(false);
    expect(reader.reads).toEqual({ loaded: 1, missing: 0, unreadable: 1 });
  });
});

describe("the seen reader", () => {
  test("fetches a segment once for many lanes that ask at once, and not at all where nothing is asked", async () => {
    const { store, writer } = setUp();
    writer.add(sequence(0, 2 * SEGMENT_ENTRIES));
    const reader = new SeenReader(store, { segments: await writer.flush() });
    const lanes = Array.from({ length: 128 }, (_, lane) => reader.has(sequence(lane * 100, lane * 100 + 100)));
    expect((await Promise.all(lanes)).flat()).not.toContain(false);
    expect(store.calls.get("get")).toBe(1);
    await reader.has([listed("a"), listed("orders/z")]);
    expect(store.calls.get("get")).toBe(1);
  }, 30_000);

  test("holds no more segments than its bytes allow, those used last", async () => {
    const { store, writer } = setUp();
    const segments: SeenSegment[] = [];
    for (const start of [0, 1000, 2000, 3000]) {
      writer.add(sequence(start, start + 1000));
      segments.push(...(await writer.flush()));
    }
    const reader = new SeenReader(store, { segments }, { cacheBytesMax: 40_000 });
    const ask = async (start: number) => {
      const before = store.calls.get("get") ?? 0;
      expect(await reader.has(sequence(start, start + 1000))).not.toContain(false);
      return (store.calls.get("get") ?? 0) - before;
    };
    expect([await ask(0), await ask(1000), await ask(0), await ask(2000), await ask(3000)]).toEqual([1, 1, 0, 1, 1]);
    expect([await ask(3000), await ask(0), await ask(1000)]).toEqual([0, 0, 1]);
  });

  test("forgets nothing that is under way: lanes in many segments at once, in a cache too small for any", async () => {
    const { store, writer } = setUp();
    const segments: SeenSegment[] = [];
    for (let start = 0; start < 4000; start += 200) {
      writer.add(sequence(start, start + 300));
      segments.push(...(await writer.flush()));
    }
    const get = store.get.bind(store);
    store.get = async (uri): Promise<GetOutcome> => {
      await new Promise((resolve) => setTimeout(resolve, uri.length % 3));
      return get(uri);
    };
    const reader = new SeenReader(store, { segments }, { cacheBytesMax: 1 });
    const lanes = Array.from({ length: 64 }, (_, lane) => reader.has(sequence(lane * 60, lane * 60 + 150)));
    expect((await Promise.all(lanes)).flat()).not.toContain(false);
  });
});

describe("the seen writer", () => {
  test("puts stretches of many lanes in order and cuts them into segments that do not overlap", async () => {
    const { store, writer } = setUp();
    const stretches = Array.from({ length: 100 }, (_, n) => sequence(n * 1000, (n + 1) * 1000));
    for (const lane of [3, 1, 0, 2]) for (let n = lane; n < 100; n += 4) writer.add(stretches[n] ?? []);
    expect(writer.heldBytes).toBeGreaterThan(100_000 * 8);
    const segments = await writer.flush();
    expect(segments.map(({ entries }) => entries)).toEqual([SEGMENT_ENTRIES, SEGMENT_ENTRIES, SEGMENT_ENTRIES, 1696]);
    expect(segments.map(({ first }) => first)).toEqual(segments.map(({ first }) => first).toSorted());
    for (const [index, { last }] of segments.entries()) expect(last < (segments[index + 1]?.first ?? "z")).toBe(true);
    expect(segments[0]?.uri).toBe(`${FOLDER}segment-0.bin`);
    expect(writer.heldBytes).toBe(0);
    expect(store.objects.size).toBe(4);
  }, 30_000);

  test("writes nothing when nothing was confirmed", async () => {
    const { store, writer } = setUp();
    writer.add([]);
    expect(await writer.flush()).toEqual([]);
    expect(store.objects.size).toBe(0);
  });

  test("holds a version once that was confirmed twice", async () => {
    const { writer } = setUp();
    writer.add(sequence(0, 10));
    writer.add(sequence(0, 12));
    expect((await writer.flush())[0]?.entries).toBe(12);
  });

  test("still holds everything after an upload that failed", async () => {
    const { store, writer } = setUp();
    writer.add(sequence(0, 10));
    const held = writer.heldBytes;
    const put = store.put.bind(store);
    store.put = () => Promise.reject(new Error("away"));
    await expect(writer.flush()).rejects.toThrow("away");
    expect(writer.heldBytes).toBe(held);
    store.put = put;
    const reader = new SeenReader(store, { segments: await writer.flush() });
    expect(await reader.has(sequence(0, 10))).not.toContain(false);
  });

  test("names the first and last key of every segment, whatever they hold", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(hostileKey, { minLength: 1, maxLength: 200 }), async (keys) => {
        const { writer } = setUp();
        const objects = inOrder(keys.map((key) => listed(key)));
        writer.add(objects);
        const [segment] = await writer.flush();
        expect([segment?.first, segment?.last]).toEqual([objects[0]?.key, objects.at(-1)?.key]);
      }),
    );
  });
});
