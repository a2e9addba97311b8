// What the operator's command reads through: the ledger and the depth of a queue, by names it was told instead of an environment.
// Bounds are short and attempts few: somebody is waiting at a terminal, and a service that is not there is an answer too.

import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { GetQueueAttributesCommand, SQSClient } from "@aws-sdk/client-sqs";
import { LEDGER_INDEX } from "../core/environment.ts";
import type { Ledger } from "../core/ports.ts";
import { DynamoLedger } from "./dynamodb-ledger.ts";
import { toMoraineError } from "./sdk-errors.ts";

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

export interface Operator {
  readonly ledger: Ledger;
  queueDepth(queueUrl: string): Promise<QueueDepth>;
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
  return {
    ledger: new DynamoLedger({ client, tableName: ledgerTable, indexName: LEDGER_INDEX }),
    queueDepth: (queueUrl) => readDepth(sqs, queueUrl),
  };
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
