// What a listed object comes to: out of scope, seen before, known to the ledger, or sent as an event. Cheapest question first.

import type { Ingestion } from "../config.ts";
import { LIMITS } from "../environment.ts";
import { assert } from "../errors.ts";
import { formatIntake, isFolderMarker, type ObjectEvent } from "../events.ts";
import type { Clock, EventSink, Ledger, ListedObject } from "../ports.ts";
import type { Router } from "../routing.ts";
import { brokenBy } from "./assumptions.ts";
import { inTurn, type KnownFiles, type KnownFilesCaches } from "./known-files.ts";
import type { Assumptions, Counts, RunInput } from "./model.ts";
import { scopeFilter } from "./scope.ts";
import { type Judged, judge, type Verdict } from "./verdict.ts";

export interface CheckContext {
  readonly ports: {
    readonly ledger: Ledger;
    readonly clock: Clock;
    readonly events: EventSink;
    readonly caches?: KnownFilesCaches;
  };
  readonly ingestion: Ingestion;
  readonly route: Router;
  readonly input: RunInput;
  readonly runId: string;
  readonly assumptions: Assumptions;
  /** Absent: every file is asked for. */
  readonly seen?: KnownFiles;
}

export interface Checked {
  /** All of `Counts` that checking knows. */
  readonly counts: Partial<Counts>;
  /** Objects whose fate the ledger confirmed (or the seen manifest or cache did), in order: what the next run need not ask about. */
  readonly confirmed: readonly ListedObject[];
  /** What has to be sent; with a dry run: what would be. */
  readonly events: readonly ObjectEvent[];
}

/** `objects`: in order of their keys, of one bucket. Sends nothing. */
export async function checkObjects(context: CheckContext, objects: readonly ListedObject[]): Promise<Checked> {
  const isInScope = scopeFilter(context.ingestion, context.route, context.input.scope);
  const files = objects.filter(({ key, sizeBytes }) => !isFolderMarker(key, sizeBytes));
  const inScope = files.filter(isInScope);
  const { verdicts, reads } = await verdictsOn(context, inScope);
  const of = (...wanted: Verdict[]) => inScope.filter((_, index) => wanted.includes(verdicts[index] as Verdict));
  const sent = of("unheard", "new", "changed");
  const counts = {
    total: objects.length,
    new: of("unheard", "new").length,
    changed: of("changed").length,
    known: of("held", "known", "confirmed").length,
    skipped: objects.length - files.length,
    excluded: files.length - inScope.length,
    bytes: bytesOf(inScope),
    newBytes: bytesOf(sent),
    ...reads,
    broken: brokenBy(of("unheard"), context.assumptions),
  };
  assertComplete(counts);
  return { counts, confirmed: of("confirmed"), events: sent.map((object) => eventOf(context, object)) };
}

/** What was seen is confirmed; the ledger is asked about the rest, and what it confirms is told to whoever shares the cache. */
async function verdictsOn(context: CheckContext, objects: readonly ListedObject[]): Promise<Judged> {
  const { input, seen, ports, ingestion } = context;
  const cache = ports.caches?.(ingestion.id, ingestion.source.bucket);
  const found = input.checkAll || objects.length === 0 ? [] : await inTurn(seen, cache).has(objects);
  const unseen = objects.filter((_, index) => found[index] !== true);
  const judged = await judge(
    ports,
    ingestion,
    unseen.map((object) => eventOf(context, object)),
  );
  if (!input.dryRun) await cache?.add(unseen.filter((_, index) => judged.verdicts[index] === "confirmed"));
  const next = judged.verdicts.values();
  const verdicts = objects.map((_, index) => (found[index] === true ? "confirmed" : (next.next().value as Verdict)));
  return { verdicts, reads: judged.reads };
}

function eventOf({ ingestion, runId }: CheckContext, object: ListedObject): ObjectEvent {
  const { key, etag, sizeBytes, lastModifiedMs: timeMs } = object;
  return { bucket: ingestion.source.bucket, key, version: { etag, sizeBytes, timeMs }, runId };
}

function bytesOf(objects: readonly ListedObject[]): number {
  return objects.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}

function assertComplete(counts: Pick<Counts, "total" | "new" | "changed" | "known" | "skipped" | "excluded">): void {
  const sum = counts.new + counts.changed + counts.known + counts.skipped + counts.excluded;
  assert(sum === counts.total, "every listed object is counted once");
}

/** Of one message; SQS bills it by 64 KiB, and takes 256 KiB. */
const MESSAGE_BYTES_MAX = 200_000;

/** Packs events into messages and sends them; number of messages. Nothing is sent in a dry run. */
export async function sendEvents(context: CheckContext, events: readonly ObjectEvent[]): Promise<number> {
  if (context.input.dryRun || events.length === 0) return 0;
  const bodies = packEvents(events).map(formatIntake);
  await context.ports.events.send(bodies);
  return bodies.length;
}

/** In order: as many to a message as it may name, and fewer when their keys are long. */
function packEvents(events: readonly ObjectEvent[]): ObjectEvent[][] {
  const messages: ObjectEvent[][] = [];
  let room = 0;
  for (const event of events) {
    const sizeBytes = Buffer.byteLength(formatIntake([event]));
    const last = messages.at(-1);
    if (last === undefined || last.length === LIMITS.backfillEventsPerMessage || room < sizeBytes) {
      messages.push([event]);
      room = MESSAGE_BYTES_MAX - sizeBytes;
    } else {
      last.push(event);
      room -= sizeBytes;
    }
  }
  return messages;
}
