// When all is quiet: objects come without an event, and each listing finds exactly those it promises to find, and says how many broke
// what it assumes. What a strategy's own run does not list, the full one after it finds and names.

import type { Ingestion } from "../../../lambdas/core/config.ts";
import { compareUtf8 } from "../../../lambdas/core/discovery/key-order.ts";
import type { BrokenAssumption, CursorRecord, Listing, RunReport } from "../../../lambdas/core/discovery/model.ts";
import { partitionsBetween, patternOf } from "../../../lambdas/core/discovery/partitions.ts";
import { windowOf } from "../../../lambdas/core/discovery/run-assumptions.ts";
import { stepBack } from "../../../lambdas/core/discovery/tail.ts";
import { PREFIX } from "./layouts.ts";

export interface Expected {
  readonly found: readonly string[];
  readonly broken: Readonly<Partial<Record<BrokenAssumption, number>>>;
}

/** `unheard`: routed keys nobody has heard of, all older than the grace period and younger than the last full listing. */
export function expectOwn(
  { discovery }: Ingestion,
  unheard: readonly string[],
  cursor: CursorRecord,
  nowMs: number,
): Expected {
  const found = unheard.filter((key) => isInReach(discovery.listing, key, cursor, nowMs));
  return { found, broken: brokenBy(discovery, found, cursor, []) };
}

/** Of a full listing: the rest, and what of it the ingestion's own strategy had relied on not to be. */
export function expectFull(
  { discovery }: Ingestion,
  unheard: readonly string[],
  cursor: CursorRecord,
  nowMs: number,
): Expected {
  const { listing } = discovery;
  const outside =
    listing.strategy === "partitioned" ? unheard.filter((key) => !isInReach(listing, key, cursor, nowMs)) : [];
  return { found: unheard, broken: brokenBy(discovery, unheard, cursor, outside) };
}

function brokenBy(
  { events, listing }: Ingestion["discovery"],
  found: readonly string[],
  { lexical }: CursorRecord,
  outside: readonly string[],
): Expected["broken"] {
  const isLexical = listing.strategy === "incremental_lexical" && lexical !== undefined;
  const below = isLexical ? found.filter((key) => compareUtf8(key, lexical.last) <= 0) : [];
  return {
    ...(events && found.length > 0 ? { missed_by_events: found.length } : {}),
    ...(below.length > 0 ? { key_below_cursor: below.length } : {}),
    ...(outside.length > 0 ? { partition_outside_window: outside.length } : {}),
  };
}

function isInReach(listing: Listing, key: string, cursor: CursorRecord, nowMs: number): boolean {
  const { lexical } = cursor;
  switch (listing.strategy) {
    case "full":
    case "incremental_time":
    case "inventory":
      return true;
    case "incremental_lexical":
      return lexical === undefined || compareUtf8(key, stepBack(lexical.tail, listing.lookbackKeys)) > 0;
    case "partitioned": {
      const { fromMs, toMs } = windowOf(listing, cursor, nowMs);
      return partitionsBetween(patternOf(listing.pattern), fromMs, toMs).some((path) => key.startsWith(PREFIX + path));
    }
  }
}

/** `isAtLeast`: partitioned listings also find partitions that were not there before, and name those. */
export function compareReport(report: RunReport, expected: Expected, isAtLeast: boolean): string[] {
  const problems: string[] = [];
  const count = expected.found.length;
  if (isAtLeast ? report.new < count : report.new !== count) {
    problems.push(
      `${report.runId} found ${report.new} new files, expected ${count}: ${JSON.stringify(expected.found)} by ${report.strategy}`,
    );
  }
  if (report.changed !== 0)
    problems.push(`${report.runId} found ${report.changed} changed files where nothing changed`);
  if (isAtLeast) return problems;
  const broken = Object.fromEntries(Object.entries(report.broken).map(([name, { count: times }]) => [name, times]));
  const [said, should] = [JSON.stringify(sorted(broken)), JSON.stringify(sorted(expected.broken))];
  if (said !== should) problems.push(`${report.runId} says that ${said} was broken, expected ${should}`);
  return problems;
}

function sorted(counts: object): [string, unknown][] {
  return Object.entries(counts).sort(([a], [b]) => (a < b ? -1 : 1));
}
