// One simulated life of an ingestion that is found by listing: a bucket that changes, state machines that start, fail, die and are taken
// over, and the real loader behind them. Then the bucket stands still under faults, then the faults stop, then the checkers look.

import { createRouter } from "../../lambdas/core/routing.ts";
import { BUCKET } from "./discovery/bucket.ts";
import { checkAtRest, checkExact, isMarker } from "./discovery/checks.ts";
import { compareReport, type Expected, expectFull, expectOwn } from "./discovery/epilogue.ts";
import { DiscoveryHost, type DiscoveryOptions } from "./discovery/host.ts";
import { LIMITS } from "./discovery/setup.ts";
import type { FaultRates } from "./invocation.ts";

export interface DiscoveryResult {
  readonly violations: readonly string[];
  readonly digest: string;
  readonly rates: FaultRates;
  readonly ended: Readonly<Record<string, number>>;
  readonly trace: readonly string[] | undefined;
}

const CHANGING_MS = 40_000;
const STILL_RUNS = 3;
const DAY_MS = 86_400_000;
/** More than all that a seed does, and the days it sleeps. */
const END_MS = 3_600_000 + 20 * DAY_MS;

export async function simulateDiscovery(seed: number, options: DiscoveryOptions = {}): Promise<DiscoveryResult> {
  const life = new DiscoveryLife(seed, options);
  await life.play();
  return life.result();
}

class DiscoveryLife {
  readonly #host: DiscoveryHost;

  constructor(seed: number, options: DiscoveryOptions) {
    this.#host = new DiscoveryHost(seed, options);
  }

  async play(): Promise<void> {
    const { world } = this.#host;
    const endMs = world.now() + END_MS;
    const isOver = () => this.#host.phase === "over" || this.#host.problems.length > 0;
    world.at(world.now(), () => {
      this.#direct().then(
        () => {
          this.#host.phase = "over";
        },
        (error: unknown) => this.#host.notice(error, true),
      );
    });
    this.#host.every(1_500, () => this.#host.load());
    this.#host.every(4_000, () => this.#host.loading.commit());
    this.#host.every(20_000, () => this.#host.loading.sweep());
    await world.runUntil(endMs, isOver);
    if (!isOver()) this.#host.problems.push("liveness: it never came to rest");
  }

  result(): DiscoveryResult {
    const { world } = this.#host;
    const { trace } = world;
    const { problems: violations, faults: rates, ended } = this.#host;
    return { violations, digest: world.digest(), rates, ended, trace };
  }

  async #direct(): Promise<void> {
    const { world } = this.#host;
    for (let count = 10 + world.upTo(60); count > 0; count--)
      await this.#host.bucket.put(this.#host.bucket.newKey(), world.chance(0.5));
    await this.#host.writeInventory();
    const executions = this.#startExecutions();
    const changingUntil = world.now() + CHANGING_MS;
    const { isEventful } = this.#host;
    if (isEventful) world.at(world.now() + world.upTo(CHANGING_MS), () => this.#host.deploy());
    while (world.now() < changingUntil) {
      await world.sleep(world.upTo(1_500));
      await this.#host.bucket.act();
    }
    this.#host.phase = "still";
    const stillSinceMs = world.now();
    for (let n = 0; n < STILL_RUNS; n++) await this.#runStill(`still${n}`, stillSinceMs, n === 0);
    this.#host.phase = "calm";
    await executions;
    await this.#host.rest();
    await this.#fullRun("calm");
    this.#host.problems.push(...checkAtRest(this.#host.state));
    if (isEventful) await this.#awayForDays();
    await this.#epilogue();
  }

  /**
   * Days without a run of the ingestion's own - some of a part of the files at most -, longer than any look-back, while files come of which
   * no event tells; then two.
   */
  async #awayForDays(): Promise<void> {
    const { world, bucket, setup } = this.#host;
    const { strategy } = setup.listing;
    await this.#host.execute("before", { fresh: true });
    await this.#host.rest();
    for (let days = 4 + world.upTo(4); days > 0; days--) {
      this.#host.wakesAtMs = world.now() + DAY_MS;
      await world.sleep(DAY_MS);
      for (let count = world.upTo(4); count > 0; count--) await bucket.put(bucket.newKey(), true);
      if (world.chance(0.3)) await this.#host.execute(`part${days}`, { strategy, sizeBytesMin: 15, fresh: true });
    }
    await this.#host.writeInventory();
    for (const name of ["after", "again"]) {
      const ended = await this.#host.execute(name, { fresh: true });
      if (ended.kind !== "succeeded") this.#host.problems.push(`the quiet run ${name} ${ended.kind}`);
      await this.#host.rest();
    }
    await this.#fullRun("back");
  }

  /** One after the other or at once, with whatever inputs people and schedules give. */
  async #startExecutions(): Promise<void> {
    const { world } = this.#host;
    const running: Promise<unknown>[] = [];
    for (let n = 0; this.#host.phase === "changing"; n++) {
      running.push(this.#host.execute(`run${n}`, this.#someInput()));
      await world.sleep(1_000 + world.upTo(14_000));
      if (world.chance(0.2)) await this.#host.writeInventory();
    }
    await Promise.all(running);
  }

  #someInput(): object {
    const { world, isEventful, setup } = this.#host;
    if (isEventful && world.chance(0.4)) {
      const dates = { strategy: "partitioned", dateFrom: "2025-12-28", dateTo: "2026-01-02" };
      const { strategy } = setup.listing;
      const inputs = [{ modifiedFrom: "2020-01-01" }, { strategy, sizeBytesMin: 1 }];
      return world.pick([...inputs, strategy === "partitioned" ? dates : {}]);
    }
    return world.pick([
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
    const { world } = this.#host;
    for (let turn = 0; turn < 12; turn++) {
      const ended = await this.#host.execute(`${name}-${turn}`, { strategy: "full", fresh: fresh && turn === 0 });
      if (ended.kind === "succeeded") {
        const record = await this.#host.recordOf(ended.run);
        if (record.listedFromMs >= stillSinceMs)
          this.#host.problems.push(...checkExact(this.#host.state, ended.report));
        if (record.listedFromMs >= stillSinceMs) return;
      }
      await world.sleep(500 + world.upTo(3_000));
    }
  }

  async #fullRun(name: string): Promise<void> {
    await this.#host.execute(`nested-${name}`, { ingestion: "nested", strategy: "full", fresh: true });
    const ended = await this.#host.execute(name, { strategy: "full", fresh: true });
    if (ended.kind === "succeeded") this.#host.problems.push(...checkExact(this.#host.state, ended.report));
    else this.#host.problems.push(`the quiet run ${name} ${ended.kind}`);
    await this.#host.rest();
  }

  async #epilogue(): Promise<void> {
    const { world } = this.#host;
    const { main } = this.#host.setup;
    const fresh: string[] = [];
    for (let count = 1 + world.upTo(8); count > 0; count--) {
      const key = this.#host.bucket.newKey();
      const isNew = !this.#host.bucket.current.has(key) && (await this.#host.isUnheard(key));
      if (!isNew) continue;
      await this.#host.bucket.put(key, true);
      if (!isMarker(key) && createRouter(this.#host.setup.config.ingestions)(BUCKET, key) === main) fresh.push(key);
    }
    await world.sleep(LIMITS.eventGraceMs + 2_000);
    await this.#host.writeInventory();
    const own = expectOwn(main, fresh, await this.#host.cursor(), world.now());
    await this.#runQuiet("own", {}, own, main.discovery.listing.strategy === "partitioned");
    const left: string[] = [];
    for (const key of fresh) if (await this.#host.isUnheard(key)) left.push(key);
    await this.#runQuiet(
      "rest",
      { strategy: "full" },
      expectFull(main, left, await this.#host.cursor(), world.now()),
      false,
    );
    await this.#host.execute("nested-rest", { ingestion: "nested", strategy: "full", fresh: true });
    await this.#host.rest();
    this.#host.problems.push(...checkAtRest(this.#host.state).map((problem) => `in the end: ${problem}`));
  }

  async #runQuiet(name: string, input: object, expected: Expected, isAtLeast: boolean): Promise<void> {
    const ended = await this.#host.execute(name, { ...input, fresh: true });
    if (ended.kind === "succeeded") this.#host.problems.push(...compareReport(ended.report, expected, isAtLeast));
    else this.#host.problems.push(`the quiet run ${name} ${ended.kind}`);
    await this.#host.rest();
  }
}
