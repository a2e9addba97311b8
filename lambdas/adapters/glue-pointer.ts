// The Glue Data Catalog as a pointer to a metadata file. A swap reads the table, holds its location against the one the
// commit was built on, and updates it under the VersionId just read, as Iceberg's GlueTableOperations does. The token is the
// location, which is unique for all time: Glue's version ids start over when a table is dropped and made again.
// The SDK must never send an UpdateTable twice: the second sending of a commit that landed is answered with
// ConcurrentModificationException, which would be taken for a lost race.

import {
  CreateTableCommand,
  GetTableCommand,
  type GlueClient,
  type Table,
  type TableInput,
  UpdateTableCommand,
} from "@aws-sdk/client-glue";
import { assert, type ErrorContext, MoraineError } from "../core/errors.ts";
import type { TableMetadata } from "../core/iceberg/types.ts";
import type { ObjectUri, TableName } from "../core/ids.ts";
import type { TablePointer } from "../core/ports.ts";
import { glueColumns } from "./glue-columns.ts";
import { describeFailure, mayHaveBeenApplied, toMoraineError } from "./sdk-errors.ts";

export interface GlueClients {
  /** May retry. */
  readonly reads: GlueClient;
  /** Made with `maxAttempts: 1`. */
  readonly writes: GlueClient;
}

export class GluePointer implements TablePointer {
  readonly #clients: GlueClients;

  constructor(clients: GlueClients) {
    this.#clients = clients;
  }

  async read(name: TableName): Promise<{ readonly metadataLocation: ObjectUri; readonly token: string } | undefined> {
    const table = await this.#table(lowered(name));
    if (table === undefined) return undefined;
    const metadataLocation = locationOf(lowered(name), table);
    return { metadataLocation, token: metadataLocation };
  }

  async create(
    name: TableName,
    metadataLocation: ObjectUri,
    metadata: TableMetadata,
  ): Promise<{ readonly kind: "created"; readonly token: string } | { readonly kind: "exists" }> {
    const { database, table } = lowered(name);
    const parameters = { table_type: "ICEBERG", metadata_location: metadataLocation };
    const input = tableInput(table, undefined, metadata, parameters);
    await this.#assertSendsOnce();
    try {
      await this.#clients.writes.send(new CreateTableCommand({ DatabaseName: database, TableInput: input }));
      return { kind: "created", token: metadataLocation };
    } catch (error) {
      const failure = describeFailure(error);
      const certain = failure.answered && !mayHaveBeenApplied(failure);
      if (certain && failure.name === "AlreadyExistsException") return { kind: "exists" };
      if (certain && failure.name === "EntityNotFoundException") {
        const remedy = "the database does not exist: create it in the glue data catalog, or correct target.database";
        throw new MoraineError("Invalid", remedy, { database, table }, error);
      }
      throw failed(error, "glue:CreateTable", "write", { database, table });
    }
  }

  async swap(
    name: TableName,
    token: string,
    next: {
      readonly metadataLocation: ObjectUri;
      readonly previousLocation: ObjectUri;
      readonly metadata: TableMetadata;
    },
  ): Promise<{ readonly kind: "swapped"; readonly token: string } | { readonly kind: "conflict" }> {
    const { database, table } = lowered(name);
    assert(next.metadataLocation !== next.previousLocation, "a commit has a metadata file of its own");
    const current = await this.#table({ database, table });
    if (current === undefined) return { kind: "conflict" };
    const location = locationOf({ database, table }, current);
    if (location !== token || location !== next.previousLocation) return { kind: "conflict" };
    assert(current.VersionId !== undefined, "glue answered a table without its version id");
    const parameters = {
      ...current.Parameters,
      table_type: "ICEBERG",
      metadata_location: next.metadataLocation,
      previous_metadata_location: next.previousLocation,
    };
    const TableInput = tableInput(table, current, next.metadata, parameters);
    // Archived versions of the Glue table would add up to its limit of 100,000; Iceberg keeps history itself.
    const request = { DatabaseName: database, TableInput, VersionId: current.VersionId, SkipArchive: true };
    await this.#assertSendsOnce();
    try {
      await this.#clients.writes.send(new UpdateTableCommand(request));
      return { kind: "swapped", token: next.metadataLocation };
    } catch (error) {
      const failure = describeFailure(error);
      const certain = failure.answered && !mayHaveBeenApplied(failure);
      const lost = failure.name === "ConcurrentModificationException" || failure.name === "EntityNotFoundException";
      if (certain && lost) return { kind: "conflict" };
      throw failed(error, "glue:UpdateTable", "write", { database, table });
    }
  }

  async #table({ database, table }: TableName): Promise<Table | undefined> {
    try {
      const answer = await this.#clients.reads.send(new GetTableCommand({ DatabaseName: database, Name: table }));
      return answer.Table;
    } catch (error) {
      if (describeFailure(error).name === "EntityNotFoundException") return undefined;
      throw failed(error, "glue:GetTable", "read", { database, table });
    }
  }

  async #assertSendsOnce(): Promise<void> {
    assert((await this.#clients.writes.config.maxAttempts()) === 1, "glue's writing client has maxAttempts 1");
  }
}

function failed(error: unknown, action: string, effect: "read" | "write", facts: ErrorContext): MoraineError {
  const { name } = describeFailure(error);
  if (name === "AccessDeniedException") {
    const remedy = `access was denied: allow ${action} on catalog, database and table, in iam and, where it governs the database, in lake formation`;
    return new MoraineError("Invalid", remedy, { ...facts, said: (error as Error).message }, error);
  }
  return toMoraineError(error, { action, effect, facts });
}

function locationOf({ database, table }: TableName, found: Table): ObjectUri {
  const { table_type: type, metadata_location: location } = found.Parameters ?? {};
  if (type?.toUpperCase() !== "ICEBERG" || location === undefined || location === "") {
    const remedy = "the glue table is not an iceberg table: give the ingestion another target, or drop the table";
    throw new MoraineError("Invalid", remedy, { database, table, tableType: type ?? found.TableType });
  }
  return location as ObjectUri;
}

/** Keeps what others have set on the table; only the pointer and what is displayed are ours. */
function tableInput(
  name: string,
  current: Table | undefined,
  metadata: TableMetadata,
  parameters: Record<string, string>,
): TableInput {
  const kept = current && {
    Description: current.Description,
    Owner: current.Owner,
    Retention: current.Retention,
    LastAccessTime: current.LastAccessTime,
    PartitionKeys: current.PartitionKeys,
    StorageDescriptor: current.StorageDescriptor,
  };
  return {
    ...kept,
    Name: name,
    TableType: "EXTERNAL_TABLE",
    Parameters: parameters,
    StorageDescriptor: { ...kept?.StorageDescriptor, Location: metadata.location, Columns: glueColumns(metadata) },
  };
}

/** Glue keeps names in lower case and answers to no other. */
function lowered(name: TableName): TableName {
  return { database: name.database.toLowerCase(), table: name.table.toLowerCase() };
}
