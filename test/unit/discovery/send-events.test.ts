import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { sendEvents } from "../../../lambdas/core/discovery/check.ts";
import { LIMITS } from "../../../lambdas/core/environment.ts";
import type { ObjectEvent } from "../../../lambdas/core/events.ts";
import { setUpCheck } from "./check-harness.ts";
import { hostileKey } from "./listed.ts";

function event(key: string): ObjectEvent {
  return { bucket: "landing", key, version: { etag: "e", sizeBytes: 1, timeMs: 5 }, runId: "run-1" };
}

describe("found files", () => {
  test("are sent many to a message, in one call", async () => {
    const { context, sink } = setUpCheck();
    const events = Array.from({ length: 250 }, (_, n) => event(`orders/${n}`));
    expect(await sendEvents(context, events)).toBe(3);
    expect(sink.events()).toEqual(events);
    expect(sink.calls.get("send")).toBe(1);
  });

  test("are sent as they are, whatever their keys hold, in messages the queue takes", async () => {
    const keys = fc.array(
      fc.oneof(hostileKey, fc.constant("\u{1f480}".repeat(256)), fc.constant("\u0001".repeat(1024))),
      {
        maxLength: 300,
      },
    );
    await fc.assert(
      fc.asyncProperty(keys, async (all) => {
        const { context, sink } = setUpCheck();
        expect(await sendEvents(context, all.map(event))).toBe(sink.bodies.length);
        expect(sink.events()).toEqual(all.map(event));
        for (const body of sink.bodies) expect(Buffer.byteLength(body)).toBeLessThanOrEqual(200_000);
      }),
      { numRuns: 30 },
    );
  }, 30_000);

  test("with keys of a kilobyte of emoji fill more messages: each grows threefold on its way", async () => {
    const { context, sink } = setUpCheck();
    const events = Array.from({ length: LIMITS.backfillEventsPerMessage }, (_, n) =>
      event("\u{1f480}".repeat(250) + n),
    );
    expect(await sendEvents(context, events)).toBe(2);
    expect(sink.events()).toEqual(events);
  });

  test("are not sent in a dry run, and none is no request", async () => {
    const dry = setUpCheck({ input: { dryRun: true } });
    expect(await sendEvents(dry.context, [event("orders/a")])).toBe(0);
    const { context, sink } = setUpCheck();
    expect(await sendEvents(context, [])).toBe(0);
    expect([dry.sink.calls.size, sink.calls.size]).toEqual([0, 0]);
  });
});
