// Buckets of a million keys as people lay them out, each key made when it is asked for.

import type { KeyRange } from "../../../lambdas/core/discovery/model.ts";
import type { KeySequence } from "../../fakes/memory-lister.ts";
import { SeededRandom } from "../../fakes/seeded-random.ts";

export interface Layout {
  readonly prefix: string;
  keys(count: number): KeySequence;
}

interface Folder {
  readonly name: string;
  readonly files: number;
}

const HOUR_MS = 3_600_000;
const HEX_DIGITS = 12;
const padded = (value: number, width: number) => String(value).padStart(width, "0");
const sequence = (size: number, at: (index: number) => string): KeySequence => ({ size, at });

/** Folders in order, files named by their place within the folder or by their place within all. */
function foldered(folders: readonly Folder[], name: (inFolder: number, inAll: number) => string): KeySequence {
  const starts: number[] = [];
  let size = 0;
  for (const { files } of folders) {
    starts.push(size);
    size += files;
  }
  return sequence(size, (index) => {
    let [low, high] = [0, folders.length];
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if ((starts[middle] ?? 0) <= index) low = middle;
      else high = middle;
    }
    return `${folders[low]?.name}${name(index - (starts[low] ?? 0), index)}`;
  });
}

/** Names that begin with 12 random hex digits, sorted within each of the runs. */
function hexNames(runs: readonly number[]): (index: number) => string {
  const size = runs.reduce((sum, run) => sum + run, 0);
  const random = new SeededRandom(size);
  const numbers = Float64Array.from({ length: size }, () => Math.floor(random.fraction() * 2 ** 24) * 2 ** 24);
  for (let at = 0; at < size; at++) numbers[at] = (numbers[at] ?? 0) + Math.floor(random.fraction() * 2 ** 24);
  let start = 0;
  for (const run of runs) {
    numbers.subarray(start, start + run).sort();
    start += run;
  }
  return (index) => (numbers[index] ?? 0).toString(16).padStart(HEX_DIGITS, "0");
}

function asUuid(hex: string): string {
  return `${hex.slice(0, 8)}-${hex.slice(8)}-4c1d-a2b3-0123456789ab`;
}

const only = (name: string, files: number): readonly Folder[] => [{ name, files }];

/** A year of hours, as uneven as an ordinary day is. */
function hoursOfYear(size: number): readonly Folder[] {
  const hours = Array.from({ length: 366 * 24 }, (_, hour) => {
    const time = new Date(Date.UTC(2024, 0, 1) + hour * HOUR_MS).toISOString();
    const weight = 1 + Math.sin(((hour % 24) / 24) * Math.PI) * 3;
    return { name: `events/${time.slice(0, 10).replaceAll("-", "/")}/${time.slice(11, 13)}/`, weight };
  });
  return weighted(size, hours);
}

function weighted(size: number, folders: readonly { readonly name: string; readonly weight: number }[]): Folder[] {
  const total = folders.reduce((sum, { weight }) => sum + weight, 0);
  let sum = 0;
  let before = 0;
  return folders.map(({ name, weight }) => {
    sum += weight;
    const upTo = Math.round((sum / total) * size);
    const files = upTo - before;
    before = upTo;
    return { name, files };
  });
}

function hexIn(folders: readonly Folder[], name: (hex: string) => string): KeySequence {
  const hex = hexNames(folders.map(({ files }) => files));
  return foldered(folders, (_, index) => name(hex(index)));
}

const WORDS = ["alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel", "india", "juliet"];

export const LAYOUTS: Readonly<Record<string, Layout>> = {
  "counter, 10 digits": {
    prefix: "flat/",
    keys: (count) => foldered(only("flat/part-", count), (index) => `${padded(index, 10)}.json`),
  },
  "counter, exact digits": {
    prefix: "flat/",
    keys: (count) => foldered(only("flat/", count), (index) => `${padded(index, 7)}.json`),
  },
  uuid: { prefix: "flat/", keys: (count) => hexIn(only("flat/", count), (hex) => `${asUuid(hex)}.json`) },
  hex: { prefix: "", keys: (count) => hexIn(only("", count), (hex) => `${hex}77aa`) },
  "date folders, counters": {
    prefix: "events/",
    keys: (count) => foldered(hoursOfYear(count), (index) => `${padded(index, 6)}.json`),
  },
  "date folders, uuids": {
    prefix: "events/",
    keys: (count) => hexIn(hoursOfYear(count), (hex) => `${asUuid(hex)}.json`),
  },
  "one deep folder": {
    prefix: "",
    keys: (count) =>
      foldered(only("lake/raw/source=shop/table=orders/version=1/data-", count), (index) => `${padded(index, 8)}.json`),
  },
  "skewed, 90 % in one folder": {
    prefix: "tenants/",
    keys: (count) => {
      const weight = (tenant: number) => (tenant === 499 ? 9 : 1 / 999);
      const tenants = Array.from({ length: 1000 }, (_, at) => ({
        name: `tenants/t${padded(at, 4)}/`,
        weight: weight(at),
      }));
      return foldered(weighted(count, tenants), (index) => `${padded(index, 8)}.json`);
    },
  },
  "skewed, words": {
    prefix: "",
    keys: (count) => {
      const small = WORDS.map((word) => ({ name: `${word}/`, weight: 1 }));
      return hexIn(weighted(count, [...small, { name: "kilo/", weight: 90 }]), asUuid);
    },
  },
  "not padded": {
    prefix: "",
    keys: (count) => {
      const names = Array.from({ length: count }, (_, index) => `data/file-${index}.json`).sort();
      return sequence(count, (index) => names[index] ?? "");
    },
  },
  "seconds since 1970": {
    prefix: "logs/",
    keys: (count) => sequence(count, (index) => `logs/${1_700_000_000 + index * 7}-${(index * 40503) % 65536}.gz`),
  },
};

/** Ranges with the same number of keys each: what an earlier run would have left as hints. */
export function cutEvenly(keys: KeySequence, parts: number): KeyRange[] {
  const cuts = Array.from({ length: parts - 1 }, (_, index) => keys.at(Math.floor((keys.size * (index + 1)) / parts)));
  return ["", ...cuts].map((after, index) => {
    const upTo = cuts[index];
    return upTo === undefined ? { after } : { after, upTo };
  });
}
