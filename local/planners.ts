// One small function per resource type this stack makes: from resolved properties to an entry of the plan.

import { readFileSync } from "node:fs";
import { whyRefused } from "./asl/check-definition.ts";
import type { Machine } from "./asl/definition.ts";
import { ACCOUNT } from "./identities.ts";
import { type Named, nameOfArn, type Plan, type PlanOptions, type ScheduleTarget } from "./plan.ts";
import { parseSchedule } from "./schedule.ts";
import type { JsonObject } from "./servers/json-protocol.ts";
import { rulesOfTemplate } from "./servers/s3-events.ts";
import {
  type AssemblyStack,
  type Json,
  type JsonRecord,
  resolveValue,
  type Scope,
  type TemplateResource,
} from "./template.ts";

export interface Planning {
  readonly plan: Plan;
  readonly options: PlanOptions;
  readonly stack: AssemblyStack;
  readonly scope: Scope;
  readonly id: string;
  readonly resource: TemplateResource;
  readonly identity: Named;
}

/** Returns why the resource is left out, or nothing. */
type PlanOne = (planning: Planning, properties: JsonRecord) => string | undefined;

export function planResource(planning: Planning): void {
  const { plan, scope, id, resource, identity } = planning;
  const arn = identity.attributes["Arn"] ?? "";
  const path = String(resource.Metadata?.["aws:cdk:path"] ?? "");
  plan.resources.push({ id, type: resource.Type, name: identity.name, arn, ref: identity.ref, path });
  const one = PLANNERS[resource.Type];
  const reason =
    one === undefined ? "unknown type" : one(planning, resolveValue(resource.Properties ?? {}, scope) as JsonRecord);
  if (reason !== undefined) plan.skipped.push({ id, type: resource.Type, reason });
}

const PLANNERS: Readonly<Record<string, PlanOne>> = {
  "AWS::S3::Bucket"({ plan, identity }, properties) {
    plan.buckets.push(identity.name);
    const rules = rulesOfTemplate(properties["NotificationConfiguration"]);
    if (rules.length > 0) plan.notifications.push({ bucket: identity.name, rules });
    return undefined;
  },
  "Custom::S3BucketNotifications"({ plan }, properties) {
    const bucket = String(properties["BucketName"]);
    // The bucket may be one that exists outside the template.
    plan.buckets.push(bucket);
    plan.notifications.push({ bucket, rules: rulesOfTemplate(properties["NotificationConfiguration"]) });
    return undefined;
  },
  "AWS::SQS::Queue"({ plan, identity, options }, properties) {
    plan.queues.push({ name: identity.name, attributes: queueAttributes(properties, options.timeScale) });
    return undefined;
  },
  "AWS::DynamoDB::Table": planTable,
  "AWS::DynamoDB::GlobalTable": planTable,
  "AWS::Glue::Database"({ plan, identity }, properties) {
    plan.databases.push({ ...(properties["DatabaseInput"] as JsonRecord), Name: identity.name });
    return undefined;
  },
  "AWS::Lambda::LayerVersion": () => undefined,
  "AWS::Lambda::Version": () => undefined,
  "AWS::Lambda::Alias": () => undefined,
  "AWS::Lambda::Function": planFunction,
  "AWS::Lambda::EventSourceMapping": planEventSource,
  "AWS::StepFunctions::StateMachine": planStateMachine,
  "AWS::Events::Rule"(planning, properties) {
    const targets = ((properties["Targets"] ?? []) as JsonRecord[]).map((target) => ({
      ...scheduleTarget(target),
      ...messageGroup(target["SqsParameters"]),
    }));
    return planSchedule(planning, properties, targets);
  },
  "AWS::Scheduler::Schedule"(planning, properties) {
    const target = properties["Target"] as JsonRecord;
    return planSchedule(planning, properties, [
      { ...scheduleTarget(target), ...messageGroup(target["SqsParameters"]) },
    ]);
  },
};

const QUEUE_ATTRIBUTES = [
  "VisibilityTimeout",
  "DelaySeconds",
  "MaximumMessageSize",
  "MessageRetentionPeriod",
  "ReceiveMessageWaitTimeSeconds",
  "FifoQueue",
  "ContentBasedDeduplication",
];

function queueAttributes(properties: JsonRecord, timeScale: number): Record<string, string> {
  const attributes: Record<string, string> = {};
  for (const name of QUEUE_ATTRIBUTES) if (properties[name] !== undefined) attributes[name] = String(properties[name]);
  const scale = (name: string, least: number) => {
    const seconds = attributes[name];
    if (seconds !== undefined) attributes[name] = String(Math.max(least, Math.round(Number(seconds) * timeScale)));
  };
  if (timeScale !== 1) {
    attributes["VisibilityTimeout"] ??= "30";
    scale("VisibilityTimeout", 1);
    scale("DelaySeconds", 0);
  }
  const redrive = properties["RedrivePolicy"];
  if (redrive !== undefined) attributes["RedrivePolicy"] = JSON.stringify(redrive);
  return attributes;
}

function planTable({ plan, identity }: Planning, properties: JsonRecord): undefined {
  const indexes = (name: string) => {
    const listed = properties[name] as JsonRecord[] | undefined;
    const kept = listed?.map(({ IndexName, KeySchema, Projection }) => ({ IndexName, KeySchema, Projection }));
    return kept === undefined ? {} : { [name]: kept };
  };
  const input = {
    TableName: identity.name,
    AttributeDefinitions: properties["AttributeDefinitions"],
    KeySchema: properties["KeySchema"],
    BillingMode: "PAY_PER_REQUEST",
    ...indexes("GlobalSecondaryIndexes"),
    ...indexes("LocalSecondaryIndexes"),
  };
  const timeToLive = properties["TimeToLiveSpecification"] as JsonObject | undefined;
  plan.tables.push(timeToLive === undefined ? { input } : { input, timeToLive });
  return undefined;
}

function planFunction(
  { plan, options, stack, id, identity, scope }: Planning,
  properties: JsonRecord,
): string | undefined {
  const codeFolder = stack.assets.get(String((properties["Code"] as JsonRecord)["S3Key"]));
  if (!String(properties["Runtime"]).startsWith("nodejs")) return `runtime ${String(properties["Runtime"])}`;
  if (codeFolder === undefined) return "its code is not an asset of the assembly";
  const variables = ((properties["Environment"] as JsonRecord | undefined)?.["Variables"] ?? {}) as JsonRecord;
  const environment = Object.fromEntries(Object.entries(variables).map(([name, value]) => [name, String(value)]));
  const reserved = properties["ReservedConcurrentExecutions"];
  plan.functions.push({
    id,
    name: identity.name,
    arn: identity.attributes["Arn"] ?? "",
    codeFolder,
    handler: String(properties["Handler"]),
    environment: { ...environment, ...options.environment },
    timeoutMs: Number(properties["Timeout"] ?? 3) * 1000,
    memoryMb: Number(properties["MemorySize"] ?? 128),
    ...(reserved === undefined ? {} : { reservedConcurrency: Number(reserved) }),
    layers: layerFolders(((properties["Layers"] ?? []) as Json[]).map(String), stack, scope),
  });
  return undefined;
}

function layerFolders(refs: readonly string[], stack: AssemblyStack, scope: Scope): string[] {
  return Object.entries(stack.template.Resources ?? {}).flatMap(([id, { Type, Properties }]) => {
    if (Type !== "AWS::Lambda::LayerVersion" || !refs.includes(scope.identity(id)?.ref ?? "")) return [];
    const content = resolveValue(Properties?.["Content"] ?? {}, scope) as JsonRecord;
    return stack.assets.get(String(content["S3Key"])) ?? [];
  });
}

const CONCURRENCY_DEFAULT = 5;

function planEventSource({ plan, options, id }: Planning, properties: JsonRecord): string | undefined {
  const queueArn = String(properties["EventSourceArn"]);
  if (!queueArn.startsWith("arn:aws:sqs:")) return "not a queue";
  if (properties["Enabled"] === false) return "disabled";
  if (properties["FilterCriteria"] !== undefined) return "filter criteria are not emulated";
  const queueName = nameOfArn(queueArn);
  const fifo = queueName.endsWith(".fifo");
  const scaling = properties["ScalingConfig"] as JsonRecord | undefined;
  plan.eventSources.push({
    id,
    functionName: nameOfArn(String(properties["FunctionName"])),
    queueName,
    queueArn,
    queueUrl: `${options.endpoint}/${ACCOUNT}/${queueName}`,
    fifo,
    batchSize: Number(properties["BatchSize"] ?? 10),
    windowMs: fifo ? 0 : Number(properties["MaximumBatchingWindowInSeconds"] ?? 0) * 1000 * options.timeScale,
    maximumConcurrency: Number(scaling?.["MaximumConcurrency"] ?? CONCURRENCY_DEFAULT),
    reportsItemFailures: ((properties["FunctionResponseTypes"] ?? []) as Json[]).includes("ReportBatchItemFailures"),
    region: options.region,
  });
  return undefined;
}

function planStateMachine({ plan, stack, id, identity }: Planning, properties: JsonRecord): string | undefined {
  const type = String(properties["StateMachineType"] ?? "STANDARD");
  if (type !== "STANDARD") return `a state machine of the type ${type}`;
  const definition = definitionOf(stack, properties);
  const reason = definition === undefined ? "no definition among the assets" : whyRefused(definition);
  if (reason !== undefined) return reason;
  plan.stateMachines.push({
    id,
    name: identity.name,
    arn: identity.ref,
    roleArn: String(properties["RoleArn"] ?? ""),
    definition: definition as unknown as Machine,
  });
  return undefined;
}

/** Substitutions are text in a text, and strings in an object. */
function definitionOf(stack: AssemblyStack, properties: JsonRecord): Json | undefined {
  const { Definition, DefinitionString, DefinitionS3Location, DefinitionSubstitutions } = properties;
  const file = stack.assets.get(String((DefinitionS3Location as JsonRecord | undefined)?.["Key"]));
  const stored = file === undefined ? undefined : readFileSync(file, "utf8");
  const text = DefinitionString === undefined ? stored : String(DefinitionString);
  let definition = text ?? (Definition === undefined ? undefined : JSON.stringify(Definition));
  if (definition === undefined) return undefined;
  for (const [name, value] of Object.entries((DefinitionSubstitutions ?? {}) as JsonRecord)) {
    const substitute = text === undefined ? JSON.stringify(String(value)).slice(1, -1) : String(value);
    definition = definition.replaceAll(`\${${name}}`, () => substitute);
  }
  return JSON.parse(definition) as Json;
}

function planSchedule(
  { plan, id, identity }: Planning,
  properties: JsonRecord,
  targets: ScheduleTarget[],
): string | undefined {
  const expression = properties["ScheduleExpression"];
  if (expression === undefined) return "an event pattern, not a schedule";
  if (targets.some(({ arn, hasRole }) => arn.startsWith("arn:aws:states:") && !hasRole)) {
    return "a state machine as target needs a RoleArn";
  }
  const schedule = parseSchedule(String(expression));
  if (schedule === undefined) return `a schedule expression this stack does not know: ${String(expression)}`;
  const enabled = properties["State"] !== "DISABLED";
  plan.schedules.push({ id, arn: identity.attributes["Arn"] ?? "", schedule, enabled, targets });
  return undefined;
}

function scheduleTarget(target: JsonRecord): ScheduleTarget {
  const facts = { arn: String(target["Arn"]), hasRole: target["RoleArn"] !== undefined };
  return target["Input"] === undefined ? facts : { ...facts, input: String(target["Input"]) };
}

function messageGroup(parameters: Json | undefined): { messageGroupId?: string } {
  const group = (parameters as JsonRecord | undefined)?.["MessageGroupId"];
  return group === undefined ? {} : { messageGroupId: String(group) };
}
