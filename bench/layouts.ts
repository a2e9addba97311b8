// How keys lie in buckets: the four layouts that listers are measured on.

export const LAYOUTS = ["flat", "foldered", "single-prefix", "skewed"] as const;
export type Layout = (typeof LAYOUTS)[number];

export function isLayout(name: string): name is Layout {
  return (LAYOUTS as readonly string[]).includes(name);
}

/** In no order. */
export function* keysOf(layout: Layout, count: number): Generator<string> {
  for (let n = 0; n < count; n++) yield KEY[layout](n, count);
}

const KEY: Readonly<Record<Layout, (n: number, count: number) => string>> = {
  /** Hashes, as image stores make them. */
  flat: (n) => `${hex(mix(n))}${hex(mix(n + 0x9e3779b9))}.jpg`,
  /** An hour's folder for every `count / 8760` files: a year. */
  foldered: (n, count) => `logs/${hourOf(Math.floor((n / count) * 8760))}/part-${pad(n, 8)}.json.gz`,
  /** A counter below one deep prefix. */
  "single-prefix": (n) => `export/v1/tables/orders/data/part-${pad(n, 9)}.parquet`,
  /** Nine of ten files in one of a hundred folders. */
  skewed: (n) => `tenants/${pad(n % 10 === 0 ? mix(n) % 100 : 42, 3)}/events/${hex(mix(n))}-${pad(n, 8)}.ndjson`,
};

function hourOf(hour: number): string {
  return new Date(Date.UTC(2025, 0, 1) + hour * 3_600_000).toISOString().slice(0, 13).replaceAll(/[-T]/g, "/");
}

function pad(n: number, width: number): string {
  return n.toString().padStart(width, "0");
}

function hex(n: number): string {
  return n.toString(16).padStart(8, "0");
}

/** A bijection of 32-bit numbers (murmur3's finalizer). */
function mix(n: number): number {
  let h = n | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
