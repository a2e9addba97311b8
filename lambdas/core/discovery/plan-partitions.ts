// partitioned: the ranges of a window of time, and the folders that show whether partitions came to be outside of it.
// Requests: one for each partition of the window at most (its ranges), and at most LOOKS_MAX to look for others.

import { compareUtf8 } from "./key-order.ts";
import { rangeFromTo } from "./key-ranges.ts";
import { type BrokenAssumptions, EXAMPLES_MAX, type KeyRange } from "./model.ts";
import type { Pager } from "./pager.ts";
import {
  type PartitionPattern,
  partitionRuns,
  partitionStart,
  partitionsBetween,
  patternLevels,
} from "./partitions.ts";

export interface Window {
  readonly pattern: PartitionPattern;
  /** The ingestion's: paths of partitions continue it. */
  readonly prefix: string;
  readonly fromMs: number;
  readonly toMs: number;
}

export interface Looked {
  /** Prefixes of partitions outside the window that an earlier run, looking there, had not seen. */
  readonly late: readonly string[];
  /** All that were seen now. */
  readonly partitions: readonly string[];
  readonly broken: BrokenAssumptions;
}

const LOOKS_MAX = 12;
/** A folder with years of days in it has two pages. */
const PAGES_MAX = 5;

export function windowRanges({ pattern, prefix, fromMs, toMs }: Window): readonly KeyRange[] {
  return partitionRuns(pattern, fromMs, toMs).map(({ first, last }) => rangeFromTo(prefix + first, prefix + last));
}

/** `known`: what the run before saw; absent: nothing is late. */
export async function lookForOthers(
  pager: Pager,
  window: Window,
  known: readonly string[] | undefined,
): Promise<Looked> {
  const inWindow = partitionsBetween(window.pattern, window.fromMs, window.toMs).map((path) => window.prefix + path);
  const before = new Set(known);
  const partitions: string[] = [];
  const late: string[] = [];
  for (const { parent, level } of foldersToLookInto(window, inWindow)) {
    // Where no run looked before, nothing tells new from old.
    const lookedBefore = known?.some((folder) => isDirectlyBelow(folder, parent)) ?? false;
    for (const folder of await foldersBelow(pager, parent)) {
      if (partitionStart(level, folder.slice(window.prefix.length)) === undefined) continue;
      partitions.push(folder);
      const isNew = lookedBefore && !before.has(folder);
      if (isNew && !inWindow.some((path) => path.startsWith(folder) || folder.startsWith(path))) late.push(folder);
    }
  }
  const broken = { count: late.length, examples: late.slice(0, EXAMPLES_MAX) };
  return { late, partitions, broken: late.length === 0 ? {} : { partition_outside_window: broken } };
}

/** Where the pattern's first level lies, and the folders that hold the window's partitions; the newest when there are many. */
function foldersToLookInto(
  { pattern, prefix }: Window,
  inWindow: readonly string[],
): readonly { readonly parent: string; readonly level: PartitionPattern }[] {
  const levels = patternLevels(pattern);
  const [first, last] = [levels[0], levels.at(-1)];
  if (first === undefined || last === undefined) return [];
  const lead = first.pieces[0];
  const text = lead !== undefined && "text" in lead ? lead.text : "";
  const top = prefix + text.slice(0, text.lastIndexOf("/") + 1);
  const depth = last.text.split("/").length - 2;
  const parents = inWindow.map((path) => {
    const segments = path.slice(prefix.length).split("/").slice(0, depth);
    return prefix + segments.map((segment) => `${segment}/`).join("");
  });
  const below = [...new Set(parents)].filter((parent) => parent !== top).slice(-(LOOKS_MAX - 1));
  return [{ parent: top, level: first }, ...below.map((parent) => ({ parent, level: last }))];
}

async function foldersBelow(pager: Pager, parent: string): Promise<readonly string[]> {
  const folders: string[] = [];
  let after = "";
  for (let pages = 0; pages < PAGES_MAX; pages++) {
    const page = await pager.page({ prefix: parent, folded: true, after });
    folders.push(...page.folders);
    const [lastFolder, lastKey] = [page.folders.at(-1), page.objects.at(-1)?.key];
    // A page of files alone: partitions are no folders here.
    if (!page.truncated || lastFolder === undefined) return folders;
    after = lastKey !== undefined && compareUtf8(lastKey, lastFolder) > 0 ? lastKey : lastFolder;
  }
  return folders;
}

function isDirectlyBelow(folder: string, parent: string): boolean {
  return folder.startsWith(parent) && folder.indexOf("/", parent.length) === folder.length - 1;
}
