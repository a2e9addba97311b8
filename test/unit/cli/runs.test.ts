// The commands around listings, over a ledger that real runs filled.

import { beforeAll, describe, expect, test } from "vitest";
import type { Progress } from "../../../cli/runs.ts";
import type { RunRecord } from "../../../lambdas/core/discovery/model.ts";
import { failRun, gatherRound, planRound } from "../../../lambdas/core/discovery/run.ts";
import { begunKey, runItem, SHARD_PREFIX, shardsPartition } from "../../../lambdas/core/discovery/run-records.ts";
import type { Revision } from "../../../lambdas/core/ids.ts";
import type { Ledger, LedgerItem } from "../../../lambdas/core/ports.ts";
import { INVENTORY_LOCATION, writeInventory } from "../../simulation/discovery/inventory-report.ts";
import { type RunHarness, RunHarness as World } from "../discovery/run-harness.ts";
import { CONFIG, type Machine, outputsFile, type Ran, RUN_ID, run } from "./terminal.ts";

const MACHINE_ARN = "arn:aws:states:us-east-1:000000000000:stateMachine:backfill";

let world: RunHarness;
let machine: Machine;

/** The state machine, carried out at once. */
function machineOf(harness: RunHarness): Machine {
  const outcomes = new Map<string, { output?: string; error?: string; cause?: string }>();
  return {
    files: {
      "moraine.yaml": CONFIG,
      "cdk-outputs.json": outputsFile({ BackfillStateMachineArn: MACHINE_ARN }),
    },
    ledger: harness.ledger,
    lister: harness.lister,
    now: () => harness.clock.now(),
    startExecution: async (arn, name, input) => {
      expect(arn).toBe(MACHINE_ARN);
      const { ingestion: _orders, ...rest } = JSON.parse(input) as { ingestion: string };
      const outcome = await harness.run(name, rest).then(
        (report) => ({ output: JSON.stringify(report) }),
        (error: Error) => ({ error: "Moraine.Invalid", cause: JSON.stringify({ errorMessage: error.message }) }),
      );
      outcomes.set(name, outcome);
      return name;
    },
    execution: async (arn) => {
      const outcome = outcomes.get(arn) ?? {};
      return { status: outcome.output === undefined ? "FAILED" : "SUCCEEDED", ...outcome };
    },
  };
}

beforeAll(async () => {
  world = new World();
  machine = machineOf(world);
  await world.fill(12);
});

describe("moraine backfill", () => {
  test("starts a run, waits for it and shows its report", async () => {
    const { code, out } = await run(machine, "backfill", "orders", "--json");
    const { run: record, counts } = JSON.parse(out) as Progress;
    expect(code).toBe(0);
    expect(record).toMatchObject({ runId: RUN_ID, status: "SUCCEEDED", input: { trigger: "command" } });
    expect(counts).toMatchObject({ total: 12, new: 12 });
    expect((await world.record(RUN_ID))?.status).toBe("SUCCEEDED");
  });

  test.each([
    [
      ["--strategy", "partitioned", "--pattern", "%Y/%m/%d", "--lookback", "3d"],
      { pattern: "%Y/%m/%d", lookback: "3d" },
    ],
    [["--strategy", "incremental_lexical", "--lookback", "12"], { lookback: 12 }],
    [["--strategy", "incremental_time", "--overlap", "90m"], { overlap: "90m" }],
    [["--strategy", "inventory", "--inventory", "s3://landing/reports/all"], { inventory: "s3://real/reports/all" }],
  ])("hands on what a strategy can be told: %j", async (words, options) => {
    const inputs: unknown[] = [];
    const startExecution: Machine["startExecution"] = async (_arn, _name, input) => {
      inputs.push(JSON.parse(input));
      return "arn:one";
    };
    const buckets = { BackfillStateMachineArn: MACHINE_ARN, Buckets: JSON.stringify({ landing: "real" }) };
    const files = { ...machine.files, "cdk-outputs.json": outputsFile(buckets) };
    const { code } = await run({ ...machine, files, startExecution }, "backfill", "orders", ...words, "--detach");
    expect([code, inputs]).toMatchObject([0, [{ ingestion: "orders", strategy: words[1], ...options }]]);
  });

  test("says what an input is refused for, and that it is the command line that must change", async () => {
    const other = machineOf(new World());
    const { code, err } = await run(other, "backfill", "orders", "--strategy", "partitioned");
    expect(code).toBe(2);
    expect(err).toMatch(/pattern/);
  });

  test("names the ingestions there are when one is not known", async () => {
    const { code, err } = await run(machine, "backfill", "nobody");
    expect([code, err]).toEqual([2, expect.stringContaining("orders")]);
  });

  test("with --watch and no run under way starts none", async () => {
    const { code, err } = await run(machine, "backfill", "orders", "--watch");
    expect([code, err]).toEqual([2, expect.stringContaining("no run of orders is under way")]);
  });

  test("does not guess where the state machine is", async () => {
    const files = { ...machine.files, "cdk-outputs.json": outputsFile() };
    const { code, err } = await run({ ...machine, files }, "backfill", "orders");
    expect([code, err]).toEqual([2, expect.stringContaining("BackfillStateMachineArn")]);
  });
});

describe("watching a run", () => {
  const running: Machine["execution"] = async () => ({ status: "RUNNING" });
  const stopped: Machine["execution"] = async () => ({ status: "ABORTED" });

  test("of an ingestion that another run lists says which one it waits for", async () => {
    const harness = new World();
    const other = await harness.begin("other", { checkAll: true });
    const waiting = { ...machineOf(harness), startExecution: async () => "arn:one", execution: running };
    let slept = 0;
    const sleep = async () => {
      slept++;
      if (slept === 2) await harness.complete(other).then(() => harness.run(RUN_ID));
    };
    const { code, err } = await run({ ...waiting, sleep }, "backfill", "orders");
    expect(code).toBe(0);
    expect(err.match(/run other of orders is under way: waiting for its end/g)).toHaveLength(1);
  });

  test("that joined another one ends with that one's report", async () => {
    const harness = new World();
    const other = await harness.begin("other");
    const output = JSON.stringify({ kind: "joined", run: other });
    const execution: Machine["execution"] = async (arn) =>
      arn === "arn:one" ? { status: "SUCCEEDED", output } : { status: "RUNNING" };
    const sleep = async () => void (await harness.complete(other));
    const joining = { ...machineOf(harness), startExecution: async () => "arn:one", execution, sleep };
    const { code, out, err } = await run(joining, "backfill", "orders");
    expect([code, out.split("\n")[0]]).toEqual([0, "other"]);
    expect(err).toContain("run other of orders listed the same: its report is this one's");
  });

  test.each([["--watch"], ["--fresh"]])(
    "with %s ends when its execution was stopped and could not say so",
    async (flag) => {
      const harness = new World();
      await harness.begin(flag === "--watch" ? "one" : RUN_ID);
      const { code, err } = await run(
        { ...machineOf(harness), startExecution: async () => `arn:${RUN_ID}`, execution: stopped },
        ...["backfill", "orders", flag],
      );
      expect([code, err]).toEqual([3, expect.stringContaining("somebody stopped the execution of the run")]);
    },
  );

  test("may be left: the message names what comes back to it, of a dry run too", async () => {
    const harness = new World();
    await harness.begin("other");
    const left = { ...machineOf(harness), startExecution: async () => "arn:one", execution: running };
    const { code, err } = await run({ ...left, interrupted: () => true }, "backfill", "orders", "--dry-run");
    expect([code, err]).toEqual([
      0,
      `\nthe run goes on: moraine run ${RUN_ID} shows how far it is once it has begun\n`,
    ]);
  });

  test("that has not begun looks through no other runs", async () => {
    const harness = new World();
    await harness.run("one");
    const waiting = { ...machineOf(harness), startExecution: async () => "arn:two", execution: running };
    let slept = 0;
    const sleep = async () => void slept++;
    harness.ledger.calls.clear();
    await run({ ...waiting, sleep, interrupted: () => slept === 5 }, "backfill", "orders");
    expect([slept, harness.ledger.calls.get("list")]).toEqual([5, undefined]);
  });

  test("and not watching it exclude each other", async () => {
    const { code, err } = await run(machine, "backfill", "orders", "--watch", "--detach");
    expect([code, err]).toEqual([2, expect.stringContaining("'--detach'")]);
  });
});

test("moraine runs and run tell of runs, newest first and by id", async () => {
  const list = JSON.parse((await run(machine, "runs", "--json")).out) as RunRecord[];
  expect(list.map(({ runId }) => runId)).toEqual([RUN_ID]);
  expect((await run(machine, "runs")).out).toMatch(/SUCCEEDED +orders +full/);
  const { code, out } = await run(machine, "run", RUN_ID);
  expect(code).toBe(0);
  expect(out).toContain("12 listed: 12 new, 0 changed, 0 known, 0 skipped, 0 excluded");
  expect((await run(machine, "run", "nobody")).code).toBe(1);
});

test("moraine run finds a run with more than a thousand after it, also when its begin marker has expired", async () => {
  const harness = new World();
  await harness.run("old");
  const old = (await harness.record("old")) as RunRecord;
  for (let n = 1; n <= 1001; n++) {
    const later = { ...old, runId: `later-${n}`, startedAtMs: old.startedAtMs + n };
    await harness.ledger.write(runItem(later, later.runId as Revision), "absent");
  }
  harness.ledger.calls.clear();
  expect((await run(machineOf(harness), "run", "old")).code).toBe(0);
  expect(harness.ledger.calls.get("list")).toBeUndefined();
  const begun = (await harness.ledger.read(begunKey("old"))) as LedgerItem;
  await harness.ledger.remove(begun.key, begun.revision);
  expect((await run(machineOf(harness), "run", "old")).code).toBe(0);
});

describe("the progress of a run under way", () => {
  async function progressOf(harness: RunHarness, id: string): Promise<Progress> {
    const { code, out } = await run(machineOf(harness), "run", id, "--json");
    expect(code).toBe(0);
    return JSON.parse(out) as Progress;
  }

  test("is the sum of its shards' checkpoints", async () => {
    const harness = new World();
    await harness.fill(30);
    const begun = await harness.begin("one");
    expect((await progressOf(harness, "one")).counts.total).toBe(0);
    const round = await planRound(harness.context(), begun);
    await harness.listAll(begun, round, { objectsMax: 10 });
    const { run: record, counts, shards } = await progressOf(harness, "one");
    expect([record.status, shards, counts.total]).toEqual(["RUNNING", 1, harness.sent().length]);
    expect(counts.total).toBeGreaterThan(0);
  });

  test("counts what the runs had listed that it takes up again, and not as its own speed", async () => {
    const harness = new World();
    await harness.fill(60);
    for (const name of ["one", "two"]) {
      const begun = await harness.begin(name);
      await harness.listAll(begun, await planRound(harness.context(), begun), { objectsMax: 10 });
      await failRun(harness.context(), begun, "stopped");
      harness.clock.advance(1000);
    }
    await planRound(harness.context(), await harness.begin("three"));
    harness.clock.advance(1000);
    const { counts, rate } = await progressOf(harness, "three");
    expect(counts.total).toBe(harness.sent().length);
    expect([counts.total > 10, rate]).toEqual([true, 0]);
  });
});

describe("a run that failed", () => {
  test("is shown with what its shards had listed, by itself and in the list", async () => {
    const harness = new World();
    await harness.fill(60);
    const begun = await harness.begin("one");
    await harness.listAll(begun, await planRound(harness.context(), begun), { objectsMax: 10 });
    await failRun(harness.context(), begun, "stopped");
    const total = harness.sent().length;
    expect(total).toBeGreaterThan(0);
    const { run: record, counts, leftMs } = JSON.parse((await run(machineOf(harness), "run", "one", "--json")).out);
    expect([record.status, counts.total, leftMs]).toEqual(["FAILED", total, undefined]);
    const [listed] = JSON.parse((await run(machineOf(harness), "runs", "--json")).out) as RunRecord[];
    expect([listed?.status, listed?.counts.total]).toEqual(["FAILED", total]);
  });

  test("has what its rounds had gathered when its checkpoints have expired", async () => {
    const harness = new World();
    await harness.fill(60);
    const begun = await harness.begin("one");
    const round = await planRound(harness.context(), begun);
    await harness.listAll(begun, round, { objectsMax: 10 });
    await gatherRound(harness.context(), begun, round);
    await failRun(harness.context(), begun, "stopped");
    const total = harness.sent().length;
    for await (const { key, revision } of harness.ledger.list(shardsPartition("one"), SHARD_PREFIX)) {
      await harness.ledger.remove(key, revision);
    }
    const { counts } = JSON.parse((await run(machineOf(harness), "run", "one", "--json")).out) as Progress;
    expect([total > 0, counts.total]).toEqual([true, total]);
  });
});

test("a checkpoint is shown, and forgotten only for the ingestion that is named", async () => {
  expect((await run(machine, "checkpoints", "orders")).out).toContain("orders/0011");
  expect((await run(machine, "checkpoints", "--reset")).code).toBe(2);
  expect((await run(machine, "checkpoints", "orders", "--reset")).out).toContain("starts from nothing");
  expect(await world.cursor()).toBeUndefined();
  expect((await run(machine, "checkpoints", "orders")).out).toContain("nothing remembered");
});

test("a checkpoint names the inventory that was read, and when it was made", async () => {
  const harness = new World({
    listing: { strategy: "inventory", location: INVENTORY_LOCATION, ageMaxMs: 86_400_000 },
  });
  await harness.fill(1);
  await writeInventory(harness.store, harness.clock.now(), 0);
  await harness.run("one");
  const { out } = await run(machineOf(harness), "checkpoints", "orders");
  expect(out).toMatch(new RegExp(`inventory of .*, ${INVENTORY_LOCATION}`));
});

describe("a checkpoint that a run moves while it is being forgotten", () => {
  /** The cursor is written anew before each of the first `moves` removals. */
  async function reset(moves: number): Promise<{ harness: RunHarness; ran: Ran }> {
    const harness = new World();
    await harness.run("one");
    const { ledger } = harness;
    let moved = 0;
    const remove: Ledger["remove"] = async (key, expected) => {
      const item = moved++ < moves ? await ledger.read(key) : undefined;
      if (item !== undefined) await ledger.write({ ...item, revision: `moved-${moved}` as Revision }, item.revision);
      return ledger.remove(key, expected);
    };
    const moving = new Proxy(ledger, {
      get: (target, name) => (name === "remove" ? remove : Reflect.get(target, name, target).bind(target)),
    });
    return { harness, ran: await run({ ...machineOf(harness), ledger: moving }, "checkpoints", "orders", "--reset") };
  }

  test("is read and removed again", async () => {
    const { harness, ran } = await reset(2);
    expect([ran.code, ran.out]).toEqual([0, expect.stringContaining("starts from nothing")]);
    expect(await harness.cursor()).toBeUndefined();
  });

  test("again and again is an error, and not said to be forgotten", async () => {
    const { harness, ran } = await reset(Number.POSITIVE_INFINITY);
    expect([ran.code, ran.err]).toEqual([3, expect.stringContaining("keeps changing")]);
    expect(await harness.cursor()).toBeDefined();
  });
});

test("moraine recommend looks at a prefix and answers with a discovery section", async () => {
  const { code, out } = await run(machine, "recommend", "s3://landing/orders/");
  expect(code).toBe(0);
  expect(out).toMatch(/^\w+\n {2}- /);
  expect(out).toContain("reconcile");
});
