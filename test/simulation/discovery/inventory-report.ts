// An S3 Inventory report of the simulated bucket as it stands: CSV files, gzipped, and then the manifest that names them.

import { gzipSync } from "node:zlib";
import { type ObjectUri, objectUri } from "../../../lambdas/core/ids.ts";
import type { MemoryObjectStore } from "../../fakes/memory-object-store.ts";
import { BUCKET } from "./bucket.ts";

const INVENTORY_BUCKET = "inventories";
const FOLDER = `${BUCKET}/all`;
export const INVENTORY_LOCATION = `s3://${INVENTORY_BUCKET}/${FOLDER}`;
const SCHEMA = "Bucket, Key, Size, LastModifiedDate, ETag";
const ROWS_PER_FILE = 25;

const MINUTE_MS = 60_000;
const FIRST_MS = Date.UTC(2026, 0, 1);

/** `serial`: reports are told apart, and ordered, by the minute in their name. */
export async function writeInventory(
  store: MemoryObjectStore,
  nowMs: number,
  serial: number,
  location = INVENTORY_LOCATION,
): Promise<void> {
  const start = `s3://${BUCKET}/`;
  const rows = [...store.objects]
    .filter(([uri]) => uri.startsWith(start))
    .map(([uri, { bytes, etag, lastModifiedMs }]) =>
      [BUCKET, encodeURIComponent(uri.slice(start.length)), bytes.length, new Date(lastModifiedMs).toISOString(), etag]
        .map((value) => `"${value}"`)
        .join(","),
    );
  const files: { key: string; size: number; MD5checksum: string }[] = [];
  const name = new Date(FIRST_MS + serial * MINUTE_MS).toISOString().slice(0, 16).replaceAll(":", "-");
  for (let at = 0; at < rows.length; at += ROWS_PER_FILE) {
    const body = gzipSync(`${rows.slice(at, at + ROWS_PER_FILE).join("\n")}\n`);
    const key = `${FOLDER}/data/${name}-${at}.csv.gz`;
    const stored = await store.put(objectUri(INVENTORY_BUCKET, key), new Uint8Array(body));
    files.push({ key, size: body.length, MD5checksum: stored.kind === "stored" ? stored.etag : "" });
  }
  const manifest = {
    sourceBucket: BUCKET,
    destinationBucket: `arn:aws:s3:::${INVENTORY_BUCKET}`,
    version: "2016-11-30",
    creationTimestamp: String(nowMs),
    fileFormat: "CSV",
    fileSchema: SCHEMA,
    files,
  };
  const bytes = new Uint8Array(Buffer.from(JSON.stringify(manifest)));
  const checksum = new Uint8Array(Buffer.from(files.map((file) => file.MD5checksum).join("")));
  await store.put(`${location}/${name}Z/manifest.json` as ObjectUri, bytes);
  await store.put(`${location}/${name}Z/manifest.checksum` as ObjectUri, checksum);
}
