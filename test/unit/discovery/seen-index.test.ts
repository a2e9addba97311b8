import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { SeenSegment } from "../../../lambdas/core/discovery/model.ts";
import { SeenReader, SeenWriter } from "../../../lambdas/core/discovery/seen.ts";
import {
  compactSeenIndex,
  mergeSeenIndex,
  NO_INDEX,
  readSeenIndex,
  writeSeenIndex,
} from "../../../lambdas/core/discovery/seen-index.ts";
import type { ObjectUri } from "../../../lambdas/core/ids.ts";
import type { ListedObject } from "../../../lambdas/core/ports.ts";
import { ManualClock } from "../../fakes/manual-clock.ts";
import { MemoryObjectStore } from "../../fakes/memory-object-store.ts";
import { hostileKey, hostileObject, inOrder, listed } from "./listed.ts";

const FOLDER = "s3://warehouse/seen/";
const INDEX = `${FOLDER}index` as ObjectUri;

function segment(first: string, last: string, name = `${first}..${last}`): SeenSegment {
  return { uri: `${FOLDER}${name}.bin` as ObjectUri, first, last, entries: 1 };
}

function setUp() {
  const store = new MemoryObjectStore(new ManualClock());
  let segments = 0;
  const name = () => `segment-${segments++}`;
  const write = async (objects: readonly ListedObject[]) => {
    const writer = new SeenWriter(store, FOLDER, name);
    writer.add(objects);
    return writer.flush();
  };
  return { store, name, write };
}

describe("the seen index", () => {
  test("is read as it was written, thousands of segments with any keys, in few bytes", async () => {
    const { store } = setUp();
    const key = (n: number) => `events/year=2026/part-${n.toString().padStart(8, "0")}-\u{1f480}\uffff\0.json.gz`;
    const segments = Array.from({ length: 5000 }, (_, n) => segment(key(2 * n), key(2 * n + 1), `0198-${n}`));
    await writeSeenIndex(store, INDEX, { segments });
    expect(await readSeenIndex(store, INDEX)).toEqual({ segments });
    expect(store.objects.get(INDEX)?.bytes.length).toBeLessThan(150_000);
  });

  test("that is gone, damaged, of another format or out of reach is empty", async () => {
    const { store } = setUp();
    expect(await readSeenIndex(store, INDEX)).toEqual(NO_INDEX);
    await writeSeenIndex(store, INDEX, { segments: [segment("a", "b")] });
    const stored = store.objects.get(INDEX);
    if (stored === undefined) throw new Error("nothing was written");
    const { length } = stored.bytes;
    for (const bytes of [stored.bytes.subarray(0, length / 2), new Uint8Array(0), Uint8Array.of(1, 2, 3)]) {
      store.objects.set(INDEX, { ...stored, bytes });
      expect(await readSeenIndex(store, INDEX)).toEqual(NO_INDEX);
    }
    store.get = () => Promise.reject(new Error("away"));
    expect(await readSeenIndex(store, INDEX)).toEqual(NO_INDEX);
  });
});

describe("merging", () => {
  const old = { segments: [segment("a", "c"), segment("d", "f"), segment("g", "i")] };
  const firsts = (segments: readonly SeenSegment[]) => segments.map(({ first }) => first);

  test.each<[string, Parameters<typeof mergeSeenIndex>[1], readonly string[]]>([
    ["nothing was listed", [], []],
    ["all was listed", [{ after: "" }], ["a", "d", "g"]],
    ["a range holds one wholly", [{ after: "c", upTo: "f" }], ["d"]],
    ["a range ends inside one", [{ after: "c", upTo: "e" }], []],
    ["a range begins at its first key, which it leaves out", [{ after: "d", upTo: "i" }], ["g"]],
    ["lanes listed it in parts", [{ after: "e", upTo: "h" }, { after: "h" }, { after: "c", upTo: "e" }], ["d", "g"]],
    ["there is a gap between the parts", [{ after: "c", upTo: "d" }, { after: "e" }], ["g"]],
    ["a part lies within another", [{ after: "" }, { after: "b", upTo: "c" }], ["a", "d", "g"]],
    ["only a prefix was listed", [{ prefix: "g", after: "" }], []],
  ])("drops what the run listed anew: %s", (_, listedRanges, dropped) => {
    const { index, superseded } = mergeSeenIndex(old, listedRanges, [segment("b", "h", "fresh")]);
    expect(firsts(superseded)).toEqual(dropped);
    const kept = ["a", "d", "g"].filter((first) => !dropped.includes(first));
    expect(firsts(index.segments)).toEqual([...kept, "b"].sort());
  });

  test("drops below a listed prefix what lies in it", () => {
    const { superseded } = mergeSeenIndex(
      { segments: [segment("d=1/a", "d=1/z"), segment("d=1/x", "d=2/a"), segment("d=2/a", "d=2/b")] },
      [
        { prefix: "d=1/", after: "" },
        { prefix: "d=3/", after: "" },
      ],
      [],
    );
    expect(firsts(superseded)).toEqual(["d=1/a"]);
  });

  test("done twice comes to the same, and never names a live segment as superseded", () => {
    const fresh = [segment("a", "z", "fresh")];
    const once = mergeSeenIndex(old, [{ after: "" }], fresh);
    expect(mergeSeenIndex(once.index, [{ after: "" }], fresh)).toEqual({ index: once.index, superseded: [] });
  });

  test("never keeps what is wholly within one listed range, nor drops what no range touches", () => {
    const range = fc
      .tuple(hostileKey, hostileKey)
      .map(([a, b]) => inOrder([listed(a), listed(b)]).map(({ key }) => key));
    fc.assert(
      fc.property(fc.array(range), range, (ranges, [after = "", upTo = ""]) => {
        const segments = ranges.map(([first = "", last = ""], n) => segment(first, last, String(n)));
        const { index, superseded } = mergeSeenIndex({ segments }, [{ after, upTo }], []);
        const isInside = ({ first, last }: SeenSegment) =>
          Buffer.compare(Buffer.from(first), Buffer.from(after)) > 0 &&
          Buffer.compare(Buffer.from(last), Buffer.from(upTo)) <= 0;
        expect(index.segments.filter(isInside)).toEqual([]);
        expect(superseded.every(isInside)).toBe(true);
        expect(index.segments.length + superseded.length).toBe(segments.length);
      }),
    );
  });
});

describe("compacting", () => {
  test("leaves a short index alone", async () => {
    const { store, name, write } = setUp();
    const index = { segments: [...(await write([listed("a")])), ...(await write([listed("b")]))] };
    expect(await compactSeenIndex(store, index, { folder: FOLDER, name })).toEqual({ index, superseded: [] });
  });

  test("loses no entry and adds none, and leaves one segment of many small ones", async () => {
    const { store, name, write } = setUp();
    const runs = fc.array(fc.array(hostileObject, { minLength: 1, maxLength: 20 }), { minLength: 2, maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(runs, fc.array(hostileObject), async (written, others) => {
        const segments = (await Promise.all(written.map((objects) => write(inOrder(objects))))).flat();
        const options = { folder: FOLDER, name, smallSegmentsMax: 1 };
        const { index, superseded } = await compactSeenIndex(store, { segments }, options);
        expect([index.segments.length, superseded.length]).toEqual([1, segments.length]);
        await store.remove(superseded.map(({ uri }) => uri));
        const asked = inOrder([...written.flat(), ...others]);
        const before = await new SeenReader(store, { segments: index.segments }).has(asked);
        const model = new Set(written.flat().map(versionOf));
        expect(before).toEqual(asked.map((object) => model.has(versionOf(object))));
      }),
      { numRuns: 50 },
    );
  }, 30_000);

  test("holds once what hourly runs with a look-back saw again and again", async () => {
    const { store, name, write } = setUp();
    const keys = Array.from({ length: 3000 }, (_, n) => listed(`orders/${n.toString().padStart(6, "0")}`));
    let index = NO_INDEX;
    let most = 0;
    for (let end = 1000; end <= 3000; end += 25) {
      const fresh = await write(keys.slice(end - 1000, end));
      const merged = mergeSeenIndex(index, [{ after: keys[end - 1001]?.key ?? "" }], fresh);
      const compacted = await compactSeenIndex(store, merged.index, { folder: FOLDER, name, smallSegmentsMax: 16 });
      await store.remove([...merged.superseded, ...compacted.superseded].map(({ uri }) => uri));
      index = compacted.index;
      most = Math.max(most, index.segments.length);
    }
    expect(most).toBeLessThanOrEqual(17);
    expect(store.objects.size).toBe(index.segments.length);
    const reader = new SeenReader(store, index);
    expect(await reader.has(keys)).not.toContain(false);
    expect(reader.reads).toMatchObject({ missing: 0, unreadable: 0 });
  }, 30_000);

  test("leaves what cannot be written as it is", async () => {
    const { store, name, write } = setUp();
    const index = { segments: [...(await write([listed("a")])), ...(await write([listed("b")]))] };
    store.put = () => Promise.reject(new Error("away"));
    const options = { folder: FOLDER, name, smallSegmentsMax: 1 };
    expect(await compactSeenIndex(store, index, options)).toEqual({ index, superseded: [] });
  });
});

function versionOf({ key, etag, sizeBytes, lastModifiedMs }: ListedObject): string {
  return JSON.stringify([key, etag, sizeBytes, Math.floor(lastModifiedMs / 1000)]);
}
