// The index of the seen manifest: which segment holds which keys. One small object; writing it under a new name is what makes a run's
// segments count. An index that is gone or damaged is an empty one.

import { mapLimit } from "../concurrency.ts";
import { readObject } from "../iceberg/read-object.ts";
import type { ObjectUri } from "../ids.ts";
import { isRecord } from "../json-shape.ts";
import { pack, unpack } from "../packing.ts";
import type { ObjectStore } from "../ports.ts";
import { compareUtf8 } from "./key-order.ts";
import type { KeyRange, SeenSegment } from "./model.ts";
import type { SeenIndex } from "./seen.ts";
import { mergeLists } from "./seen-entries.ts";
import { SEGMENT_ENTRIES } from "./seen-segment.ts";
import { readSegment, writeSegments } from "./seen-store.ts";

const INDEX_VERSION = 1;
/** Under half full. So many may stand in an index before they are merged. */
const SMALL_ENTRIES = SEGMENT_ENTRIES / 2;
const SMALL_SEGMENTS_MAX = 128;
const READS_AT_ONCE = 8;

export const NO_INDEX: SeenIndex = { segments: [] };

export async function readSeenIndex(store: ObjectStore, uri: ObjectUri): Promise<SeenIndex> {
  try {
    const bytes = await readObject(store, uri);
    const index = bytes && unpack(bytes);
    if (!isRecord(index) || index["version"] !== INDEX_VERSION || !Array.isArray(index["segments"])) return NO_INDEX;
    return { segments: index["segments"].filter(isSegment) };
  } catch {
    return NO_INDEX;
  }
}

export async function writeSeenIndex(store: ObjectStore, uri: ObjectUri, index: SeenIndex): Promise<void> {
  await store.put(uri, pack({ version: INDEX_VERSION, segments: index.segments }), {
    contentType: "application/octet-stream",
  });
}

function isSegment(value: unknown): value is SeenSegment {
  if (!isRecord(value)) return false;
  const texts = [value["uri"], value["first"], value["last"]].every((text) => typeof text === "string" && text !== "");
  return texts && typeof value["entries"] === "number";
}

/** Keys of a range that begin with `prefix` ("" or absent: all). */
export interface ListedRange extends KeyRange {
  readonly prefix?: string;
}

export interface MergedIndex {
  readonly index: SeenIndex;
  /** No longer in the index: to be deleted once the new index counts. */
  readonly superseded: readonly SeenSegment[];
}

/**
 * `listed`: what this run listed completely, with nothing left out by its scope. A segment that lies wholly inside it is superseded:
 * `fresh` holds what of it is still there. All others stay.
 */
export function mergeSeenIndex(
  old: SeenIndex,
  listed: readonly ListedRange[],
  fresh: readonly SeenSegment[],
): MergedIndex {
  const ranges = joinRanges(listed);
  const isSuperseded = (segment: SeenSegment) => ranges.some((range) => isInside(segment, range));
  const kept = old.segments.filter((segment) => !isSuperseded(segment));
  const index = indexOf([...kept, ...fresh]);
  const live = new Set(index.segments.map(({ uri }) => uri));
  // A merge that is done twice finds its own segments in the old index.
  return { index, superseded: old.segments.filter(({ uri }) => !live.has(uri)) };
}

/** Ranges that touch become one: a segment may span what two lanes listed. */
function joinRanges(listed: readonly ListedRange[]): ListedRange[] {
  const joined: ListedRange[] = [];
  for (const range of listed.toSorted(compareRanges)) {
    const last = joined.at(-1);
    if (last === undefined || prefixOf(last) !== prefixOf(range) || isGap(last, range)) joined.push(range);
    else joined[joined.length - 1] = joinTwo(last, range);
  }
  return joined;
}

function compareRanges(a: ListedRange, b: ListedRange): number {
  return compareUtf8(prefixOf(a), prefixOf(b)) || compareUtf8(a.after, b.after);
}

function isGap(before: KeyRange, behind: KeyRange): boolean {
  return before.upTo !== undefined && compareUtf8(before.upTo, behind.after) < 0;
}

function joinTwo(before: ListedRange, behind: ListedRange): ListedRange {
  const endsLater =
    before.upTo === undefined || (behind.upTo !== undefined && compareUtf8(before.upTo, behind.upTo) > 0);
  const { upTo } = endsLater ? before : behind;
  return { prefix: prefixOf(before), after: before.after, ...(upTo === undefined ? {} : { upTo }) };
}

function prefixOf(range: ListedRange): string {
  return range.prefix ?? "";
}

function isInside({ first, last }: SeenSegment, range: ListedRange): boolean {
  const isBelow = first.startsWith(prefixOf(range)) && last.startsWith(prefixOf(range));
  const endsInside = range.upTo === undefined || compareUtf8(last, range.upTo) <= 0;
  return isBelow && endsInside && compareUtf8(first, range.after) > 0;
}

function indexOf(segments: readonly SeenSegment[]): SeenIndex {
  const distinct = new Map(segments.map((segment) => [segment.uri, segment]));
  return { segments: [...distinct.values()].sort((a, b) => compareUtf8(a.first, b.first)) };
}

export interface CompactOptions {
  readonly folder: string;
  /** Unique with each call. */
  readonly name: () => string;
  readonly smallSegmentsMax?: number;
}

/**
 * Keeps an index short: once more than so many segments are under half full, neighbours among these are rewritten into one, where what
 * they share is held once. Incremental runs leave such segments. What cannot be read or written stays as it is.
 */
export async function compactSeenIndex(
  store: ObjectStore,
  index: SeenIndex,
  options: CompactOptions,
): Promise<MergedIndex> {
  const small = index.segments.filter(({ entries }) => entries < SMALL_ENTRIES);
  if (small.length <= (options.smallSegmentsMax ?? SMALL_SEGMENTS_MAX)) return { index, superseded: [] };
  const replaced = new Set<SeenSegment>();
  const written: SeenSegment[] = [];
  for (const group of groupNeighbours(small)) {
    const segments = await rewrite(store, group, options).catch(() => undefined);
    if (segments === undefined) continue;
    written.push(...segments);
    for (const segment of group) replaced.add(segment);
  }
  const kept = index.segments.filter((segment) => !replaced.has(segment));
  return { index: indexOf([...kept, ...written]), superseded: [...replaced] };
}

/** In order, as many to a group as fill one segment. */
function groupNeighbours(small: readonly SeenSegment[]): SeenSegment[][] {
  const groups: SeenSegment[][] = [];
  let room = 0;
  for (const segment of small) {
    if (room < segment.entries) {
      groups.push([]);
      room = SEGMENT_ENTRIES;
    }
    groups.at(-1)?.push(segment);
    room -= segment.entries;
  }
  return groups.filter((group) => group.length > 1);
}

async function rewrite(
  store: ObjectStore,
  group: readonly SeenSegment[],
  { folder, name }: CompactOptions,
): Promise<readonly SeenSegment[]> {
  const reads = await mapLimit(group, READS_AT_ONCE, ({ uri }) => readSegment(store, uri));
  const lists = reads.flatMap((read) => (read.kind === "loaded" ? [read.segment.list] : []));
  return writeSegments(store, folder, name, mergeLists(lists, SEGMENT_ENTRIES));
}
