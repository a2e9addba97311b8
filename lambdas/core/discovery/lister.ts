// Lists key ranges with many requests at once: an idle lane takes the upper part of what another still has before it.
// A taken part is a range of its own from the moment it is cut, whether or not a key turns out to be in it, so at any moment the
// ranges tile what was asked for, and `left` is exact. Where to cut is splitting.ts's guess.

import type { BucketLister, Clock, ListPage, ListRequest, Timer } from "../ports.ts";
import { Governor } from "./governor.ts";
import { KeySpace } from "./key-space.ts";
import { type CutPoint, LiveRange, type Stretch } from "./live-range.ts";
import type { KeyRange } from "./model.ts";
import { chooseCuts } from "./splitting.ts";

export type { Stretch };

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
  readonly #lister: BucketLister;
  readonly #options: RangeListerOptions;
  readonly #governor: Governor;
  readonly #space = new KeySpace();
  /** Not fully visited, in order. */
  readonly #ranges: LiveRange[];
  /** Keys of the fullest page so far. */
  #pageKeys = 1;
  #begun = 0;
  #splits = 0;
  #filling = false;
  readonly #lanes = new Set<LiveRange>();
  readonly #finished = Promise.withResolvers<void>();
  #failure: { readonly error: unknown } | undefined;

  constructor(
    ports: { readonly lister: BucketLister; readonly clock: Clock; readonly timer: Timer },
    options: RangeListerOptions,
  ) {
    this.#lister = ports.lister;
    this.#options = options;
    this.#governor = new Governor(ports, options.concurrency);
    this.#ranges = options.ranges.map((range) => new LiveRange(range));
  }

  async run(): Promise<void> {
    this.#fill();
    if (this.#lanes.size > 0) await this.#finished.promise;
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** What has not been visited yet, disjoint and in order; right at any moment, also while `run` is under way. */
  left(): readonly KeyRange[] {
    return this.#ranges.map((range) => range.left);
  }

  get stats(): ListerStats {
    return {
      listRequests: this.#governor.requests,
      ranges: this.#begun,
      splits: this.#splits,
      throttled: this.#governor.throttled,
      listingMs: this.#governor.waitedMs,
    };
  }

  #isOver(): boolean {
    return this.#failure !== undefined || this.#options.isOver();
  }

  #fill(): void {
    try {
      if (!this.#isOver()) this.#putToWork();
    } catch (error) {
      this.#failure ??= { error };
    }
  }

  /** Idle lanes begin ranges nobody has begun, then parts of others. */
  #putToWork(): void {
    for (const range of this.#ranges) {
      if (this.#idle() <= 0) return;
      if (!range.begun) this.#begin(range);
    }
    const { prefix } = this.#options;
    const idle = this.#idle();
    if (idle <= 0) return;
    const cuts = chooseCuts({ ranges: this.#ranges, prefix, space: this.#space, idle, pageKeys: this.#pageKeys });
    for (const { range, points } of cuts) for (const point of points.toReversed()) this.#split(range, point);
  }

  #idle(): number {
    return this.#governor.permitted - this.#lanes.size;
  }

  #split(range: LiveRange, point: CutPoint): void {
    const upper = range.cut(point);
    this.#ranges.splice(this.#ranges.indexOf(range) + 1, 0, upper);
    this.#splits++;
    this.#begin(upper);
  }

  #begin(range: LiveRange): void {
    range.begun = true;
    this.#begun++;
    this.#lanes.add(range);
    void this.#drive(range)
      .catch((error: unknown) => {
        this.#failure ??= { error };
      })
      .then(() => this.#end(range));
  }

  #end(range: LiveRange): void {
    this.#lanes.delete(range);
    if (this.#lanes.size === 0) this.#fill();
    else this.#fillSoon();
    if (this.#lanes.size === 0) this.#finished.resolve();
  }

  /** Once for all pages that arrive together, and when each of them has been taken in. */
  #fillSoon(): void {
    if (this.#filling) return;
    this.#filling = true;
    void Promise.resolve().then(() => {
      this.#filling = false;
      this.#fill();
    });
  }

  async #drive(range: LiveRange): Promise<void> {
    let next = this.#request(range);
    for (;;) {
      const page = await next;
      if (page === undefined || this.#failure !== undefined) return;
      const stretch = this.#receive(range, page);
      if (!range.ended) next = this.#request(range);
      this.#fillSoon();
      try {
        await this.#options.visit(stretch);
      } catch (error) {
        this.#failure ??= { error };
        await next.catch(() => {});
        return;
      }
      range.visited(stretch);
      if (range.ended) {
        this.#ranges.splice(this.#ranges.indexOf(range), 1);
        return;
      }
    }
  }

  #receive(range: LiveRange, page: ListPage): Stretch {
    if (page.truncated) this.#pageKeys = Math.max(this.#pageKeys, page.objects.length);
    const stretch = range.receive(page);
    this.#space.learn(stretch.objects);
    return stretch;
  }

  #request(range: LiveRange): Promise<ListPage | undefined> {
    const page =
      range.pages === 0 && range.survey !== undefined ? this.#survey(range, range.survey) : this.#next(range);
    // It may fail while the stretch before it is visited, when nobody waits for it yet.
    page.catch(() => {});
    return page;
  }

  /** The page behind what the range has received. */
  #next({ listed }: LiveRange): Promise<ListPage | undefined> {
    return this.#ask({ prefix: this.#options.prefix, after: listed });
  }

  /** Learns what folders there are below `folder`. Without any, the page is as good as an ordinary one, if it is of the whole range. */
  async #survey(range: LiveRange, folder: string): Promise<ListPage | undefined> {
    const page = await this.#ask({ prefix: folder, after: range.listed, folded: true });
    if (page === undefined) return undefined;
    // A range up to the very end of the folder ("in/a0" for "in/a/") holds one key that is not in it.
    const whole = folder === this.#options.prefix || range.upTo?.startsWith(folder);
    if (page.folders.length === 0 && (whole || page.truncated)) return page;
    range.folders = page.folders;
    this.#fillSoon();
    return this.#next(range);
  }

  #ask({ after, ...request }: Omit<ListRequest, "bucket">): Promise<ListPage | undefined> {
    const { bucket } = this.#options;
    return this.#governor.ask(
      (mayAskOn) => this.#lister.page({ bucket, ...request, ...(after === "" ? {} : { after }) }, mayAskOn),
      () => this.#isOver(),
    );
  }
}
