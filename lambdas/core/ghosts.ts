// A ghost: the item of a batch that is over, brought back by requests that arrive after the item was removed (its open, which asks
// only that there be none, and then its seal). The claims tell it: a loader seals only what it has claimed, a claim stands until the
// batch is settled or given up, every file is settled or freed before the item goes, and a revision never comes back to a file. So a
// sealed batch whose first file does not carry its claim is over. One read for all batches of a commit (docs/decisions/0008).

import { sealedRevision } from "./batch.ts";
import type { Revision, TableId } from "./ids.ts";
import { removeItem } from "./ledger-writes.ts";
import type { Ledger } from "./ports.ts";
import { type BatchRecord, batchKey, claimRevision, fileKey, headKey } from "./records.ts";

/** Those of the sealed batches that are over, or that another committer began to settle after they were listed. */
export async function findGhosts(ledger: Ledger, sealed: readonly BatchRecord[]): Promise<readonly BatchRecord[]> {
  const firsts = sealed.flatMap((batch) => batch.staged?.files.slice(0, 1).map((file) => ({ batch, file })) ?? []);
  const keys = firsts.map(({ file: { claimed } }) => fileKey(claimed.ingestion, claimed.bucket, claimed.key));
  const items = keys.length === 0 ? [] : await ledger.readMany(keys);
  return firsts.flatMap(({ batch }, n) => (items[n]?.revision === claimRevision(batch.batch) ? [] : [batch]));
}

/** `head`: its revision when the batches were listed. If it has moved, somebody may be settling them, and needs their items. */
export async function removeGhosts(
  ledger: Ledger,
  table: TableId,
  head: Revision,
  ghosts: readonly BatchRecord[],
): Promise<void> {
  const item = await ledger.read(headKey(table));
  if (item?.revision !== head) return;
  for (const { batch } of ghosts) await removeItem(ledger, batchKey(table, batch), sealedRevision(batch));
}
