// From a cloud assembly to the list of things to make: the part of CloudFormation this stack understands, as data.
// Invariant: a resource is either in the plan or in `skipped` with the reason, so nothing is left out silently.

import type { EventSourceSpec } from "./event-source.ts";
import { ACCOUNT, identify, type Place } from "./identities.ts";
import type { FunctionSpec } from "./lambda.ts";
import { planResource } from "./planners.ts";
import type { Schedule } from "./schedule.ts";
import type { JsonObject } from "./servers/json-protocol.ts";
import type { NotificationRule } from "./servers/s3-events.ts";
import type { StateMachineSpec } from "./servers/step-functions.ts";
import { type AssemblyStack, holds, type Identity, type Json, resolveValue, type Scope } from "./template.ts";

export interface ScheduleTarget {
  readonly arn: string;
  /** JSON text; undefined: the event EventBridge makes. */
  readonly input?: string;
  /** A role for EventBridge to act with: nothing is checked with it, but a state machine has to have one. */
  readonly hasRole: boolean;
  readonly messageGroupId?: string;
}

export interface Resource {
  readonly id: string;
  readonly type: string;
  /** Physical name. */
  readonly name: string;
  readonly arn: string;
  readonly ref: string;
  /** `aws:cdk:path`, such as `Moraine/Intake/Queue/Resource`. */
  readonly path: string;
}

export interface Plan {
  readonly resources: Resource[];
  readonly outputs: Record<string, string>;
  readonly skipped: { readonly id: string; readonly type: string; readonly reason: string }[];
  readonly buckets: string[];
  readonly notifications: { readonly bucket: string; readonly rules: readonly NotificationRule[] }[];
  readonly queues: { readonly name: string; readonly attributes: Record<string, string> }[];
  readonly tables: { readonly input: JsonObject; readonly timeToLive?: JsonObject }[];
  readonly databases: JsonObject[];
  readonly functions: FunctionSpec[];
  readonly eventSources: EventSourceSpec[];
  readonly stateMachines: StateMachineSpec[];
  readonly schedules: {
    readonly id: string;
    readonly arn: string;
    readonly schedule: Schedule;
    readonly enabled: boolean;
    readonly targets: readonly ScheduleTarget[];
  }[];
}

export interface PlanOptions {
  readonly region: string;
  readonly endpoint: string;
  /** Added to every function's own environment. */
  readonly environment: Readonly<Record<string, string>>;
  /** Factor on queue delays, visibility timeouts, batching windows and schedules. */
  readonly timeScale: number;
}

export function planOf(stacks: readonly AssemblyStack[], options: PlanOptions): Plan {
  const plan: Plan = {
    resources: [],
    outputs: {},
    skipped: [],
    buckets: [],
    notifications: [],
    queues: [],
    tables: [],
    databases: [],
    functions: [],
    eventSources: [],
    stateMachines: [],
    schedules: [],
  };
  const scopes: readonly StackScope[] = stacks.map((stack) =>
    scopeOf(stack, options, (name) => importValue(stacks, scopes, name)),
  );
  stacks.forEach((stack, index) => {
    const { scope, identities } = scopes[index] as StackScope;
    for (const [id, resource] of Object.entries(stack.template.Resources ?? {})) {
      if (resource.Condition === undefined || holds({ Condition: resource.Condition }, scope)) {
        planResource({ plan, options, stack, scope, id, resource, identity: identities(id) });
      }
    }
    for (const [id, { Value }] of Object.entries(stack.template.Outputs ?? {})) {
      plan.outputs[id] = String(resolveValue(Value, scope));
    }
  });
  return plan;
}

// ---- names ---------------------------------------------------------------------------------------------------------

export type Named = Identity & { readonly name: string };
interface StackScope {
  readonly scope: Scope;
  identities(id: string): Named;
}

function scopeOf(
  stack: AssemblyStack,
  { region, endpoint }: PlanOptions,
  importFrom: (name: string) => Json,
): StackScope {
  const place: Place = { region, endpoint, stackName: stack.name };
  const known = new Map<string, Named>();
  const pseudo = {
    "AWS::Region": region,
    "AWS::AccountId": ACCOUNT,
    "AWS::Partition": "aws",
    "AWS::URLSuffix": "amazonaws.com",
    "AWS::StackName": stack.name,
    "AWS::StackId": `arn:aws:cloudformation:${region}:${ACCOUNT}:stack/${stack.name}/local`,
  };
  function identity(id: string): Named | undefined {
    const resource = stack.template.Resources?.[id];
    if (resource === undefined) return undefined;
    const named = known.get(id) ?? identify(id, resource, place, (value) => resolveValue(value, scope));
    known.set(id, named);
    return named;
  }
  const scope: Scope = { template: stack.template, pseudo, identity, importValue: importFrom };
  return { scope, identities: (id) => identity(id) as Named };
}

function importValue(stacks: readonly AssemblyStack[], scopes: readonly StackScope[], name: string): Json {
  for (const [index, stack] of stacks.entries()) {
    const { scope } = scopes[index] as StackScope;
    for (const { Value, Export } of Object.values(stack.template.Outputs ?? {})) {
      if (Export !== undefined && resolveValue(Export.Name, scope) === name) return resolveValue(Value, scope);
    }
  }
  throw new Error(`no stack of the assembly exports name=${name}`);
}

/** Of a queue, or of a function with or without a qualifier. */
export function nameOfArn(arn: string): string {
  const parts = arn.split(":");
  if (parts.length < 6) return arn;
  return (parts[2] === "lambda" ? parts[6] : parts[5]) ?? arn;
}

export const FUNCTION = "AWS::Lambda::Function";

/** By logical id, physical name, start of a logical id or part of the construct path: the first way that fits exactly one. */
export function findResource(resources: readonly Resource[], name: string, type?: string): Resource {
  const all = resources.filter((each) => type === undefined || each.type === type);
  const ways: ((each: Resource) => boolean)[] = [
    (each) => each.id === name,
    (each) => each.name === name,
    (each) => each.id.startsWith(name),
    (each) => each.path.includes(name),
  ];
  for (const way of ways) {
    const found = all.filter(way);
    if (found.length === 1) return found[0] as Resource;
  }
  throw new Error(`no single resource fits name=${name} among=${all.map((each) => each.id).join(",")}`);
}
