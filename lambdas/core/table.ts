// Finds the target table or makes it, and widens its schema to what the files of a batch hold. Both are compare-and-swaps
// on the catalog, so any number of loaders may discover the same table or column at once.

import type { Ingestion } from "./config.ts";
import { isKind, MoraineError } from "./errors.ts";
import { currentSchema, defaultSpec, newTableMetadata } from "./iceberg/metadata.ts";
import { parsePartitionBy, UNPARTITIONED } from "./iceberg/partition.ts";
import {
  assignFieldIds,
  lineageFields,
  parseType,
  rescuedField,
  type SchemaEvolution,
  withSchemaId,
} from "./iceberg/schema.ts";
import type { DraftField, PartitionField, Schema, TableUpdate } from "./iceberg/types.ts";
import { type Revision, tableIdOf } from "./ids.ts";
import { writeItem } from "./ledger-writes.ts";
import type {
  Catalog,
  Clock,
  Conversion,
  Inspection,
  Ledger,
  LoadedTable,
  Random,
  SourceFailure,
  Treatment,
} from "./ports.ts";
import { type HeadRecord, headItem, headKey, readHead } from "./records.ts";
import {
  addToTable,
  changeText,
  type Difference,
  differencesText,
  diffSchema,
  growTable,
  isPartitionConflict,
  namesItsColumns,
  shapeOfTable,
  type TableShape,
} from "./schema/diff.ts";
import { changesOf, noteVersion } from "./schema/history.ts";
import { settledBy } from "./schema/misfits.ts";
import type { HeldDifference } from "./schema/records.ts";
import type { Settings } from "./settings.ts";
import { findGlobalSpec } from "./stage.ts";

interface TablePorts {
  readonly catalog: Catalog;
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly random: Random;
}

const TURNS_MAX = 12;

/** Below `metadata/`: metadata files of commits that only change the schema. */
export const SCHEMA_FOLDER = "schema";

/** Where the files of a conversion end that do not go into the table; each is out of the conversion then. */
export interface Fates {
  fail(failures: readonly SourceFailure[]): Promise<void>;
  /** A file whose difference from the table somebody has to decide about. */
  hold(breaking: BreakingSource): Promise<void>;
}

export interface BreakingSource {
  readonly index: number;
  readonly differences: readonly HeldDifference[];
  /** Its columns that the table has not, or too narrow. */
  readonly fields: readonly DraftField[];
  readonly records?: number;
}

export interface TableJob {
  readonly ports: TablePorts;
  readonly settings: Settings;
  readonly ingestion: Ingestion;
  readonly conversion: Conversion;
  readonly fates: Fates;
  /** Files that are looked at together with the conversion's own before a table is made of them. */
  readonly sampleMore?: () => Promise<readonly number[]>;
}

/**
 * The table, with every column that the conversion's sources hold and the policy lets in. `rescued`: also with the column for rescued data.
 * Undefined: they hold no record, no table is needed. Throws Rejected when the table has no place for what one of them holds: which one
 * shows when they are tried alone.
 */
export async function prepareTable(job: TableJob, rescued = false): Promise<LoadedTable | undefined> {
  const { ports, ingestion, conversion, fates } = job;
  const own = ownFields(ingestion, rescued);
  let samples: number[] | undefined;
  for (let turn = 0; turn < TURNS_MAX; turn++) {
    const table = await loadOwnTable(ports, ingestion);
    if (table === undefined) samples ??= [...((await job.sampleMore?.()) ?? [])];
    else for (const index of (samples ?? []).splice(0)) conversion.leaveOut(index);
    const inspection = await inspect(conversion, table);
    await fates.fail(inspection.failures);
    if (table === undefined) {
      const made = await makeTable(job, inspection.fields, own, (samples ?? []).length > 0);
      if (made === "no records") return undefined;
      if (made === "refused") for (const index of (samples ?? []).splice(0)) conversion.leaveOut(index);
      continue;
    }
    if (await sortOut(job, table, inspection.fields)) continue;
    const shape = shapeOfTable(table.metadata);
    // Where the schema is fixed, what the files lack changes nothing either.
    const evolves = ingestion.schema.policy === "evolve";
    const grown = evolves ? growTable(shape, [...inspection.fields, ...own]) : addToTable(shape, own);
    const updates = [...schemaUpdates(table, grown), ...specUpdates(table, ingestion)];
    if (updates.length === 0) return table;
    const outcome = await ports.catalog.commit(table, {
      requirements: schemaRequirements(table),
      updates,
      folder: SCHEMA_FOLDER,
    });
    if (outcome.kind === "conflict") continue;
    await noteGrowth(job, outcome.table, grown);
    return outcome.table;
  }
  throw new MoraineError("Unavailable", "table keeps changing while its schema is prepared", {
    table: tableIdOf(ingestion.target),
  });
}

function ownFields({ lineage, schema }: Ingestion, rescued: boolean): DraftField[] {
  const own = lineage ? [...lineageFields] : [];
  return rescued || schema.policy === "rescue" ? [...own, rescuedField] : own;
}

async function makeTable(
  job: TableJob,
  seen: readonly DraftField[],
  own: readonly DraftField[],
  sampled: boolean,
): Promise<"made" | "no records" | "refused"> {
  const { ports, settings, ingestion } = job;
  const given = givenFields(ingestion);
  const draft = draftTable(ingestion, [...given, ...unlike(seen, given, ingestion), ...own]);
  // Records without a single value are rows too.
  if (draft.kind === "refused" && sampled) return "refused";
  const isSure = seen.length > 0 && draft.kind === "table";
  if (!isSure && !(await holdsRecords(job, seen))) return "no records";
  if (draft.kind === "refused") throw draft.error;
  await createTable(ports, settings, ingestion, draft);
  return "made";
}

function givenFields({ schema }: Ingestion): DraftField[] {
  return Object.entries(schema.columns).map(([name, type]) => ({ name, type: parseType(type) }));
}

/** What the files hold beside the columns that are given in full; a policy other than `evolve` says later what becomes of it. */
function unlike(seen: readonly DraftField[], given: readonly DraftField[], { schema }: Ingestion): DraftField[] {
  if (given.length > 0 && schema.policy !== "evolve") return [];
  const names = new Set(given.map(({ name }) => name.toLowerCase()));
  return seen.filter(({ name }) => !names.has(name.toLowerCase()));
}

/**
 * Files with a difference that their policy does not let pass are held, failed or treated, one by one. true: some are out now, and the
 * others are to be looked at again.
 */
async function sortOut(job: TableJob, table: LoadedTable, seen: readonly DraftField[]): Promise<boolean> {
  const { ports, ingestion, conversion, fates } = job;
  const { policy } = ingestion.schema;
  const shape = shapeOfTable(table.metadata);
  if (!mayDiffer(shape, growTable(shape, seen), ingestion)) return false;
  const settled = policy === "hold" ? settledBy(await changesOf(ports.ledger, ingestion.id)) : () => false;
  let out = false;
  for (const { index, fields, records } of await conversion.inspectEach(shape.schema)) {
    if (policy === "rescue") {
      if (bringsColumns(growTable(shape, fields))) conversion.treat(index, RESCUE);
      continue;
    }
    const { breaking } = diffSchema(shape, fields, ingestion.format.type, policy);
    const refused = breaking.find(isPartitionConflict);
    const differences = breaking.filter((difference) => !isSuspicion(difference) && !settled(difference));
    if (differences.length === 0) continue;
    out = true;
    conversion.leaveOut(index);
    if (refused !== undefined) {
      await fates.fail([partitionFailure(index, refused)]);
      continue;
    }
    const concerned = fields.filter(({ name }) => differences.some(({ path }) => isWithin(path, name)));
    const counted = records === undefined ? {} : { records };
    if (policy === "hold") await fates.hold({ index, differences, fields: concerned, ...counted });
    else await fates.fail([changedFailure(index, differences)]);
  }
  return out;
}

/** Whether the path is the column's or lies inside it. A name may have dots itself. */
function isWithin(path: string, column: string): boolean {
  return `${path}.`.toLowerCase().startsWith(`${column}.`.toLowerCase());
}

/** Also one that the table could not have. */
function bringsColumns({ changes, conflicts }: SchemaEvolution): boolean {
  return changes.some(({ kind }) => kind === "added") || conflicts.some(isPartitionConflict);
}

const RESCUE: Treatment = { rescue: true, routes: [] };

/** Whether some file may have a difference that its policy does not let pass. What all of them hold is not what each does. */
function mayDiffer(
  { schema: { fields } }: TableShape,
  { changed, conflicts }: SchemaEvolution,
  { format, schema }: Ingestion,
): boolean {
  if (conflicts.some(isPartitionConflict)) return true;
  if (schema.policy === "evolve") return false;
  const lacking =
    schema.policy !== "rescue" && (namesItsColumns(format.type) || fields.some(({ required }) => required));
  return changed || lacking;
}

/** Types that differ break nothing as long as every value fits: the conversion tells. */
function isSuspicion(difference: Difference): boolean {
  return difference.kind === "conflict" && !isPartitionConflict(difference);
}

function partitionFailure(index: number, { path }: Difference): SourceFailure {
  const message = `column ${path} has the name of a partition field, and no reader could open the table with it; rename it in the file`;
  return { index, reason: "REFUSED_BY_TABLE", message, column: path };
}

function changedFailure(index: number, differences: readonly Difference[]): SourceFailure {
  const message = `the file differs from the table, and schema.policy is fail (${differencesText(differences)}); correct the file or choose another policy`;
  const [first] = differences;
  return { index, reason: "SCHEMA_CHANGED", message, ...(first === undefined ? {} : { column: first.path }) };
}

async function noteGrowth(
  { ports, ingestion }: TableJob,
  after: LoadedTable,
  { changes }: SchemaEvolution,
): Promise<void> {
  const texts = changes.filter(({ kind }) => kind !== "absent").map(changeText);
  if (texts.length === 0) return;
  const schemaId = after.metadata["current-schema-id"];
  const table = tableIdOf(ingestion.target);
  await noteVersion(ports, { ingestion: ingestion.id, table, schemaId, atMs: ports.clock.now(), changes: texts });
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
async function holdsRecords({ conversion, fates }: TableJob, seen: readonly DraftField[]): Promise<boolean> {
  const { fields } = assignFieldIds([...seen, ...lineageFields], 0);
  const result = await conversion.convert({ type: "struct", "schema-id": 0, fields }, UNPARTITIONED);
  await fates.fail(result.failures);
  return result.misfits.length > 0 || result.loaded.some(({ records, quarantined }) => records + quarantined > 0);
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

function schemaUpdates({ metadata }: LoadedTable, evolved: SchemaEvolution): TableUpdate[] {
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
