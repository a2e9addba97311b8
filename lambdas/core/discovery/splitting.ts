// Where idle lanes are best put: which ranges are cut, and at which keys. All of it is estimates from the density of the keys seen.
//
// A range whose rest is guessed from few pages may hold ten keys more or ten million: it is cut once per order of magnitude, at the
// ends of the groups its last key lies in ("…/0009", "…/00", "…/0"). What comes back says which of the groups are there. A range that
// is known better is cut into parts that take the same number of pages, and one whose folders are known between those.

import { compareUtf8 } from "./key-order.ts";
import type { KeySpace } from "./key-space.ts";
import { sharedStart } from "./key-space.ts";
import type { CutPoint, LiveRange, Sample } from "./live-range.ts";

export interface Cut {
  readonly range: LiveRange;
  /** In order, behind what is listed and before the end. */
  readonly points: readonly CutPoint[];
}

/** S3 has no longer keys, and need not take one to start behind. */
const KEY_BYTES_MAX = 1024;
/** Rest divided by what was seen, above which a guess is no estimate. */
const REACH_MAX = 1000;
/** Pages below which a range is left alone. */
const SPLIT_PAGES_MIN = 2.2;
/** How full the last page of a part is meant to be: one key too many costs a request. */
const FULL = 0.95;
/** Above so many pages the estimate is not good enough to tell how full the last one is. */
const ROUNDED_PAGES_MAX = 8;
/** What each cut that gave nothing takes from the estimate of a range. */
const MISS_FACTOR = 1 / 6;
/** Few keys make the end of a page look dense by chance: only what is far denser counts. */
const END_TRUST = 0.3;

export interface SplitRequest {
  readonly ranges: readonly LiveRange[];
  readonly prefix: string;
  readonly space: KeySpace;
  readonly idle: number;
  readonly pageKeys: number;
}

interface Estimate {
  readonly range: LiveRange;
  /** Characters that all keys of the range share. */
  readonly shared: number;
  /** What is left, the page on its way included. */
  readonly pages: number;
  readonly from: number;
  readonly to: number;
  readonly vague: boolean;
  parts: number;
}

export function chooseCuts(request: SplitRequest): readonly Cut[] {
  const cuts: Cut[] = [];
  let idle = request.idle;
  const cut = (range: LiveRange, points: readonly CutPoint[]) => {
    if (points.length > 0) cuts.push({ range, points });
    idle -= points.length;
  };
  for (const range of request.ranges) {
    if (range.folders.length > 0 && !range.ended && idle > 0) cut(range, betweenFolders(range, idle));
  }
  const cutAlready = new Set(cuts.map(({ range }) => range));
  const estimates = request.ranges
    .filter((range) => range.history !== undefined && !range.ended && !cutAlready.has(range))
    .map((range) => estimate(range, request))
    .sort((a, b) => b.pages - a.pages);
  const clear: Estimate[] = [];
  for (const each of estimates) {
    const points = each.vague ? stairs(each, request, Math.max(0, idle)) : [];
    if (points.length > 0) cut(each.range, points);
    else if (each.pages >= SPLIT_PAGES_MIN) clear.push(each);
  }
  share(clear, idle);
  for (const each of clear) cut(each.range, equalParts(each, request));
  return cuts;
}

/** Gives lane after lane to the range with the largest parts. */
function share(estimates: readonly Estimate[], idle: number): void {
  for (let lane = 0; lane < idle; lane++) {
    let largest: Estimate | undefined;
    for (const each of estimates) {
      if (largest === undefined || each.pages / each.parts > largest.pages / largest.parts) largest = each;
    }
    if (largest === undefined || largest.pages / largest.parts < SPLIT_PAGES_MIN) return;
    largest.parts++;
  }
}

function estimate(range: LiveRange, { prefix, space, pageKeys }: SplitRequest): Estimate {
  const { history, lastPage, lastPageEnd, listed } = range;
  const upTo = range.upTo?.startsWith(prefix) === true ? range.upTo : undefined;
  const shared = upTo === undefined ? prefix.length : sharedStart(prefix, listed, history?.first ?? listed, upTo);
  const from = space.valueOf(listed, shared);
  const to = upTo === undefined ? 1 : space.valueOf(upTo, shared);
  const density = Math.max(
    densityOf(history, space, shared),
    densityOf(lastPage, space, shared),
    densityOf(lastPageEnd, space, shared) * END_TRUST,
  );
  const keys = Math.max(0, to - from) * density * MISS_FACTOR ** range.misses;
  const pages = Number.isFinite(keys) ? keys / pageKeys : Number.MAX_SAFE_INTEGER;
  const wordEnd = space.endOfWord(listed, shared);
  const vague = pages > REACH_MAX * range.pages || (wordEnd !== undefined && isPoint(range, wordEnd));
  return { range, shared, pages, from, to, vague, parts: 1 };
}

function densityOf(sample: Sample | undefined, space: KeySpace, shared: number): number {
  if (sample === undefined) return 0;
  return sample.keys / (space.valueOf(sample.last, shared) - space.valueOf(sample.first, shared));
}

function betweenFolders(range: LiveRange, idle: number): readonly CutPoint[] {
  const behindFirst = range.folders.slice(1).filter((folder) => isPoint(range, folder));
  range.folders = [];
  return spread(behindFirst, idle).map((at) => ({ at }));
}

/** One cut per order of magnitude, leaving out groups that are done within a page or so. */
function stairs(
  { range, shared, from, to, pages }: Estimate,
  { space }: SplitRequest,
  idle: number,
): readonly CutPoint[] {
  const perPage = (to - from) / pages;
  const ends = space
    .groupEnds(range.listed, shared)
    .filter(({ at }) => isPoint(range, at) && space.valueOf(at, shared) - from >= SPLIT_PAGES_MIN * perPage);
  return spread(
    ends.filter(({ at }, index) => at !== ends[index - 1]?.at),
    idle,
  );
}

function equalParts({ range, shared, from, to, pages, parts }: Estimate, { space }: SplitRequest): readonly CutPoint[] {
  if (parts === 1) return [];
  const rounded = Math.ceil(pages / parts) * FULL;
  const partPages = pages / parts > ROUNDED_PAGES_MAX ? pages / parts : rounded;
  const step = ((to - from) * partPages) / pages;
  const start = range.listed.slice(0, shared);
  const points: CutPoint[] = [];
  for (let part = 1; part < parts && part * partPages < pages; part++) {
    const at = space.keyAt(start, from + part * step, step / 32);
    if (isPoint(range, at) && compareUtf8(points.at(-1)?.at ?? "", at) < 0) points.push({ at });
  }
  return points;
}

function isPoint(range: LiveRange, key: string): boolean {
  return Buffer.byteLength(key) <= KEY_BYTES_MAX && range.isWithin(key);
}

/** At most `count` of the items, evenly. */
function spread<T>(items: readonly T[], count: number): readonly T[] {
  if (items.length <= count) return items;
  return Array.from({ length: count }, (_, index) => items[Math.floor(((index + 0.5) * items.length) / count)] as T);
}
