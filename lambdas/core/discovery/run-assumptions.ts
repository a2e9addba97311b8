// What earlier runs and the configuration say about an ingestion, so that a run notices where reality differs. Decided once per run.

import type { Ingestion } from "../config.ts";
import type { Assumptions, CursorRecord, Listing, RunInput, Strategy } from "./model.ts";
import { lookbackWindow, partitionsBetween, patternOf } from "./partitions.ts";

export interface AssumptionRequest {
  readonly ingestion: Ingestion;
  readonly input: RunInput;
  readonly cursor?: CursorRecord;
  readonly startedAtMs: number;
  readonly eventGraceMs: number;
}

/** A strategy's assumption is held against its own runs and against wider ones of the same ingestion, which see more of what breaks it. */
export function assumptionsOf(request: AssumptionRequest): Assumptions {
  const { ingestion, input, cursor, startedAtMs, eventGraceMs } = request;
  const lexical = listingOf("incremental_lexical", input, ingestion) && cursor?.lexical?.last;
  const time = listingOf("incremental_time", input, ingestion);
  const listedFromMs = cursor?.listedFromMs;
  const partitioned = listingOf("partitioned", input, ingestion);
  const wider = input.listing.strategy === "partitioned" ? undefined : partitioned;
  return {
    ...(lexical === undefined ? {} : { lexicalLast: lexical }),
    ...(time === undefined || listedFromMs === undefined ? {} : { windowFromMs: listedFromMs - time.overlapMs }),
    // Before the first whole listing there are files from before there were events.
    ...(ingestion.discovery.events && listedFromMs !== undefined ? { eventsUntilMs: startedAtMs - eventGraceMs } : {}),
    // So are there files of old partitions, which nobody has missed.
    ...(wider === undefined || listedFromMs === undefined
      ? {}
      : { windowPrefixes: windowPrefixes(ingestion, wider, cursor, startedAtMs) }),
  };
}

/** The first listing of this strategy: the run's own, the ingestion's, one of its schedules'. */
export function listingOf<S extends Strategy>(
  strategy: S,
  input: RunInput | undefined,
  { discovery }: Ingestion,
): Extract<Listing, { strategy: S }> | undefined {
  const own = input === undefined ? [] : [input.listing];
  const all = [...own, discovery.listing, ...discovery.schedules.map(({ listing }) => listing)];
  return all.find((listing): listing is Extract<Listing, { strategy: S }> => listing.strategy === strategy);
}

type Partitioned = Extract<Listing, { strategy: "partitioned" }>;

/** What came since the last run, however long ago that was, and the look-back before it. `cursor`: of the ingestion's own pattern. */
export function windowOf({ pattern, lookbackMs }: Partitioned, cursor: CursorRecord | undefined, nowMs: number) {
  const seen = cursor?.partitioned;
  const sinceMs = seen?.pattern === pattern ? seen.listedFromMs : cursor?.listedFromMs;
  return lookbackWindow(patternOf(pattern), lookbackMs, { nowMs, sinceMs: sinceMs ?? nowMs });
}

function windowPrefixes(
  { source }: Ingestion,
  listing: Partitioned,
  cursor: CursorRecord | undefined,
  nowMs: number,
): readonly string[] {
  const { fromMs, toMs } = windowOf(listing, cursor, nowMs);
  return partitionsBetween(patternOf(listing.pattern), fromMs, toMs).map((path) => source.prefix + path);
}
