// The `discovery` section of an ingestion in `moraine.yaml`: whether events bring its files, and which listings find them or prove
// that none was missed.

import type { Discovery } from "./config.ts";
import type { Section } from "./config-reader.ts";
import * as rules from "./config-rules.ts";
import { DEFAULT_DISCOVERY, DISCOVERY_DEFAULTS } from "./discovery/defaults.ts";
import { type Listing, STRATEGIES, type Strategy } from "./discovery/model.ts";

type Schedule = Discovery["schedules"][number];

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const EVERY = { fallback: HOUR, min: MINUTE, max: 366 * DAY, required: true };
const LOOKBACK_KEYS = { fallback: DISCOVERY_DEFAULTS.lookbackKeys, min: 1, max: 1_000_000 };
const OVERLAP = { fallback: DISCOVERY_DEFAULTS.overlapMs / 1000, min: MINUTE, max: 366 * DAY };
const LOOKBACK = { fallback: DISCOVERY_DEFAULTS.lookbackMs / 1000, min: MINUTE, max: 3660 * DAY };
const AGE = { fallback: DISCOVERY_DEFAULTS.inventoryAgeMaxMs / 1000, min: HOUR, max: 366 * DAY };

/** Without a section: by events. */
export function readDiscovery(section: Section | undefined): Discovery {
  if (section === undefined) return DEFAULT_DISCOVERY;
  const strategy = readStrategy(section, ["event_driven", ...STRATEGIES], "event_driven");
  const byEvents = strategy === undefined || strategy === "event_driven";
  const listing: Listing = byEvents ? { strategy: "full" } : readListing(section, strategy);
  const own = byEvents ? [] : [{ listing, everySeconds: readEvery(section) }];
  if (strategy === "event_driven" && section.has("every")) {
    section.complain("every", "is for listings, and event_driven lists nothing; move it into reconcile");
    readEvery(section);
  }
  const discovery: Discovery = {
    events: byEvents,
    listing,
    schedules: [...own, ...section.sections("reconcile").map(readReconcile)],
    concurrency: section.integer("concurrency", {
      fallback: DISCOVERY_DEFAULTS.concurrency,
      min: 1,
      max: DISCOVERY_DEFAULTS.concurrencyMax,
    }),
    functionsMax: section.integer("functionsMax", { fallback: DISCOVERY_DEFAULTS.functionsMax, min: 1, max: 1000 }),
  };
  // Which other keys there may be depends on the strategy.
  if (strategy !== undefined) section.close();
  return discovery;
}

function readReconcile(section: Section): Schedule {
  const strategy = readStrategy(section, STRATEGIES, "full");
  const listing: Listing = strategy === undefined ? { strategy: "full" } : readListing(section, strategy);
  const everySeconds = readEvery(section);
  if (strategy !== undefined) section.close();
  return { listing, everySeconds };
}

/** Undefined after a complaint. */
function readStrategy<T extends string>(section: Section, values: readonly T[], fallback: T): T | undefined {
  return section.has("strategy") ? section.choice("strategy", { values }) : fallback;
}

function readListing(section: Section, strategy: Strategy): Listing {
  switch (strategy) {
    case "full":
      return { strategy };
    case "incremental_lexical":
      return { strategy, lookbackKeys: section.integer("lookback", LOOKBACK_KEYS) };
    case "incremental_time":
      return { strategy, overlapMs: section.duration("lookback", OVERLAP) * 1000 };
    case "partitioned":
      return readPartitioned(section);
    case "inventory":
      return {
        strategy,
        location: section.string("location", { check: rules.checkInventoryLocation }).replace(/\/$/, ""),
        ageMaxMs: section.duration("ageMax", AGE) * 1000,
      };
  }
}

function readPartitioned(section: Section): Listing {
  const text = section.string("pattern", { check: rules.checkPartitionPattern });
  const lookbackMs = section.duration("lookback", LOOKBACK) * 1000;
  const complaint = rules.checkPartitions(text, lookbackMs);
  if (complaint !== undefined) section.complain("lookback", complaint);
  return { strategy: "partitioned", pattern: text, lookbackMs };
}

/** EventBridge counts in whole minutes. */
function readEvery(section: Section): number {
  const seconds = section.duration("every", EVERY);
  if (seconds % MINUTE !== 0) section.complain("every", `is ${seconds}s; write whole minutes, such as 1m, 6h or 1d`);
  return seconds;
}
