// A local stack with a data folder is stopped and started again: nothing that was acknowledged may be gone.

import { appendFileSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { GetItemCommand, PutItemCommand } from "@aws-sdk/client-dynamodb";
import { CreateTableCommand, GetTableCommand } from "@aws-sdk/client-glue";
import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { ReceiveMessageCommand, SendMessageCommand } from "@aws-sdk/client-sqs";
import { expect, test } from "vitest";
import { pipeline } from "./support/assembly.ts";
import { scratchFolder, startStack } from "./support/clients.ts";

const { functions, resources, outputs = {} } = pipeline("exports.handler = async () => null;");
const { IntakeSource: _, ...unconsumed } = resources;
const fixture = { functions, resources: unconsumed, outputs };

test("objects, half-done uploads, items, tables and messages survive a restart", async () => {
  const dataDir = scratchFolder();
  const first = await startStack(fixture, { dataDir, schedules: false });
  const Bucket = first.outputs["LandingBucket"];
  const TableName = first.resource("Ledger").name;
  const queue = first.resource("Intake");
  const Key = "k/💥 ä";
  {
    const { s3, sqs, dynamodb, glue } = first.clients;
    await s3.send(new PutObjectCommand({ Bucket, Key, Body: "old" }));
    await s3.send(new PutObjectCommand({ Bucket, Key, Body: "bytes", Metadata: { a: "b" } }));
    const { UploadId } = await s3.send(new CreateMultipartUploadCommand({ Bucket, Key: "half" }));
    const { ETag } = await s3.send(
      new UploadPartCommand({ Bucket, Key: "half", UploadId, PartNumber: 1, Body: "part" }),
    );
    await s3.send(new PutObjectCommand({ Bucket, Key: "upload", Body: `${UploadId} ${ETag}` }));
    await dynamodb.send(new PutItemCommand({ TableName, Item: { pk: { S: "p" }, sk: { S: "s" }, n: { N: "7" } } }));
    await glue.send(
      new CreateTableCommand({ DatabaseName: "sales", TableInput: { Name: "t", Parameters: { a: "1" } } }),
    );
    for (const MessageBody of ["received", "waiting"])
      await sqs.send(new SendMessageCommand({ QueueUrl: queue.ref, MessageBody }));
    const { Messages } = await sqs.send(new ReceiveMessageCommand({ QueueUrl: queue.ref }));
    expect(Messages).toHaveLength(1);
  }
  await first.stop();

  const second = await startStack(fixture, { dataDir, schedules: false });
  const { s3, sqs, dynamodb, glue } = second.clients;
  const object = await s3.send(new GetObjectCommand({ Bucket, Key }));
  expect(await object.Body?.transformToString()).toBe("bytes");
  expect(object.Metadata).toEqual({ a: "b" });
  const upload = await s3.send(new GetObjectCommand({ Bucket, Key: "upload" }));
  const [UploadId, ETag] = (await upload.Body?.transformToString())?.split(" ") ?? [];
  const MultipartUpload = { Parts: [{ PartNumber: 1, ETag }] };
  await s3.send(new CompleteMultipartUploadCommand({ Bucket, Key: "half", UploadId, MultipartUpload }));
  const listed = await s3.send(new ListObjectsV2Command({ Bucket }));
  expect(listed.Contents?.map((each) => each.Key)).toEqual(["half", Key, "upload"]);
  const { Item } = await dynamodb.send(new GetItemCommand({ TableName, Key: { pk: { S: "p" }, sk: { S: "s" } } }));
  expect(Item?.["n"]).toEqual({ N: "7" });
  const { Table } = await glue.send(new GetTableCommand({ DatabaseName: "sales", Name: "t" }));
  expect(Table?.Parameters).toEqual({ a: "1" });
  // Also the one a consumer had received when everything stopped, at once and on the new port.
  const QueueUrl = second.resource("Intake").ref;
  const bodies: (string | undefined)[] = [];
  for (let round = 0; round < 2; round++) {
    const { Messages = [] } = await sqs.send(new ReceiveMessageCommand({ QueueUrl, MaxNumberOfMessages: 10 }));
    bodies.push(...Messages.map((message) => message.Body));
  }
  // The TestEvents of both starts are there too.
  expect(bodies.filter((body) => !body?.includes("s3:TestEvent")).sort()).toEqual(["received", "waiting"]);
});

test("a journal torn in the middle of a line and a blob nobody names do no harm", async () => {
  const dataDir = scratchFolder();
  const first = await startStack(fixture, { dataDir, schedules: false });
  const Bucket = first.outputs["LandingBucket"];
  await first.clients.s3.send(new PutObjectCommand({ Bucket, Key: "before", Body: "1" }));
  await first.stop();
  appendFileSync(join(dataDir, "s3", "journal.ndjson"), '["object","test-landing",{"key":"torn');
  mkdirSync(join(dataDir, "s3", "blobs", "zz"));
  writeFileSync(join(dataDir, "s3", "blobs", "zz", "zz-orphan"), "half");

  const second = await startStack(fixture, { dataDir, schedules: false });
  expect(existsSync(join(dataDir, "s3", "blobs", "zz", "zz-orphan"))).toBe(false);
  await second.clients.s3.send(new PutObjectCommand({ Bucket, Key: "after", Body: "2" }));
  await second.stop();

  const third = await startStack(fixture, { dataDir, schedules: false });
  const listed = await third.clients.s3.send(new ListObjectsV2Command({ Bucket }));
  expect(listed.Contents?.map((each) => each.Key)).toEqual(["after", "before"]);
});
