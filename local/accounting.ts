// The balance at the end of a local run: every object that an ingestion asks for, held against the ledger; every table, held
// against its current snapshot. A file that is in neither column is what `--once` must not hide.

import type { MoraineConfig } from "../lambdas/core/config.ts";
import { objectUri, type TableName, tableIdOf } from "../lambdas/core/ids.ts";
import type { Catalog, Ledger, ObjectStore } from "../lambdas/core/ports.ts";
import { type FileRecord, type FileStatus, fileKey, readFile } from "../lambdas/core/records.ts";
import { createRouter } from "../lambdas/core/routing.ts";
import { countRows } from "./rows.ts";

export interface Balance {
  readonly files: {
    readonly total: number;
    readonly success: number;
    readonly failed: number;
    readonly skipped: number;
    readonly rejected: number;
  };
  /** Objects whose version has no final word in the ledger. */
  readonly open: readonly string[];
  /** Objects no ingestion asks for. */
  readonly unrouted: number;
  readonly failures: readonly {
    readonly path: string;
    readonly status: FileStatus;
    readonly reason: string;
    readonly message: string;
  }[];
}

export interface TableReport {
  readonly name: string;
  readonly location: string;
  readonly metadataLocation: string;
  readonly rows: number;
  readonly dataFiles: number;
  readonly snapshots: number;
}

export interface LocalPorts {
  readonly store: ObjectStore;
  readonly ledger: Ledger;
  readonly catalog: Catalog;
}

const KEYS_AT_ONCE = 1000;

export async function takeBalance({ store, ledger }: LocalPorts, config: MoraineConfig): Promise<Balance> {
  const route = createRouter(config.ingestions);
  const counts: Record<FileStatus, number> = {
    DISCOVERED: 0,
    PROCESSING: 0,
    SUCCESS: 0,
    FAILED: 0,
    SKIPPED: 0,
    REJECTED: 0,
  };
  const failures: FileRecord[] = [];
  const open: string[] = [];
  let total = 0;
  let unrouted = 0;
  for (const { bucket } of config.landing) {
    for await (const objects of pagesOf(store.list(`s3://${bucket}/`))) {
      const routed = objects.flatMap(({ uri, etag, sizeBytes }) => {
        const key = uri.slice(`s3://${bucket}/`.length);
        const ingestion = key.endsWith("/") && sizeBytes === 0 ? undefined : route(bucket, key);
        return ingestion === undefined ? [] : [{ uri, etag, key: fileKey(ingestion.id, bucket, key) }];
      });
      unrouted += objects.length - routed.length;
      const items = await ledger.readMany(routed.map(({ key }) => key));
      routed.forEach(({ uri, etag }, n) => {
        const item = items[n];
        const file = item && readFile(item);
        total++;
        if (file === undefined || file.version.etag !== etag || !isFinal(file.status)) open.push(uri);
        else counts[file.status]++;
        if (file?.error !== undefined || (file !== undefined && file.status !== "SUCCESS")) failures.push(file);
      });
    }
  }
  return {
    files: {
      total,
      success: counts.SUCCESS,
      failed: counts.FAILED,
      skipped: counts.SKIPPED,
      rejected: counts.REJECTED,
    },
    open,
    unrouted,
    failures: failures.map((file) => ({
      path: objectUri(file.bucket, file.key),
      status: file.status,
      reason: file.reason ?? "",
      message: file.error?.message ?? "",
    })),
  };
}

function isFinal(status: FileStatus): boolean {
  return status !== "PROCESSING" && status !== "DISCOVERED";
}

async function* pagesOf<T>(items: AsyncIterable<T>): AsyncIterable<T[]> {
  let page: T[] = [];
  for await (const item of items) {
    page.push(item);
    if (page.length < KEYS_AT_ONCE) continue;
    yield page;
    page = [];
  }
  if (page.length > 0) yield page;
}

export async function reportTables(ports: LocalPorts, tables: readonly TableName[]): Promise<TableReport[]> {
  const reports: TableReport[] = [];
  for (const name of tables) {
    const table = await ports.catalog.load(name);
    if (table === undefined) continue;
    const { metadata, metadataLocation } = table;
    const { rows, dataFiles } = await countRows(ports.store, metadata);
    const snapshots = metadata.snapshots.length;
    reports.push({ name: tableIdOf(name), location: metadata.location, metadataLocation, rows, dataFiles, snapshots });
  }
  return reports;
}
