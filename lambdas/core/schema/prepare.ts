// The table that the files of a batch need: made if there is none, and widened to what they hold as far as the policy lets it. Both are
// compare-and-swaps on the catalog, so any number of loaders may discover the same table or column at once.

import type { Ingestion } from "../config.ts";
import { MoraineError } from "../errors.ts";
import { currentSchema, defaultSpec } from "../iceberg/metadata.ts";
import { UNPARTITIONED } from "../iceberg/partition.ts";
import {
  assignFieldIds,
  findColumn,
  lineageFields,
  parseType,
  rescuedField,
  type SchemaEvolution,
} from "../iceberg/schema.ts";
import type { DraftField, TableUpdate, Type } from "../iceberg/types.ts";
import { tableIdOf } from "../ids.ts";
import type { Conversion, Inspection, LoadedTable } from "../ports.ts";
import { findGlobalSpec } from "../stage.ts";
import { commitSchema, createTable, draftTable, loadOwnTable } from "../table.ts";
import { alterationsOf } from "./alterations.ts";
import { addToTable, growTable, shapeOfTable, type TableShape } from "./diff.ts";
import { noteVersion } from "./history.ts";
import type { TableJob } from "./job.ts";
import { sortOut } from "./sort-out.ts";

const TURNS_MAX = 12;

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
    const grown = evolves ? await growByFiles(job, shape, [...inspection.fields, ...own]) : addToTable(shape, own);
    const specs = specUpdates(table, ingestion);
    if (!grown.changed && specs.length === 0) return table;
    const outcome = await commitSchema(ports.catalog, table, grown, specs);
    if (outcome.kind === "conflict") continue;
    await noteGrowth(job, table, outcome.table);
    return outcome.table;
  }
  throw new MoraineError("Unavailable", "table keeps changing while its schema is prepared", {
    table: tableIdOf(ingestion.target),
  });
}

/**
 * `seen`: of all files together. Where that is a conflict, one of them may still hold what the table can take by itself (a larger number
 * beside another's text), and it is no worse off for its neighbours.
 */
async function growByFiles(
  { conversion, sources }: TableJob,
  table: TableShape,
  seen: readonly DraftField[],
): Promise<SchemaEvolution> {
  let grown = growTable(table, seen);
  if (sources === 1 || !grown.conflicts.some(({ path }) => mayGrow(findColumn(table.schema, path)?.field.type)))
    return grown;
  for (const { fields } of await conversion.inspectEach(table.schema)) {
    const { schema, lastColumnId, changed } = grown;
    const next = growTable({ schema, lastColumnId, partitionNames: table.partitionNames }, fields);
    grown = { ...next, changed: changed || next.changed };
  }
  return grown;
}

function mayGrow(type: Type | undefined): boolean {
  return typeof type === "object" || type === "int" || type === "float" || type?.startsWith("decimal") === true;
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

/** Sources without a record are no reason to make a table, nor to refuse to. Nothing but a conversion counts them. */
async function holdsRecords({ conversion, fates }: TableJob, seen: readonly DraftField[]): Promise<boolean> {
  const { fields } = assignFieldIds([...seen, ...lineageFields], 0);
  const result = await conversion.convert({ type: "struct", "schema-id": 0, fields }, UNPARTITIONED);
  await fates.fail(result.failures);
  return result.misfits.length > 0 || result.loaded.some(({ records, quarantined }) => records + quarantined > 0);
}

/** Replacing a file needs a spec without fields to list its deletes under; an adopted table may lack one. */
function specUpdates({ metadata }: LoadedTable, ingestion: Ingestion): TableUpdate[] {
  if (ingestion.onOverwrite !== "replace" || findGlobalSpec(metadata) !== undefined) return [];
  const id = Math.max(...metadata["partition-specs"].map((spec) => spec["spec-id"])) + 1;
  return [{ action: "add-spec", spec: { "spec-id": id, fields: [] } }];
}

async function noteGrowth({ ports, ingestion }: TableJob, before: LoadedTable, after: LoadedTable): Promise<void> {
  const changes = alterationsOf(currentSchema(before.metadata), currentSchema(after.metadata));
  if (changes.length === 0) return;
  const schemaId = after.metadata["current-schema-id"];
  const table = tableIdOf(ingestion.target);
  await noteVersion(ports, { ingestion: ingestion.id, table, schemaId, atMs: ports.clock.now(), changes });
}

function inspect(conversion: Conversion, table: LoadedTable | undefined): Promise<Inspection> {
  if (table === undefined) return conversion.inspect(undefined);
  return conversion.inspect(currentSchema(table.metadata), defaultSpec(table.metadata));
}
