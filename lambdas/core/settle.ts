// Settling a landed intent: files SUCCESS, batches gone, commit on record, head moved on - in this order. A batch item goes only
// after its files are settled, and the head only after the batches are gone; so a crash anywhere is finished by the next
// committer, and no batch can be taken into a second intent.

import { sealedRevision } from "./batch.ts";
import { snapshotIdOf } from "./commit-build.ts";
import { mapLimit } from "./concurrency.ts";
import type { Revision } from "./ids.ts";
import { removeItem, writeItem } from "./ledger-writes.ts";
import type { Clock, Ledger, Queues } from "./ports.ts";
import {
  type BatchRecord,
  batchKey,
  type CommitRecord,
  claimRevision,
  commitItem,
  type FileRecord,
  fileItem,
  type HeadRecord,
  headItem,
  type Intent,
  type LeftoversRecord,
  leftoversItem,
  type StagedFile,
  settledRevision,
} from "./records.ts";
import { quarantineEvent } from "./schema/quarantine.ts";
import type { Settings } from "./settings.ts";

/** An intent that is in the table, with those of its batches whose items are still there. */
export interface LandedIntent {
  readonly head: HeadRecord;
  readonly revision: Revision;
  readonly intent: Intent;
  readonly batches: readonly BatchRecord[];
}

interface SettlePorts {
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly queues: Queues;
}

export async function settleIntent(ports: SettlePorts, settings: Settings, landed: LandedIntent): Promise<void> {
  const { head, intent } = landed;
  for (const batch of landed.batches) {
    const files = batch.staged?.files ?? [];
    await mapLimit(files, settings.parallelism, (file) => settleFile(ports, intent, batch, file));
    // Sent again when settling is done again, and loaded once all the same.
    const quarantine = batch.staged?.quarantine;
    if (quarantine !== undefined)
      await ports.queues.sendIntake([quarantineEvent(quarantine, batch.sealedAtMs ?? ports.clock.now())]);
    await removeItem(ports.ledger, batchKey(head.table, batch.batch), sealedRevision(batch.batch));
  }
  await recordCommit(ports, head, intent);
  await closeHead(ports, landed);
}

async function settleFile(ports: SettlePorts, intent: Intent, batch: BatchRecord, staged: StagedFile): Promise<void> {
  const { claimed, records, bytesRead } = staged;
  const processedAtMs = ports.clock.now();
  const changed = (batch.staged?.dataFiles ?? 0) + (batch.staged?.deleteFiles ?? 0) > 0;
  const snapshot = changed ? { snapshotId: snapshotIdOf(intent).toString() } : {};
  const file: FileRecord = {
    ...claimed,
    status: "SUCCESS",
    processedAtMs,
    durationMs: processedAtMs - claimed.startedAtMs,
    records,
    bytesRead,
    ...snapshot,
    loaded: {
      version: claimed.version,
      batch: batch.batch,
      records,
      ...(staged.rescued === undefined ? {} : { rescued: staged.rescued }),
      ...(staged.quarantined === undefined ? {} : { quarantined: staged.quarantined }),
      bytesRead,
      seq: intent.seq,
      processedAtMs,
      ...snapshot,
    },
  };
  // Refused: another committer settled this file before us, and it may have moved on since.
  await writeItem(ports.ledger, fileItem(file, settledRevision(batch.batch)), claimRevision(batch.batch));
}

async function recordCommit(ports: SettlePorts, { table }: HeadRecord, intent: Intent): Promise<void> {
  const { seq, batches, files, records } = intent;
  const leftovers: LeftoversRecord = { table, seq, intent: intent.id, batches, landedAtMs: ports.clock.now() };
  const commit: CommitRecord = { ...leftovers, files, records, snapshotId: snapshotIdOf(intent).toString() };
  const revision = `${intent.id}:landed` as Revision;
  await writeItem(ports.ledger, leftoversItem(leftovers, revision), "absent");
  await writeItem(ports.ledger, commitItem(commit, revision), "absent");
}

async function closeHead(ports: SettlePorts, { head, revision, intent }: LandedIntent): Promise<void> {
  const { intent: _settled, ...rest } = head;
  const totals = { files: head.totals.files + intent.files, records: head.totals.records + intent.records };
  const next: HeadRecord = { ...rest, seq: intent.seq, totals, updatedAtMs: ports.clock.now() };
  await writeItem(ports.ledger, headItem(next, `${intent.id}:settled` as Revision), revision);
}
