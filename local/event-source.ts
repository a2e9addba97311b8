// An SQS event source mapping, as AWS runs it: gathers a batch, calls the function, deletes what it did not report as failed.
// Rules (https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-parameters.html): the window starts with the first message;
// a batch holds at most 6 MB; what failed is left alone and comes back after the queue's visibility timeout; a report that
// cannot be understood, an empty or an unknown id fails the whole batch; no report, or an empty one, is a success.
// One batch is gathered at a time, and only while a slot of MaximumConcurrency is free, so no message waits in vain.

import type { InvokeOutcome } from "./lambda.ts";
import type { JsonObject } from "./servers/json-protocol.ts";

export interface EventSourceSpec {
  /** Logical id. */
  readonly id: string;
  /** Physical name. */
  readonly functionName: string;
  readonly queueName: string;
  readonly queueArn: string;
  readonly queueUrl: string;
  readonly fifo: boolean;
  readonly batchSize: number;
  readonly windowMs: number;
  readonly maximumConcurrency: number;
  readonly reportsItemFailures: boolean;
  readonly region: string;
}

export interface EventSourceOptions {
  call(action: string, input: JsonObject): Promise<JsonObject>;
  invoke(functionName: string, event: unknown): Promise<InvokeOutcome>;
  now(): number;
}

interface Message {
  readonly MessageId: string;
  readonly ReceiptHandle: string;
  readonly Body: string;
  readonly MD5OfBody: string;
  readonly Attributes?: Readonly<Record<string, string>>;
  readonly MessageAttributes?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

export interface EventSource {
  /** Takes no further message. The long poll under way must be woken by whoever owns the queue. */
  stop(): void;
  /** Settles once nothing is gathered or handled any more. */
  readonly ended: Promise<void>;
}

const RECEIVE_MAX = 10;
const LONG_POLL_SECONDS = 20;
const BATCH_BYTES_MAX = 6 * 1024 * 1024;

export function startEventSource(spec: EventSourceSpec, options: EventSourceOptions): EventSource {
  let stopped = false;
  const carried: Message[] = [];

  async function receive(max: number, waitSeconds: number): Promise<Message[]> {
    const answer = await options.call("ReceiveMessage", {
      QueueUrl: spec.queueUrl,
      MaxNumberOfMessages: Math.min(RECEIVE_MAX, max),
      WaitTimeSeconds: waitSeconds,
      MessageSystemAttributeNames: ["All"],
      MessageAttributeNames: ["All"],
    });
    return (answer["Messages"] as Message[] | undefined) ?? [];
  }

  async function gather(): Promise<Message[]> {
    const batch: Message[] = [];
    let bytes = 0;
    const take = (messages: readonly Message[]) => {
      for (const message of messages) {
        const size = JSON.stringify(message).length;
        if (bytes + size > BATCH_BYTES_MAX && batch.length > 0) carried.push(message);
        else {
          batch.push(message);
          bytes += size;
        }
      }
    };
    take(carried.splice(0));
    if (batch.length === 0) take(await receive(spec.batchSize, LONG_POLL_SECONDS));
    const closesMs = options.now() + spec.windowMs;
    while (batch.length > 0 && batch.length < spec.batchSize && carried.length === 0 && !stopped) {
      const leftMs = closesMs - options.now();
      if (leftMs <= 0) break;
      take(await receive(spec.batchSize - batch.length, Math.min(LONG_POLL_SECONDS, leftMs / 1000)));
    }
    return batch;
  }

  async function handle(batch: readonly Message[]): Promise<void> {
    const outcome = await options.invoke(spec.functionName, {
      Records: batch.map((message) => recordOf(message, spec)),
    });
    const done = succeeded(batch, outcome, spec.reportsItemFailures);
    for (let at = 0; at < done.length; at += RECEIVE_MAX) {
      const entries = done.slice(at, at + RECEIVE_MAX);
      await options.call("DeleteMessageBatch", {
        QueueUrl: spec.queueUrl,
        Entries: entries.map(({ ReceiptHandle }, index) => ({ Id: String(index), ReceiptHandle })),
      });
    }
  }

  async function run(): Promise<void> {
    const busy = new Set<Promise<void>>();
    while (!stopped) {
      if (busy.size >= spec.maximumConcurrency) await Promise.race(busy);
      const batch = stopped ? [] : await gather();
      if (batch.length === 0 || stopped) continue;
      // A failure here (the stack is stopping) leaves the messages to their visibility timeout, as a crash would.
      const handled: Promise<void> = handle(batch)
        .catch(() => {})
        .finally(() => busy.delete(handled));
      busy.add(handled);
    }
    await Promise.all(busy);
  }

  const ended = run().catch((error: unknown) => {
    if (!stopped) throw error;
  });
  return {
    stop() {
      stopped = true;
    },
    ended,
  };
}

function recordOf(message: Message, spec: EventSourceSpec) {
  const attributes = Object.entries(message.MessageAttributes ?? {}).map(([name, value]) => [
    name,
    {
      stringValue: value["StringValue"],
      binaryValue: value["BinaryValue"],
      stringListValues: [],
      binaryListValues: [],
      dataType: value["DataType"],
    },
  ]);
  return {
    messageId: message.MessageId,
    receiptHandle: message.ReceiptHandle,
    body: message.Body,
    attributes: message.Attributes ?? {},
    messageAttributes: Object.fromEntries(attributes) as Record<string, unknown>,
    md5OfBody: message.MD5OfBody,
    eventSource: "aws:sqs",
    eventSourceARN: spec.queueArn,
    awsRegion: spec.region,
  };
}

/** The messages to delete. */
function succeeded(batch: readonly Message[], outcome: InvokeOutcome, reports: boolean): readonly Message[] {
  if (outcome.kind === "failed") return [];
  if (!reports) return batch;
  const failures = (outcome.payload as { batchItemFailures?: unknown } | null | undefined)?.batchItemFailures ?? [];
  if (!Array.isArray(failures)) return [];
  const ids = failures.map((failure: unknown) => (failure as { itemIdentifier?: unknown } | null)?.itemIdentifier);
  const known = new Set(batch.map((message) => message.MessageId));
  if (ids.some((id) => typeof id !== "string" || !known.has(id))) return [];
  return batch.filter((message) => !ids.includes(message.MessageId));
}
