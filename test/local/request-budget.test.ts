// What a file costs in requests, counted at the door of the deployed app's own functions. In steady state one GET and two ledger
// writes per file, nothing else that grows with their number; the rest is a constant per batch and per commit, named here.

import { expect, test } from "vitest";
import { tableIdOf } from "../../lambdas/core/ids.ts";
import { commitPartition, readCommit } from "../../lambdas/core/records.ts";
import type { RequestCounts } from "../../local/requests.ts";
import { synthesizeApp, World } from "./support/world.ts";

const FILES = 2_000;
const ROWS = 3;
const YAML = `
commit: { interval: 10s }
ingestions:
  - { id: sheets, source: { prefix: sheets/ }, format: { type: csv }, target: { database: test, table: sheets } }
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
  const world = await World.start(await synthesizeApp(YAML), { timeScale: TIME_SCALE });
  try {
    world.stack.requests.reset();
    await world.putMany("sheets", FILES);
    await world.settle();
    const load = world.stack.requests.counts(world.stack.resource("LoadCode", "AWS::Lambda::Function").id);
    const commit = world.stack.requests.counts(world.stack.resource("CommitCode", "AWS::Lambda::Function").id);
    const { batches, commits } = await landed(world);
    await world.expectExactly();

    printTable({ load, commit }, batches, commits);
    // As deployed, files come to the loader by the hundred: else the constants would be the cost.
    expect(batches).toBeLessThanOrEqual(FILES / 100);
    const perFile = { "S3.GetObject": FILES, "DynamoDB.PutItem": FILES };
    expectAtMost(load, [perFile, times(LOAD_PER_BATCH, batches)]);
    expectAtMost(commit, [
      { "DynamoDB.PutItem": FILES },
      times(COMMIT_PER_COMMIT, commits),
      times(COMMIT_PER_BATCH, batches),
      // An invocation whose hint was late finds nothing to do.
      { "DynamoDB.GetItem": batches, "DynamoDB.Query": batches },
    ]);
  } finally {
    await world.stop();
  }
});

async function landed(world: World): Promise<{ batches: number; commits: number }> {
  const table = tableIdOf({ database: "test", table: "sheets" });
  const counted = { batches: 0, commits: 0, files: 0, records: 0 };
  for await (const item of world.ports.ledger.list(commitPartition(table), "")) {
    const { batches, files, records } = readCommit(item);
    counted.commits++;
    counted.batches += batches.length;
    counted.files += files;
    counted.records += records;
  }
  expect(counted).toMatchObject({ files: FILES, records: FILES * ROWS });
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

function printTable(callers: Readonly<Record<string, RequestCounts>>, batches: number, commits: number): void {
  const lines = Object.entries(callers).flatMap(([caller, counts]) =>
    Object.entries(counts).map(([operation, { count, retries }]) => {
      const perFile = ((count - retries) / FILES).toFixed(3);
      const again = retries > 0 ? ` (${retries} sent again)` : "";
      return `${caller.padEnd(8)}${operation.padEnd(24)}${String(count).padStart(6)}${perFile.padStart(9)}${again}`;
    }),
  );
  console.log([`${FILES} files in ${batches} batches and ${commits} commits; requests, per file`, ...lines].join("\n"));
}
