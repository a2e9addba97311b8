// Runs on honest fakes: a bucket, a ledger and a queue, and the state machine's steps one by one or all in order. A test breaks a run by
// wrapping one port, or by stopping between two steps.

import type { Ingestion, MoraineConfig } from "../../../lambdas/core/config.ts";
import {
  type DiscoveryPorts,
  listShard,
  openShard,
  type ShardTask,
} from "../../../lambdas/core/discovery/list-shard.ts";
import type { RunReport, ShardRecord } from "../../../lambdas/core/discovery/model.ts";
import {
  beginRun,
  finishRun,
  gatherRound,
  planRound,
  type RoundHandle,
  type RunContext,
  type RunHandle,
} from "../../../lambdas/core/discovery/run.ts";
import { RUN_LIMITS, type RunLimits } from "../../../lambdas/core/discovery/run-limits.ts";
import {
  type ActiveRecord,
  activeKey,
  cursorKey,
  RUN_PREFIX,
  readActive,
  readCursor,
  readRun,
  runsPartition,
} from "../../../lambdas/core/discovery/run-records.ts";
import { NO_INDEX, readSeenIndex } from "../../../lambdas/core/discovery/seen-index.ts";
import { type IngestionId, objectUri } from "../../../lambdas/core/ids.ts";
import { decidedRevision, type FileRecord, fileItem } from "../../../lambdas/core/records.ts";
import { ManualClock } from "../../fakes/manual-clock.ts";
import { MemoryEventSink } from "../../fakes/memory-event-sink.ts";
import { MemoryLedger } from "../../fakes/memory-ledger.ts";
import { MemoryLister } from "../../fakes/memory-lister.ts";
import { MemoryObjectStore } from "../../fakes/memory-object-store.ts";
import { SeededRandom } from "../../fakes/seeded-random.ts";
import { BUCKET, ingestionOf, SETTINGS } from "../core/harness.ts";

export const ORDERS = "orders" as IngestionId;
const PAGE_KEYS = 5;

export class RunHarness {
  readonly clock = new ManualClock();
  readonly random = new SeededRandom(7, this.clock);
  readonly store = new MemoryObjectStore(this.clock);
  readonly ledger = new MemoryLedger();
  readonly sink = new MemoryEventSink();
  readonly lister: MemoryLister;
  ingestion: Ingestion;
  /** Besides it. */
  others: readonly Ingestion[] = [];
  readonly limits: RunLimits;

  constructor(discovery: Partial<Ingestion["discovery"]> = {}, limits: Partial<RunLimits> = {}) {
    const { discovery: defaults, ...rest } = ingestionOf("orders");
    this.ingestion = { ...rest, discovery: { ...defaults, concurrency: 3, functionsMax: 4, ...discovery } };
    this.lister = new MemoryLister(this.store, PAGE_KEYS);
    this.limits = { ...RUN_LIMITS, ...limits };
  }

  context(changes: Partial<DiscoveryPorts> = {}): RunContext {
    const { clock, random, store, ledger, lister } = this;
    const timer = { sleep: async (ms: number) => clock.advance(ms) };
    const ports = { clock, random, store, ledger, lister, timer, events: this.sink, ...changes };
    const config: MoraineConfig = {
      landing: [{ bucket: BUCKET, existing: false }],
      warehouse: { bucket: "warehouse", prefix: "tables", existing: false },
      commit: { intervalSeconds: 30 },
      ingestions: [this.ingestion, ...this.others],
    };
    return { ports, settings: SETTINGS, config, limits: this.limits };
  }

  async put(...keys: string[]): Promise<void> {
    for (const key of keys) {
      await this.store.put(objectUri(BUCKET, key), new Uint8Array(Buffer.from(`${key} ${this.clock.now()}`)));
    }
  }

  /** `count` keys below orders/, in order. */
  async fill(count: number, from = 0): Promise<void> {
    const digits = (n: number) => n.toString().padStart(4, "0");
    await this.put(...Array.from({ length: count }, (_, n) => `orders/${digits(from + n)}`));
  }

  /** What the load function does with everything that was sent: each file is on record as loaded. */
  async loadSent(): Promise<number> {
    const events = this.sink.events();
    this.sink.bodies.length = 0;
    for (const { key, version } of events) {
      const loaded = {
        version,
        batch: "b",
        records: 1,
        bytesRead: 1,
        seq: 1,
        processedAtMs: 0,
      } as FileRecord["loaded"];
      const facts = { ingestion: ORDERS, bucket: BUCKET, key, version, loaded, status: "SUCCESS" };
      const file = { ...facts, table: "db.orders", batch: "b", batchFiles: 1, attempts: 1, deaths: 0 };
      const record = { ...file, discoveredAtMs: 0, startedAtMs: 0 } as unknown as FileRecord;
      await this.ledger.write(fileItem(record, decidedRevision(record.batch)), "absent");
    }
    return events.length;
  }

  async begin(name: string, input: object = {}, context = this.context()): Promise<RunHandle> {
    const begun = await beginRun(context, { ingestion: "orders", ...input }, { name, arn: `arn:${name}` });
    if (begun.kind !== "begun") throw new Error(`${begun.kind}: ${begun.run.runId}`);
    return begun.run;
  }

  async tasks(round: RoundHandle): Promise<readonly ShardTask[]> {
    const object = this.store.objects.get(objectUri(round.bucket, round.key));
    return JSON.parse(Buffer.from(object?.bytes ?? []).toString()) as readonly ShardTask[];
  }

  async list(
    run: RunHandle,
    task: ShardTask,
    bounds: { objectsMax?: number; context?: RunContext } = {},
  ): Promise<ShardRecord> {
    const { objectsMax = Number.POSITIVE_INFINITY, context = this.context() } = bounds;
    const deadlineMs = Number.POSITIVE_INFINITY;
    return listShard(await openShard(context, run, { deadlineMs, objectsMax }), task);
  }

  async listAll(run: RunHandle, round: RoundHandle, bounds: { objectsMax?: number } = {}): Promise<void> {
    for (const task of await this.tasks(round)) await this.list(run, task, bounds);
  }

  /** From the plan to the report, as the state machine goes. */
  async complete(run: RunHandle, bounds: { objectsMax?: number } = {}): Promise<RunReport> {
    let round = await planRound(this.context(), run);
    for (;;) {
      await this.listAll(run, round, bounds);
      const gathered = await gatherRound(this.context(), run, round);
      if (gathered.kind === "done") return finishRun(this.context(), run);
      round = gathered.round;
    }
  }

  async run(name: string, input: object = {}, bounds: { objectsMax?: number } = {}): Promise<RunReport> {
    return this.complete(await this.begin(name, input), bounds);
  }

  async active(): Promise<ActiveRecord | undefined> {
    const item = await this.ledger.read(activeKey(ORDERS));
    return item && readActive(item);
  }

  async cursor() {
    const item = await this.ledger.read(cursorKey(ORDERS));
    return item && readCursor(item);
  }

  /** Of the manifest of confirmed files: those that stand in it twice count twice. */
  async seenEntries(): Promise<number> {
    const seen = (await this.cursor())?.seen;
    const { segments } = seen === undefined ? NO_INDEX : await readSeenIndex(this.store, seen);
    return segments.reduce((sum, { entries }) => sum + entries, 0);
  }

  async record(runId: string) {
    for await (const item of this.ledger.list(runsPartition(ORDERS), RUN_PREFIX)) {
      const run = readRun(item);
      if (run.runId === runId) return run;
    }
    return undefined;
  }

  /** Keys sent so far, in order of sending. */
  sent(): string[] {
    return this.sink.events().map(({ key }) => key);
  }

  files(folder: string): string[] {
    const start = `${SETTINGS.warehouseUri}/_moraine/${SETTINGS.ledgerId}/${folder}`;
    return [...this.store.objects.keys()].filter((uri) => uri.startsWith(start)).map((uri) => uri.slice(start.length));
  }
}

/** Every fourth call of these methods or so is carried out, and its answer lost. */
export function losing<T extends object>(port: T, methods: readonly string[], lost: () => Error): T {
  const random = new SeededRandom(11);
  return new Proxy(port, {
    get(target, property) {
      const member: unknown = Reflect.get(target, property, target);
      if (typeof member !== "function") return member;
      if (!methods.includes(String(property))) return member.bind(target);
      return async (...args: unknown[]) => {
        const result = await (member as (...args: unknown[]) => Promise<unknown>).apply(target, args);
        if (random.fraction() < 0.25) throw lost();
        return result;
      };
    },
  });
}
