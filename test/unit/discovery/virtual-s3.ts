// S3 in virtual time: every request takes one unit, whatever begins in a unit is answered at its end, and the processor costs nothing.

import { setImmediate as drained } from "node:timers/promises";
import { type ListerStats, RangeLister, type Stretch } from "../../../lambdas/core/discovery/lister.ts";
import type { KeyRange } from "../../../lambdas/core/discovery/model.ts";
import type { BucketLister, Clock, ListPage, ListRequest, MayAskOn, Timer } from "../../../lambdas/core/ports.ts";

export const UNIT_MS = 60;

export class VirtualS3 implements BucketLister, Clock, Timer {
  units = 0;
  /** Requests in flight, per unit. */
  readonly inFlight: number[] = [];
  #waiting: (() => void)[] = [];
  #sleeping: { readonly untilMs: number; readonly wake: () => void }[] = [];
  readonly #lister: BucketLister;

  constructor(lister: BucketLister) {
    this.#lister = lister;
  }

  now(): number {
    return this.units * UNIT_MS;
  }

  sleep(ms: number): Promise<void> {
    return new Promise((wake) => this.#sleeping.push({ untilMs: this.now() + ms, wake }));
  }

  async page(request: ListRequest, mayAskOn?: MayAskOn): Promise<ListPage> {
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
    return this.#lister.page(request, mayAskOn);
  }

  /** Lets time pass until `work` has ended. */
  async run(work: Promise<void>): Promise<void> {
    let over = false;
    const ended = work.finally(() => {
      over = true;
    });
    ended.catch(() => {});
    for (await drained(); !over; await drained()) {
      this.units++;
      this.inFlight.push(this.#waiting.length);
      const answered = this.#waiting;
      this.#waiting = [];
      for (const answer of answered) answer();
      const due = this.#sleeping.filter(({ untilMs }) => untilMs <= this.now());
      this.#sleeping = this.#sleeping.filter(({ untilMs }) => untilMs > this.now());
      for (const { wake } of due) wake();
    }
    await ended;
  }
}

export interface Measured extends ListerStats {
  readonly units: number;
  readonly keys: number;
  readonly inFlight: readonly number[];
}

export async function measure(
  lister: BucketLister,
  options: { readonly prefix: string; readonly ranges: readonly KeyRange[]; readonly concurrency: number },
  visit: (stretch: Stretch) => void = () => {},
): Promise<Measured> {
  const s3 = new VirtualS3(lister);
  let keys = 0;
  const ranges = new RangeLister(
    { lister: s3, clock: s3, timer: s3 },
    {
      bucket: "b",
      ...options,
      visit: async (stretch) => {
        keys += stretch.objects.length;
        visit(stretch);
      },
      isOver: () => false,
    },
  );
  await s3.run(ranges.run());
  return { ...ranges.stats, units: s3.units, keys, inFlight: s3.inFlight };
}
