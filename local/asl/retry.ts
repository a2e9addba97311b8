// Which retrier or catcher an error name meets, and how long the next attempt waits. Pure.
// Invariant: States.Runtime meets none, and States.DataLimitExceeded only one that names it.
// Source: https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html

import type { Catcher, Retrier } from "./definition.ts";

const INTERVAL_SECONDS = 1;
const MAX_ATTEMPTS = 3;
const BACKOFF_RATE = 2;

export function matches(errorEquals: readonly string[], error: string): boolean {
  if (error === "States.Runtime") return false;
  if (errorEquals.includes(error)) return true;
  if (error === "States.DataLimitExceeded") return false;
  if (errorEquals.includes("States.ALL")) return true;
  return errorEquals.includes("States.TaskFailed") && error !== "States.Timeout";
}

export function catcherFor(catchers: readonly Catcher[] | undefined, error: string): Catcher | undefined {
  return catchers?.find((each) => matches(each.ErrorEquals, error));
}

/** Counts, for one visit of a state, how often each retrier has been used. */
export class Retries {
  readonly #retriers: readonly Retrier[];
  readonly #random: () => number;
  readonly #used = new Map<Retrier, number>();

  constructor(retriers: readonly Retrier[] | undefined, random: () => number) {
    this.#retriers = retriers ?? [];
    this.#random = random;
  }

  /** Seconds until the next attempt; undefined: there is none. */
  next(error: string): number | undefined {
    const retrier = this.#retriers.find((each) => matches(each.ErrorEquals, error));
    if (retrier === undefined) return undefined;
    const used = this.#used.get(retrier) ?? 0;
    if (used >= (retrier.MaxAttempts ?? MAX_ATTEMPTS)) return undefined;
    this.#used.set(retrier, used + 1);
    const seconds = delaySeconds(retrier, used);
    return retrier.JitterStrategy === "FULL" ? this.#random() * seconds : seconds;
  }
}

/** `attempt`: 0 before the first retry. */
export function delaySeconds(retrier: Retrier, attempt: number): number {
  const grown = (retrier.IntervalSeconds ?? INTERVAL_SECONDS) * (retrier.BackoffRate ?? BACKOFF_RATE) ** attempt;
  return Math.min(grown, retrier.MaxDelaySeconds ?? Number.POSITIVE_INFINITY);
}
