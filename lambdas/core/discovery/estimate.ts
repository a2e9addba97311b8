// How many files a sample stands for, within a factor of two or three: enough to tell thousands from millions. Pure.

import { compareUtf8 } from "./key-order.ts";
import { type PartitionPattern, partitionStart, type Unit } from "./partitions.ts";
import type { Sample } from "./sample.ts";

const HOUR_MS = 3_600_000;
const UNIT_MS: Readonly<Record<Unit, number>> = {
  hour: HOUR_MS,
  day: 24 * HOUR_MS,
  month: 730 * HOUR_MS,
  year: 8766 * HOUR_MS,
};
/** What random keys and numbers are written in; the first that has all letters seen. */
const DIGITS = "0123456789";
const UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const LOWER = UPPER.toLowerCase();
const ULID = `${DIGITS}ABCDEFGHJKMNPQRSTVWXYZ`;
const ALPHABETS = [
  ...[DIGITS, `${DIGITS}ABCDEF`, `${DIGITS}abcdef`, ULID],
  ...[DIGITS + UPPER, DIGITS + LOWER, DIGITS + UPPER + LOWER],
];
const PLACES = 8;

export function estimateFiles(sample: Sample, dates: PartitionPattern | undefined): number {
  if (dates !== undefined) return estimateDated(sample, dates);
  const branching = sample.levels.filter(({ folders }) => folders.length > 1);
  return branching.length === 0 ? estimateFlat(sample) : estimateFolders(sample);
}

/** Files of a partition, in the mean, times the partitions from the first to the last. */
function estimateDated({ pages, prefix }: Sample, pattern: PartitionPattern): number {
  const counts = new Map<number, number>();
  for (const { objects } of pages) {
    const starts = objects.map(({ key }) => partitionStart(pattern, key.slice(prefix.length)));
    for (const [startMs, { length }] of Map.groupBy(starts, (startMs) => startMs ?? Number.NaN)) {
      counts.set(startMs, Math.max(counts.get(startMs) ?? 0, length));
    }
  }
  const starts = [...counts.keys()].filter((startMs) => !Number.isNaN(startMs));
  if (starts.length === 0) return 0;
  const partitions = 1 + (Math.max(...starts) - Math.min(...starts)) / UNIT_MS[pattern.unit];
  return Math.round(partitions * mean(starts.map((startMs) => counts.get(startMs) ?? 0)));
}

/** Folders of each level multiplied, along the path that was looked into; a full page counts as itself. */
function estimateFolders({ pages, levels }: Sample): number {
  const branching = levels.filter(({ folders }) => folders.length > 1);
  const filesOf = (folder: string): number =>
    Math.max(...pages.map(({ objects }) => objects.filter(({ key }) => key.startsWith(folder)).length));
  const counts = (branching.at(-1)?.folders ?? []).map(filesOf).filter((count) => count > 0);
  return Math.round(branching.reduce((product, { folders }) => product * folders.length, Math.max(1, mean(counts))));
}

/** From how much of the way from the first key to the last each page covers, keys being spread evenly. */
function estimateFlat({ pages }: Sample): number {
  const keys = [...new Set(pages.flatMap(({ objects }) => objects.map(({ key }) => key)))].sort(compareUtf8);
  const [first = "", last = ""] = [keys[0], keys.at(-1)];
  const place = placing(keys, first, last);
  const way = place(last) - place(first);
  const counts = pages
    .filter(({ objects, truncated }) => truncated && objects.length > 1)
    .map(({ objects }) => {
      const covered = place(objects.at(-1)?.key ?? "") - place(objects[0]?.key ?? "");
      return covered > 0 ? (objects.length * way) / covered : 0;
    })
    .filter((count) => count > 0)
    .sort((a, b) => a - b);
  return Math.max(keys.length, Math.round(counts[counts.length >> 1] ?? 0));
}

/** Place of a key between 0 and 1, by the characters behind what all keys begin with. */
function placing(keys: readonly string[], first: string, last: string): (key: string) => number {
  let start = 0;
  while (start < first.length && first[start] === last[start]) start += 1;
  const seen = Array.from({ length: PLACES }, (_, at) => new Set(keys.map((key) => key[start + at] ?? "")));
  const varying = new Set(seen.filter(({ size }) => size > 1).flatMap((letters) => [...letters]));
  const known = ALPHABETS.find((alphabet) => [...varying].every((letter) => alphabet.includes(letter)));
  const letters = seen.map((some) => (some.size > 1 && known !== undefined ? [...known] : [...some].sort(compareUtf8)));
  return (key) =>
    letters.reduceRight((sum, each, at) => (each.indexOf(key[start + at] ?? "") + sum) / Math.max(1, each.length), 0);
}

function mean(counts: readonly number[]): number {
  return counts.reduce((sum, count) => sum + count, 0) / Math.max(1, counts.length);
}
