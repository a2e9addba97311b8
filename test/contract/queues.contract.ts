// What both queues must do: every event arrives, and a hint sent again with the same `once` arrives once.
// Runs against the fake and against the SQS adapter.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { isKind } from "../../lambdas/core/errors.ts";
import type { TableName } from "../../lambdas/core/ids.ts";
import type { Queues } from "../../lambdas/core/ports.ts";

export interface QueuesUnderTest {
  readonly queues: Queues;
  /** Receives and deletes what is there, at least `count` messages. */
  takeIntake(count: number): Promise<string[]>;
  takeHints(count: number): Promise<TableName[]>;
  close(): Promise<void>;
}

const T: TableName = { database: "audit", table: "events" };

export function queuesContract(subject: string, open: () => Promise<QueuesUnderTest>): void {
  describe(`queues: ${subject}`, () => {
    let under: QueuesUnderTest;
    let queues: Queues;

    beforeAll(async () => {
      under = await open();
      queues = under.queues;
    });
    afterAll(() => under?.close());

    test("more events than one request holds all arrive, whatever characters a key holds", async () => {
      const key = 'é "+ %20 😀 <&> \\ \u0001 \u007f \uffff';
      const events = Array.from({ length: 25 }, (_, index) => ({ index, key }));
      await queues.sendIntake(events.map((event) => JSON.stringify(event)));
      const taken = (await under.takeIntake(25)).map((body) => JSON.parse(body) as (typeof events)[number]);
      expect(taken.sort((a, b) => a.index - b.index)).toEqual(events);
    });

    test("large events are spread over requests by their size", async () => {
      const bodies = Array.from({ length: 7 }, (_, index) => `${index}`.padEnd(100_000, "é"));
      await queues.sendIntake(bodies);
      expect((await under.takeIntake(7)).sort()).toEqual(bodies.toSorted());
    });

    test("no event is no request", async () => {
      await queues.sendIntake([]);
      expect(await under.takeIntake(0)).toEqual([]);
    });

    test.each([
      ["empty", ""],
      ["too large", "x".repeat(256 * 1024 + 1)],
    ])("an event that is %s stops the call before anything is sent", async (_, body) => {
      const failure = await queues.sendIntake(["fine", body]).catch((error: unknown) => error);
      expect(isKind(failure, "Invalid")).toBe(true);
      expect(await under.takeIntake(0)).toEqual([]);
    });

    test("a hint repeated with the same once is delivered once", async () => {
      await queues.hintCommit(T, "batch 1");
      await queues.hintCommit(T, "batch 1");
      await queues.hintCommit(T, "batch 2");
      expect(await under.takeHints(2)).toEqual([T, T]);
    });

    test("the same once hints each of two tables", async () => {
      const other = { database: "audit", table: "accesses" };
      await queues.hintCommit(T, "shared");
      await queues.hintCommit(other, "shared");
      const hints = await under.takeHints(2);
      expect(hints.map((hint) => hint.table).sort()).toEqual(["accesses", "events"]);
    });

    test("a table name of any length and script can be hinted", async () => {
      const long = { database: "d".repeat(200), table: "événements 日本" };
      await queues.hintCommit(long, "x".repeat(500));
      expect(await under.takeHints(1)).toEqual([long]);
    });
  });
}
