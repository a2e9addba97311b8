// One simulated run from one seed: the real core on fake ports, with producers, several loaders and committers, a sweeper and
// foreign writers, under crashes, zombies, lost responses, requests that arrive late, clocks that differ, bodies that break off and
// messages that come late, twice and out of order. Faults stop, the system comes to rest, and the checkers look.

import { type CommitContext, commitTable } from "../../lambdas/core/commit.ts";
import type { Ingestion } from "../../lambdas/core/config.ts";
import { isKind } from "../../lambdas/core/errors.ts";
import { PointerCatalog } from "../../lambdas/core/iceberg/pointer-catalog.ts";
import type { TableName } from "../../lambdas/core/ids.ts";
import { load } from "../../lambdas/core/pipeline.ts";
import { createRouter } from "../../lambdas/core/routing.ts";
import { carryOut, decide } from "../../lambdas/core/schema/carry-out.ts";
import { changesOf } from "../../lambdas/core/schema/history.ts";
import { tendSchemas } from "../../lambdas/core/schema/tend.ts";
import type { Settings } from "../../lambdas/core/settings.ts";
import { sweepTables } from "../../lambdas/core/sweep.ts";
import { MemoryLedger } from "../fakes/memory-ledger.ts";
import { MemoryObjectStore } from "../fakes/memory-object-store.ts";
import { MemoryPointer } from "../fakes/memory-pointer.ts";
import { MemoryQueues } from "../fakes/memory-queues.ts";
import { checkRun } from "./checks.ts";
import { type ForeignPorts, foreignAlteration, foreignAppend, foreignCompaction, foreignExpiry } from "./foreigners.ts";
import { type FaultRates, Invocation, NO_FAULTS } from "./invocation.ts";
import { Landing } from "./landing.ts";
import { Mailbox } from "./mailbox.ts";
import { RowConverter } from "./row-converter.ts";
import { type Sabotage, type Saboteur, saboteurOf } from "./sabotage.ts";
import {
  INGESTIONS,
  INVOCATION_MS,
  QUARANTINES,
  RECEIVES_MAX,
  settingsUnder,
  TWIN,
  VISIBILITY_MS,
} from "./settings.ts";
import { World } from "./world.ts";

export interface SimulationOptions {
  readonly sabotage?: Sabotage;
  readonly keepTrace?: boolean;
}

export interface SimulationResult {
  readonly seed: number;
  readonly violations: readonly string[];
  /** Hash of everything that happened: the same for the same seed. */
  readonly digest: string;
  readonly rates: FaultRates;
  readonly commits: number;
  readonly trace: readonly string[] | undefined;
}

const TABLES: readonly TableName[] = [...INGESTIONS, ...QUARANTINES].map(({ target }) => target);
const PREFIXES = ["rep", "rep", "rep", "app", "ign", "res"];
const FAULTY_MS = 90_000;
/** Some seeds have more than the others, which thus go on to prove what they are kept for: columns that foreign engines alter. */
const isAltered = (seed: number) => seed % 3 === 0;
/** Two ingestions into one table. */
const hasTwin = (seed: number) => seed % 3 === 2;
/** Before the end nobody decides any more, so that what was decided is carried out. */
const SETTLING_MS = 2 * 60_000;
/** Long enough for leases, visibility and leftovers to run out several times over. */
const CALM_MS = 8 * 60_000;

export async function simulate(seed: number, options: SimulationOptions = {}): Promise<SimulationResult> {
  const run = new Simulation(seed, options);
  await run.play();
  return run.result();
}

class Simulation {
  readonly #seed: number;
  readonly #world: World;
  readonly #store: MemoryObjectStore;
  readonly #ledger = new MemoryLedger();
  readonly #pointer = new MemoryPointer();
  readonly #queues: MemoryQueues;
  readonly #intake: Mailbox;
  readonly #hints: Mailbox;
  readonly #landing: Landing;
  readonly #ingestions: readonly Ingestion[];
  readonly #saboteur: Saboteur;
  readonly #faults: FaultRates;
  readonly #settings: Settings;
  /** Time a loader gives itself: with little of it, most of what it is given is never begun. */
  readonly #patienceMs: number;
  readonly #foreignRows = new Map<string, string[]>();
  readonly #problems: string[] = [];
  #calm = false;
  #invocations = 0;
  #sweeps = 0;

  constructor(seed: number, options: SimulationOptions) {
    this.#seed = seed;
    this.#world = new World(seed, { keepTrace: options.keepTrace ?? false });
    this.#store = new MemoryObjectStore(this.#world);
    this.#queues = new MemoryQueues(this.#world);
    this.#intake = new Mailbox(this.#world, RECEIVES_MAX);
    this.#hints = new Mailbox(this.#world);
    this.#ingestions = hasTwin(seed) ? [...INGESTIONS, TWIN] : INGESTIONS;
    const prefixes = hasTwin(seed) ? [...PREFIXES, TWIN.id, TWIN.id] : PREFIXES;
    this.#landing = new Landing(this.#world, this.#store, (body) => this.#intake.post(body), prefixes);
    this.#saboteur = saboteurOf(options.sabotage);
    const world = this.#world;
    this.#faults = {
      crash: world.pick([0, 0.002, 0.01, 0.03]),
      zombie: world.pick([0, 0.005, 0.02]),
      before: world.pick([0, 0.005, 0.02]),
      lost: world.pick([0, 0.01, 0.05]),
      late: world.pick([0, 0, 0.02, 0.1]),
      lateMaxMs: world.pick([6_000, 60_000]),
      broken: world.pick([0, 0.01, 0.05]),
      skewMs: world.pick([0, 2_000]),
      skewMaxMs: world.pick([2_000, 30_000]),
    };
    this.#settings = settingsUnder(this.#faults);
    this.#patienceMs = world.pick([INVOCATION_MS / 2, INVOCATION_MS / 2, 2_000, 300]);
  }

  async play(): Promise<void> {
    const world = this.#world;
    const start = world.now();
    const end = start + FAULTY_MS;
    this.#every(
      () => 100 + world.upTo(2_500),
      end,
      () => this.#landing.act(),
    );
    this.#every(
      () => 200 + world.upTo(1_500),
      end + CALM_MS,
      () => this.#loader(),
    );
    this.#every(
      () => 300 + world.upTo(2_000),
      end + CALM_MS,
      () => this.#committer(),
    );
    this.#every(
      () => 5_000 + world.upTo(5_000),
      end + CALM_MS,
      () => this.#sweeper(),
    );
    this.#every(
      () => 15_000 + world.upTo(15_000),
      end,
      async () => this.#landing.list(),
    );
    this.#every(
      () => 6_000 + world.upTo(12_000),
      end + CALM_MS - SETTLING_MS,
      () => this.#operator(),
    );
    if (world.chance(0.7))
      this.#every(
        () => 3_000 + world.upTo(9_000),
        end,
        () => this.#foreigner(),
      );
    if (isAltered(this.#seed))
      this.#every(
        () => 4_000 + world.upTo(16_000),
        end,
        () => foreignAlteration(this.#foreignPorts(), world.pick(TABLES)),
      );
    const isOver = () => this.#problems.length > 0;
    await world.runUntil(end, isOver);
    this.#calm = true;
    if (this.#landing.losesEvents) this.#landing.list();
    await world.runUntil(end + CALM_MS, isOver);
    if (isOver()) return;
    this.#problems.push(
      ...checkRun({
        ingestions: this.#ingestions,
        store: this.#store,
        ledger: this.#ledger,
        pointer: this.#pointer,
        landing: this.#landing,
        foreignRows: this.#foreignRows,
        intakeLeft: this.#intake.size,
        deadLetters: this.#intake.dead,
      }),
    );
  }

  result(): SimulationResult {
    const commits = this.#ledger.items().filter((item) => item.body["kind"] === "commit").length;
    return {
      seed: this.#seed,
      violations: this.#problems,
      digest: this.#world.digest(),
      rates: this.#faults,
      commits,
      trace: this.#world.trace,
    };
  }

  #every(periodMs: () => number, untilMs: number, act: () => Promise<void>): void {
    const next = this.#world.now() + periodMs();
    if (next >= untilMs) return;
    this.#world.at(next, () => {
      act().catch((error: unknown) => this.#notice(error));
      this.#every(periodMs, untilMs, act);
    });
  }

  /** Errors an operator would be paged for are violations: nothing in these runs justifies one. */
  #notice(error: unknown): void {
    if (isKind(error, "Unavailable", "UnknownOutcome", "Fenced", "Conflict")) {
      this.#world.note(`error ${error.message}`);
      return;
    }
    this.#problems.push(error instanceof Error ? `${error.name}: ${error.message}` : String(error));
  }

  #invocation(kind: string) {
    const world = this.#world;
    const rates = () => (this.#calm ? NO_FAULTS : this.#faults);
    const invocation = new Invocation(world, `${kind}${this.#invocations++}`, INVOCATION_MS, rates);
    const store = invocation.breaking(invocation.wrap("store", this.#saboteur.store(this.#store), ["list"]));
    const ledger = invocation.wrap("ledger", this.#saboteur.ledger(this.#ledger), ["list", "listIndex"]);
    const pointer = this.#saboteur.pointer(invocation.wrap("pointer", this.#pointer));
    const { clock, random } = invocation;
    const honest = new PointerCatalog({ store, pointer, clock, random });
    const catalog = this.#saboteur.catalog(honest, this.#ledger);
    const queues = invocation.wrap("queues", this.#queues);
    const converter = new RowConverter(() => invocation.die("a poison file"));
    return { clock, random, store, ledger, catalog, queues, converter };
  }

  async #loader(): Promise<void> {
    const world = this.#world;
    this.#collectSent();
    const letters = this.#intake.receive(1 + world.upTo(8), VISIBILITY_MS);
    if (letters.length === 0) return;
    const ports = this.#invocation("load");
    const context = {
      ports,
      settings: this.#settings,
      route: createRouter([...this.#ingestions, ...QUARANTINES]),
      deadlineMs: ports.clock.now() + this.#patienceMs,
    };
    const report = await load(context, letters);
    for (const error of report.errors) this.#notice(error);
    const retry = new Set(report.retry);
    for (const { id } of letters) {
      if (retry.has(id)) this.#intake.returnLater(id, world.upTo(4_000));
      else this.#intake.acknowledge(id);
    }
  }

  async #committer(): Promise<void> {
    const world = this.#world;
    this.#collectSent();
    for (const letter of this.#hints.receive(2, VISIBILITY_MS)) {
      if (!this.#calm && world.chance(0.05)) {
        this.#hints.acknowledge(letter.id);
        continue;
      }
      const ports = this.#invocation("commit");
      const deadlineMs = ports.clock.now() + INVOCATION_MS / 2;
      const context: CommitContext = { ports, settings: this.#settings, deadlineMs };
      const report = await commitTable(context, JSON.parse(letter.body) as TableName);
      if (!report.more) this.#hints.acknowledge(letter.id);
    }
  }

  async #sweeper(): Promise<void> {
    const ports = this.#invocation("sweep");
    const deadlineMs = ports.clock.now() + INVOCATION_MS / 2;
    const context = { ports, settings: this.#settings, deadlineMs, turn: this.#sweeps++ };
    const reports = await sweepTables(context, TABLES);
    const alerts = { publish: async () => this.#world.note("alert") };
    const tended = await tendSchemas(
      { ports: { ...ports, alerts }, settings: this.#settings, deadlineMs },
      this.#ingestions,
    );
    for (const error of [...reports.flatMap(({ errors }) => errors), ...tended.errors]) this.#notice(error);
  }

  /** Decides what is open, one way or another, and is sometimes away before it is done. */
  async #operator(): Promise<void> {
    const world = this.#world;
    const ports = this.#invocation("operator");
    for (const { id: ingestion, target } of this.#ingestions) {
      for (const { status, fingerprint } of await changesOf(ports.ledger, ingestion)) {
        if (status !== "OPEN" || world.chance(0.3)) continue;
        const verdict = world.pick(["accept", "merge", "reject"] as const);
        const change = await decide(ports, { ingestion, target, fingerprint }, { verdict, by: "operator" });
        world.note(`${verdict} ${fingerprint}`);
        if (world.chance(0.7)) await carryOut(ports, this.#settings, target, change);
      }
    }
  }

  async #foreigner(): Promise<void> {
    const world = this.#world;
    const ports = this.#foreignPorts();
    const name = world.pick(INGESTIONS).target;
    const act = world.pick(["append", "compact", "expire"]);
    if (act === "compact") return foreignCompaction(ports, name);
    if (act === "expire") return foreignExpiry(ports, name, 1 + world.upTo(3));
    const rows = await foreignAppend(ports, name);
    this.#foreignRows.set(name.table, [...(this.#foreignRows.get(name.table) ?? []), ...rows]);
  }

  #foreignPorts(): ForeignPorts {
    const [world, store] = [this.#world, this.#store];
    const catalog = new PointerCatalog({ store, pointer: this.#pointer, clock: world, random: world.random });
    return { world, store, catalog };
  }

  /** What went into the queues travels: hints may be delivered twice. */
  #collectSent(): void {
    for (const body of this.#queues.intake.splice(0)) this.#intake.post(body);
    for (const name of this.#queues.hints.splice(0)) {
      const copies = this.#world.chance(0.1) ? 2 : 1;
      for (let copy = 0; copy < copies; copy++)
        this.#hints.post(JSON.stringify({ database: name.database, table: name.table }));
    }
  }
}
