// Virtual time. Everything that waits, waits here; the event that is due first runs next, ties in order of making. Between two
// events the macrotask queue drains, so every promise chain settles before time moves on. One seed decides everything.

import { createHash } from "node:crypto";
import type { Clock } from "../../lambdas/core/ports.ts";
import { SeededRandom } from "../fakes/seeded-random.ts";

interface Due {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

export class World implements Clock {
  readonly random: SeededRandom;
  readonly #hash = createHash("sha256");
  readonly #due: Due[] = [];
  readonly trace: string[] | undefined;
  #nowMs = Date.UTC(2026, 0, 1);
  #order = 0;

  constructor(seed: number, options: { readonly keepTrace: boolean }) {
    this.random = new SeededRandom(seed, this);
    this.trace = options.keepTrace ? [] : undefined;
  }

  now(): number {
    return this.#nowMs;
  }

  note(line: string): void {
    const stamped = `${this.#nowMs - Date.UTC(2026, 0, 1)} ${line}`;
    this.#hash.update(`${stamped}\n`);
    this.trace?.push(stamped);
  }

  digest(): string {
    return this.#hash.copy().digest("hex");
  }

  /** Whole milliseconds, from 0 to below `max`. */
  upTo(max: number): number {
    return Math.floor(this.random.fraction() * max);
  }

  chance(probability: number): boolean {
    return this.random.fraction() < probability;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.upTo(items.length)] as T;
  }

  at(atMs: number, run: () => void): void {
    const due = { atMs: Math.max(atMs, this.#nowMs), order: this.#order++, run };
    // Insertion from the end: most events are made for later than most that wait.
    let place = this.#due.length;
    while (place > 0 && isLater(this.#due[place - 1] as Due, due)) place--;
    this.#due.splice(place, 0, due);
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.at(this.#nowMs + ms, resolve));
  }

  /** Runs until nothing is due before `untilMs`, or `isOver` says that there is no point in going on. */
  async runUntil(untilMs: number, isOver: () => boolean): Promise<void> {
    for (;;) {
      await drained();
      if (isOver()) return;
      const next = this.#due[0];
      if (next === undefined || next.atMs > untilMs) break;
      this.#due.shift();
      this.#nowMs = next.atMs;
      next.run();
    }
    this.#nowMs = Math.max(this.#nowMs, untilMs);
  }
}

function isLater(a: Due, b: Due): boolean {
  return a.atMs > b.atMs || (a.atMs === b.atMs && a.order > b.order);
}

/** A macrotask boundary: all promise chains have run as far as they can. */
function drained(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
