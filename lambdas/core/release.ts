// The files of a batch that died go back to the queue: those that still carry its claim, and those it never came to claim.

import { formatIntake, type ObjectEvent } from "./events.ts";
import type { Ledger, Queues } from "./ports.ts";
import { type BatchRecord, fileKeys, readFile } from "./records.ts";

/** Intended files that still carry this batch's claim; the others were never claimed, decided, or taken over. */
export async function heldFiles(
  ledger: Ledger,
  batch: BatchRecord,
  { unclaimedToo }: { readonly unclaimedToo: boolean },
): Promise<ObjectEvent[]> {
  const items = await ledger.readMany(fileKeys(batch));
  return batch.intends.flatMap((event, n) => {
    const item = items[n];
    // Never claimed: the event may be in nobody's hands but the queue's; sending it again costs one ledger read at most.
    if (item === undefined) return unclaimedToo ? [event] : [];
    const file = readFile(item);
    if (file.batch !== batch.batch || file.status !== "PROCESSING") return [];
    return [{ ...event, attempt: file.attempts + 1 }];
  });
}

export async function sendAgain(queues: Queues, events: readonly ObjectEvent[]): Promise<void> {
  if (events.length > 0) await queues.sendIntake(events.map((event) => formatIntake([event])));
}
