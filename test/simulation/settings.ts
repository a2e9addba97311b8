// The protocol's settings at the scale of the simulation: leases run out while their holders still live, manifests merge and
// snapshots expire within a run.

import type { Ingestion, OverwritePolicy } from "../../lambdas/core/config.ts";
import { DEFAULT_DISCOVERY } from "../../lambdas/core/discovery/defaults.ts";
import type { IngestionId } from "../../lambdas/core/ids.ts";
import { BAD_ROW_DEFAULTS, SCHEMA_DEFAULTS } from "../../lambdas/core/schema/defaults.ts";
import { quarantineIngestions } from "../../lambdas/core/schema/quarantine.ts";
import type { Settings } from "../../lambdas/core/settings.ts";
import type { FaultRates } from "./invocation.ts";
import { BUCKET } from "./landing.ts";

export const LEDGER_ID = "sim";

const SETTINGS: Settings = {
  ledgerId: LEDGER_ID,
  warehouseUri: "s3://warehouse/tables",
  leaseMs: 8_000,
  functionLifetimeMs: 0,
  parallelism: 4,
  batchKeyBytesMax: 10_000,
  commitBatchesMax: 5,
  commitAttemptsMax: 8,
  deathsMax: 6,
  deliveriesMax: 60,
  manifestFanIn: 4,
  manifestTargetBytes: 1_000_000,
  snapshotsKeepLast: 6,
  snapshotAgeMaxMs: 120_000,
  commitIntervalMs: 1_000,
};

/** How long an invocation can live: past its lease, and never as long as leftovers are kept. */
export const INVOCATION_MS = 30_000;
export const VISIBILITY_MS = 12_000;
/** Production allows ten, of functions that do not crash at every tenth await. */
export const RECEIVES_MAX = 60;

/** Leftovers are kept for as long as whoever wrote them can live, its last requests are under way, and two clocks differ: as in production. */
export function settingsUnder({ lateMaxMs, skewMaxMs }: FaultRates): Settings {
  return { ...SETTINGS, functionLifetimeMs: INVOCATION_MS + lateMaxMs + 2 * skewMaxMs + 10_000 };
}

/** Every policy that decides by itself or lets a person decide; `fail` is a failure like others. */
export const INGESTIONS: readonly Ingestion[] = [
  ingestionOf("rep", "replace", {}),
  { ...ingestionOf("app", "append", { rescueShareMax: 0.5 }), badRows: { onBadRow: "quarantine", shareMax: 1 } },
  ingestionOf("ign", "ignore", { policy: "hold" }),
  ingestionOf("res", "replace", { policy: "rescue" }),
];

/** Loads into the table of `rep`, and decides for itself. */
export const TWIN: Ingestion = {
  ...ingestionOf("twi", "replace", {}),
  target: ingestionOf("rep", "replace", {}).target,
};

/** What loads the rows that `app` puts into quarantine. */
export const QUARANTINES = quarantineIngestions(INGESTIONS, SETTINGS.warehouseUri);

function ingestionOf(id: string, onOverwrite: OverwritePolicy, schema: Partial<Ingestion["schema"]>): Ingestion {
  return {
    id: id as IngestionId,
    source: { bucket: BUCKET, prefix: `${id}/`, include: [], exclude: [] },
    format: { type: "ndjson" },
    compression: "auto",
    target: { database: "db", table: id, partitionBy: [], targetFileSizeBytes: 1_000_000, properties: {} },
    schema: { ...SCHEMA_DEFAULTS, ...schema },
    badRows: BAD_ROW_DEFAULTS,
    onOverwrite,
    lineage: true,
    batch: { filesMax: 4, bytesMax: 1_000_000 },
    discovery: DEFAULT_DISCOVERY,
  };
}
