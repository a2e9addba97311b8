// The four services on this machine, as the adapters need them: one bucket, one ledger table, one database, two queues.
// SQS and DynamoDB are implementations we did not write (fauxqs, dynalite); S3 and Glue are the local stack's own.

import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CreateTableCommand, DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { CreateDatabaseCommand, GlueClient } from "@aws-sdk/client-glue";
import { CreateQueueCommand, SQSClient } from "@aws-sdk/client-sqs";
import { buildApp } from "fauxqs";
import { createDynamoDB } from "../../local/servers/dynamodb.ts";
import { createGlue } from "../../local/servers/glue.ts";
import { createS3 } from "../../local/servers/s3.ts";

export const BUCKET = "contract-bucket";
export const LEDGER_TABLE = { tableName: "ledger", indexName: "people" };
export const DATABASE = "audit";

export interface Service {
  readonly url: string;
  close(): Promise<void>;
}

export function clientOptions(endpoint: string, maxAttempts = 3) {
  const credentials = { accessKeyId: "local", secretAccessKey: "local" };
  return { endpoint, region: "us-east-1", credentials, maxAttempts };
}

export async function listen(handle: RequestListener): Promise<Service> {
  const server = createServer(handle);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close };
}

export async function startS3(): Promise<Service> {
  const folder = mkdtempSync(join(tmpdir(), "moraine-contract-"));
  const local = createS3({ folder, region: "us-east-1", now: () => Date.now(), deliver: () => {} });
  local.ensureBucket(BUCKET);
  const server = await listen((request, response) => void local.handle(request, response));
  const close = async () => {
    await server.close();
    local.close();
    rmSync(folder, { recursive: true, force: true });
  };
  return { ...server, close };
}

export async function startGlue(): Promise<Service & { client: GlueClient }> {
  const local = createGlue(undefined, () => Date.now());
  const server = await listen((request, response) => void local.handle(request, response));
  const client = new GlueClient(clientOptions(server.url));
  await client.send(new CreateDatabaseCommand({ DatabaseInput: { Name: DATABASE } }));
  return { ...server, client };
}

export async function startDynamo(): Promise<Service & { client: DynamoDBClient }> {
  const local = await createDynamoDB(undefined);
  const server = await listen((request, response) => void local.handle(request, response));
  const client = new DynamoDBClient(clientOptions(server.url));
  await client.send(new CreateTableCommand(ledgerTable()));
  const close = async () => {
    client.destroy();
    await server.close();
    await local.close();
  };
  return { ...server, client, close };
}

function ledgerTable() {
  const key = (partition: string, sort: string) => [
    { AttributeName: partition, KeyType: "HASH" as const },
    { AttributeName: sort, KeyType: "RANGE" as const },
  ];
  const names = ["partition", "sort", "indexPartition", "indexSort"];
  return {
    TableName: LEDGER_TABLE.tableName,
    BillingMode: "PAY_PER_REQUEST" as const,
    AttributeDefinitions: names.map((AttributeName) => ({ AttributeName, AttributeType: "S" as const })),
    KeySchema: key("partition", "sort"),
    GlobalSecondaryIndexes: [
      {
        IndexName: LEDGER_TABLE.indexName,
        KeySchema: key("indexPartition", "indexSort"),
        Projection: { ProjectionType: "ALL" as const },
      },
    ],
  };
}

export interface SqsService extends Service {
  readonly client: SQSClient;
  readonly intakeQueueUrl: string;
  readonly commitQueueUrl: string;
}

export async function startSqs(): Promise<SqsService> {
  const app = buildApp({ logger: false });
  const url = await app.listen({ host: "127.0.0.1", port: 0 });
  const client = new SQSClient(clientOptions(url));
  await client.send(new CreateQueueCommand({ QueueName: "intake" }));
  await client.send(new CreateQueueCommand({ QueueName: "commit.fifo", Attributes: { FifoQueue: "true" } }));
  const queueUrl = (name: string) => `${url}/000000000000/${name}`;
  const close = async () => {
    client.destroy();
    await app.close();
  };
  return { url, client, intakeQueueUrl: queueUrl("intake"), commitQueueUrl: queueUrl("commit.fifo"), close };
}
