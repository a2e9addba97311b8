// The SQS adapter over fauxqs (an SQS we did not write): the queues contract, then entries a batch fails one by one.

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { CreateQueueCommand, DeleteMessageCommand, ReceiveMessageCommand, SQSClient } from "@aws-sdk/client-sqs";
import { buildApp } from "fauxqs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { SqsQueues } from "../../lambdas/adapters/sqs-queues.ts";
import { kindOf } from "./collect.ts";
import { type LossyProxy, startLossyProxy } from "./lossy-proxy.ts";
import { queuesContract } from "./queues.contract.ts";

function clientOf(endpoint: string, maxAttempts = 3): SQSClient {
  const credentials = { accessKeyId: "local", secretAccessKey: "local" };
  return new SQSClient({ endpoint, region: "us-east-1", credentials, maxAttempts, useQueueUrlAsEndpoint: false });
}

async function startSqs() {
  const app = buildApp({ logger: false });
  const url = await app.listen({ host: "127.0.0.1", port: 0 });
  const client = clientOf(url);
  await client.send(new CreateQueueCommand({ QueueName: "intake" }));
  const Attributes = { FifoQueue: "true" };
  await client.send(new CreateQueueCommand({ QueueName: "commit.fifo", Attributes }));
  const queueUrl = (name: string) => `${url}/000000000000/${name}`;
  const take = async (name: string, count: number) => {
    const bodies: string[] = [];
    // One receive more than needed: what should not be there would come with it.
    for (let empty = false; !empty || bodies.length < count; ) {
      const request = {
        QueueUrl: queueUrl(name),
        MaxNumberOfMessages: 10,
        WaitTimeSeconds: bodies.length < count ? 1 : 0,
      };
      const { Messages = [] } = await client.send(new ReceiveMessageCommand(request));
      for (const { Body, ReceiptHandle } of Messages) {
        bodies.push(Body ?? "");
        await client.send(new DeleteMessageCommand({ QueueUrl: queueUrl(name), ReceiptHandle }));
      }
      empty = Messages.length === 0;
    }
    return bodies;
  };
  const close = async () => {
    client.destroy();
    await app.close();
  };
  return { url, client, intakeQueueUrl: queueUrl("intake"), commitQueueUrl: queueUrl("commit.fifo"), take, close };
}

queuesContract("sqs", async () => {
  const sqs = await startSqs();
  return {
    queues: new SqsQueues(sqs),
    takeIntake: (count) => sqs.take("intake", count),
    takeHints: async (count) => (await sqs.take("commit.fifo", count)).map((body) => JSON.parse(body)),
    close: sqs.close,
  };
});

describe("the sqs adapter on a bad network", () => {
  let sqs: Awaited<ReturnType<typeof startSqs>>;
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
    expect(new Set(await sqs.take("intake", 1))).toEqual(new Set(["a"]));
  });

  test("a hint whose answer is lost is delivered once all the same", async () => {
    proxy.lose(["lose-answer"]);
    await through(3).hintCommit({ database: "d", table: "t" }, "lost answer");
    expect(await sqs.take("commit.fifo", 1)).toHaveLength(1);
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
  const server = createServer(async (request, response) => {
    const chunks: Uint8Array[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const { Entries } = JSON.parse(Buffer.concat(chunks).toString()) as {
      Entries: { Id: string; MessageBody: string }[];
    };
    sent.push(Entries.map((entry) => entry.MessageBody));
    const failing = answers.shift() ?? [];
    const Failed = failing.map((entry) => ({
      ...entry,
      Code: entry.SenderFault ? "InvalidMessageContents" : "InternalError",
    }));
    const Successful = Entries.filter(({ Id }) => !failing.some((entry) => entry.Id === Id)).map(({ Id }) => ({ Id }));
    response.setHeader("content-type", "application/x-amz-json-1.0");
    response.end(JSON.stringify({ Successful, Failed }));
  });
  let queues: SqsQueues;

  beforeAll(async () => {
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const config = { md5: false as const };
    const credentials = { accessKeyId: "local", secretAccessKey: "local" };
    const client = new SQSClient({ endpoint: url, region: "us-east-1", credentials, ...config });
    queues = new SqsQueues({ client, intakeQueueUrl: `${url}/0/intake`, commitQueueUrl: `${url}/0/commit.fifo` });
  });
  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });

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
