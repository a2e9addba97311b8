// Sends any number of messages to one queue, ten to a request; what a request fails in part is sent again.

import { SendMessageBatchCommand, type SQSClient } from "@aws-sdk/client-sqs";
import { MoraineError } from "../core/errors.ts";
import { escapeJson } from "../core/events.ts";
import { waitWithJitter } from "./bounded.ts";
import { toMoraineError } from "./sdk-errors.ts";

const BATCH_MESSAGES = 10;
/** Of one batch as of one message; SQS holds more today, not every account and emulator does. */
const BATCH_BYTES_MAX = 256 * 1024;
const SEND_ATTEMPTS = 6;

/** `bodies`: JSON texts. */
export async function sendAll(client: SQSClient, queueUrl: string, bodies: readonly string[]): Promise<void> {
  // Packed before the first is sent: a body that can never be sent stops all of them.
  for (const batch of packBySize(bodies.map(escapeJson))) await sendBatch(client, queueUrl, batch);
}

async function sendBatch(client: SQSClient, queueUrl: string, bodies: readonly string[]): Promise<void> {
  let open = bodies.map((body, index) => ({ Id: String(index), MessageBody: body }));
  for (let attempt = 0; open.length > 0; attempt += 1) {
    if (attempt > 0) await waitWithJitter(attempt);
    const failed = await sendOnce(client, queueUrl, open);
    const fault = failed.find((entry) => entry.SenderFault === true);
    const facts = { queue: queueUrl, failed: failed.length, error: (fault ?? failed[0])?.Code };
    if (fault !== undefined) throw new MoraineError("Invalid", "the queue refuses a message", facts);
    if (failed.length > 0 && attempt + 1 >= SEND_ATTEMPTS) {
      throw new MoraineError("Unavailable", "the queue keeps failing messages", facts);
    }
    const ids = new Set(failed.map((entry) => entry.Id));
    open = open.filter((entry) => ids.has(entry.Id));
  }
}

async function sendOnce(client: SQSClient, QueueUrl: string, Entries: { Id: string; MessageBody: string }[]) {
  try {
    const { Failed = [] } = await client.send(new SendMessageBatchCommand({ QueueUrl, Entries }));
    return Failed;
  } catch (error) {
    throw toMoraineError(error, { action: "sqs:SendMessage", effect: "write", facts: { queue: QueueUrl } });
  }
}

function packBySize(bodies: readonly string[]): string[][] {
  const batches: string[][] = [];
  let room = 0;
  for (const body of bodies) {
    const sizeBytes = Buffer.byteLength(body);
    if (sizeBytes > BATCH_BYTES_MAX || sizeBytes === 0) {
      const facts = { sizeBytes, sizeBytesMax: BATCH_BYTES_MAX };
      throw new MoraineError("Invalid", "a message must have between one byte and the queue's limit", facts);
    }
    const last = batches.at(-1);
    if (last === undefined || last.length === BATCH_MESSAGES || room < sizeBytes) {
      batches.push([body]);
      room = BATCH_BYTES_MAX - sizeBytes;
    } else {
      last.push(body);
      room -= sizeBytes;
    }
  }
  return batches;
}
