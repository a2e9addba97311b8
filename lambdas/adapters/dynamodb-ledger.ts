// The ledger on one DynamoDB table. Every write is one PutItem or DeleteItem with a condition on one item's revision; a
// failed condition returns the item as it stands in the same answer (ReturnValuesOnConditionCheckFailure), so losing a race
// costs no second read. A condition that failed because this very write had landed before (the answer was lost, the SDK
// sent it again) is a success.

import { isDeepStrictEqual } from "node:util";
import {
  type AttributeValue,
  BatchGetItemCommand,
  ConditionalCheckFailedException,
  DeleteItemCommand,
  type DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
  QueryCommand,
  type QueryCommandInput,
} from "@aws-sdk/client-dynamodb";
import { mapLimit } from "../core/concurrency.ts";
import { assert, type ErrorContext, MoraineError } from "../core/errors.ts";
import type { Revision } from "../core/ids.ts";
import type { Ledger, LedgerItem, LedgerKey, WriteOutcome } from "../core/ports.ts";
import { chunk, waitWithJitter } from "./bounded.ts";
import { fromRecord, toRecord } from "./ledger-record.ts";
import { toMoraineError } from "./sdk-errors.ts";

export interface LedgerTable {
  readonly client: DynamoDBClient;
  readonly tableName: string;
  /** Name of the index on (indexPartition, indexSort). */
  readonly indexName: string;
}

type Key = Record<string, AttributeValue>;

const BATCH_GET_KEYS = 100;
const BATCH_GETS_AT_ONCE = 4;
const BATCH_GET_ATTEMPTS = 8;

export class DynamoLedger implements Ledger {
  readonly #table: LedgerTable;

  constructor(table: LedgerTable) {
    this.#table = table;
  }

  async read(key: LedgerKey): Promise<LedgerItem | undefined> {
    const request = { TableName: this.#table.tableName, Key: keyOf(key), ConsistentRead: true };
    try {
      const { Item } = await this.#table.client.send(new GetItemCommand(request));
      return Item && fromRecord(Item);
    } catch (error) {
      throw this.#failed(error, "dynamodb:GetItem", "read", { ...key });
    }
  }

  async readMany(keys: readonly LedgerKey[]): Promise<readonly (LedgerItem | undefined)[]> {
    // One request may not name a key twice.
    const distinct = new Map(keys.map((key) => [identity(key), keyOf(key)]));
    const pages = await mapLimit(chunk([...distinct.values()], BATCH_GET_KEYS), BATCH_GETS_AT_ONCE, (page) =>
      this.#readPage(page),
    );
    const found = new Map(pages.flat().map((item) => [identity(item.key), item]));
    return keys.map((key) => found.get(identity(key)));
  }

  async write(item: LedgerItem, expected: Revision | "absent"): Promise<WriteOutcome> {
    assert(item.revision !== "absent", "a revision is not the word for none");
    const condition =
      expected === "absent"
        ? {
            ConditionExpression: "attribute_not_exists(#partition)",
            ExpressionAttributeNames: { "#partition": "partition" },
          }
        : onRevision(expected);
    try {
      const request = { TableName: this.#table.tableName, Item: toRecord(item), ...condition, ...RETURN_CURRENT };
      await this.#table.client.send(new PutItemCommand(request));
      return { kind: "written" };
    } catch (error) {
      if (!(error instanceof ConditionalCheckFailedException)) {
        throw this.#failed(error, "dynamodb:PutItem", "write", { ...item.key });
      }
      const current = error.Item && fromRecord(error.Item);
      if (current !== undefined && isDeepStrictEqual(current, fromRecord(toRecord(item)))) return { kind: "written" };
      return { kind: "refused", current };
    }
  }

  async remove(key: LedgerKey, expected: Revision): Promise<WriteOutcome> {
    try {
      const request = { TableName: this.#table.tableName, Key: keyOf(key), ...onRevision(expected), ...RETURN_CURRENT };
      await this.#table.client.send(new DeleteItemCommand(request));
      return { kind: "written" };
    } catch (error) {
      if (error instanceof ConditionalCheckFailedException) {
        return { kind: "refused", current: error.Item && fromRecord(error.Item) };
      }
      throw this.#failed(error, "dynamodb:DeleteItem", "write", { ...key });
    }
  }

  list(
    partition: string,
    sortPrefix: string,
    options: { readonly limit?: number; readonly reverse?: boolean } = {},
  ): AsyncIterable<LedgerItem> {
    const request = {
      ConsistentRead: true,
      ScanIndexForward: options.reverse !== true,
      ...keyCondition(["partition", partition], ["sort", sortPrefix]),
    };
    return this.#query(request, options.limit, { partition, sortPrefix });
  }

  listIndex(
    partition: string,
    sortPrefix: string,
    options: { readonly limit?: number } = {},
  ): AsyncIterable<LedgerItem> {
    const request = {
      IndexName: this.#table.indexName,
      ...keyCondition(["indexPartition", partition], ["indexSort", sortPrefix]),
    };
    return this.#query(request, options.limit, { index: this.#table.indexName, partition, sortPrefix });
  }

  async *#query(
    request: Omit<QueryCommandInput, "TableName">,
    limit: number | undefined,
    facts: ErrorContext,
  ): AsyncIterable<LedgerItem> {
    let left = limit ?? Number.POSITIVE_INFINITY;
    let from: Key | undefined;
    while (left > 0) {
      const page = { ...(left === Number.POSITIVE_INFINITY ? {} : { Limit: left }), ExclusiveStartKey: from };
      const { Items = [], LastEvaluatedKey } = await this.#table.client
        .send(new QueryCommand({ TableName: this.#table.tableName, ...request, ...page }))
        .catch((error: unknown) => {
          throw this.#failed(error, "dynamodb:Query", "read", facts);
        });
      for (const item of Items) yield fromRecord(item);
      if (LastEvaluatedKey === undefined) return;
      left -= Items.length;
      from = LastEvaluatedKey;
    }
  }

  /** One BatchGetItem answers up to 16 MB and hands the rest back as unprocessed. */
  async #readPage(keys: readonly Key[]): Promise<LedgerItem[]> {
    const items: LedgerItem[] = [];
    let open = [...keys];
    for (let attempt = 0; open.length > 0; attempt += 1) {
      if (attempt > 0) await waitWithJitter(attempt);
      const before = open.length;
      const { Responses, UnprocessedKeys } = await this.#batchGet(open);
      for (const item of Responses?.[this.#table.tableName] ?? []) items.push(fromRecord(item));
      open = UnprocessedKeys?.[this.#table.tableName]?.Keys ?? [];
      if (open.length < before) attempt = 0;
      if (attempt >= BATCH_GET_ATTEMPTS) {
        const facts = { table: this.#table.tableName, keys: open.length, attempts: attempt };
        throw new MoraineError("Unavailable", "dynamodb keeps handing keys back unread", facts);
      }
    }
    return items;
  }

  async #batchGet(keys: Key[]) {
    const RequestItems = { [this.#table.tableName]: { Keys: keys, ConsistentRead: true } };
    try {
      return await this.#table.client.send(new BatchGetItemCommand({ RequestItems }));
    } catch (error) {
      throw this.#failed(error, "dynamodb:BatchGetItem", "read", { keys: keys.length });
    }
  }

  #failed(error: unknown, action: string, effect: "read" | "write", facts: ErrorContext): MoraineError {
    return toMoraineError(error, { action, effect, facts: { table: this.#table.tableName, ...facts } });
  }
}

const RETURN_CURRENT = { ReturnValuesOnConditionCheckFailure: "ALL_OLD" } as const;

function onRevision(expected: Revision) {
  return {
    ConditionExpression: "#revision = :expected",
    ExpressionAttributeNames: { "#revision": "revision" },
    ExpressionAttributeValues: { ":expected": { S: expected } },
  };
}

/** `begins_with` takes no empty text: without a prefix the condition is on the partition alone. */
function keyCondition([partition, value]: [string, string], [sort, prefix]: [string, string]) {
  const whole = prefix === "";
  return {
    KeyConditionExpression: whole ? "#p = :p" : "#p = :p AND begins_with(#s, :s)",
    ExpressionAttributeNames: { "#p": partition, ...(whole ? {} : { "#s": sort }) },
    ExpressionAttributeValues: { ":p": { S: value }, ...(whole ? {} : { ":s": { S: prefix } }) },
  };
}

function keyOf(key: LedgerKey): Key {
  return { partition: { S: key.partition }, sort: { S: key.sort } };
}

function identity(key: LedgerKey): string {
  return JSON.stringify([key.partition, key.sort]);
}
