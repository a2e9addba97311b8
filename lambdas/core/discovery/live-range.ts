// One range of keys while it is listed: what is visited, what is received, and where it ends by now.
//
//     after ........ visited ........ listed ........................ upTo
//           done with      on its way         still to be requested, and what others may take from
//
// Invariant: after <= visited <= listed <= upTo in UTF-8 order, and `upTo` only ever moves down, to a place behind `listed`.

import { assert } from "../errors.ts";
import type { ListedObject, ListPage } from "../ports.ts";
import { compareUtf8 } from "./key-order.ts";
import type { KeyRange } from "./model.ts";

/** A listed stretch: `objects` are all keys k below the prefix with after < k <= upTo, in order. */
export interface Stretch {
  readonly after: string;
  /** Absent: to the end of the prefix. */
  readonly upTo?: string;
  readonly objects: readonly ListedObject[];
}

/** What lies behind `at` becomes a range of its own. */
export interface CutPoint {
  readonly at: string;
  /** A folder whose folders that range should ask for first. */
  readonly survey?: string | undefined;
}

/** Keys `first` to `last` as far apart as so many keys are. */
export interface Sample {
  readonly first: string;
  readonly last: string;
  readonly keys: number;
}

/** Parts that were cut together and are all empty say no more than one. */
const MISSES_MAX = 2;
/** Part of a page that counts as its end. */
const PAGE_END = 0.2;

export class LiveRange {
  upTo: string | undefined;
  /** Received up to here. */
  listed: string;
  begun = false;
  /** Everything up to `upTo` is received. */
  ended = false;
  pages = 0;
  lastPage: Sample | undefined;
  /** The end of the last page: keys may have become denser within it. */
  lastPageEnd: Sample | undefined;
  /** All pages so far. */
  history: Sample | undefined;
  /** How often in a row what was taken from here turned out to hold nothing. */
  misses = 0;
  /** Its first page is asked for folded at this prefix, to learn what folders there are. */
  readonly survey: string | undefined;
  /** Places to cut at that are known, not guessed: folders, in order. */
  folders: readonly string[] = [];
  /** Whom this range was taken from, until its first page tells whether that was worth it. */
  readonly takenFrom: LiveRange | undefined;
  #visited: string;

  constructor({ after, upTo }: KeyRange, takenFrom?: LiveRange, survey?: string) {
    this.#visited = after;
    this.listed = after;
    this.upTo = upTo;
    this.takenFrom = takenFrom;
    this.survey = survey;
  }

  /** The page behind `listed`. What lies beyond `upTo`, which may have moved since the request, is somebody else's. */
  receive(page: ListPage): Stretch {
    assert(!this.ended, "a page came for a range that has ended");
    const { upTo } = this;
    const [first] = page.objects;
    assert(first === undefined || compareUtf8(first.key, this.listed) > 0, "a listing went backwards");
    const objects = upTo === undefined ? page.objects : page.objects.slice(0, countUpTo(page.objects, upTo));
    const last = objects.at(-1);
    const after = this.listed;
    this.ended = !page.truncated || objects.length < page.objects.length || last?.key === upTo;
    assert(this.ended || last !== undefined, "a page that is not the last one holds no key");
    this.#remember(objects);
    if (!this.ended && last !== undefined) {
      this.listed = last.key;
      return { after, upTo: last.key, objects };
    }
    return upTo === undefined ? { after, objects } : { after, upTo, objects };
  }

  visited({ upTo }: Stretch): void {
    if (upTo !== undefined) this.#visited = upTo;
  }

  /** Gives everything behind `at` away. */
  cut({ at, survey }: CutPoint): LiveRange {
    assert(compareUtf8(this.listed, at) < 0, "a range was cut where it is listed already");
    assert(this.upTo === undefined || compareUtf8(at, this.upTo) < 0, "a range was cut behind its end");
    const upper = new LiveRange(rangeOf(at, this.upTo), this, survey);
    this.upTo = at;
    return upper;
  }

  isWithin(key: string): boolean {
    return compareUtf8(this.listed, key) < 0 && (this.upTo === undefined || compareUtf8(key, this.upTo) < 0);
  }

  get left(): KeyRange {
    return rangeOf(this.#visited, this.upTo);
  }

  #remember(objects: readonly ListedObject[]): void {
    const first = objects[0]?.key;
    const last = objects.at(-1)?.key;
    if (this.pages++ === 0 && this.takenFrom !== undefined) {
      this.takenFrom.misses = first === undefined ? Math.min(MISSES_MAX, this.takenFrom.misses + 1) : 0;
    }
    if (first === undefined || last === undefined) return;
    this.misses = Math.max(0, this.misses - 1);
    const endKeys = Math.ceil(objects.length * PAGE_END);
    this.lastPageEnd = { first: objects.at(-endKeys)?.key ?? first, last, keys: endKeys };
    this.lastPage = { first, last, keys: objects.length };
    this.history = {
      first: this.history?.first ?? first,
      last,
      keys: (this.history?.keys ?? 0) + objects.length,
    };
  }
}

function rangeOf(after: string, upTo: string | undefined): KeyRange {
  return upTo === undefined ? { after } : { after, upTo };
}

function countUpTo(objects: readonly ListedObject[], upTo: string): number {
  let low = 0;
  let high = objects.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareUtf8(objects[middle]?.key ?? "", upTo) <= 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
