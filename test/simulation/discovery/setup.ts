// One seed's configuration: an ingestion found by one of the strategies, another one below its prefix, and the limits at the scale of a
// simulation: leases run out, checkpoints are made and runs are forgotten within minutes.

import type { Ingestion, MoraineConfig } from "../../../lambdas/core/config.ts";
import { DEFAULT_DISCOVERY } from "../../../lambdas/core/discovery/defaults.ts";
import { type Listing, STRATEGIES, type Strategy } from "../../../lambdas/core/discovery/model.ts";
import type { RunLimits } from "../../../lambdas/core/discovery/run-limits.ts";
import type { IngestionId } from "../../../lambdas/core/ids.ts";
import { INGESTIONS } from "../settings.ts";
import type { World } from "../world.ts";
import { BUCKET } from "./bucket.ts";
import { INVENTORY_LOCATION } from "./inventory-report.ts";
import { LAYOUTS, type LayoutName, NESTED_PREFIX, PATTERN, PREFIX, TAKEN_PREFIX } from "./layouts.ts";

export const MAIN = "main" as IngestionId;
export const NESTED = "nested" as IngestionId;

/** How long an invocation lives; how long the state machine waits for it, when it is not impatient. */
export const INVOCATION_MS = 6_000;

export const LIMITS: RunLimits = {
  leaseMs: 15_000,
  resumeWithinMs: 60_000,
  checkpointEveryMs: 150,
  heldBytesMax: 10_000,
  idleRoundsMax: 6,
  recordsKeptMs: 3_600_000,
  eventGraceMs: 12_000,
  parallelism: 4,
};

const DAY_MS = 86_400_000;

export interface Setup {
  readonly layout: LayoutName;
  readonly listing: Listing;
  readonly config: MoraineConfig;
  /** Until it is deployed: another ingestion takes some of the main one's keys. */
  readonly firstConfig: MoraineConfig;
  readonly main: Ingestion;
  readonly pageKeys: number;
  readonly objectsMax: number;
  readonly eventsLost: number;
}

export function setUp(world: World): Setup {
  const strategy = world.pick(STRATEGIES);
  const layout = strategy === "partitioned" ? "dates" : world.pick(LAYOUTS);
  const listing = listingOf(strategy, world);
  const base = INGESTIONS[0] as Ingestion;
  const discovery = {
    ...DEFAULT_DISCOVERY,
    events: world.chance(0.6),
    listing,
    concurrency: 1 + world.upTo(4),
    functionsMax: 1 + world.upTo(4),
  };
  const batch = { filesMax: 20, bytesMax: 1_000_000 };
  const of = (id: IngestionId, prefix: string, exclude: readonly string[]): Ingestion => ({
    ...base,
    id,
    batch,
    discovery,
    source: { bucket: BUCKET, prefix, include: [], exclude },
    target: { ...base.target, table: id },
  });
  const main = of(MAIN, PREFIX, ["skip-*"]);
  const config = {
    landing: [{ bucket: BUCKET, existing: false }],
    warehouse: { bucket: "warehouse", prefix: "tables", existing: false },
    commit: { intervalSeconds: 30 },
    ingestions: [main, of(NESTED, NESTED_PREFIX, [])],
  };
  const taker = of("taker" as IngestionId, TAKEN_PREFIX[layout], []);
  return {
    layout,
    listing,
    main,
    config,
    firstConfig: { ...config, ingestions: [...config.ingestions, taker] },
    pageKeys: 2 + world.upTo(8),
    objectsMax: world.pick([4, 12, 30, 1000]),
    eventsLost: world.pick([0.1, 0.4, 1]),
  };
}

function listingOf(strategy: Strategy, world: World): Listing {
  switch (strategy) {
    case "full":
      return { strategy };
    case "incremental_lexical":
      return { strategy, lookbackKeys: world.pick([1, 5, 20]) };
    case "incremental_time":
      return { strategy, overlapMs: world.pick([1_000, 10_000]) };
    case "partitioned":
      return { strategy, pattern: PATTERN, lookbackMs: world.pick([1, 3]) * DAY_MS };
    case "inventory":
      return { strategy, location: INVENTORY_LOCATION, ageMaxMs: DAY_MS };
  }
}
