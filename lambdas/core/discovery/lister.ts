// Lists key ranges with many requests at once: an idle lane takes the upper half of what another still has before it.

import type { BucketLister, Clock, ListedObject, Timer } from "../ports.ts";
import type { KeyRange } from "./model.ts";

/** A listed stretch: `objects` are all keys k below the prefix with after < k <= upTo, in order. */
export interface Stretch {
  readonly after: string;
  /** Absent: to the end of the prefix. */
  readonly upTo?: string;
  readonly objects: readonly ListedObject[];
}

export interface RangeListerOptions {
  readonly bucket: string;
  readonly prefix: string;
  /** Disjoint, in order. */
  readonly ranges: readonly KeyRange[];
  /** Requests at once, at most. */
  readonly concurrency: number;
  /** Called once for each stretch; stretches of one range come in order, one at a time. An error ends the listing. */
  visit(stretch: Stretch): Promise<void>;
  /** Asked before each request; once true nothing new is requested, and `run` ends when all that was requested is visited. */
  isOver(): boolean;
}

export interface ListerStats {
  readonly listRequests: number;
  /** Ranges begun, and how many of them came about by splitting. */
  readonly ranges: number;
  readonly splits: number;
  readonly throttled: number;
  /** Waited for S3, summed over lanes. */
  readonly listingMs: number;
}

export class RangeLister {
  constructor(
    _ports: { readonly lister: BucketLister; readonly clock: Clock; readonly timer: Timer },
    _options: RangeListerOptions,
  ) {
    throw new Error("to be built");
  }

  run(): Promise<void> {
    throw new Error("to be built");
  }

  /** What has not been visited yet, disjoint and in order; right at any moment, also while `run` is under way. */
  left(): readonly KeyRange[] {
    throw new Error("to be built");
  }

  get stats(): ListerStats {
    throw new Error("to be built");
  }
}
