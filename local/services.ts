// Everything a local stack consists of, made from the plan and closed in the right order; event sources and clocks are stack.ts's.
// Invariant: whatever was opened is closed, also when something later cannot be opened (a bad template, a port in use).

import { randomUUID } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { LOCAL_ENV } from "../lambdas/core/environment.ts";
import { openObjects, STATES_ACCESS_KEY } from "./asl/object-access.ts";
import { createDeliveries, type Deliveries } from "./deliveries.ts";
import { Faults } from "./faults.ts";
import { Lambda, type LogLine } from "./lambda.ts";
import { lockFolder } from "./lock.ts";
import { nameOfArn, type Plan, planOf } from "./plan.ts";
import { provision } from "./provision.ts";
import { Requests } from "./requests.ts";
import { createDynamoDB } from "./servers/dynamodb.ts";
import { type Caller, openFront } from "./servers/front.ts";
import { createGlue } from "./servers/glue.ts";
import { createS3 } from "./servers/s3.ts";
import { createSns, type LocalSns, type Published } from "./servers/sns.ts";
import { createSqs, type LocalSqs } from "./servers/sqs.ts";
import { createStepFunctions, type LocalStepFunctions } from "./servers/step-functions.ts";
import { type Json, readAssembly } from "./template.ts";

export const REGION = "us-east-1";
const ROOT = join(import.meta.dirname, "..");
const LOG_LINES_MAX = 5000;
const WAKE_MS = 20;

/** Names of `moraine.yaml` that are marked `existing: true`. */
export interface Existing {
  readonly buckets: readonly string[];
  readonly databases: readonly string[];
}

export interface ServiceOptions {
  readonly assembly: string;
  readonly dataDir?: string;
  readonly port?: number;
  readonly env?: Readonly<Record<string, string>>;
  readonly timeScale?: number;
  readonly environmentsMax?: number;
  readonly onLog?: (line: LogLine) => void;
  readonly onPublish?: (published: Published) => void;
  readonly existing?: Existing;
}

export interface Services {
  readonly endpoint: string;
  readonly plan: Plan;
  readonly lambda: Lambda;
  readonly sqs: LocalSqs;
  readonly sns: LocalSns;
  readonly stepFunctions: LocalStepFunctions;
  readonly deliveries: Deliveries;
  readonly requests: Requests;
  readonly faults: Faults;
  readonly logLines: readonly LogLine[];
  close(): Promise<void>;
}

export async function openServices(options: ServiceOptions): Promise<Services> {
  const closers: (() => Promise<void> | void)[] = [];
  const close = async () => {
    for (const each of closers.splice(0).reverse()) await each();
  };
  try {
    return { ...(await open(options, closers)), close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function open(
  options: ServiceOptions,
  closers: (() => Promise<void> | void)[],
): Promise<Omit<Services, "close">> {
  const scratch = mkdtempSync(join(tmpdir(), "moraine-local-"));
  closers.push(() => rmSync(scratch, { recursive: true, force: true }));
  const kept = options.dataDir === undefined ? undefined : resolve(options.dataDir);
  if (kept !== undefined) {
    mkdirSync(kept, { recursive: true });
    closers.push(lockFolder(kept));
  }
  const folder = (name: string) => (kept === undefined ? undefined : join(kept, name));

  const requests = new Requests();
  const faults = new Faults();
  const { lambda, logLines } = createLambda(options, faults, join(scratch, "tmp"));
  closers.push(() => lambda.stop());

  const s3Folder = folder("s3") ?? join(scratch, "s3");
  const deliver = (arn: string, message: string) => deliveries.deliver(arn, message);
  const s3 = createS3({ folder: s3Folder, region: REGION, now: Date.now, deliver });
  closers.push(() => s3.close());
  const dynamodb = await createDynamoDB(folder("dynamodb"));
  closers.push(() => dynamodb.close());
  const sns = createSns(options.onPublish);
  const glue = createGlue(folder("glue.json"), Date.now);

  const callerOf = (key: string) => (key === STATES_ACCESS_KEY ? STEP_FUNCTIONS : lambda.callerOf(key));
  const front = await openFront({ port: options.port ?? 0, faults, requests, callerOf });
  closers.push(() => front.stop());
  const { endpoint } = front;
  const queueFolder = folder("sqs");
  const sqs = await createSqs({
    endpoint,
    region: REGION,
    duplicate: (queue) => faults.duplicateMessage(queue),
    ...(queueFolder === undefined ? {} : { folder: queueFolder }),
  });
  closers.push(async () => {
    await front.stop();
    await answered(front, sqs);
    await sqs.close();
  });

  const environment = functionEnvironment(endpoint, options.env);
  const timeScale = options.timeScale ?? 1;
  const plan = planOf(readAssembly(resolve(options.assembly)), { region: REGION, endpoint, environment, timeScale });
  const objects = openObjects(endpoint, REGION);
  closers.push(() => objects.close());
  const stepFunctions = createStepFunctions({
    machines: plan.stateMachines,
    refused: refusedMachines(plan),
    world: { ...SYSTEM, region: REGION, timeScale, objects, invoke: invoker(plan, lambda) },
  });
  front.serve({
    S3: s3.handle,
    SQS: sqs.handle,
    DynamoDB: dynamodb.handle,
    Glue: glue.handle,
    SNS: sns.handle,
    StepFunctions: stepFunctions.handle,
  });
  const deliveries = createDeliveries({ plan, lambda, faults, sqs, stepFunctions, region: REGION });
  for (const spec of plan.functions) lambda.define(spec);
  const { buckets = [], databases = [] } = options.existing ?? {};
  for (const bucket of new Set([...plan.buckets, ...buckets])) s3.ensureBucket(bucket);
  plan.databases.push(...databases.map((database) => ({ Name: database })));
  await provision(plan, { endpoint, region: REGION, sqs, glue });
  for (const { bucket, rules } of plan.notifications) s3.setNotifications(bucket, rules);
  return { endpoint, plan, lambda, sqs, sns, stepFunctions, deliveries, requests, faults, logLines };
}

/** Whose S3 requests a map's reader and writer send: named so in the counts and for a fault's `from`; it cannot be killed. */
const STEP_FUNCTIONS: Caller = { functionId: "StepFunctions", kill: () => {} };
const SYSTEM = { now: Date.now, random: Math.random, uuid: randomUUID };

function refusedMachines({ resources, skipped }: Plan): ReadonlyMap<string, string> {
  const reasons = new Map(skipped.map(({ id, reason }) => [id, reason]));
  return new Map(resources.flatMap(({ id, ref }) => (reasons.has(id) ? [[ref, reasons.get(id) ?? ""]] : [])));
}

/** By name or ARN, each with or without a qualifier. */
function invoker({ functions }: Plan, lambda: Lambda) {
  return (functionName: string, event: Json) => {
    const [name] = nameOfArn(functionName).split(":", 1);
    const spec = functions.find((each) => each.name === name);
    return spec === undefined ? undefined : lambda.invoke(spec.id, event);
  };
}

/** No request is being answered any more; long polls are ended, again and again, for one may begin after the first. */
async function answered(front: { idle(): Promise<void> }, sqs: LocalSqs): Promise<void> {
  const timer = setInterval(() => sqs.wake(), WAKE_MS);
  sqs.wake();
  await front.idle().finally(() => clearInterval(timer));
}

function createLambda(options: ServiceOptions, faults: Faults, scratch: string) {
  const logLines: LogLine[] = [];
  const lambda = new Lambda({
    faults,
    scratch,
    hostModules: (createRequire(import.meta.url).resolve.paths("any-package") ?? []).join(":"),
    environmentsMax: options.environmentsMax ?? 4,
    log(line) {
      logLines.push(line);
      if (logLines.length > LOG_LINES_MAX) logLines.shift();
      options.onLog?.(line);
    },
  });
  return { lambda, logLines };
}

function functionEnvironment(endpoint: string, env: Readonly<Record<string, string>> = {}): Record<string, string> {
  return {
    // The general one too, so that a client of a service this stack does not have fails here and never reaches AWS.
    AWS_ENDPOINT_URL: endpoint,
    AWS_ENDPOINT_URL_S3: endpoint,
    AWS_ENDPOINT_URL_SQS: endpoint,
    AWS_ENDPOINT_URL_DYNAMODB: endpoint,
    AWS_ENDPOINT_URL_GLUE: endpoint,
    AWS_ENDPOINT_URL_SFN: endpoint,
    AWS_ENDPOINT_URL_SNS: endpoint,
    AWS_REGION: REGION,
    AWS_DEFAULT_REGION: REGION,
    [LOCAL_ENV.s3PathStyle]: "1",
    [LOCAL_ENV.nativeRoot]: ROOT,
    ...env,
  };
}
