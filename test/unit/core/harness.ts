// The real core on honest fakes, for tests that drive it step by step: objects are put, events loaded, tables committed and swept.
// A test breaks the protocol by wrapping one port; everything else stays as in production.

import { type CommitPorts, type CommitReport, commitTable } from "../../../lambdas/core/commit.ts";
import type { Ingestion, OverwritePolicy } from "../../../lambdas/core/config.ts";
import { DEFAULT_DISCOVERY } from "../../../lambdas/core/discovery/defaults.ts";
import { formatIntake, type ObjectEvent } from "../../../lambdas/core/events.ts";
import { PointerCatalog } from "../../../lambdas/core/iceberg/pointer-catalog.ts";
import { type IngestionId, objectUri, type TableName, tableIdOf } from "../../../lambdas/core/ids.ts";
import { type LoadPorts, type LoadReport, load } from "../../../lambdas/core/pipeline.ts";
import type { LoadedTable } from "../../../lambdas/core/ports.ts";
import {
  BATCH_PREFIX,
  type BatchRecord,
  type FileRecord,
  fileKey,
  type HeadRecord,
  headKey,
  readBatch,
  readFile,
  readHead,
  tablePartition,
} from "../../../lambdas/core/records.ts";
import { createRouter } from "../../../lambdas/core/routing.ts";
import { BAD_ROW_DEFAULTS, SCHEMA_DEFAULTS } from "../../../lambdas/core/schema/defaults.ts";
import type { Settings } from "../../../lambdas/core/settings.ts";
import { type SweepReport, sweepTables } from "../../../lambdas/core/sweep.ts";
import { ManualClock } from "../../fakes/manual-clock.ts";
import { MemoryLedger } from "../../fakes/memory-ledger.ts";
import { MemoryObjectStore } from "../../fakes/memory-object-store.ts";
import { MemoryPointer } from "../../fakes/memory-pointer.ts";
import { MemoryQueues } from "../../fakes/memory-queues.ts";
import { SeededRandom } from "../../fakes/seeded-random.ts";
import { RowConverter } from "../../simulation/row-converter.ts";
import { currentRows } from "../../simulation/table-reader.ts";

export const BUCKET = "landing";
export const LEDGER_ID = "unit";

/** Production's limits, but for ids and places. */
export const SETTINGS: Settings = {
  ledgerId: LEDGER_ID,
  warehouseUri: "s3://warehouse/tables",
  leaseMs: 6 * 60_000,
  functionLifetimeMs: 16 * 60_000,
  parallelism: 32,
  batchKeyBytesMax: 300_000,
  commitBatchesMax: 100,
  commitAttemptsMax: 12,
  deathsMax: 2,
  deliveriesMax: 8,
  manifestFanIn: 16,
  manifestTargetBytes: 8 * 1024 * 1024,
  snapshotsKeepLast: 20,
  snapshotAgeMaxMs: 5 * 24 * 3_600_000,
  commitIntervalMs: 30_000,
};

export function ingestionOf(
  id: string,
  changes: { onOverwrite?: OverwritePolicy } & Partial<Ingestion> = {},
): Ingestion {
  return {
    id: id as IngestionId,
    source: { bucket: BUCKET, prefix: `${id}/`, include: [], exclude: [] },
    format: { type: "ndjson" },
    compression: "auto",
    target: { database: "db", table: id, partitionBy: [], targetFileSizeBytes: 1_000_000, properties: {} },
    schema: SCHEMA_DEFAULTS,
    badRows: BAD_ROW_DEFAULTS,
    onOverwrite: "replace",
    lineage: true,
    batch: { filesMax: 1000, bytesMax: 1_000_000_000 },
    discovery: DEFAULT_DISCOVERY,
    ...changes,
  };
}

export interface HarnessOptions {
  readonly ingestions?: readonly Ingestion[];
  readonly settings?: Partial<Settings>;
  /** Two harnesses that meet on one store need two, or their batches have the same ids. */
  readonly seed?: number;
}

export class Harness {
  readonly clock = new ManualClock();
  readonly random: SeededRandom;
  readonly store = new MemoryObjectStore(this.clock);
  readonly ledger = new MemoryLedger();
  readonly pointer = new MemoryPointer();
  readonly queues = new MemoryQueues(this.clock);
  readonly ingestions: readonly Ingestion[];
  readonly settings: Settings;
  #sequence = 0;
  #messages = 0;

  constructor(options: HarnessOptions = {}) {
    this.random = new SeededRandom(options.seed ?? 1, this.clock);
    this.ingestions = options.ingestions ?? [ingestionOf("orders")];
    this.settings = { ...SETTINGS, ...options.settings };
  }

  /** `changes`: ports replaced; a replaced store or pointer is what the catalog uses too. */
  ports(changes: Partial<LoadPorts> & { pointer?: MemoryPointer } = {}): LoadPorts & CommitPorts {
    const { clock, random, store, ledger, queues } = { ...this, ...changes };
    const pointer = changes.pointer ?? this.pointer;
    const catalog = changes.catalog ?? new PointerCatalog({ store, pointer, clock, random });
    return { clock, random, store, ledger, queues, catalog, converter: changes.converter ?? new RowConverter() };
  }

  /** Puts an object of these lines and gives the event S3 would send. */
  async put(key: string, ...lines: string[]): Promise<ObjectEvent> {
    const bytes = new Uint8Array(Buffer.from(lines.join("\n")));
    const stored = await this.store.put(objectUri(BUCKET, key), bytes);
    const sequencer = (++this.#sequence).toString(16).padStart(8, "0");
    const etag = stored.kind === "stored" ? stored.etag : "";
    const version = { etag, sizeBytes: bytes.length, sequencer, timeMs: this.clock.now() };
    return { bucket: BUCKET, key, version };
  }

  /** One message per event. */
  async load(
    events: readonly ObjectEvent[],
    options: { receiveCount?: number; ports?: Parameters<Harness["ports"]>[0]; deadlineMs?: number } = {},
  ): Promise<LoadReport> {
    const messages = events.map((event) => ({
      id: `m${this.#messages++}`,
      body: formatIntake([event]),
      receiveCount: options.receiveCount ?? 1,
    }));
    const context = {
      ports: this.ports(options.ports),
      settings: this.settings,
      route: createRouter(this.ingestions),
      deadlineMs: options.deadlineMs ?? Number.POSITIVE_INFINITY,
    };
    return load(context, messages);
  }

  async commit(table = "orders", changes: Parameters<Harness["ports"]>[0] = {}): Promise<CommitReport> {
    const context = { ports: this.ports(changes), settings: this.settings, deadlineMs: Number.POSITIVE_INFINITY };
    return commitTable(context, { database: "db", table });
  }

  async sweep(table = "orders", changes: Parameters<Harness["ports"]>[0] = {}): Promise<SweepReport> {
    const context = {
      ports: this.ports(changes),
      settings: this.settings,
      deadlineMs: Number.POSITIVE_INFINITY,
      turn: 0,
    };
    const [report] = await sweepTables(context, [{ database: "db", table }]);
    if (report === undefined) throw new Error("the table was not swept");
    for (const error of report.errors) throw error;
    return report;
  }

  async file(key: string, ingestion = key.split("/")[0] ?? ""): Promise<FileRecord | undefined> {
    const item = await this.ledger.read(fileKey(ingestion as IngestionId, BUCKET, key));
    return item && readFile(item);
  }

  async head(table = "orders"): Promise<HeadRecord | undefined> {
    const item = await this.ledger.read(headKey(tableIdOf(nameOf(table))));
    return item && readHead(item);
  }

  async batches(table = "orders"): Promise<BatchRecord[]> {
    const batches: BatchRecord[] = [];
    const items = this.ledger.list(tablePartition(tableIdOf(nameOf(table))), BATCH_PREFIX);
    for await (const item of items) batches.push(readBatch(item));
    return batches;
  }

  async table(table = "orders"): Promise<LoadedTable | undefined> {
    return this.ports().catalog.load(nameOf(table));
  }

  /** Ids of the rows a reader sees, sorted: read as an engine would. */
  async rows(table = "orders"): Promise<string[]> {
    const loaded = await this.table(table);
    if (loaded === undefined) return [];
    return currentRows(this.store, loaded.metadata)
      .map((row) => row.id)
      .sort();
  }
}

export function nameOf(table: string): TableName {
  return { database: "db", table };
}

/** The port with some of its methods replaced; the others stay bound to the real one. */
export function override<T extends object>(real: T, members: Partial<T>): T {
  return new Proxy(real, {
    get(target, property) {
      const own: unknown = Reflect.get(members, property);
      const member = own ?? Reflect.get(target, property, target);
      return typeof member === "function" && own === undefined ? member.bind(target) : member;
    },
  });
}
