// What an SQS event source is answered, and when what failed comes back. Left alone, a failed message stays hidden for the
// queue's visibility timeout, six times the function's (half an hour for `load`): right for an outage, long for a file that
// waited for its neighbour's commit. So the first returns are brought forward; later ones keep the timeout.
// Only saves time: when it fails, the message comes back all the same.

import { ChangeMessageVisibilityBatchCommand, type SQSClient } from "@aws-sdk/client-sqs";
import type { SQSBatchResponse, SQSRecord } from "aws-lambda";
import { chunk } from "./bounded.ts";

export const REDELIVERY_FIRST_MS = 15_000;
const GROWTH = 4;
/** Returns that are brought forward: after about 15 s, 1 min, 4 min. */
const RETURNS = 3;
const BATCH_MESSAGES = 10;

export interface Redelivery {
  readonly client: SQSClient;
  readonly queueUrl: string;
  /** Delay of the first return, on average; absent: `REDELIVERY_FIRST_MS`. */
  readonly firstMs?: number;
  /** [0, 1) */
  fraction(): number;
}

/** The answer that acknowledges all records but those named. */
export async function returnMessages(
  redelivery: Redelivery,
  records: readonly SQSRecord[],
  failed: ReadonlySet<string>,
): Promise<SQSBatchResponse> {
  const soon = records
    .filter(({ messageId }) => failed.has(messageId))
    .map((record) => ({ record, receives: receivesOf(record) }))
    .filter(({ receives }) => receives <= RETURNS);
  const firstSeconds = (redelivery.firstMs ?? REDELIVERY_FIRST_MS) / 1000;
  const entries = soon.map(({ record, receives }, index) => ({
    Id: String(index),
    ReceiptHandle: record.receiptHandle,
    VisibilityTimeout: Math.ceil(firstSeconds * GROWTH ** (receives - 1) * (0.5 + redelivery.fraction())),
  }));
  const { client, queueUrl } = redelivery;
  const requests = chunk(entries, BATCH_MESSAGES).map((Entries) =>
    client.send(new ChangeMessageVisibilityBatchCommand({ QueueUrl: queueUrl, Entries })),
  );
  await Promise.allSettled(requests);
  return { batchItemFailures: [...failed].map((itemIdentifier) => ({ itemIdentifier })) };
}

export function receivesOf(record: SQSRecord): number {
  return Number(record.attributes.ApproximateReceiveCount);
}
