// The handlers as Lambda calls them, over local services: what is answered to the event source, and when it comes back.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ReceiveMessageCommand, SendMessageBatchCommand, SQSClient } from "@aws-sdk/client-sqs";
import type { Context, SQSBatchResponse, SQSEvent, SQSRecord } from "aws-lambda";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { returnMessages } from "../../lambdas/adapters/redelivery.ts";
import { createRuntime } from "../../lambdas/adapters/runtime.ts";
import { DEFAULT_DISCOVERY } from "../../lambdas/core/discovery/defaults.ts";
import { formatIntake } from "../../lambdas/core/events.ts";
import { objectUri } from "../../lambdas/core/ids.ts";
import { BAD_ROW_DEFAULTS, SCHEMA_DEFAULTS } from "../../lambdas/core/schema/defaults.ts";
import { type LossyProxy, startLossyProxy } from "./lossy-proxy.ts";
import {
  BUCKET,
  clientOptions,
  DATABASE,
  LEDGER_TABLE,
  type Service,
  type SqsService,
  startDynamo,
  startGlue,
  startS3,
  startSqs,
} from "./services.ts";

const CONFIG = {
  landing: [{ bucket: "landing", existing: false }],
  warehouse: { bucket: "warehouse", existing: false, prefix: "" },
  commit: { intervalSeconds: 30 },
  ingestions: ["a", "b"].map((id) => ({
    id,
    source: { bucket: "landing", prefix: `${id}/`, include: [], exclude: [] },
    format: { type: "ndjson" },
    compression: "auto",
    target: { database: DATABASE, table: "events", partitionBy: [], targetFileSizeBytes: 1e8, properties: {} },
    schema: SCHEMA_DEFAULTS,
    badRows: BAD_ROW_DEFAULTS,
    onOverwrite: "replace",
    lineage: true,
    batch: { filesMax: 100, bytesMax: 1e9 },
    discovery: DEFAULT_DISCOVERY,
  })),
};

const CONTEXT = { getRemainingTimeInMillis: () => 120_000, awsRequestId: "r", functionName: "f" } as Context;

function recordOf(messageId: string, body: string, receives = 1): SQSRecord {
  const attributes = { ApproximateReceiveCount: String(receives) } as SQSRecord["attributes"];
  const eventSourceARN = "arn:aws:sqs:us-east-1:000000000000:intake";
  return { messageId, body, attributes, receiptHandle: `handle-${messageId}`, eventSourceARN } as SQSRecord;
}

describe("the handlers", () => {
  const folder = mkdtempSync(join(tmpdir(), "moraine-handlers-"));
  let services: Service[] = [];
  let environment: Record<string, string>;

  beforeAll(async () => {
    const [s3, glue, dynamo, sqs] = await Promise.all([startS3(), startGlue(), startDynamo(), startSqs()]);
    services = [s3, glue, dynamo, sqs];
    writeFileSync(join(folder, "moraine.config.json"), JSON.stringify(CONFIG));
    environment = {
      AWS_REGION: "us-east-1",
      AWS_ACCESS_KEY_ID: "local",
      AWS_SECRET_ACCESS_KEY: "local",
      AWS_ENDPOINT_URL_S3: s3.url,
      AWS_ENDPOINT_URL_GLUE: glue.url,
      AWS_ENDPOINT_URL_DYNAMODB: dynamo.url,
      AWS_ENDPOINT_URL_SQS: sqs.url,
      TMPDIR: folder,
      MORAINE_S3_PATH_STYLE: "1",
      MORAINE_CONFIG_FILE: join(folder, "moraine.config.json"),
      MORAINE_BUCKETS: JSON.stringify({ landing: BUCKET, warehouse: BUCKET }),
      MORAINE_LEDGER_TABLE: LEDGER_TABLE.tableName,
      MORAINE_LEDGER_ID: "ledger-1",
      MORAINE_INTAKE_QUEUE_URL: sqs.intakeQueueUrl,
      MORAINE_COMMIT_QUEUE_URL: sqs.commitQueueUrl,
      MORAINE_WAREHOUSE_URI: `s3://${BUCKET}/warehouse`,
      MORAINE_COMMIT_INTERVAL_SECONDS: "30",
      POWERTOOLS_SERVICE_NAME: "test",
      POWERTOOLS_LOG_LEVEL: "SILENT",
      POWERTOOLS_METRICS_DISABLED: "true",
    };
    for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value);
  });
  afterAll(async () => {
    vi.unstubAllEnvs();
    await Promise.all(services.map((service) => service.close()));
    rmSync(folder, { recursive: true, force: true });
  });

  test("commit acknowledges what is done and returns only what it could not read", async () => {
    const { handler } = await import("../../lambdas/commit/handler.ts");
    const hint = JSON.stringify({ database: DATABASE, table: "events" });
    const Records = [recordOf("done", hint), recordOf("bad", "no json"), recordOf("done again", hint)];
    const answer = await handler({ Records } satisfies SQSEvent, CONTEXT);
    expect(answer).toEqual({ batchItemFailures: [{ itemIdentifier: "bad" }] } satisfies SQSBatchResponse);
  });

  test("a landed file is a row of the table after load and commit, and a bad message is all that comes back", async () => {
    const { clients, ports } = createRuntime(folder, environment);
    const key = "a/2026 é+.ndjson";
    const put = await ports.store.put(objectUri(BUCKET, key), Buffer.from('{"id":1}\n{"id":2}\n'));
    if (put.kind !== "stored") throw new Error(put.kind);
    const version = { etag: put.etag, sizeBytes: 18, timeMs: Date.now() };
    const { handler: load } = await import("../../lambdas/load/handler.ts");
    const Records = [recordOf("file", formatIntake([{ bucket: BUCKET, key, version }])), recordOf("bad", "{}")];
    expect(await load({ Records }, CONTEXT)).toEqual({ batchItemFailures: [{ itemIdentifier: "bad" }] });

    const QueueUrl = environment["MORAINE_COMMIT_QUEUE_URL"] ?? "";
    const hinted = await clients.sqs.send(new ReceiveMessageCommand({ QueueUrl, WaitTimeSeconds: 1 }));
    const hint = hinted.Messages?.[0]?.Body ?? "no hint";
    const { handler: commit } = await import("../../lambdas/commit/handler.ts");
    expect(await commit({ Records: [recordOf("hint", hint)] }, CONTEXT)).toEqual({ batchItemFailures: [] });
    const table = await ports.catalog.load({ database: DATABASE, table: "events" });
    expect(table?.metadata.snapshots.map(({ summary }) => summary["added-records"])).toEqual(["2"]);
  });

  test("sweep passes over every configured table", async () => {
    const { handler } = await import("../../lambdas/sweep/handler.ts");
    await expect(handler({} as Parameters<typeof handler>[0], CONTEXT)).resolves.toBeUndefined();
  });

  test("buckets of the configuration become the buckets of the stack", () => {
    const { config } = createRuntime(folder, environment);
    expect(config.ingestions.map((ingestion) => ingestion.source.bucket)).toEqual([BUCKET, BUCKET]);
  });

  test.each(["MORAINE_LEDGER_TABLE", "MORAINE_BUCKETS", "MORAINE_WAREHOUSE_URI"])(
    "without %s nothing starts, and the error names it",
    (name) => {
      expect(() => createRuntime(folder, { ...environment, [name]: "" })).toThrow(name);
    },
  );
});

describe("messages that go back to a queue", () => {
  let sqs: SqsService;
  let proxy: LossyProxy;
  let client: SQSClient;
  const visibility = () =>
    proxy.seen
      .filter((request) => String(request.headers["x-amz-target"]).endsWith("ChangeMessageVisibilityBatch"))
      .flatMap((request) => JSON.parse(request.body.toString()).Entries as { VisibilityTimeout: number }[])
      .map((entry) => entry.VisibilityTimeout);
  const returned = (records: SQSRecord[], failed: string[], queueUrl = sqs.intakeQueueUrl) => {
    proxy.seen.length = 0;
    return returnMessages({ client, queueUrl, fraction: () => 0.5 }, records, new Set(failed));
  };

  beforeAll(async () => {
    sqs = await startSqs();
    proxy = await startLossyProxy(sqs.url);
    client = new SQSClient(clientOptions(proxy.url));
  });
  afterAll(async () => {
    await proxy?.close();
    await sqs?.close();
  });

  test("come back later each time, and in the end as late as the queue says", async () => {
    const records = [1, 2, 3, 4, 9].map((receives) => recordOf(`m${receives}`, "{}", receives));
    const answer = await returned(
      records,
      records.map((record) => record.messageId),
    );
    expect(answer.batchItemFailures).toHaveLength(5);
    expect(visibility()).toEqual([15, 60, 240]);
  });

  test("are named to the event source, and the others are not touched", async () => {
    const records = [recordOf("good", "{}"), recordOf("bad", "{}")];
    expect(await returned(records, ["bad"])).toEqual({ batchItemFailures: [{ itemIdentifier: "bad" }] });
    expect(visibility()).toEqual([15]);
  });

  test("cost no request when there are none", async () => {
    expect(await returned([recordOf("good", "{}")], [])).toEqual({ batchItemFailures: [] });
    expect(proxy.seen).toHaveLength(0);
  });

  test("are returned even if the queue does not answer", async () => {
    proxy.lose(["answer-500", "answer-500", "answer-500"]);
    expect(await returned([recordOf("bad", "{}")], ["bad"])).toEqual({
      batchItemFailures: [{ itemIdentifier: "bad" }],
    });
  });

  test("by the dozen are all brought forward", async () => {
    const QueueUrl = sqs.intakeQueueUrl;
    const ids = Array.from({ length: 25 }, (_, index) => String(index));
    for (let start = 0; start < ids.length; start += 10) {
      const Entries = ids.slice(start, start + 10).map((Id) => ({ Id, MessageBody: Id }));
      await client.send(new SendMessageBatchCommand({ QueueUrl, Entries }));
    }
    const records: SQSRecord[] = [];
    while (records.length < ids.length) {
      const { Messages = [] } = await client.send(new ReceiveMessageCommand({ QueueUrl, MaxNumberOfMessages: 10 }));
      for (const { MessageId = "", ReceiptHandle = "" } of Messages) {
        records.push({ ...recordOf(MessageId, "{}"), receiptHandle: ReceiptHandle });
      }
    }
    const answer = await returned(
      records,
      records.map((record) => record.messageId),
    );
    expect(answer.batchItemFailures).toHaveLength(25);
    expect(visibility()).toHaveLength(25);
  });
});
