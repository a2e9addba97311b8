// The discover function: each step of the backfill state machine is one `op`. All of it is in core/discovery; here an op is decoded,
// carried out, and its error named so that the state machine can tell what is worth trying again (lib/backfill-machine.ts).

import type { Context } from "aws-lambda";
import { openCache } from "../adapters/open-cache.ts";
import { createRuntime } from "../adapters/runtime.ts";
import { S3Lister } from "../adapters/s3-lister.ts";
import { SqsEventSink } from "../adapters/sqs-event-sink.ts";
import { SystemTimer } from "../adapters/system.ts";
import { listShard, openShard, type ShardTask } from "../core/discovery/list-shard.ts";
import type { RunReport } from "../core/discovery/model.ts";
import {
  type Begun,
  beginRun,
  failRun,
  finishRun,
  gatherRound,
  planRound,
  type RoundHandle,
  type RunHandle,
} from "../core/discovery/run.ts";
import { ENV, LIMITS } from "../core/environment.ts";
import { isKind, MoraineError } from "../core/errors.ts";
import { isRecord } from "../core/json-shape.ts";

export type Step =
  | {
      readonly op: "begin";
      readonly input: unknown;
      /** What the last begin of this execution answered; the first time its input. */
      readonly before: unknown;
      readonly execution: { readonly name: string; readonly arn: string };
    }
  | { readonly op: "plan"; readonly run: RunHandle }
  | { readonly op: "list"; readonly run: RunHandle; readonly task: ShardTask }
  | { readonly op: "gather"; readonly run: RunHandle; readonly round: RoundHandle }
  | { readonly op: "finish"; readonly run: RunHandle }
  | {
      readonly op: "fail";
      readonly run: RunHandle;
      readonly error: { readonly Error?: string; readonly Cause?: string };
    };

const runtime = createRuntime(import.meta.dirname);
const { clients, config, settings } = runtime;
const cache = openCache(config.discovery?.cache, settings.ledgerId, runtime.ports.clock);
const ports = {
  ...runtime.ports,
  ...(cache === undefined ? {} : { caches: cache.files.of }),
  timer: new SystemTimer(),
  lister: new S3Lister(clients.listing),
  events: new SqsEventSink({ client: clients.sqs, queueUrl: process.env[ENV.backfillQueueUrl] ?? "" }),
};
const context = { ports, settings, config };
/** A last page, its check and the last checkpoint fit in this; no request to S3 is begun later. */
const MARGIN_MS = 45_000;

export async function handler(step: Step, invocation: Context): Promise<unknown> {
  runtime.logger.addContext(invocation);
  const { op } = step;
  try {
    const answer = await carryOut(step, ports.clock.now() + invocation.getRemainingTimeInMillis() - MARGIN_MS);
    runtime.logger.info(op, { op, ...(op === "begin" ? {} : step.run), answer: answer as object });
    return answer;
  } catch (error) {
    runtime.logger.error(`${op} failed`, { op, error: error as Error });
    throw named(error);
  }
}

async function carryOut(step: Step, deadlineMs: number): Promise<object> {
  switch (step.op) {
    case "begin":
      return { functionsMax: 1, ...(await beginRun(context, step.input, step.execution, begunBefore(step.before))) };
    case "plan":
      return planRound(context, step.run);
    case "list":
      return list(step.run, step.task, deadlineMs);
    case "gather":
      return { round: step.round, ...(await gatherRound(context, step.run, step.round)) };
    case "finish":
      return publish(await finishRun(context, step.run));
    case "fail":
      await failRun(context, step.run, messageOf(step.error));
      return {};
  }
}

/** The input of a run has no such field: its reader refuses it first. */
function begunBefore(before: unknown): Begun | undefined {
  return isRecord(before) && typeof before["kind"] === "string" ? (before as unknown as Begun) : undefined;
}

/** A shard whose run is over, or that others took on, is no failure: nothing is left to do for this function. */
async function list(run: RunHandle, task: ShardTask, deadlineMs: number): Promise<object> {
  try {
    const shard = await openShard(context, run, { deadlineMs, objectsMax: LIMITS.discoverObjectsMax });
    const { done, counts } = await listShard(shard, task);
    return { shard: task.shard.id, done, counts };
  } catch (error) {
    if (isKind(error, "Fenced")) return { shard: task.shard.id, fenced: true };
    throw error;
  } finally {
    await reportCache(run);
  }
}

/** Once for each listing function, however often its cache failed: that costs ledger reads and nothing else. */
async function reportCache(run: RunHandle): Promise<void> {
  const use = await cache?.settle();
  if (use === undefined) return;
  const failures = Object.values(use.failed).reduce((sum, objects) => sum + objects, use.unasked);
  runtime.logger[failures === 0 ? "info" : "warn"]("cache", { ...run, cache: use });
  if (failures > 0) runtime.count({ cacheFailures: failures });
}

function publish(report: RunReport): RunReport {
  if (report.dryRun) return report;
  const broken = { ...report.broken };
  runtime.count({
    filesListed: report.total,
    filesFound: report.new + report.changed,
    filesMissed: broken.missed_by_events?.count ?? 0,
    assumptionsBroken: report.assumptionsBroken.filter((name) => name !== "missed_by_events").length,
  });
  runtime.seconds({ listingSeconds: report.durationMs / 1000 });
  return report;
}

/** What a function threw stands in the cause as JSON. */
function messageOf({ Error: name = "Error", Cause: cause = "" }: { Error?: string; Cause?: string }): string {
  try {
    return String((JSON.parse(cause) as { errorMessage?: string }).errorMessage ?? cause);
  } catch {
    return cause === "" ? name : cause;
  }
}

/** The name is all that a state machine's retriers and catchers look at. */
function named(error: unknown): unknown {
  if (error instanceof MoraineError) error.name = `Moraine.${error.kind}`;
  return error;
}
