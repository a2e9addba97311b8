// The last keys of a listing, thinned: enough to say from where N keys before the end are listed again.
// A sample stands for the keys from it up to the next one; so the keys behind a sample are the sum from it on, less itself.

import type { ListedObject } from "../ports.ts";
import { compareUtf8 } from "./key-order.ts";
import type { Tail } from "./model.ts";

type Sample = Tail["samples"][number];

export const NO_TAIL: Tail = { samples: [] };

/** Of one stretch (objects in order); samples are at most `keysMax / 10` keys apart. */
export function tailOf(objects: readonly ListedObject[], keysMax: number): Tail {
  const step = stepOf(keysMax);
  const last = objects.slice(-(keysMax + 1));
  const samples: Sample[] = [];
  for (let at = 0; at < last.length; at += step) {
    samples.push({ key: last[at]?.key ?? "", keys: Math.min(step, last.length - at) });
  }
  return { samples };
}

/** Of disjoint stretches in any order: sorted by key, cut to what covers `keysMax` keys from the end. */
export function joinTails(tails: readonly Tail[], keysMax: number): Tail {
  const all = tails.flatMap((tail) => tail.samples).sort((a, b) => compareUtf8(a.key, b.key));
  return { samples: lastOf(thinned(all, stepOf(keysMax)), keysMax) };
}

/** A key with at least `keys` listed keys behind it, or "" when fewer are known; to be used as `after`. */
export function stepBack(tail: Tail, keys: number): string {
  const [first, ...rest] = lastOf(tail.samples, keys);
  const behind = (first?.keys ?? 0) - 1 + rest.reduce((sum, sample) => sum + sample.keys, 0);
  return first !== undefined && behind >= keys ? first.key : "";
}

/** Many short stretches leave many samples: neighbours become one as long as they stay within a step. */
function thinned(samples: readonly Sample[], step: number): readonly Sample[] {
  const kept: Sample[] = [];
  for (const sample of samples) {
    const before = kept.at(-1);
    if (before !== undefined && before.keys + sample.keys <= step) {
      kept[kept.length - 1] = { key: before.key, keys: before.keys + sample.keys };
    } else kept.push(sample);
  }
  return kept;
}

/** The fewest samples from the end that have `keys` keys behind the first of them; all when there are not as many. */
function lastOf(samples: readonly Sample[], keys: number): readonly Sample[] {
  let behind = -1;
  const at = samples.findLastIndex((sample) => {
    behind += sample.keys;
    return behind >= keys;
  });
  return at < 0 ? samples : samples.slice(at);
}

function stepOf(keysMax: number): number {
  return Math.max(1, Math.floor(keysMax / 10));
}
