// Brings the files of a batch and their table together: the table grows to what the policy lets in, values that do not fit are treated as
// policy and earlier decisions say, and what nobody has decided about is held. Every file leaves here converted, or with its fate on record.

import { currentSchema, defaultSpec } from "../iceberg/metadata.ts";
import { findField, RESCUED_DATA } from "../iceberg/schema.ts";
import type { Schema } from "../iceberg/types.ts";
import type { ConversionResult, LoadedTable, Misfits, Treatment } from "../ports.ts";
import { changesOf } from "./history.ts";
import type { TableJob } from "./job.ts";
import { judgeMisfits, type MisfitVerdict, routesOf } from "./misfits.ts";
import { prepareTable } from "./prepare.ts";

export interface Fitted {
  readonly table: LoadedTable;
  readonly result: ConversionResult;
}

export interface FitJob extends TableJob {
  time<T>(step: "inspect" | "convert", work: () => Promise<T>): Promise<T>;
}

/** Undefined: the files hold no record, and there is no table yet. */
export async function fitFiles(job: FitJob): Promise<Fitted | undefined> {
  let table = await job.time("inspect", () => prepareTable(job));
  const treated = new Map<number, Treatment>();
  while (table !== undefined) {
    const { metadata } = table;
    const convert = () => job.conversion.convert(currentSchema(metadata), defaultSpec(metadata));
    const result = await job.time("convert", convert);
    await job.fates.fail(result.failures);
    if (result.misfits.length === 0) return { table, result };
    const needsColumn = await settleMisfits(job, table, result.misfits, treated);
    if (needsColumn) table = await job.time("inspect", () => prepareTable(job, true));
  }
  return undefined;
}

/** true: the table needs the column of rescued data first. */
async function settleMisfits(
  job: FitJob,
  { metadata }: LoadedTable,
  misfits: readonly Misfits[],
  treated: Map<number, Treatment>,
): Promise<boolean> {
  const { conversion, fates, ingestion, ports } = job;
  const schema = currentSchema(metadata);
  const decided = routesOf(await changesOf(ports.ledger, ingestion.id));
  const routes = decided.filter(({ column }) => findField(schema, column)?.type === "string");
  let needsColumn = false;
  for (const source of misfits) {
    const { index } = source;
    const judged = judgeMisfits(source, ingestion, schema, routes);
    const before = treated.get(index);
    // Rescue comes after routes where rows are bad as well; after that nothing is left to try.
    const isNew = judged.kind !== "treat" || before === undefined || (judged.treatment.rescue && !before.rescue);
    const verdict = isNew ? judged : lastResort(source, ingestion, schema, before);
    if (verdict.kind === "treat") {
      treated.set(index, verdict.treatment);
      conversion.treat(index, verdict.treatment);
      needsColumn ||= verdict.treatment.rescue && findField(schema, RESCUED_DATA) === undefined;
      continue;
    }
    conversion.leaveOut(index);
    if (verdict.kind === "fail") {
      const { kind: _, ...failure } = verdict;
      await fates.fail([{ index, ...failure }]);
    } else {
      await fates.hold({ index, differences: verdict.differences, fields: [], records: source.records });
    }
  }
  return needsColumn;
}

/** Where routes did not help (a row has a value of its own there), the values are rescued, if they would have been without routes. */
function lastResort(
  source: Misfits,
  ingestion: FitJob["ingestion"],
  schema: Schema,
  { rescue, routes }: Treatment,
): MisfitVerdict {
  const unrouted = judgeMisfits(source, ingestion, schema, []);
  if (rescue || unrouted.kind !== "treat") return untreatable(source);
  return { kind: "treat", treatment: { rescue: true, routes } };
}

/** It was treated, and still does not fit: nothing is left to try. */
function untreatable({ columns }: Misfits): MisfitVerdict {
  const column = columns[0]?.path ?? "unknown";
  const message = `values of column ${column} fit neither the table nor what was decided about it; correct the file`;
  return { kind: "fail", reason: "TYPE_MISMATCH", message, column };
}
