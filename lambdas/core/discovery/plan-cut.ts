// Cuts what is to be listed into shards, each with several ranges, so that a listing function starts with all its lanes at work:
// by the seen index of earlier runs, and for want of one by what a few folded requests show.

import type { ListPage } from "../ports.ts";
import { compareUtf8 } from "./key-order.ts";
import { ALL_KEYS, holds } from "./key-ranges.ts";
import type { KeyRange, SeenSegment } from "./model.ts";
import type { Pager } from "./pager.ts";

/** Shards become ranges in order. */
export type Cut = readonly (readonly KeyRange[])[];

export interface CutOptions {
  /** LIST requests at once in one function. */
  readonly lanes: number;
  /** Functions at once. */
  readonly functionsMax: number;
}

/** A function lists this in ten seconds or so; fewer would be spent on starting functions. */
const SHARD_KEYS = 500_000;
/** Two pages: shorter ranges waste requests. */
const RANGE_KEYS_MIN = 2000;
/** A shard's record holds its ranges, with two keys of up to a kilobyte each. */
const RANGES_MAX = 128;
const DEPTH_MAX = 4;
const EXPANDED_MAX = 8;
const SAMPLED_MAX = 8;

/** By where earlier runs saw keys. `ranges`: disjoint, in order. What no segment tells of stays whole. */
export function cutBySeen(ranges: readonly KeyRange[], segments: readonly SeenSegment[], lanes: number): Cut {
  const sorted = segments.toSorted((a, b) => compareUtf8(a.first, b.first));
  const hinted = ranges.map((range) => ({ range, inside: sorted.filter(({ first }) => holds(range, first)) }));
  const total = hinted.reduce((sum, { inside }) => sum + entriesOf(inside), 0);
  const shardKeys = total / Math.max(1, Math.round(total / SHARD_KEYS));
  const rangeKeys = Math.max(RANGE_KEYS_MIN, shardKeys / lanes);
  const shards: KeyRange[][] = [];
  let keysInShard = 0;
  for (const piece of hinted.flatMap(({ range, inside }) => cutRange(range, inside, rangeKeys))) {
    const open = shards.at(-1);
    if (open === undefined || open.length >= RANGES_MAX || (piece.keys > 0 && keysInShard >= shardKeys)) {
      shards.push([piece.range]);
      keysInShard = piece.keys;
    } else {
      open.push(piece.range);
      keysInShard += piece.keys;
    }
  }
  return shards;
}

function cutRange(
  range: KeyRange,
  inside: readonly SeenSegment[],
  rangeKeys: number,
): readonly { readonly range: KeyRange; readonly keys: number }[] {
  const pieces: { range: KeyRange; keys: number }[] = [];
  let { after } = range;
  let keys = 0;
  for (const { first, entries } of inside) {
    if (keys >= rangeKeys && compareUtf8(first, after) > 0) {
      pieces.push({ range: { after, upTo: first }, keys });
      after = first;
      keys = 0;
    }
    keys += entries;
  }
  const rest = { ...range, after };
  // A segment that begins with the range's last key leaves nothing behind it.
  if (rest.upTo === undefined || compareUtf8(after, rest.upTo) < 0) pieces.push({ range: rest, keys });
  return pieces;
}

function entriesOf(segments: readonly SeenSegment[]): number {
  return segments.reduce((sum, { entries }) => sum + entries, 0);
}

/** By folders. More than one shard only when most folders looked at hold more than a page. At most 21 requests. */
export async function cutByFolders(pager: Pager, prefix: string, options: CutOptions): Promise<Cut> {
  if (!(await pager.page({ prefix })).truncated) return [[ALL_KEYS]];
  const folders = await findFolders(pager, prefix);
  if (folders.length < 2) return [[ALL_KEYS]];
  const large = await mostAreLarge(pager, folders);
  const shards = large ? Math.max(1, Math.min(options.functionsMax, Math.floor(folders.length / 2))) : 1;
  const ranges = rangesBetween(evenly(folders.slice(1), shards * options.lanes - 1));
  const each = Math.ceil(ranges.length / shards);
  return Array.from({ length: Math.ceil(ranges.length / each) }, (_, n) => ranges.slice(n * each, (n + 1) * each));
}

/** Down to where there are several folders, and one level further where there are only a few. */
async function findFolders(pager: Pager, prefix: string): Promise<readonly string[]> {
  let page: ListPage = await pager.page({ prefix, folded: true });
  for (let depth = 1; depth < DEPTH_MAX && isChain(page); depth++) {
    page = await pager.page({ prefix: page.folders[0] ?? prefix, folded: true });
  }
  const { folders } = page;
  if (folders.length < 2 || folders.length > EXPANDED_MAX) return folders;
  const below = await Promise.all(folders.map((folder) => pager.page({ prefix: folder, folded: true })));
  return folders.flatMap((folder, n) => [folder, ...(below[n]?.folders.slice(1) ?? [])]);
}

function isChain({ folders, objects, truncated }: ListPage): boolean {
  return folders.length === 1 && objects.length === 0 && !truncated;
}

async function mostAreLarge(pager: Pager, folders: readonly string[]): Promise<boolean> {
  const pages = await Promise.all(evenly(folders, SAMPLED_MAX).map((prefix) => pager.page({ prefix })));
  return pages.filter(({ truncated }) => truncated).length * 2 >= pages.length;
}

/** Boundaries in order. */
function rangesBetween(boundaries: readonly string[]): readonly KeyRange[] {
  const starts = ["", ...boundaries];
  return starts.map((after, index) => {
    const upTo = starts[index + 1];
    return { after, ...(upTo === undefined ? {} : { upTo }) };
  });
}

function evenly<T>(items: readonly T[], count: number): readonly T[] {
  if (items.length <= count) return items;
  return Array.from({ length: count }, (_, n) => items[Math.floor((n * items.length) / count)] as T);
}
