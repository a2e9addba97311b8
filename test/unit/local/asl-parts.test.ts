// The pure parts of the interpreter: retries, batches, CSV, cancellation, and what a history may hold.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Cancellation } from "../../../local/asl/cancellation.ts";
import { parseCsv } from "../../../local/asl/csv.ts";
import { Ended, StatesError } from "../../../local/asl/failure.ts";
import { HISTORY_EVENTS_MAX, History } from "../../../local/asl/history.ts";
import { batchItems } from "../../../local/asl/item-batcher.ts";
import { itemsOfText } from "../../../local/asl/item-reader.ts";
import { delaySeconds, matches, Retries } from "../../../local/asl/retry.ts";
import { Variables } from "../../../local/asl/variables.ts";

describe("errors and rules", () => {
  test.each([
    [["States.ALL"], "Mine", true],
    [["States.ALL"], "States.Timeout", true],
    [["States.ALL"], "States.Runtime", false],
    [["States.Runtime"], "States.Runtime", false],
    [["States.ALL"], "States.DataLimitExceeded", false],
    [["States.DataLimitExceeded"], "States.DataLimitExceeded", true],
    [["States.TaskFailed"], "Lambda.Unknown", true],
    [["States.TaskFailed"], "States.Timeout", false],
    [["States.Timeout"], "States.Timeout", true],
    [["Other"], "Mine", false],
  ])("%j for %s: %s", (errorEquals, error, met) => {
    expect(matches(errorEquals, error)).toBe(met);
  });

  test("delays grow to their limit", () => {
    const retrier = { ErrorEquals: ["A"], IntervalSeconds: 2, BackoffRate: 3, MaxDelaySeconds: 20 };
    expect([0, 1, 2, 3].map((attempt) => delaySeconds(retrier, attempt))).toEqual([2, 6, 18, 20]);
    expect([0, 1, 2].map((attempt) => delaySeconds({ ErrorEquals: ["A"] }, attempt))).toEqual([1, 2, 4]);
  });

  test("each retrier counts its own attempts, and jitter takes a part of the delay", () => {
    const retries = new Retries(
      [
        { ErrorEquals: ["A"], MaxAttempts: 1 },
        { ErrorEquals: ["B"], MaxAttempts: 2, JitterStrategy: "FULL" },
        { ErrorEquals: ["C"], MaxAttempts: 0 },
      ],
      () => 0.25,
    );
    expect(["A", "B", "A", "B", "B", "C", "D"].map((error) => retries.next(error))).toEqual([
      1,
      0.25,
      undefined,
      0.5,
      undefined,
      undefined,
      undefined,
    ]);
  });
});

describe("batches", () => {
  test("joined they are the items, and none exceeds its limits", () => {
    const items = fc.array(fc.oneof(fc.string({ unit: "grapheme" }), fc.integer()), { maxLength: 40 });
    const limits = { itemsMax: fc.integer({ min: 1, max: 7 }), inputBytesMax: fc.integer({ min: 200, max: 400 }) };
    fc.assert(
      fc.property(items, fc.record(limits), (given, { itemsMax, inputBytesMax }) => {
        const batches = batchItems(given, { itemsMax, inputBytesMax }, { b: 1 });
        const inputs = batches.map(({ input }) => input as { Items: unknown[]; BatchInput: unknown });
        expect(inputs.flatMap(({ Items }) => Items)).toEqual(given);
        for (const [n, input] of inputs.entries()) {
          expect(input.Items.length).toBe(batches[n]?.itemCount);
          expect(input.Items.length).toBeGreaterThan(0);
          expect(input.Items.length).toBeLessThanOrEqual(itemsMax);
          expect(Buffer.byteLength(JSON.stringify(input))).toBeLessThanOrEqual(inputBytesMax);
        }
      }),
    );
  });

  test("are as large as the limit in bytes allows, to the byte", () => {
    // {"Items":["aa","aa"]} is 21 bytes.
    const sizes = (inputBytesMax: number) =>
      batchItems(["aa", "aa", "aa"], { inputBytesMax }, undefined).map(({ itemCount }) => itemCount);
    expect(sizes(21)).toEqual([2, 1]);
    expect(sizes(20)).toEqual([1, 1, 1]);
    expect(() => sizes(15)).toThrow("An item of the Map state");
  });

  test("of a number of items alone are an error when they exceed what an input may hold", () => {
    const items = Array.from({ length: 4 }, () => "x".repeat(100_000));
    expect(() => batchItems(items, { itemsMax: 4 }, undefined)).toThrow("A batch of the Map state");
    expect(batchItems(items, { itemsMax: 2 }, undefined)).toHaveLength(2);
    expect(batchItems(items, { itemsMax: 4, inputBytesMax: 262_144 }, undefined)).toHaveLength(2);
  });
});

describe("items of a text", () => {
  test("a CSV comes back as it was written", () => {
    const field = fc.string({ unit: fc.constantFrom("a", '"', ",", "\n", " ", "é") });
    const rows = fc.array(fc.tuple(field, field), { minLength: 1 });
    fc.assert(
      fc.property(rows, (given) => {
        const quote = (text: string) => `"${text.replaceAll('"', '""')}"`;
        const text = given.map((row) => row.map(quote).join(",")).join("\r\n");
        expect(parseCsv(text, ",", ["x", "y"])).toEqual(given.map(([x, y]) => ({ x, y })));
      }),
    );
  });

  test("odd CSVs are read as rows of the header's names", () => {
    expect(parseCsv("\uFEFFa;b\n1;2;3\n\n4\n;", ";")).toEqual([
      { a: "1", b: "2" },
      { a: "4", b: "" },
      { a: "", b: "" },
    ]);
    expect(parseCsv("a,b\n", ",")).toEqual([]);
    expect(() => parseCsv('a\n"1', ",")).toThrow("does not end");
    expect(() => parseCsv("a,a\n", ",")).toThrow("duplicates");
  });

  test("a pointer leads into a JSON document, and what is no array is an error", () => {
    const config = { InputType: "JSON", ItemsPointer: "/a~1b/0" } as const;
    expect(itemsOfText('{"a/b":[[1,2]]}', config)).toEqual([1, 2]);
    expect(() => itemsOfText('{"a/b":[1]}', config)).toThrow("non-iterable");
    expect(() => itemsOfText("{}", config)).toThrow("non-iterable");
  });
});

describe("cancellation", () => {
  test("ends what waits below it, at once and for good, and leaves its parent alone", async () => {
    const parent = new Cancellation();
    const child = parent.child();
    const grandchild = child.child();
    const waits = Promise.allSettled([
      grandchild.sleep(60_000),
      child.race(new Promise(() => {})),
      parent.race(Promise.resolve("fine")),
    ]);
    const reason = new Ended("ABORTED");
    child.cancel(reason);
    child.cancel(new Ended("TIMED_OUT"));
    expect(await waits).toEqual([
      { status: "rejected", reason },
      { status: "rejected", reason },
      { status: "fulfilled", value: "fine" },
    ]);
    await expect(child.child().race(Promise.reject(new Error("too late")))).rejects.toBe(reason);
    expect(parent.reason).toBeUndefined();
  });
});

test("a history that is full takes only the end of its execution", () => {
  const history = new History(() => 5000);
  const trail = { previous: 0 };
  for (let n = 1; n < HISTORY_EVENTS_MAX; n++) history.add(trail, "PassStateEntered");
  expect(() => history.add(trail, "PassStateEntered")).toThrow(StatesError);
  history.add(trail, "ExecutionFailed");
  expect(history.events.at(-1)).toEqual({
    id: HISTORY_EVENTS_MAX,
    previousEventId: HISTORY_EVENTS_MAX - 1,
    timestamp: 5,
    type: "ExecutionFailed",
  });
});

test("variables are read from around and written only within", () => {
  const outer = new Variables();
  outer.assign({ a: 1, b: 1 });
  const inner = new Variables(outer);
  inner.assign({ b: 2, c: 3 });
  expect(inner.all()).toEqual({ a: 1, b: 2, c: 3 });
  expect(outer.all()).toEqual({ a: 1, b: 1 });
  expect(() => inner.assign({ d: "x".repeat(262_144) })).toThrow("256 KiB");
  const large = { d: "x".repeat(262_000) };
  expect(() => {
    for (let n = 0; n < 41; n++) outer.assign({ [`v${n}`]: large.d });
  }).toThrow("10 MiB");
});
