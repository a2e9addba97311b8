// Which manifests to merge, and how their entries are carried over.
// Tiered, as in a log-structured merge tree: only manifests of about the same number of files are merged, and only when there are
// `fanIn` of them, so each entry is rewritten O(log n) times and the bytes written per commit stay flat. (Java's bin packing
// rewrites up to 8 MB on nearly every commit.) A manifest list therefore holds at most about fanIn manifests per tier.

import { assert } from "../errors.ts";
import { decodeManifest, describeManifest, inherit, type ManifestContents } from "./manifest.ts";
import type { ManifestEntry, ManifestFile, Schema } from "./types.ts";

export interface MergePolicy {
  /** Manifests of one tier that make a merge; at least 2. */
  readonly fanIn: number;
  /** No merged manifest is planned past this. */
  readonly targetBytes: number;
}

/** Groups to be merged into one manifest each. Every manifest is in at most one group. */
export function planMerges(manifests: readonly ManifestFile[], policy: MergePolicy): ManifestFile[][] {
  assert(policy.fanIn >= 2, `fanIn is ${policy.fanIn}`);
  const tiers = Map.groupBy(
    manifests.filter((manifest) => manifest.manifestLength < policy.targetBytes),
    (manifest) => `${manifest.partitionSpecId} ${manifest.content} ${tierOf(manifest, policy.fanIn)}`,
  );
  return [...tiers.values()].filter((tier) => tier.length >= policy.fanIn).flatMap((tier) => groupsOf(tier, policy));
}

function liveFiles(manifest: ManifestFile): number {
  return manifest.addedFilesCount + manifest.existingFilesCount;
}

function tierOf(manifest: ManifestFile, fanIn: number): number {
  let tier = 0;
  for (let files = liveFiles(manifest); files >= fanIn; files = Math.floor(files / fanIn)) tier++;
  return tier;
}

/** Cut where the bytes would pass the target. A rest that is neither full nor numerous waits: merging it now would be repeated soon. */
function groupsOf(tier: readonly ManifestFile[], policy: MergePolicy): ManifestFile[][] {
  const groups: ManifestFile[][] = [];
  let group: ManifestFile[] = [];
  let bytes = 0;
  for (const manifest of tier.toSorted((a, b) => liveFiles(a) - liveFiles(b))) {
    if (bytes + manifest.manifestLength > policy.targetBytes) {
      if (group.length >= 2) groups.push(group);
      group = [];
      bytes = 0;
    }
    group.push(manifest);
    bytes += manifest.manifestLength;
  }
  if (group.length >= policy.fanIn) groups.push(group);
  return groups;
}

export interface MergedEntries {
  readonly entries: ManifestEntry[];
  /** Lowest of the live files; of an empty merge, that of its youngest manifest. */
  readonly minSequenceNumber: number;
  /** The newest schema the inputs were written with. The current one may lack a column that their old spec partitions by. */
  readonly schema: Schema;
}

/**
 * The live entries of manifests of one spec and content, with explicit ids. Files of older snapshots become EXISTING; files that
 * `snapshotId` itself adds stay ADDED, or readers of that snapshot's changes would miss them.
 */
export function mergeManifests(
  inputs: readonly { readonly manifest: ManifestFile; readonly bytes: Uint8Array }[],
  snapshotId: bigint,
): MergedEntries {
  const decoded = inputs.map(({ manifest, bytes }) => ({ manifest, ...decodeManifest(bytes, manifest.manifestPath) }));
  const [first] = decoded;
  assert(first !== undefined, "a merge has manifests");
  for (const { manifest } of decoded) {
    const alike =
      manifest.partitionSpecId === first.manifest.partitionSpecId && manifest.content === first.manifest.content;
    assert(alike, `${manifest.manifestPath} has another spec or content than ${first.manifest.manifestPath}`);
  }
  const entries = decoded
    .flatMap(({ manifest, entries: own }) => inherit(own, manifest))
    .filter((entry) => entry.status !== "deleted")
    .map((entry): ManifestEntry => (entry.snapshotId === snapshotId ? entry : { ...entry, status: "existing" }));
  const youngest = Math.max(...decoded.map(({ manifest }) => manifest.sequenceNumber));
  const newest = decoded.reduce((a, b) => (b.schema["schema-id"] > a.schema["schema-id"] ? b : a));
  return { entries, minSequenceNumber: minSequenceNumberOf(entries) ?? youngest, schema: newest.schema };
}

/** Of entries with explicit sequence numbers. */
function minSequenceNumberOf(entries: readonly ManifestEntry[]): number | undefined {
  let min: number | undefined;
  for (const { sequenceNumber } of entries) {
    if (sequenceNumber !== null && (min === undefined || sequenceNumber < min)) min = sequenceNumber;
  }
  return min;
}

/** The manifest list entry of a manifest written from merged entries. */
export function mergedManifestFile(
  path: string,
  length: number,
  contents: ManifestContents,
  snapshot: { readonly snapshotId: bigint; readonly sequenceNumber: number },
): ManifestFile {
  return {
    ...describeManifest(path, length, contents),
    sequenceNumber: snapshot.sequenceNumber,
    minSequenceNumber: minSequenceNumberOf(contents.entries) ?? snapshot.sequenceNumber,
    addedSnapshotId: snapshot.snapshotId,
  };
}
