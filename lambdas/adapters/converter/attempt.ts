// One try at converting all given sources together: all rows of all of them, or an error.

import { rm } from "node:fs/promises";
import { assert } from "../../core/errors.ts";
import {
  LINEAGE_FILE_MODIFIED_AT,
  LINEAGE_FILE_PATH,
  LINEAGE_INGESTED_AT,
  RESCUED_DATA,
} from "../../core/iceberg/schema.ts";
import type { NestedField, PartitionSpec, Schema } from "../../core/iceberg/types.ts";
import type { Session } from "./engine.ts";
import { FILE_COLUMN, type FormatReader, type ReaderContext, type SpooledSource } from "./format.ts";
import { checkedColumn } from "./required.ts";
import { ident, literal, tableFunction } from "./sql.ts";
import { listen, type Tally, tellingRows } from "./tally.ts";
import { type CopiedFile, type WriteTarget, writeDataFiles } from "./write.ts";

/** Sources that fit in memory as rows are counted on their way; larger ones are read again to count them. */
const TOLD_BYTES_MAX = 128 * 1024 * 1024;
/** In one statement. Each has all columns of the table: of 400 files with a column of their own one statement took 1.5 GB. */
const SELECTS_MAX = 64;
/** Lineage that comes of the source and not of its rows. */
const JOINED: ReadonlySet<string> = new Set([LINEAGE_FILE_PATH, LINEAGE_FILE_MODIFIED_AT]);

export interface Attempt {
  readonly target: WriteTarget;
  readonly files: readonly CopiedFile[];
  readonly sources: readonly SpooledSource[];
  /** Rows by the path of the source in the work directory. */
  readonly counts: ReadonlyMap<string, Tally>;
}

export async function attempt(
  context: ReaderContext,
  reader: FormatReader,
  sources: readonly SpooledSource[],
  schema: Schema,
  spec: PartitionSpec,
  directory: string,
): Promise<Attempt> {
  const { session, job } = context;
  const inputBytes = sources.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const target = { session, directory, schema, spec, targetFileSizeBytes: job.targetFileSizeBytes, inputBytes };
  const selects = schema.fields.length === 0 ? [] : await reader.selects(sources, schema);
  if (selects.length === 0) return { target, files: [], sources, counts: new Map() };
  const joined = reader.fillsLineage !== true && schema.fields.some(({ name }) => JOINED.has(name));
  const rows = (some: readonly string[]) => rowsOf(some, joined ? sources : undefined, schema, job.ingestedAtMs);
  const columns = schema.fields.map(({ name }) => ident(name)).join(", ");
  const rescued = rescuedOf(context, sources, schema);
  const telling = sources.length > 1 && inputBytes <= TOLD_BYTES_MAX && !hasPath(schema);
  try {
    const files: CopiedFile[] = [];
    const told = new Map<string, Tally>();
    for (let at = 0; at < selects.length; at += SELECTS_MAX) {
      const part = { ...target, directory: `${directory}/${at}` };
      const some = rows(selects.slice(at, at + SELECTS_MAX));
      const select = telling
        ? tellingRows(part.directory, some, columns, FILE_COLUMN, rescued.sql)
        : `SELECT ${columns} FROM (${some})`;
      const { result, counts } = await listen(part.directory, () => writeDataFiles(part, select));
      files.push(...result);
      for (const [path, tally] of counts) told.set(path, sumOf(told.get(path), tally));
    }
    const total = files.reduce((sum, { records }) => sum + records, 0);
    const counts = telling ? told : await countRows(session, `(${rows(selects)})`, sources, files, rescued, total);
    assert(recordsOf(counts.values()) === total, "rows of the sources are the rows of the files");
    return { target, files, sources, counts };
  } catch (error) {
    await rm(directory, { recursive: true, force: true });
    throw error;
  }
}

function hasPath(schema: Schema): boolean {
  return schema.fields.some(({ name }) => name === LINEAGE_FILE_PATH);
}

/** All rows: the schema's columns with lineage filled in (of `joined`) and required columns checked, then FILE_COLUMN. */
function rowsOf(
  selects: readonly string[],
  joined: readonly SpooledSource[] | undefined,
  schema: Schema,
  ingestedAtMs: number,
): string {
  const lineage = joined === undefined ? "r" : "s";
  const columns = schema.fields.map((field) => `${columnValue(field, lineage, ingestedAtMs)} AS ${ident(field.name)}`);
  const from = `(${selects.join(" UNION ALL ")}) AS r`;
  columns.push(`r.${FILE_COLUMN}`);
  if (joined === undefined) return `SELECT ${columns.join(", ")} FROM ${from}`;
  const rows = joined.map(({ source, path }) => {
    return `(${literal(path)}, ${literal(source.uri)}, make_timestamptz(${Math.trunc(source.lastModifiedMs) * 1000}))`;
  });
  const join = `JOIN (VALUES ${rows.join(", ")}) AS s(path, ${LINEAGE_FILE_PATH}, ${LINEAGE_FILE_MODIFIED_AT}) ON r.${FILE_COLUMN} = s.path`;
  return `SELECT ${columns.join(", ")} FROM ${from} ${join}`;
}

function columnValue(field: NestedField, lineage: "r" | "s", ingestedAtMs: number): string {
  if (field.name === LINEAGE_INGESTED_AT) return `make_timestamptz(${Math.trunc(ingestedAtMs) * 1000})`;
  if (JOINED.has(field.name)) return `${lineage}.${field.name}`;
  return checkedColumn(field, "r");
}

/** What counts the rows that have something in `_rescued_data`; most conversions have nothing of the kind. */
function rescuedOf({ treatments }: ReaderContext, sources: readonly SpooledSource[], schema: Schema): Rescued {
  const treated = sources.some(({ source }) => treatments.get(source.index)?.rescue === true);
  const counted = treated && schema.fields.some(({ name }) => name === RESCUED_DATA);
  return { counted, sql: counted ? `count(${ident(RESCUED_DATA)})` : "0", hasPath: hasPath(schema) };
}

interface Rescued {
  readonly counted: boolean;
  readonly sql: string;
  readonly hasPath: boolean;
}

/** Cheapest first: one source has all rows; the lineage column of the files tells; else `from`, the rows themselves, are counted. */
async function countRows(
  session: Session,
  from: string,
  sources: readonly SpooledSource[],
  files: readonly CopiedFile[],
  rescued: Rescued,
  total: number,
): Promise<Map<string, Tally>> {
  const [only, ...others] = sources;
  if (only === undefined || total === 0) return new Map();
  const written = tableFunction(
    "read_parquet",
    files.map(({ path }) => path),
    { hive_partitioning: "false" },
  );
  if (others.length === 0) {
    const rows = rescued.counted ? await session.rows(`SELECT ${rescued.sql} AS rescued FROM ${written}`) : [];
    return new Map([[only.path, { records: total, rescued: Number(rows[0]?.["rescued"] ?? 0) }]]);
  }
  const byUri = new Map(sources.map(({ source, path }) => [String(source.uri), path]));
  const told = rescued.hasPath && byUri.size === sources.length;
  const source = told ? ident(LINEAGE_FILE_PATH) : FILE_COLUMN;
  const rows = await session.rows(
    `SELECT ${source} AS source, count(*) AS n, ${rescued.sql} AS rescued FROM ${told ? written : from} GROUP BY source`,
  );
  return new Map(
    rows.map((row) => {
      const name = String(row["source"]);
      return [told ? (byUri.get(name) ?? "") : name, { records: Number(row["n"]), rescued: Number(row["rescued"]) }];
    }),
  );
}

/** Some rows of a source may come by one statement and others by another. */
function sumOf(a: Tally | undefined, b: Tally): Tally {
  return { records: (a?.records ?? 0) + b.records, rescued: (a?.rescued ?? 0) + b.rescued };
}

function recordsOf(tallies: Iterable<Tally>): number {
  let sum = 0;
  for (const { records } of tallies) sum += records;
  return sum;
}
