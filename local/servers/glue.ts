// The Glue Data Catalog as far as Iceberg uses it: databases, tables, and a compare-and-swap on VersionId.
// Invariant: of any number of UpdateTable calls that carry one VersionId, exactly one is applied; the others get
// ConcurrentModificationException (HTTP 400) with the message the real service sends. An update without VersionId wins.
// Everything is one JSON file, replaced by a rename after every change.

import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { type JsonObject, parseObject, readBody, ServiceError, sendJson, sendServiceError } from "./json-protocol.ts";

interface TableVersion extends JsonObject {
  readonly Name: string;
  readonly VersionId: string;
}
interface TableEntry {
  current: TableVersion;
  /** Oldest first, without the current one. */
  readonly archive: TableVersion[];
}
interface Database {
  facts: JsonObject;
  readonly tables: Record<string, TableEntry>;
}
type Catalog = Record<string, Database>;

export interface LocalGlue {
  handle(request: IncomingMessage, response: ServerResponse): Promise<void>;
  call(operation: string, input: JsonObject): JsonObject;
}

export function createGlue(file: string | undefined, now: () => number): LocalGlue {
  const stored = file !== undefined && existsSync(file);
  const catalog = stored ? (JSON.parse(readFileSync(file, "utf8")) as Catalog) : {};

  function call(operation: string, input: JsonObject): JsonObject {
    const run = OPERATIONS[operation];
    if (run === undefined)
      throw new ServiceError("UnknownOperationException", `the local Glue does not do ${operation}`);
    const answer = run(catalog, input, Math.floor(now() / 1000));
    if (file !== undefined && !operation.startsWith("Get")) {
      writeFileSync(`${file}.new`, JSON.stringify(catalog));
      renameSync(`${file}.new`, file);
    }
    return answer;
  }

  return {
    call,
    async handle(request, response) {
      try {
        const input = parseObject(await readBody(request));
        sendJson(response, call(String(request.headers["x-amz-target"]).split(".")[1] ?? "", input));
      } catch (error) {
        sendServiceError(response, error);
      }
    },
  };
}

type Operation = (catalog: Catalog, input: JsonObject, nowSeconds: number) => JsonObject;

const OPERATIONS: Readonly<Record<string, Operation>> = {
  CreateDatabase(catalog, input, now) {
    const facts = input["DatabaseInput"] as JsonObject;
    const name = lower(facts["Name"]);
    if (catalog[name] !== undefined) throw new ServiceError("AlreadyExistsException", "Database already exists.");
    catalog[name] = { facts: { ...facts, Name: name, CreateTime: now, CatalogId: "000000000000" }, tables: {} };
    return {};
  },
  GetDatabase: (catalog, input) => ({ Database: databaseOf(catalog, input["Name"]).facts }),
  GetDatabases: (catalog, input) =>
    pageOf(
      "DatabaseList",
      Object.values(catalog).map((each) => each.facts),
      input,
    ),
  UpdateDatabase(catalog, input) {
    const database = databaseOf(catalog, input["Name"]);
    database.facts = { ...database.facts, ...(input["DatabaseInput"] as JsonObject), Name: lower(input["Name"]) };
    return {};
  },
  DeleteDatabase(catalog, input) {
    databaseOf(catalog, input["Name"]);
    delete catalog[lower(input["Name"])];
    return {};
  },
  CreateTable(catalog, input, now) {
    const { tables } = databaseOf(catalog, input["DatabaseName"]);
    const facts = input["TableInput"] as JsonObject;
    const name = lower(facts["Name"]);
    if (tables[name] !== undefined) throw new ServiceError("AlreadyExistsException", "Table already exists.");
    tables[name] = { current: tableVersion(input["DatabaseName"], facts, "0", now, now), archive: [] };
    return {};
  },
  GetTable: (catalog, input) => ({ Table: tableOf(catalog, input, input["Name"]).current }),
  GetTables(catalog, input) {
    const { tables } = databaseOf(catalog, input["DatabaseName"]);
    return pageOf(
      "TableList",
      Object.values(tables).map((table) => table.current),
      input,
    );
  },
  UpdateTable(catalog, input, now) {
    const facts = input["TableInput"] as JsonObject;
    const table = tableOf(catalog, input, facts["Name"]);
    const { current } = table;
    if (input["VersionId"] !== undefined && input["VersionId"] !== current.VersionId) throw concurrentModification();
    if (input["SkipArchive"] !== true) table.archive.push(current);
    const next = String(Number(current.VersionId) + 1);
    table.current = tableVersion(input["DatabaseName"], facts, next, Number(current["CreateTime"]), now);
    return {};
  },
  DeleteTable(catalog, input) {
    const { current } = tableOf(catalog, input, input["Name"]);
    delete databaseOf(catalog, input["DatabaseName"]).tables[current.Name];
    return {};
  },
  GetTableVersions(catalog, input) {
    const { current, archive } = tableOf(catalog, input, input["TableName"]);
    const newestFirst = [...archive, current].reverse();
    return pageOf(
      "TableVersions",
      newestFirst.map((Table) => ({ Table, VersionId: Table.VersionId })),
      input,
    );
  },
};

export function concurrentModification(): ServiceError {
  return new ServiceError("ConcurrentModificationException", "Update table failed due to concurrent modifications.");
}

/** Glue stores names in lower case. */
function lower(name: unknown): string {
  if (typeof name !== "string" || name === "") throw new ServiceError("InvalidInputException", "a name is missing");
  return name.toLowerCase();
}

function databaseOf(catalog: Catalog, name: unknown): Database {
  const database = catalog[lower(name)];
  if (database === undefined) throw new ServiceError("EntityNotFoundException", `Database ${lower(name)} not found.`);
  return database;
}

function tableOf(catalog: Catalog, input: JsonObject, name: unknown): TableEntry {
  const table = databaseOf(catalog, input["DatabaseName"]).tables[lower(name)];
  if (table === undefined) throw new ServiceError("EntityNotFoundException", `Entity Not Found: ${lower(name)}`);
  return table;
}

function tableVersion(
  database: unknown,
  facts: JsonObject,
  version: string,
  created: number,
  updated: number,
): TableVersion {
  return {
    ...facts,
    Name: lower(facts["Name"]),
    DatabaseName: lower(database),
    CreateTime: created,
    UpdateTime: updated,
    IsRegisteredWithLakeFormation: false,
    CatalogId: "000000000000",
    VersionId: version,
  };
}

function pageOf(name: string, all: readonly JsonObject[], input: JsonObject): JsonObject {
  const start = Number(input["NextToken"] ?? 0);
  const end = start + Number(input["MaxResults"] ?? 100);
  const more = end < all.length ? { NextToken: String(end) } : {};
  return { [name]: all.slice(start, end), ...more };
}
