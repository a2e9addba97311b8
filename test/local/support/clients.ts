// Real SDK clients against the local stack, and scratch folders that end with the test file.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { GlueClient } from "@aws-sdk/client-glue";
import { S3Client } from "@aws-sdk/client-s3";
import { SFNClient } from "@aws-sdk/client-sfn";
import { SQSClient } from "@aws-sdk/client-sqs";
import { afterAll } from "vitest";
import { type LocalStack, type LocalStackOptions, startLocalStack } from "../../../local/stack.ts";
import { type Fixture, writeAssembly } from "./assembly.ts";

export interface Clients {
  readonly s3: S3Client;
  readonly sqs: SQSClient;
  readonly dynamodb: DynamoDBClient;
  readonly glue: GlueClient;
  readonly sfn: SFNClient;
}

const closers: (() => Promise<void> | void)[] = [];
afterAll(async () => {
  for (const close of closers.reverse()) await close();
});

export function scratchFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "moraine-test-"));
  closers.push(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export function clientsFor(endpoint: string, maxAttempts = 3): Clients {
  const credentials = { accessKeyId: "test", secretAccessKey: "test" };
  const config = { endpoint, region: "us-east-1", credentials, maxAttempts };
  const clients = {
    s3: new S3Client({ ...config, forcePathStyle: true }),
    sqs: new SQSClient(config),
    dynamodb: new DynamoDBClient(config),
    glue: new GlueClient(config),
    sfn: new SFNClient(config),
  };
  closers.push(() => {
    for (const client of Object.values(clients)) client.destroy();
  });
  return clients;
}

export const EMPTY: Fixture = { functions: {}, resources: {} };

/** Stopped at the end of the test file, unless stopped before. */
export async function startStack(
  fixture: Fixture,
  options: Omit<LocalStackOptions, "assembly"> = {},
): Promise<LocalStack & { readonly clients: Clients }> {
  const stack = await startLocalStack({ ...options, assembly: writeAssembly(scratchFolder(), fixture) });
  let stopped: Promise<void> | undefined;
  const { stop } = stack;
  stack.stop = () => {
    stopped ??= stop();
    return stopped;
  };
  closers.push(() => stack.stop());
  return Object.assign(stack, { clients: clientsFor(stack.endpoint) });
}

/** The error a promise rejects with: its name and HTTP status. */
export async function failureOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    const { name, $metadata } = error as { name: string; $metadata?: { httpStatusCode?: number } };
    return `${name} ${$metadata?.httpStatusCode}`;
  }
  return "no failure";
}
