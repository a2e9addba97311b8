// The batches' manifests as a base can list them. Between seal and commit another writer may drop the partition spec a manifest was
// written under, as engines do with specs that no snapshot uses, and may even give its id away. Such a manifest is written anew under
// the spec without fields, which needs no column and no transform: its files are not skipped by partition any more, until somebody
// compacts them, and their rows are all there. (Adding the old spec again would need its id and its source columns to be free and there.)

import { decodeManifest, describeManifest, encodeManifest } from "./iceberg/manifest.ts";
import type { PartitionField, StagedManifest, TableMetadata, TableUpdate } from "./iceberg/types.ts";
import type { ObjectUri } from "./ids.ts";
import { readBytes } from "./object-bytes.ts";
import type { ObjectStore } from "./ports.ts";
import type { Staged } from "./records.ts";
import { findGlobalSpec } from "./stage.ts";

export interface ListableManifests {
  readonly manifests: readonly StagedManifest[];
  /** The base with the spec that the manifests need. */
  readonly metadata: TableMetadata;
  /** What adds that spec. */
  readonly updates: readonly TableUpdate[];
}

/** `folder`: where manifests that are written anew go, a uri without a slash at the end. */
export async function listableManifests(
  store: ObjectStore,
  metadata: TableMetadata,
  batches: readonly Staged[],
  folder: string,
): Promise<ListableManifests> {
  const all = batches.flatMap(manifestsOf);
  const lost = all.filter(({ manifest, fields }) => !isKnown(metadata, manifest, fields));
  const manifests = all.map(({ manifest }) => manifest);
  if (lost.length === 0) return { manifests, metadata, updates: [] };
  const known = findGlobalSpec(metadata);
  const spec = known ?? {
    "spec-id": Math.max(...metadata["partition-specs"].map((s) => s["spec-id"])) + 1,
    fields: [],
  };
  const anew = new Map<StagedManifest, StagedManifest>();
  for (const [n, { manifest }] of lost.entries()) {
    anew.set(manifest, await unpartitioned(store, manifest, spec, `${folder}/unpartitioned-${n}.avro` as ObjectUri));
  }
  return {
    manifests: manifests.map((manifest) => anew.get(manifest) ?? manifest),
    metadata: known ? metadata : { ...metadata, "partition-specs": [...metadata["partition-specs"], spec] },
    updates: known ? [] : [{ action: "add-spec", spec }],
  };
}

/** Deletes are always staged under a spec without fields. */
function manifestsOf({ dataManifest, deleteManifest, partitionFields }: Staged) {
  return [
    ...(dataManifest === undefined ? [] : [{ manifest: dataManifest, fields: partitionFields }]),
    ...(deleteManifest === undefined ? [] : [{ manifest: deleteManifest, fields: [] }]),
  ];
}

/** `fields` is missing for batches sealed before it was kept. */
function isKnown(
  metadata: TableMetadata,
  { partitionSpecId }: StagedManifest,
  fields: readonly PartitionField[] | undefined,
): boolean {
  const spec = metadata["partition-specs"].find((one) => one["spec-id"] === partitionSpecId);
  return spec !== undefined && (fields === undefined || layoutOf(spec.fields) === layoutOf(fields));
}

function layoutOf(fields: readonly PartitionField[]): string {
  return JSON.stringify(fields.map((field) => [field["source-id"], field["field-id"], field.transform]));
}

async function unpartitioned(
  store: ObjectStore,
  manifest: StagedManifest,
  spec: TableMetadata["partition-specs"][number],
  path: ObjectUri,
): Promise<StagedManifest> {
  const written = decodeManifest(await readBytes(store, manifest.manifestPath as ObjectUri), manifest.manifestPath);
  const entries = written.entries.map((entry) => ({ ...entry, dataFile: { ...entry.dataFile, partition: [] } }));
  const contents = { ...written, spec, entries };
  const bytes = encodeManifest({ ...contents, snapshotId: null });
  await store.put(path, bytes, { contentType: "application/avro" });
  return describeManifest(path, bytes.length, contents);
}
