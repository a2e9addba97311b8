// How many requests S3 is asked at once: halved when it says to slow down, raised by one for every round that went well.
// A request that was refused waits (full jitter) without holding a place, and is made again until the listing is over.

import { isKind } from "../errors.ts";
import type { Clock, MayAskOn, Timer } from "../ports.ts";

/** Tries of a request that S3 did not answer; those it throttled do not count. */
const TRIES_MAX = 6;
const BACKOFF_FIRST_MS = 100;
const BACKOFF_MAX_MS = 5_000;
/** The fractions of its multiples are spread evenly, whatever their number: jitter without randomness. */
const GOLDEN = 0.618_033_988_749_894_9;

export class Governor {
  readonly #ports: { readonly clock: Clock; readonly timer: Timer };
  readonly #max: number;
  readonly #waiting: (() => void)[] = [];
  #permitted: number;
  #inFlight = 0;
  #jitter: number;
  /** Counts reductions: requests begun before the last one say nothing new. */
  #reductions = 0;
  #throttledInARow = 0;
  requests = 0;
  throttled = 0;
  waitedMs = 0;

  constructor(ports: { readonly clock: Clock; readonly timer: Timer }, max: number) {
    this.#ports = ports;
    this.#max = max;
    this.#permitted = max;
    this.#jitter = (ports.clock.now() * GOLDEN) % 1;
  }

  /** Requests at once by now. */
  get permitted(): number {
    return Math.floor(this.#permitted);
  }

  /** Undefined: over before an answer was had. */
  async ask<T>(request: (mayAskOn: MayAskOn) => Promise<T>, isOver: () => boolean): Promise<T | undefined> {
    for (let failures = 0; ; ) {
      const outcome = await this.#attempt(request, isOver);
      if (outcome.kind !== "failed") return outcome.kind === "answered" ? outcome.answer : undefined;
      if (!isKind(outcome.error, "Unavailable")) throw outcome.error;
      const throttled = outcome.error.context["throttled"] === true;
      if (!throttled && ++failures >= TRIES_MAX) throw outcome.error;
      if (isOver()) return undefined;
      await this.#ports.timer.sleep(this.#backoffMs(throttled ? this.#throttledInARow : failures));
    }
  }

  async #attempt<T>(request: (mayAskOn: MayAskOn) => Promise<T>, isOver: () => boolean): Promise<Attempt<T>> {
    await this.#enter();
    if (isOver()) {
      this.#leave();
      return { kind: "over" };
    }
    const reductions = this.#reductions;
    const startedMs = this.#ports.clock.now();
    const mayAsk = () => {
      if (isOver()) return false;
      this.requests++;
      return true;
    };
    this.requests++;
    try {
      const answer = await request(mayAsk);
      this.#succeeded();
      return { kind: "answered", answer };
    } catch (error) {
      if (isKind(error, "Unavailable") && error.context["throttled"] === true) this.#slowDown(reductions);
      return { kind: "failed", error };
    } finally {
      this.waitedMs += this.#ports.clock.now() - startedMs;
      this.#leave();
    }
  }

  async #enter(): Promise<void> {
    while (this.#inFlight >= this.permitted) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#inFlight++;
  }

  #leave(): void {
    this.#inFlight--;
    for (let free = this.permitted - this.#inFlight; free > 0; free--) this.#waiting.shift()?.();
  }

  #succeeded(): void {
    this.#throttledInARow = 0;
    this.#permitted = Math.min(this.#max, this.#permitted + 1 / this.#permitted);
  }

  #slowDown(reductionsBefore: number): void {
    this.throttled++;
    if (reductionsBefore !== this.#reductions) return;
    this.#reductions++;
    this.#throttledInARow++;
    this.#permitted = Math.max(1, this.#permitted / 2);
  }

  #backoffMs(failures: number): number {
    this.#jitter = (this.#jitter + GOLDEN) % 1;
    return this.#jitter * Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** failures);
  }
}

type Attempt<T> =
  | { readonly kind: "answered"; readonly answer: T }
  | { readonly kind: "failed"; readonly error: unknown }
  | { readonly kind: "over" };
