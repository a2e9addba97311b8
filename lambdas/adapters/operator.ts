// What the operator's command works through: ledger, queues, listings and the backfill state machine, by names it was told instead of an environment.
// Bounds are short and attempts few: somebody is waiting at a terminal, and a service that is not there is an answer too.

import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { GlueClient } from "@aws-sdk/client-glue";
import { S3Client } from "@aws-sdk/client-s3";
import { DescribeExecutionCommand, SFNClient, StartExecutionCommand } from "@aws-sdk/client-sfn";
import { GetQueueAttributesCommand, SQSClient } from "@aws-sdk/client-sqs";
import { LEDGER_INDEX } from "../core/environment.ts";
import { PointerCatalog } from "../core/iceberg/pointer-catalog.ts";
import type { BucketLister, Ledger } from "../core/ports.ts";
import type { DecisionPorts } from "../core/schema/carry-out.ts";
import { DynamoLedger } from "./dynamodb-ledger.ts";
import { GluePointer } from "./glue-pointer.ts";
import { S3Lister } from "./s3-lister.ts";
import { S3ObjectStore } from "./s3-object-store.ts";
import { toMoraineError } from "./sdk-errors.ts";
import { SqsQueues } from "./sqs-queues.ts";
import { SystemClock, SystemRandom } from "./system.ts";

export interface OperatorTarget {
  readonly ledgerTable: string;
  readonly region?: string;
  /** One address for all services: the local stack. */
  readonly endpointUrl?: string;
}

/** SQS counts approximately. */
export interface QueueDepth {
  readonly waiting: number;
  readonly inFlight: number;
  readonly delayed: number;
}

/** An execution of a state machine; `output` once it SUCCEEDED, `error` and `cause` once it FAILED. */
export interface Execution {
  readonly status: "RUNNING" | "SUCCEEDED" | "FAILED" | "TIMED_OUT" | "ABORTED" | "PENDING_REDRIVE";
  readonly output?: string;
  readonly error?: string;
  readonly cause?: string;
}

export interface Operator {
  readonly ledger: Ledger;
  readonly lister: BucketLister;
  queueDepth(queueUrl: string): Promise<QueueDepth>;
  /** The execution's ARN. */
  startExecution(machineArn: string, name: string, input: string): Promise<string>;
  execution(arn: string): Promise<Execution>;
  /** What it takes to carry a decision about a schema out. */
  decisionPorts(intakeQueueUrl: string): DecisionPorts;
}

const BOUNDS = {
  maxAttempts: 3,
  requestHandler: { connectionTimeout: 2_000, requestTimeout: 10_000, throwOnRequestTimeout: true },
} as const;

export function connectOperator({ ledgerTable, region, endpointUrl }: OperatorTarget): Operator {
  const place = {
    ...BOUNDS,
    ...(region === undefined ? {} : { region }),
    ...(endpointUrl === undefined ? {} : { endpoint: endpointUrl }),
  };
  const sqs = new SQSClient({ ...place, useQueueUrlAsEndpoint: endpointUrl === undefined });
  const client = new DynamoDBClient(place);
  const sfn = new SFNClient(place);
  const s3 = new S3Client({ ...place, maxAttempts: 1, forcePathStyle: endpointUrl !== undefined });
  const ledger = new DynamoLedger({ client, tableName: ledgerTable, indexName: LEDGER_INDEX });
  return {
    ledger,
    lister: new S3Lister(s3),
    queueDepth: (queueUrl) => readDepth(sqs, queueUrl),
    startExecution: (machineArn, name, input) => startExecution(sfn, machineArn, name, input),
    execution: (arn) => describeExecution(sfn, arn),
    decisionPorts: (intakeQueueUrl) => openDecisionPorts(ledger, sqs, intakeQueueUrl, place, endpointUrl !== undefined),
  };
}

function openDecisionPorts(
  ledger: Ledger,
  client: SQSClient,
  intakeQueueUrl: string,
  place: typeof BOUNDS,
  forcePathStyle: boolean,
): DecisionPorts {
  const clock = new SystemClock();
  const random = new SystemRandom();
  const store = new S3ObjectStore(new S3Client({ ...place, forcePathStyle }));
  const glue = { reads: new GlueClient(place), writes: new GlueClient({ ...place, maxAttempts: 1 }) };
  const catalog = new PointerCatalog({ store, pointer: new GluePointer(glue), clock, random });
  // Commits are not this command's: no hint is ever sent.
  const queues = new SqsQueues({ client, intakeQueueUrl, commitQueueUrl: "" });
  return { ledger, catalog, queues, clock, random };
}

async function startExecution(
  client: SFNClient,
  stateMachineArn: string,
  name: string,
  input: string,
): Promise<string> {
  try {
    const { executionArn } = await client.send(new StartExecutionCommand({ stateMachineArn, name, input }));
    return executionArn ?? "";
  } catch (error) {
    throw toMoraineError(error, { action: "states:StartExecution", effect: "write", facts: { stateMachineArn, name } });
  }
}

async function describeExecution(client: SFNClient, executionArn: string): Promise<Execution> {
  try {
    const { status, output, error, cause } = await client.send(new DescribeExecutionCommand({ executionArn }));
    return {
      status: status ?? "RUNNING",
      ...(output === undefined ? {} : { output }),
      ...(error === undefined ? {} : { error }),
      ...(cause === undefined ? {} : { cause }),
    };
  } catch (error) {
    throw toMoraineError(error, { action: "states:DescribeExecution", effect: "read", facts: { executionArn } });
  }
}

async function readDepth(client: SQSClient, queueUrl: string): Promise<QueueDepth> {
  const request = new GetQueueAttributesCommand({
    QueueUrl: queueUrl,
    AttributeNames: [
      "ApproximateNumberOfMessages",
      "ApproximateNumberOfMessagesNotVisible",
      "ApproximateNumberOfMessagesDelayed",
    ],
  });
  try {
    const { Attributes = {} } = await client.send(request);
    return {
      waiting: Number(Attributes["ApproximateNumberOfMessages"] ?? 0),
      inFlight: Number(Attributes["ApproximateNumberOfMessagesNotVisible"] ?? 0),
      delayed: Number(Attributes["ApproximateNumberOfMessagesDelayed"] ?? 0),
    };
  } catch (error) {
    throw toMoraineError(error, { action: "sqs:GetQueueAttributes", effect: "read", facts: { queue: queueUrl } });
  }
}
