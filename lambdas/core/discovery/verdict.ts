// What the ledger says of listed versions, by the very rules of a claim (claim.ts), but without writing anything.
//
//   heard of?  no                                                             new
//              yes, and a claim would take it, or wait for its turn           changed    (new when it was given back unread)
//              yes, and it is in a batch that still binds                     held       that batch, or the sweeper, sees to it
//              yes, decided                                                   confirmed  for this very version, for ever
//                                                                             known      for another version
//
// Invariant: a file that `claimFile` would claim is never "held", "known" or "confirmed".

import { type Hold, holdOf } from "../batch.ts";
import { decideClaim, decideHeld } from "../claim.ts";
import type { OverwritePolicy } from "../config.ts";
import type { ObjectEvent } from "../events.ts";
import type { IngestionId } from "../ids.ts";
import type { Clock, Ledger, LedgerItem, LedgerKey } from "../ports.ts";
import { type BatchRecord, batchKey, type FileRecord, fileKey, readBatch, readFile } from "../records.ts";
import { relateVersions } from "../versions.ts";

export type Verdict = "unheard" | "new" | "changed" | "held" | "known" | "confirmed";

export interface LedgerReads {
  readonly ledgerReads: number;
  readonly ledgerRequests: number;
  readonly ledgerMs: number;
}

export interface Judged {
  /** One of each event, in order. */
  readonly verdicts: readonly Verdict[];
  readonly reads: LedgerReads;
}

/** What BatchGetItem takes. */
const KEYS_PER_REQUEST = 100;

export async function judge(
  ports: { readonly ledger: Ledger; readonly clock: Clock },
  ingestion: { readonly id: IngestionId; readonly onOverwrite: OverwritePolicy },
  events: readonly ObjectEvent[],
): Promise<Judged> {
  const began = ports.clock.now();
  const items = await readItems(
    ports.ledger,
    events.map(({ bucket, key }) => fileKey(ingestion.id, bucket, key)),
  );
  const files = items.map((item) => item && readFile(item));
  const holders = holdersOf(files);
  const batches = await readBatches(ports.ledger, [...holders.values()]);
  const ended = ports.clock.now();
  const holdOfFile = (file: FileRecord) => holdOf(batches.get(nameOf(batchKey(file.table, file.batch))), ended);
  const verdicts = events.map((event, index) => {
    const file = files[index];
    return file === undefined ? "unheard" : verdictOf(file, event, ingestion.onOverwrite, () => holdOfFile(file));
  });
  const reads = {
    ledgerReads: events.length + holders.size,
    ledgerRequests: requestsOf(events.length) + requestsOf(holders.size),
    ledgerMs: Math.max(0, ended - began),
  };
  return { verdicts, reads };
}

/** `hold`: of the batch that claimed the file, asked only when it did. */
export function verdictOf(file: FileRecord, event: ObjectEvent, policy: OverwritePolicy, hold: () => Hold): Verdict {
  const decision = decideClaim(file, event, policy);
  if (decision.kind === "held") {
    const { sameVersion } = decision;
    const isBound = sameVersion && decideHeld(hold(), sameVersion) !== "take";
    return isBound ? "held" : "changed";
  }
  if (decision.kind === "take") return file.status === "DISCOVERED" ? "new" : "changed";
  return relateVersions(file.version, event.version) === "same" ? "confirmed" : "known";
}

async function readItems(ledger: Ledger, keys: readonly LedgerKey[]): Promise<readonly (LedgerItem | undefined)[]> {
  return keys.length === 0 ? [] : ledger.readMany(keys);
}

/** Batches that claimed one of the files, each once. */
function holdersOf(files: readonly (FileRecord | undefined)[]): ReadonlyMap<string, LedgerKey> {
  const held = files.filter((file) => file?.status === "PROCESSING") as FileRecord[];
  return new Map(held.map(({ table, batch }) => batchKey(table, batch)).map((key) => [nameOf(key), key]));
}

async function readBatches(ledger: Ledger, keys: readonly LedgerKey[]): Promise<ReadonlyMap<string, BatchRecord>> {
  const items = await readItems(ledger, keys);
  return new Map(items.flatMap((item) => (item === undefined ? [] : [[nameOf(item.key), readBatch(item)] as const])));
}

function nameOf({ partition, sort }: LedgerKey): string {
  return `${partition} ${sort}`;
}

function requestsOf(keys: number): number {
  return Math.ceil(keys / KEYS_PER_REQUEST);
}
