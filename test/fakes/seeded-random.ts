// Randomness from one seed: the same seed gives the same run (mulberry32). With a clock, uuids carry its time as version 7
// does, so ids sort by time of making as they do in production.

import { uuidV7 } from "../../lambdas/adapters/system.ts";
import type { Clock, Random } from "../../lambdas/core/ports.ts";

export class SeededRandom implements Random {
  readonly calls = new Map<string, number>();
  #state: number;
  readonly #clock: Clock | undefined;

  constructor(seed: number, clock?: Clock) {
    this.#state = seed >>> 0;
    this.#clock = clock;
  }

  uuid(): string {
    this.#count("uuid");
    const bytes = Uint8Array.from({ length: 10 }, () => this.#next() >>> 24);
    return uuidV7(this.#clock?.now() ?? 0, bytes);
  }

  fraction(): number {
    this.#count("fraction");
    return this.#next() / 2 ** 32;
  }

  #next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let word = this.#state;
    word = Math.imul(word ^ (word >>> 15), word | 1);
    word ^= word + Math.imul(word ^ (word >>> 7), word | 61);
    return (word ^ (word >>> 14)) >>> 0;
  }

  #count(method: string): void {
    this.calls.set(method, (this.calls.get(method) ?? 0) + 1);
  }
}
