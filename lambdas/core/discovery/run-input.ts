// The input of a run, from unknown JSON to what every part of discovery reads. docs/backfill.md lists the fields; the words are those of
// the `discovery` section of moraine.yaml, and what the input does not say is as it is there.

import type { Ingestion, MoraineConfig } from "../config.ts";
import { checkGlob, checkPartitions } from "../config-rules.ts";
import { MoraineError } from "../errors.ts";
import { DISCOVERY_DEFAULTS } from "./defaults.ts";
import { type Listing, type RunInput, type Scope, STRATEGIES, type Strategy, type Trigger } from "./model.ts";
import { readPattern } from "./partitions.ts";
import { listingOf } from "./run-assumptions.ts";
import { type Bounds, InputReader } from "./run-input-reader.ts";

const TRIGGERS: readonly Trigger[] = ["console", "command", "schedule"];
const BYTES: Bounds = { min: 0, max: Number.MAX_SAFE_INTEGER };
const LOOKBACK_KEYS: Bounds = { min: 1, max: 1_000_000 };
const CONCURRENCY: Bounds = { min: 1, max: DISCOVERY_DEFAULTS.concurrencyMax };
const DAY_MS = 86_400_000;
/** As in moraine.yaml. */
const OVERLAP_MAX_MS = 366 * DAY_MS;
const LOOKBACK_MAX_MS = 3660 * DAY_MS;

export interface ReadInput {
  readonly input: RunInput;
  /** Not to take a failed run up again. */
  readonly fresh: boolean;
}

/** Throws Invalid with all complaints, each naming the field and the remedy. */
export function readRunInput(config: MoraineConfig, raw: unknown): ReadInput {
  const reader = new InputReader(raw);
  const ingestion = readIngestion(reader, config);
  const scope = readScope(reader, ingestion);
  const strategy = readStrategy(reader, ingestion, scope);
  const listing = readListing(reader, config, ingestion, strategy);
  const window = readWindow(reader, listing);
  const trigger = reader.choice("trigger", TRIGGERS) ?? "console";
  const concurrency = reader.whole("concurrency", CONCURRENCY) ?? ingestion?.discovery.concurrency;
  const flags = { dryRun: reader.flag("dryRun"), checkAll: reader.flag("checkAll") };
  const fresh = reader.flag("fresh");
  reader.close();
  const { complaints } = reader;
  if (ingestion === undefined || listing === undefined || concurrency === undefined || complaints.length > 0) {
    throw new MoraineError("Invalid", `the run's input cannot be used: ${complaints.join("; ")}`);
  }
  const input = { ingestion: ingestion.id, listing, scope, ...window, ...flags, trigger, concurrency };
  return { input, fresh };
}

function readIngestion(reader: InputReader, config: MoraineConfig): Ingestion | undefined {
  const id = reader.text("ingestion");
  const ids = config.ingestions.map((ingestion) => ingestion.id);
  const found = config.ingestions.find((ingestion) => ingestion.id === id);
  if (found !== undefined) return found;
  const remedy = `use ${ids.join(", ")}`;
  reader.complain(
    "ingestion",
    id === undefined ? `is missing; ${remedy}` : `${JSON.stringify(id)} is not configured; ${remedy}`,
  );
  return undefined;
}

/** What the input says about the ingestion's own way of listing. */
const LISTING_FIELDS = ["dateFrom", "dateTo", "pattern", "lookback", "overlap", "inventory"];

/**
 * Whoever names a part of the files - by key, time or size - wants what is there, and not the news that the ingestion's own listing
 * looks for: a cursor, or a look-back, would leave out most of it without a word.
 */
function readStrategy(reader: InputReader, ingestion: Ingestion | undefined, scope: Scope): Strategy | undefined {
  const isPart = Object.keys(scope).length > 0;
  const isOwn = !isPart || LISTING_FIELDS.some((name) => reader.has(name));
  const strategy =
    reader.choice("strategy", STRATEGIES) ?? (isOwn ? ingestion?.discovery.listing.strategy : ("full" as const));
  if (strategy === "incremental_lexical" && scope.prefix !== undefined) {
    reader.complain("prefix", "is not for incremental_lexical, which lists what is behind its cursor; name full");
  }
  return strategy;
}

/** The strategy's own options, from the input, else from where the ingestion configures it, else the defaults. */
function readListing(
  reader: InputReader,
  config: MoraineConfig,
  ingestion: Ingestion | undefined,
  strategy: Strategy | undefined,
): Listing | undefined {
  const options = readOptions(reader, strategy);
  if (ingestion === undefined) return undefined;
  switch (strategy) {
    case undefined:
    case "full":
      return { strategy: "full" };
    case "incremental_lexical": {
      const configured = listingOf(strategy, undefined, ingestion)?.lookbackKeys;
      return { strategy, lookbackKeys: options.lookbackKeys ?? configured ?? DISCOVERY_DEFAULTS.lookbackKeys };
    }
    case "incremental_time": {
      const configured = listingOf(strategy, undefined, ingestion)?.overlapMs;
      return { strategy, overlapMs: options.overlapMs ?? configured ?? DISCOVERY_DEFAULTS.overlapMs };
    }
    case "partitioned": {
      const configured = listingOf(strategy, undefined, ingestion);
      const pattern = options.pattern ?? configured?.pattern;
      const lookbackMs = options.lookbackMs ?? configured?.lookbackMs ?? DISCOVERY_DEFAULTS.lookbackMs;
      if (pattern !== undefined) {
        // A window says the dates itself.
        const complaint = reader.has("dateFrom") ? undefined : checkPartitions(pattern, lookbackMs);
        if (complaint !== undefined) reader.complain("lookback", complaint);
        return { strategy, pattern, lookbackMs };
      }
      reader.complain("pattern", "is missing, and the ingestion has none; give one, such as %Y/%m/%d");
      return undefined;
    }
    case "inventory": {
      const [own, all] = [inventoriesOf(ingestion), config.ingestions.flatMap(inventoriesOf)];
      const location = options.location ?? own[0]?.location;
      const configured = [...own, ...all].find((listing) => listing.location === location);
      if (configured !== undefined) return configured;
      const known = new Set(all.map((listing) => listing.location));
      const remedy = known.size === 0 ? "add" : `use ${[...known].join(", ")}, or add`;
      // The functions may read no other: the stack grants what is configured.
      reader.complain(
        "inventory",
        `${location === undefined ? "is missing" : "is not configured"}; ${remedy} its location to discovery in moraine.yaml and deploy`,
      );
      return undefined;
    }
  }
}

function inventoriesOf({ discovery }: Ingestion): readonly Extract<Listing, { strategy: "inventory" }>[] {
  return [discovery.listing, ...discovery.schedules.map(({ listing }) => listing)].filter(
    (listing) => listing.strategy === "inventory",
  );
}

function readOptions(reader: InputReader, strategy: Strategy | undefined) {
  const isFor = (name: string, wanted: readonly Strategy[]) => {
    const fits = strategy !== undefined && wanted.includes(strategy);
    if (reader.has(name) && !fits)
      reader.complain(name, `is for ${wanted.join(" and ")}; remove it or name that strategy`);
    return fits;
  };
  const pattern = isFor("pattern", ["partitioned"])
    ? reader.text("pattern", (text) => readPattern(text).complaint)
    : undefined;
  const location = isFor("inventory", ["inventory"]) ? reader.text("inventory")?.replace(/\/$/, "") : undefined;
  const overlapMs = isFor("overlap", ["incremental_time"]) ? reader.duration("overlap", OVERLAP_MAX_MS) : undefined;
  isFor("lookback", ["partitioned", "incremental_lexical"]);
  const lookbackMs = strategy === "partitioned" ? reader.duration("lookback", LOOKBACK_MAX_MS) : undefined;
  const lookbackKeys = strategy === "incremental_lexical" ? reader.whole("lookback", LOOKBACK_KEYS) : undefined;
  return { pattern, location, overlapMs, lookbackMs, lookbackKeys };
}

/** Dates are whole days, both included. */
function readWindow(reader: InputReader, listing: Listing | undefined): Pick<RunInput, "window"> {
  const given = ["dateFrom", "dateTo"].filter((name) => reader.has(name));
  const fromMs = reader.date("dateFrom");
  const lastMs = reader.date("dateTo");
  if (given.length === 0) return {};
  if (listing !== undefined && listing.strategy !== "partitioned") {
    for (const name of given)
      reader.complain(name, "is for partitioned; for other strategies use modifiedFrom and modifiedBefore");
  }
  if (given.length === 1)
    reader.complain(given[0] === "dateFrom" ? "dateTo" : "dateFrom", "is missing; give both dates");
  if (fromMs === undefined || lastMs === undefined) return {};
  if (lastMs < fromMs) reader.complain("dateTo", "lies before dateFrom; exchange the two");
  const complaint =
    listing?.strategy === "partitioned" ? checkPartitions(listing.pattern, lastMs + DAY_MS - fromMs) : undefined;
  if (complaint !== undefined) reader.complain("dateTo", complaint);
  return { window: { fromMs, toMs: lastMs + DAY_MS } };
}

function readScope(reader: InputReader, ingestion: Ingestion | undefined): Scope {
  const below = ingestion?.source.prefix ?? "";
  const checkPrefix = (text: string) =>
    text.startsWith(below)
      ? undefined
      : `${JSON.stringify(text)} lies outside the ingestion; begin with ${JSON.stringify(below)}`;
  const fields = {
    prefix: reader.text("prefix", checkPrefix),
    include: reader.texts("include", checkGlob),
    exclude: reader.texts("exclude", checkGlob),
    modifiedFromMs: reader.instant("modifiedFrom"),
    modifiedBeforeMs: reader.instant("modifiedBefore"),
    sizeBytesMin: reader.whole("sizeBytesMin", BYTES),
    sizeBytesMax: reader.whole("sizeBytesMax", BYTES),
  };
  isOrdered(reader, "modifiedBefore", fields.modifiedFromMs, fields.modifiedBeforeMs);
  isOrdered(reader, "sizeBytesMax", fields.sizeBytesMin, fields.sizeBytesMax);
  const isGiven = ([name, value]: [string, unknown]) =>
    value !== undefined && !(name === "prefix" && value === below) && !(Array.isArray(value) && value.length === 0);
  return Object.fromEntries(Object.entries(fields).filter(isGiven)) as Scope;
}

function isOrdered(reader: InputReader, name: string, low: number | undefined, high: number | undefined): void {
  if (low !== undefined && high !== undefined && high < low)
    reader.complain(name, "is below its lower bound; exchange the two");
}
