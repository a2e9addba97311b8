// Clearing one table away: what aborted batches uploaded, and the metadata of commits that nothing reaches any more.
// Invariant: an object is deleted only when no function that could write it or make it live can be alive, and only if the table does
// not reach it. "Old enough" is longer than any function lives: no zombie can write below a folder once it was cleared.

import { holdOf } from "./batch.ts";
import { isKind } from "./errors.ts";
import { decodeManifestList } from "./iceberg/manifest-list.ts";
import type { TableMetadata } from "./iceberg/types.ts";
import { type BatchId, type ObjectUri, type TableName, tableIdOf } from "./ids.ts";
import { removeItem, writeItem } from "./ledger-writes.ts";
import { readBytes } from "./object-bytes.ts";
import type { Catalog, Clock, Ledger, LedgerItem, LoadedTable, ObjectStore, Queues, Random } from "./ports.ts";
import {
  type BatchRecord,
  claimRevision,
  clearedRevision,
  commitPartition,
  decidedRevision,
  fileItem,
  fileKeys,
  headKey,
  LEFTOVERS_PREFIX,
  leftoversItem,
  readBatch,
  readCommit,
  readFile,
  readHead,
  readLeftovers,
  tablePartition,
} from "./records.ts";
import { heldFiles, sendAgain } from "./release.ts";
import { quarantineFolder } from "./schema/quarantine.ts";
import type { Settings } from "./settings.ts";
import { batchFolders, manifestPaths } from "./stage.ts";
import { SCHEMA_FOLDER } from "./table.ts";

export interface SweepPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly store: ObjectStore;
  readonly ledger: Ledger;
  readonly catalog: Catalog;
  readonly queues: Queues;
}

export interface SweepContext {
  readonly ports: SweepPorts;
  readonly settings: Settings;
  /** Nothing new is begun after this. */
  readonly deadlineMs: number;
  /** Number of this sweep: each begins with another table, so that none is always the last. */
  readonly turn: number;
}

/** What is known of one table while it is swept. */
export interface TableSweep extends SweepContext {
  readonly name: TableName;
  readonly counts: { aborted: number; released: number; removed: number; hinted: boolean; more: boolean };
  readonly errors: unknown[];
  /** Aborted batches that no living function knows. */
  readonly overdue: LedgerItem[];
}

export function isOver({ ports, deadlineMs }: SweepContext): boolean {
  return ports.clock.now() >= deadlineMs;
}

export function isOld({ ports, settings }: SweepContext, sinceMs: number): boolean {
  return sinceMs + settings.functionLifetimeMs <= ports.clock.now();
}

export async function clearTable(sweep: TableSweep): Promise<void> {
  const committed = await committedBatches(sweep);
  await untilOver(sweep, sweep.overdue, (item) => removeBatch(sweep, item, committed));
  if (sweep.counts.more) return;
  try {
    await clearLeftovers(sweep);
  } catch (error) {
    // Somebody expired snapshots while we read them: the next sweep sees the new state.
    if (!isKind(error, "Conflict")) throw error;
  }
}

async function untilOver<T>(sweep: TableSweep, items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  for (const item of items) {
    if (isOver(sweep)) sweep.counts.more = true;
    if (sweep.counts.more) return;
    await work(item);
  }
}

/**
 * Batches that are in the table, as far back as the overdue ones go: an item may have come back by a write that arrived after its
 * batch was committed and over, and what such a batch names is live. The head is read first: a commit is on record before its intent goes.
 */
async function committedBatches({ ports, settings, name, overdue }: TableSweep): Promise<ReadonlySet<BatchId>> {
  if (overdue.length === 0) return new Set();
  const id = tableIdOf(name);
  const sinceMs = Math.min(...overdue.map((item) => readBatch(item).openedAtMs)) - settings.functionLifetimeMs;
  const head = await ports.ledger.read(headKey(id));
  const committed = new Set(head === undefined ? [] : readHead(head).intent?.batches);
  for await (const item of ports.ledger.list(commitPartition(id), "", { reverse: true })) {
    const { landedAtMs, batches } = readCommit(item);
    if (landedAtMs < sinceMs) break;
    for (const batch of batches) committed.add(batch);
  }
  return committed;
}

/** No function that knew the aborted batch is alive: what it uploaded goes, and then its item. */
async function removeBatch(sweep: TableSweep, item: LedgerItem, committed: ReadonlySet<BatchId>): Promise<void> {
  const { ports } = sweep;
  const batch = readBatch(item);
  await releaseLate(sweep, batch);
  await freeFiles(ports, batch);
  const table = committed.has(batch.batch) ? undefined : await ports.catalog.load(sweep.name);
  const folders = table === undefined ? [] : [...batchFolders(table.metadata.location, batch.batch)];
  if (!committed.has(batch.batch)) folders.push(quarantineFolder(sweep.settings.warehouseUri, sweep.name, batch.batch));
  for (const folder of folders) await removeUnreached(sweep, folder, new Set());
  await removeItem(ports.ledger, item.key, item.revision);
}

/**
 * A sleeper may have claimed files for the batch after its files were sent again: their events are in nobody's hands. But what its own
 * loader gave up comes back by itself, if late: were it sent anew as well, each attempt would leave one message more.
 */
async function releaseLate({ ports, counts }: TableSweep, batch: BatchRecord): Promise<void> {
  if (holdOf(batch, ports.clock.now()) === "given up") return;
  const events = await heldFiles(ports.ledger, batch, { unclaimedToo: false });
  await sendAgain(ports.queues, events);
  counts.released += events.length;
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

/** The leftovers are listed before the table is loaded: what lands in between is newer than all of them. */
async function clearLeftovers(sweep: TableSweep): Promise<void> {
  const { ports, settings, name } = sweep;
  const old: LedgerItem[] = [];
  for await (const item of ports.ledger.list(tablePartition(tableIdOf(name)), LEFTOVERS_PREFIX)) {
    if (!isOld(sweep, readLeftovers(item).landedAtMs)) break;
    old.push(item);
  }
  const table = await ports.catalog.load(name);
  if (table === undefined) return;
  const { metadata } = table;
  const reached = await reachedMetadata(ports.store, table);
  await untilOver(sweep, old, (item) => clearCommit(sweep, metadata, item, reached));
  if (sweep.counts.more) return;
  const schemaFolder = `${metadata.location}/metadata/${SCHEMA_FOLDER}/`;
  await removeUnreached(sweep, schemaFolder, reached, ports.clock.now() - settings.functionLifetimeMs);
}

/**
 * What batches staged is deleted by name, once: what is still reached is all that is looked at again. What attempts at the commit
 * wrote has names of their own, and is listed.
 */
async function clearCommit(
  sweep: TableSweep,
  { location }: TableMetadata,
  item: LedgerItem,
  reached: ReadonlySet<string>,
): Promise<void> {
  const { ledger, store } = sweep.ports;
  const { batches, manifests = [], ...rest } = readLeftovers(item);
  const names = [...manifests, ...batches.flatMap((batch) => manifestPaths(location, batch))];
  const dead = names.filter((name) => !reached.has(name));
  if (dead.length > 0) await store.remove(dead);
  sweep.counts.removed += dead.length;
  const live = names.filter((name) => reached.has(name));
  const left = live.length + (await removeUnreached(sweep, `${location}/metadata/${rest.intent}/`, reached));
  if (left === 0) await removeItem(ledger, item.key, item.revision);
  else if (dead.length > 0 || batches.length > 0) {
    const cleared = leftoversItem({ ...rest, batches: [], manifests: live }, clearedRevision(rest.intent, live.length));
    await writeItem(ledger, cleared, item.revision);
  }
}

/** Objects that are still needed in the folder. */
async function removeUnreached(
  { ports, counts }: TableSweep,
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
