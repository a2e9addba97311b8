// What `moraine file` tells of one object: its record under every ingestion that ever took it up, what its batch is about to do,
// and for an object nobody took up, which ingestion would, or why none does.

import type { Ingestion } from "../lambdas/core/config.ts";
import { MoraineError } from "../lambdas/core/errors.ts";
import { type IngestionId, splitUri, tableIdOf } from "../lambdas/core/ids.ts";
import type { Ledger } from "../lambdas/core/ports.ts";
import { type BatchState, batchKey, type FileRecord, fileKey, readBatch, readFile } from "../lambdas/core/records.ts";
import { createRouter } from "../lambdas/core/routing.ts";

export interface FileStory {
  readonly path: string;
  /** The ingestion that takes events of this path; null: none does. */
  readonly routedTo: IngestionId | null;
  /** Empty: the ledger does not know the file. The routed ingestion's first. */
  readonly records: readonly KnownFile[];
  /** What to do about an unknown file. */
  readonly hint?: string;
}

export interface KnownFile extends FileRecord {
  /** State of the batch that holds the claim of a PROCESSING file; absent: the batch is over. */
  readonly batchState?: BatchState;
  readonly leaseUntilMs?: number;
}

/** `path`: with the bucket's real name. */
export async function readFileStory(
  ledger: Ledger,
  ingestions: readonly Ingestion[],
  path: string,
): Promise<FileStory> {
  const { bucket, key } = parsePath(path);
  const routed = createRouter(ingestions)(bucket, key);
  const order = ingestions.toSorted((a, b) => Number(b === routed) - Number(a === routed));
  const items = await ledger.readMany(order.map(({ id }) => fileKey(id, bucket, key)));
  const records: KnownFile[] = [];
  for (const item of items) if (item !== undefined) records.push(await withBatch(ledger, readFile(item)));
  return {
    path: `s3://${bucket}/${key}`,
    routedTo: routed?.id ?? null,
    records,
    ...(records.length > 0 ? {} : { hint: routed === undefined ? noRoute(ingestions, bucket, key) : noEvent(routed) }),
  };
}

function parsePath(path: string): { bucket: string; key: string } {
  try {
    return splitUri(path);
  } catch {
    throw new MoraineError("Invalid", "not the path of an object: write it as s3://bucket/key, not url-encoded", {
      path,
    });
  }
}

async function withBatch(ledger: Ledger, file: FileRecord): Promise<KnownFile> {
  if (file.status !== "PROCESSING") return file;
  const item = await ledger.read(batchKey(file.table, file.batch));
  if (item === undefined) return file;
  const { state, leaseUntilMs } = readBatch(item);
  return { ...file, batchState: state, leaseUntilMs };
}

function noEvent({ id, target }: Ingestion): string {
  return `ingestion ${id} would load it into ${tableIdOf(target)}, but no event of it has been taken up: check that the object exists and that the intake queue is not behind (moraine status); copying the object onto itself sends the event again`;
}

function noRoute(ingestions: readonly Ingestion[], bucket: string, key: string): string {
  const reasons = ingestions.map(({ id, source }) => `${id}: ${whyNot(source, bucket, key)}`);
  return `no ingestion of the configuration asks for it (${reasons.join("; ")})`;
}

function whyNot(source: Ingestion["source"], bucket: string, key: string): string {
  if (source.bucket !== bucket) return `reads bucket ${source.bucket}`;
  if (!key.startsWith(source.prefix)) return `reads prefix ${source.prefix}`;
  return "its include and exclude globs leave the file out";
}
