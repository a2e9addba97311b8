// What a file costs in requests, counted at the door of the deployed app's own functions. In steady state one GET and two ledger
// writes per file, nothing else that grows with their number; the rest is a constant per batch and per commit, named here.

import { expect, test } from "vitest";
import { mapLimit } from "../../lambdas/core/concurrency.ts";
import { objectUri, tableIdOf } from "../../lambdas/core/ids.ts";
import { commitPartition, readCommit } from "../../lambdas/core/records.ts";
import type { RequestCounts } from "../../local/requests.ts";
import { synthesizeApp, World } from "./support/world.ts";

const FILES = 2_000;
const ROWS = 3;
const OBJECTS = 500;
const UPLOADS_MAX = 16;
const YAML = `
commit: { interval: 10s }
ingestions:
  - { id: sheets, source: { prefix: sheets/ }, format: { type: csv }, target: { database: test, table: sheets } }
  - { id: objects, source: { prefix: objects/ }, format: { type: metadata }, target: { database: test, table: objects } }
`;
/** The intake window is 3 s, long enough for batches of hundreds; the commit hint waits 4 s. */
const TIME_SCALE = 0.3;

/** Per batch of the load function: requests besides the one GET and the one write (its claim) of each file. */
const LOAD_PER_BATCH: Readonly<Record<string, number>> = {
  // The batch item opened and sealed; the table's head, made by whoever is first.
  "DynamoDB.PutItem": 3,
  // The head before each look at the table: twice when the table must be made or widened.
  "DynamoDB.GetItem": 3,
  "Glue.GetTable": 3,
  "Glue.CreateTable": 1,
  "Glue.UpdateTable": 1,
  // The metadata file at each look.
  "S3.GetObject": 3,
  // One data file and its manifest, one file of deletes and its manifest; the metadata file of a new table.
  "S3.PutObject": 5,
  // The metadata file of a new table that somebody else made first.
  "S3.DeleteObjects": 1,
  "SQS.SendMessage": 1,
};
/** Per commit of the commit function: requests besides the one write (its fate) of each file. */
const COMMIT_PER_COMMIT: Readonly<Record<string, number>> = {
  // Intent, leftovers, commit record, head.
  "DynamoDB.PutItem": 4,
  // Before the first intent and after the last one.
  "DynamoDB.GetItem": 2,
  "DynamoDB.Query": 2,
  // The claims of all batches, and the batches of the intent.
  "DynamoDB.BatchGetItem": 2,
  // To load the table, and to keep what others wrote into Glue's own record of it.
  "Glue.GetTable": 2,
  "Glue.UpdateTable": 1,
  // Metadata file and manifest list, read and written; a manifest that others were merged into.
  "S3.GetObject": 2,
  "S3.PutObject": 3,
};
const COMMIT_PER_BATCH: Readonly<Record<string, number>> = {
  // The batch item is settled, and in the end removed.
  "DynamoDB.PutItem": 1,
  "DynamoDB.DeleteItem": 1,
  // Its manifest is read once when it is merged with others.
  "S3.GetObject": 1,
};

test("2,000 small files cost one GET and two ledger writes each, and a constant per batch and per commit", async () => {
  await expectBudget("sheets", FILES, ROWS, { "S3.GetObject": FILES }, async (world) => {
    await world.putMany("sheets", FILES);
    await world.settle();
    return () => world.expectExactly();
  });
});

test("500 objects that are registered cost no GET and no HEAD, and two ledger writes each", async () => {
  await expectBudget("objects", OBJECTS, 1, {}, async (world) => {
    const keys = Array.from({ length: OBJECTS }, (_, n) => objectUri(world.bucket, `objects/${n}.jpg`));
    await mapLimit(keys, UPLOADS_MAX, (key) => world.ports.store.put(key, Buffer.from("not read")));
    await world.settle();
    return async () => undefined;
  });
});

async function expectBudget(
  ingestion: string,
  files: number,
  rowsPerFile: number,
  reads: Budget,
  work: (world: World) => Promise<() => Promise<void>>,
): Promise<void> {
  const world = await World.start(await synthesizeApp(YAML), { timeScale: TIME_SCALE });
  try {
    world.stack.requests.reset();
    const startedMs = performance.now();
    const check = await work(world);
    console.log(`${files} ${ingestion} put, loaded and committed in ${Math.round(performance.now() - startedMs)} ms`);
    const load = world.stack.requests.counts(world.stack.resource("LoadCode", "AWS::Lambda::Function").id);
    const commit = world.stack.requests.counts(world.stack.resource("CommitCode", "AWS::Lambda::Function").id);
    const { batches, commits } = await landed(world, ingestion, { files, records: files * rowsPerFile });
    await check();

    printTable(files, { load, commit }, batches, commits);
    // As deployed, files come to the loader by the hundred: else the constants would be the cost.
    expect(batches).toBeLessThanOrEqual(files / 100);
    expectAtMost(load, [reads, { "DynamoDB.PutItem": files }, times(LOAD_PER_BATCH, batches)]);
    expectAtMost(commit, [
      { "DynamoDB.PutItem": files },
      times(COMMIT_PER_COMMIT, commits),
      times(COMMIT_PER_BATCH, batches),
      // An invocation whose hint was late finds nothing to do.
      { "DynamoDB.GetItem": batches, "DynamoDB.Query": batches },
    ]);
  } finally {
    await world.stop();
  }
}

async function landed(world: World, table: string, all: object): Promise<{ batches: number; commits: number }> {
  const partition = commitPartition(tableIdOf({ database: "test", table }));
  const counted = { batches: 0, commits: 0, files: 0, records: 0 };
  for await (const item of world.ports.ledger.list(partition, "")) {
    const { batches, files, records } = readCommit(item);
    counted.commits++;
    counted.batches += batches.length;
    counted.files += files;
    counted.records += records;
  }
  expect(counted).toMatchObject(all);
  return counted;
}

type Budget = Readonly<Record<string, number>>;

function times(budget: Budget, factor: number): Budget {
  return Object.fromEntries(Object.entries(budget).map(([operation, count]) => [operation, count * factor]));
}

/** Operations without a budget must not occur at all: there is no HEAD per file, nor any other request unnamed. */
function expectAtMost(counts: RequestCounts, budgets: readonly Budget[]): void {
  const allowed = new Map<string, number>();
  for (const [operation, count] of budgets.flatMap((budget) => Object.entries(budget))) {
    allowed.set(operation, (allowed.get(operation) ?? 0) + count);
  }
  // A machine that is short of breath lets requests time out; what the SDK then sends again is not what a file costs.
  const over = Object.entries(counts)
    .filter(([operation, { count, retries }]) => count - retries > (allowed.get(operation) ?? 0))
    .map(([operation, count]) => `${operation}: ${JSON.stringify(count)} of ${allowed.get(operation) ?? 0}`);
  expect(over).toEqual([]);
}

function printTable(
  files: number,
  callers: Readonly<Record<string, RequestCounts>>,
  batches: number,
  commits: number,
): void {
  const lines = Object.entries(callers).flatMap(([caller, counts]) =>
    Object.entries(counts).map(([operation, { count, retries }]) => {
      const perFile = ((count - retries) / files).toFixed(3);
      const again = retries > 0 ? ` (${retries} sent again)` : "";
      return `${caller.padEnd(8)}${operation.padEnd(24)}${String(count).padStart(6)}${perFile.padStart(9)}${again}`;
    }),
  );
  console.log([`${files} files in ${batches} batches and ${commits} commits; requests, per file`, ...lines].join("\n"));
}
