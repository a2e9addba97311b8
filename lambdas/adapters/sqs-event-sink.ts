// Found files go to the backfill queue on SQS. A message lost is found again by the next listing, one doubled costs a claim.

import type { SQSClient } from "@aws-sdk/client-sqs";
import type { EventSink } from "../core/ports.ts";
import { sendAll } from "./sqs-send.ts";

export interface BackfillQueue {
  readonly client: SQSClient;
  readonly queueUrl: string;
}

export class SqsEventSink implements EventSink {
  readonly #queue: BackfillQueue;

  constructor(queue: BackfillQueue) {
    this.#queue = queue;
  }

  send(bodies: readonly string[]): Promise<void> {
    return sendAll(this.#queue.client, this.#queue.queueUrl, bodies);
  }
}
