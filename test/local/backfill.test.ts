// Runs of the deployed state machine on the local stack: what no event brought is found, and loaded once, whatever dies meanwhile.

import { DescribeExecutionCommand, SFNClient, StartExecutionCommand } from "@aws-sdk/client-sfn";
import { afterEach, beforeAll, expect, test } from "vitest";
import type { RunReport } from "../../lambdas/core/discovery/model.ts";
import { type App, synthesizeApp, World } from "./support/world.ts";

const YAML = `
ingestions:
  - id: quiet
    source: { prefix: quiet/ }
    format: { type: ndjson }
    target: { database: d, table: quiet }
    discovery: { strategy: full, every: 1h }
  - id: live
    source: { prefix: live/ }
    format: { type: ndjson }
    target: { database: d, table: live }
    discovery: { reconcile: { strategy: partitioned, pattern: "day=%Y-%m-%d", lookback: 2d, every: 1d } }
`;

let app: App;
let world: World | undefined;
beforeAll(async () => {
  app = await synthesizeApp(YAML);
});
afterEach(async () => {
  await world?.stop();
  world = undefined;
});

interface Ended {
  readonly status: string | undefined;
  readonly output: RunReport & { readonly kind?: string };
  readonly cause: string | undefined;
}

class Runs {
  readonly #client: SFNClient;
  readonly #machine: string;

  constructor({ stack }: World) {
    const credentials = { accessKeyId: "local", secretAccessKey: "local" };
    this.#client = new SFNClient({ endpoint: stack.endpoint, region: stack.region, credentials });
    this.#machine = stack.outputs["BackfillStateMachineArn"] ?? "";
  }

  async start(input: object): Promise<string> {
    const command = new StartExecutionCommand({ stateMachineArn: this.#machine, input: JSON.stringify(input) });
    return (await this.#client.send(command)).executionArn ?? "";
  }

  async end(executionArn: string): Promise<Ended> {
    for (;;) {
      const { status, output, cause } = await this.#client.send(new DescribeExecutionCommand({ executionArn }));
      if (status !== "RUNNING") return { status, output: JSON.parse(output ?? "{}") as Ended["output"], cause };
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async run(input: object): Promise<Ended> {
    return this.end(await this.start(input));
  }
}

test("files that sent no event are found by a run, loaded once, and known to the next", async () => {
  world = await World.start(app);
  const runs = new Runs(world);
  await world.putMany("quiet", 40);
  await world.stack.quiet();
  expect(await world.rows("quiet")).toEqual({});

  const dry = await runs.run({ ingestion: "quiet", dryRun: true });
  expect(dry).toMatchObject({ status: "SUCCEEDED", output: { dryRun: true, total: 40, new: 40, known: 0 } });
  expect(dry.output.dollars).toBeGreaterThan(0);
  expect(await world.rows("quiet")).toEqual({});

  const first = await runs.run({ ingestion: "quiet" });
  expect(first).toMatchObject({ status: "SUCCEEDED", output: { total: 40, new: 40, known: 0, excluded: 0 } });
  await world.settle();
  await world.expectExactly();

  const second = await runs.run({ ingestion: "quiet" });
  expect(second.output).toMatchObject({ total: 40, new: 0, changed: 0, known: 40 });
  const third = await runs.run({ ingestion: "quiet" });
  expect(third.output).toMatchObject({ known: 40, ledgerReads: 0 });

  await world.put("quiet/7", 5);
  const changed = await runs.run({ ingestion: "quiet" });
  expect(changed.output).toMatchObject({ total: 40, new: 0, changed: 1, known: 39 });
  await world.settle();
  await world.expectExactly();
});

test("no object is asked for by name while buckets are listed", async () => {
  world = await World.start(app);
  await world.putMany("quiet", 20);
  world.stack.requests.reset();
  await new Runs(world).run({ ingestion: "quiet", dryRun: true });
  const counts = world.stack.requests.counts(world.stack.resource("DiscoveryCode", "AWS::Lambda::Function").id);
  expect(Object.keys(counts).filter((name) => name.startsWith("S3.Head"))).toEqual([]);
  // The bucket once, and the run's own folder, to clear it away.
  expect(counts["S3.ListObjectsV2"]?.count).toBeLessThanOrEqual(3);
});

test("a second run of the ingestion at once is joined, not doubled", async () => {
  world = await World.start(app);
  const runs = new Runs(world);
  await world.putMany("quiet", 10);
  world.stack.faults.set({ seed: 1, requests: [{ on: "S3.ListObjectsV2", effect: { delayMs: 3_000 } }] });
  const [one, other] = [await runs.start({ ingestion: "quiet" }), await runs.start({ ingestion: "quiet" })];
  const ends = [await runs.end(one), await runs.end(other)];
  // Which of them begins is chance.
  const isJoined = ({ output }: (typeof ends)[number]) => (output as { kind?: string }).kind === "joined";
  expect(ends.filter(isJoined)).toMatchObject([{ status: "SUCCEEDED" }]);
  expect(ends.filter((end) => !isJoined(end))).toMatchObject([{ status: "SUCCEEDED", output: { new: 10 } }]);
  world.stack.faults.set();
  await world.settle();
  await world.expectExactly();
});

test("a run that lists something else than the one under way begins when that one is over", async () => {
  world = await World.start(app);
  const runs = new Runs(world);
  await world.putMany("quiet", 10);
  world.stack.faults.set({ seed: 1, requests: [{ on: "S3.ListObjectsV2", effect: { delayMs: 1_500 } }] });
  const first = await runs.start({ ingestion: "quiet" });
  await new Promise((resolve) => setTimeout(resolve, 700));
  const second = await runs.start({ ingestion: "quiet", checkAll: true });
  const ended = await runs.end(first);
  world.stack.faults.set();
  const { status, output } = await runs.end(second);
  expect(ended).toMatchObject({ status: "SUCCEEDED", output: { total: 10, new: 10 } });
  expect({ status, output }).toMatchObject({ status: "SUCCEEDED", output: { total: 10 } });
  // Ten files, and the batches that hold some of them at that moment.
  expect(Number((output as { ledgerReads: number }).ledgerReads)).toBeGreaterThanOrEqual(10);
  await world.settle();
  await world.expectExactly();
});

test("a run of partitions that are not in the part it lists is over at once", async () => {
  world = await World.start(app);
  await world.putMany("quiet", 3);
  const partitions = { strategy: "partitioned", pattern: "day=%Y-%m-%d", prefix: "quiet/other/" };
  expect(await new Runs(world).run({ ingestion: "quiet", ...partitions })).toMatchObject({
    status: "SUCCEEDED",
    output: { total: 0, shards: 0 },
  });
});

test("a listing function that is killed costs nothing but time", async () => {
  world = await World.start(app);
  const runs = new Runs(world);
  await world.putMany("quiet", 30);
  world.stack.faults.set({
    seed: 3,
    requests: [
      { on: "SQS.SendMessageBatch", effect: "kill-after", from: "Discovery", nth: [1] },
      { on: "DynamoDB.PutItem", effect: "lose-response", from: "Discovery", nth: [4] },
      { on: "S3.ListObjectsV2", effect: "throttle", from: "Discovery", nth: [2] },
    ],
  });
  const { status, output } = await runs.run({ ingestion: "quiet" });
  // What the killed function had sent is known, or in a batch whose lease has run out, by the time its shard is listed again.
  const { total, new: found, changed, known } = output;
  expect({ status, total, files: found + changed + known }).toEqual({ status: "SUCCEEDED", total: 30, files: 30 });
  expect(world.stack.faults.fired.length).toBeGreaterThanOrEqual(2);
  world.stack.faults.set();
  await world.settle();
  await world.expectExactly();
});

test("a scheduled reconcile finds what events missed, and says so", async () => {
  world = await World.start(app);
  const today = new Date().toISOString().slice(0, 10);
  await world.putMany(`live/day=${today}`, 5);
  await world.settle();
  world.stack.faults.set({ seed: 5, events: { lostRate: 1 } });
  await world.put(`live/day=${today}/unheard`, 2);
  world.stack.faults.set();
  expect(await world.file(`live/day=${today}/unheard`)).toBeUndefined();
  await world.stack.trigger("DiscoverySchedulelive");
  await world.settle();
  await world.expectExactly();
});

test("an input that cannot be used ends the execution with the field and the remedy", async () => {
  world = await World.start(app);
  const { status, cause } = await new Runs(world).run({ ingestion: "nobody", dryrun: true });
  expect(status).toBe("FAILED");
  expect(cause).toMatch(/nobody/);
  expect(cause).toMatch(/dryrun/);
});
