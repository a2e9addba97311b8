// Orders two versions of one key. S3 events arrive late, twice and out of order; this decides which one counts.
// Only sequencers order different bytes. LastModified does not: for a multipart upload it is the upload's start, so what was there last
// may carry the older date. Where sequencers do not tell the answer is "unclear", and the claim asks the store (claim.ts).

import type { ObjectVersion } from "./events.ts";

export type VersionRelation = "same" | "newer" | "older" | "unclear";

/** What `seen` is to `known`. The same bytes (ETag) are the same version however often they were uploaded. */
export function relateVersions(known: ObjectVersion, seen: ObjectVersion): VersionRelation {
  if (known.etag === seen.etag) return "same";
  const order = orderOf(known, seen);
  return order === 0 ? "unclear" : order < 0 ? "newer" : "older";
}

/** Whether the same bytes, `seen`, were put after `known`. Doubt is answered by `true`: a wrong one costs another attempt. */
export function isLater(known: ObjectVersion, seen: ObjectVersion): boolean {
  const order = orderOf(known, seen);
  return order === 0 ? wholeSecond(seen.timeMs) >= wholeSecond(known.timeMs) : order < 0;
}

/** Whether the same bytes were surely put once more after `known`: of listings, in another second. */
export function isPutAgain(known: ObjectVersion, seen: ObjectVersion): boolean {
  const order = orderOf(known, seen);
  return order === 0 ? wholeSecond(seen.timeMs) > wholeSecond(known.timeMs) : order < 0;
}

/** 0: one has no sequencer (a listing), or both have the same: S3 never gives one key that, stores that imitate it may send a constant. */
function orderOf(known: ObjectVersion, seen: ObjectVersion): number {
  if (known.sequencer === undefined || seen.sequencer === undefined) return 0;
  return compareSequencers(known.sequencer, seen.sequencer);
}

/** S3: right-pad the shorter one with zeros, then compare as text. Negative: `a` came first. */
export function compareSequencers(a: string, b: string): number {
  const length = Math.max(a.length, b.length);
  const left = a.toLowerCase().padEnd(length, "0");
  const right = b.toLowerCase().padEnd(length, "0");
  return left < right ? -1 : left > right ? 1 : 0;
}

/** LastModified has whole seconds; an event's time has milliseconds. */
function wholeSecond(timeMs: number): number {
  return Math.floor(timeMs / 1000);
}
