// What a finished run leaves for the next one. Only facts that hold whatever else happened: a run that left objects out, or looked at a
// part of the prefix, moves no cursor that a later run would pass them over by. Nor does one that listed less because of a cursor that was
// forgotten meanwhile (`checkpoints --reset`): what it left out, nobody answers for any more.

import type { Ingestion } from "../config.ts";
import type { ObjectUri } from "../ids.ts";
import type { LedgerItem } from "../ports.ts";
import { DISCOVERY_DEFAULTS } from "./defaults.ts";
import { compareUtf8 } from "./key-order.ts";
import type { CursorRecord, RunInput, RunRecord, ShardRecord } from "./model.ts";
import { listingOf } from "./run-assumptions.ts";
import type { StoredPlan } from "./run-plan.ts";
import { readCursor } from "./run-records.ts";
import { joinTails } from "./tail.ts";

export interface CursorFacts {
  readonly ingestion: Ingestion;
  readonly run: RunRecord;
  readonly plan: StoredPlan;
  readonly records: readonly ShardRecord[];
  readonly seen?: ObjectUri;
  readonly nowMs: number;
}

/** Where an ingestion's files are and which of them are its own: also what others take from it (routing.ts), which it does not list. */
export function sourceOf(ingestion: Ingestion, ingestions: readonly Ingestion[]): string {
  const own = ingestion.source;
  const place = ingestions.findIndex(({ id }) => id === ingestion.id);
  const takers = ingestions.filter(({ source: { bucket, prefix } }, index) => {
    const isBefore = prefix.length > own.prefix.length || (prefix === own.prefix && index < place);
    return bucket === own.bucket && prefix.startsWith(own.prefix) && isBefore;
  });
  return JSON.stringify([factsOf(ingestion), ...takers.map(factsOf).sort(byText)]);
}

function factsOf({ source }: Ingestion): readonly unknown[] {
  return [source.bucket, source.prefix, source.include, source.exclude];
}

function byText(a: unknown, b: unknown): number {
  return JSON.stringify(a) < JSON.stringify(b) ? -1 : 1;
}

/** What earlier runs left, unless the ingestion has looked elsewhere since: then keys behind a cursor would be passed over unseen. */
export function cursorFor(source: string, item: LedgerItem | undefined): CursorRecord | undefined {
  const cursor = item && readCursor(item);
  return cursor?.source === source ? cursor : undefined;
}

/** `before`: the cursor that the run was planned by, as it is now; absent when there was none, or it was forgotten since. */
export function nextCursor(before: CursorRecord | undefined, facts: CursorFacts): CursorRecord {
  const { run, plan, seen, nowMs } = facts;
  const { inventoryAtMs, partitioned } = isScoped(run.input) ? NOTHING : plan;
  const listedFromMs = listsAll(run.input) ? run.listedFromMs : (inventoryAtMs ?? 0);
  return {
    begunBy: run.runId,
    ...before,
    ...nextLexical(before, facts),
    ...(listedFromMs > (before?.listedFromMs ?? 0) ? { listedFromMs } : {}),
    ...(partitioned === undefined || isForgotten(before, plan)
      ? {}
      : { partitioned: { ...partitioned, listedFromMs: run.listedFromMs } }),
    ...nextInventories(before, run.input, inventoryAtMs),
    ...(seen === undefined ? {} : { seen }),
    ingestion: run.ingestion,
    source: run.source,
    updatedAtMs: nowMs,
  };
}

function nextInventories(before: CursorRecord | undefined, { listing }: RunInput, inventoryAtMs: number | undefined) {
  if (listing.strategy !== "inventory" || inventoryAtMs === undefined) return {};
  return { inventoriesAtMs: { ...before?.inventoriesAtMs, [listing.location]: inventoryAtMs } };
}

/** Of a run that saw a part only. */
const NOTHING: Pick<StoredPlan, "inventoryAtMs" | "partitioned"> = {};

/** Of the cursor found now: the one the plan was made by, as it is now. What was forgotten and begun anew is another one. */
export function cursorOfPlan(
  found: CursorRecord | undefined,
  { cursorBegunBy }: Pick<StoredPlan, "cursorBegunBy">,
): CursorRecord | undefined {
  return found?.begunBy === cursorBegunBy ? found : undefined;
}

/** The run was planned by a cursor that is there no more: only what it listed by itself is a fact. */
export function isForgotten(before: CursorRecord | undefined, { cursorBegunBy }: StoredPlan): boolean {
  return cursorBegunBy !== undefined && before === undefined;
}

/** How far the tail of a listing must reach back. */
export function lookbackKeysOf(ingestion: Ingestion, input: RunInput): number {
  return listingOf("incremental_lexical", input, ingestion)?.lookbackKeys ?? DISCOVERY_DEFAULTS.lookbackKeys;
}

/** Listed objects may be missing among the confirmed ones: no segment of an earlier run is worse than such a run's. */
export function isFiltered({ scope }: RunInput): boolean {
  const { prefix: _whole, ...filters } = scope;
  return Object.keys(filters).length > 0;
}

function isScoped({ scope, window }: RunInput): boolean {
  return Object.keys(scope).length > 0 || window !== undefined;
}

function listsAll(input: RunInput): boolean {
  const { strategy } = input.listing;
  return (strategy === "full" || strategy === "incremental_time") && !isScoped(input);
}

/** The run's own tail alone: its look-back has listed the keys of the earlier one again, and counting them twice would shorten it. */
function nextLexical(before: CursorRecord | undefined, { ingestion, run, plan, records }: CursorFacts) {
  const { input } = run;
  const goesOn = input.listing.strategy === "incremental_lexical" && !isScoped(input) && !isForgotten(before, plan);
  const reachesEnd = listsAll(input) || goesOn;
  const last = [before?.lexical?.last ?? "", ...records.map((record) => record.last ?? "")].reduce(laterKey);
  if (!reachesEnd || last === "") return {};
  const tails = records.map(({ tail }) => tail);
  return { lexical: { last, tail: joinTails(tails, lookbackKeysOf(ingestion, input)) } };
}

export function laterKey(a: string, b: string): string {
  return compareUtf8(a, b) < 0 ? b : a;
}
