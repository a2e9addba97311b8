// The DynamoDB adapter over dynalite (a DynamoDB we did not write) behind the local front: the ledger contract, then lost
// answers and what DynamoDB hands back undone.

import { DynamoDBClient, GetItemCommand } from "@aws-sdk/client-dynamodb";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { DynamoLedger } from "../../lambdas/adapters/dynamodb-ledger.ts";
import type { Revision } from "../../lambdas/core/ids.ts";
import type { LedgerItem } from "../../lambdas/core/ports.ts";
import { collect, kindOf } from "./collect.ts";
import { ledgerContract } from "./ledger.contract.ts";
import { type LossyProxy, type SeenRequest, startLossyProxy } from "./lossy-proxy.ts";
import { clientOptions, LEDGER_TABLE, startDynamo } from "./services.ts";

function clientOf(endpoint: string, maxAttempts?: number): DynamoDBClient {
  return new DynamoDBClient(clientOptions(endpoint, maxAttempts));
}

ledgerContract("dynamodb", async () => {
  const dynamo = await startDynamo();
  return { ledger: new DynamoLedger({ client: dynamo.client, ...LEDGER_TABLE }), close: dynamo.close };
});

describe("the dynamodb adapter", () => {
  let dynamo: Awaited<ReturnType<typeof startDynamo>>;
  let proxy: LossyProxy;
  let ledger: DynamoLedger;
  let once: DynamoLedger;
  let partitions = 0;
  const itemOf = (revision: string, sort = "s"): LedgerItem => ({
    key: { partition: `p${partitions}`, sort },
    revision: revision as Revision,
    body: { status: "SUCCESS", rows: 7 },
  });
  const is = (operation: string) => (request: SeenRequest) =>
    request.headers["x-amz-target"]?.includes(operation) === true;

  beforeAll(async () => {
    dynamo = await startDynamo();
    proxy = await startLossyProxy(dynamo.url);
    ledger = new DynamoLedger({ client: clientOf(proxy.url), ...LEDGER_TABLE });
    once = new DynamoLedger({ client: clientOf(proxy.url, 1), ...LEDGER_TABLE });
  });
  afterAll(async () => {
    await proxy?.close();
    await dynamo?.close();
  });

  test("an item is readable in the console: attributes at top level, in native types", async () => {
    partitions += 1;
    await ledger.write(itemOf("r1"), "absent");
    const Key = { partition: { S: `p${partitions}` }, sort: { S: "s" } };
    const { Item } = await dynamo.client.send(new GetItemCommand({ TableName: LEDGER_TABLE.tableName, Key }));
    expect(Item).toEqual({ ...Key, revision: { S: "r1" }, status: { S: "SUCCESS" }, rows: { N: "7" } });
  });

  test("a write whose answer is lost is written once and is not refused by its own doing", async () => {
    partitions += 1;
    proxy.lose(["lose-answer"], is("PutItem"));
    expect(await ledger.write(itemOf("r1"), "absent")).toEqual({ kind: "written" });
    proxy.lose(["answer-500"], is("PutItem"));
    expect(await ledger.write(itemOf("r2"), "r1" as Revision)).toEqual({ kind: "written" });
    expect(await ledger.read(itemOf("r2").key)).toEqual(itemOf("r2"));
  });

  test("a removal whose answer is lost finds nothing there the second time", async () => {
    partitions += 1;
    await ledger.write(itemOf("r1"), "absent");
    proxy.lose(["lose-answer"], is("DeleteItem"));
    const outcome = await ledger.remove(itemOf("r1").key, "r1" as Revision);
    expect(outcome).toEqual({ kind: "refused", current: undefined });
  });

  test("a write that ends without an answer has an unknown outcome, a read is unavailable", async () => {
    partitions += 1;
    proxy.lose(["lose-answer", "answer-500"], is("PutItem"));
    expect(await kindOf(once.write(itemOf("r1"), "absent"))).toBe("UnknownOutcome");
    expect(await kindOf(once.write(itemOf("r1"), "absent"))).toBe("UnknownOutcome");
    proxy.lose(["lose-answer", "lose-request", "answer-500", "lose-request"]);
    expect(await kindOf(once.read(itemOf("r1").key))).toBe("Unavailable");
    expect(await kindOf(once.readMany([itemOf("r1").key]))).toBe("Unavailable");
    expect(await kindOf(collect(once.list("p", "")))).toBe("Unavailable");
    expect(await kindOf(collect(once.listIndex("p", "")))).toBe("Unavailable");
  });

  test("keys a batch read hands back are asked for again", async () => {
    partitions += 1;
    // 16 MB is what one BatchGetItem answers: 60 items of 350 KB are more.
    const items = Array.from({ length: 60 }, (_, index) => ({
      ...itemOf("r", `s${index}`),
      body: { ballast: "x".repeat(350_000) },
    }));
    await Promise.all(items.map((item) => ledger.write(item, "absent")));
    proxy.seen.length = 0;
    const read = await ledger.readMany(items.map((item) => item.key));
    expect(read.map((item) => item?.key.sort)).toEqual(items.map((item) => item.key.sort));
    expect(proxy.seen.length).toBeGreaterThan(1);
  });

  test("reads on which correctness rests are strongly consistent", async () => {
    proxy.seen.length = 0;
    await ledger.read(itemOf("r").key);
    await ledger.readMany([itemOf("r").key]);
    await collect(ledger.list("p", ""));
    expect(proxy.seen.map(({ body }) => body.toString().includes('"ConsistentRead":true'))).toEqual([true, true, true]);
  });

  test("a table that does not exist is a mistake to correct", async () => {
    const wrong = new DynamoLedger({ client: dynamo.client, ...LEDGER_TABLE, tableName: "none" });
    expect(await kindOf(wrong.read(itemOf("r").key))).toBe("Invalid");
    expect(await kindOf(wrong.write(itemOf("r"), "absent"))).toBe("Invalid");
  });
});
