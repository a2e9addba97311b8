// What must hold of discovery: at rest, every object of the bucket is in the ledger with its current version decided and its rows once in
// the table; a run that succeeded has told of all it listed; a run over a bucket that stood still counted each object once.

import type { Ingestion, MoraineConfig } from "../../../lambdas/core/config.ts";
import { compareUtf8 } from "../../../lambdas/core/discovery/key-order.ts";
import type { RunRecord, RunReport, Shard } from "../../../lambdas/core/discovery/model.ts";
import { readRun } from "../../../lambdas/core/discovery/run-records.ts";
import { parseMetadata } from "../../../lambdas/core/iceberg/metadata.ts";
import { objectUri, tableIdOf } from "../../../lambdas/core/ids.ts";
import { type FileRecord, fileKey, readFile } from "../../../lambdas/core/records.ts";
import { createRouter } from "../../../lambdas/core/routing.ts";
import type { MemoryLedger } from "../../fakes/memory-ledger.ts";
import type { MemoryObjectStore } from "../../fakes/memory-object-store.ts";
import type { MemoryPointer } from "../../fakes/memory-pointer.ts";
import { currentRows } from "../table-reader.ts";
import { BUCKET, type Bucket } from "./bucket.ts";
import { type Circumstances, isExcused } from "./excuses.ts";
import { NESTED_PREFIX } from "./layouts.ts";

export interface DiscoveryState {
  readonly config: MoraineConfig;
  readonly store: MemoryObjectStore;
  readonly ledger: MemoryLedger;
  readonly pointer: MemoryPointer;
  readonly bucket: Bucket;
}

/** Once everything has come to rest after a quiet full listing of every ingestion. */
export function checkAtRest(state: DiscoveryState): string[] {
  const problems: string[] = [];
  const items = state.ledger.items();
  for (const item of items) {
    const { kind, state: batchState } = item.body as Record<string, unknown>;
    if (kind === "batch") problems.push(`batch ${item.key.sort} is still ${String(batchState)}`);
    if (kind === "active") problems.push(`${item.key.partition} is still held`);
    const run = kind === "run" ? readRun(item) : undefined;
    // A dry run that died holds nothing, and is told dead only after long.
    if (run?.status === "RUNNING" && !run.input.dryRun) problems.push(`run ${run.runId} is still RUNNING`);
  }
  const files = items.filter((item) => item.body["kind"] === "file").map(readFile);
  for (const ingestion of state.config.ingestions) {
    const own = files.filter((file) => file.ingestion === ingestion.id);
    problems.push(...checkFiles(state, ingestion, own), ...checkRows(state, ingestion, own));
  }
  return problems;
}

function checkFiles({ config, bucket }: DiscoveryState, ingestion: Ingestion, files: readonly FileRecord[]): string[] {
  const route = createRouter(config.ingestions);
  const problems: string[] = [];
  const byKey = new Map(files.map((file) => [file.key, file]));
  for (const { key, etag } of bucket.current.values()) {
    if (route(BUCKET, key)?.id !== ingestion.id || isMarker(key)) continue;
    const file = byKey.get(key);
    const isDecided =
      file?.loaded?.version.etag === etag || (file?.version.etag === etag && file.reason === "LOADER_DIED");
    if (!isDecided) problems.push(`${nameOf(key)} stands at ${etag.slice(0, 6)}, ledger says ${fateOf(file)}`);
  }
  for (const { key, status } of files) {
    if (route(BUCKET, key)?.id !== ingestion.id)
      problems.push(`${nameOf(key)} is in ${ingestion.id} and not routed there`);
    if (status === "PROCESSING" || status === "DISCOVERED") problems.push(`${nameOf(key)} is still ${status}`);
  }
  return problems;
}

/** Every row of a loaded version once, and no other row. */
function checkRows(
  { pointer, store, bucket }: DiscoveryState,
  { target }: Ingestion,
  files: readonly FileRecord[],
): string[] {
  const entry = pointer.tables.get(tableIdOf(target));
  const bytes = entry && store.objects.get(entry.metadataLocation)?.bytes;
  const rows = bytes === undefined ? [] : currentRows(store, parseMetadata(Buffer.from(bytes).toString()));
  const found = rows.map(({ path, id }) => `${path} ${id}`).sort();
  const expected = files
    .flatMap(({ key, loaded }) =>
      (loaded === undefined ? [] : (bucket.versionOf(key, loaded.version.etag)?.lines ?? [])).map(
        (id) => `${objectUri(BUCKET, key)} ${id}`,
      ),
    )
    .sort();
  return found.join("\n") === expected.join("\n")
    ? []
    : [`rows of ${target.table}: ${found.length}, expected ${expected.length}`];
}

export interface RunFacts {
  readonly record: RunRecord;
  /** What the run listed. */
  readonly lists: readonly Shard[];
  /** Key to ETag, when its listing began. */
  readonly before: ReadonlyMap<string, string>;
  /** Which files the ingestion took then. */
  readonly configBefore: MoraineConfig;
  readonly circumstances: Omit<Circumstances, "bucket" | "listing">;
}

/** Every version that was there all the while, and in what was listed, is on record or was sent. */
export async function checkPromise(
  state: DiscoveryState,
  sent: ReadonlySet<string>,
  { record, lists, before, configBefore, circumstances }: RunFacts,
): Promise<string[]> {
  const routes = [createRouter(configBefore.ingestions), createRouter(state.config.ingestions)];
  const isOwn = (key: string) => routes.every((route) => route(BUCKET, key)?.id === record.ingestion);
  const { listing, window } = record.input;
  const problems: string[] = [];
  for (const [key, etag] of before) {
    const stayed = state.bucket.current.get(key)?.etag === etag;
    if (!stayed || isMarker(key) || !isOwn(key)) continue;
    const isLeftOut = !lists.some((shard) => isListed(shard, key));
    const mayBe = window !== undefined || isExcused(key, etag, { ...circumstances, listing, bucket: state.bucket });
    if (isLeftOut && mayBe) continue;
    if (sent.has(`${key}\n${etag}`)) continue;
    const item = await state.ledger.read(fileKey(record.ingestion, BUCKET, key));
    const file = item && readFile(item);
    const isHeard = file?.version.etag === etag || file?.loaded?.version.etag === etag;
    const how = isLeftOut ? "left out" : "listed";
    if (!isHeard) problems.push(`${record.runId} succeeded and ${how} ${nameOf(key)} ${etag.slice(0, 6)}, unheard of`);
  }
  return problems;
}

export function isListed(shard: Shard, key: string): boolean {
  if (shard.kind === "inventory") return false;
  const isIn = ({ after, upTo }: { after: string; upTo?: string }) =>
    compareUtf8(key, after) > 0 && (upTo === undefined || compareUtf8(key, upTo) <= 0);
  return key.startsWith(shard.prefix) && shard.ranges.some(isIn);
}

/** Of a listing of all while the bucket stood still. */
export function checkExact({ bucket, config }: DiscoveryState, report: RunReport): string[] {
  const main = config.ingestions[0] as Ingestion;
  const keys = [...bucket.current.keys()].filter(
    (key) => key.startsWith(main.source.prefix) && !key.startsWith(NESTED_PREFIX),
  );
  const markers = keys.filter(isMarker).length;
  const route = createRouter(config.ingestions);
  const excluded = keys.filter((key) => !isMarker(key) && route(BUCKET, key)?.id !== main.id).length;
  const { total, skipped } = report;
  const problems = checkSum(report);
  if (total !== keys.length) problems.push(`${report.runId} counted ${total} objects of ${keys.length}`);
  if (skipped !== markers || report.excluded !== excluded)
    problems.push(`${report.runId} left others out than it should`);
  return problems;
}

export function checkSum(report: RunReport): string[] {
  const { total, known, changed, skipped, excluded } = report;
  return total === report.new + known + changed + skipped + excluded ? [] : [`counts of ${report.runId} do not add up`];
}

export function isMarker(key: string): boolean {
  return key.endsWith("/");
}

export function nameOf(key: string): string {
  return JSON.stringify(key);
}

function fateOf(file: FileRecord | undefined): string {
  return file === undefined ? "nothing" : `${file.status} ${file.reason ?? ""} of ${file.version.etag.slice(0, 6)}`;
}
