// icebird, a reader we did not write, reads a table made with nothing but this library and DuckDB's Parquet writer.

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import { icebergRead } from "icebird";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { currentSchema, defaultSpec, formatMetadata } from "../../../lambdas/core/iceberg/metadata.ts";
import { UNPARTITIONED } from "../../../lambdas/core/iceberg/partition.ts";
import { verifyTable } from "../../../lambdas/core/iceberg/scan.ts";
import { evolveSchema, withSchemaId } from "../../../lambdas/core/iceberg/schema.ts";
import type { DataFile, DraftField, Value } from "../../../lambdas/core/iceberg/types.ts";
import type { ObjectUri } from "../../../lambdas/core/ids.ts";
import { LOCATION, TableMaker } from "./table-maker.ts";

const DRAFTS: DraftField[] = [
  { name: "id", type: "int" },
  { name: "region", type: "string" },
  { name: "at", type: "timestamptz" },
];
const directory = mkdtempSync(join(tmpdir(), "moraine-icebird-"));
let duckdb: DuckDBInstance;

beforeAll(async () => {
  duckdb = await DuckDBInstance.create(":memory:", { threads: "1" });
});
afterAll(() => {
  duckdb.closeSync();
  rmSync(directory, { recursive: true });
});
afterEach(() => {
  vi.unstubAllGlobals();
});

/** Runs a query into a Parquet file with field ids and puts it into the table's store. */
async function parquet(maker: TableMaker, name: string, query: string, fieldIds: string): Promise<DataFile> {
  const path = join(directory, `${name}.parquet`);
  const connection = await duckdb.connect();
  const result = await connection.run(`COPY (${query}) TO '${path}' (FORMAT parquet, FIELD_IDS {${fieldIds}})`);
  connection.closeSync();
  const bytes = new Uint8Array(readFileSync(path));
  const filePath = `${LOCATION}/data/${name}.parquet` as ObjectUri;
  await maker.store.put(filePath, bytes);
  return { content: "data", filePath, partition: [], recordCount: result.rowsChanged, fileSizeInBytes: bytes.length };
}

const COLUMNS = 'id: 1, region: 2, "at": 3';

async function rowsFile(maker: TableMaker, name: string, ids: string, region: string, day: number): Promise<DataFile> {
  const query = `SELECT i::INT AS id, '${region}' AS region, make_timestamptz(${day}::BIGINT * 86400000000) AS at FROM unnest([${ids}]) t(i)`;
  const file = await parquet(maker, name, query, COLUMNS);
  const partition: Value[] = [region, day];
  return { ...file, partition };
}

/** S3 over HTTP, as icebird asks for it: HEAD, and GET with a range. */
function serve(maker: TableMaker): void {
  const respond = async (input: string | URL | Request, init: RequestInit = {}): Promise<Response> => {
    const url = new URL(input instanceof Request ? input.url : input);
    const uri = `s3://${url.hostname.split(".")[0]}${url.pathname}` as ObjectUri;
    const bytes = maker.store.objects.get(uri)?.bytes;
    if (bytes === undefined) return new Response(null, { status: 404 });
    const headers = { "content-length": String(bytes.length) };
    if (init.method === "HEAD") return new Response(null, { headers });
    const range = /^bytes=(\d+)-(\d*)$/.exec(new Headers(init.headers).get("range") ?? "");
    if (range === null) return new Response(bytes.slice());
    const end = range[2] === "" ? bytes.length : Number(range[2]) + 1;
    return new Response(bytes.slice(Number(range[1]), end), { status: 206 });
  };
  vi.stubGlobal("fetch", respond);
}

async function readBack(maker: TableMaker): Promise<Record<string, unknown>[]> {
  serve(maker);
  const metadata = JSON.parse(new TextDecoder().decode(formatMetadata(maker.table.metadata)));
  return icebergRead({ tableUrl: LOCATION, metadata });
}

async function makeTable(): Promise<TableMaker> {
  const maker = new TableMaker();
  await maker.create(DRAFTS, ["region", "day(at)"]);
  const spec = defaultSpec(maker.table.metadata);
  const first = await rowsFile(maker, "a", "1, 2, 3", "eu", 19_000);
  const second = await rowsFile(maker, "b", "4, 5", "us", 19_001);
  await maker.commit([await maker.stage(spec, [first, second])]);
  await maker.commit([await maker.stage(spec, [await rowsFile(maker, "c", "6", "eu", 19_002)])]);
  return maker;
}

const idsOf = (rows: Record<string, unknown>[]) => rows.map((row) => Number(row["id"])).sort();

describe("a table made with this library", () => {
  it("is read by icebird, partitions and inherited sequence numbers included", async () => {
    const maker = await makeTable();
    const rows = await readBack(maker);
    expect(idsOf(rows)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(rows.find((row) => row["id"] === 4)).toMatchObject({ region: "us", at: new Date(19_001 * 86_400_000) });
    expect(await verifyTable(maker.store, maker.table.metadata)).toEqual([]);
  });

  it("is read by icebird after manifests were merged", async () => {
    const maker = await makeTable();
    await maker.commit([], [], (manifests, id) => maker.mergeData(manifests, id));
    expect(idsOf(await readBack(maker))).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it("loses exactly the rows of an equality delete, also those merged before it and none added with it", async () => {
    const maker = await makeTable();
    await maker.commit([], [], (manifests, id) => maker.mergeData(manifests, id));
    const spec = defaultSpec(maker.table.metadata);
    const deletes = await parquet(maker, "x", "SELECT i::INT AS id FROM unnest([2, 4]) t(i)", "id: 1");
    const again = await rowsFile(maker, "d", "2, 7", "eu", 19_003);
    await maker.commit([
      await maker.stage(UNPARTITIONED, [{ ...deletes, content: "equality-deletes", equalityIds: [1] }]),
      await maker.stage(spec, [again]),
    ]);
    expect(idsOf(await readBack(maker))).toEqual([1, 2, 3, 5, 6, 7]);
  });

  it("shows null for a column that was added later", async () => {
    const maker = await makeTable();
    const { metadata } = maker.table;
    const evolved = evolveSchema(currentSchema(metadata), metadata["last-column-id"], [
      { name: "note", type: "string" },
    ]);
    const file = await parquet(
      maker,
      "e",
      "SELECT 8::INT AS id, 'eu' AS region, make_timestamptz(0::BIGINT) AS at, 'hello' AS note",
      `${COLUMNS}, note: 4`,
    );
    const staged = await maker.stage(defaultSpec(metadata), [{ ...file, partition: ["eu", 0] }]);
    await maker.commit(
      [staged],
      [
        { action: "add-schema", schema: withSchemaId(evolved.schema, 1), "last-column-id": evolved.lastColumnId },
        { action: "set-current-schema", "schema-id": 1 },
      ],
    );
    const rows = await readBack(maker);
    expect(idsOf(rows)).toEqual([1, 2, 3, 4, 5, 6, 8]);
    expect(rows.find((row) => row["id"] === 8)?.["note"]).toBe("hello");
    expect(rows.find((row) => row["id"] === 1)?.["note"] ?? null).toBeNull();
  });
});
