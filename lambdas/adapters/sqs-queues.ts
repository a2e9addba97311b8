// The two queues on SQS: events back into the intake queue, and hints on the FIFO commit queue, where the group is the table
// and the deduplication id is made from `once`. A message lost or doubled costs time, never a row.

import { createHash } from "node:crypto";
import { SendMessageCommand, type SQSClient } from "@aws-sdk/client-sqs";
import { type TableName, tableIdOf } from "../core/ids.ts";
import type { Queues } from "../core/ports.ts";
import { toMoraineError } from "./sdk-errors.ts";
import { sendAll } from "./sqs-send.ts";

export interface QueueAddresses {
  readonly client: SQSClient;
  readonly intakeQueueUrl: string;
  readonly commitQueueUrl: string;
}

export class SqsQueues implements Queues {
  readonly #addresses: QueueAddresses;

  constructor(addresses: QueueAddresses) {
    this.#addresses = addresses;
  }

  async sendIntake(bodies: readonly string[]): Promise<void> {
    await sendAll(this.#addresses.client, this.#addresses.intakeQueueUrl, bodies);
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
}

/** A group id is 1 to 128 characters of printable ASCII; Glue's names may be longer and in any script. */
function groupOf(tableId: string): string {
  return /^[!-~]{1,128}$/.test(tableId) ? tableId : sha256(tableId);
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
