// What `moraine status` knows: every table with its commits and what is on its way, every ingestion with what needs attention.
// Cheap on purpose: totals stand in the head, the rest is bounded; nothing is scanned.

import type { QueueDepth } from "../lambdas/adapters/operator.ts";
import { mapLimit } from "../lambdas/core/concurrency.ts";
import type { Ingestion } from "../lambdas/core/config.ts";
import { type IngestionId, type TableId, tableIdOf } from "../lambdas/core/ids.ts";
import type { Ledger } from "../lambdas/core/ports.ts";
import {
  BATCH_PREFIX,
  type BatchState,
  type CommitRecord,
  commitPartition,
  type FileStatus,
  headKey,
  type Intent,
  readBatch,
  readCommit,
  readHead,
  tablePartition,
} from "../lambdas/core/records.ts";
import { changesOf } from "../lambdas/core/schema/history.ts";
import { type CappedCount, countFiles } from "./ledger-index.ts";

export const COUNT_CAP = 1000;
/** SUCCESS is in the head's totals; DISCOVERED is about to be PROCESSING. */
export const ATTENTION = ["PROCESSING", "FAILED", "SKIPPED"] as const satisfies readonly FileStatus[];

export interface TableStatus {
  readonly table: TableId;
  readonly ingestions: readonly IngestionId[];
  /** Commits settled so far; 0 also when the table does not exist yet. */
  readonly commits: number;
  readonly files: number;
  readonly rows: number;
  readonly lastCommit?: CommitRecord;
  /** A commit that was begun and is not settled yet. */
  readonly openIntent?: Intent;
  readonly batches: Readonly<Record<BatchState, number>>;
  readonly batchesCapped: boolean;
}

export interface IngestionStatus {
  readonly ingestion: IngestionId;
  readonly table: TableId;
  readonly source: string;
  readonly files: Readonly<Record<(typeof ATTENTION)[number], CappedCount>>;
  /** Schema changes that wait for a decision. */
  readonly undecided: number;
}

export interface QueueStatus extends QueueDepth {
  readonly queue: string;
  readonly url: string;
}

export interface Status {
  readonly tables: readonly TableStatus[];
  readonly ingestions: readonly IngestionStatus[];
  /** Empty when the queues' URLs are not known. */
  readonly queues: readonly QueueStatus[];
}

const READS_AT_ONCE = 8;

export async function readStatus(ledger: Ledger, ingestions: readonly Ingestion[]): Promise<Omit<Status, "queues">> {
  const byTable = Map.groupBy(ingestions, ({ target }) => tableIdOf(target));
  const tables = await mapLimit([...byTable], READS_AT_ONCE, ([table, users]) => readTable(ledger, table, users));
  const counted = await mapLimit(ingestions, READS_AT_ONCE, (ingestion) => readIngestion(ledger, ingestion));
  return { tables, ingestions: counted };
}

export async function readQueues(
  queues: readonly { readonly queue: string; readonly url: string }[],
  depthOf: (url: string) => Promise<QueueDepth>,
): Promise<QueueStatus[]> {
  return mapLimit(queues, READS_AT_ONCE, async (queue) => ({ ...queue, ...(await depthOf(queue.url)) }));
}

async function readTable(ledger: Ledger, table: TableId, users: readonly Ingestion[]): Promise<TableStatus> {
  const item = await ledger.read(headKey(table));
  const head = item === undefined ? undefined : readHead(item);
  const lastCommit = await readLastCommit(ledger, table);
  return {
    table,
    ingestions: users.map(({ id }) => id),
    commits: head?.seq ?? 0,
    files: head?.totals.files ?? 0,
    rows: head?.totals.records ?? 0,
    ...(lastCommit === undefined ? {} : { lastCommit }),
    ...(head?.intent === undefined ? {} : { openIntent: head.intent }),
    ...(await countBatches(ledger, table)),
  };
}

async function readLastCommit(ledger: Ledger, table: TableId): Promise<CommitRecord | undefined> {
  for await (const item of ledger.list(commitPartition(table), "", { limit: 1, reverse: true }))
    return readCommit(item);
  return undefined;
}

async function countBatches(ledger: Ledger, table: TableId): Promise<Pick<TableStatus, "batches" | "batchesCapped">> {
  const batches = { OPEN: 0, SEALED: 0, ABORTED: 0 };
  let count = 0;
  for await (const item of ledger.list(tablePartition(table), BATCH_PREFIX, { limit: COUNT_CAP })) {
    batches[readBatch(item).state]++;
    count++;
  }
  return { batches, batchesCapped: count >= COUNT_CAP };
}

async function readIngestion(ledger: Ledger, ingestion: Ingestion): Promise<IngestionStatus> {
  const counts = await mapLimit(ATTENTION, ATTENTION.length, async (status) => {
    return [status, await countFiles(ledger, ingestion.id, status, COUNT_CAP)] as const;
  });
  const changes = await changesOf(ledger, ingestion.id);
  return {
    ingestion: ingestion.id,
    undecided: changes.filter(({ status }) => status === "OPEN").length,
    table: tableIdOf(ingestion.target),
    source: `s3://${ingestion.source.bucket}/${ingestion.source.prefix}`,
    files: Object.fromEntries(counts) as IngestionStatus["files"],
  };
}
