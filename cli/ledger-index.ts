// The index that serves people is spread over shards, so that no index partition slows the writes of the base table down.
// Here the shards are put together again, in order. The index is eventually consistent: a file that changes its status while it
// is read may be seen under both, and is shown once, as it stands later.

import type { Ingestion } from "../lambdas/core/config.ts";
import type { IngestionId } from "../lambdas/core/ids.ts";
import type { Ledger, LedgerItem } from "../lambdas/core/ports.ts";
import {
  type FileRecord,
  type FileStatus,
  fileIndexPartition,
  INDEX_SHARDS,
  readFile,
} from "../lambdas/core/records.ts";

export interface FileQuery {
  readonly ingestions: readonly Pick<Ingestion, "id" | "source">[];
  readonly statuses: readonly FileStatus[];
  /** `s3://bucket/start-of-key`, or the start of a key in the ingestions' own buckets. */
  readonly prefix?: string;
  readonly limit: number;
}

export interface FilePage {
  readonly files: readonly FileRecord[];
  /** There are more than `limit`. */
  readonly more: boolean;
}

const INDEX_SORT_BYTES = 1000;

/** In order of path. */
export async function listFiles(ledger: Ledger, query: FileQuery): Promise<FilePage> {
  const streams = query.ingestions.flatMap((ingestion) => {
    const prefix = indexPrefix(ingestion, query.prefix);
    return query.statuses.flatMap((status) =>
      shardsOf(ledger, ingestion.id, status, prefix, query.limit + 1).map(filesOf),
    );
  });
  const files: FileRecord[] = [];
  for await (const file of mergeInOrder(streams, comparePaths)) {
    const last = files.findLastIndex((other) => isSameFile(other, file));
    if (last >= 0) files[last] = laterOf(files[last] as FileRecord, file);
    else if (files.length === query.limit) return { files, more: true };
    else files.push(file);
  }
  return { files, more: false };
}

export interface CappedCount {
  readonly count: number;
  /** Counting stopped here: there may be more. */
  readonly capped: boolean;
}

export async function countFiles(
  ledger: Ledger,
  ingestion: IngestionId,
  status: FileStatus,
  cap: number,
): Promise<CappedCount> {
  let count = 0;
  for (let shard = 0; shard < INDEX_SHARDS && count < cap; shard++) {
    const items = ledger.listIndex(fileIndexPartition(ingestion, status, shard), "", { limit: cap - count });
    for await (const _item of items) count++;
  }
  return { count, capped: count >= cap };
}

function indexPrefix(ingestion: Pick<Ingestion, "source">, prefix: string | undefined): string {
  if (prefix === undefined) return "";
  const path = prefix.startsWith("s3://") ? prefix.slice("s3://".length) : `${ingestion.source.bucket}/${prefix}`;
  return Buffer.from(path).subarray(0, INDEX_SORT_BYTES).toString("utf8");
}

function shardsOf(ledger: Ledger, ingestion: IngestionId, status: FileStatus, prefix: string, limit: number) {
  return Array.from({ length: INDEX_SHARDS }, (_, shard) =>
    ledger.listIndex(fileIndexPartition(ingestion, status, shard), prefix, { limit }),
  );
}

async function* filesOf(items: AsyncIterable<LedgerItem>): AsyncIterable<FileRecord> {
  for await (const item of items) yield readFile(item);
}

/** Merges streams that are each in order. All are opened at once; none is read further than asked. */
export async function* mergeInOrder<T>(
  streams: readonly AsyncIterable<T>[],
  compare: (a: T, b: T) => number,
): AsyncIterable<T> {
  const open = await Promise.all(
    streams.map(async (stream) => {
      const iterator = stream[Symbol.asyncIterator]();
      return { iterator, next: await iterator.next() };
    }),
  );
  try {
    for (;;) {
      const heads = open.filter(({ next }) => next.done !== true);
      const [first, ...others] = heads;
      if (first === undefined) return;
      const least = others.reduce((a, b) => (compare(b.next.value, a.next.value) < 0 ? b : a), first);
      yield least.next.value;
      least.next = await least.iterator.next();
    }
  } finally {
    for (const { iterator } of open) await iterator.return?.();
  }
}

/** As the index sorts: by UTF-8 bytes. */
function comparePaths(a: FileRecord, b: FileRecord): number {
  return Buffer.compare(Buffer.from(`${a.bucket}/${a.key}`), Buffer.from(`${b.bucket}/${b.key}`));
}

function isSameFile(a: FileRecord, b: FileRecord): boolean {
  return a.ingestion === b.ingestion && a.bucket === b.bucket && a.key === b.key;
}

function laterOf(a: FileRecord, b: FileRecord): FileRecord {
  const time = (file: FileRecord) => file.processedAtMs ?? file.startedAtMs;
  return time(b) >= time(a) ? b : a;
}
