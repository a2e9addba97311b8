// A look at a bucket with a few dozen LIST requests: its folders level by level, and pages of files from many places of the key order.
// What they show is judged by layout.ts and recommend.ts.

import type { BucketLister, Clock, ListedObject, ListPage, Timer } from "../ports.ts";
import { compareUtf8 } from "./key-order.ts";
import { Pager } from "./pager.ts";

export interface FolderLevel {
  readonly parent: string;
  /** At most a page of them, each from the bucket's root. */
  readonly folders: readonly string[];
  readonly truncated: boolean;
  /** Files that lie in the parent itself, on the page. */
  readonly files: number;
}

export interface SampledPage {
  readonly objects: readonly ListedObject[];
  readonly truncated: boolean;
}

export interface Sample {
  readonly bucket: string;
  readonly prefix: string;
  readonly nowMs: number;
  readonly requests: number;
  /** The first page holds everything. */
  readonly complete: boolean;
  /** In key order; none empty, and they may overlap. */
  readonly pages: readonly SampledPage[];
  /** From the prefix down, each in a folder of the one before. */
  readonly levels: readonly FolderLevel[];
}

const DEPTH_MAX = 6;
const FOLDERS_MAX = 8;
const PROBES_MAX = 16;
const LAST = "\u{10ffff}";

/** At most 39 requests. */
export async function sampleBucket(
  ports: { readonly lister: BucketLister; readonly timer: Timer; readonly clock: Clock },
  bucket: string,
  prefix: string,
): Promise<Sample> {
  const pager = new Pager(ports, bucket);
  const first = await pager.page({ prefix });
  const levels = await folderLevels(pager, prefix);
  const pages: ListPage[] = [first];
  if (first.truncated) {
    for (const folder of foldersToSample(levels)) pages.push(await pager.page({ prefix: folder }));
    if ((levels[0]?.folders.length ?? 0) < 2) pages.push(...(await probeFlat(pager, prefix, first)));
  }
  return {
    bucket,
    prefix,
    nowMs: ports.clock.now(),
    requests: pager.requests,
    complete: !first.truncated,
    pages: pages
      .filter(({ objects }) => objects.length > 0)
      .sort((a, b) => compareUtf8(a.objects[0]?.key ?? "", b.objects[0]?.key ?? "")),
    levels,
  };
}

async function folderLevels(pager: Pager, prefix: string): Promise<readonly FolderLevel[]> {
  const levels: FolderLevel[] = [];
  let parent: string | undefined = prefix;
  while (parent !== undefined && levels.length < DEPTH_MAX) {
    const { folders, truncated, objects } = await pager.page({ prefix: parent, folded: true });
    levels.push({ parent, folders, truncated, files: objects.length });
    parent = lastOfMost(folders);
  }
  return levels;
}

/** The last folder named like most are: newest where names are dates, and not the `_tmp/` that sorts behind them. */
function lastOfMost(folders: readonly string[]): string | undefined {
  const byShape = Map.groupBy(folders, (folder) => folder.replaceAll(/\d+/g, "0").replaceAll(/[A-Za-z]+/g, "a"));
  return [...byShape.values()].toSorted((a, b) => b.length - a.length)[0]?.at(-1);
}

/** Of the first level with several folders, and of the deepest one. */
function foldersToSample(levels: readonly FolderLevel[]): readonly string[] {
  const branching = levels.filter(({ folders }) => folders.length > 1);
  const chosen = [branching[0], branching.at(-1)].flatMap((level) => evenly(level?.folders ?? [], FOLDERS_MAX));
  return [...new Set(chosen)];
}

/**
 * Without folders the end of the keys is not known: finds the place at which keys further on differ from the last one known, then the
 * greatest character there, then the same behind it. The pages that come by the way are the sample.
 */
async function probeFlat(pager: Pager, prefix: string, first: ListPage): Promise<readonly ListPage[]> {
  const pages: ListPage[] = [];
  let left = PROBES_MAX;
  const behind = async (start: string): Promise<string | undefined> => {
    left -= 1;
    const page = await pager.page({ prefix, after: start + LAST });
    pages.push(page);
    return page.objects[0]?.key;
  };
  let known = first.objects.at(-1)?.key ?? prefix;
  let from = prefix.length;
  while (left > 0) {
    let [low, high, found] = [from, known.length, undefined as string | undefined];
    while (low < high && left > 0) {
      const middle = (low + high) >> 1;
      const key = await behind(known.slice(0, middle + 1));
      if (key === undefined) low = middle + 1;
      else [high, found] = [middle, key];
    }
    if (found === undefined) return pages;
    const stem = known.slice(0, low);
    let [greatest, bound] = [found.charCodeAt(low), 0x7f];
    while (bound - greatest > 1 && left > 0) {
      const middle = (greatest + bound) >> 1;
      const key = await behind(stem + String.fromCharCode(middle));
      if (key?.startsWith(stem) === true) [greatest, found] = [key.charCodeAt(low), key];
      else bound = middle;
    }
    [known, from] = [found, low + 1];
  }
  return pages;
}

function evenly<T>(items: readonly T[], count: number): readonly T[] {
  if (items.length <= count) return items;
  return Array.from({ length: count }, (_, n) => items[Math.round((n * (items.length - 1)) / (count - 1))] as T);
}
