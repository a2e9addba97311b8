// Where idle lanes are best put: which ranges are cut, and at which keys. All of it is estimates from the density of the keys seen.
//
// A range whose rest is guessed from few pages may hold ten keys more or ten million: it is cut once per order of magnitude, at the
// ends of the groups its last key lies in ("…/0009", "…/00", "…/0"). What comes back says which of the groups are there. A range that
// is known better is cut into equal parts.

import { compareUtf8 } from "./key-order.ts";
import { type KeySpace, sharedStart } from "./key-space.ts";
import type { LiveRange, Sample } from "./live-range.ts";

export interface Cut {
  readonly range: LiveRange;
  /** Keys in order, behind what is listed and before the end. */
  readonly at: readonly string[];
}

/** S3 has no longer keys, and need not take one to start behind. */
const KEY_BYTES_MAX = 1024;
/** Rest divided by what was seen, above which a guess is no estimate. */
const REACH_MAX = 200;
/** Pages below which a part is not worth a lane. */
const PART_PAGES_MIN = 1.1;
/** What each cut that gave nothing takes from the estimate of a range. */
const MISS_FACTOR = 1 / 6;

interface Estimate {
  readonly range: LiveRange;
  readonly shared: number;
  /** In pages, the one on its way included. */
  readonly pages: number;
  readonly from: number;
  readonly to: number;
  readonly vague: boolean;
  parts: number;
}

export interface SplitRequest {
  readonly ranges: readonly LiveRange[];
  readonly prefix: string;
  readonly space: KeySpace;
  readonly idle: number;
  readonly pageKeys: number;
}

export function chooseCuts(request: SplitRequest): readonly Cut[] {
  const estimates = request.ranges
    .filter((range) => range.history !== undefined && !range.ended)
    .map((range) => estimate(range, request))
    .filter(({ pages }) => pages >= 2 * PART_PAGES_MIN);
  const vague = estimates.filter((each) => each.vague).sort((a, b) => b.pages - a.pages);
  const clear = estimates.filter((each) => !each.vague);
  const cuts: Cut[] = [];
  let idle = request.idle;
  for (const each of vague) {
    if (idle === 0) break;
    const at = stairs(each, request, idle);
    if (at.length === 0) continue;
    idle -= at.length;
    cuts.push({ range: each.range, at });
  }
  share(clear, idle);
  return [...cuts, ...clear.map((each) => ({ range: each.range, at: equalParts(each, request) }))].filter(
    ({ at }) => at.length > 0,
  );
}

/** Gives lane after lane to the range with the largest parts. */
function share(estimates: readonly Estimate[], idle: number): void {
  for (let lane = 0; lane < idle; lane++) {
    let largest: Estimate | undefined;
    for (const each of estimates) {
      if (largest === undefined || each.pages / each.parts > largest.pages / largest.parts) largest = each;
    }
    if (largest === undefined || largest.pages / (largest.parts + 1) < PART_PAGES_MIN) return;
    largest.parts++;
  }
}

function estimate(range: LiveRange, { prefix, space, pageKeys }: SplitRequest): Estimate {
  const { history, lastPage, listed } = range;
  const upTo = range.upTo?.startsWith(prefix) === true ? range.upTo : undefined;
  const first = history?.first ?? listed;
  const shared = upTo === undefined ? prefix.length : sharedStart(prefix, listed, first, upTo);
  const from = space.valueOf(listed, shared);
  const to = upTo === undefined ? space.endValue(shared) : space.valueOf(upTo, shared);
  const density = Math.max(...[history, lastPage].map((sample) => densityOf(sample, space, shared)));
  const keys = Math.max(0, to - from) * density * MISS_FACTOR ** range.misses;
  const pages = Number.isFinite(keys) ? keys / pageKeys : Number.MAX_SAFE_INTEGER;
  return { range, shared, pages, from, to, vague: pages > REACH_MAX * range.pages, parts: 1 };
}

function densityOf(sample: Sample | undefined, space: KeySpace, shared: number): number {
  if (sample === undefined) return 0;
  return sample.keys / (space.valueOf(sample.last, shared) - space.valueOf(sample.first, shared));
}

/** One cut per order of magnitude, leaving out groups that are done within a page or so. */
function stairs({ range, shared, from, to, pages }: Estimate, { space }: SplitRequest, idle: number): string[] {
  const perPage = (to - from) / pages;
  const ends = space
    .groupEnds(range.listed, shared)
    .filter((end) => isWithin(range, end) && space.valueOf(end, shared) - from >= 2 * PART_PAGES_MIN * perPage);
  const steps = ends.filter((end, index) => end !== ends[index - 1]);
  return spread(steps, idle);
}

function equalParts({ range, shared, from, to, parts }: Estimate, { space }: SplitRequest): string[] {
  const step = (to - from) / parts;
  const start = range.listed.slice(0, shared);
  const at: string[] = [];
  for (let part = 1; part < parts; part++) {
    const key = space.keyAt(start, from + part * step, step / 16);
    if (isWithin(range, key) && compareUtf8(at.at(-1) ?? "", key) < 0) at.push(key);
  }
  return at;
}

function isWithin(range: LiveRange, key: string): boolean {
  if (Buffer.byteLength(key) > KEY_BYTES_MAX || compareUtf8(range.listed, key) >= 0) return false;
  return range.upTo === undefined || compareUtf8(key, range.upTo) < 0;
}

/** At most `count` of the items, evenly. */
function spread<T>(items: readonly T[], count: number): T[] {
  if (items.length <= count) return [...items];
  return Array.from({ length: count }, (_, index) => items[Math.floor(((index + 0.5) * items.length) / count)] as T);
}
