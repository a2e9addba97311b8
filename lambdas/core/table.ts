// The target table as the ledger knows it, how it is made, and how its schema is changed: compare-and-swaps on the catalog, all of them.

import type { Ingestion } from "./config.ts";
import { isKind, MoraineError } from "./errors.ts";
import { newTableMetadata } from "./iceberg/metadata.ts";
import { parsePartitionBy } from "./iceberg/partition.ts";
import { assignFieldIds, withSchemaId } from "./iceberg/schema.ts";
import type { DraftField, PartitionField, Schema, TableUpdate } from "./iceberg/types.ts";
import { type Revision, tableIdOf } from "./ids.ts";
import { writeItem } from "./ledger-writes.ts";
import type { Catalog, Clock, CommitOutcome, Ledger, LoadedTable, Random } from "./ports.ts";
import { type HeadRecord, headItem, headKey, readHead } from "./records.ts";
import type { Settings } from "./settings.ts";

export interface TablePorts {
  readonly catalog: Catalog;
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly random: Random;
}

/** Below `metadata/`: metadata files of commits that only change the schema. */
export const SCHEMA_FOLDER = "schema";

/** The table as the head knows it. A table that was dropped, or dropped and made again, stops here: never a silent restart. */
export async function loadOwnTable(ports: TablePorts, ingestion: Ingestion): Promise<LoadedTable | undefined> {
  const id = tableIdOf(ingestion.target);
  const item = await ports.ledger.read(headKey(id));
  const table = await ports.catalog.load(ingestion.target);
  if (item === undefined) {
    if (table !== undefined) await createHead(ports, table);
    return table;
  }
  const head = readHead(item);
  if (table === undefined) {
    throw new MoraineError("Corrupt", "table was dropped: restore it, or reset its ledger to load it anew", {
      table: id,
    });
  }
  assertSameTable(head, table);
  return table;
}

export function assertSameTable(head: HeadRecord, table: LoadedTable): void {
  if (head.tableUuid === table.metadata["table-uuid"]) return;
  throw new MoraineError(
    "Corrupt",
    "table was dropped and made again: restore it, or reset its ledger to load it anew",
    {
      table: head.table,
      known: head.tableUuid,
      found: table.metadata["table-uuid"],
    },
  );
}

async function createHead(ports: TablePorts, table: LoadedTable): Promise<void> {
  const head: HeadRecord = {
    table: tableIdOf(table.name),
    tableUuid: table.metadata["table-uuid"],
    seq: 0,
    totals: { files: 0, records: 0 },
    updatedAtMs: ports.clock.now(),
  };
  const outcome = await writeItem(ports.ledger, headItem(head, ports.random.uuid() as Revision), "absent");
  if (outcome.kind === "refused" && outcome.current !== undefined) assertSameTable(readHead(outcome.current), table);
}

export interface TableDraft {
  readonly kind: "table";
  readonly schema: Schema;
  readonly lastColumnId: number;
  readonly specFields: readonly PartitionField[];
}

export function draftTable(
  ingestion: Ingestion,
  seen: readonly DraftField[],
): TableDraft | { readonly kind: "refused"; readonly error: MoraineError } {
  if (seen.length === 0) {
    const message = "records without a value make no table; set lineage: true, or load a file with values first";
    return { kind: "refused", error: new MoraineError("Rejected", message) };
  }
  const { fields, lastColumnId } = assignFieldIds(seen, 0);
  const schema: Schema = { type: "struct", "schema-id": 0, fields };
  try {
    return { kind: "table", schema, lastColumnId, specFields: parsePartitionBy(ingestion.target.partitionBy, schema) };
  } catch (error) {
    if (!isKind(error, "Invalid")) throw error;
    const message = `the new table cannot be partitioned by what the file holds; correct the file, or give the column its type in schema.hints: ${error.message}`;
    return { kind: "refused", error: new MoraineError("Rejected", message, {}, error) };
  }
}

export async function createTable(
  ports: TablePorts,
  settings: Settings,
  ingestion: Ingestion,
  { schema, lastColumnId, specFields }: TableDraft,
): Promise<void> {
  const { database, table, location, properties } = ingestion.target;
  const metadata = newTableMetadata({
    uuid: ports.random.uuid(),
    location: location ?? `${settings.warehouseUri}/${database}/${table}`,
    fields: schema.fields,
    lastColumnId,
    specFields,
    properties,
    nowMs: ports.clock.now(),
  });
  await ports.catalog.create(ingestion.target, metadata);
}

/** Makes this the current schema, if the table still has the one that `base` has. `others`: in the same swap. */
export function commitSchema(
  catalog: Catalog,
  base: LoadedTable,
  grown: { readonly schema: Schema; readonly lastColumnId: number; readonly changed: boolean },
  others: readonly TableUpdate[] = [],
): Promise<CommitOutcome> {
  const { metadata } = base;
  const id = Math.max(...metadata.schemas.map((schema) => schema["schema-id"])) + 1;
  const updates: TableUpdate[] = grown.changed
    ? [
        { action: "add-schema", schema: withSchemaId(grown.schema, id), "last-column-id": grown.lastColumnId },
        { action: "set-current-schema", "schema-id": id },
      ]
    : [];
  return catalog.commit(base, {
    requirements: [
      { type: "assert-table-uuid", uuid: metadata["table-uuid"] },
      { type: "assert-current-schema-id", "current-schema-id": metadata["current-schema-id"] },
      { type: "assert-last-assigned-field-id", "last-assigned-field-id": metadata["last-column-id"] },
    ],
    updates: [...updates, ...others],
    folder: SCHEMA_FOLDER,
  });
}
