// Builds one attempt at a commit on a given base: manifest list and merged manifests written under the intent's folder, and the
// updates for the catalog. The base's data files are never read; small manifests are merged in tiers and old snapshots leave
// the metadata, so the work of a commit depends neither on the size of the table nor on its age.

import { createHash } from "node:crypto";
import { MoraineError } from "./errors.ts";
import { snapshotsToExpire } from "./iceberg/expire.ts";
import { encodeManifest } from "./iceberg/manifest.ts";
import { decodeManifestList, encodeManifestList } from "./iceberg/manifest-list.ts";
import { mergedManifestFile, mergeManifests, planMerges } from "./iceberg/merge.ts";
import { currentSnapshot, nextTimestampMs, specById } from "./iceberg/metadata.ts";
import type { ManifestFile, Snapshot, StagedManifest, TableMetadata, TableUpdate } from "./iceberg/types.ts";
import type { ObjectUri, SnapshotId } from "./ids.ts";
import { readBytes } from "./object-bytes.ts";
import type { Clock, LoadedTable, ObjectStore, Random, TableCommit } from "./ports.ts";
import type { BatchRecord, Intent, Staged } from "./records.ts";
import type { Settings } from "./settings.ts";
import { summarize } from "./snapshot-summary.ts";
import { listableManifests } from "./staged-manifests.ts";
import { watermarkProperty } from "./watermark.ts";

interface BuildPorts {
  readonly store: ObjectStore;
  readonly random: Random;
  readonly clock: Clock;
}

/** The same for every attempt at one intent, so that a snapshot names its intent. Below 2^53, never 0. */
export function snapshotIdOf(intent: Intent): SnapshotId {
  const digest = createHash("sha256").update(intent.id).digest();
  return ((digest.readBigUInt64BE(0) >> 12n) | 1n) as SnapshotId;
}

export async function buildCommit(
  ports: BuildPorts,
  settings: Settings,
  base: LoadedTable,
  intent: Intent,
  batches: readonly BatchRecord[],
): Promise<TableCommit> {
  const folder = `${intent.id}/${ports.random.uuid()}`;
  const staged = batches.map(({ staged }) => staged as Staged);
  const place = `${base.metadata.location}/metadata/${folder}`;
  const { manifests: added, metadata, ...spec } = await listableManifests(ports.store, base.metadata, staged, place);
  const updates: TableUpdate[] = [{ action: "set-properties", updates: watermarkProperty(settings.ledgerId, intent) }];
  updates.push(...spec.updates);
  if (added.length > 0)
    updates.push(...(await snapshotUpdates(ports, settings, { metadata, intent, staged, added, folder })));
  return { requirements: requirementsOn(metadata), updates, folder };
}

function requirementsOn(metadata: TableMetadata): TableCommit["requirements"] {
  const current = currentSnapshot(metadata);
  return [
    { type: "assert-table-uuid", uuid: metadata["table-uuid"] },
    { type: "assert-ref-snapshot-id", ref: "main", "snapshot-id": current?.["snapshot-id"] ?? null },
  ];
}

interface SnapshotJob {
  readonly metadata: TableMetadata;
  readonly intent: Intent;
  readonly staged: readonly Staged[];
  readonly added: readonly StagedManifest[];
  readonly folder: string;
}

async function snapshotUpdates(ports: BuildPorts, settings: Settings, job: SnapshotJob): Promise<TableUpdate[]> {
  const { metadata, intent } = job;
  const parent = currentSnapshot(metadata);
  const snapshotId = snapshotIdOf(intent);
  const sequenceNumber = metadata["last-sequence-number"] + 1;
  const fresh = job.added.map((manifest) => listed(manifest, sequenceNumber, snapshotId));
  const before =
    parent === undefined ? [] : decodeManifestList(await readBytes(ports.store, parent["manifest-list"] as ObjectUri));
  const manifests = await mergeTiers(ports, settings, job, snapshotId, [...fresh, ...before]);
  const list = encodeManifestList(
    { snapshotId, parentSnapshotId: parent?.["snapshot-id"] ?? null, sequenceNumber },
    manifests,
  );
  const manifestList = pathOf(job, `snap-${snapshotId}.avro`);
  await ports.store.put(manifestList, list, { contentType: "application/avro" });
  const nowMs = nextTimestampMs(metadata, ports.clock.now());
  const snapshot: Snapshot = {
    "snapshot-id": snapshotId,
    ...(parent === undefined ? {} : { "parent-snapshot-id": parent["snapshot-id"] }),
    "sequence-number": sequenceNumber,
    "timestamp-ms": nowMs,
    "manifest-list": manifestList,
    summary: summarize(settings.ledgerId, intent, job.staged, manifests, parent),
    "schema-id": metadata["current-schema-id"],
  };
  return [
    { action: "add-snapshot", snapshot },
    { action: "set-snapshot-ref", "ref-name": "main", type: "branch", "snapshot-id": snapshotId },
    ...expiry(settings, metadata, nowMs),
  ];
}

/** The table's own properties, under Iceberg's names, keep more or for longer where somebody reads it incrementally. */
function expiry(settings: Settings, metadata: TableMetadata, nowMs: number): TableUpdate[] {
  const property = (name: string) => Number(metadata.properties[name] ?? 0) || 0;
  const limits = {
    keepLast: Math.max(settings.snapshotsKeepLast, property("history.expire.min-snapshots-to-keep")),
    maxAgeMs: property("history.expire.max-snapshot-age-ms") || settings.snapshotAgeMaxMs,
  };
  // Iceberg's own words for "hands off": a table that shares its files, and snapshots staged for an audit before they are published.
  if (metadata.properties["gc.enabled"] === "false") return [];
  const staged = new Set(
    metadata.snapshots.filter(({ summary }) => "wap.id" in summary).map((each) => each["snapshot-id"]),
  );
  const ids = snapshotsToExpire(metadata, nowMs, limits).filter((id) => !staged.has(id));
  return ids.length === 0 ? [] : [{ action: "remove-snapshots", "snapshot-ids": ids }];
}

/** What the staged manifest's entries inherit stands here and only here (specification, "Manifest Inheritance"). */
function listed(manifest: StagedManifest, sequenceNumber: number, snapshotId: SnapshotId): ManifestFile {
  return { ...manifest, sequenceNumber, minSequenceNumber: sequenceNumber, addedSnapshotId: snapshotId };
}

async function mergeTiers(
  ports: BuildPorts,
  settings: Settings,
  job: SnapshotJob,
  snapshotId: SnapshotId,
  manifests: ManifestFile[],
): Promise<ManifestFile[]> {
  const groups = planMerges(manifests, { fanIn: settings.manifestFanIn, targetBytes: settings.manifestTargetBytes });
  const merged: ManifestFile[] = [];
  for (const [n, group] of groups.entries()) merged.push(await mergeGroup(ports, job, snapshotId, group, n));
  const gone = new Set(groups.flat());
  return [...merged, ...manifests.filter((manifest) => !gone.has(manifest))];
}

async function mergeGroup(
  ports: BuildPorts,
  job: SnapshotJob,
  snapshotId: SnapshotId,
  group: readonly ManifestFile[],
  n: number,
): Promise<ManifestFile> {
  const [first] = group;
  if (first === undefined)
    throw new MoraineError("Corrupt", "a merge of no manifests was planned", { folder: job.folder });
  const inputs = await Promise.all(
    group.map(async (manifest) => ({
      manifest,
      bytes: await readBytes(ports.store, manifest.manifestPath as ObjectUri),
    })),
  );
  const { entries, schema } = mergeManifests(inputs, snapshotId);
  const spec = specById(job.metadata, first.partitionSpecId);
  const contents = { schema, spec, content: first.content, entries };
  const bytes = encodeManifest({ ...contents, snapshotId });
  const path = pathOf(job, `merged-${n}.avro`);
  await ports.store.put(path, bytes, { contentType: "application/avro" });
  const sequenceNumber = job.metadata["last-sequence-number"] + 1;
  return mergedManifestFile(path, bytes.length, contents, { snapshotId, sequenceNumber });
}

function pathOf({ metadata, folder }: SnapshotJob, name: string): ObjectUri {
  return `${metadata.location}/metadata/${folder}/${name}` as ObjectUri;
}
