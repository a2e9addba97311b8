// A clock that stands still until a test moves it.

import type { Clock } from "../../lambdas/core/ports.ts";

export class ManualClock implements Clock {
  readonly calls = new Map<string, number>();
  #nowMs: number;

  constructor(nowMs = Date.UTC(2026, 0, 2, 3, 4, 5)) {
    this.#nowMs = nowMs;
  }

  now(): number {
    this.calls.set("now", (this.calls.get("now") ?? 0) + 1);
    return this.#nowMs;
  }

  /** Backwards too: real clocks jump both ways. */
  advance(ms: number): void {
    this.#nowMs += ms;
  }

  set(nowMs: number): void {
    this.#nowMs = nowMs;
  }
}
