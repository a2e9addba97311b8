// S3 Inventory: which report is taken, what a row becomes, and what is refused with its remedy.

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { DuckDBInstance } from "@duckdb/node-api";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { findInventory, readInventory } from "../../../lambdas/core/discovery/inventory.ts";
import { windowsOf } from "../../../lambdas/core/discovery/inventory-parquet.ts";
import { compareUtf8 } from "../../../lambdas/core/discovery/key-order.ts";
import type { InventoryFile } from "../../../lambdas/core/discovery/model.ts";
import type { ObjectUri } from "../../../lambdas/core/ids.ts";
import type { ListedObject } from "../../../lambdas/core/ports.ts";
import { ManualClock } from "../../fakes/manual-clock.ts";
import { MemoryObjectStore } from "../../fakes/memory-object-store.ts";

const LOCATION = "s3://reports/daily/landing/all";
const CURRENT = "Bucket, Key, Size, LastModifiedDate, ETag, StorageClass";
const VERSIONS = "Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size, LastModifiedDate, ETag, StorageClass";
const ETAG = "0123456789abcdef0123456789abcdef";
const MODIFIED = "2026-03-01T10:20:30.000Z";

let store: MemoryObjectStore;
beforeEach(() => {
  store = new MemoryObjectStore(new ManualClock());
});

const uri = (text: string) => text as ObjectUri;
const bytesOf = (text: string) => new TextEncoder().encode(text);

async function report(folder: string, changes: Readonly<Record<string, unknown>> = {}): Promise<void> {
  const manifest = {
    sourceBucket: "landing",
    destinationBucket: "arn:aws:s3:::reports",
    version: "2016-11-30",
    creationTimestamp: "1772355600000",
    fileFormat: "CSV",
    fileSchema: CURRENT,
    files: [{ key: "daily/landing/all/data/a.csv.gz", size: 99, MD5checksum: "f11166069f1990abeb9c97ace9cdfabc" }],
    ...changes,
  };
  await store.put(uri(`${LOCATION}/${folder}/manifest.json`), bytesOf(JSON.stringify(manifest)));
  await store.put(uri(`${LOCATION}/${folder}/manifest.checksum`), bytesOf("f11166069f1990abeb9c97ace9cdfabc"));
}

const line = (...fields: readonly string[]): string => `${fields.map((field) => `"${field}"`).join(",")}\n`;
const current = (key: string, size = "7", etag = ETAG): string =>
  line("landing", key, size, MODIFIED, etag, "STANDARD");

async function csvFile(text: string, schema = CURRENT, name = "a"): Promise<InventoryFile> {
  const bytes = gzipSync(text);
  const file = {
    uri: uri(`${LOCATION}/data/${name}.csv.gz`),
    format: "CSV" as const,
    sizeBytes: bytes.length,
    columns: schema.split(", "),
  };
  await store.put(file.uri, bytes);
  return file;
}

async function read(file: InventoryFile, prefix = "", skipRows = 0) {
  const objects: ListedObject[] = [];
  let rows = skipRows;
  for await (const chunk of readInventory(store, file, { skipRows, prefix })) {
    expect(chunk.objects).toEqual(chunk.objects.toSorted((a, b) => compareUtf8(a.key, b.key)));
    objects.push(...chunk.objects);
    rows = chunk.rows;
  }
  return { objects, rows };
}

const keysOf = ({ objects }: { objects: readonly ListedObject[] }) => objects.map(({ key }) => key);

describe("the newest report", () => {
  test("is the newest folder that has a manifest, among data and Hive's links", async () => {
    await report("2026-02-28T01-00Z", { creationTimestamp: "1772240400000" });
    await report("2026-03-01T01-00Z");
    await store.put(uri(`${LOCATION}/2026-03-02T01-00Z/manifest.checksum`), bytesOf("x"));
    await store.put(uri(`${LOCATION}/data/a.csv.gz`), bytesOf("x"));
    await store.put(uri(`${LOCATION}/hive/dt=2026-03-02-01-00/symlink.txt`), bytesOf("x"));
    expect(await findInventory(store, `${LOCATION}/`)).toEqual({
      manifest: `${LOCATION}/2026-03-01T01-00Z/manifest.json`,
      sourceBucket: "landing",
      createdAtMs: 1_772_355_600_000,
      files: [
        {
          uri: "s3://reports/daily/landing/all/data/a.csv.gz",
          format: "CSV",
          sizeBytes: 99,
          columns: ["Bucket", "Key", "Size", "LastModifiedDate", "ETag", "StorageClass"],
        },
      ],
    });
  });

  test("may be Parquet", async () => {
    const fileSchema =
      "message s3.inventory { required binary bucket (UTF8); required binary key (UTF8); optional boolean is_latest; " +
      "optional int64 size; optional int64 last_modified_date (TIMESTAMP_MILLIS); optional binary e_tag (UTF8); }";
    await report("2026-03-01T01-00Z", { fileFormat: "Parquet", fileSchema });
    const { files } = await findInventory(store, LOCATION);
    expect(files[0]).toMatchObject({
      format: "Parquet",
      columns: ["bucket", "key", "is_latest", "size", "last_modified_date", "e_tag"],
    });
  });

  test.each<[string, Readonly<Record<string, unknown>>, string]>([
    ["ORC", { fileFormat: "ORC" }, "inventories in ORC cannot be read: set the output format"],
    [
      "without ETag",
      { fileSchema: "Bucket, Key, Size, LastModifiedDate" },
      "the inventory lacks ETag: add it to the additional metadata fields of the inventory configuration",
    ],
    [
      "without size and date",
      { fileSchema: "Bucket, Key, ETag" },
      "the inventory lacks Size and LastModifiedDate: add",
    ],
    ["with a field missing", { files: undefined }, "lacks or mistypes a field"],
    ["with a time that is none", { creationTimestamp: "yesterday" }, "field=creationTimestamp"],
  ])("%s is refused with its remedy", async (_name, changes, message) => {
    await report("2026-03-01T01-00Z", changes);
    await expect(findInventory(store, LOCATION)).rejects.toThrow(message);
  });

  test("that is not there is asked for", async () => {
    await expect(findInventory(store, LOCATION)).rejects.toThrow(
      "there is no inventory report at the location: name the folder that holds its dated folders",
    );
  });
});

describe("a CSV inventory", () => {
  test("gives what a listing gives", async () => {
    const file = await csvFile(current("orders/1.csv", "12") + current("orders/2.csv", "0", `${ETAG}-3`));
    const lastModifiedMs = Date.parse(MODIFIED);
    expect((await read(file)).objects).toEqual([
      { key: "orders/1.csv", etag: ETAG, sizeBytes: 12, lastModifiedMs },
      { key: "orders/2.csv", etag: `${ETAG}-3`, sizeBytes: 0, lastModifiedMs },
    ]);
  });

  test("has keys encoded as forms are", async () => {
    const keys = ["a b", "a+b", "100%", "é/日本", 'quo"te', "com,ma", "new\nline", "😀"];
    const encoded = (key: string) => encodeURIComponent(key).replaceAll("%20", "+").replaceAll("%2F", "/");
    const file = await csvFile(keys.map((key) => current(encoded(key))).join(""));
    expect(new Set(keysOf(await read(file)))).toEqual(new Set(keys));
  });

  test("of a versioned bucket gives current versions, and no delete markers", async () => {
    const row = (key: string, latest: string, marker: string, size: string) =>
      line("landing", key, "v1", latest, marker, size, MODIFIED, marker === "true" ? "" : ETAG, "STANDARD");
    const file = await csvFile(
      row("a", "true", "false", "1") + row("a", "false", "false", "2") + row("b", "true", "true", ""),
      VERSIONS,
    );
    const { objects, rows } = await read(file);
    expect(objects.map(({ key, sizeBytes }) => [key, sizeBytes])).toEqual([["a", 1]]);
    expect(rows).toBe(3);
  });

  test("is cut to the prefix, counts every row, and is taken up again behind any number of them", async () => {
    const keys = Array.from({ length: 30_000 }, (_, n) => `${n % 3 === 0 ? "in" : "out"}/${(n * 7919) % 30_000}`);
    const file = await csvFile(keys.map((key) => current(key)).join(""));
    const all = await read(file, "in/");
    expect(all.rows).toBe(30_000);
    expect(new Set(keysOf(all))).toEqual(new Set(keys.filter((key) => key.startsWith("in/"))));
    for (const skipRows of [1, 4321, 29_999, 30_000]) {
      const rest = await read(file, "in/", skipRows);
      expect(rest.rows).toBe(30_000);
      expect(new Set(keysOf(rest))).toEqual(new Set(keys.slice(skipRows).filter((key) => key.startsWith("in/"))));
    }
  });

  test("comes in chunks of a few thousand, and goes on also where nothing is of interest", async () => {
    const file = await csvFile(current("out/x").repeat(250_000));
    const chunks: number[] = [];
    for await (const { rows } of readInventory(store, file, { skipRows: 0, prefix: "in/" })) chunks.push(rows);
    expect(chunks.length).toBeGreaterThanOrEqual(3);
    const some = await csvFile(Array.from({ length: 20_000 }, (_, n) => current(`in/${n}`)).join(""));
    for await (const { objects } of readInventory(store, some, { skipRows: 0, prefix: "in/" })) {
      expect(objects.length).toBeLessThan(8000);
    }
  });

  test("may lack quotes, end without a newline, or have Windows' line ends", async () => {
    const plain = current("a").replaceAll('"', "") + current("b").replaceAll('"', "").trimEnd();
    expect(keysOf(await read(await csvFile(plain)))).toEqual(["a", "b"]);
    expect(keysOf(await read(await csvFile((current("a") + current("b")).replaceAll("\n", "\r\n"))))).toEqual([
      "a",
      "b",
    ]);
    expect(keysOf(await read(await csvFile("")))).toEqual([]);
  });

  test.each([
    ["a field too few", line("landing", "a", "1"), "another number of fields than its manifest"],
    ["no ETag", current("a", "1", ""), "lacks its key, etag, size or date"],
    ["no size", current("a", ""), "lacks its key, etag, size or date"],
  ])("with %s in a row names the row", async (_name, broken, message) => {
    const failure = read(await csvFile(current("ok") + broken));
    await expect(failure).rejects.toThrow(message);
    await expect(read(await csvFile(current("ok") + broken))).rejects.toThrow("row=2");
  });

  test("that ends early or is no gzip is an error, never a shorter list", async () => {
    const file = await csvFile(current("a").repeat(1000));
    const bytes = store.objects.get(file.uri)?.bytes ?? new Uint8Array();
    await store.put(file.uri, bytes.subarray(0, bytes.length - 20));
    await expect(read(file)).rejects.toThrow("is no gzip, or ends early");
    await store.put(file.uri, bytesOf(current("a")));
    await expect(read(file)).rejects.toThrow("is no gzip, or ends early");
    await store.remove([file.uri]);
    await expect(read(file)).rejects.toThrow("is not there any more");
  });

  test("a reader that leaves early ends the download", async () => {
    const file = await csvFile(Array.from({ length: 200_000 }, (_, n) => current(`in/${n * 7919}`)).join(""));
    const bytes = store.objects.get(file.uri)?.bytes ?? new Uint8Array();
    let sent = 0;
    let ended = false;
    store.get = async () => ({
      kind: "found",
      etag: "e",
      sizeBytes: bytes.length,
      lastModifiedMs: 0,
      body: (async function* () {
        try {
          for (; sent < bytes.length; sent += 4096) yield bytes.subarray(sent, sent + 4096);
        } finally {
          ended = true;
        }
      })(),
    });
    for await (const { objects } of readInventory(store, file, { skipRows: 0, prefix: "" })) {
      expect(objects.length).toBeGreaterThan(0);
      break;
    }
    await expect.poll(() => ended).toBe(true);
    expect(sent).toBeLessThan(bytes.length / 2);
  });
});

describe("a Parquet inventory", () => {
  const folder = mkdtempSync(join(tmpdir(), "moraine-inventory-"));
  afterAll(() => rmSync(folder, { recursive: true }));

  async function parquetFile(select: string, options = "ROW_GROUP_SIZE 4096"): Promise<InventoryFile> {
    const path = join(folder, "inventory.parquet");
    const connection = await (await DuckDBInstance.create()).connect();
    await connection.run(`COPY (${select}) TO '${path}' (FORMAT parquet, COMPRESSION snappy, ${options})`);
    connection.closeSync();
    const bytes = readFileSync(path);
    const file = {
      uri: uri(`${LOCATION}/data/a.parquet`),
      format: "Parquet" as const,
      sizeBytes: bytes.length,
      columns: [],
    };
    await store.put(file.uri, bytes);
    return file;
  }

  const rows = (count: number) => `
    SELECT 'landing' AS bucket, 'in/' || lpad(((range * 7919) % ${count})::VARCHAR, 8, '0') || ' +%' AS key, 'v' AS version_id,
      range % 10 <> 3 AS is_latest, range % 10 = 4 AS is_delete_marker,
      CASE WHEN range % 10 <> 4 THEN range END::BIGINT AS size,
      (TIMESTAMP '2026-03-01 10:20:30' + INTERVAL (range) SECOND)::TIMESTAMP_MS AS last_modified_date,
      CASE WHEN range % 10 <> 4 THEN md5(range::VARCHAR) END AS e_tag, 'STANDARD' AS storage_class
    FROM range(${count})`;

  test("gives current versions with keys as they are, row group by row group", async () => {
    const file = await parquetFile(rows(20_000));
    const all = await read(file, "in/");
    expect(all.rows).toBe(20_000);
    expect(all.objects).toHaveLength(16_000);
    const object = all.objects.find(({ sizeBytes }) => sizeBytes === 11);
    const lastModifiedMs = Date.parse("2026-03-01T10:20:41.000Z");
    const key = `in/${String((11 * 7919) % 20_000).padStart(8, "0")} +%`;
    expect(object).toEqual({ key, etag: "6512bd43d9caa6e02c990b0a82652dca", sizeBytes: 11, lastModifiedMs });
  });

  test("is taken up again behind any number of rows, without the row groups before them", async () => {
    const file = await parquetFile(rows(20_000));
    const all = new Set(keysOf(await read(file)));
    for (const skipRows of [1, 4096, 12_345, 20_000]) {
      const rest = await read(file, "", skipRows);
      expect(rest.rows).toBe(20_000);
      expect(keysOf(rest).every((key) => all.has(key))).toBe(true);
      const skipped = [...Array(skipRows).keys()].filter((n) => n % 10 !== 3 && n % 10 !== 4).length;
      expect(rest.objects).toHaveLength(16_000 - skipped);
    }
    store.calls.clear();
    await read(file, "", 19_999);
    // The footer, and the six columns of the last row group.
    expect(store.calls.get("get")).toBeLessThanOrEqual(7);
  });

  test("is decoded in windows that lie in one row group each and leave out no row", () => {
    const windows = (skipRows: number) =>
      [...windowsOf([10, 0, 25, 3], skipRows, 10)].map(({ rowStart, rowEnd }) => [rowStart, rowEnd]);
    expect(windows(0)).toEqual([
      [0, 10],
      [10, 20],
      [20, 30],
      [30, 35],
      [35, 38],
    ]);
    expect(windows(12)).toEqual([
      [12, 22],
      [22, 32],
      [32, 35],
      [35, 38],
    ]);
    expect(windows(36)).toEqual([[36, 38]]);
    expect(windows(38)).toEqual([]);
  });

  test("shorter than its manifest says, or gone, is an error", async () => {
    const file = await parquetFile(rows(10));
    await expect(read({ ...file, sizeBytes: file.sizeBytes + 9 })).rejects.toThrow("shorter than its manifest says");
    await store.remove([file.uri]);
    await expect(read(file)).rejects.toThrow("is not there any more");
  });

  test("of current versions alone has no columns of versions", async () => {
    const file = await parquetFile(
      `SELECT key, size, last_modified_date, e_tag FROM (${rows(10)}) WHERE size IS NOT NULL`,
    );
    expect((await read(file)).objects).toHaveLength(9);
  });

  test("without an ETag in a row names the row", async () => {
    const file = await parquetFile(`SELECT * REPLACE (NULL::VARCHAR AS e_tag) FROM (${rows(1)})`);
    await expect(read(file)).rejects.toThrow("lacks its key, etag, size or date");
  });
});
