// The world of a simulated life: bucket, ledger and loader, functions that crash and state machines that call them, and the eyes on what
// must never happen in between.

import { resetCheckpoint } from "../../../cli/runs.ts";
import type { MoraineConfig } from "../../../lambdas/core/config.ts";
import { sourceOf } from "../../../lambdas/core/discovery/cursor.ts";
import type { ShardTask } from "../../../lambdas/core/discovery/list-shard.ts";
import type { RunRecord } from "../../../lambdas/core/discovery/model.ts";
import { runFolder } from "../../../lambdas/core/discovery/rounds.ts";
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
import { type ObjectUri, objectUri, type Revision } from "../../../lambdas/core/ids.ts";
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
import { checkPromise, checkSum, type DiscoveryState, type RunFacts } from "./checks.ts";
import type { Circumstances, Move } from "./excuses.ts";
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

/** Share of plans after which the cursor is forgotten. */
const RESETS = 0.15;

interface Planned extends StoredPlan {
  readonly plannedAtMs: number;
  /** Before it was planned. */
  readonly moves: readonly Move[];
}

/** The store dates a plan by the second that it was put in. */
const WITHIN_SECOND_MS = 999;

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
  readonly #before = new Map<number, Pick<RunFacts, "before" | "configBefore"> & Pick<Circumstances, "inventory">>();
  readonly #plans = new Map<string, Planned>();
  #config: MoraineConfig;
  #inventory: ReadonlyMap<string, string> = new Map();
  /** Each holds from when it was made until a deploy or a reset. */
  #moves: (Move & { readonly fromMs: number; readonly untilMs: number })[] = [];
  #forgottenAtMs = 0;
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

  /** Of odd seeds: a deploy or a reset during runs, runs of a window of dates, days without any run. Even ones are as they ever were. */
  readonly isEventful: boolean;
  /** Nothing is loaded, committed or swept until then. */
  wakesAtMs = 0;

  constructor(seed: number, { sabotage, keepTrace = false }: DiscoveryOptions) {
    this.world = new World(seed, { keepTrace });
    const { world } = this;
    this.setup = setUp(world);
    this.isEventful = seed % 2 === 1;
    this.store = new MemoryObjectStore(world);
    this.#saboteur = new DiscoverySaboteur(sabotage, world);
    const { firstConfig, config, layout, eventsLost, main } = this.setup;
    this.#config = this.isEventful ? firstConfig : config;
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
    const current = () => this.#config;
    this.loading = new Loading(ports, current, () => this.#rates());
    const deliver = (body: string) => this.loading.intake.post(body);
    this.bucket = new Bucket(world, this.store, {
      layout,
      deliver,
      eventsLost: main.discovery.events ? eventsLost : 1,
    });
    this.state = {
      ...ports,
      bucket: this.bucket,
      get config() {
        return current();
      },
    };
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
    const planned = this.#plans.get(run.runId);
    // What is on its way from a function's hands to the queue gets there.
    await this.world.sleep(2_000);
    this.#collectSent();
    if (dryRun || Object.keys(scope).length > 0 || before === undefined || planned === undefined) return;
    const { lists, plannedAtMs, moves } = planned;
    const circumstances = { plannedAtMs, moves, inventory: before.inventory };
    this.problems.push(...(await checkPromise(this.state, this.#sent, { record, lists, ...before, circumstances })));
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
    return { ports, settings: SETTINGS, config: this.#config, limits: LIMITS };
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
    this.#before.set(startedAtMs, { before, configBefore: this.#config, inventory: this.#inventory });
  }

  /** Ends what another ingestion took from the main one. */
  deploy(): void {
    this.#config = this.setup.config;
    this.#endMoves();
    this.world.note("deploy");
  }

  /** The cursor, while a run goes by it. */
  async #reset(): Promise<void> {
    if (!(await resetCheckpoint(this.ledger, MAIN))) return;
    this.#endMoves();
    this.#forgottenAtMs = this.world.now();
    this.world.note("reset");
  }

  #endMoves(): void {
    const untilMs = this.world.now();
    this.#moves = this.#moves.map((move) => ({ ...move, untilMs: Math.min(move.untilMs, untilMs) }));
  }

  waited(): void {
    this.#count("waited");
  }

  async planned(run: RunHandle): Promise<void> {
    const plan = await this.#planOf(run.runId);
    if (plan !== undefined) this.#plans.set(run.runId, plan);
    if (this.isEventful && this.phase === "changing" && this.world.chance(RESETS)) await this.#reset();
    await this.#checkAlone(run);
  }

  async #planOf(runId: string): Promise<Planned | undefined> {
    const context = { ports: { store: this.store }, settings: SETTINGS } as unknown as RunContext;
    const plan = await readPlan(context, runId);
    const first = `${runFolder(SETTINGS, plan?.chain[0] ?? runId)}plan.json` as ObjectUri;
    const plannedAtMs = this.store.objects.get(first)?.lastModifiedMs ?? this.world.now();
    const { listedFromMs } = await this.recordOf({ runId } as RunHandle);
    const latestMs = plannedAtMs + WITHIN_SECOND_MS;
    const moves = this.#moves.filter(({ fromMs, untilMs }) => fromMs <= latestMs && untilMs >= listedFromMs);
    return plan && { ...plan, plannedAtMs, moves };
  }

  /** A run over all has written the cursor. Of what it left out because of a cursor that is gone, the next one must not hear. */
  async #watchMove(runId: string): Promise<void> {
    const { input, source, listedFromMs } = await this.recordOf({ runId } as RunHandle);
    const plan = await this.#planOf(runId);
    const isCurrent = source === sourceOf(this.setup.main, this.#config.ingestions);
    const isWhole = Object.keys(input.scope).length === 0 && input.window === undefined;
    if (plan === undefined || !isCurrent || !isWhole) return;
    const { strategy } = input.listing;
    const isAlone = plan.cursorBegunBy === undefined || strategy === "full" || strategy === "incremental_time";
    if (plan.plannedAtMs < this.#forgottenAtMs && !isAlone) return;
    const { listing } = input;
    const span = { fromMs: this.world.now(), untilMs: Number.POSITIVE_INFINITY };
    const lastKey = this.bucket.lastKey();
    const lookedAtMs = plan.plannedAtMs + WITHIN_SECOND_MS;
    this.#moves.push({ listing, listedFromMs, lookedAtMs, lastKey, ...span });
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
    const isMove = item.body["kind"] === "cursor" && item.body["ingestion"] === MAIN && outcome.kind === "written";
    if (isMove) await this.#watchMove(item.revision.replace(/:cursor$/, ""));
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
    world.at(Math.max(world.now(), this.wakesAtMs) + periodMs / 2 + world.upTo(periodMs), () => {
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

  async writeInventory(): Promise<void> {
    const listed = new Map([...this.bucket.current].map(([key, { etag }]) => [key, etag]));
    await writeInventory(this.store, this.world.now(), this.#inventories++);
    this.#inventory = listed;
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
