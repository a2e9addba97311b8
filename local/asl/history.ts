// The events of one execution, as GetExecutionHistory shows them. Payloads are kept as the JSON text they are shown as.
// Invariant: ids count from 1 without a gap, and there are at most 25,000: the execution that would need one more fails.

import { runtimeError } from "./failure.ts";

export interface HistoryEvent {
  readonly id: number;
  readonly previousEventId: number;
  /** Epoch seconds. */
  readonly timestamp: number;
  readonly type: string;
  readonly [details: string]: unknown;
}

/** One line of events: a branch or an iteration has its own, beginning where its parent stood. */
export interface Trail {
  previous: number;
}

export const HISTORY_EVENTS_MAX = 25_000;
/** Room for the event that tells of the end. */
const LAST_WORDS = new Set(["ExecutionSucceeded", "ExecutionFailed", "ExecutionAborted", "ExecutionTimedOut"]);

export class History {
  readonly events: HistoryEvent[] = [];
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** `detailsName`: such as `stateEnteredEventDetails`. */
  add(trail: Trail, type: string, detailsName?: string, details: Readonly<Record<string, unknown>> = {}): void {
    if (this.events.length >= HISTORY_EVENTS_MAX - 1 && !LAST_WORDS.has(type)) {
      throw runtimeError(`The execution reached the maximum number of history events (${HISTORY_EVENTS_MAX}).`);
    }
    const id = this.events.length + 1;
    const named = detailsName === undefined ? {} : { [detailsName]: details };
    this.events.push({ id, previousEventId: trail.previous, timestamp: this.#now() / 1000, type, ...named });
    trail.previous = id;
  }
}

/** The two fields every payload in an event has. */
export function payload(name: "input" | "output", content: unknown): Readonly<Record<string, unknown>> {
  return { [name]: JSON.stringify(content), [`${name}Details`]: { truncated: false } };
}
