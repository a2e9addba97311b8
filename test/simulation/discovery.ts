// One simulated life of an ingestion that is found by listing: a bucket that changes, state machines that start, fail, die and are taken
// over, and the real loader behind them. Then the bucket stands still under faults, then the faults stop, then the checkers look.

import type { ShardTask } from "../../lambdas/core/discovery/list-shard.ts";
import type { RunRecord } from "../../lambdas/core/discovery/model.ts";
import type { RoundHandle, RunContext, RunHandle } from "../../lambdas/core/discovery/run.ts";
import { readPlan, type StoredPlan } from "../../lambdas/core/discovery/run-plan.ts";
import {
  cursorKey,
  RUN_PREFIX,
  readActive,
  readCursor,
  readRun,
  runsPartition,
} from "../../lambdas/core/discovery/run-records.ts";
import { findRun } from "../../lambdas/core/discovery/run-state.ts";
import { isKind, MoraineError } from "../../lambdas/core/errors.ts";
import { objectUri, type Revision } from "../../lambdas/core/ids.ts";
import type { BucketLister, Ledger, LedgerItem, WriteOutcome } from "../../lambdas/core/ports.ts";
import { fileKey } from "../../lambdas/core/records.ts";
import { createRouter } from "../../lambdas/core/routing.ts";
import { MemoryEventSink } from "../fakes/memory-event-sink.ts";
import { MemoryLedger } from "../fakes/memory-ledger.ts";
import { MemoryLister } from "../fakes/memory-lister.ts";
import { MemoryObjectStore } from "../fakes/memory-object-store.ts";
import { MemoryPointer } from "../fakes/memory-pointer.ts";
import { BUCKET, Bucket } from "./discovery/bucket.ts";
import { checkAtRest, checkExact, checkPromise, checkSum, type DiscoveryState, isMarker } from "./discovery/checks.ts";
import { compareReport, type Expected, expectFull, expectOwn } from "./discovery/epilogue.ts";
import { writeInventory } from "./discovery/inventory-report.ts";
import { Loading } from "./discovery/loading.ts";
import { type Ended, execute, type MachineHost } from "./discovery/machine.ts";
import { type DiscoverySabotage, DiscoverySaboteur, override } from "./discovery/sabotage.ts";
import { INVOCATION_MS, LIMITS, MAIN, type Setup, setUp } from "./discovery/setup.ts";
import { type FaultRates, Invocation, NO_FAULTS } from "./invocation.ts";
import { SETTINGS } from "./settings.ts";
import { World } from "./world.ts";

export interface DiscoveryOptions {
  readonly sabotage?: DiscoverySabotage;
  readonly keepTrace?: boolean;
}

export interface DiscoveryResult {
  readonly violations: readonly string[];
  readonly digest: string;
  readonly rates: FaultRates;
  readonly ended: Readonly<Record<string, number>>;
  readonly trace: readonly string[] | undefined;
}

const CHANGING_MS = 40_000;
const STILL_RUNS = 3;
/** More than all that a seed does. */
const END_MS = 3_600_000;

export async function simulateDiscovery(seed: number, options: DiscoveryOptions = {}): Promise<DiscoveryResult> {
  const life = new DiscoveryLife(seed, options);
  await life.play();
  return life.result();
}

class DiscoveryLife implements MachineHost {
  readonly world: World;
  readonly objectsMax: number;
  readonly #setup: Setup;
  readonly #store: MemoryObjectStore;
  readonly #ledger = new MemoryLedger();
  readonly #watched: Ledger = override<Ledger>(this.#ledger, {
    write: (item, expected) => this.#watch(item, expected),
  });
  readonly #pointer = new MemoryPointer();
  readonly #sink = new MemoryEventSink();
  readonly #bucket: Bucket;
  readonly #loading: Loading;
  readonly #saboteur: DiscoverySaboteur;
  readonly #faults: FaultRates;
  readonly #state: DiscoveryState;
  readonly #throttled: number;
  /** Versions that a listing has sent, as `key\netag`. */
  readonly #sent = new Set<string>();
  /** By the time a run began to list: what was there. */
  readonly #before = new Map<number, ReadonlyMap<string, string>>();
  readonly #plans = new Map<string, StoredPlan>();
  readonly #problems: string[] = [];
  readonly #ended: Record<string, number> = { succeeded: 0, joined: 0, failed: 0, stopped: 0, resumed: 0, rounds: 0 };
  #phase: "changing" | "still" | "calm" | "over" = "changing";
  #invocations = 0;
  #inventories = 0;

  constructor(seed: number, { sabotage, keepTrace = false }: DiscoveryOptions) {
    this.world = new World(seed, { keepTrace });
    const { world } = this;
    this.#setup = setUp(world);
    this.#store = new MemoryObjectStore(world);
    this.#saboteur = new DiscoverySaboteur(sabotage, world);
    const { config, layout, eventsLost, main } = this.#setup;
    this.objectsMax = this.#setup.objectsMax;
    this.#faults = {
      crash: world.pick([0, 0.001, 0.004]),
      zombie: world.pick([0, 0.005, 0.02]),
      before: world.pick([0, 0.004, 0.01]),
      lost: world.pick([0, 0.004, 0.01]),
    };
    this.#throttled = world.pick([0, 0.1]);
    const ports = { world, store: this.#store, ledger: this.#ledger, pointer: this.#pointer };
    this.#loading = new Loading(ports, config, () => this.#rates());
    const deliver = (body: string) => this.#loading.intake.post(body);
    this.#bucket = new Bucket(world, this.#store, {
      layout,
      deliver,
      eventsLost: main.discovery.events ? eventsLost : 1,
    });
    this.#state = { ...ports, config, bucket: this.#bucket };
  }

  async play(): Promise<void> {
    const { world } = this;
    const endMs = world.now() + END_MS;
    const isOver = () => this.#phase === "over" || this.#problems.length > 0;
    world.at(world.now(), () => {
      this.#direct().then(
        () => {
          this.#phase = "over";
        },
        (error: unknown) => this.notice(error, true),
      );
    });
    this.#every(1_500, () => this.#load());
    this.#every(4_000, () => this.#loading.commit());
    this.#every(20_000, () => this.#loading.sweep());
    await world.runUntil(endMs, isOver);
    if (!isOver()) this.#problems.push("liveness: it never came to rest");
  }

  result(): DiscoveryResult {
    const { world } = this;
    const { trace } = world;
    return { violations: this.#problems, digest: world.digest(), rates: this.#faults, ended: this.#ended, trace };
  }

  // ---- the story ----

  async #direct(): Promise<void> {
    const { world } = this;
    for (let count = 10 + world.upTo(60); count > 0; count--)
      await this.#bucket.put(this.#bucket.newKey(), world.chance(0.5));
    await this.#writeInventory();
    const executions = this.#startExecutions();
    const changingUntil = world.now() + CHANGING_MS;
    while (world.now() < changingUntil) {
      await world.sleep(world.upTo(1_500));
      await this.#bucket.act();
    }
    this.#phase = "still";
    const stillSinceMs = world.now();
    for (let n = 0; n < STILL_RUNS; n++) await this.#runStill(`still${n}`, stillSinceMs, n === 0);
    this.#phase = "calm";
    await executions;
    await this.#rest();
    await this.#fullRun("calm");
    this.#problems.push(...checkAtRest(this.#state));
    await this.#epilogue();
  }

  /** One after the other or at once, with whatever inputs people and schedules give. */
  async #startExecutions(): Promise<void> {
    const { world } = this;
    const running: Promise<unknown>[] = [];
    for (let n = 0; this.#phase === "changing"; n++) {
      running.push(this.#execute(`run${n}`, this.#someInput()));
      await world.sleep(1_000 + world.upTo(14_000));
      if (world.chance(0.2)) await this.#writeInventory();
    }
    await Promise.all(running);
  }

  #someInput(): object {
    return this.world.pick([
      {},
      {},
      {},
      { strategy: "full" },
      { strategy: "incremental_time", overlap: "1s" },
      { strategy: "incremental_lexical", lookback: 3 },
      { dryRun: true },
      { checkAll: true },
      { fresh: true },
      { prefix: "in/a" },
      { exclude: ["**/*1*"] },
      { strategy: "full", trigger: "schedule" },
    ]);
  }

  /** Whatever dies: what is counted in the end is what is there. */
  async #runStill(name: string, stillSinceMs: number, fresh: boolean): Promise<void> {
    const { world } = this;
    for (let turn = 0; turn < 12; turn++) {
      const ended = await this.#execute(`${name}-${turn}`, { strategy: "full", fresh: fresh && turn === 0 });
      if (ended.kind === "succeeded") {
        const record = await this.#recordOf(ended.run);
        if (record.listedFromMs >= stillSinceMs) this.#problems.push(...checkExact(this.#state, ended.report));
        if (record.listedFromMs >= stillSinceMs) return;
      }
      await world.sleep(500 + world.upTo(3_000));
    }
  }

  async #fullRun(name: string): Promise<Ended> {
    await this.#execute(`nested-${name}`, { ingestion: "nested", strategy: "full", fresh: true });
    const ended = await this.#execute(name, { strategy: "full", fresh: true });
    if (ended.kind === "succeeded") this.#problems.push(...checkExact(this.#state, ended.report));
    else this.#problems.push(`the quiet run ${name} ${ended.kind}`);
    await this.#rest();
    return ended;
  }

  /** Functions that could still be at work are gone, and all that was sent is loaded and committed. */
  async #rest(): Promise<void> {
    await this.world.sleep(LIMITS.leaseMs + INVOCATION_MS);
    while (this.#sink.bodies.length > 0 || !(await this.#loading.isIdle())) await this.world.sleep(1_000);
  }

  async #epilogue(): Promise<void> {
    const { world } = this;
    const { main } = this.#setup;
    const fresh: string[] = [];
    for (let count = 1 + world.upTo(8); count > 0; count--) {
      const key = this.#bucket.newKey();
      const isNew = !this.#bucket.current.has(key) && (await this.#isUnheard(key));
      if (!isNew) continue;
      await this.#bucket.put(key, true);
      if (!isMarker(key) && createRouter(this.#setup.config.ingestions)(BUCKET, key) === main) fresh.push(key);
    }
    await world.sleep(LIMITS.eventGraceMs + 2_000);
    await this.#writeInventory();
    const own = expectOwn(main, fresh, await this.#cursor(), world.now());
    await this.#runQuiet("own", {}, own, main.discovery.listing.strategy === "partitioned");
    const left: string[] = [];
    for (const key of fresh) if (await this.#isUnheard(key)) left.push(key);
    await this.#runQuiet(
      "rest",
      { strategy: "full" },
      expectFull(main, left, await this.#cursor(), world.now()),
      false,
    );
    await this.#execute("nested-rest", { ingestion: "nested", strategy: "full", fresh: true });
    await this.#rest();
    this.#problems.push(...checkAtRest(this.#state).map((problem) => `in the end: ${problem}`));
  }

  async #runQuiet(name: string, input: object, expected: Expected, isAtLeast: boolean): Promise<void> {
    const ended = await this.#execute(name, { ...input, fresh: true });
    if (ended.kind === "succeeded") this.#problems.push(...compareReport(ended.report, expected, isAtLeast));
    else this.#problems.push(`the quiet run ${name} ${ended.kind}`);
    await this.#rest();
  }

  #writeInventory(): Promise<void> {
    return writeInventory(this.#store, this.world.now(), this.#inventories++);
  }

  async #isUnheard(key: string): Promise<boolean> {
    return (await this.#ledger.read(fileKey(MAIN, BUCKET, key))) === undefined;
  }

  async #cursor() {
    const item = await this.#ledger.read(cursorKey(MAIN));
    if (item === undefined) throw new Error("a run that succeeded left no cursor");
    return readCursor(item);
  }

  // ---- running ----

  async #execute(name: string, input: object): Promise<Ended> {
    const ended = await execute(this, name, { ingestion: "main", ...input });
    this.world.note(`${name} ${ended.kind}`);
    this.#count(ended.kind);
    if (ended.kind === "succeeded") await this.#checkSucceeded(ended);
    return ended;
  }

  #count(name: string): void {
    this.#ended[name] = (this.#ended[name] ?? 0) + 1;
  }

  async #checkSucceeded({ run, report }: Extract<Ended, { kind: "succeeded" }>): Promise<void> {
    this.#collectSent();
    this.#problems.push(...checkSum(report));
    const record = await this.#recordOf(run);
    if (record.resumes !== undefined) this.#count("resumed");
    if (record.round > 1) this.#count("rounds");
    const { scope, dryRun } = record.input;
    const before = this.#before.get(record.listedFromMs);
    const plan = this.#plans.get(run.runId);
    // What is on its way from a function's hands to the queue gets there.
    await this.world.sleep(2_000);
    this.#collectSent();
    if (dryRun || Object.keys(scope).length > 0 || before === undefined || plan === undefined) return;
    this.#problems.push(...(await checkPromise(this.#state, this.#sent, { record, lists: plan.lists, before })));
  }

  async #recordOf(run: RunHandle): Promise<RunRecord> {
    const stored = await findRun({ ledger: this.#ledger }, run.runId);
    if (stored === undefined) throw new Error(`${run.runId} is not on record`);
    return stored.record;
  }

  isFaulty(): boolean {
    return this.#phase === "changing" || this.#phase === "still";
  }

  #rates(): FaultRates {
    return this.isFaulty() ? this.#faults : NO_FAULTS;
  }

  invoke(name: string): RunContext {
    const { world } = this;
    const invocation = new Invocation(world, `${name} #${this.#invocations++}`, INVOCATION_MS, () => this.#rates());
    const sleep = async (ms: number): Promise<void> => {
      await world.sleep(Math.ceil(ms));
      await invocation.pause("timer");
    };
    const lister = this.#saboteur.lister(new MemoryLister(this.#store, this.#setup.pageKeys));
    const ports = {
      clock: world,
      random: world.random,
      timer: { sleep },
      ledger: invocation.wrap("ledger", this.#saboteur.ledger(this.#watched), ["list", "listIndex"]),
      store: invocation.wrap("store", this.#store, ["list"]),
      lister: invocation.wrap("lister", this.#throttling(lister)),
      events: invocation.wrap(
        "events",
        this.#saboteur.events(this.#sink, () => invocation.isDead),
      ),
    };
    return { ports, settings: SETTINGS, config: this.#setup.config, limits: LIMITS };
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
    const object = this.#store.objects.get(objectUri(bucket, key));
    return JSON.parse(Buffer.from(object?.bytes ?? []).toString()) as readonly ShardTask[];
  }

  begun({ startedAtMs }: RunHandle): void {
    const before = new Map([...this.#bucket.current].map(([key, { etag }]) => [key, etag]));
    this.#before.set(startedAtMs, before);
  }

  async planned(run: RunHandle): Promise<void> {
    const context = { ports: { store: this.#store }, settings: SETTINGS } as unknown as RunContext;
    const plan = await readPlan(context, run.runId);
    if (plan !== undefined) this.#plans.set(run.runId, plan);
    await this.#checkAlone(run);
  }

  /** Whoever has planned has seen to it that every other run is over. */
  async #checkAlone(run: RunHandle): Promise<void> {
    const live: RunRecord[] = [];
    for await (const item of this.#ledger.list(runsPartition(run.ingestion), RUN_PREFIX)) {
      const record = readRun(item);
      if (record.status === "RUNNING" && !record.input.dryRun && record.round > 0) live.push(record);
    }
    const others = live.filter(({ runId }) => runId !== run.runId).map(({ runId }) => runId);
    if (others.length > 0 && live.length > others.length) {
      this.#problems.push(`${run.runId} lists while ${others.join()} does`);
    }
  }

  /** An ingestion changes hands only when it is free, or its holder's lease has run out. */
  async #watch(item: LedgerItem, expected: Revision | "absent"): Promise<WriteOutcome> {
    const before = item.body["kind"] === "active" ? await this.#ledger.read(item.key) : undefined;
    const outcome = await this.#ledger.write(item, expected);
    if (before === undefined || outcome.kind === "refused") return outcome;
    const { runId, leaseUntilMs } = readActive(before);
    if (runId !== item.body["runId"] && leaseUntilMs > this.world.now()) {
      this.#problems.push(
        `${String(item.body["runId"])} took the ingestion from ${runId} before its lease had run out`,
      );
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
      this.#problems.push(error instanceof Error ? (error.stack ?? text) : text);
  }

  async #load(): Promise<void> {
    this.#collectSent();
    await this.#loading.load();
  }

  #collectSent(): void {
    for (const { key, version } of this.#sink.events()) this.#sent.add(`${key}\n${version.etag}`);
    for (const body of this.#sink.bodies.splice(0)) this.#loading.intake.post(body);
  }

  #every(periodMs: number, act: () => Promise<void>): void {
    const { world } = this;
    world.at(world.now() + periodMs / 2 + world.upTo(periodMs), () => {
      if (this.#phase === "over") return;
      act().catch((error: unknown) => this.notice(error));
      this.#every(periodMs, act);
    });
  }
}
