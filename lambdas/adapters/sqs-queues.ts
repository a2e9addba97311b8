// The two queues on SQS: events back into the intake queue in batches of ten, and hints on the FIFO commit queue, where
// the group is the table and the deduplication id is made from `once`. A message lost or doubled costs time, never a row.

import { createHash } from "node:crypto";
import { SendMessageBatchCommand, SendMessageCommand, type SQSClient } from "@aws-sdk/client-sqs";
import { MoraineError } from "../core/errors.ts";
import { type TableName, tableIdOf } from "../core/ids.ts";
import type { Queues } from "../core/ports.ts";
import { waitWithJitter } from "./bounded.ts";
import { toMoraineError } from "./sdk-errors.ts";

export interface QueueAddresses {
  readonly client: SQSClient;
  readonly intakeQueueUrl: string;
  readonly commitQueueUrl: string;
}

const BATCH_MESSAGES = 10;
/** Of one batch as of one message; SQS holds more today, not every account and emulator does. */
const BATCH_BYTES_MAX = 256 * 1024;
const SEND_ATTEMPTS = 6;

export class SqsQueues implements Queues {
  readonly #addresses: QueueAddresses;

  constructor(addresses: QueueAddresses) {
    this.#addresses = addresses;
  }

  async sendIntake(bodies: readonly string[]): Promise<void> {
    // Packed before the first is sent: a body that can never be sent stops all of them.
    for (const batch of packBySize(bodies.map(escapeJson))) await this.#sendBatch(batch);
  }

  async hintCommit(table: TableName, once: string): Promise<void> {
    const tableId = tableIdOf(table);
    const request = {
      QueueUrl: this.#addresses.commitQueueUrl,
      MessageBody: JSON.stringify({ database: table.database, table: table.table }),
      MessageGroupId: groupOf(tableId),
      MessageDeduplicationId: sha256(`${tableId}\n${once}`),
    };
    try {
      await this.#addresses.client.send(new SendMessageCommand(request));
    } catch (error) {
      throw toMoraineError(error, { action: "sqs:SendMessage", effect: "write", facts: { table: tableId } });
    }
  }

  async #sendBatch(bodies: readonly string[]): Promise<void> {
    let open = bodies.map((body, index) => ({ Id: String(index), MessageBody: body }));
    for (let attempt = 0; open.length > 0; attempt += 1) {
      if (attempt > 0) await waitWithJitter(attempt);
      const failed = await this.#send(open);
      const fault = failed.find((entry) => entry.SenderFault === true);
      const facts = { queue: this.#addresses.intakeQueueUrl, failed: failed.length, error: (fault ?? failed[0])?.Code };
      if (fault !== undefined) throw new MoraineError("Invalid", "the queue refuses a message", facts);
      if (failed.length > 0 && attempt + 1 >= SEND_ATTEMPTS) {
        throw new MoraineError("Unavailable", "the queue keeps failing messages", facts);
      }
      const ids = new Set(failed.map((entry) => entry.Id));
      open = open.filter((entry) => ids.has(entry.Id));
    }
  }

  async #send(Entries: { Id: string; MessageBody: string }[]) {
    const QueueUrl = this.#addresses.intakeQueueUrl;
    try {
      const { Failed = [] } = await this.#addresses.client.send(new SendMessageBatchCommand({ QueueUrl, Entries }));
      return Failed;
    } catch (error) {
      throw toMoraineError(error, { action: "sqs:SendMessage", effect: "write", facts: { queue: QueueUrl } });
    }
  }
}

/**
 * SQS takes the characters of XML only, and emulators only those of the first plane; object keys may hold any. In JSON
 * text these stand in strings, where an escape says the same.
 */
function escapeJson(body: string): string {
  return body.replace(
    /[^\t\n\r -\ud7ff\ue000-\ufffd]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
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

/** A group id is 1 to 128 characters of printable ASCII; Glue's names may be longer and in any script. */
function groupOf(tableId: string): string {
  return /^[!-~]{1,128}$/.test(tableId) ? tableId : sha256(tableId);
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
