// The last keys of a listing, thinned: enough to say from where N keys before the end are listed again.

import type { ListedObject } from "../ports.ts";
import type { Tail } from "./model.ts";

export const NO_TAIL: Tail = { samples: [] };

/** Of one stretch (objects in order); samples are at most `keysMax / 10` keys apart. */
export function tailOf(_objects: readonly ListedObject[], _keysMax: number): Tail {
  throw new Error("to be built");
}

/** Of disjoint stretches in any order: sorted by key, cut to what covers `keysMax` keys from the end. */
export function joinTails(_tails: readonly Tail[], _keysMax: number): Tail {
  throw new Error("to be built");
}

/** A key with at least `keys` listed keys behind it, or "" when fewer are known; to be used as `after`. */
export function stepBack(_tail: Tail, _keys: number): string {
  throw new Error("to be built");
}
