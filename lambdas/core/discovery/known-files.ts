// Who may say that a version's fate is on record without asking the ledger, and in which order they are asked.
//
//   seen manifest  ->  cache shared between functions  ->  ledger (verdict.ts), the only one whose answer is added to the cache
//
// Invariant: only what the ledger confirmed is ever added (check.ts, at one place), and such a fate never changes. So an entry that is
// missing, evicted or unreadable costs reads, and there is no entry that has become wrong.

import type { IngestionId } from "../ids.ts";
import type { ListedObject } from "../ports.ts";

/** Answers from somewhere cheaper than the ledger; true only for versions whose fate is on record. */
export interface KnownFiles {
  /** One answer of each object, in order. */
  has(objects: readonly ListedObject[]): Promise<readonly boolean[]>;
}

/** Shared between functions. Neither method throws or waits long: what a cache that is slow or away would have known is not known. */
export interface KnownFilesCache extends KnownFiles {
  /** Only versions whose fate the ledger confirmed. */
  add(confirmed: readonly ListedObject[]): Promise<void>;
}

export type KnownFilesCaches = (ingestion: IngestionId, bucket: string) => KnownFilesCache;

/** Asks one after the other, each only for what none before it knew. Absent ones know nothing. */
export function inTurn(...sources: readonly (KnownFiles | undefined)[]): KnownFiles {
  return {
    async has(objects) {
      const known = new Array<boolean>(objects.length).fill(false);
      for (const source of sources) {
        const open = [...known.keys()].filter((at) => known[at] !== true);
        if (source === undefined || open.length === 0) continue;
        const answers = await source.has(open.map((at) => objects[at] as ListedObject));
        for (const [index, at] of open.entries()) known[at] = answers[index] === true;
      }
      return known;
    },
  };
}
