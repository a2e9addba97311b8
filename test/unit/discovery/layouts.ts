// Buckets of a million keys as people lay them out, made as they are asked for where that is possible.

import { createHash } from "node:crypto";
import type { KeySequence } from "../../fakes/memory-lister.ts";

export interface Layout {
  readonly prefix: string;
  /** Sorted. */
  keys(count: number): KeySequence;
}

const HOUR_MS = 3_600_000;
const padded = (value: number, width: number) => String(value).padStart(width, "0");
const hash = (index: number) => createHash("md5").update(String(index)).digest("hex");

const sequence = (size: number, at: (index: number) => string): KeySequence => ({ size, at });

/** For names without order. ASCII only. */
function sorted(size: number, name: (index: number) => string): KeySequence {
  const names = Array.from({ length: size }, (_, index) => name(index)).sort();
  return sequence(size, (index) => names[index] ?? "");
}

function uuid(index: number): string {
  const hex = hash(index);
  return [hex.slice(0, 8), hex.slice(8, 12), `4${hex.slice(13, 16)}`, `a${hex.slice(17, 20)}`, hex.slice(20)].join("-");
}

const hourOf = (hour: number) => {
  const [year, month, day, hours] = new Date(Date.UTC(2024, 0, 1) + hour * HOUR_MS).toISOString().split(/[-T:]/);
  return `${year}/${month}/${day}/${hours}`;
};

/** Spread over a year, as uneven as an ordinary day is. */
function dated(size: number, name: (index: number) => string, hours = 366 * 24): KeySequence {
  const weight = (hour: number) => 1 + Math.sin(((hour % 24) / 24) * Math.PI) * 3;
  const total = Array.from({ length: hours }, (_, hour) => weight(hour)).reduce((sum, each) => sum + each, 0);
  const ends: number[] = [];
  let sum = 0;
  for (let hour = 0; hour < hours; hour++) {
    sum += weight(hour);
    ends.push(Math.round((sum / total) * size));
  }
  let at = 0;
  return sequence(size, (index) => {
    while (index < (ends[at - 1] ?? 0)) at--;
    while (index >= (ends[at] ?? size)) at++;
    return `events/${hourOf(at)}/${name(index - (ends[at - 1] ?? 0))}`;
  });
}

export const LAYOUTS: Readonly<Record<string, Layout>> = {
  "counter, 10 digits": {
    prefix: "flat/",
    keys: (count) => sequence(count, (index) => `flat/part-${padded(index, 10)}.json`),
  },
  "counter, exact digits": {
    prefix: "flat/",
    keys: (count) => sequence(count, (index) => `flat/${padded(index, 7)}.json`),
  },
  uuid: { prefix: "flat/", keys: (count) => sorted(count, (index) => `flat/${uuid(index)}.json`) },
  hex: { prefix: "", keys: (count) => sorted(count, (index) => hash(index)) },
  "date folders, counters": {
    prefix: "events/",
    keys: (count) => dated(count, (index) => `${padded(index, 6)}.json`),
  },
  "date folders, uuids": {
    prefix: "events/",
    keys: (count) => {
      const hours = dated(count, (index) => padded(index, 6));
      return sorted(count, (index) => `${hours.at(index).slice(0, -6)}${uuid(index)}.json`);
    },
  },
  "one deep folder": {
    prefix: "",
    keys: (count) =>
      sequence(count, (index) => `lake/raw/source=shop/table=orders/version=1/data-${padded(index, 8)}.json`),
  },
  "skewed, 90 % in one folder": {
    prefix: "tenants/",
    keys: (count) => {
      const small = Math.floor(count / 10 / 999);
      const before = 499 * small;
      const big = count - 999 * small;
      return sequence(count, (index) => {
        if (index < before) return `tenants/t${padded(Math.floor(index / small), 4)}/${padded(index % small, 8)}.json`;
        if (index < before + big) return `tenants/t0499/${padded(index - before, 8)}.json`;
        const rest = index - before - big;
        return `tenants/t${padded(500 + Math.floor(rest / small), 4)}/${padded(rest % small, 8)}.json`;
      });
    },
  },
  "skewed, words": {
    prefix: "",
    keys: (count) => {
      const words = ["alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel", "india", "juliet"];
      return sorted(count, (index) => `${index % 10 === 0 ? words[index % 7] : "kilo"}/${uuid(index)}`);
    },
  },
  "not padded": { prefix: "", keys: (count) => sorted(count, (index) => `data/file-${index}.json`) },
  "seconds since 1970": {
    prefix: "logs/",
    keys: (count) => sequence(count, (index) => `logs/${1_700_000_000 + index * 7}-${hash(index).slice(0, 8)}.gz`),
  },
};
