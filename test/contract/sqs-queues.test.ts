// The SQS adapters over fauxqs (an SQS we did not write): the contracts of both ports, then entries a batch fails one by one.

import { DeleteMessageCommand, ReceiveMessageCommand, SQSClient } from "@aws-sdk/client-sqs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { SqsEventSink } from "../../lambdas/adapters/sqs-event-sink.ts";
import { SqsQueues } from "../../lambdas/adapters/sqs-queues.ts";
import { kindOf } from "./collect.ts";
import { eventSinkContract } from "./event-sink.contract.ts";
import { type LossyProxy, startLossyProxy } from "./lossy-proxy.ts";
import { queuesContract } from "./queues.contract.ts";
import { clientOptions, listen, type Service, type SqsService, startSqs } from "./services.ts";

function clientOf(endpoint: string, maxAttempts?: number): SQSClient {
  return new SQSClient(clientOptions(endpoint, maxAttempts));
}

/** Receives and deletes at least `count` messages, and then what should not be there. */
async function take(client: SQSClient, QueueUrl: string, count: number): Promise<string[]> {
  const bodies: string[] = [];
  for (let empty = false; !empty || bodies.length < count; ) {
    const WaitTimeSeconds = bodies.length < count ? 1 : 0;
    const request = { QueueUrl, MaxNumberOfMessages: 10, WaitTimeSeconds };
    const { Messages = [] } = await client.send(new ReceiveMessageCommand(request));
    for (const { Body, ReceiptHandle } of Messages) {
      bodies.push(Body ?? "");
      await client.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle }));
    }
    empty = Messages.length === 0;
  }
  return bodies;
}

queuesContract("sqs", async () => {
  const sqs = await startSqs();
  return {
    queues: new SqsQueues(sqs),
    takeIntake: (count) => take(sqs.client, sqs.intakeQueueUrl, count),
    takeHints: async (count) => (await take(sqs.client, sqs.commitQueueUrl, count)).map((body) => JSON.parse(body)),
    close: sqs.close,
  };
});

eventSinkContract("sqs", async () => {
  const { client, intakeQueueUrl: queueUrl, close } = await startSqs();
  return { sink: new SqsEventSink({ client, queueUrl }), take: (count) => take(client, queueUrl, count), close };
});

describe("the sqs adapter on a bad network", () => {
  let sqs: SqsService;
  let proxy: LossyProxy;
  const through = (maxAttempts: number) => new SqsQueues({ ...sqs, client: clientOf(proxy.url, maxAttempts) });

  beforeAll(async () => {
    sqs = await startSqs();
    proxy = await startLossyProxy(sqs.url);
  });
  afterAll(async () => {
    await proxy?.close();
    await sqs?.close();
  });

  test("an event whose answer is lost is sent again: twice is allowed, never is not", async () => {
    proxy.lose(["lose-answer"]);
    await through(3).sendIntake(["a"]);
    expect(new Set(await take(sqs.client, sqs.intakeQueueUrl, 1))).toEqual(new Set(["a"]));
  });

  test("a hint whose answer is lost is delivered once all the same", async () => {
    proxy.lose(["lose-answer"]);
    await through(3).hintCommit({ database: "d", table: "t" }, "lost answer");
    expect(await take(sqs.client, sqs.commitQueueUrl, 1)).toHaveLength(1);
  });

  test("a send that ends without an answer has an unknown outcome", async () => {
    proxy.lose(["lose-answer", "answer-500"]);
    expect(await kindOf(through(1).sendIntake(["a"]))).toBe("UnknownOutcome");
    expect(await kindOf(through(1).hintCommit({ database: "d", table: "t" }, "x"))).toBe("UnknownOutcome");
  });

  test("a queue that does not exist is a mistake to correct", async () => {
    const wrong = new SqsQueues({ ...sqs, intakeQueueUrl: `${sqs.url}/000000000000/none` });
    expect(await kindOf(wrong.sendIntake(["a"]))).toBe("Invalid");
  });
});

describe("the sqs adapter and a batch that fails in part", () => {
  const answers: { Id: string; SenderFault: boolean }[][] = [];
  const sent: string[][] = [];
  let service: Service;
  let queues: SqsQueues;

  beforeAll(async () => {
    service = await listen(async (request, response) => {
      const chunks: Uint8Array[] = [];
      for await (const chunk of request) chunks.push(chunk);
      response.setHeader("content-type", "application/x-amz-json-1.0");
      response.end(answerBatch(JSON.parse(Buffer.concat(chunks).toString())));
    });
    const { url } = service;
    const client = new SQSClient({ ...clientOptions(url), md5: false });
    queues = new SqsQueues({ client, intakeQueueUrl: `${url}/0/intake`, commitQueueUrl: `${url}/0/commit.fifo` });
  });
  afterAll(() => service?.close());

  function answerBatch({ Entries }: { Entries: { Id: string; MessageBody: string }[] }): string {
    sent.push(Entries.map((entry) => entry.MessageBody));
    const Failed = (answers.shift() ?? []).map((entry) => ({ ...entry, Code: "InternalError" }));
    const failed = new Set(Failed.map((entry) => entry.Id));
    return JSON.stringify({
      Successful: Entries.filter(({ Id }) => !failed.has(Id)).map(({ Id }) => ({ Id })),
      Failed,
    });
  }

  test("only the entries that failed are sent again", async () => {
    sent.length = 0;
    answers.push([
      { Id: "1", SenderFault: false },
      { Id: "2", SenderFault: false },
    ]);
    answers.push([{ Id: "2", SenderFault: false }]);
    await queues.sendIntake(["a", "b", "c"]);
    expect(sent).toEqual([["a", "b", "c"], ["b", "c"], ["c"]]);
  });

  test("an entry that is the sender's fault is not sent again", async () => {
    sent.length = 0;
    answers.push([{ Id: "0", SenderFault: true }]);
    expect(await kindOf(queues.sendIntake(["a"]))).toBe("Invalid");
    expect(sent).toEqual([["a"]]);
  });

  test("entries that never stop failing are reported", async () => {
    for (let attempt = 0; attempt < 6; attempt += 1) answers.push([{ Id: "0", SenderFault: false }]);
    expect(await kindOf(queues.sendIntake(["a"]))).toBe("Unavailable");
  });
});
