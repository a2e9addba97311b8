// What the Step Functions API shows of machines, executions and map runs. Times are epoch seconds.
// Source: https://docs.aws.amazon.com/step-functions/latest/apireference

import type { Execution } from "../asl/execution.ts";
import type { MapRun } from "../asl/map-run.ts";
import { type JsonObject, ServiceError } from "./json-protocol.ts";
import type { StateMachineSpec } from "./step-functions.ts";

const PAGE_ITEMS = 100;
const PAGE_ITEMS_MAX = 1000;

export function pageOf(name: string, all: readonly unknown[], input: JsonObject): JsonObject {
  const start = Number(input["nextToken"] ?? 0);
  if (!Number.isInteger(start)) throw new ServiceError("InvalidToken", "Invalid Token");
  const asked = Number(input["maxResults"] ?? 0);
  const end = start + Math.min(asked === 0 ? PAGE_ITEMS : asked, PAGE_ITEMS_MAX);
  return { [name]: all.slice(start, end), ...(end < all.length ? { nextToken: String(end) } : {}) };
}

export function describeMachine({ arn, name, roleArn, definition }: StateMachineSpec, createdMs: number): JsonObject {
  return {
    stateMachineArn: arn,
    name,
    status: "ACTIVE",
    definition: JSON.stringify(definition),
    roleArn,
    type: "STANDARD",
    creationDate: createdMs / 1000,
    loggingConfiguration: { level: "OFF", includeExecutionData: false },
    tracingConfiguration: { enabled: false },
  };
}

export function listedExecution({ facts, status, startMs, stopMs }: Execution): JsonObject {
  return {
    executionArn: facts.arn,
    stateMachineArn: facts.machine.arn,
    name: facts.name,
    status,
    startDate: startMs / 1000,
    ...(stopMs === undefined ? {} : { stopDate: stopMs / 1000 }),
    ...(facts.mapRunArn === undefined ? {} : { mapRunArn: facts.mapRunArn, itemCount: facts.itemCount }),
    redriveCount: 0,
  };
}

export function describeExecution(execution: Execution): JsonObject {
  const { facts, output, error, cause } = execution;
  const { itemCount: _, ...listed } = listedExecution(execution);
  return {
    ...listed,
    input: JSON.stringify(facts.input),
    inputDetails: { included: true },
    ...(output === undefined ? {} : { output: JSON.stringify(output), outputDetails: { included: true } }),
    ...(error === undefined ? {} : { error }),
    ...(cause === undefined ? {} : { cause }),
    redriveStatus: "NOT_REDRIVABLE",
    redriveStatusReason: `Execution is ${execution.status} and is not redriven locally`,
  };
}

export function describeMapRun(mapRun: MapRun): JsonObject {
  const { facts, status, startMs, stopMs } = mapRun;
  return {
    mapRunArn: facts.arn,
    executionArn: facts.executionArn,
    status,
    startDate: startMs / 1000,
    ...(stopMs === undefined ? {} : { stopDate: stopMs / 1000 }),
    maxConcurrency: facts.concurrencyMax,
    toleratedFailurePercentage: facts.tolerance.percentage ?? 0,
    toleratedFailureCount: facts.tolerance.count ?? 0,
    itemCounts: mapRun.counts(({ itemCount }) => itemCount),
    executionCounts: mapRun.counts(() => 1),
    redriveCount: 0,
  };
}
