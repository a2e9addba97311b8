// The sweeper: what crashed work left behind is finished or cleared away, on a schedule. It adds nothing to correctness; it makes
// sure that everything that was begun ends, also without another event. All tables are gone over twice: first for what others wait
// for, and only then for the clearing, which may take long and goes on where time allows (clear.ts).
//
//   open batch past its lease   -> aborted, its files sent to the intake queue again
//   sealed batch, open intent   -> commit hint
//   aborted batch, old enough   -> cleared away
//   landed commit, old enough   -> cleared away

import { abortBatch, abortedRevision } from "./batch.ts";
import { clearTable, isOld, isOver, type SweepContext, type SweepPorts, type TableSweep } from "./clear.ts";
import { isKind } from "./errors.ts";
import { type Revision, type TableName, tableIdOf } from "./ids.ts";
import { writeItem } from "./ledger-writes.ts";
import type { LedgerItem } from "./ports.ts";
import {
  BATCH_PREFIX,
  type BatchRecord,
  batchItem,
  batchKey,
  headKey,
  readBatch,
  readHead,
  tablePartition,
} from "./records.ts";
import { heldFiles, sendAgain } from "./release.ts";

export interface SweepReport {
  readonly name: TableName;
  readonly aborted: number;
  /** Events of aborted batches sent again. */
  readonly released: number;
  readonly hinted: boolean;
  /** Leftover objects deleted. */
  readonly removed: number;
  /** Clearing away is left for the next sweep: the deadline came first. */
  readonly more: boolean;
  readonly errors: readonly unknown[];
}

/** One table's failure is not another's. */
export async function sweepTables(context: SweepContext, names: readonly TableName[]): Promise<SweepReport[]> {
  const first = names.length === 0 ? 0 : context.turn % names.length;
  const sweeps = [...names.slice(first), ...names.slice(0, first)].map((name) => beginSweep(context, name));
  for (const pass of [tendTable, clearTable]) {
    for (const sweep of sweeps) await attempt(sweep, pass);
  }
  return sweeps.map(({ name, counts, errors }) => ({ name, ...counts, errors }));
}

function beginSweep(context: SweepContext, name: TableName): TableSweep {
  const counts = { aborted: 0, released: 0, removed: 0, hinted: false, more: false };
  return { ...context, name, counts, errors: [], overdue: [] };
}

async function attempt(sweep: TableSweep, pass: (sweep: TableSweep) => Promise<void>): Promise<void> {
  if (isOver(sweep)) sweep.counts.more = true;
  if (sweep.counts.more || sweep.errors.length > 0) return;
  try {
    await pass(sweep);
  } catch (error) {
    sweep.errors.push(error);
  }
}

/** What others wait for: dead batches, files to send again, the hint. */
async function tendTable(sweep: TableSweep): Promise<void> {
  const { ports, name } = sweep;
  let pending = await hasOpenIntent(ports, name);
  for await (const item of ports.ledger.list(tablePartition(tableIdOf(name)), BATCH_PREFIX)) {
    const batch = readBatch(item);
    if (batch.state === "SEALED") pending = true;
    else if (batch.state === "OPEN") await abortExpired(sweep, batch, item.revision);
    else if (batch.state === "ABORTED" && batch.released !== true) await releaseFiles(sweep, batch, item);
    else if (isOld(sweep, batch.abortedAtMs ?? 0)) sweep.overdue.push(item);
  }
  if (pending) await hint(sweep);
}

async function hasOpenIntent(ports: SweepPorts, name: TableName): Promise<boolean> {
  const item = await ports.ledger.read(headKey(tableIdOf(name)));
  return item !== undefined && readHead(item).intent !== undefined;
}

async function abortExpired(sweep: TableSweep, batch: BatchRecord, revision: Revision): Promise<void> {
  if (batch.leaseUntilMs > sweep.ports.clock.now()) return;
  const outcome = await abortBatch(sweep.ports, { record: batch, revision });
  if (outcome !== "aborted") return;
  sweep.counts.aborted++;
  const item = await sweep.ports.ledger.read(batchKey(batch.table, batch.batch));
  if (item !== undefined) await releaseFiles(sweep, readBatch(item), item);
}

/** The files of a batch that died go back to the queue, once. */
async function releaseFiles(sweep: TableSweep, batch: BatchRecord, item: LedgerItem): Promise<void> {
  const { ports } = sweep;
  const events = await heldFiles(ports.ledger, batch, { unclaimedToo: true });
  await sendAgain(ports.queues, events);
  sweep.counts.released += events.length;
  await writeItem(ports.ledger, batchItem({ ...batch, released: true }, releasedRevision(batch)), item.revision);
}

function releasedRevision(batch: BatchRecord): Revision {
  return `${abortedRevision(batch.batch)}:released` as Revision;
}

async function hint({ ports, settings, name, counts }: TableSweep): Promise<void> {
  counts.hinted = true;
  const interval = Math.floor(ports.clock.now() / settings.commitIntervalMs);
  try {
    await ports.queues.hintCommit(name, `${tableIdOf(name)}:sweep:${interval}`);
  } catch (error) {
    if (!isKind(error, "Unavailable", "UnknownOutcome")) throw error;
  }
}
