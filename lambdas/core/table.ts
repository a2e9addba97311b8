// Finds the target table or makes it, and widens its schema to what the files of a batch hold. Both are compare-and-swaps
// on the catalog, so any number of loaders may discover the same table or column at once.

import type { Ingestion } from "./config.ts";
import { isKind, MoraineError } from "./errors.ts";
import { currentSchema, defaultSpec, newTableMetadata, partitionNames } from "./iceberg/metadata.ts";
import { parsePartitionBy, UNPARTITIONED } from "./iceberg/partition.ts";
import { assignFieldIds, evolveSchema, lineageFields, PARTITION_FIELD, withSchemaId } from "./iceberg/schema.ts";
import type { DraftField, PartitionField, Schema, TableUpdate } from "./iceberg/types.ts";
import { type Revision, tableIdOf } from "./ids.ts";
import { writeItem } from "./ledger-writes.ts";
import type { Catalog, Clock, Conversion, Inspection, Ledger, LoadedTable, Random, SourceFailure } from "./ports.ts";
import { type HeadRecord, headItem, headKey, readHead } from "./records.ts";
import type { Settings } from "./settings.ts";
import { findGlobalSpec } from "./stage.ts";

interface TablePorts {
  readonly catalog: Catalog;
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly random: Random;
}

export interface PreparedTable {
  readonly table: LoadedTable;
  /** Sources that could not even be inspected. */
  readonly failures: readonly SourceFailure[];
}

const TURNS_MAX = 12;

/** Below `metadata/`: metadata files of commits that only change the schema. */
export const SCHEMA_FOLDER = "schema";

/**
 * The table, with every column the conversion's sources hold (policy `evolve`). Undefined: they hold no record, no table is needed.
 * Throws Rejected when the table has no place for what one of them holds: which one shows when they are tried alone.
 */
export async function prepareTable(
  ports: TablePorts,
  settings: Settings,
  ingestion: Ingestion,
  conversion: Conversion,
): Promise<PreparedTable | { readonly table: undefined; readonly failures: readonly SourceFailure[] }> {
  // A failed source is out of the conversion and not reported again: failures of all turns count.
  const failures: SourceFailure[] = [];
  for (let turn = 0; turn < TURNS_MAX; turn++) {
    const table = await loadOwnTable(ports, ingestion);
    const inspection = await inspect(conversion, table);
    failures.push(...inspection.failures);
    const seen = ingestion.lineage ? [...inspection.fields, ...lineageFields] : inspection.fields;
    if (table === undefined) {
      const draft = draftTable(ingestion, seen);
      // Records without a single value are rows too.
      const isSure = inspection.fields.length > 0 && draft.kind === "table";
      if (!isSure && !(await holdsRecords(conversion, inspection.fields, failures)))
        return { table: undefined, failures };
      if (draft.kind === "refused") throw draft.error;
      await createTable(ports, settings, ingestion, draft);
      continue;
    }
    const updates = [...schemaUpdates(table, seen), ...specUpdates(table, ingestion)];
    if (updates.length === 0) return { table, failures };
    const outcome = await ports.catalog.commit(table, {
      requirements: schemaRequirements(table),
      updates,
      folder: SCHEMA_FOLDER,
    });
    if (outcome.kind === "committed") return { table: outcome.table, failures };
  }
  throw new MoraineError("Unavailable", "table keeps changing while its schema is prepared", {
    table: tableIdOf(ingestion.target),
  });
}

function inspect(conversion: Conversion, table: LoadedTable | undefined): Promise<Inspection> {
  if (table === undefined) return conversion.inspect(undefined);
  return conversion.inspect(currentSchema(table.metadata), defaultSpec(table.metadata));
}

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

interface TableDraft {
  readonly kind: "table";
  readonly schema: Schema;
  readonly lastColumnId: number;
  readonly specFields: readonly PartitionField[];
}

function draftTable(
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

/** Sources without a record are no reason to make a table, nor to refuse to. Nothing but a conversion counts them. */
async function holdsRecords(
  conversion: Conversion,
  seen: readonly DraftField[],
  failures: SourceFailure[],
): Promise<boolean> {
  const { fields } = assignFieldIds([...seen, ...lineageFields], 0);
  const result = await conversion.convert({ type: "struct", "schema-id": 0, fields }, UNPARTITIONED);
  failures.push(...result.failures);
  return result.loaded.some(({ records }) => records > 0);
}

async function createTable(
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

function schemaUpdates({ metadata }: LoadedTable, seen: readonly DraftField[]): TableUpdate[] {
  const evolved = evolveSchema(currentSchema(metadata), metadata["last-column-id"], seen, partitionNames(metadata));
  const taken = evolved.conflicts.find(({ tableType }) => tableType === PARTITION_FIELD);
  if (taken !== undefined) {
    throw new MoraineError("Rejected", "a column has the name of a partition field; rename it in the file", {
      column: taken.path,
    });
  }
  if (!evolved.changed) return [];
  const id = Math.max(...metadata.schemas.map((schema) => schema["schema-id"])) + 1;
  return [
    { action: "add-schema", schema: withSchemaId(evolved.schema, id), "last-column-id": evolved.lastColumnId },
    { action: "set-current-schema", "schema-id": id },
  ];
}

/** Replacing a file needs a spec without fields to list its deletes under; an adopted table may lack one. */
function specUpdates({ metadata }: LoadedTable, ingestion: Ingestion): TableUpdate[] {
  if (ingestion.onOverwrite !== "replace" || findGlobalSpec(metadata) !== undefined) return [];
  const id = Math.max(...metadata["partition-specs"].map((spec) => spec["spec-id"])) + 1;
  return [{ action: "add-spec", spec: { "spec-id": id, fields: [] } }];
}

function schemaRequirements({ metadata }: LoadedTable) {
  return [
    { type: "assert-table-uuid", uuid: metadata["table-uuid"] },
    { type: "assert-current-schema-id", "current-schema-id": metadata["current-schema-id"] },
    { type: "assert-last-assigned-field-id", "last-assigned-field-id": metadata["last-column-id"] },
  ] as const;
}
