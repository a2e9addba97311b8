// Writers that are not ours: one appends, one compacts (keeping starting sequence numbers, as Iceberg's rewrite does), one
// expires snapshots and deletes what it thus made unreachable, one alters columns. They load, wait, and commit: so they race with our committers.

import { describeManifest, encodeManifest } from "../../lambdas/core/iceberg/manifest.ts";
import { decodeManifestList, encodeManifestList } from "../../lambdas/core/iceberg/manifest-list.ts";
import { currentSchema, currentSnapshot, defaultSpec } from "../../lambdas/core/iceberg/metadata.ts";
import { assignFieldIds, lineageFields } from "../../lambdas/core/iceberg/schema.ts";
import type {
  DataFile,
  ManifestEntry,
  ManifestFile,
  NestedField,
  Snapshot,
  TableUpdate,
} from "../../lambdas/core/iceberg/types.ts";
import type { ObjectUri, TableName } from "../../lambdas/core/ids.ts";
import type { Catalog, LoadedTable } from "../../lambdas/core/ports.ts";
import { shapeOfTable } from "../../lambdas/core/schema/diff.ts";
import { commitSchema } from "../../lambdas/core/table.ts";
import type { MemoryObjectStore } from "../fakes/memory-object-store.ts";
import { fileOf, type SimDataFile } from "./row-converter.ts";
import { type LiveFile, liveFiles, reachable, rowsOf } from "./table-reader.ts";
import type { World } from "./world.ts";

export interface ForeignPorts {
  readonly world: World;
  readonly store: MemoryObjectStore;
  readonly catalog: Catalog;
}

const THINKING_MAX_MS = 400;

/** Ids of the rows that are in the table because of this append. */
export async function foreignAppend(ports: ForeignPorts, name: TableName): Promise<string[]> {
  const base = await loadAndThink(ports, name);
  if (base === undefined) return [];
  const id = `foreign#${ports.world.random.uuid()}`;
  const file = await writeRows(ports, base, { rows: [{ id, path: "foreign" }] }, 1);
  const before = manifestsOf(ports.store, base);
  const sequenceNumber = base.metadata["last-sequence-number"] + 1;
  const entry: ManifestEntry = {
    status: "added",
    snapshotId: null,
    sequenceNumber: null,
    fileSequenceNumber: null,
    dataFile: file,
  };
  const landed = await commitSnapshot(ports, base, "append", (snapshotId) => [
    writeManifest(ports, base, [entry], snapshotId, { sequenceNumber, minSequenceNumber: sequenceNumber }),
    ...before,
  ]);
  return landed ? [id] : [];
}

/** All live rows into one file with the base's last sequence number; deletes that were applied are gone with their files. */
export async function foreignCompaction(ports: ForeignPorts, name: TableName): Promise<void> {
  const base = await loadAndThink(ports, name);
  const snapshot = base && currentSnapshot(base.metadata);
  if (base === undefined || snapshot === undefined) return;
  const live = liveFiles(ports.store, snapshot);
  if (live.filter(isData).length < 2) return;
  const rows = rowsOf(ports.store, live);
  const file = await writeRows(ports, base, { rows }, rows.length);
  const starting = snapshot["sequence-number"];
  await commitSnapshot(ports, base, "replace", (snapshotId) => {
    const entry: ManifestEntry = {
      status: "added",
      snapshotId,
      sequenceNumber: starting,
      fileSequenceNumber: null,
      dataFile: file,
    };
    const sequenceNumber = base.metadata["last-sequence-number"] + 1;
    return [writeManifest(ports, base, [entry], snapshotId, { sequenceNumber, minSequenceNumber: starting })];
  });
}

/** Keeps the last few snapshots and deletes what only the others reached. */
export async function foreignExpiry(ports: ForeignPorts, name: TableName, keep: number): Promise<void> {
  const base = await loadAndThink(ports, name);
  if (base === undefined) return;
  const ids = base.metadata.snapshots.map((snapshot) => snapshot["snapshot-id"]).slice(0, -keep);
  if (ids.length === 0) return;
  const before = reachable(ports.store, base.metadata);
  const updates: TableUpdate[] = [{ action: "remove-snapshots", "snapshot-ids": ids }];
  const outcome = await ports.catalog.commit(base, { requirements: [], updates, folder: "foreign" });
  if (outcome.kind === "conflict") return;
  ports.world.note(`foreign expiry ${name.table} -${ids.length}`);
  const after = reachable(ports.store, outcome.table.metadata);
  await ports.store.remove([...before].filter((uri) => !after.has(uri)) as ObjectUri[]);
}

const LINEAGE = new Set(lineageFields.map(({ name }) => name));

/** An engine's `ALTER TABLE`: a column comes, goes, or is called otherwise. No file may be lost or wait for ever because of it. */
export async function foreignAlteration(ports: ForeignPorts, name: TableName): Promise<void> {
  const { world } = ports;
  const base = await loadAndThink(ports, name);
  if (base === undefined) return;
  const { schema, lastColumnId } = shapeOfTable(base.metadata);
  const chosen = world.pick(schema.fields.filter((field) => !LINEAGE.has(field.name)));
  const kind = chosen === undefined ? "add" : world.pick(["add", "drop", "rename"]);
  const added = assignFieldIds([{ name: `c${world.upTo(4)}`, type: world.pick(["long", "string"]) }], lastColumnId);
  const renamed = { ...chosen, name: `${chosen?.name}_${world.upTo(3)}` } as NestedField;
  const others = schema.fields.filter(({ id }) => kind === "add" || id !== chosen?.id);
  const fields = [...others, ...(kind === "add" ? added.fields : kind === "rename" ? [renamed] : [])];
  if (new Set(fields.map((field) => field.name)).size < fields.length) return;
  const altered = { schema: { ...schema, fields }, lastColumnId: kind === "add" ? added.lastColumnId : lastColumnId };
  const outcome = await commitSchema(ports.catalog, base, { ...altered, changed: true });
  world.note(`foreign ${kind} of a column of ${name.table}: ${outcome.kind}`);
}

async function loadAndThink({ world, catalog }: ForeignPorts, name: TableName): Promise<LoadedTable | undefined> {
  const base = await catalog.load(name);
  await world.sleep(world.upTo(THINKING_MAX_MS));
  // Thinking over a table that has moved on would only read what is gone: engines load again, so do we.
  const now = await catalog.load(name);
  return world.chance(0.5) || base?.token === now?.token ? now : undefined;
}

async function commitSnapshot(
  ports: ForeignPorts,
  base: LoadedTable,
  operation: "append" | "replace",
  manifests: (snapshotId: bigint) => ManifestFile[],
): Promise<boolean> {
  const { metadata } = base;
  const parent = currentSnapshot(metadata);
  const snapshotId = BigInt(1 + ports.world.upTo(2 ** 31)) * 1_048_576n + BigInt(ports.world.upTo(1_000_000));
  const sequenceNumber = metadata["last-sequence-number"] + 1;
  const manifestList = `${metadata.location}/metadata/foreign/${ports.world.random.uuid()}.avro` as ObjectUri;
  const list = encodeManifestList(
    { snapshotId, parentSnapshotId: parent?.["snapshot-id"] ?? null, sequenceNumber },
    manifests(snapshotId),
  );
  await ports.store.put(manifestList, list);
  await ports.world.sleep(ports.world.upTo(THINKING_MAX_MS));
  const snapshot: Snapshot = {
    "snapshot-id": snapshotId,
    ...(parent === undefined ? {} : { "parent-snapshot-id": parent["snapshot-id"] }),
    "sequence-number": sequenceNumber,
    "timestamp-ms": Math.max(ports.world.now(), metadata["last-updated-ms"] + 1),
    "manifest-list": manifestList,
    summary: { operation },
    "schema-id": metadata["current-schema-id"],
  };
  const outcome = await ports.catalog.commit(base, {
    requirements: [{ type: "assert-ref-snapshot-id", ref: "main", "snapshot-id": parent?.["snapshot-id"] ?? null }],
    updates: [
      { action: "add-snapshot", snapshot },
      { action: "set-snapshot-ref", "ref-name": "main", type: "branch", "snapshot-id": snapshotId },
    ],
    folder: "foreign",
  });
  ports.world.note(`foreign ${operation} ${base.name.table}: ${outcome.kind}`);
  return outcome.kind === "committed";
}

async function writeRows(
  ports: ForeignPorts,
  base: LoadedTable,
  content: SimDataFile,
  recordCount: number,
): Promise<DataFile> {
  const filePath = `${base.metadata.location}/data/foreign/${ports.world.random.uuid()}.json` as ObjectUri;
  const { body, file } = fileOf(content, recordCount);
  await ports.store.put(filePath, body);
  return { ...file, content: "data", filePath };
}

function writeManifest(
  ports: ForeignPorts,
  base: LoadedTable,
  entries: ManifestEntry[],
  snapshotId: bigint,
  numbers: { readonly sequenceNumber: number; readonly minSequenceNumber: number },
): ManifestFile {
  const contents = {
    schema: currentSchema(base.metadata),
    spec: defaultSpec(base.metadata),
    content: "data" as const,
    entries,
  };
  const path = `${base.metadata.location}/metadata/foreign/${ports.world.random.uuid()}-m.avro` as ObjectUri;
  const bytes = encodeManifest({ ...contents, snapshotId });
  ports.store.put(path, bytes).catch(() => undefined);
  return { ...describeManifest(path, bytes.length, contents), ...numbers, addedSnapshotId: snapshotId };
}

function manifestsOf(store: MemoryObjectStore, base: LoadedTable): ManifestFile[] {
  const snapshot = currentSnapshot(base.metadata);
  const list = snapshot && store.objects.get(snapshot["manifest-list"] as ObjectUri);
  return list === undefined ? [] : decodeManifestList(list.bytes);
}

function isData({ file }: LiveFile): boolean {
  return file.content === "data";
}
