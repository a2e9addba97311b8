// The Glue adapter over the local Glue: the pointer contract, then what made commits look lost that were not: answers that
// never arrive, and an SDK that sends an update twice.

import {
  CreateTableCommand,
  DeleteTableCommand,
  GetTableCommand,
  GlueClient,
  UpdateTableCommand,
} from "@aws-sdk/client-glue";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { glueColumns } from "../../lambdas/adapters/glue-columns.ts";
import { GluePointer } from "../../lambdas/adapters/glue-pointer.ts";
import type { NestedField, TableMetadata } from "../../lambdas/core/iceberg/types.ts";
import type { TableName } from "../../lambdas/core/ids.ts";
import { kindOf } from "./collect.ts";
import { type LossyProxy, type SeenRequest, startLossyProxy } from "./lossy-proxy.ts";
import { METADATA, pointerContract, v } from "./pointer.contract.ts";
import { clientOptions, DATABASE, listen, startGlue } from "./services.ts";

function clientOf(endpoint: string, maxAttempts?: number): GlueClient {
  return new GlueClient(clientOptions(endpoint, maxAttempts));
}

function pointerAt(endpoint: string): GluePointer {
  return new GluePointer({ reads: clientOf(endpoint), writes: clientOf(endpoint, 1) });
}

pointerContract("glue", async () => {
  const glue = await startGlue();
  const drop = async ({ database, table }: TableName) => {
    await glue.client.send(new DeleteTableCommand({ DatabaseName: database, Name: table }));
  };
  return { pointer: pointerAt(glue.url), database: DATABASE, drop, close: glue.close };
});

describe("the glue adapter", () => {
  let glue: Awaited<ReturnType<typeof startGlue>>;
  let proxy: LossyProxy;
  let pointer: GluePointer;
  let tables = 0;
  const is = (operation: string) => (request: SeenRequest) =>
    String(request.headers["x-amz-target"]).endsWith(`.${operation}`);
  const next = { metadataLocation: v(1), previousLocation: v(0), metadata: METADATA };
  const tableOf = async ({ database, table }: TableName) =>
    (await glue.client.send(new GetTableCommand({ DatabaseName: database, Name: table }))).Table;
  const created = async () => {
    const name = { database: DATABASE, table: `a${tables++}` };
    const outcome = await pointer.create(name, v(0), METADATA);
    if (outcome.kind !== "created") throw new Error(outcome.kind);
    return { name, token: outcome.token };
  };

  beforeAll(async () => {
    glue = await startGlue();
    proxy = await startLossyProxy(glue.url);
    pointer = pointerAt(proxy.url);
  });
  afterAll(async () => {
    await proxy?.close();
    await glue?.close();
  });

  test.each(["lose-answer", "answer-500"] as const)(
    "a swap that landed and ends in %s is unknown, sent once, and found on looking",
    async (fault) => {
      const { name, token } = await created();
      proxy.seen.length = 0;
      proxy.lose([fault], is("UpdateTable"));
      expect(await kindOf(pointer.swap(name, token, next))).toBe("UnknownOutcome");
      expect(proxy.seen.filter(is("UpdateTable"))).toHaveLength(1);
      expect((await pointer.read(name))?.metadataLocation).toBe(v(1));
    },
  );

  test("a creation that landed without an answer is unknown, and found on looking", async () => {
    const name = { database: DATABASE, table: "unknown_creation" };
    proxy.lose(["lose-answer"], is("CreateTable"));
    expect(await kindOf(pointer.create(name, v(0), METADATA))).toBe("UnknownOutcome");
    expect((await pointer.read(name))?.metadataLocation).toBe(v(0));
  });

  test("a client that retries writes is refused before it can send anything", async () => {
    const { name, token } = await created();
    const retrying = new GluePointer({ reads: clientOf(glue.url), writes: clientOf(glue.url, 3) });
    await expect(retrying.swap(name, token, next)).rejects.toThrow("maxAttempts 1");
    expect((await pointer.read(name))?.metadataLocation).toBe(v(0));
  });

  test("a swap that cannot reach glue has applied nothing", async () => {
    const { name, token } = await created();
    const half = new GluePointer({ reads: clientOf(glue.url), writes: clientOf("http://127.0.0.1:9", 1) });
    expect(await kindOf(half.swap(name, token, next))).toBe("Unavailable");
  });

  test("what others set on the table stays", async () => {
    const { name, token } = await created();
    const theirs = await tableOf(name);
    const TableInput = {
      Name: name.table,
      Description: "the audit log",
      Owner: "security",
      Retention: 30,
      Parameters: { ...theirs?.Parameters, classification: "pii" },
      StorageDescriptor: { ...theirs?.StorageDescriptor, NumberOfBuckets: 4 },
    };
    await glue.client.send(new UpdateTableCommand({ DatabaseName: name.database, TableInput }));
    await pointer.swap(name, token, next);
    expect(await tableOf(name)).toMatchObject({
      Description: "the audit log",
      Owner: "security",
      Retention: 30,
      TableType: "EXTERNAL_TABLE",
      Parameters: {
        classification: "pii",
        table_type: "ICEBERG",
        metadata_location: v(1),
        previous_metadata_location: v(0),
      },
      StorageDescriptor: { NumberOfBuckets: 4, Location: METADATA.location },
    });
  });

  test("an update is made under the version read, and leaves no archive behind", async () => {
    const { name, token } = await created();
    proxy.seen.length = 0;
    await pointer.swap(name, token, next);
    const update = JSON.parse(proxy.seen.find(is("UpdateTable"))?.body.toString() ?? "{}");
    expect(update).toMatchObject({ SkipArchive: true, VersionId: "0" });
  });

  test("a glue table that is not iceberg is named, with the remedy", async () => {
    const name = { database: DATABASE, table: "plain_hive" };
    const TableInput = { Name: name.table, Parameters: { classification: "csv" } };
    await glue.client.send(new CreateTableCommand({ DatabaseName: name.database, TableInput }));
    await expect(pointer.read(name)).rejects.toThrow(/not an iceberg table.*plain_hive/);
    expect(await kindOf(pointer.swap(name, v(0), next))).toBe("Invalid");
  });
});

describe("the glue adapter and the answers of a service", () => {
  const name = { database: DATABASE, table: "t" };
  const table = { Name: "t", VersionId: "7", Parameters: { table_type: "ICEBERG", metadata_location: v(0) } };
  const next = { metadataLocation: v(1), previousLocation: v(0), metadata: METADATA };
  let answer: { status: number; type: string } = { status: 200, type: "" };
  let server: Awaited<ReturnType<typeof listen>>;

  beforeAll(async () => {
    server = await listen((request, response) => {
      request.resume();
      const isRead = request.headers["x-amz-target"] === "AWSGlue.GetTable";
      const { status, type } = isRead ? { status: 200, type: "" } : answer;
      response.writeHead(status, { "content-type": "application/x-amz-json-1.1" });
      response.end(JSON.stringify(isRead ? { Table: table } : { __type: type, Message: "said the service" }));
    });
  });
  afterAll(() => server?.close());

  test.each([
    [400, "AccessDeniedException", "Invalid"],
    [400, "ValidationException", "Invalid"],
    [400, "ResourceNumberLimitExceededException", "Invalid"],
    [400, "ThrottlingException", "Unavailable"],
    [400, "ResourceNotReadyException", "Unavailable"],
    [400, "OperationTimeoutException", "UnknownOutcome"],
    [500, "InternalServiceException", "UnknownOutcome"],
    [503, "ServiceUnavailable", "UnknownOutcome"],
  ])("%d %s on a write is %s", async (status, type, kind) => {
    answer = { status, type };
    const pointer = pointerAt(server.url);
    expect(await kindOf(pointer.swap(name, v(0), next))).toBe(kind);
    expect(await kindOf(pointer.create(name, v(0), METADATA))).toBe(kind);
  });

  test.each(["ConcurrentModificationException", "EntityNotFoundException"])(
    "%s on a swap is a conflict",
    async (type) => {
      answer = { status: 400, type };
      expect(await pointerAt(server.url).swap(name, v(0), next)).toEqual({ kind: "conflict" });
    },
  );

  test("a denial names the permission and both places it may be missing", async () => {
    answer = { status: 400, type: "AccessDeniedException" };
    await expect(pointerAt(server.url).swap(name, v(0), next)).rejects.toThrow(/glue:UpdateTable.*iam.*lake formation/);
  });
});

describe("the columns glue displays", () => {
  const field = (id: number, name: string, type: NestedField["type"], required = false) => ({
    id,
    name,
    type,
    required,
  });

  test("every iceberg type has the hive type that Iceberg's own catalog writes", () => {
    const struct = { type: "struct" as const, fields: [field(20, "a", "long"), field(21, "b", "decimal(9, 2)")] };
    const list = { type: "list" as const, "element-id": 22, element: struct, "element-required": false };
    const map = {
      type: "map" as const,
      "key-id": 23,
      key: "string" as const,
      "value-id": 24,
      value: list,
      "value-required": false,
    };
    const types = [
      "boolean",
      "int",
      "long",
      "float",
      "double",
      "date",
      "time",
      "timestamp",
      "timestamptz",
      "string",
      "uuid",
      "binary",
      "fixed[16]",
      "decimal(38, 10)",
      map,
    ] as const;
    const fields = types.map((type, index) => field(index + 1, `c${index}`, type));
    const metadata: TableMetadata = { ...METADATA, schemas: [{ type: "struct", "schema-id": 0, fields }] };
    expect(glueColumns(metadata).map((column) => column.Type)).toEqual([
      "boolean",
      "int",
      "bigint",
      "float",
      "double",
      "date",
      "string",
      "timestamp",
      "timestamp",
      "string",
      "string",
      "binary",
      "binary",
      "decimal(38,10)",
      "map<string,array<struct<a:bigint,b:decimal(9,2)>>>",
    ]);
  });

  test("current columns come first, dropped ones after them, no name twice", () => {
    const metadata: TableMetadata = {
      ...METADATA,
      schemas: [
        { type: "struct", "schema-id": 0, fields: [field(1, "ID", "int", true), field(2, "gone", "string")] },
        { type: "struct", "schema-id": 1, fields: [field(3, "new", "string"), field(1, "id", "long", true)] },
      ],
      "current-schema-id": 1,
    };
    const shown = glueColumns(metadata).map(({ Name, Type, Parameters }) => [Name, Type, Parameters]);
    const facts = (id: string, optional: string, current: string) => ({
      "iceberg.field.id": id,
      "iceberg.field.optional": optional,
      "iceberg.field.current": current,
    });
    expect(shown).toEqual([
      ["new", "string", facts("3", "true", "true")],
      ["id", "bigint", facts("1", "false", "true")],
      ["gone", "string", facts("2", "true", "false")],
    ]);
  });
});
