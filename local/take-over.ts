// A data folder of a stack that was stopped holds batches whose functions are surely dead: the folder's lock says so. They are
// aborted now instead of after their lease, so that a second run goes on where the first one was stopped.

import { abortBatch } from "../lambdas/core/batch.ts";
import { type TableName, tableIdOf } from "../lambdas/core/ids.ts";
import type { Ledger } from "../lambdas/core/ports.ts";
import { BATCH_PREFIX, readBatch, tablePartition } from "../lambdas/core/records.ts";

/** `startedMs`: batches opened later are of functions that live. Returns how many were aborted. */
export async function takeOver(ledger: Ledger, tables: readonly TableName[], startedMs: number): Promise<number> {
  const clock = { now: Date.now };
  const random = { uuid: () => crypto.randomUUID(), fraction: Math.random };
  let aborted = 0;
  for (const name of tables) {
    for await (const item of ledger.list(tablePartition(tableIdOf(name)), BATCH_PREFIX)) {
      const record = readBatch(item);
      if (record.state !== "OPEN" || record.openedAtMs >= startedMs) continue;
      const outcome = await abortBatch({ ledger, clock, random }, { record, revision: item.revision });
      if (outcome === "aborted") aborted++;
    }
  }
  return aborted;
}
