// Where found files go: every message arrives, whatever its events' keys hold. Runs against the fake and against the SQS adapter.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { isKind } from "../../lambdas/core/errors.ts";
import { formatIntake, type ObjectEvent, parseIntake } from "../../lambdas/core/events.ts";
import type { EventSink } from "../../lambdas/core/ports.ts";

export interface EventSinkUnderTest {
  readonly sink: EventSink;
  /** Receives and deletes what is there, at least `count` messages. */
  take(count: number): Promise<string[]>;
  close(): Promise<void>;
}

function event(key: string): ObjectEvent {
  return { bucket: "landing", key, version: { etag: "e", sizeBytes: 1, timeMs: 5 }, runId: "run" };
}

export function eventSinkContract(subject: string, open: () => Promise<EventSinkUnderTest>): void {
  describe(`event sink: ${subject}`, () => {
    let under: EventSinkUnderTest;

    beforeAll(async () => {
      under = await open();
    });
    afterAll(() => under?.close());

    test("more messages than one request holds all arrive, with keys of any characters", async () => {
      const key = 'é "+ %20 \u{1f480} <&> \\ \u0001 \u007f \uffff';
      const events = Array.from({ length: 25 }, (_, n) => [event(`${n}-a${key}`), event(`${n}-b${key}`)]);
      await under.sink.send(events.map(formatIntake));
      const taken = (await under.take(25))
        .map(parseIntake)
        .flatMap((intake) => (intake.kind === "events" ? intake.events : []));
      const byKey = (a: ObjectEvent, b: ObjectEvent) => (a.key < b.key ? -1 : 1);
      expect(taken.sort(byKey)).toEqual(events.flat().sort(byKey));
    });

    test("a message has its final size before it is sent", async () => {
      const body = formatIntake([event("\u{1f480}".repeat(200))]);
      await under.sink.send([body]);
      expect(await under.take(1)).toEqual([body]);
    });

    test("no message is no request", async () => {
      await under.sink.send([]);
      expect(await under.take(0)).toEqual([]);
    });

    test.each([
      ["empty", ""],
      ["too large", "x".repeat(256 * 1024 + 1)],
    ])("a message that is %s stops the call before anything is sent", async (_, body) => {
      const failure = await under.sink.send(["fine", body]).catch((error: unknown) => error);
      expect(isKind(failure, "Invalid")).toBe(true);
      expect(await under.take(0)).toEqual([]);
    });
  });
}
