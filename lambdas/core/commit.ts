// Committing a table: all sealed batches become one snapshot by one compare-and-swap of the catalog pointer.
//
//   head {seq: n-1} ──open intent──> head {seq: n-1, intent n} ──land──> table carries n ──settle──> head {seq: n}
//
// The intent is on record before the table is touched, so whoever finds it open finishes it; the watermark in the table says
// whether it landed. Locks, FIFO groups and hints only save work. Nothing is ever deleted here: an attempt whose outcome is
// unknown may be the one that landed.

import { buildCommit } from "./commit-build.ts";
import { isKind, MoraineError } from "./errors.ts";
import { findGhosts, removeGhosts } from "./ghosts.ts";
import { type BatchId, type IntentId, type Revision, type TableId, type TableName, tableIdOf } from "./ids.ts";
import { writeItem } from "./ledger-writes.ts";
import type { Catalog, Clock, Ledger, LoadedTable, ObjectStore, Queues, Random } from "./ports.ts";
import {
  BATCH_PREFIX,
  type BatchRecord,
  batchKey,
  type HeadRecord,
  headItem,
  headKey,
  type Intent,
  readBatch,
  readHead,
  tablePartition,
} from "./records.ts";
import type { Settings } from "./settings.ts";
import { settleIntent } from "./settle.ts";
import { assertSameTable } from "./table.ts";
import { placeIntent, readWatermark } from "./watermark.ts";

export interface CommitPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly store: ObjectStore;
  readonly ledger: Ledger;
  readonly catalog: Catalog;
  readonly queues: Queues;
}

export interface CommitContext {
  readonly ports: CommitPorts;
  readonly settings: Settings;
  /** No new intent is opened and no attempt begun after this. */
  readonly deadlineMs: number;
}

export interface CommitReport {
  readonly commits: number;
  readonly batches: number;
  readonly files: number;
  readonly records: number;
  /** Compare-and-swaps lost to other writers. */
  readonly conflicts: number;
  /** Work is left: the deadline came first. */
  readonly more: boolean;
}

interface OpenIntent {
  readonly head: HeadRecord;
  readonly revision: Revision;
  readonly intent: Intent;
}

/** Commits everything that is sealed. Throws Corrupt when ledger and table disagree, Unavailable to be called again. */
export async function commitTable(context: CommitContext, name: TableName): Promise<CommitReport> {
  const report = { commits: 0, batches: 0, files: 0, records: 0, conflicts: 0 };
  while (context.ports.clock.now() < context.deadlineMs) {
    const open = await openIntent(context, tableIdOf(name));
    if (open === "nothing") return { ...report, more: false };
    if (open === "raced") continue;
    const landed = await landIntent(context, name, open, () => report.conflicts++);
    if (landed === "finished elsewhere") continue;
    await settleIntent(context.ports, context.settings, { ...open, batches: landed });
    report.commits++;
    report.batches += open.intent.batches.length;
    report.files += open.intent.files;
    report.records += open.intent.records;
  }
  return { ...report, more: true };
}

/** The open intent, whoever opened it; else a new one over what is sealed. The head is read before the batches are. */
async function openIntent(context: CommitContext, table: TableId): Promise<OpenIntent | "nothing" | "raced"> {
  const { ports, settings } = context;
  const item = await ports.ledger.read(headKey(table));
  if (item === undefined) return "nothing";
  const head = readHead(item);
  if (head.intent !== undefined) return { head, revision: item.revision, intent: head.intent };
  const sealed = await sealedBatches(ports.ledger, table, settings.commitBatchesMax);
  if (sealed.length === 0) return "nothing";
  const ghosts = await findGhosts(ports.ledger, sealed);
  if (ghosts.length > 0) {
    await removeGhosts(ports.ledger, table, item.revision, ghosts);
    return "raced";
  }
  const intent: Intent = {
    seq: head.seq + 1,
    id: ports.random.uuid() as IntentId,
    batches: sealed.map((batch) => batch.batch),
    files: sealed.reduce((files, batch) => files + (batch.staged?.files.length ?? 0), 0),
    records: sealed.reduce((records, batch) => records + (batch.staged?.records ?? 0), 0),
    openedAtMs: ports.clock.now(),
  };
  const next: HeadRecord = { ...head, intent, updatedAtMs: intent.openedAtMs };
  const revision = `${intent.id}:open` as Revision;
  const outcome = await writeItem(ports.ledger, headItem(next, revision), item.revision);
  return outcome.kind === "written" ? { head: next, revision, intent } : "raced";
}

async function sealedBatches(ledger: Ledger, table: TableId, max: number): Promise<BatchRecord[]> {
  const sealed: BatchRecord[] = [];
  for await (const item of ledger.list(tablePartition(table), BATCH_PREFIX)) {
    const batch = readBatch(item);
    if (batch.state === "SEALED") sealed.push(batch);
    if (sealed.length === max) break;
  }
  return sealed;
}

/** Brings the open intent into the table, exactly once, whatever happened to earlier attempts at it. The batches still to be settled. */
async function landIntent(
  context: CommitContext,
  name: TableName,
  open: OpenIntent,
  onConflict: () => void,
): Promise<readonly BatchRecord[] | "finished elsewhere"> {
  const { ports, settings } = context;
  // Read before the table: a batch that is missing here was settled, so the table read after it must say "landed".
  const batches = await batchesLeft(ports.ledger, open);
  for (let attempt = 0; attempt < settings.commitAttemptsMax; attempt++) {
    const base = await ports.catalog.load(name);
    if (base === undefined) {
      throw new MoraineError("Corrupt", "table was dropped while a commit was open: restore it", {
        table: open.head.table,
      });
    }
    assertSameTable(open.head, base);
    const mark = readWatermark(base.metadata, settings.ledgerId);
    const place = placeIntent(mark, open.intent);
    if (place === "landed") return batches;
    if (place === "disagrees") return await explainDisagreement(context, open, mark);
    if (batches.length < open.intent.batches.length) return await explainMissing(context, open, batches.length);
    if (await attemptCommit(context, base, open.intent, batches, onConflict)) return batches;
  }
  throw new MoraineError("Unavailable", "commit keeps losing against other writers", {
    table: open.head.table,
    seq: open.intent.seq,
    attempts: settings.commitAttemptsMax,
  });
}

/** true: our swap is in. false: look again, for it lost, or the base was stale, or nobody can tell. */
async function attemptCommit(
  { ports, settings }: CommitContext,
  base: LoadedTable,
  intent: Intent,
  batches: readonly BatchRecord[],
  onConflict: () => void,
): Promise<boolean> {
  try {
    const outcome = await ports.catalog.commit(base, await buildCommit(ports, settings, base, intent, batches));
    if (outcome.kind === "conflict") onConflict();
    return outcome.kind === "committed";
  } catch (error) {
    if (isKind(error, "UnknownOutcome", "Conflict")) return false;
    throw error;
  }
}

async function explainMissing(context: CommitContext, open: OpenIntent, found: number): Promise<"finished elsewhere"> {
  if (!(await isStillOpen(context, open))) return "finished elsewhere";
  throw new MoraineError("Corrupt", "sealed batches of an open commit are missing from the ledger", {
    table: open.head.table,
    seq: open.intent.seq,
    expected: open.intent.batches.length,
    found,
  });
}

/** Batches of the intent whose items are still there; the others are settled. */
async function batchesLeft(ledger: Ledger, { head, intent }: OpenIntent): Promise<readonly BatchRecord[]> {
  const items = await ledger.readMany(intent.batches.map((batch: BatchId) => batchKey(head.table, batch)));
  return items.flatMap((item) => (item?.revision.endsWith(":sealed") ? [readBatch(item)] : []));
}

/** A slow committer may simply be late; if the intent is still open, ledger and table are not of one history. */
async function explainDisagreement(
  context: CommitContext,
  open: OpenIntent,
  mark: ReturnType<typeof readWatermark>,
): Promise<"finished elsewhere"> {
  if (!(await isStillOpen(context, open))) return "finished elsewhere";
  throw new MoraineError(
    "Corrupt",
    "the table's commit number does not follow the ledger's: one of them was restored from a backup, or two ledgers share an id",
    {
      table: open.head.table,
      ledgerSeq: open.intent.seq,
      tableSeq: mark.seq,
      intent: open.intent.id,
      tableIntent: mark.intent,
    },
  );
}

async function isStillOpen({ ports }: CommitContext, open: OpenIntent): Promise<boolean> {
  const item = await ports.ledger.read(headKey(open.head.table));
  return item?.revision === open.revision;
}
