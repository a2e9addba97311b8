// What there was no time for: it is not held against the files, and nothing goes round for ever.

import { expect, test } from "vitest";
import { LIMITS } from "../../../lambdas/core/environment.ts";
import { MoraineError } from "../../../lambdas/core/errors.ts";
import { formatIntake, type ObjectEvent, parseIntake } from "../../../lambdas/core/events.ts";
import type { LoadMessage } from "../../../lambdas/core/load-plan.ts";
import { type LoadPorts, type LoadReport, load } from "../../../lambdas/core/pipeline.ts";
import type { ObjectStore } from "../../../lambdas/core/ports.ts";
import { createRouter } from "../../../lambdas/core/routing.ts";
import { Harness, ingestionOf, override } from "./harness.ts";

const INVOCATION_MS = 60_000;

/** Each batch holds one file, and reading it takes all the time an invocation has. */
class Slow {
  readonly harness = new Harness({
    ingestions: [ingestionOf("orders", { batch: { filesMax: 1, bytesMax: 1_000_000 } })],
  });
  readonly store: ObjectStore = override(this.harness.store, {
    get: async (uri, options) => {
      if (uri.includes("/orders/") && uri.startsWith("s3://landing")) this.harness.clock.advance(INVOCATION_MS);
      return this.harness.store.get(uri, options);
    },
  });

  load(messages: readonly LoadMessage[], changes: Partial<LoadPorts> = {}): Promise<LoadReport> {
    const { harness, store } = this;
    const context = {
      ports: harness.ports({ store: store as never, ...changes }),
      settings: harness.settings,
      route: createRouter(harness.ingestions),
      deadlineMs: harness.clock.now() + INVOCATION_MS / 2,
    };
    return load(context, messages);
  }

  put(...numbers: number[]): Promise<ObjectEvent[]> {
    return Promise.all(numbers.map((n) => this.harness.put(`orders/${n}`, `row ${n}`)));
  }

  sent(): { bodies: string[]; events: ObjectEvent[] } {
    const bodies = this.harness.queues.intake.splice(0);
    return { bodies, events: bodies.flatMap(eventsOf) };
  }
}

function eventsOf(body: string): readonly ObjectEvent[] {
  const intake = parseIntake(body);
  return intake.kind === "events" ? intake.events : [];
}

function message(id: string, events: readonly ObjectEvent[], receiveCount = 1): LoadMessage {
  return { id, body: formatIntake(events), receiveCount };
}

test("a backlog of which each invocation can do one file comes to its end, and no message to the dead-letter queue", async () => {
  const slow = new Slow();
  const events = await slow.put(...Array.from({ length: 30 }, (_, n) => n));
  let messages = events.map((event, n) => message(`m${n}`, [event]));
  for (let delivery = 0; messages.length > 0; delivery++) {
    const report = await slow.load(messages);
    const returned = messages.filter(({ id }) => report.retry.includes(id));
    const again = returned.map((each) => ({ ...each, receiveCount: each.receiveCount + 1 }));
    const anew = slow.sent().bodies.map((body, n) => ({ id: `d${delivery}n${n}`, body, receiveCount: 1 }));
    messages = [...again, ...anew];
    for (const { receiveCount } of messages) expect(receiveCount).toBeLessThanOrEqual(LIMITS.receivesMax);
  }
  await slow.harness.commit();
  expect(await slow.harness.rows()).toHaveLength(30);
});

test("only what is neither done nor tried is sent anew, and its message is acknowledged", async () => {
  const slow = new Slow();
  const [first, second, third] = (await slow.put(1, 2, 3)) as [ObjectEvent, ObjectEvent, ObjectEvent];
  const report = await slow.load([message("all", [first, second, third])]);
  expect(report).toMatchObject({ retry: [], postponed: 2, outcomes: { loaded: 1, retry: 2 } });
  expect(slow.sent()).toEqual({ bodies: [expect.any(String)], events: [second, third] });
});

test("two messages that name one file are answered by one", async () => {
  const slow = new Slow();
  const [first, second] = (await slow.put(1, 2)) as [ObjectEvent, ObjectEvent];
  const report = await slow.load([message("a", [first]), message("b", [second]), message("c", [second])]);
  expect(report).toMatchObject({ retry: [], postponed: 1 });
  expect(slow.sent().events).toEqual([second]);
});

test("a message of which something was tried in vain comes back itself: an attempt counts", async () => {
  const slow = new Slow();
  const [first, second] = (await slow.put(1, 2)) as [ObjectEvent, ObjectEvent];
  const store = override(slow.store, {
    get: async (uri, options) => {
      await slow.store.get(uri, options);
      throw new MoraineError("Unavailable", "throttled");
    },
  }) as never;
  const report = await slow.load([message("both", [first, second])], { store });
  expect(report).toMatchObject({ retry: ["both"], postponed: 0 });
  expect(slow.sent().events).toEqual([]);
});

test("a send whose outcome nobody knows acknowledges nothing", async () => {
  const slow = new Slow();
  const events = await slow.put(1, 2, 3);
  const queues = override(slow.harness.queues, {
    sendIntake: async (bodies) => {
      await slow.harness.queues.sendIntake(bodies);
      throw new MoraineError("UnknownOutcome", "response lost");
    },
  });
  const messages = events.map((event, n) => message(`m${n}`, [event]));
  const report = await slow.load(messages, { queues });
  expect(report).toMatchObject({ retry: ["m1", "m2"], postponed: 0 });
  expect(report.errors).toEqual([expect.objectContaining({ kind: "UnknownOutcome" })]);
  // Both the messages and what was sent arrive: each file is loaded once.
  for (const one of [...messages, ...slow.sent().bodies.map((body, n) => ({ id: `n${n}`, body, receiveCount: 1 }))])
    await slow.load([one]);
  await slow.harness.commit();
  expect(await slow.harness.rows()).toEqual(["row 1", "row 2", "row 3"]);
});

test("a file that came back before keeps its count, and so its small company", async () => {
  const slow = new Slow();
  const [fresh, suspect] = (await slow.put(1, 2)) as [ObjectEvent, ObjectEvent];
  await slow.load([message("fresh", [fresh]), message("suspect", [suspect], 3)]);
  expect(slow.sent().events).toEqual([{ ...suspect, attempt: 3 }]);
});

test("a file that was tried too often is not sent anew any more: its message goes where dead letters go", async () => {
  const slow = new Slow();
  const [fresh, poison] = (await slow.put(1, 2)) as [ObjectEvent, ObjectEvent];
  const tired = { ...poison, attempt: slow.harness.settings.deliveriesMax };
  const report = await slow.load([message("fresh", [fresh]), message("poison", [tired], 2)]);
  expect(report).toMatchObject({ retry: ["poison"], postponed: 0 });
});

test("a service that is away fails no file before its message is near the dead letters, however often the file was tried", async () => {
  const { harness } = new Slow();
  const event = { ...(await harness.put("orders/1", "row 1")), attempt: harness.settings.deliveriesMax };
  const store = override(harness.store, {
    get: async () => {
      throw new MoraineError("Unavailable", "throttled");
    },
  });
  const outcomes = [];
  for (let receiveCount = 1; receiveCount <= harness.settings.deliveriesMax; receiveCount++) {
    outcomes.push((await harness.load([event], { receiveCount, ports: { store } })).outcomes.failed);
  }
  expect(outcomes).toEqual([...outcomes.slice(1).map(() => 0), 1]);
});

test("an invocation that begins nothing sends nothing: messages would go round as fast as the queue can", async () => {
  const slow = new Slow();
  const events = await slow.put(1);
  const { harness } = slow;
  const report = await harness.load(events, { deadlineMs: harness.clock.now() });
  expect(report).toMatchObject({ retry: [expect.any(String)], postponed: 0 });
});
