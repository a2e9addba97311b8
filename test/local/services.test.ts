// DynamoDB, Glue and SQS of the local stack against the real SDK clients: the answers Moraine's protocol hangs on.

import {
  DescribeContinuousBackupsCommand,
  DescribeTimeToLiveCommand,
  PutItemCommand,
  QueryCommand,
} from "@aws-sdk/client-dynamodb";
import {
  CreateTableCommand,
  DeleteTableCommand,
  GetDatabaseCommand,
  GetTableCommand,
  GetTablesCommand,
  GetTableVersionsCommand,
  UpdateTableCommand,
} from "@aws-sdk/client-glue";
import {
  DeleteMessageCommand,
  GetQueueUrlCommand,
  ReceiveMessageCommand,
  SendMessageCommand,
} from "@aws-sdk/client-sqs";
import { beforeAll, describe, expect, test } from "vitest";
import type { LocalStack } from "../../local/stack.ts";
import { pipeline } from "./support/assembly.ts";
import { type Clients, failureOf, startStack } from "./support/clients.ts";

let stack: LocalStack;
let clients: Clients;

beforeAll(async () => {
  const { functions, resources } = pipeline("exports.handler = async () => null;");
  const { IntakeSource: _, CommitSource: __, ...others } = resources;
  const started = await startStack({ functions, resources: others }, { schedules: false });
  stack = started;
  clients = started.clients;
});

describe("DynamoDB", () => {
  const TableName = () => stack.resource("Ledger").name;
  const item = (pk: string, revision: string) => ({
    TableName: TableName(),
    Item: { pk: { S: pk }, sk: { S: "file" }, revision: { S: revision }, gpk: { S: "people" }, gsk: { S: pk } },
  });
  const ifAbsent = {
    ConditionExpression: "attribute_not_exists(pk)",
    ReturnValuesOnConditionCheckFailure: "ALL_OLD" as const,
  };

  test("of many racing claims one wins, and every loser is given the winner's item", async () => {
    const outcomes = await Promise.all(
      Array.from({ length: 30 }, async (_, index) => {
        try {
          await clients.dynamodb.send(new PutItemCommand({ ...item("race", `r${index}`), ...ifAbsent }));
          return { won: `r${index}` };
        } catch (error) {
          return { lostTo: (error as { Item?: { revision?: { S?: string } } }).Item?.revision?.S };
        }
      }),
    );
    const winners = outcomes.flatMap((outcome) => ("won" in outcome ? [outcome.won] : []));
    expect(winners).toHaveLength(1);
    const seen = outcomes.flatMap((outcome) => ("lostTo" in outcome ? [outcome.lostTo] : []));
    expect(seen).toEqual(Array.from({ length: 29 }, () => winners[0]));
  });

  test("a failed condition without ALL_OLD returns no item, and on an absent item there is none to return", async () => {
    await clients.dynamodb.send(new PutItemCommand(item("plain", "r1")));
    const { ConditionExpression } = ifAbsent;
    const failure = clients.dynamodb.send(new PutItemCommand({ ...item("plain", "r2"), ConditionExpression }));
    await expect(failure).rejects.toMatchObject({ name: "ConditionalCheckFailedException", Item: undefined });
    const replace = {
      ConditionExpression: "revision = :r",
      ExpressionAttributeValues: { ":r": { S: "r0" } },
      ReturnValuesOnConditionCheckFailure: "ALL_OLD" as const,
    };
    const absent = clients.dynamodb.send(new PutItemCommand({ ...item("never", "r2"), ...replace }));
    await expect(absent).rejects.toMatchObject({ name: "ConditionalCheckFailedException", Item: undefined });
  });

  test("the index of the template answers queries", async () => {
    await clients.dynamodb.send(new PutItemCommand(item("indexed", "r1")));
    const { Items } = await clients.dynamodb.send(
      new QueryCommand({
        TableName: TableName(),
        IndexName: "people",
        KeyConditionExpression: "gpk = :p AND gsk = :s",
        ExpressionAttributeValues: { ":p": { S: "people" }, ":s": { S: "indexed" } },
      }),
    );
    expect(Items?.map((each) => each["pk"]?.S)).toEqual(["indexed"]);
  });

  test("table settings are accepted and told back", async () => {
    const { TimeToLiveDescription } = await clients.dynamodb.send(
      new DescribeTimeToLiveCommand({ TableName: TableName() }),
    );
    expect(TimeToLiveDescription).toEqual({ TimeToLiveStatus: "ENABLED", AttributeName: "expiresAt" });
    const { ContinuousBackupsDescription } = await clients.dynamodb.send(
      new DescribeContinuousBackupsCommand({ TableName: TableName() }),
    );
    expect(ContinuousBackupsDescription?.ContinuousBackupsStatus).toBe("ENABLED");
  });
});

describe("Glue", () => {
  const DatabaseName = "sales";
  const tableInput = (Name: string, location: string) => ({ Name, Parameters: { metadata_location: location } });

  test("names are lower case, versions count up, the archive is kept unless skipped", async () => {
    const { glue } = clients;
    expect((await glue.send(new GetDatabaseCommand({ Name: "Sales" }))).Database?.Name).toBe("sales");
    await glue.send(new CreateTableCommand({ DatabaseName, TableInput: tableInput("Orders", "v0") }));
    expect(
      await failureOf(glue.send(new CreateTableCommand({ DatabaseName, TableInput: tableInput("orders", "v0") }))),
    ).toBe("AlreadyExistsException 400");
    await glue.send(new UpdateTableCommand({ DatabaseName, TableInput: tableInput("orders", "v1") }));
    await glue.send(
      new UpdateTableCommand({ DatabaseName, TableInput: tableInput("orders", "v2"), SkipArchive: true }),
    );
    const { Table } = await glue.send(new GetTableCommand({ DatabaseName, Name: "ORDERS" }));
    expect(Table).toMatchObject({ Name: "orders", VersionId: "2", Parameters: { metadata_location: "v2" } });
    const { TableVersions } = await glue.send(new GetTableVersionsCommand({ DatabaseName, TableName: "orders" }));
    expect(TableVersions?.map((version) => version.Table?.Parameters?.["metadata_location"])).toEqual(["v2", "v0"]);
    const { TableList } = await glue.send(new GetTablesCommand({ DatabaseName }));
    expect(TableList?.map((table) => table.Name)).toEqual(["orders"]);
    await glue.send(new DeleteTableCommand({ DatabaseName, Name: "orders" }));
    expect(await failureOf(glue.send(new GetTableCommand({ DatabaseName, Name: "orders" })))).toBe(
      "EntityNotFoundException 400",
    );
  });

  test("of ten commits on one VersionId exactly one is applied, the others are concurrent modifications", async () => {
    const { glue } = clients;
    await glue.send(new CreateTableCommand({ DatabaseName, TableInput: tableInput("swap", "base") }));
    const failures = await Promise.all(
      Array.from({ length: 10 }, (_, index) =>
        failureOf(
          glue.send(
            new UpdateTableCommand({
              DatabaseName,
              TableInput: tableInput("swap", `n${index}`),
              VersionId: "0",
              SkipArchive: true,
            }),
          ),
        ),
      ),
    );
    expect(failures.filter((failure) => failure === "no failure")).toHaveLength(1);
    expect(failures.filter((failure) => failure === "ConcurrentModificationException 400")).toHaveLength(9);
    const winner = failures.indexOf("no failure");
    const { Table } = await glue.send(new GetTableCommand({ DatabaseName, Name: "swap" }));
    expect(Table).toMatchObject({ VersionId: "1", Parameters: { metadata_location: `n${winner}` } });
  });
});

describe("SQS", () => {
  test("queue URLs point at the loopback port, also for a client that follows them", async () => {
    const { QueueUrl } = await clients.sqs.send(new GetQueueUrlCommand({ QueueName: "test-commit.fifo" }));
    expect(QueueUrl).toBe(`${stack.endpoint}/000000000000/test-commit.fifo`);
    expect(stack.resource("CommitQueue").ref).toBe(QueueUrl);
  });

  test("the commit queue delivers hints of one deduplication id once, after its delay", async () => {
    const QueueUrl = stack.resource("CommitQueue").ref;
    const hint = {
      QueueUrl,
      MessageBody: "sales.orders",
      MessageGroupId: "sales.orders",
      MessageDeduplicationId: "w1",
    };
    await clients.sqs.send(new SendMessageCommand(hint));
    await clients.sqs.send(new SendMessageCommand(hint));
    const receive = { QueueUrl, MaxNumberOfMessages: 10 };
    expect(
      (await clients.sqs.send(new ReceiveMessageCommand({ ...receive, WaitTimeSeconds: 0 }))).Messages,
    ).toBeUndefined();
    const { Messages } = await clients.sqs.send(new ReceiveMessageCommand({ ...receive, WaitTimeSeconds: 5 }));
    expect(Messages?.map((message) => message.Body)).toEqual(["sales.orders"]);
    await clients.sqs.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle: Messages?.[0]?.ReceiptHandle }));
    expect(stack.queueDepths()["test-commit.fifo"]).toEqual({ visible: 0, inFlight: 0, delayed: 0 });
  });
});

test("a service the stack does not have answers with an error instead of reaching for AWS", async () => {
  const answer = await fetch(stack.endpoint, {
    method: "POST",
    headers: { "x-amz-target": "AmazonSSM.GetParameter" },
  });
  expect(answer.status).toBe(400);
  expect(await answer.text()).toContain("UnknownOperationException");
});
