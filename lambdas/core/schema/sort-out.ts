// Before any row is written: files with a difference that their policy does not let pass are taken out of the batch, or treated.

import type { Ingestion } from "../config.ts";
import type { SchemaEvolution } from "../iceberg/schema.ts";
import type { DraftField } from "../iceberg/types.ts";
import type { LoadedTable, SourceFailure, Treatment } from "../ports.ts";
import {
  type Difference,
  differencesText,
  diffSchema,
  growTable,
  isPartitionConflict,
  namesItsColumns,
  shapeOfTable,
  type TableShape,
} from "./diff.ts";
import { changesOf } from "./history.ts";
import type { TableJob } from "./job.ts";
import { settledBy } from "./misfits.ts";

/**
 * Files with a difference that their policy does not let pass are held, failed or treated, one by one. true: some are out now, and the
 * others are to be looked at again.
 */
export async function sortOut(job: TableJob, table: LoadedTable, seen: readonly DraftField[]): Promise<boolean> {
  const { ports, ingestion, conversion, fates } = job;
  const { policy } = ingestion.schema;
  const shape = shapeOfTable(table.metadata);
  if (!mayDiffer(shape, growTable(shape, seen), ingestion)) return false;
  const settled = policy === "hold" ? settledBy(await changesOf(ports.ledger, ingestion.id)) : () => false;
  let out = false;
  for (const source of await conversion.inspectEach(shape.schema)) {
    const { index, fields } = source;
    if (policy === "rescue") {
      if (bringsColumns(growTable(shape, fields))) conversion.treat(index, RESCUE);
      continue;
    }
    const { breaking } = diffSchema(shape, fields, ingestion.format.type, policy);
    const refused = breaking.find(isPartitionConflict);
    const differences = breaking.filter((difference) => !isSuspicion(difference) && !settled(difference));
    if (differences.length === 0) continue;
    out = true;
    const isHeld = policy === "hold" && refused === undefined;
    const records = isHeld ? await conversion.countRecords(source) : undefined;
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
