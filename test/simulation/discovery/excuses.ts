// What a run may leave out by what its strategy relies on: worked out from the bucket's history and from the runs that ended before, not
// from what these wrote down. Everything else that was there when it began must be on record once it has succeeded.

import { compareUtf8 } from "../../../lambdas/core/discovery/key-order.ts";
import type { Listing } from "../../../lambdas/core/discovery/model.ts";
import {
  lookbackWindow,
  partitionPath,
  partitionStart,
  partitionsBetween,
  patternOf,
} from "../../../lambdas/core/discovery/partitions.ts";
import type { Bucket } from "./bucket.ts";
import { PREFIX } from "./layouts.ts";

/** A run over all of the ingestion that has moved the cursor: a later one may go by it. */
export interface Move {
  readonly listing: Listing;
  readonly listedFromMs: number;
  /** When it was planned. */
  readonly lookedAtMs: number;
  /** The greatest key that the bucket had had by its end. */
  readonly lastKey: string;
}

export interface Circumstances {
  readonly listing: Listing;
  readonly plannedAtMs: number;
  /** Before it; under the same choice of files, and since the cursor was last forgotten. */
  readonly moves: readonly Move[];
  /** Key to ETag, as in the newest inventory when the run began. */
  readonly inventory: ReadonlyMap<string, string>;
  readonly bucket: Bucket;
}

const SLACK_MS = 60_000;

export function isExcused(key: string, etag: string, circumstances: Circumstances): boolean {
  const { listing, moves, inventory } = circumstances;
  switch (listing.strategy) {
    case "full":
    case "incremental_time":
      return false;
    case "incremental_lexical":
      return moves.some((move) => reachesEnd(move) && compareUtf8(key, move.lastKey) <= 0);
    case "inventory":
      return inventory.get(key) !== etag;
    case "partitioned":
      return isOldPartition(key, listing, circumstances);
  }
}

function reachesEnd({ listing: { strategy } }: Move): boolean {
  return strategy === "full" || strategy === "incremental_time" || strategy === "incremental_lexical";
}

/** Outside of what came since the last run and the look-back before it, and there when that run looked. */
function isOldPartition(
  key: string,
  listing: Extract<Listing, { strategy: "partitioned" }>,
  { moves, plannedAtMs, bucket }: Circumstances,
): boolean {
  const pattern = patternOf(listing.pattern);
  const startMs = partitionStart(pattern, key.slice(PREFIX.length));
  if (startMs === undefined) return true;
  const looks = moves.filter((move) => move.listing.strategy === "partitioned");
  const last = looks.at(-1);
  const sinceMs = (last ?? moves.findLast(reachesEnd))?.listedFromMs ?? plannedAtMs;
  const { fromMs, toMs } = lookbackWindow(pattern, listing.lookbackMs, { nowMs: plannedAtMs, sinceMs });
  const path = partitionPath(pattern, startMs);
  if (partitionsBetween(pattern, fromMs, toMs).includes(path)) return false;
  if (last === undefined) return true;
  const first = looks.findIndex((look) => bucket.wasThere(`${PREFIX}${path}`, look.lookedAtMs));
  const firstSeenMs = looks[first]?.lookedAtMs;
  if (firstSeenMs === undefined) return false;
  // What came after a run had looked is written to for a while. Clocks stand a little between looking and having planned.
  return first === 0 || plannedAtMs - firstSeenMs > listing.lookbackMs - SLACK_MS;
}
