// What a sample says of a bucket's layout: dates in its folders, whether keys grow with time, how many files there may be. Pure.

import type { ListedObject } from "../ports.ts";
import { estimateFiles } from "./estimate.ts";
import { compareUtf8 } from "./key-order.ts";
import { type PartitionPattern, partitionStart, readPattern } from "./partitions.ts";
import type { FolderLevel, Sample } from "./sample.ts";

export interface Layout {
  /** Of files; exact when the sample is complete. */
  readonly files: number;
  readonly exact: boolean;
  readonly meanBytes: number;
  /** Dates in the folders' names. */
  readonly dates?: DateLayout;
  /** How closely later keys are later files: Spearman's rank correlation, -1 to 1; absent: the dates do not tell. */
  readonly keysFollowTime?: number;
  /** Share of the sampled files that were written within the last day. */
  readonly recentShare: number;
}

export interface DateLayout {
  readonly pattern: PartitionPattern;
  /** Share of the sampled files that lie in a partition. */
  readonly share: number;
  /** How long after the start of its partition a file was written; 99 of 100 sooner. */
  readonly lagMs: number;
  /** Largest partition over the middle one, among those looked at. */
  readonly skew: number;
}

const DAY_MS = 86_400_000;
/** In the order of preference: with leading zeros before without. */
const FORMS = [
  ...["%Y-%m-%d-%H", "%Y-%m-%dT%H", "%Y%m%d%H", "%Y-%m-%d", "%Y_%m_%d", "%Y%m%d", "%Y-%m", "%Y_%m", "%Y%m", "%Y"],
  ...["%m", "%d", "%H", "%-m", "%-d", "%-H"],
];
const LEVEL_SHARE = 0.8;
const FOLLOWING_POINTS_MIN = 20;
const POINTS_EACH_PAGE = 60;

export function layoutOf(sample: Sample): Layout {
  const objects = distinct(sample.pages.flatMap((page) => page.objects));
  const dates = dateLayout(sample, objects);
  const keysFollowTime = rankCorrelation(
    distinct(sample.pages.flatMap((page) => evenly(page.objects, POINTS_EACH_PAGE))).map(
      ({ lastModifiedMs }) => lastModifiedMs,
    ),
  );
  const recent = objects.filter(({ lastModifiedMs }) => sample.nowMs - lastModifiedMs < DAY_MS);
  return {
    files: sample.complete ? objects.length : estimateFiles(sample, dates?.pattern),
    exact: sample.complete,
    meanBytes: objects.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) / Math.max(1, objects.length),
    ...(dates === undefined ? {} : { dates }),
    ...(keysFollowTime === undefined ? {} : { keysFollowTime }),
    recentShare: recent.length / Math.max(1, objects.length),
  };
}

/** The pattern that most folders follow, level by level; undefined when dates come behind a folder that varies, or not at all. */
export function findPattern(prefix: string, levels: readonly FolderLevel[]): PartitionPattern | undefined {
  let text = "";
  let pattern: PartitionPattern | undefined;
  for (const { parent, folders } of levels) {
    const names = folders.map((folder) => folder.slice(parent.length, -1));
    const lead = /^[^\d%]*/.exec(names.at(-1) ?? "")?.[0] ?? "";
    const best = FORMS.map((form) => candidate(`${text}${lead}${form}/`, prefix, folders))
      .filter((found) => found !== undefined)
      .toSorted((a, b) => b.share - a.share)[0];
    const [only] = names;
    if (best !== undefined && best.share >= LEVEL_SHARE && best.pattern.unit !== pattern?.unit) {
      pattern = best.pattern;
      text = pattern.text;
    } else if (names.length === 1 && only !== undefined && !only.includes("%")) text += `${only}/`;
    else break;
  }
  return pattern === undefined ? undefined : (readPattern(pattern.text.replace(/\/$/, "")).pattern ?? pattern);
}

function candidate(text: string, prefix: string, folders: readonly string[]) {
  const { pattern } = readPattern(text);
  if (pattern === undefined) return undefined;
  const dated = folders.filter((folder) => isPlausible(partitionStart(pattern, folder.slice(prefix.length))));
  return { pattern, share: dated.length / Math.max(1, folders.length) };
}

/** Any four digits are a year; files in S3 are of this age. */
function isPlausible(startMs: number | undefined): boolean {
  return startMs !== undefined && startMs >= Date.UTC(1990) && startMs < Date.UTC(2100);
}

function dateLayout(sample: Sample, objects: readonly ListedObject[]): DateLayout | undefined {
  const pattern = findPattern(sample.prefix, sample.levels);
  if (pattern === undefined) return undefined;
  const dated = objects.flatMap(({ key, lastModifiedMs }) => {
    const startMs = partitionStart(pattern, key.slice(sample.prefix.length));
    return startMs === undefined ? [] : [{ startMs, lagMs: Math.max(0, lastModifiedMs - startMs) }];
  });
  const lags = dated.map(({ lagMs }) => lagMs).sort((a, b) => a - b);
  const sizes = [...Map.groupBy(dated, ({ startMs }) => startMs).values()]
    .map(({ length }) => length)
    .sort((a, b) => a - b);
  return {
    pattern,
    share: dated.length / Math.max(1, objects.length),
    lagMs: lags[Math.floor((lags.length - 1) * 0.99)] ?? 0,
    skew: (sizes.at(-1) ?? 1) / (sizes[sizes.length >> 1] ?? 1),
  };
}

/** Spearman's, of the values with their places; equal values share their rank. Undefined: too few, or (a copied bucket) all alike. */
export function rankCorrelation(values: readonly number[]): number | undefined {
  if (values.length < FOLLOWING_POINTS_MIN) return undefined;
  const sorted = values.toSorted((a, b) => a - b);
  const rank = new Map<number, number>();
  for (let at = 0; at < sorted.length; ) {
    const end = sorted.lastIndexOf(sorted[at] ?? 0);
    rank.set(sorted[at] ?? 0, (at + end) / 2);
    at = end + 1;
  }
  const middle = (values.length - 1) / 2;
  let [both, places, ranks] = [0, 0, 0];
  for (const [place, value] of values.entries()) {
    const [x, y] = [place - middle, (rank.get(value) ?? 0) - middle];
    both += x * y;
    places += x * x;
    ranks += y * y;
  }
  // One date on nine of ten files orders nothing.
  return ranks < places / 10 ? undefined : both / Math.sqrt(places * ranks);
}

/** In key order, each once. */
function distinct(objects: readonly ListedObject[]): readonly ListedObject[] {
  return [...new Map(objects.map((object) => [object.key, object])).values()].sort((a, b) => compareUtf8(a.key, b.key));
}

function evenly<T>(items: readonly T[], count: number): readonly T[] {
  if (items.length <= count) return items;
  return Array.from({ length: count }, (_, n) => items[Math.floor((n * items.length) / count)] as T);
}
