// Reads the rows of a table through its current snapshot: what the scan plan names, less what its deletes take away. For
// counting and for --export; engines do the same, and test/interop holds us against them.

import { createReadStream, createWriteStream, mkdtempSync, rmSync } from "node:fs";
import { appendFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { type DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";
import { currentSchema, schemaById } from "../lambdas/core/iceberg/metadata.ts";
import { planScan, type ScanTask } from "../lambdas/core/iceberg/scan.ts";
import type { DataFile, Schema, TableMetadata } from "../lambdas/core/iceberg/types.ts";
import type { ObjectUri } from "../lambdas/core/ids.ts";
import type { ObjectStore } from "../lambdas/core/ports.ts";

export interface TableCount {
  readonly rows: number;
  readonly dataFiles: number;
}

/** Rows are taken from the manifests unless deletes apply; then they are counted. */
export async function countRows(store: ObjectStore, metadata: TableMetadata): Promise<TableCount> {
  const tasks = await planScan(store, metadata);
  const clean = tasks.filter((task) => task.deletes.length === 0);
  const rows = clean.reduce((sum, { dataFile }) => sum + dataFile.recordCount, 0);
  const deleted = tasks.filter((task) => task.deletes.length > 0);
  if (deleted.length === 0) return { rows, dataFiles: tasks.length };
  let counted = 0;
  await eachFile(store, metadata, deleted, async (connection, query) => {
    const result = await connection.runAndReadAll(`SELECT count(*)::DOUBLE AS n FROM (${query})`);
    counted += Number(result.getRowObjects()[0]?.["n"] ?? 0);
  });
  return { rows: rows + counted, dataFiles: tasks.length };
}

/** One JSON object per line and row, columns in the order of the current schema. Returns the number of rows. */
export async function exportRows(store: ObjectStore, metadata: TableMetadata, file: string): Promise<number> {
  await writeFile(file, "");
  let rows = 0;
  await eachFile(store, metadata, await planScan(store, metadata), async (connection, query, folder) => {
    const part = join(folder, "part.ndjson");
    const result = await connection.run(`COPY (${query}) TO ${quoted(part)} (FORMAT json)`);
    rows += result.rowsChanged;
    await appendFile(file, createReadStream(part));
  });
  return rows;
}

type Visit = (connection: DuckDBConnection, query: string, folder: string) => Promise<void>;

async function eachFile(
  store: ObjectStore,
  metadata: TableMetadata,
  tasks: readonly ScanTask[],
  visit: Visit,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "moraine-rows-"));
  const instance = await DuckDBInstance.create(":memory:");
  const connection = await instance.connect();
  try {
    // The cache knows a file by its path and the second of its change: another one under the same path would be read as the first.
    await connection.run("SET TimeZone = 'UTC'; SET enable_external_file_cache = false");
    for (const task of tasks) {
      const data = await download(store, task.dataFile, join(folder, "data.parquet"));
      const deletes: { readonly file: DataFile; readonly path: string }[] = [];
      for (const [n, { deleteFile }] of task.deletes.entries()) {
        deletes.push({
          file: deleteFile,
          path: await download(store, deleteFile, join(folder, `delete-${n}.parquet`)),
        });
      }
      await visit(connection, await scanQuery(connection, metadata, task, data, deletes), folder);
    }
  } finally {
    connection.closeSync();
    instance.closeSync();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function scanQuery(
  connection: DuckDBConnection,
  metadata: TableMetadata,
  task: ScanTask,
  data: string,
  deletes: readonly { readonly file: DataFile; readonly path: string }[],
): Promise<string> {
  const names = await namesById(connection, data);
  const schema = currentSchema(metadata);
  const columns = schema.fields.map(({ id, name }) => {
    const inFile = names.get(id);
    return `${inFile === undefined ? "NULL" : `t.${identifier(inFile)}`} AS ${identifier(name)}`;
  });
  const conditions = deletes.map(({ file, path }) =>
    file.content === "position-deletes"
      ? `file_row_number NOT IN (SELECT pos FROM read_parquet(${quoted(path)}) WHERE file_path = ${quoted(task.dataFile.filePath)})`
      : `NOT EXISTS (SELECT 1 FROM read_parquet(${quoted(path)}) d WHERE ${equality(metadata, schema, file)})`,
  );
  const where = conditions.length === 0 ? "" : ` WHERE ${conditions.join(" AND ")}`;
  return `SELECT ${columns.join(", ")} FROM read_parquet(${quoted(data)}, file_row_number = true) t${where}`;
}

/** A column is its field id: what the file calls it may be the name of another one by now. */
async function namesById(connection: DuckDBConnection, data: string): Promise<ReadonlyMap<number, string>> {
  const described = await connection.runAndReadAll(
    `SELECT field_id, name FROM parquet_schema(${quoted(data)}) WHERE field_id IS NOT NULL`,
  );
  return new Map(described.getRowObjects().map((row) => [Number(row["field_id"]), String(row["name"])]));
}

function equality(metadata: TableMetadata, schema: Schema, file: DataFile): string {
  const schemas = [schema, ...metadata.schemas.map((other) => schemaById(metadata, other["schema-id"]))];
  const names = (file.equalityIds ?? []).map((id) => {
    const field = schemas.flatMap((each) => each?.fields ?? []).find((each) => each.id === id);
    if (field === undefined) throw new Error(`equality delete on an unknown column: ${file.filePath} field id ${id}`);
    return identifier(field.name);
  });
  return names.map((name) => `d.${name} IS NOT DISTINCT FROM t.${name}`).join(" AND ");
}

async function download(store: ObjectStore, { filePath }: DataFile, path: string): Promise<string> {
  const got = await store.get(filePath as ObjectUri);
  if (got.kind !== "found") throw new Error(`a live data file is missing: ${filePath}`);
  await pipeline(got.body, createWriteStream(path));
  return path;
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

function identifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
