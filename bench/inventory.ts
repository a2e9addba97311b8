// npm run bench -- inventory [gigabytes of gzip, 1]: a large S3 inventory goes through a small memory. Prints rows per second and the
// peak of resident memory. The CSV is one gzip member sent over and over (concatenated members are one gzip file), made as it is read;
// the Parquet file has 250,000 rows in each row group, is written by DuckDB and read from disk by byte ranges.

import { execFileSync } from "node:child_process";
import { createReadStream, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { readInventory } from "../lambdas/core/discovery/inventory.ts";
import type { InventoryFile } from "../lambdas/core/discovery/model.ts";
import type { ObjectUri } from "../lambdas/core/ids.ts";
import type { ByteRange, GetOutcome, ObjectStore } from "../lambdas/core/ports.ts";

const MIB = 1024 * 1024;
const MEMBER_ROWS = 200_000;
const PARQUET_ROWS = 2_000_000;
/** As Lambda sets it for a function of 512 MB or so; without a bound V8 would rather grow than collect. */
const HEAP_MIB = 320;
const COLUMNS = ["Bucket", "Key", "Size", "LastModifiedDate", "ETag", "StorageClass"];
const FACTS = { kind: "found", etag: "e", sizeBytes: 0, lastModifiedMs: 0 } as const;

function storeOf(body: (range: ByteRange | undefined) => AsyncIterable<Uint8Array>): ObjectStore {
  const get = async (_: ObjectUri, options: { range?: ByteRange } = {}): Promise<GetOutcome> => ({
    ...FACTS,
    body: body(options.range),
  });
  return { get } as unknown as ObjectStore;
}

/** Etags do not compress, which is what makes real inventories large. */
function csvMember(): Buffer {
  let state = 1n;
  const random = (): string => {
    state = (state * 6364136223846793005n + 1442695040888963407n) & 0xffffffffffffffffn;
    return state.toString(16).padStart(16, "0");
  };
  const rows = Array.from({ length: MEMBER_ROWS }, (_, n) => {
    const key = `in/year%3D2026/month%3D03/day%3D02/part-${String(n).padStart(8, "0")}-${random()}.csv.gz`;
    return `"landing","${key}","${n * 31}","2026-03-02T10:20:30.000Z","${random()}${random()}","STANDARD"\n`;
  });
  return gzipSync(rows.join(""));
}

async function measure(name: string, store: ObjectStore, file: InventoryFile): Promise<void> {
  const started = performance.now();
  let [objects, rows, peak] = [0, 0, 0];
  for await (const chunk of readInventory(store, file, { skipRows: 0, prefix: "in/" })) {
    objects += chunk.objects.length;
    rows = chunk.rows;
    peak = Math.max(peak, process.memoryUsage.rss());
  }
  const seconds = (performance.now() - started) / 1000;
  const facts = [
    `${(file.sizeBytes / MIB).toFixed(0)} MiB`,
    `${(rows / 1e6).toFixed(1)} M rows`,
    `${(objects / 1e6).toFixed(1)} M objects`,
    `${seconds.toFixed(1)} s`,
    `${Math.round(rows / seconds / 1000)} k rows/s`,
    `peak RSS ${(peak / MIB).toFixed(0)} MiB`,
  ];
  console.log(`${name.padEnd(8)} ${facts.join("  ")}`);
}

async function csv(gigabytes: number): Promise<void> {
  const member = csvMember();
  const times = Math.ceil((gigabytes * 1024 * MIB) / member.length);
  const body = async function* () {
    for (let n = 0; n < times; n++) {
      for (let at = 0; at < member.length; at += 64 * 1024) yield member.subarray(at, at + 64 * 1024);
    }
  };
  const file = { format: "CSV" as const, sizeBytes: times * member.length, columns: COLUMNS };
  await measure("csv", storeOf(body), { ...file, uri: "s3://reports/a.csv.gz" as ObjectUri });
}

async function parquet(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "moraine-inventory-"));
  const path = join(folder, "a.parquet");
  // In a process of its own: DuckDB's memory is not the reader's.
  execFileSync(process.execPath, [import.meta.filename, "--write", path]);
  const body = (range: ByteRange | undefined) =>
    createReadStream(path, range === undefined ? {} : { start: range.start, end: range.end - 1 });
  const file = { format: "Parquet" as const, sizeBytes: statSync(path).size, columns: [] };
  await measure("parquet", storeOf(body), { ...file, uri: "s3://reports/a.parquet" as ObjectUri });
  rmSync(folder, { recursive: true });
}

async function writeParquet(path: string): Promise<void> {
  const { DuckDBInstance } = await import("@duckdb/node-api");
  const instance = await DuckDBInstance.create(":memory:", { threads: "1" });
  const connection = await instance.connect();
  await connection.run(`COPY (
    SELECT 'landing' AS bucket, format('in/year=2026/month=03/day=02/part-{:08d}-{}.csv.gz', range, md5(range::VARCHAR)[:16]) AS key,
      range AS size, (TIMESTAMP '2026-03-02 10:20:30' + INTERVAL (range) SECOND)::TIMESTAMP_MS AS last_modified_date,
      md5((range + 7)::VARCHAR) AS e_tag, 'STANDARD' AS storage_class
    FROM range(${PARQUET_ROWS})) TO '${path}' (FORMAT parquet, COMPRESSION snappy, ROW_GROUP_SIZE 250000)`);
  connection.closeSync();
  instance.closeSync();
}

const [what, value] = process.argv.slice(2);
if (what === "--write") await writeParquet(value ?? "");
else if (what === "--csv") await csv(Number(value));
else if (what === "--parquet") await parquet();
else {
  for (const options of [["--csv", what ?? "1"], ["--parquet"]]) {
    const nodeOptions = [`--max-old-space-size=${HEAP_MIB}`, import.meta.filename, ...options];
    execFileSync(process.execPath, nodeOptions, { stdio: "inherit" });
  }
}
