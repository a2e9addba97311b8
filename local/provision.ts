// Makes the queues, tables and databases a plan names, unless they are there from the last run. Buckets need no asking.

import { setTimeout as sleep } from "node:timers/promises";
import type { Plan } from "./plan.ts";
import type { LocalGlue } from "./servers/glue.ts";
import type { JsonObject } from "./servers/json-protocol.ts";
import type { LocalSqs } from "./servers/sqs.ts";

export interface ProvisionTargets {
  /** Where DynamoDB answers. */
  readonly endpoint: string;
  readonly region: string;
  readonly sqs: LocalSqs;
  readonly glue: LocalGlue;
}

export async function provision(plan: Plan, { endpoint, region, sqs, glue }: ProvisionTargets): Promise<void> {
  const dynamodb: DynamoDBCall = (operation, input) => dynamodbCall(endpoint, region, operation, input);
  for (const { name, attributes } of plan.queues) await ensureQueue(sqs, name, attributes);
  for (const { input, timeToLive } of plan.tables) await ensureTable(dynamodb, input, timeToLive);
  for (const database of plan.databases) ensureDatabase(glue, database);
}

type DynamoDBCall = (operation: string, input: JsonObject) => Promise<JsonObject>;

async function ensureQueue(sqs: LocalSqs, name: string, attributes: Record<string, string>): Promise<void> {
  try {
    await sqs.call("CreateQueue", { QueueName: name, Attributes: attributes });
  } catch (error) {
    // It is there from the last run, and the template has changed since.
    if (!String(error).includes("already exists")) throw error;
    await sqs.call("SetQueueAttributes", { QueueUrl: sqs.urlOf(name), Attributes: attributes });
  }
}

async function ensureTable(
  dynamodb: DynamoDBCall,
  input: JsonObject,
  timeToLive: JsonObject | undefined,
): Promise<void> {
  const created = await dynamodb("CreateTable", input);
  const there = String(created["__type"] ?? "").endsWith("ResourceInUseException");
  if (created["__type"] !== undefined && !there)
    throw new Error(`could not create a table: ${JSON.stringify(created)}`);
  const { TableName } = input;
  for (;;) {
    const { Table } = await dynamodb("DescribeTable", { TableName });
    if ((Table as JsonObject | undefined)?.["TableStatus"] === "ACTIVE") break;
    await sleep(5);
  }
  if (timeToLive !== undefined) {
    await dynamodb("UpdateTimeToLive", { TableName, TimeToLiveSpecification: timeToLive });
  }
}

/** dynalite wants to see a signature, and looks no further. */
async function dynamodbCall(
  endpoint: string,
  region: string,
  operation: string,
  input: JsonObject,
): Promise<JsonObject> {
  const answer = await fetch(endpoint, {
    method: "POST",
    headers: {
      "content-type": "application/x-amz-json-1.0",
      "x-amz-target": `DynamoDB_20120810.${operation}`,
      "x-amz-date": "20260101T000000Z",
      authorization: `AWS4-HMAC-SHA256 Credential=stack/20260101/${region}/dynamodb/aws4_request, SignedHeaders=host, Signature=0`,
    },
    body: JSON.stringify(input),
  });
  return (await answer.json()) as JsonObject;
}

function ensureDatabase(glue: LocalGlue, database: JsonObject): void {
  try {
    glue.call("CreateDatabase", { DatabaseInput: database });
  } catch (error) {
    if (!String(error).includes("already exists")) throw error;
  }
}
