// manifest.json of S3 Inventory: which files a report has, and whether it tells of a file what a listing would.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory-location.html

import { MoraineError } from "../errors.ts";
import { objectUri } from "../ids.ts";
import { isRecord } from "../json-shape.ts";
import type { InventoryFile } from "./model.ts";

export interface Manifest {
  readonly files: readonly InventoryFile[];
  readonly sourceBucket: string;
  readonly createdAtMs: number;
}

/** What of an inventory is read, by the names of the inventory configuration. The last three are of versioned buckets. */
export type Field = "Key" | "Size" | "LastModifiedDate" | "ETag" | "IsLatest" | "IsDeleteMarker";
const REQUIRED: readonly Field[] = ["Key", "Size", "LastModifiedDate", "ETag"];

/** `uri`: of the manifest, for messages. */
export function parseManifest(text: string, uri: string): Manifest {
  const manifest = parseJson(text, uri);
  const format = textOf(manifest, "fileFormat", uri);
  if (format !== "CSV" && format !== "Parquet") {
    const remedy = "set the output format of the inventory configuration to Parquet or CSV";
    throw new MoraineError("Invalid", `inventories in ${format} cannot be read: ${remedy}`, { manifest: uri });
  }
  const columns = columnsOf(textOf(manifest, "fileSchema", uri), format);
  const missing = REQUIRED.filter((field) => columnAt(columns, field) < 0);
  if (missing.length > 0) {
    const remedy =
      "add it to the additional metadata fields of the inventory configuration and wait for its next report";
    throw new MoraineError("Invalid", `the inventory lacks ${missing.join(" and ")}: ${remedy}`, { manifest: uri });
  }
  const bucket = textOf(manifest, "destinationBucket", uri).replace(/^arn:[^:]*:s3:::/, "");
  const createdAtMs = Number(textOf(manifest, "creationTimestamp", uri));
  if (!Number.isSafeInteger(createdAtMs)) throw malformed(uri, "creationTimestamp");
  return {
    files: filesOf(manifest, uri).map(({ key, sizeBytes }) => ({
      uri: objectUri(bucket, key),
      format,
      sizeBytes,
      columns,
    })),
    sourceBucket: textOf(manifest, "sourceBucket", uri),
    createdAtMs,
  };
}

/** Place of a field among the columns; CSV names it `LastModifiedDate`, Parquet `last_modified_date`. */
export function columnAt(columns: readonly string[], field: Field): number {
  return columns.findIndex((column) => plain(column) === plain(field));
}

function plain(name: string): string {
  return name.toLowerCase().replaceAll("_", "");
}

/** `Bucket, Key, Size` or `message s3.inventory { required binary bucket (UTF8); … }`. */
function columnsOf(schema: string, format: InventoryFile["format"]): readonly string[] {
  if (format === "CSV") return schema.split(",").map((column) => column.trim());
  return [...schema.matchAll(/(?:required|optional)\s+\w+\s+(\w+)/g)].map(([, column = ""]) => column);
}

function filesOf(manifest: Record<string, unknown>, uri: string): { key: string; sizeBytes: number }[] {
  const { files } = manifest as { files?: unknown };
  if (!Array.isArray(files)) throw malformed(uri, "files");
  return files.map((file: unknown) => {
    if (!isRecord(file)) throw malformed(uri, "files[]");
    const sizeBytes = file["size"];
    if (typeof sizeBytes !== "number") throw malformed(uri, "files[].size");
    return { key: textOf(file, "key", uri), sizeBytes };
  });
}

function parseJson(text: string, uri: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new MoraineError("Invalid", "an inventory's manifest is not json", { manifest: uri }, cause);
  }
  if (!isRecord(value)) throw malformed(uri, "manifest");
  return value;
}

function textOf(record: Record<string, unknown>, field: string, uri: string): string {
  const value = record[field];
  if (typeof value !== "string" || value === "") throw malformed(uri, field);
  return value;
}

function malformed(uri: string, field: string): MoraineError {
  return new MoraineError("Invalid", "an inventory's manifest lacks or mistypes a field", { manifest: uri, field });
}
