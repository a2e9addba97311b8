// What discovery does unless `moraine.yaml` or a run's input says otherwise.

import type { Discovery } from "../config.ts";

const HOUR_MS = 3_600_000;

export const DISCOVERY_DEFAULTS = {
  /** LIST requests at once in one function; more than 64 find a function's processor busy. */
  concurrency: 32,
  concurrencyMax: 128,
  functionsMax: 8,
  lookbackKeys: 1000,
  overlapMs: HOUR_MS,
  lookbackMs: 7 * 24 * HOUR_MS,
  inventoryAgeMaxMs: 48 * HOUR_MS,
} as const;

/** Below the warehouse; `<folder>/<ledger id>/runs/<run id>/` and `…/seen/<ingestion>/`. */
export const DISCOVERY_FOLDER = "_moraine";

export const DEFAULT_DISCOVERY: Discovery = {
  events: true,
  listing: { strategy: "full" },
  schedules: [],
  concurrency: DISCOVERY_DEFAULTS.concurrency,
  functionsMax: DISCOVERY_DEFAULTS.functionsMax,
};
