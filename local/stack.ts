// The whole stack on this machine: boots from cdk.out, runs the very bundles that would be deployed, on loopback only.
// Read order: plan.ts (what is made), here (how it is wired), servers/front.ts (how it is reached).
// Invariant: `quiet()` means that nothing will happen any more without a new cause: no message in a queue that has a
// consumer, no notification under way, no function running. Dead-letter queues have no consumer and may hold messages.

import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { createDeliveries } from "./deliveries.ts";
import { type EventSource, startEventSource } from "./event-source.ts";
import { type FaultPlan, Faults } from "./faults.ts";
import { type InvokeOutcome, Lambda, type LogLine } from "./lambda.ts";
import { FUNCTION, findResource, type Plan, planOf, type Resource } from "./plan.ts";
import { provision } from "./provision.ts";
import { Requests } from "./requests.ts";
import { startSchedule } from "./schedule.ts";
import { createDynamoDB } from "./servers/dynamodb.ts";
import { openFront } from "./servers/front.ts";
import { createGlue } from "./servers/glue.ts";
import type { JsonObject } from "./servers/json-protocol.ts";
import { createS3 } from "./servers/s3.ts";
import { createSqs, type LocalSqs, type QueueDepth } from "./servers/sqs.ts";
import { readAssembly } from "./template.ts";

export interface LocalStackOptions {
  /** A synthesized cdk.out folder. */
  readonly assembly: string;
  /** Where everything outlives the stack; without it the stack begins and ends empty. */
  readonly dataDir?: string;
  /** 0 or absent: any free port. All services share it. */
  readonly port?: number;
  readonly faults?: FaultPlan;
  /** Added to the environment of every function. */
  readonly env?: Readonly<Record<string, string>>;
  /** Factor on schedules, batching windows, queue delays and visibility timeouts (whole seconds, at least 1); default 1. */
  readonly timeScale?: number;
  /** false: rules fire only by `trigger`; default true. */
  readonly schedules?: boolean;
  /** Environments of one function at most; default 4. */
  readonly environmentsMax?: number;
  readonly onLog?: (line: LogLine) => void;
}

export interface LocalStack {
  readonly endpoint: string;
  /** All the same address; named as the SDK's AWS_ENDPOINT_URL_* are. */
  readonly endpoints: { readonly s3: string; readonly sqs: string; readonly dynamodb: string; readonly glue: string };
  readonly region: string;
  /** By logical id. */
  readonly outputs: Readonly<Record<string, string>>;
  readonly resources: readonly Resource[];
  readonly skipped: Plan["skipped"];
  readonly requests: Requests;
  readonly faults: Faults;
  readonly coldStarts: number;
  /** By logical id, start of a logical id, physical name or part of the construct path; throws unless exactly one fits. */
  resource(name: string, type?: string): Resource;
  invoke(functionName: string, event: unknown): Promise<InvokeOutcome>;
  /** Fires a schedule now, and waits for the functions it targets. */
  trigger(ruleName: string): Promise<readonly InvokeOutcome[]>;
  /** By physical queue name. */
  queueDepths(): Record<string, QueueDepth>;
  /** The last lines of every function, oldest first. */
  logs(): readonly LogLine[];
  quiet(timeoutMs?: number): Promise<void>;
  stop(): Promise<void>;
}

const REGION = "us-east-1";
const LOG_LINES_MAX = 5000;
const QUIET_CHECK_MS = 20;

export async function startLocalStack(options: LocalStackOptions): Promise<LocalStack> {
  const { timeScale = 1, dataDir } = options;
  const scratch = mkdtempSync(join(tmpdir(), "moraine-local-"));
  const folder = (name: string) => (dataDir === undefined ? undefined : join(resolve(dataDir), name));
  if (dataDir !== undefined) mkdirSync(resolve(dataDir), { recursive: true });

  const requests = new Requests();
  const faults = new Faults();
  const logLines: LogLine[] = [];
  const lambda = new Lambda({
    faults,
    scratch: join(scratch, "tmp"),
    hostModules: (createRequire(import.meta.url).resolve.paths("duckdb") ?? []).join(":"),
    environmentsMax: options.environmentsMax ?? 4,
    log(line) {
      logLines.push(line);
      if (logLines.length > LOG_LINES_MAX) logLines.shift();
      options.onLog?.(line);
    },
  });
  const front = await openFront({ port: options.port ?? 0, faults, requests, callerOf: (key) => lambda.callerOf(key) });
  const { endpoint } = front;

  const plan = planOf(readAssembly(resolve(options.assembly)), {
    region: REGION,
    endpoint,
    environment: functionEnvironment(endpoint, options.env),
    timeScale,
  });
  const deliveries = createDeliveries({ plan, lambda, faults, region: REGION, sqs: () => sqs });
  const s3 = createS3({
    folder: folder("s3") ?? join(scratch, "s3"),
    region: REGION,
    now: Date.now,
    deliver: deliveries.deliver,
  });
  const dynamodb = await createDynamoDB(folder("dynamodb"));
  const glue = createGlue(folder("glue.json"), Date.now);
  const sqs = await createSqs({
    endpoint,
    region: REGION,
    duplicate: (queue) => faults.duplicateMessage(queue),
    ...optional("folder", folder("sqs")),
  });
  front.serve({ S3: s3.handle, SQS: sqs.handle, DynamoDB: dynamodb.handle, Glue: glue.handle });

  for (const spec of plan.functions) lambda.define(spec);
  for (const bucket of plan.buckets) s3.ensureBucket(bucket);
  await provision(plan, { endpoint, region: REGION, sqs, glue });
  for (const { bucket, rules } of plan.notifications) s3.setNotifications(bucket, rules);

  const invokeByName = (name: string, event: unknown) =>
    lambda.invoke(findResource(plan.resources, name, FUNCTION).id, event);
  const call = async (action: string, input: JsonObject) => {
    requests.record(`EventSource.${action}`, "", 0, 0);
    return sqs.call(action, input);
  };
  const eventSources = plan.eventSources.map((spec) =>
    startEventSource(spec, { call, invoke: invokeByName, now: Date.now }),
  );
  const fire = (rule: Plan["schedules"][number]) => deliveries.fire(rule);
  const timers = plan.schedules
    .filter((rule) => rule.enabled && options.schedules !== false)
    .map((rule) => startSchedule(rule.schedule, timeScale, Date.now, () => void fire(rule)));
  requests.reset();
  faults.set(options.faults);

  const consumed = new Set(plan.eventSources.map((spec) => spec.queueName));
  const waiting = () =>
    Object.entries(sqs.depths())
      .filter(([name]) => consumed.has(name))
      .reduce((sum, [, { visible, inFlight, delayed }]) => sum + visible + inFlight + delayed, 0);
  const busy = () => lambda.running + deliveries.pending() + waiting();

  return {
    endpoint,
    endpoints: { s3: endpoint, sqs: endpoint, dynamodb: endpoint, glue: endpoint },
    region: REGION,
    outputs: plan.outputs,
    resources: plan.resources,
    skipped: plan.skipped,
    requests,
    faults,
    get coldStarts() {
      return lambda.coldStarts;
    },
    resource: (name, type) => findResource(plan.resources, name, type),
    invoke: invokeByName,
    trigger(ruleName) {
      const ids = new Set(plan.schedules.map((rule) => rule.id));
      const { id } = findResource(
        plan.resources.filter((each) => ids.has(each.id)),
        ruleName,
      );
      return fire(plan.schedules.find((rule) => rule.id === id) as Plan["schedules"][number]);
    },
    queueDepths: () => sqs.depths(),
    logs: () => logLines,
    async quiet(timeoutMs = 60_000) {
      const untilMs = Date.now() + timeoutMs;
      for (let calm = 0; calm < 2; calm = busy() === 0 ? calm + 1 : 0) {
        if (Date.now() > untilMs) throw new Error(`the local stack is still busy ${JSON.stringify(sqs.depths())}`);
        await sleep(QUIET_CHECK_MS);
      }
    },
    async stop() {
      for (const timer of timers) timer.stop();
      deliveries.flush();
      await stopConsumers(eventSources, sqs, lambda);
      await deliveries.settled();
      await front.stop();
      sqs.wake();
      await front.idle();
      await dynamodb.close();
      await sqs.close();
      s3.close();
      rmSync(scratch, { recursive: true, force: true });
    },
  };
}

async function stopConsumers(eventSources: readonly EventSource[], sqs: LocalSqs, lambda: Lambda): Promise<void> {
  for (const source of eventSources) source.stop();
  sqs.wake();
  await lambda.stop();
  await Promise.all(eventSources.map((source) => source.ended));
}

function functionEnvironment(endpoint: string, env: Readonly<Record<string, string>> = {}): Record<string, string> {
  return {
    // The general one too, so that a client of a service this stack does not have fails here and never reaches AWS.
    AWS_ENDPOINT_URL: endpoint,
    AWS_ENDPOINT_URL_S3: endpoint,
    AWS_ENDPOINT_URL_SQS: endpoint,
    AWS_ENDPOINT_URL_DYNAMODB: endpoint,
    AWS_ENDPOINT_URL_GLUE: endpoint,
    AWS_REGION: REGION,
    AWS_DEFAULT_REGION: REGION,
    MORAINE_S3_PATH_STYLE: "1",
    ...env,
  };
}

function optional<K extends string, V>(name: K, value: V | undefined): { [key in K]?: V } {
  return (value === undefined ? {} : { [name]: value }) as { [key in K]?: V };
}
