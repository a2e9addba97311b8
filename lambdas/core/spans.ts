// Where the time of an invocation goes, by step of the path. Steps of one batch follow each other, so their sums are wall time.

import type { Clock } from "./ports.ts";

export type Step = "claim" | "fetch" | "inspect" | "convert" | "stage" | "seal";

export class Spans {
  readonly #clock: Clock;
  readonly #spentMs: Record<Step, number> = { claim: 0, fetch: 0, inspect: 0, convert: 0, stage: 0, seal: 0 };

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Milliseconds per step so far. */
  get spentMs(): Readonly<Record<Step, number>> {
    return { ...this.#spentMs };
  }

  async time<T>(step: Step, work: () => Promise<T>): Promise<T> {
    const fromMs = this.#clock.now();
    try {
      return await work();
    } finally {
      this.#spentMs[step] += this.#clock.now() - fromMs;
    }
  }
}
