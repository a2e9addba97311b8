// Orders two versions of one key. S3 events arrive late, twice and out of order; this decides which one counts.
// Calling a version "newer" wrongly costs one refused GET (If-Match); calling it "older" wrongly would lose it. So doubt means newer.

import type { ObjectVersion } from "./events.ts";

export type VersionRelation = "same" | "newer" | "older";

/** What `seen` is to `known`. The same bytes (ETag) are the same version however often they were uploaded. */
export function relateVersions(known: ObjectVersion, seen: ObjectVersion): VersionRelation {
  if (known.etag === seen.etag) return "same";
  return isLater(known, seen) ? "newer" : "older";
}

/** Whether `seen` was written after `known`, also when the bytes are the same. Doubt is answered by `true`. */
export function isLater(known: ObjectVersion, seen: ObjectVersion): boolean {
  if (known.sequencer !== undefined && seen.sequencer !== undefined) {
    const order = compareSequencers(known.sequencer, seen.sequencer);
    // S3 never gives one key the same sequencer twice; stores that imitate it may send a constant.
    if (order !== 0) return order < 0;
  }
  return wholeSecond(seen.timeMs) >= wholeSecond(known.timeMs);
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
