// Relations between limits that stand in different resources: each holds together with a harm that is named in the title.

import { beforeAll, describe, expect, test } from "vitest";
import { ENV, LIMITS } from "../../lambdas/core/environment.ts";
import { DEFAULT_LIMITS } from "../../lambdas/core/settings.ts";
import { numberOf, only, type Synthesized, synthesize } from "./synthesize.ts";

let stack: Synthesized;
beforeAll(async () => {
  stack = await synthesize();
});

const queue = (id: string) => only(stack, "AWS::SQS::Queue", id);
const fn = (id: string) => only(stack, "AWS::Lambda::Function", id);
const source = (functionId: string, queueId: string) =>
  only(stack, "AWS::Lambda::EventSourceMapping", `${functionId}FunctionSqsEventSourceMoraine${queueId}`);

describe.each([
  ["IntakeQueue", "LoadCode", "IntakeDeadLetters"],
  ["IntakeBackfill", "LoadCode", "IntakeDeadLetters"],
  ["CommitQueue", "CommitCode", "CommitQueueDeadLetters"],
])("%s", (queueId, functionId, deadLettersId) => {
  test("a message does not come back while its function may still work on it", () => {
    const window = Number(source(functionId, queueId).Properties["MaximumBatchingWindowInSeconds"] ?? 0);
    const least = 6 * numberOf(fn(functionId), "Timeout") + window;
    expect(numberOf(queue(queueId), "VisibilityTimeout")).toBeGreaterThanOrEqual(least);
  });

  test("a message lives longer than all its receives", () => {
    const { maxReceiveCount } = queue(queueId).Properties["RedrivePolicy"] as { maxReceiveCount: number };
    const leaseSeconds = DEFAULT_LIMITS.leaseMs / 1000;
    const slowest = Math.max(numberOf(queue(queueId), "VisibilityTimeout"), leaseSeconds) * maxReceiveCount;
    expect(numberOf(queue(queueId), "MessageRetentionPeriod")).toBeGreaterThan(slowest);
  });

  test("a dead message, which keeps its age, leaves days to look at it", () => {
    const days =
      numberOf(queue(deadLettersId), "MessageRetentionPeriod") - numberOf(queue(queueId), "MessageRetentionPeriod");
    expect(days).toBeGreaterThanOrEqual(3 * 86_400);
  });

  test("one bad message does not bring its whole batch back", () => {
    expect(source(functionId, queueId).Properties["FunctionResponseTypes"]).toEqual(["ReportBatchItemFailures"]);
  });
});

test("a batch is never taken over while its loader lives", () => {
  expect(DEFAULT_LIMITS.leaseMs).toBeGreaterThan(numberOf(fn("LoadCode"), "Timeout") * 1000);
});

test("a batch as large as the configuration allows fits its share of the load function's disk", () => {
  const { Size } = fn("LoadCode").Properties["EphemeralStorage"] as { Size: number };
  expect(Size).toBe(LIMITS.loadDiskMb);
  expect(LIMITS.batchBytesMax).toBeLessThanOrEqual((Size * 1024 * 1024) / LIMITS.loadDiskShares);
});

test("nothing is deleted while a function that wrote it may live", () => {
  for (const id of ["LoadCode", "CommitCode", "SweepCode"]) {
    expect(DEFAULT_LIMITS.functionLifetimeMs).toBeGreaterThan(2 * numberOf(fn(id), "Timeout") * 1000);
  }
});

test("a file is marked FAILED on record before its message goes to the dead-letter queue", () => {
  const { maxReceiveCount } = queue("IntakeQueue").Properties["RedrivePolicy"] as { maxReceiveCount: number };
  expect(DEFAULT_LIMITS.deliveriesMax).toBeLessThan(maxReceiveCount);
});

test("a commit hint arrives after the interval whose batches it stands for", () => {
  const { Variables } = fn("CommitCode").Properties["Environment"] as { Variables: Record<string, string> };
  expect(numberOf(queue("CommitQueue"), "DelaySeconds")).toBeGreaterThan(Number(Variables[ENV.commitIntervalSeconds]));
});

test("the longest commit interval still fits SQS's delay of 900 seconds", () => {
  expect(LIMITS.commitIntervalSecondsMax + LIMITS.commitDelayMarginSeconds).toBeLessThanOrEqual(900);
});

test("a commit hint's deduplication of five minutes is never mistaken for a commit", () => {
  // The sweeper asks again for what a suppressed hint missed; it must do so well within the oldest-message alarm.
  expect(LIMITS.sweepEveryMinutes * 60).toBeGreaterThan(numberOf(fn("SweepCode"), "Timeout"));
  expect(only(stack, "AWS::Events::Rule", "Sweep").Properties["ScheduleExpression"]).toBe("rate(5 minutes)");
});

test("a batch of a thousand notifications fits Lambda's payload of 6 MB", () => {
  const notificationBytes = 2048;
  expect(numberOf(source("LoadCode", "IntakeQueue"), "BatchSize") * notificationBytes).toBeLessThan(6 * 1024 * 1024);
});

test("a backfill leaves most of the load function's concurrency to live events", () => {
  const concurrency = (queueId: string) =>
    (source("LoadCode", queueId).Properties["ScalingConfig"] as { MaximumConcurrency: number }).MaximumConcurrency;
  expect(concurrency("IntakeBackfill") * 4).toBeLessThanOrEqual(concurrency("IntakeQueue"));
});

test("what one invocation receives of a backfill is about one batch, and fits Lambda's payload of 6 MB", () => {
  const size = numberOf(source("LoadCode", "IntakeBackfill"), "BatchSize");
  expect(size * LIMITS.backfillEventsPerMessage).toBeLessThanOrEqual(1000);
  expect(size * 256 * 1024).toBeLessThan(6 * 1024 * 1024);
});

test("the state machine waits longer for a step than the function may take", () => {
  const definition = JSON.stringify(only(stack, "AWS::StepFunctions::StateMachine", "Discovery").Properties);
  const timeouts = [...definition.matchAll(/TimeoutSeconds\\":(\d+)/g)].map(([, seconds]) => Number(seconds));
  expect(timeouts.length).toBeGreaterThan(4);
  for (const timeout of timeouts) expect(timeout).toBeGreaterThan(numberOf(fn("DiscoveryCode"), "Timeout"));
});
