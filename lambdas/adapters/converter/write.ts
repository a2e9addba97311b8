// Rows to Parquet: one COPY, typed and with field ids, then what Iceberg needs to know of every file it wrote.

import { createReadStream } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import type { DuckDBValue } from "@duckdb/node-api";
import { assert } from "../../core/errors.ts";
import type { PartitionSpec, Schema, Value } from "../../core/iceberg/types.ts";
import type { ConvertedFile } from "../../core/ports.ts";
import type { Session } from "./engine.ts";
import { type ColumnStatistics, countedColumns, type FloatStatistics, metricsOf } from "./metrics.ts";
import { ownName } from "./own-name.ts";
import { partitionKeys, tupleOfFile } from "./partition.ts";
import { ident, literal, tableFunction } from "./sql.ts";
import { fieldIds } from "./types.ts";
import { icebergValue } from "./values.ts";

export interface WriteTarget {
  readonly session: Session;
  /** A directory for this write alone. */
  readonly directory: string;
  readonly schema: Schema;
  readonly spec: PartitionSpec;
  readonly targetFileSizeBytes: number;
  /** Text and Parquet sources are larger than the Parquet that is made of them. */
  readonly inputBytes: number;
}

/** What COPY reports of one file. */
export interface CopiedFile {
  readonly path: string;
  readonly records: number;
  readonly sizeBytes: number;
  readonly columns: ReadonlyMap<string, ColumnStatistics>;
}

const ROW_GROUP_ROWS = 122_880;
/** With long values the rows above would be more than memory holds: a gigabyte of files of 1 MiB takes 300 MB so. */
const BINARY_GROUP_BYTES = 32 * 1024 * 1024;
/** A partition this much larger than the target is written again in parts: COPY cannot both partition and split. */
const OVERSIZE = 1.5;

const PATH = ownName("path");

/** `select`: rows with exactly the schema's columns. */
export async function writeDataFiles(target: WriteTarget, select: string): Promise<CopiedFile[]> {
  const keys = partitionKeys(target.spec, target.schema);
  await mkdir(target.directory, { recursive: true });
  if (keys.length > 0) return writePartitions(target, select, keys);
  const split = target.inputBytes > target.targetFileSizeBytes;
  return copy(target, select, `${target.directory}/data`, split ? splitOptions(target) : []);
}

async function writePartitions(target: WriteTarget, select: string, keys: readonly string[]): Promise<CopiedFile[]> {
  const names = keys.map((_, i) => ownName(`p${i}`));
  const keyed = `SELECT *, ${keys.map((key, i) => `${key} AS ${ident(names[i] as string)}`).join(", ")} FROM (${select})`;
  const partitionBy = [`PARTITION_BY (${names.map(ident).join(", ")})`, `FILENAME_PATTERN 'p-{uuidv7}'`];
  const files = await copy(target, keyed, `${target.directory}/data`, partitionBy);
  const written: CopiedFile[] = [];
  for (const [i, file] of files.entries()) {
    if (file.sizeBytes <= target.targetFileSizeBytes * OVERSIZE) {
      written.push(file);
      continue;
    }
    const again = `SELECT * FROM ${tableFunction("read_parquet", [file.path], { hive_partitioning: "false" })}`;
    written.push(...(await copy(target, again, `${target.directory}/split-${i}`, splitOptions(target))));
    await rm(file.path);
  }
  return written;
}

function splitOptions(target: WriteTarget): string[] {
  return [`FILE_SIZE_BYTES ${target.targetFileSizeBytes}`, `FILENAME_PATTERN 's-{uuidv7}'`];
}

async function copy(
  target: WriteTarget,
  select: string,
  path: string,
  options: readonly string[],
): Promise<CopiedFile[]> {
  const all = [
    "FORMAT parquet",
    "COMPRESSION zstd",
    "COMPRESSION_LEVEL 3",
    `ROW_GROUP_SIZE ${ROW_GROUP_ROWS}`,
    ...rowGroupBytes(target),
    "RETURN_STATS",
    `FIELD_IDS ${fieldIds(target.schema.fields)}`,
    ...options,
  ];
  const to = options.length === 0 ? `${path}.parquet` : path;
  const rows = await target.session.rows(`COPY (${select}) TO ${literal(to)} (${all.join(", ")})`);
  return rows
    .map((row) => ({
      path: String(row["filename"]),
      records: Number(row["count"]),
      sizeBytes: Number(row["file_size_bytes"]),
      columns: new Map(entriesOf(row["column_statistics"]).map(([name, map]) => [String(name), textMap(map)])),
    }))
    .filter(({ records }) => records > 0);
}

function rowGroupBytes({ schema, targetFileSizeBytes }: WriteTarget): string[] {
  const binary = schema.fields.some(({ type }) => type === "binary");
  return binary ? [`ROW_GROUP_SIZE_BYTES ${Math.min(BINARY_GROUP_BYTES, targetFileSizeBytes)}`] : [];
}

function entriesOf(value: DuckDBValue | undefined): [DuckDBValue, DuckDBValue][] {
  const { entries } = value as {
    readonly entries: readonly { readonly key: DuckDBValue; readonly value: DuckDBValue }[];
  };
  return entries.map((entry) => [entry.key, entry.value]);
}

function textMap(value: DuckDBValue): Map<string, string> {
  return new Map(
    entriesOf(value).flatMap(([name, text]) => (text === null ? [] : [[String(name), String(text)] as const])),
  );
}

/** The Iceberg facts of written files. */
export async function describeFiles(target: WriteTarget, files: readonly CopiedFile[]): Promise<ConvertedFile[]> {
  const offsets = await splitOffsets(target.session, files);
  const floats = await floatStatistics(target, files);
  const described: ConvertedFile[] = [];
  for (const file of files) {
    const partition = await tupleOfFile(target.session, file.path, target.spec, target.schema);
    described.push({
      file: {
        partition,
        recordCount: file.records,
        fileSizeInBytes: file.sizeBytes,
        ...metricsOf(target.schema, file.columns, floats.get(file.path) ?? new Map()),
        splitOffsets: offsets.get(file.path) ?? [],
        sortOrderId: 0,
      },
      body: { sizeBytes: file.sizeBytes, open: () => createReadStream(file.path, { highWaterMark: 1024 * 1024 }) },
    });
  }
  return described;
}

/** Where row groups start: readers split work there. */
async function splitOffsets(session: Session, files: readonly CopiedFile[]): Promise<Map<string, number[]>> {
  const offsets = new Map<string, number[]>();
  if (files.length === 0) return offsets;
  const rows = await session.rows(`
    SELECT file_name AS path, min(coalesce(dictionary_page_offset, data_page_offset)) AS start
    FROM ${tableFunction(
      "parquet_metadata",
      files.map(({ path }) => path),
      {},
    )} GROUP BY file_name, row_group_id ORDER BY path, start`);
  for (const row of rows) {
    const path = String(row["path"]);
    offsets.set(path, [...(offsets.get(path) ?? []), Number(row["start"])]);
  }
  return offsets;
}

async function floatStatistics(
  target: WriteTarget,
  files: readonly CopiedFile[],
): Promise<Map<string, Map<number, FloatStatistics>>> {
  const columns = countedColumns(target.schema);
  const statistics = new Map<string, Map<number, FloatStatistics>>();
  if (columns.length === 0 || files.length === 0) return statistics;
  const counted = columns.flatMap(({ sql }, i) => [
    `count_if(isnan(${sql})) AS "n${i}"`,
    `min(${sql}) FILTER (NOT isnan(${sql})) AS "l${i}"`,
    `max(${sql}) FILTER (NOT isnan(${sql})) AS "u${i}"`,
  ]);
  const from = tableFunction(
    "read_parquet",
    files.map(({ path }) => path),
    { hive_partitioning: "false", filename: literal(PATH) },
  );
  for (const row of await target.session.rows(`SELECT ${PATH}, ${counted.join(", ")} FROM ${from} GROUP BY ${PATH}`)) {
    statistics.set(
      String(row[PATH]),
      new Map(
        columns.map(({ id, type }, i) => [
          id,
          {
            nans: Number(row[`n${i}`]),
            min: icebergValue(type, row[`l${i}`] ?? null) as Value | null,
            max: icebergValue(type, row[`u${i}`] ?? null) as Value | null,
          },
        ]),
      ),
    );
  }
  assert(statistics.size === files.length, "every written file is counted");
  return statistics;
}
