// What a listed object comes to: out of scope, seen before, known to the ledger, or sent as an event. Cheapest question first.

import type { Ingestion } from "../config.ts";
import type { ObjectEvent } from "../events.ts";
import type { Clock, EventSink, Ledger, ListedObject } from "../ports.ts";
import type { Router } from "../routing.ts";
import type { Assumptions, Counts, RunInput } from "./model.ts";
import type { SeenReader } from "./seen.ts";

export interface CheckContext {
  readonly ports: { readonly ledger: Ledger; readonly clock: Clock; readonly events: EventSink };
  readonly ingestion: Ingestion;
  readonly route: Router;
  readonly input: RunInput;
  readonly runId: string;
  readonly assumptions: Assumptions;
  /** Absent: every file is asked for. */
  readonly seen?: SeenReader;
}

export interface Checked {
  /** All of `Counts` that checking knows. */
  readonly counts: Partial<Counts>;
  /** Objects whose fate the ledger confirmed (or the seen manifest did), in order: what the next run need not ask about. */
  readonly confirmed: readonly ListedObject[];
  /** What has to be sent; with a dry run: what would be. */
  readonly events: readonly ObjectEvent[];
}

/** `objects`: in order of their keys, of one bucket. Sends nothing. */
export function checkObjects(_context: CheckContext, _objects: readonly ListedObject[]): Promise<Checked> {
  throw new Error("to be built");
}

/** Packs events into messages and sends them; number of messages. Nothing is sent in a dry run. */
export function sendEvents(_context: CheckContext, _events: readonly ObjectEvent[]): Promise<number> {
  throw new Error("to be built");
}
