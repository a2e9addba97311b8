// Parquet files for the tests, as DuckDB writes them.

import { randomUUID } from "node:crypto";
import { readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { type DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";

let shared: Promise<DuckDBConnection> | undefined;

/** The rows of a query. `options`: of COPY, such as `COMPRESSION snappy`. */
export async function parquetOf(select: string, ...options: readonly string[]): Promise<Buffer> {
  shared ??= connect();
  const path = `${tmpdir()}/moraine-${randomUUID()}.parquet`;
  await (await shared).run(`COPY (${select}) TO '${path}' (${["FORMAT parquet", ...options].join(", ")})`);
  try {
    return await readFile(path);
  } finally {
    await rm(path, { force: true });
  }
}

/** Knows a key called `key`, for files that are encrypted. */
async function connect(): Promise<DuckDBConnection> {
  const connection = await (await DuckDBInstance.create(":memory:")).connect();
  await connection.run("SET force_mbedtls_unsafe = 'true'; PRAGMA add_parquet_key('key', '0123456789abcdef')");
  return connection;
}
