import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatIntake, type ObjectEvent } from "../../../lambdas/core/events.ts";
import { type LoadMessage, type LoadPlan, planLoad } from "../../../lambdas/core/load-plan.ts";
import { createRouter } from "../../../lambdas/core/routing.ts";
import { ingestionOf, SETTINGS } from "./harness.ts";

const ORDERS = ingestionOf("orders", { batch: { filesMax: 9, bytesMax: 100 } });
const CLICKS = ingestionOf("clicks", { batch: { filesMax: 4, bytesMax: 1000 } });
const ROUTE = createRouter([ORDERS, CLICKS]);
const LIMITS = { ...SETTINGS, batchKeyBytesMax: 1200 };

function event(key: string, changes: Partial<ObjectEvent["version"]> = {}, attempt?: number): ObjectEvent {
  const version = { etag: `e-${key}`, sizeBytes: 1, timeMs: 0, ...changes };
  return { bucket: "landing", key, version, ...(attempt === undefined ? {} : { attempt }) };
}

function message(id: string, events: readonly ObjectEvent[], receiveCount = 1): LoadMessage {
  return { id, body: formatIntake(events), receiveCount };
}

function plan(messages: readonly LoadMessage[]): LoadPlan {
  return planLoad(ROUTE, LIMITS, messages);
}

function keysOf({ batches }: LoadPlan): string[][] {
  return batches.map(({ tasks }) => tasks.map((task) => task.event.key));
}

describe("a load plan", () => {
  test("puts files of one ingestion together and never those of two", () => {
    const made = plan([message("1", [event("orders/1"), event("clicks/1"), event("orders/2")])]);
    expect(keysOf(made)).toEqual([["orders/1", "orders/2"], ["clicks/1"]]);
  });

  test("takes the latest version of a key, which answers for every message that named the key", () => {
    const made = plan([
      message("late", [event("orders/1", { etag: "new", sequencer: "02" })]),
      message("early", [event("orders/1", { etag: "old", sequencer: "01" })]),
      message("twice", [event("orders/1", { etag: "new", sequencer: "02" })]),
    ]);
    const [task] = made.batches.flatMap((batch) => batch.tasks);
    expect(task?.event.version.etag).toBe("new");
    expect(task?.messageIds).toEqual(["late", "early", "twice"]);
  });

  test("counts events nobody asks for, and lets their messages go", () => {
    const made = plan([message("1", [event("else/1"), event("orders/1")])]);
    expect(made.unrouted).toBe(1);
    expect(keysOf(made)).toEqual([["orders/1"]]);
    expect(made.invalid).toEqual([]);
  });

  test("sets messages aside that it cannot read, and plans the others", () => {
    const made = plan([{ id: "bad", body: "{", receiveCount: 1 }, message("good", [event("orders/1")])]);
    expect(made.invalid).toEqual(["bad"]);
    expect(made.errors).toHaveLength(1);
    expect(keysOf(made)).toEqual([["orders/1"]]);
  });

  test("a file larger than a batch may be travels alone instead of never", () => {
    const made = plan([message("1", [event("orders/1", { sizeBytes: 5000 }), event("orders/2")])]);
    expect(keysOf(made)).toEqual([["orders/1"], ["orders/2"]]);
  });

  test("files that came back travel in smaller company, and alone from their third delivery on", () => {
    const many = (from: string) => Array.from({ length: 6 }, (_, n) => event(`orders/${from}${n}`));
    const sizes = (receiveCount: number) => keysOf(plan([message("m", many("x"), receiveCount)])).map((b) => b.length);
    expect(sizes(1)).toEqual([6]);
    expect(sizes(2)).toEqual([3, 3]);
    expect(sizes(3)).toEqual([1, 1, 1, 1, 1, 1]);
    expect(sizes(9)).toEqual([1, 1, 1, 1, 1, 1]);
  });

  test("an event the sweeper sent again counts the attempts before it, though its message is new", () => {
    const made = plan([message("m", [event("orders/1", {}, 3), event("orders/2", {}, 3)], 1)]);
    expect(keysOf(made)).toEqual([["orders/1"], ["orders/2"]]);
  });

  test("fresh files go first: those that came back may end the function", () => {
    const made = plan([message("old", [event("orders/old")], 3), message("new", [event("orders/new")], 1)]);
    expect(keysOf(made)).toEqual([["orders/new"], ["orders/old"]]);
  });
});

describe("whatever the messages", () => {
  const anyEvent = fc
    .record({
      prefix: fc.constantFrom("orders/", "orders/", "clicks/", "else/"),
      name: fc.nat({ max: 40 }),
      long: fc.boolean(),
      etag: fc.constantFrom("a", "b"),
      sizeBytes: fc.nat({ max: 60 }),
      timeMs: fc.nat({ max: 9_000 }),
      attempt: fc.option(fc.nat({ max: 4 }), { nil: undefined }),
    })
    .map(({ prefix, name, long, attempt, ...version }) =>
      event(`${prefix}${name}${long ? "x".repeat(200) : ""}`, version, attempt),
    );
  const anyMessage = fc.record({
    events: fc.oneof(fc.array(anyEvent, { maxLength: 5 }), fc.constant(undefined)),
    receiveCount: fc.integer({ min: 1, max: 5 }),
  });
  const anyMessages = fc.array(anyMessage, { maxLength: 30 }).map((all) =>
    all.map(({ events, receiveCount }, n): LoadMessage => {
      return events === undefined
        ? { id: `${n}`, body: "not json", receiveCount }
        : message(`${n}`, events, receiveCount);
    }),
  );

  test("no batch passes a limit unless a single file does", () => {
    fc.assert(
      fc.property(anyMessages, (messages) => {
        for (const { ingestion, tasks } of plan(messages).batches) {
          const company = Math.max(...tasks.map((task) => task.deliveries));
          const max =
            company <= 1 ? ingestion.batch.filesMax : company === 2 ? Math.ceil(ingestion.batch.filesMax ** 0.5) : 1;
          expect(tasks.length).toBeLessThanOrEqual(max);
          expect(tasks.length).toBeGreaterThan(0);
          if (tasks.length === 1) continue;
          const bytes = tasks.reduce((sum, task) => sum + task.event.version.sizeBytes, 0);
          expect(bytes).toBeLessThanOrEqual(ingestion.batch.bytesMax);
          const keyBytes = tasks.reduce((sum, task) => sum + 2 * Buffer.byteLength(task.event.key) + 60, 0);
          expect(keyBytes).toBeLessThanOrEqual(LIMITS.batchKeyBytesMax);
        }
      }),
    );
  });

  test("no event is lost: each is in exactly one task of its file, or unrouted, or its message is invalid", () => {
    fc.assert(
      fc.property(anyMessages, (messages) => {
        const made = plan(messages);
        const tasks = made.batches.flatMap((batch) => batch.tasks);
        for (const { tasks: together } of made.batches) {
          expect(new Set(together.map((task) => task.event.key)).size).toBe(together.length);
        }
        let unrouted = 0;
        for (const { id, body } of messages) {
          if (body === "not json") {
            expect(made.invalid).toContain(id);
            continue;
          }
          for (const { key, version } of (JSON.parse(body) as { events: ObjectEvent[] }).events) {
            const own = tasks.filter(({ event }) => event.key === key && event.version.etag === version.etag);
            if (key.startsWith("else/")) unrouted++;
            else expect(own.map(({ messageIds }) => messageIds)).toEqual([expect.arrayContaining([id])]);
          }
        }
        expect(made.unrouted).toBe(unrouted);
        expect(made.invalid.length).toBe(messages.filter(({ body }) => body === "not json").length);
      }),
    );
  });

  test("no task waits for a message that did not name its file", () => {
    fc.assert(
      fc.property(anyMessages, (messages) => {
        for (const task of plan(messages).batches.flatMap((batch) => batch.tasks)) {
          for (const id of task.messageIds) {
            expect(messages.find((one) => one.id === id)?.body).toContain(JSON.stringify(task.event.key));
          }
        }
      }),
    );
  });
});
