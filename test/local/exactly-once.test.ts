// Exactly once, shown on the app that would be deployed: its own bundles in processes of their own, killed, starved and lied to
// while files arrive. After every trouble all files must have their final word, and the tables are read back row by row.
// (The simulation tries far more orders of events; here it is the adapters, the SDK and real processes.)
// Most of the time goes into waiting for leases, so the worlds run side by side.

import { setTimeout as sleep } from "node:timers/promises";
import { beforeAll, describe, expect, test } from "vitest";
import type { FaultPlan, RequestFault } from "../../local/faults.ts";
import { type App, synthesizeApp, World, type WorldOptions } from "./support/world.ts";

const YAML = `
commit: { interval: 400s }
ingestions:
  - { id: lines, source: { prefix: lines/ }, format: { type: ndjson }, target: { database: test, table: lines } }
  - { id: sheets, source: { prefix: sheets/ }, format: { type: csv }, target: { database: test, table: sheets } }
`;
let app: App;
beforeAll(async () => {
  app = await synthesizeApp(YAML);
});

const LOAD = "LoadCode";
const COMMIT = "CommitCode";

async function inWorld(scenario: (world: World) => Promise<void>, options: WorldOptions = {}): Promise<void> {
  const world = await World.start(app, options);
  try {
    await scenario(world);
  } finally {
    await world.stop();
  }
}

type Trouble = Omit<FaultPlan, "seed">;

/** One trouble after the other, each while new files of both formats arrive. */
function survives(troubles: Readonly<Record<string, Trouble>>, options: WorldOptions & { files?: number } = {}) {
  return inWorld(async (world) => {
    for (const [name, trouble] of Object.entries(troubles)) {
      try {
        await world.under(trouble, async () => {
          await world.putMany(`lines/${name}`, options.files ?? 3);
          await world.putMany(`sheets/${name}`, options.files ?? 3);
        });
        await world.expectExactly();
      } catch (error) {
        throw new Error(`did not survive: ${name}`, { cause: error });
      }
    }
  }, options);
}

const killed = (
  from: string,
  on: string,
  effect: RequestFault["effect"],
  more: Partial<RequestFault> = {},
): Trouble => ({
  requests: [{ from, on, effect, nth: [1], ...more }],
});
const often = (on: string, effect: RequestFault["effect"], rate: number): RequestFault => ({ on, effect, rate });

describe.concurrent("exactly once", () => {
  test("events and messages that come twice, late and out of order load each file once", () =>
    survives({
      "late, twice": { events: { duplicateRate: 0.5, lateRate: 0.5, lateMsMax: 1500 } },
      "messages twice": { messages: { duplicateRate: 0.5 } },
      "the function timed out": {
        requests: [{ on: "S3.PutObject", effect: { delayMs: 1000 }, nth: [1], path: ".parquet" }],
        invocations: [{ function: LOAD, effect: "timeout", nth: [1], afterMs: 500 }],
      },
    }));

  test("events of older versions that come after newer ones never bring old rows back", () =>
    inWorld(async (world) => {
      await world.under({ events: { duplicateRate: 0.5, lateRate: 0.6, lateMsMax: 2500 } }, async () => {
        for (let version = 0; version < 4; version++) {
          for (let n = 0; n < 5; n++) await world.put(`lines/${n}`, 2 + version);
          await sleep(200);
        }
      });
      await world.expectExactly();
    }));

  test("a load function killed before it seals loses nothing, and what it left is not loaded besides", () =>
    survives({
      "after it created a table": killed(LOAD, "Glue.CreateTable", "kill-after"),
      "before it opens its batch": killed(LOAD, "DynamoDB.PutItem", "kill-before"),
      "after it opened its batch": killed(LOAD, "DynamoDB.PutItem", "kill-after"),
      "between two claims": killed(LOAD, "DynamoDB.PutItem", "kill-after", { nth: [3] }),
      "while it reads a file": killed(LOAD, "S3.GetObject", "kill-before", { nth: [2] }),
    }));

  test("a load function killed around its seal loses nothing, and what it sealed is not loaded again", () =>
    survives({
      "before it uploads a data file": killed(LOAD, "S3.PutObject", "kill-before", { path: ".parquet" }),
      "after it uploaded a data file": killed(LOAD, "S3.PutObject", "kill-after", { path: ".parquet" }),
      "after it uploaded a manifest": killed(LOAD, "S3.PutObject", "kill-after", { path: "/data.avro" }),
      "after it sealed its batch": killed(LOAD, "SQS.SendMessage", "kill-before"),
    }));

  test("a commit function killed anywhere is finished by the next one, once", () =>
    survives({
      "after it opened an intent": killed(COMMIT, "DynamoDB.PutItem", "kill-after"),
      "after it uploaded the metadata": killed(COMMIT, "S3.PutObject", "kill-after", { path: ".metadata.json" }),
      "before it moves the pointer": killed(COMMIT, "Glue.UpdateTable", "kill-before"),
      "after it moved the pointer": killed(COMMIT, "Glue.UpdateTable", "kill-after"),
      "between two files it settles": killed(COMMIT, "DynamoDB.PutItem", "kill-after", { nth: [3] }),
      "after the last file it settles": killed(COMMIT, "DynamoDB.PutItem", "kill-after", { nth: [5] }),
      "before it closes the head": killed(COMMIT, "DynamoDB.PutItem", "kill-before", { nth: [7] }),
    }));

  test("answers that are lost are no reason to do a thing twice, nor to believe it was not done", () =>
    survives({
      "making of a table": { requests: [{ on: "Glue.CreateTable", effect: "lose-response", nth: [1] }] },
      // With a slow commit, an event that came back finds its file's batch sealed: a claim mistaken for lost would be lost.
      "ledger writes": {
        requests: [
          often("DynamoDB.PutItem", "lose-response", 0.2),
          { on: "Glue.UpdateTable", effect: { delayMs: 2500 }, nth: [1, 2] },
        ],
      },
      uploads: { requests: [{ ...often("S3.PutObject", "lose-response", 0.5), path: "warehouse" }] },
      commits: { requests: [{ on: "Glue.UpdateTable", effect: "lose-response", nth: [1, 3] }] },
    }));

  test("services that refuse, throttle and hang up lose and double nothing", () =>
    survives({
      "conflicts of the catalog": { requests: [{ on: "Glue.UpdateTable", effect: "conflict", nth: [1, 2, 4] }] },
      "a throttled ledger": { requests: [often("DynamoDB.*", "throttle", 0.15)] },
      "a throttled store": { requests: [often("S3.*", "throttle", 0.15)] },
      "errors and hung up connections": {
        requests: [
          often("DynamoDB.*", "drop", 0.1),
          often("S3.*", "unavailable", 0.15),
          often("Glue.*", "unavailable", 0.3),
        ],
      },
    }));

  test("a storm of everything, with functions dying at any request, loses and doubles nothing", () =>
    survives(
      {
        storm: {
          events: { duplicateRate: 0.3, lateRate: 0.3, lateMsMax: 1000 },
          messages: { duplicateRate: 0.2 },
          requests: [
            { ...often("*", "kill-before", 0.02), from: LOAD },
            { ...often("*", "kill-after", 0.03), from: COMMIT },
            often("DynamoDB.*", "lose-response", 0.03),
            often("S3.*", "throttle", 0.03),
            often("Glue.UpdateTable", "conflict", 0.3),
          ],
        },
      },
      // Death by chance is not the file's fault here.
      { files: 12, limits: { deathsMax: 1000 } },
    ));

  test("a file written again while it is loaded shows its last rows and no others", () =>
    inWorld(async (world) => {
      const slow: Record<string, RequestFault> = {
        read: { on: "S3.GetObject", effect: { delayMs: 400 }, rate: 0.5, path: "/lines/", from: LOAD },
        staged: { on: "S3.PutObject", effect: { delayMs: 400 }, rate: 0.5, from: LOAD },
        committed: { on: "Glue.UpdateTable", effect: { delayMs: 600 }, rate: 0.7 },
      };
      for (const [name, fault] of Object.entries(slow)) {
        await world.under({ requests: [fault] }, async () => {
          await world.putMany(`lines/neighbours of ${name}`, 2);
          for (let version = 0; version < 7; version++) {
            await world.put(`lines/rewritten while ${name}`, 3 + (version % 2));
            await sleep(150);
          }
        });
        await world.expectExactly();
      }
    }));

  test("a file that kills whoever reads it ends FAILED with its reason, and its neighbours land", () =>
    inWorld(async (world) => {
      const poison = "lines/poison";
      await world.under({ requests: [{ on: "S3.GetObject", effect: "kill-before", path: poison, from: LOAD }] }, () =>
        Promise.all([world.putMany("lines/neighbours", 5), world.put(poison, 3)]).then(() => undefined),
      );
      expect(await world.file(poison)).toMatchObject({ status: "FAILED", reason: "LOADER_DIED" });
      await world.expectExactly({ failed: [poison] });
    }));
});
