// Checks that a table's metadata, manifest lists and manifests agree with each other, as strictly as any engine might rely on it.
// Returns what is wrong in words, so that a test or an operator sees every finding and not the first.

import type { ObjectStore } from "../ports.ts";
import { formatJson } from "./json.ts";
import { decodeManifest, describeManifest, inherit, type ManifestContents } from "./manifest.ts";
import { partitionType } from "./partition.ts";
import { readManifests } from "./read-manifests.ts";
import { readLiveObject } from "./read-object.ts";
import type { ManifestEntry, ManifestFile, Snapshot, StagedManifest, TableMetadata } from "./types.ts";
import { compareValues, decodeValue } from "./values.ts";

/** Findings over all snapshots of the table; empty: the table is sound. Data files themselves are not opened. */
export async function verifyTable(store: ObjectStore, metadata: TableMetadata): Promise<string[]> {
  const findings = verifyMetadata(metadata);
  const checked = new Map<string, Checked>();
  for (const snapshot of metadata.snapshots) {
    findings.push(...(await verifySnapshot(store, metadata, snapshot, checked)));
  }
  return findings;
}

interface Checked {
  readonly findings: readonly string[];
  readonly live: readonly ManifestEntry[];
}

function verifyMetadata(m: TableMetadata): string[] {
  const findings: string[] = [];
  const ids = m.snapshots.map((snapshot) => snapshot["snapshot-id"]);
  const sequences = m.snapshots.map((snapshot) => snapshot["sequence-number"]);
  if (new Set(ids).size < ids.length) findings.push("two snapshots have one id");
  if (new Set(sequences).size < sequences.length) findings.push("two snapshots have one sequence number");
  if (Math.max(0, ...sequences) > m["last-sequence-number"]) findings.push("a snapshot is past last-sequence-number");
  for (const [name, ref] of Object.entries(m.refs ?? {})) {
    if (!ids.includes(ref["snapshot-id"])) findings.push(`ref ${name} names no snapshot`);
  }
  if (m.refs?.["main"]?.["snapshot-id"] !== m["current-snapshot-id"]) findings.push("main is not the current snapshot");
  for (const key of ["snapshot-log", "metadata-log"] as const) {
    const times = m[key].map((entry) => entry["timestamp-ms"]);
    if (times.some((time, i) => time < (times[i - 1] ?? 0))) findings.push(`${key} goes back in time`);
    if ((times.at(-1) ?? 0) > m["last-updated-ms"]) findings.push(`${key} is past last-updated-ms`);
  }
  return findings;
}

async function verifySnapshot(
  store: ObjectStore,
  metadata: TableMetadata,
  snapshot: Snapshot,
  checked: Map<string, Checked>,
): Promise<string[]> {
  const where = `snapshot ${snapshot["snapshot-id"]}`;
  const manifests = await readManifests(store, snapshot["manifest-list"]);
  const findings: string[] = [];
  const live: ManifestEntry[] = [];
  for (const manifest of manifests) {
    if (manifest.sequenceNumber > snapshot["sequence-number"]) {
      findings.push(`${where} lists the newer manifest ${manifest.manifestPath}`);
    }
    const key = formatJson(manifest);
    const result = checked.get(key) ?? (await verifyManifest(store, metadata, manifest));
    if (!checked.has(key)) findings.push(...result.findings);
    checked.set(key, result);
    live.push(...result.live);
  }
  findings.push(...verifyPaths(where, manifests, live), ...verifyTotals(where, snapshot, live));
  return findings;
}

async function verifyManifest(store: ObjectStore, metadata: TableMetadata, manifest: ManifestFile): Promise<Checked> {
  const path = manifest.manifestPath;
  const bytes = await readLiveObject(store, path, "manifest");
  const contents = decodeManifest(bytes, path);
  const entries = inherit(contents.entries, manifest);
  const live = entries.filter((entry) => entry.status !== "deleted");
  const findings: string[] = [];
  const expect = (holds: boolean, finding: string) => {
    if (!holds) findings.push(`${path}: ${finding}`);
  };
  const facts = describeManifest(path, bytes.length, { ...contents, entries });
  expect(coversPartitions(contents, manifest, facts), "partition summary does not cover every entry");
  for (const name of COUNTED)
    expect(facts[name] === manifest[name], `${name} is ${manifest[name]}, not ${facts[name]}`);
  expect(
    metadata["partition-specs"].some((spec) => spec["spec-id"] === manifest.partitionSpecId),
    `partition spec ${manifest.partitionSpecId} is unknown`,
  );
  const sequences = live.map((entry) => entry.sequenceNumber ?? 0);
  const lowest = Math.min(manifest.sequenceNumber, ...sequences);
  expect(manifest.minSequenceNumber <= lowest, `minSequenceNumber is ${manifest.minSequenceNumber}, above ${lowest}`);
  expect(Math.max(0, ...sequences) <= manifest.sequenceNumber, "an entry is newer than its manifest");
  expect(manifest.sequenceNumber <= metadata["last-sequence-number"], "manifest is past last-sequence-number");
  return { findings, live };
}

/** Engines skip a manifest whose summary says that it cannot hold a value; wider than needed is harmless. */
function coversPartitions({ spec, schema }: ManifestContents, listed: ManifestFile, facts: StagedManifest): boolean {
  if (listed.partitions === undefined) return true;
  return partitionType(spec, schema).every((type, index) => {
    const [said, found] = [listed.partitions?.[index], facts.partitions?.[index]];
    if (said === undefined || found === undefined) return false;
    const below = (a: Uint8Array | undefined, b: Uint8Array | undefined) =>
      a !== undefined && b !== undefined && compareValues(type, decodeValue(type, a), decodeValue(type, b)) <= 0;
    const bounded =
      found.lowerBound === undefined ||
      (below(said.lowerBound, found.lowerBound) && below(found.upperBound, said.upperBound));
    return bounded && (said.containsNull || !found.containsNull) && (said.containsNan !== false || !found.containsNan);
  });
}

const COUNTED = [
  "manifestLength",
  "partitionSpecId",
  "content",
  "addedFilesCount",
  "existingFilesCount",
  "deletedFilesCount",
  "addedRowsCount",
  "existingRowsCount",
  "deletedRowsCount",
] as const;

function verifyPaths(where: string, manifests: readonly ManifestFile[], live: readonly ManifestEntry[]): string[] {
  const twice = [
    ...repeated(manifests.map((manifest) => manifest.manifestPath)),
    ...repeated(live.map((entry) => entry.dataFile.filePath)),
  ];
  return twice.map((path) => `${where} holds ${path} more than once`);
}

function repeated(paths: readonly string[]): string[] {
  const seen = new Set<string>();
  const twice = new Set<string>();
  for (const path of paths) (seen.has(path) ? twice : seen).add(path);
  return [...twice];
}

/** Totals are optional in a summary; wrong ones mislead engines that answer count(*) from them. */
function verifyTotals(where: string, snapshot: Snapshot, live: readonly ManifestEntry[]): string[] {
  const data = live.filter((entry) => entry.dataFile.content === "data");
  const totals: Readonly<Record<string, number>> = {
    "total-data-files": data.length,
    "total-delete-files": live.length - data.length,
    "total-records": data.reduce((sum, entry) => sum + entry.dataFile.recordCount, 0),
    "total-files-size": live.reduce((sum, entry) => sum + entry.dataFile.fileSizeInBytes, 0),
  };
  return Object.entries(totals)
    .filter(([name, total]) => snapshot.summary[name] !== undefined && snapshot.summary[name] !== String(total))
    .map(([name, total]) => `${where} says ${name} is ${snapshot.summary[name]}, not ${total}`);
}
