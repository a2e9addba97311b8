// The commands around listings, over a ledger that real runs filled.

import { beforeAll, describe, expect, test } from "vitest";
import type { Progress } from "../../../cli/runs.ts";
import type { RunRecord } from "../../../lambdas/core/discovery/model.ts";
import { type RunHarness, RunHarness as World } from "../discovery/run-harness.ts";
import { CONFIG, type Machine, outputsFile, RUN_ID, run } from "./terminal.ts";

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

test("moraine runs and run tell of runs, newest first and by id", async () => {
  const list = JSON.parse((await run(machine, "runs", "--json")).out) as RunRecord[];
  expect(list.map(({ runId }) => runId)).toEqual([RUN_ID]);
  expect((await run(machine, "runs")).out).toMatch(/SUCCEEDED +orders +full/);
  const { code, out } = await run(machine, "run", RUN_ID);
  expect(code).toBe(0);
  expect(out).toContain("12 listed: 12 new, 0 changed, 0 known, 0 skipped, 0 excluded");
  expect((await run(machine, "run", "nobody")).code).toBe(1);
});

test("a checkpoint is shown, and forgotten only for the ingestion that is named", async () => {
  expect((await run(machine, "checkpoints", "orders")).out).toContain("orders/0011");
  expect((await run(machine, "checkpoints", "--reset")).code).toBe(2);
  expect((await run(machine, "checkpoints", "orders", "--reset")).out).toContain("starts from nothing");
  expect(await world.cursor()).toBeUndefined();
  expect((await run(machine, "checkpoints", "orders")).out).toContain("nothing remembered");
});

test("moraine recommend looks at a prefix and answers with a discovery section", async () => {
  const { code, out } = await run(machine, "recommend", "s3://landing/orders/");
  expect(code).toBe(0);
  expect(out).toMatch(/^\w+\n {2}- /);
  expect(out).toContain("reconcile");
});
