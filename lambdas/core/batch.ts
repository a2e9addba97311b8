// The batch is the unit of fencing. Sealing and aborting are the two sides of one compare-and-swap on the batch item, so
// exactly one of them wins, whatever clocks and zombies do:
//
//   open ──seal──> SEALED     the committer takes it from here; its files stay claimed until they are settled
//     └────abort──> ABORTED   its claims mean nothing any more; whoever meets them may take the files
//
// A batch without an item is over: either all its files were settled before the item was removed, or it was aborted and swept.

import { MoraineError } from "./errors.ts";
import type { ObjectEvent } from "./events.ts";
import type { BatchId, IngestionId, Revision, TableId } from "./ids.ts";
import { removeItem, writeItem } from "./ledger-writes.ts";
import type { Clock, Ledger, Random } from "./ports.ts";
import { type BatchRecord, batchItem, batchKey, readBatch, type Staged } from "./records.ts";

interface BatchPorts {
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly random: Random;
}

export interface HeldBatch {
  readonly record: BatchRecord;
  readonly revision: Revision;
}

export async function openBatch(
  ports: BatchPorts,
  facts: { readonly table: TableId; readonly ingestion: IngestionId; readonly intends: readonly ObjectEvent[] },
  leaseMs: number,
): Promise<HeldBatch> {
  const now = ports.clock.now();
  const batch = ports.random.uuid() as BatchId;
  const record: BatchRecord = { ...facts, batch, state: "OPEN", openedAtMs: now, leaseUntilMs: now + leaseMs };
  const revision = `${batch}:open` as Revision;
  const outcome = await writeItem(ports.ledger, batchItem(record, revision), "absent");
  // Written, but the response was lost for so long that the lease ran out before it was asked for again.
  if (outcome.kind === "refused") throw new MoraineError("Fenced", "batch was aborted before it began", { batch });
  return { record, revision };
}

/** Throws Fenced when the batch was aborted meanwhile: nothing it staged will ever be committed. */
export async function sealBatch(ports: BatchPorts, held: HeldBatch, staged: Staged): Promise<void> {
  const record: BatchRecord = { ...held.record, state: "SEALED", sealedAtMs: ports.clock.now(), staged };
  const outcome = await writeItem(ports.ledger, batchItem(record, sealedRevision(record.batch)), held.revision);
  if (outcome.kind === "refused") {
    throw new MoraineError("Fenced", "batch was aborted before it could be sealed", { batch: record.batch });
  }
}

export function sealedRevision(batch: BatchId): Revision {
  return `${batch}:sealed` as Revision;
}

/**
 * "sealed": the other side won. "gone": the batch is over, one way or the other. `released`: whoever aborts still holds the
 * messages of its files and gives them back; were they sent again as well, each failed delivery would make another one, for ever.
 */
export async function abortBatch(
  ports: BatchPorts,
  held: HeldBatch,
  { released = false } = {},
): Promise<"aborted" | "sealed" | "gone"> {
  const record: BatchRecord = {
    ...held.record,
    state: "ABORTED",
    abortedAtMs: ports.clock.now(),
    ...(released ? { released } : {}),
  };
  const outcome = await writeItem(ports.ledger, batchItem(record, abortedRevision(record.batch)), held.revision);
  if (outcome.kind === "written") return "aborted";
  if (outcome.current === undefined) return "gone";
  return readBatch(outcome.current).state === "SEALED" ? "sealed" : "aborted";
}

export function abortedRevision(batch: BatchId): Revision {
  return `${batch}:aborted` as Revision;
}

/** An open batch that claimed nothing and wrote nothing leaves nothing behind. */
export async function discardBatch(ports: BatchPorts, held: HeldBatch): Promise<void> {
  await removeItem(ports.ledger, batchKey(held.record.table, held.record.batch), held.revision);
}

/** Whether a claim made by a batch still binds. "expired": its lease ran out, and whoever aborts it first may take its files. */
export type Hold = "open" | "sealed" | "given up" | "gone" | "over" | "expired";

/**
 * `batch`: as it stands, undefined when its item is gone. "given up": its own loader aborted it in good order, so the files killed nobody.
 * "over": it died. "gone": nobody can tell any more.
 */
export function holdOf(batch: BatchRecord | undefined, nowMs: number): Hold {
  if (batch === undefined) return "gone";
  if (batch.state === "SEALED") return "sealed";
  // Before its lease ends nobody but its loader may abort a batch.
  if (batch.state === "ABORTED") return (batch.abortedAtMs ?? 0) < batch.leaseUntilMs ? "given up" : "over";
  return batch.leaseUntilMs > nowMs ? "open" : "expired";
}

/** As `holdOf`; an open batch past its lease is aborted here, and only then is not binding. */
export async function settleClaimOf(
  ports: BatchPorts,
  table: TableId,
  batch: BatchId,
): Promise<Exclude<Hold, "expired">> {
  const item = await ports.ledger.read(batchKey(table, batch));
  if (item === undefined) return "gone";
  const record = readBatch(item);
  const hold = holdOf(record, ports.clock.now());
  if (hold !== "expired") return hold;
  const outcome = await abortBatch(ports, { record, revision: item.revision });
  return outcome === "sealed" ? "sealed" : "over";
}
