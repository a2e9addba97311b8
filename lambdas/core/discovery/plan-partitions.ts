// partitioned: the ranges of a window of time, and the folders that show whether partitions came to be outside of it.
// Requests: one for each partition of the window at most (its ranges), and at most LOOKS_MAX to look for others.

import { addBroken } from "./counts.ts";
import { compareUtf8 } from "./key-order.ts";
import { rangeFromTo } from "./key-ranges.ts";
import {
  type BrokenAssumption,
  type BrokenAssumptions,
  EXAMPLES_MAX,
  type KeyRange,
  type SeenPartitions,
} from "./model.ts";
import type { Pager } from "./pager.ts";
import {
  type PartitionPattern,
  partitionPath,
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
  /** Prefixes that were not there when an earlier run looked, since a look-back ago: to be listed whole. */
  readonly late: readonly string[];
  /** All that were seen now. */
  readonly partitioned: SeenPartitions;
  readonly broken: BrokenAssumptions;
}

/** Days of four years by `%Y/%m/%d`, hours of two months by `%Y/%m/%d/%H`: a few seconds. */
const LOOKS_MAX = 64;

export function windowRanges({ pattern, prefix, fromMs, toMs }: Window): readonly KeyRange[] {
  return partitionRuns(pattern, fromMs, toMs).map(({ first, last }) => rangeFromTo(prefix + first, prefix + last));
}

/**
 * `before`: what the run before saw. Where it did not look nothing tells new from old. A partition is written to for a while, whenever
 * it comes: it is listed by each run until a look-back has passed since it was first seen.
 */
export async function lookForOthers(
  pager: Pager,
  window: Window,
  { nowMs, lookbackMs }: { readonly nowMs: number; readonly lookbackMs: number },
  before?: SeenPartitions,
): Promise<Looked> {
  const known = before?.pattern === window.pattern.text ? before : undefined;
  const [lookedInto, folders] = [new Set(known?.lookedInto), new Set(known?.folders)];
  const looks = await lookAround(pager, window);
  const whole = looks.filter(({ isWhole }) => isWhole);
  const added = looks
    .filter(({ parent }) => lookedInto.has(parent))
    .flatMap((look) => look.folders.filter((folder) => !folders.has(folder)));
  const late = [
    ...(known?.late ?? []).filter(({ sinceMs }) => nowMs - sinceMs <= lookbackMs),
    ...added.map((folder) => ({ folder, sinceMs: nowMs })),
  ];
  return {
    late: late.map(({ folder }) => folder),
    partitioned: {
      pattern: window.pattern.text,
      lookedInto: whole.map(({ parent }) => parent),
      folders: whole.flatMap((look) => look.folders),
      ...(late.length === 0 ? {} : { late }),
    },
    broken: addBroken(
      brokenBy("partition_outside_window", outside(window, added)),
      brokenBy("partitions_unseen", unseen(looks)),
    ),
  };
}

interface Look {
  readonly parent: string;
  /** Of partitions, or of folders of partitions. */
  readonly folders: readonly string[];
  readonly isWhole: boolean;
}

/** Into the folders of each level, the newest first, as far as the requests go. */
async function lookAround(pager: Pager, { pattern, prefix }: Window): Promise<readonly Look[]> {
  const levels = patternLevels(pattern);
  const requestsMax = pager.requests + LOOKS_MAX;
  const places = levels.slice(0, 1).map((level) => ({ level, depth: 0, startMs: 0 }));
  const looks: Look[] = [];
  while (pager.requests < requestsMax) {
    const place = places.sort((a, b) => a.startMs - b.startMs).pop();
    if (place === undefined) break;
    const { level, depth } = place;
    const parent = prefix + partitionPath(level.parent, place.startMs);
    const isPartition = (key: string) => partitionStart(pattern, key.slice(prefix.length)) !== undefined;
    const { folders, isWhole } = await foldersBelow(pager, { parent, requestsMax, isPartition });
    const dated = folders.flatMap((path) => {
      const startMs = partitionStart(level, path.slice(prefix.length));
      return startMs === undefined ? [] : [{ path, startMs }];
    });
    looks.push({ parent, folders: dated.map(({ path }) => path), isWhole });
    const below = levels[depth + 1];
    if (below !== undefined) places.push(...dated.map(({ startMs }) => ({ level: below, depth: depth + 1, startMs })));
  }
  return looks;
}

interface FolderRequest {
  readonly parent: string;
  readonly requestsMax: number;
  readonly isPartition: (key: string) => boolean;
}

/** Files beside the folders cost requests; where files themselves are the partitions there is nothing to look for. */
async function foldersBelow(
  pager: Pager,
  { parent, requestsMax, isPartition }: FolderRequest,
): Promise<{ readonly folders: readonly string[]; readonly isWhole: boolean }> {
  const folders: string[] = [];
  let after = "";
  while (pager.requests < requestsMax) {
    const page = await pager.page({ prefix: parent, folded: true, after });
    folders.push(...page.folders);
    if (!page.truncated) return { folders, isWhole: true };
    const [lastFolder, lastKey] = [page.folders.at(-1), page.objects.at(-1)?.key];
    if (lastFolder === undefined && page.objects.every(({ key }) => isPartition(key))) break;
    after = [lastFolder ?? "", lastKey ?? ""].reduce((a, b) => (compareUtf8(a, b) < 0 ? b : a));
  }
  return { folders, isWhole: false };
}

function outside({ pattern, prefix, fromMs, toMs }: Window, added: readonly string[]): readonly string[] {
  const inWindow = partitionsBetween(pattern, fromMs, toMs).map((path) => prefix + path);
  return added.filter((folder) => !inWindow.some((path) => path.startsWith(folder) || folder.startsWith(path)));
}

/** Folders of partitions that have more in them than there are requests for. */
function unseen(looks: readonly Look[]): readonly string[] {
  return looks.filter(({ folders, isWhole }) => folders.length > 0 && !isWhole).map(({ parent }) => parent);
}

function brokenBy(name: BrokenAssumption, examples: readonly string[]): BrokenAssumptions {
  return examples.length === 0 ? {} : { [name]: { count: examples.length, examples: examples.slice(0, EXAMPLES_MAX) } };
}
