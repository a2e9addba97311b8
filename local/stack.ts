// The whole stack on this machine: boots from cdk.out, runs the very bundles that would be deployed, on loopback only.
// Read order: here, plan.ts (what a template comes to), services.ts (how it is opened and closed), servers/front.ts (the door).
// Invariant: `quiet()` means that nothing will happen any more without a new cause: no message in a queue that has a
// consumer, no notification under way, no function and no execution running. Dead-letter queues have no consumer and may hold messages.

import { setTimeout as sleep } from "node:timers/promises";
import { startEventSource } from "./event-source.ts";
import type { FaultPlan, Faults } from "./faults.ts";
import type { InvokeOutcome, LogLine } from "./lambda.ts";
import { FUNCTION, findResource, type Plan, type Resource } from "./plan.ts";
import type { Requests } from "./requests.ts";
import { startSchedule } from "./schedule.ts";
import type { JsonObject } from "./servers/json-protocol.ts";
import type { Published } from "./servers/sns.ts";
import type { QueueDepth } from "./servers/sqs.ts";
import { type Existing, openServices, REGION } from "./services.ts";

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
  /**
   * Factor on schedules, batching windows, queue delays, Wait states, waits between retries of a state, and visibility
   * timeouts (whole seconds, at least 1); default 1.
   */
  readonly timeScale?: number;
  /** false: rules fire only by `trigger`; default true. */
  readonly schedules?: boolean;
  /** Environments of one function at most; default 4. */
  readonly environmentsMax?: number;
  readonly onLog?: (line: LogLine) => void;
  readonly onPublish?: (published: Published) => void;
  /** What the deployment would find already there: made here, for nobody else does. */
  readonly existing?: Existing;
}

export interface LocalStack {
  readonly endpoint: string;
  /** All the same address; named as the SDK's AWS_ENDPOINT_URL_* are. */
  readonly endpoints: Readonly<Record<"s3" | "sqs" | "dynamodb" | "glue" | "sfn", string>>;
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
  /** Fires a schedule now, and waits for the functions it targets; of a state machine, only for the start. */
  trigger(ruleName: string): Promise<readonly InvokeOutcome[]>;
  /** By physical queue name. */
  queueDepths(): Record<string, QueueDepth>;
  /** Alerts, oldest first. */
  published(): readonly Published[];
  /** The last lines of every function, oldest first. */
  logs(): readonly LogLine[];
  /** Throws when it is still busy after the timeout, or when the signal comes first. */
  quiet(timeoutMs?: number, signal?: AbortSignal): Promise<void>;
  stop(): Promise<void>;
}

const QUIET_CHECK_MS = 20;

export async function startLocalStack(options: LocalStackOptions): Promise<LocalStack> {
  const services = await openServices(options);
  const { endpoint, plan, lambda, sqs, stepFunctions, requests, faults, deliveries } = services;
  const invoke = (name: string, event: unknown) =>
    lambda.invoke(findResource(plan.resources, name, FUNCTION).id, event);
  const call = async (action: string, input: JsonObject) => {
    requests.record(`EventSource.${action}`, "", 0, 0);
    return sqs.call(action, input);
  };
  const eventSources = plan.eventSources.map((spec) => startEventSource(spec, { call, invoke, now: Date.now }));
  const timers = plan.schedules
    .filter((rule) => rule.enabled && options.schedules !== false)
    .map((rule) =>
      startSchedule(rule.schedule, options.timeScale ?? 1, Date.now, () => void deliveries.fire(rule).catch(() => {})),
    );
  requests.reset();
  faults.set(options.faults);

  const consumed = new Set(plan.eventSources.map((spec) => spec.queueName));
  const waiting = () =>
    Object.entries(sqs.depths())
      .filter(([name]) => consumed.has(name))
      .reduce((sum, [, { visible, inFlight, delayed }]) => sum + visible + inFlight + delayed, 0);
  const busy = () => lambda.running + stepFunctions.running + deliveries.pending() + waiting();

  return {
    endpoint,
    endpoints: { s3: endpoint, sqs: endpoint, dynamodb: endpoint, glue: endpoint, sfn: endpoint },
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
    invoke,
    trigger: (ruleName) => deliveries.fire(ruleOf(plan, ruleName)),
    queueDepths: () => sqs.depths(),
    published: () => services.sns.published,
    logs: () => services.logLines,
    async quiet(timeoutMs = 60_000, signal) {
      const untilMs = Date.now() + timeoutMs;
      for (let calm = 0; calm < 2; calm = busy() === 0 ? calm + 1 : 0) {
        signal?.throwIfAborted();
        if (Date.now() > untilMs) throw new Error(`the local stack is still busy ${JSON.stringify(sqs.depths())}`);
        await sleep(QUIET_CHECK_MS);
      }
    },
    async stop() {
      for (const timer of timers) timer.stop();
      for (const source of eventSources) source.stop();
      deliveries.flush();
      await stepFunctions.stop();
      await lambda.stop();
      await nudged(Promise.all(eventSources.map((source) => source.ended)), () => sqs.wake());
      await deliveries.settled();
      await services.close();
    },
  };
}

function ruleOf(plan: Plan, name: string): Plan["schedules"][number] {
  const ids = new Set(plan.schedules.map((rule) => rule.id));
  const resources = plan.resources.filter((each) => ids.has(each.id));
  const { id } = findResource(resources, name);
  return plan.schedules.find((rule) => rule.id === id) as Plan["schedules"][number];
}

/** Repeats the nudge until the work ends: a long poll may begin just after the first. */
async function nudged(work: Promise<unknown>, nudge: () => void): Promise<void> {
  const timer = setInterval(nudge, QUIET_CHECK_MS);
  nudge();
  await work.finally(() => clearInterval(timer));
}
