// The world of a simulated life: bucket, ledger and loader, functions that crash and state machines that call them, and the eyes on what
// must never happen in between.

import type { ShardTask } from "../../../lambdas/core/discovery/list-shard.ts";
import type { RunRecord } from "../../../lambdas/core/discovery/model.ts";
import type { RoundHandle, RunContext, RunHandle } from "../../../lambdas/core/discovery/run.ts";
import { readPlan, type StoredPlan } from "../../../lambdas/core/discovery/run-plan.ts";
import {
  cursorKey,
  RUN_PREFIX,
  readActive,
  readCursor,
  readRun,
  runsPartition,
} from "../../../lambdas/core/discovery/run-records.ts";
import { findRun } from "../../../lambdas/core/discovery/run-state.ts";
import { isKind, MoraineError } from "../../../lambdas/core/errors.ts";
import { objectUri, type Revision } from "../../../lambdas/core/ids.ts";
import type { BucketLister, Ledger, LedgerItem, WriteOutcome } from "../../../lambdas/core/ports.ts";
import { fileKey } from "../../../lambdas/core/records.ts";
import { MemoryEventSink } from "../../fakes/memory-event-sink.ts";
import { MemoryLedger } from "../../fakes/memory-ledger.ts";
import { MemoryLister } from "../../fakes/memory-lister.ts";
import { MemoryObjectStore } from "../../fakes/memory-object-store.ts";
import { MemoryPointer } from "../../fakes/memory-pointer.ts";
import { type FaultRates, Invocation, NO_FAULTS } from "../invocation.ts";
import { settingsUnder } from "../settings.ts";
import { World } from "../world.ts";
import { BUCKET, Bucket } from "./bucket.ts";
import { checkPromise, checkSum, type DiscoveryState } from "./checks.ts";
import { writeInventory } from "./inventory-report.ts";
import { Loading } from "./loading.ts";
import { type Ended, execute, type MachineHost } from "./machine.ts";
import { type DiscoverySabotage, DiscoverySaboteur, override } from "./sabotage.ts";
import { INVOCATION_MS, LIMITS, MAIN, type Setup, setUp } from "./setup.ts";

const SETTINGS = settingsUnder(NO_FAULTS);

export interface DiscoveryOptions {
  readonly sabotage?: DiscoverySabotage;
  readonly keepTrace?: boolean;
}

export class DiscoveryHost implements MachineHost {
  readonly world: World;
  readonly objectsMax: number;
  readonly setup: Setup;
  readonly store: MemoryObjectStore;
  readonly ledger = new MemoryLedger();
  readonly #watched: Ledger = override<Ledger>(this.ledger, {
    write: (item, expected) => this.#watch(item, expected),
  });
  readonly #pointer = new MemoryPointer();
  readonly #sink = new MemoryEventSink();
  readonly bucket: Bucket;
  readonly loading: Loading;
  readonly #saboteur: DiscoverySaboteur;
  readonly faults: FaultRates;
  readonly state: DiscoveryState;
  readonly #throttled: number;
  /** Versions that a listing has sent, as `key\netag`. */
  readonly #sent = new Set<string>();
  /** By the time a run began to list: what was there. */
  readonly #before = new Map<number, ReadonlyMap<string, string>>();
  readonly #plans = new Map<string, StoredPlan>();
  readonly problems: string[] = [];
  readonly ended: Record<string, number> = {
    succeeded: 0,
    joined: 0,
    waited: 0,
    failed: 0,
    stopped: 0,
    resumed: 0,
    rounds: 0,
  };
  phase: "changing" | "still" | "calm" | "over" = "changing";
  #invocations = 0;
  #inventories = 0;

  constructor(seed: number, { sabotage, keepTrace = false }: DiscoveryOptions) {
    this.world = new World(seed, { keepTrace });
    const { world } = this;
    this.setup = setUp(world);
    this.store = new MemoryObjectStore(world);
    this.#saboteur = new DiscoverySaboteur(sabotage, world);
    const { config, layout, eventsLost, main } = this.setup;
    this.objectsMax = this.setup.objectsMax;
    this.faults = {
      ...NO_FAULTS,
      crash: world.pick([0, 0.001, 0.004]),
      zombie: world.pick([0, 0.005, 0.02]),
      before: world.pick([0, 0.004, 0.01]),
      lost: world.pick([0, 0.004, 0.01]),
    };
    this.#throttled = world.pick([0, 0.1]);
    const ports = { world, store: this.store, ledger: this.ledger, pointer: this.#pointer };
    this.loading = new Loading(ports, config, () => this.#rates());
    const deliver = (body: string) => this.loading.intake.post(body);
    this.bucket = new Bucket(world, this.store, {
      layout,
      deliver,
      eventsLost: main.discovery.events ? eventsLost : 1,
    });
    this.state = { ...ports, config, bucket: this.bucket };
  }

  // ---- running ----

  async execute(name: string, input: object): Promise<Ended> {
    const ended = await execute(this, name, { ingestion: "main", ...input });
    this.world.note(`${name} ${ended.kind}`);
    this.#count(ended.kind);
    if (ended.kind === "succeeded") await this.#checkSucceeded(ended);
    return ended;
  }

  #count(name: string): void {
    this.ended[name] = (this.ended[name] ?? 0) + 1;
  }

  async #checkSucceeded({ run, report }: Extract<Ended, { kind: "succeeded" }>): Promise<void> {
    this.#collectSent();
    this.problems.push(...checkSum(report));
    const record = await this.recordOf(run);
    if (record.resumes !== undefined) this.#count("resumed");
    if (record.round > 1) this.#count("rounds");
    const { scope, dryRun } = record.input;
    const before = this.#before.get(record.listedFromMs);
    const plan = this.#plans.get(run.runId);
    // What is on its way from a function's hands to the queue gets there.
    await this.world.sleep(2_000);
    this.#collectSent();
    if (dryRun || Object.keys(scope).length > 0 || before === undefined || plan === undefined) return;
    this.problems.push(...(await checkPromise(this.state, this.#sent, { record, lists: plan.lists, before })));
  }

  async recordOf(run: RunHandle): Promise<RunRecord> {
    const stored = await findRun({ ledger: this.ledger }, run.runId);
    if (stored === undefined) throw new Error(`${run.runId} is not on record`);
    return stored.record;
  }

  isFaulty(): boolean {
    return this.phase === "changing" || this.phase === "still";
  }

  #rates(): FaultRates {
    return this.isFaulty() ? this.faults : NO_FAULTS;
  }

  invoke(name: string): RunContext {
    const { world } = this;
    const invocation = new Invocation(world, `${name} #${this.#invocations++}`, INVOCATION_MS, () => this.#rates());
    const sleep = async (ms: number): Promise<void> => {
      await world.sleep(Math.ceil(ms));
      await invocation.pause("timer");
    };
    const lister = this.#saboteur.lister(new MemoryLister(this.store, this.setup.pageKeys));
    const ports = {
      clock: world,
      random: world.random,
      timer: { sleep },
      ledger: invocation.wrap("ledger", this.#saboteur.ledger(this.#watched), ["list", "listIndex"]),
      store: invocation.wrap("store", this.store, ["list"]),
      lister: invocation.wrap("lister", this.#throttling(lister)),
      events: invocation.wrap(
        "events",
        this.#saboteur.events(this.#sink, () => invocation.isDead),
      ),
    };
    return { ports, settings: SETTINGS, config: this.setup.config, limits: LIMITS };
  }

  #throttling(real: BucketLister): BucketLister {
    return {
      page: async (request) => {
        if (this.isFaulty() && this.world.chance(this.#throttled)) {
          throw new MoraineError("Unavailable", "slow down", { throttled: true });
        }
        return real.page(request);
      },
    };
  }

  tasksOf({ bucket, key }: RoundHandle): readonly ShardTask[] {
    const object = this.store.objects.get(objectUri(bucket, key));
    return JSON.parse(Buffer.from(object?.bytes ?? []).toString()) as readonly ShardTask[];
  }

  begun({ startedAtMs }: RunHandle): void {
    const before = new Map([...this.bucket.current].map(([key, { etag }]) => [key, etag]));
    this.#before.set(startedAtMs, before);
  }

  waited(): void {
    this.#count("waited");
  }

  async planned(run: RunHandle): Promise<void> {
    const context = { ports: { store: this.store }, settings: SETTINGS } as unknown as RunContext;
    const plan = await readPlan(context, run.runId);
    if (plan !== undefined) this.#plans.set(run.runId, plan);
    await this.#checkAlone(run);
  }

  /** Whoever has planned has seen to it that every other run is over. */
  async #checkAlone(run: RunHandle): Promise<void> {
    const live: RunRecord[] = [];
    for await (const item of this.ledger.list(runsPartition(run.ingestion), RUN_PREFIX)) {
      const record = readRun(item);
      if (record.status === "RUNNING" && !record.input.dryRun && record.round > 0) live.push(record);
    }
    const others = live.filter(({ runId }) => runId !== run.runId).map(({ runId }) => runId);
    if (others.length > 0 && live.length > others.length) {
      this.problems.push(`${run.runId} lists while ${others.join()} does`);
    }
  }

  /** An ingestion changes hands only when it is free, or its holder's lease has run out. */
  async #watch(item: LedgerItem, expected: Revision | "absent"): Promise<WriteOutcome> {
    const before = item.body["kind"] === "active" ? await this.ledger.read(item.key) : undefined;
    const outcome = await this.ledger.write(item, expected);
    if (before === undefined || outcome.kind === "refused") return outcome;
    const { runId, leaseUntilMs } = readActive(before);
    if (runId !== item.body["runId"] && leaseUntilMs > this.world.now()) {
      this.problems.push(`${String(item.body["runId"])} took the ingestion from ${runId} before its lease had run out`);
    }
    return outcome;
  }

  seenAs(seen: Parameters<MachineHost["seenAs"]>[0]) {
    return this.#saboteur.seen(seen);
  }

  notice(error: unknown, always = false): void {
    const text = error instanceof Error ? error.message : String(error);
    this.world.note(`error ${text}`);
    const isPaged =
      isKind(error, "Invalid", "Corrupt") || (error instanceof Error && /^assertion|TypeError/.test(error.message));
    if (always || isPaged || error instanceof TypeError)
      this.problems.push(error instanceof Error ? (error.stack ?? text) : text);
  }

  async load(): Promise<void> {
    this.#collectSent();
    await this.loading.load();
  }

  #collectSent(): void {
    for (const { key, version } of this.#sink.events()) this.#sent.add(`${key}\n${version.etag}`);
    for (const body of this.#sink.bodies.splice(0)) this.loading.intake.post(body);
  }

  every(periodMs: number, act: () => Promise<void>): void {
    const { world } = this;
    world.at(world.now() + periodMs / 2 + world.upTo(periodMs), () => {
      if (this.phase === "over") return;
      act().catch((error: unknown) => this.notice(error));
      this.every(periodMs, act);
    });
  }

  /** Functions that could still be at work are gone, and all that was sent is loaded and committed. */
  async rest(): Promise<void> {
    await this.world.sleep(LIMITS.leaseMs + INVOCATION_MS);
    while (this.#sink.bodies.length > 0 || !(await this.loading.isIdle())) await this.world.sleep(1_000);
  }

  writeInventory(): Promise<void> {
    return writeInventory(this.store, this.world.now(), this.#inventories++);
  }

  async isUnheard(key: string): Promise<boolean> {
    return (await this.ledger.read(fileKey(MAIN, BUCKET, key))) === undefined;
  }

  async cursor() {
    const item = await this.ledger.read(cursorKey(MAIN));
    if (item === undefined) throw new Error("a run that succeeded left no cursor");
    return readCursor(item);
  }
}
