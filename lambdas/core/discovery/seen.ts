// Sorted manifests of files whose fate the ledger has confirmed, so that a relisting asks the ledger only about what is new.
// Safe when stale: an entry is one version (key, ETag, size, LastModified) whose fate is on record for ever; what has no entry is asked for.
// So a segment that is gone, damaged or out of reach has no entries: it costs ledger reads and is counted, and never ends a run.

import type { ListedObject, ObjectStore } from "../ports.ts";
import { compareUtf8 } from "./key-order.ts";
import type { KnownFiles } from "./known-files.ts";
import type { SeenSegment } from "./model.ts";
import { SegmentCache, type SegmentReads } from "./seen-cache.ts";
import { type EntryList, EntryWriter, mergeLists, packVersions } from "./seen-entries.ts";
import { findEntries, SEGMENT_ENTRIES } from "./seen-segment.ts";
import { writeSegments } from "./seen-store.ts";

export interface SeenIndex {
  /** In order of `first`; may overlap. */
  readonly segments: readonly SeenSegment[];
}

/** Of unpacked segments: some 180 of 32,768 entries with long keys. */
const CACHE_BYTES_MAX = 256 * 1024 * 1024;

/** Looks listed objects up, in order of their keys, with a bounded number of segments in memory. */
export class SeenReader implements KnownFiles {
  readonly #cache: SegmentCache;
  readonly #segments: readonly SeenSegment[];
  /** The largest `last` of the segments up to each: tells where the first one that reaches a key may stand. */
  readonly #reach: readonly string[];

  constructor(
    store: ObjectStore,
    index: SeenIndex,
    { cacheBytesMax = CACHE_BYTES_MAX }: { readonly cacheBytesMax?: number } = {},
  ) {
    this.#cache = new SegmentCache(store, cacheBytesMax);
    this.#segments = index.segments.toSorted((a, b) => compareUtf8(a.first, b.first));
    let furthest = "";
    this.#reach = this.#segments.map(({ last }) => {
      if (compareUtf8(last, furthest) > 0) furthest = last;
      return furthest;
    });
  }

  /** Whether each object has an entry. `objects` in order (another one is right, and slower); several stretches may ask at once. */
  async has(objects: readonly ListedObject[]): Promise<readonly boolean[]> {
    const found = new Array<boolean>(objects.length).fill(false);
    const order = orderOf(objects);
    const keyAt = (n: number) => (objects[order[n] as number] as ListedObject).key;
    if (order.length === 0) return found;
    const versions = packVersions(objects, order);
    for (const segment of this.#overlapping(keyAt(0), keyAt(order.length - 1))) {
      const from = countWhile(order.length, (n) => compareUtf8(keyAt(n), segment.first) < 0);
      const to = countWhile(order.length, (n) => compareUtf8(keyAt(n), segment.last) <= 0);
      if (!isAnyOpen(order, [from, to], found)) continue;
      const unpacked = await this.#cache.get(segment.uri);
      if (unpacked === undefined) continue;
      findEntries(unpacked, versions, [from, to], (n) => {
        found[order[n] as number] = true;
      });
    }
    return found;
  }

  /** How the segments asked for came in: what is `missing` or `unreadable` cost ledger reads. */
  get reads(): SegmentReads {
    return this.#cache.reads;
  }

  #overlapping(first: string, last: string): readonly SeenSegment[] {
    const segments = this.#segments;
    const from = countWhile(segments.length, (n) => compareUtf8(this.#reach[n] as string, first) < 0);
    const to = countWhile(segments.length, (n) => compareUtf8((segments[n] as SeenSegment).first, last) <= 0);
    return segments.slice(from, to).filter((segment) => compareUtf8(segment.last, first) >= 0);
  }
}

/** Collects confirmed objects stretch by stretch and writes segments. */
export class SeenWriter {
  readonly #store: ObjectStore;
  readonly #folder: string;
  readonly #name: () => string;
  #held: EntryList[] = [];
  #heldBytes = 0;

  /** `folder`: `s3://bucket/…/`. `name`: unique with each call. */
  constructor(store: ObjectStore, folder: string, name: () => string) {
    this.#store = store;
    this.#folder = folder;
    this.#name = name;
  }

  /** `confirmed`: objects of the stretch, in order. Stretches may come in any order. */
  add(confirmed: readonly ListedObject[]): void {
    const order = orderOf(confirmed);
    if (order.length === 0) return;
    const { count, keys, starts, hashes } = packVersions(confirmed, order);
    const writer = new EntryWriter();
    for (let n = 0; n < count; n++) {
      const start = starts[n] as number;
      const length = (starts[n + 1] as number) - start;
      writer.push(keys, start, length, hashes[2 * n] as number, hashes[2 * n + 1] as number);
    }
    this.#hold(writer.take());
  }

  /** Entries held in memory, in bytes. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Uploads what is held, one sorted run of segments; the segments written by this call. After an error all of it is still held. */
  async flush(): Promise<readonly SeenSegment[]> {
    const lists = this.#held;
    this.#held = [];
    this.#heldBytes = 0;
    try {
      return await writeSegments(this.#store, this.#folder, this.#name, mergeLists(lists, SEGMENT_ENTRIES));
    } catch (error) {
      for (const list of lists) this.#hold(list);
      throw error;
    }
  }

  #hold(list: EntryList): void {
    this.#held.push(list);
    this.#heldBytes += list.keys.length + list.hashes.length + LIST_OVERHEAD_BYTES;
  }
}

/** Of the buffers of one list. */
const LIST_OVERHEAD_BYTES = 400;

/** Places of the objects in order of their keys. A key that is no Unicode text has no bytes of its own, so it never has an entry. */
function orderOf(objects: readonly ListedObject[]): number[] {
  const places: number[] = [];
  const keyAt = (at: number) => (objects[at] as ListedObject).key;
  let isInOrder = true;
  for (let at = 0; at < objects.length; at++) {
    if (!keyAt(at).isWellFormed()) continue;
    isInOrder &&= places.length === 0 || compareUtf8(keyAt(places.at(-1) as number), keyAt(at)) <= 0;
    places.push(at);
  }
  return isInOrder ? places : places.sort((a, b) => compareUtf8(keyAt(a), keyAt(b)));
}

function isAnyOpen(
  order: readonly number[],
  [from, to]: readonly [number, number],
  found: readonly boolean[],
): boolean {
  for (let n = from; n < to; n++) if (found[order[n] as number] !== true) return true;
  return false;
}

/** Of `length` things of which the first ones, and no others, meet the condition: how many do. */
function countWhile(length: number, holds: (n: number) => boolean): number {
  let low = 0;
  let high = length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (holds(middle)) low = middle + 1;
    else high = middle;
  }
  return low;
}
