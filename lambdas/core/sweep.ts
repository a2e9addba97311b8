// The sweeper: what crashed work left behind is finished or cleared away, one table at a time, on a schedule. It adds nothing
// to correctness; it makes sure that everything that was begun ends, also without another event.
//
//   open batch past its lease   -> aborted, its files sent to the intake queue again
//   sealed batch, open intent   -> commit hint
//   aborted batch, old enough   -> its folders deleted, then its item
//   landed commit, old enough   -> metadata that nothing reaches any more deleted
//
// "Old enough" is longer than any function lives: no zombie can write below a folder once it was cleared.

import { abortBatch, abortedRevision } from "./batch.ts";
import { isKind } from "./errors.ts";
import { formatIntake, type ObjectEvent } from "./events.ts";
import { decodeManifestList } from "./iceberg/manifest-list.ts";
import type { TableMetadata } from "./iceberg/types.ts";
import { type ObjectUri, type Revision, type TableName, tableIdOf } from "./ids.ts";
import { removeItem, writeItem } from "./ledger-writes.ts";
import { readBytes } from "./object-bytes.ts";
import type {
  Catalog,
  Clock,
  Ledger,
  LedgerItem,
  LedgerKey,
  LoadedTable,
  ObjectStore,
  Queues,
  Random,
} from "./ports.ts";
import {
  BATCH_PREFIX,
  type BatchRecord,
  batchItem,
  batchKey,
  claimRevision,
  decidedRevision,
  fileItem,
  fileKey,
  headKey,
  LEFTOVERS_PREFIX,
  type LeftoversRecord,
  readBatch,
  readFile,
  readHead,
  readLeftovers,
  tablePartition,
} from "./records.ts";
import type { Settings } from "./settings.ts";
import { batchFolders } from "./stage.ts";
import { SCHEMA_FOLDER } from "./table.ts";

export interface SweepPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly store: ObjectStore;
  readonly ledger: Ledger;
  readonly catalog: Catalog;
  readonly queues: Queues;
}

export interface SweepReport {
  readonly aborted: number;
  /** Events of aborted batches sent again. */
  readonly released: number;
  readonly hinted: boolean;
  /** Leftover objects deleted. */
  readonly removed: number;
}

interface SweepRun {
  readonly ports: SweepPorts;
  readonly settings: Settings;
  readonly name: TableName;
  readonly counts: { aborted: number; released: number; removed: number };
}

/** What others wait for comes first: dead batches, files to send again, the hint. Clearing away may fail without keeping it back. */
export async function sweepTable(ports: SweepPorts, settings: Settings, name: TableName): Promise<SweepReport> {
  const run: SweepRun = { ports, settings, name, counts: { aborted: 0, released: 0, removed: 0 } };
  const id = tableIdOf(name);
  const overdue: LedgerItem[] = [];
  let pending = await hasOpenIntent(ports, name);
  for await (const item of ports.ledger.list(tablePartition(id), BATCH_PREFIX)) {
    const batch = readBatch(item);
    if (batch.state === "SEALED") pending = true;
    else if (batch.state === "OPEN") await abortExpired(run, batch, item.revision);
    else if (batch.state === "ABORTED" && batch.released !== true) await releaseFiles(run, batch, item);
    else if (isOld(run, batch.abortedAtMs ?? 0)) overdue.push(item);
  }
  if (pending) await hint(run, name);
  for (const item of overdue) await removeBatch(run, item);
  await clearLeftovers(run).catch(unlessStale);
  return { ...run.counts, hinted: pending };
}

function isOld({ ports, settings }: SweepRun, sinceMs: number): boolean {
  return sinceMs + settings.functionLifetimeMs <= ports.clock.now();
}

async function hasOpenIntent(ports: SweepPorts, name: TableName): Promise<boolean> {
  const item = await ports.ledger.read(headKey(tableIdOf(name)));
  return item !== undefined && readHead(item).intent !== undefined;
}

async function abortExpired(run: SweepRun, batch: BatchRecord, revision: Revision): Promise<void> {
  if (batch.leaseUntilMs > run.ports.clock.now()) return;
  const outcome = await abortBatch(run.ports, { record: batch, revision });
  if (outcome !== "aborted") return;
  run.counts.aborted++;
  const item = await run.ports.ledger.read(batchKey(batch.table, batch.batch));
  if (item !== undefined) await releaseFiles(run, readBatch(item), item);
}

/** The files of a batch that died go back to the queue, once. */
async function releaseFiles(run: SweepRun, batch: BatchRecord, item: LedgerItem): Promise<void> {
  const { ports } = run;
  await sendAgain(run, await heldFiles(ports, batch, { unclaimedToo: true }));
  await writeItem(ports.ledger, batchItem({ ...batch, released: true }, releasedRevision(batch)), item.revision);
}

async function sendAgain({ ports, counts }: SweepRun, events: readonly ObjectEvent[]): Promise<void> {
  if (events.length > 0) await ports.queues.sendIntake(events.map((event) => formatIntake([event])));
  counts.released += events.length;
}

/**
 * No function that knew the aborted batch is alive: what it uploaded goes, and then its item. A batch that its files name as the one
 * that loaded them was committed: the item came back by a write that arrived after everything was over, and what it names is live.
 */
async function removeBatch(run: SweepRun, item: LedgerItem): Promise<void> {
  const { ports } = run;
  const batch = readBatch(item);
  // A sleeper may have claimed files for the batch after its files were sent again: their events are in nobody's hands.
  await sendAgain(run, await heldFiles(ports, batch, { unclaimedToo: false }));
  await freeFiles(ports, batch);
  const table = (await wasCommitted(ports, batch)) ? undefined : await ports.catalog.load(run.name);
  const folders = table === undefined ? [] : batchFolders(table.metadata.location, batch.batch);
  for (const folder of folders) await removeUnreached(run, folder, new Set());
  await removeItem(ports.ledger, item.key, item.revision);
}

/** Once the item is gone nobody can tell any more whether the batch died; so its files are told now. */
async function freeFiles({ ledger }: SweepPorts, batch: BatchRecord): Promise<void> {
  const died = (batch.abortedAtMs ?? 0) >= batch.leaseUntilMs;
  for (const item of await ledger.readMany(fileKeys(batch))) {
    const file = item && readFile(item);
    if (file?.batch !== batch.batch || file.status !== "PROCESSING") continue;
    const deaths = file.deaths + (died && file.batchFiles === 1 ? 1 : 0);
    const freed = fileItem({ ...file, status: "DISCOVERED", reason: "ABORTED", deaths }, decidedRevision(batch.batch));
    await writeItem(ledger, freed, claimRevision(batch.batch));
  }
}

async function wasCommitted(ports: SweepPorts, batch: BatchRecord): Promise<boolean> {
  const items = await ports.ledger.readMany(fileKeys(batch));
  return items.some((item) => item !== undefined && readFile(item).loaded?.batch === batch.batch);
}

function fileKeys(batch: BatchRecord): LedgerKey[] {
  return batch.intends.map((event) => fileKey(batch.ingestion, event.bucket, event.key));
}

function releasedRevision(batch: BatchRecord): Revision {
  return `${abortedRevision(batch.batch)}:released` as Revision;
}

/** Intended files that still carry this batch's claim; the others were never claimed, decided, or taken over. */
async function heldFiles(
  ports: SweepPorts,
  batch: BatchRecord,
  { unclaimedToo }: { readonly unclaimedToo: boolean },
): Promise<ObjectEvent[]> {
  const items = await ports.ledger.readMany(fileKeys(batch));
  return batch.intends.flatMap((event, n) => {
    const item = items[n];
    // Never claimed: the event may be in nobody's hands but the queue's; sending it again costs one ledger read at most.
    if (item === undefined) return unclaimedToo ? [event] : [];
    const file = readFile(item);
    if (file.batch !== batch.batch || file.status !== "PROCESSING") return [];
    return [{ ...event, attempt: file.attempts + 1 }];
  });
}

/** The leftovers are listed before the table is loaded: what lands in between is newer than all of them. */
async function clearLeftovers(run: SweepRun): Promise<void> {
  const { ports, settings, name } = run;
  const old: LedgerItem[] = [];
  for await (const item of ports.ledger.list(tablePartition(tableIdOf(name)), LEFTOVERS_PREFIX)) {
    if (!isOld(run, readLeftovers(item).landedAtMs)) break;
    old.push(item);
  }
  const table = await ports.catalog.load(name);
  if (table === undefined) return;
  const { metadata } = table;
  const schemaFolder = `${metadata.location}/metadata/${SCHEMA_FOLDER}/`;
  const reached = await reachedMetadata(ports.store, table);
  for (const item of old) {
    const left = await clearCommit(run, metadata, readLeftovers(item), reached);
    if (left === 0) await removeItem(ports.ledger, item.key, item.revision);
  }
  await removeUnreached(run, schemaFolder, reached, ports.clock.now() - settings.functionLifetimeMs);
}

/** Somebody expired snapshots while we read them: the next sweep sees the new state. */
function unlessStale(error: unknown): void {
  if (!isKind(error, "Conflict")) throw error;
}

/** Objects still needed in the folders of one commit. */
async function clearCommit(
  run: SweepRun,
  { location }: TableMetadata,
  { intent, batches }: LeftoversRecord,
  reached: ReadonlySet<string>,
): Promise<number> {
  const folders = [intent, ...batches].map((id) => `${location}/metadata/${id}/`);
  let left = 0;
  for (const folder of folders) left += await removeUnreached(run, folder, reached);
  return left;
}

async function removeUnreached(
  { ports, counts }: SweepRun,
  folder: string,
  reached: ReadonlySet<string>,
  writtenBeforeMs = Number.POSITIVE_INFINITY,
): Promise<number> {
  const dead: ObjectUri[] = [];
  let left = 0;
  for await (const { uri, lastModifiedMs } of ports.store.list(folder)) {
    if (reached.has(uri) || lastModifiedMs >= writtenBeforeMs) left++;
    else dead.push(uri);
  }
  if (dead.length > 0) await ports.store.remove(dead);
  counts.removed += dead.length;
  return left;
}

/** Every metadata file, manifest list and manifest that the table's current metadata leads to. */
async function reachedMetadata(store: ObjectStore, { metadata, metadataLocation }: LoadedTable): Promise<Set<string>> {
  const reached = new Set<string>([metadataLocation]);
  for (const entry of metadata["metadata-log"]) reached.add(entry["metadata-file"]);
  for (const snapshot of metadata.snapshots) {
    reached.add(snapshot["manifest-list"]);
    const manifests = decodeManifestList(await readBytes(store, snapshot["manifest-list"] as ObjectUri));
    for (const manifest of manifests) reached.add(manifest.manifestPath);
  }
  return reached;
}

async function hint({ ports, settings }: SweepRun, name: TableName): Promise<void> {
  const interval = Math.floor(ports.clock.now() / settings.commitIntervalMs);
  try {
    await ports.queues.hintCommit(name, `${tableIdOf(name)}:sweep:${interval}`);
  } catch (error) {
    if (!isKind(error, "Unavailable", "UnknownOutcome")) throw error;
  }
}
