// What must hold when everything has come to rest. Rows are compared with what the producer uploaded, by reading the table
// afresh; the ledger is compared with the rows; objects are compared with what the table's metadata reaches.

import type { Ingestion } from "../../lambdas/core/config.ts";
import { parseIntake } from "../../lambdas/core/events.ts";
import { parseMetadata } from "../../lambdas/core/iceberg/metadata.ts";
import type { TableMetadata } from "../../lambdas/core/iceberg/types.ts";
import { objectUri, type TableId, tableIdOf } from "../../lambdas/core/ids.ts";
import type { LedgerItem } from "../../lambdas/core/ports.ts";
import { type FileRecord, readCommit, readFile, readHead } from "../../lambdas/core/records.ts";
import { readChange, readHeld } from "../../lambdas/core/schema/records.ts";
import { readWatermark } from "../../lambdas/core/watermark.ts";
import type { MemoryLedger } from "../fakes/memory-ledger.ts";
import type { MemoryObjectStore } from "../fakes/memory-object-store.ts";
import type { MemoryPointer } from "../fakes/memory-pointer.ts";
import { BUCKET, type Landing, type Version } from "./landing.ts";
import type { SimRow } from "./row-converter.ts";
import { LEDGER_ID, QUARANTINES } from "./settings.ts";
import { currentRows, reachable } from "./table-reader.ts";

export interface RestingState {
  readonly ingestions: readonly Ingestion[];
  readonly store: MemoryObjectStore;
  readonly ledger: MemoryLedger;
  readonly pointer: MemoryPointer;
  readonly landing: Landing;
  readonly foreignRows: ReadonlyMap<string, readonly string[]>;
  readonly intakeLeft: number;
  /** Bodies of messages that were received too often. */
  readonly deadLetters: readonly string[];
}

export function checkRun(state: RestingState): string[] {
  const items = state.ledger.items();
  const problems: string[] = [];
  if (state.intakeLeft > 0) problems.push(`liveness: ${state.intakeLeft} messages are still in the intake queue`);
  problems.push(...checkDeadLetters(state), ...checkQuarantine(state, items));
  for (const ingestion of state.ingestions) {
    try {
      problems.push(...checkTable(state, items, ingestion).map((problem) => `${ingestion.id}: ${problem}`));
    } catch (error) {
      problems.push(`${ingestion.id}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return problems;
}

/** Nothing ends among the dead letters but what kills whoever takes it up. */
function checkDeadLetters({ deadLetters, landing }: RestingState): string[] {
  const events = deadLetters.map(parseIntake).flatMap((intake) => (intake.kind === "events" ? intake.events : []));
  return events
    .filter(({ key, version }) => landing.versionOf(key, version.etag)?.kind !== "poison")
    .map(({ key }) => `dead letter: ${key}`);
}

function checkTable(state: RestingState, items: readonly LedgerItem[], ingestion: Ingestion): string[] {
  const table = tableIdOf(ingestion.target);
  const metadata = metadataOf(state, table);
  const rows = metadata === undefined ? [] : currentRows(state.store, metadata);
  const files = items
    .filter((item) => item.body["kind"] === "file")
    .map(readFile)
    .filter((file) => file.ingestion === ingestion.id);
  return [
    ...checkRest(items, table, metadata),
    ...checkFiles(state, items, ingestion, files, rows),
    ...checkForeign(state, ingestion, rows),
    ...checkChanges(items, ingestion),
    ...(metadata === undefined ? [] : checkObjects(state, items, table, metadata)),
  ];
}

function metadataOf({ pointer, store }: RestingState, table: TableId): TableMetadata | undefined {
  const entry = pointer.tables.get(table);
  if (entry === undefined) return undefined;
  const object = store.objects.get(entry.metadataLocation);
  if (object === undefined) throw new Error(`current metadata file is missing: ${entry.metadataLocation}`);
  return parseMetadata(Buffer.from(object.bytes).toString());
}

/** Liveness: nothing is half done, and head and table agree. */
function checkRest(items: readonly LedgerItem[], table: TableId, metadata: TableMetadata | undefined): string[] {
  const problems: string[] = [];
  const batches = items.filter((item) => item.body["kind"] === "batch" && item.body["table"] === table);
  for (const batch of batches) problems.push(`liveness: batch ${batch.key.sort} is still ${batch.body["state"]}`);
  const heads = items.filter((item) => item.body["kind"] === "head" && item.body["table"] === table).map(readHead);
  for (const head of heads) {
    if (head.intent !== undefined) problems.push(`liveness: intent ${head.intent.seq} is still open`);
    const mark = metadata === undefined ? { seq: -1 } : readWatermark(metadata, LEDGER_ID);
    if (mark.seq !== head.seq) problems.push(`head is at ${head.seq}, the table at ${mark.seq}`);
  }
  return problems;
}

function checkFiles(
  state: RestingState,
  items: readonly LedgerItem[],
  ingestion: Ingestion,
  files: readonly FileRecord[],
  rows: readonly SimRow[],
): string[] {
  const { landing } = state;
  const problems: string[] = [];
  const byKey = new Map(files.map((file) => [file.key, file]));
  for (const version of landing.current.values()) {
    if (version.key.startsWith(ingestion.source.prefix) && !byKey.has(version.key))
      problems.push(`${version.key} is unknown`);
  }
  for (const file of files) {
    if (file.status === "PROCESSING" || file.status === "DISCOVERED")
      problems.push(`${file.key} is still ${file.status}`);
    if (file.status === "SUCCESS" && file.loaded?.version.etag !== file.version.etag)
      problems.push(`${file.key} SUCCESS without rows`);
    const own = rows.filter((row) => row.path === objectUri(BUCKET, file.key)).map((row) => row.id);
    problems.push(...checkFate(landing, items, file, ingestion), ...checkRows(landing, file, ingestion, own));
  }
  return problems;
}

/** The object as it stands is loaded, or the ledger says why not. */
function checkFate(
  landing: Landing,
  items: readonly LedgerItem[],
  file: FileRecord,
  { onOverwrite }: Ingestion,
): string[] {
  const now = landing.current.get(file.key);
  if (now === undefined) return [];
  if (file.loaded?.version.etag === now.etag) return [];
  if (file.status === "FAILED" && file.version.etag === now.etag && reasonFits(now, file.reason)) return [];
  if (onOverwrite === "ignore" && file.loaded !== undefined) return [];
  if (file.status === "REJECTED" && file.version.etag === now.etag && isRejected(items, file)) return [];
  return [
    `${file.key} stands at ${now.kind} ${now.etag.slice(0, 6)}, ledger says ${file.status} ${file.reason ?? ""} of ${file.version.etag.slice(0, 6)}`,
  ];
}

/** By a decision on the very difference it was held for. */
function isRejected(items: readonly LedgerItem[], { ingestion, fingerprint, reason }: FileRecord): boolean {
  const changes = items.filter((item) => item.body["kind"] === "schema-change").map(readChange);
  const change = changes.find((each) => each.ingestion === ingestion && each.fingerprint === fingerprint);
  return reason === "SCHEMA_REJECTED" && change?.status === "REJECTED";
}

/** What was decided is carried out, and nothing waits for a decision that was made. */
function checkChanges(items: readonly LedgerItem[], ingestion: Ingestion): string[] {
  const changes = items.filter((item) => item.body["kind"] === "schema-change").map(readChange);
  const own = changes.filter((change) => change.ingestion === ingestion.id);
  const left = items.filter((item) => item.body["kind"] === "held-file").map(readHeld);
  return [
    ...own
      .filter(({ carriedOutAtMs }) => carriedOutAtMs === undefined)
      .map(({ fingerprint, status }) => `liveness: schema change ${fingerprint} is ${status} and not carried out`),
    ...left
      .filter((held) => own.some(({ fingerprint }) => fingerprint === held.fingerprint))
      .map(({ key, fingerprint }) => `liveness: ${key} is still held by ${fingerprint}`),
  ];
}

function reasonFits(version: Version, reason: string | undefined): boolean {
  if (reason === "LOADER_DIED" || reason === "UNAVAILABLE") return true;
  return version.kind === "bad" && reason === "MALFORMED";
}

/** Exactly once: every row of a loaded version once, no row of a version that was replaced, none of one that never loaded. */
function checkRows(landing: Landing, file: FileRecord, { onOverwrite }: Ingestion, own: readonly string[]): string[] {
  const problems: string[] = [];
  const counts = new Map<string, number>();
  for (const id of own) counts.set(id, (counts.get(id) ?? 0) + 1);
  for (const [id, count] of counts) if (count > 1) problems.push(`row ${id} is in the table ${count} times`);
  const loaded = file.loaded === undefined ? [] : rowsOfVersion(landing.versionOf(file.key, file.loaded.version.etag));
  for (const id of loaded) if (!counts.has(id)) problems.push(`row ${id} of a loaded version is missing`);
  const allowed = new Set(loaded);
  if (onOverwrite === "append")
    for (const version of goodVersions(landing, file.key)) for (const id of rowsOfVersion(version)) allowed.add(id);
  for (const id of counts.keys()) if (!allowed.has(id)) problems.push(`row ${id} should not be in the table`);
  return problems;
}

function rowsOfVersion(version: Version | undefined): readonly string[] {
  return (version?.lines ?? []).filter((line) => !line.startsWith("QUARANTINE"));
}

/** Rows that were none: each of a loaded version once in the quarantine, none twice, and nothing left behind by batches that died. */
function checkQuarantine(state: RestingState, items: readonly LedgerItem[]): string[] {
  const problems: string[] = [];
  const quarantine = QUARANTINES.find(({ target }) => target.table === "app_quarantine") as Ingestion;
  const table = tableIdOf(quarantine.target);
  const metadata = metadataOf(state, table);
  const rows = metadata === undefined ? [] : currentRows(state.store, metadata);
  const own = rows.filter((row) => row.path !== "foreign");
  const texts = own.map((row) => (JSON.parse(row.id) as { readonly text: string }).text);
  if (new Set(own.map(({ id }) => id)).size < own.length) problems.push("quarantine: a row is there twice");
  for (const file of items.filter((item) => item.body["kind"] === "file").map(readFile)) {
    if (file.ingestion === quarantine.id && file.status !== "SUCCESS")
      problems.push(`quarantine: ${file.key} is ${file.status}`);
    if (file.ingestion !== "app" || file.loaded === undefined) continue;
    const lines = state.landing.versionOf(file.key, file.loaded.version.etag)?.lines ?? [];
    for (const line of lines.filter((each) => each.startsWith("QUARANTINE")))
      if (!texts.includes(line)) problems.push(`quarantine: ${line} of ${file.key} is missing`);
  }
  const committed = items.filter((item) => item.body["kind"] === "commit").flatMap((item) => readCommit(item).batches);
  for (const uri of state.store.objects.keys()) {
    const batch = /\/_quarantine\/.*\/([^/]+)\/rows\.ndjson$/.exec(uri)?.[1];
    if (batch !== undefined && !committed.some((each) => each === batch)) problems.push(`orphan: ${uri}`);
  }
  return problems;
}

function goodVersions(landing: Landing, key: string): Version[] {
  return [...landing.versions.values()].filter((version) => version.key === key && version.kind === "good");
}

function checkForeign(state: RestingState, { target }: Ingestion, rows: readonly SimRow[]): string[] {
  const expected = [...(state.foreignRows.get(target.table) ?? [])].sort();
  const found = rows
    .filter((row) => row.path === "foreign")
    .map((row) => row.id)
    .sort();
  return expected.join() === found.join() ? [] : [`foreign rows: expected ${expected.length}, found ${found.length}`];
}

/** No live object is gone (`reachable` throws), and what crashed work left behind is. */
function checkObjects(
  state: RestingState,
  items: readonly LedgerItem[],
  table: TableId,
  metadata: TableMetadata,
): string[] {
  const reached = reachable(state.store, metadata);
  for (const entry of metadata["metadata-log"]) reached.add(entry["metadata-file"]);
  const current = state.pointer.tables.get(table)?.metadataLocation;
  const committed = new Set(
    items
      .filter((item) => item.body["kind"] === "commit" && item.body["table"] === table)
      .flatMap((item) => readCommit(item).batches as readonly string[]),
  );
  const orphans: string[] = [];
  for (const uri of state.store.objects.keys()) {
    if (!uri.startsWith(`${metadata.location}/`) || reached.has(uri) || uri === current) continue;
    const [folder, id] = uri.slice(metadata.location.length + 1).split("/");
    // What foreign writers leave behind is theirs; a data file that was committed goes when its last snapshot does (not ours to do).
    if (id === "foreign" || (folder === "data" && committed.has(id ?? ""))) continue;
    // The first metadata file of the table, which every table outlives.
    if (folder === "metadata" && /^\d{5}-[^/]*\.metadata\.json$/.test(id ?? "")) continue;
    orphans.push(uri);
  }
  return orphans.map((uri) => `orphan: ${uri}`);
}
