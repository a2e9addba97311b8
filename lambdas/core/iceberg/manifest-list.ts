// Manifest lists: one per snapshot, naming its manifests (specification, "Manifest Lists"). Written for format v2, read for v1 and v2.
// This is where staged manifests get their snapshot id and sequence numbers, so it is the only Avro file a commit must write.

import { MoraineError } from "../errors.ts";
import { decodeContainer, encodeContainer } from "./avro.ts";
import { manifestFileSchema } from "./manifest-schema.ts";
import {
  bigintAt,
  corrupt,
  type Fields,
  fieldsOf,
  numberAt,
  optionalArrayAt,
  optionalBytesAt,
  optionalNumberAt,
  present,
  stringAt,
} from "./record-fields.ts";
import type { FieldSummary, ManifestFile } from "./types.ts";

export interface ManifestListHeader {
  readonly snapshotId: bigint;
  readonly parentSnapshotId: bigint | null;
  readonly sequenceNumber: number;
}

export function encodeManifestList(header: ManifestListHeader, manifests: readonly ManifestFile[]): Uint8Array {
  return encodeContainer(manifestFileSchema, manifests.map(manifestRecord), {
    "snapshot-id": header.snapshotId.toString(),
    "parent-snapshot-id": header.parentSnapshotId === null ? "null" : header.parentSnapshotId.toString(),
    "sequence-number": String(header.sequenceNumber),
    "format-version": "2",
  });
}

function manifestRecord(manifest: ManifestFile): object {
  return {
    manifest_path: manifest.manifestPath,
    manifest_length: manifest.manifestLength,
    partition_spec_id: manifest.partitionSpecId,
    content: manifest.content === "data" ? 0 : 1,
    sequence_number: manifest.sequenceNumber,
    min_sequence_number: manifest.minSequenceNumber,
    added_snapshot_id: manifest.addedSnapshotId,
    added_files_count: manifest.addedFilesCount,
    existing_files_count: manifest.existingFilesCount,
    deleted_files_count: manifest.deletedFilesCount,
    added_rows_count: manifest.addedRowsCount,
    existing_rows_count: manifest.existingRowsCount,
    deleted_rows_count: manifest.deletedRowsCount,
    partitions: manifest.partitions?.map((summary) => ({
      contains_null: summary.containsNull,
      contains_nan: summary.containsNan,
      lower_bound: summary.lowerBound,
      upper_bound: summary.upperBound,
    })),
    key_metadata: manifest.keyMetadata,
  };
}

/** `name`: the manifest list's path, for messages. */
export function decodeManifestList(bytes: Uint8Array, name = "manifest list"): ManifestFile[] {
  return decodeContainer(bytes, name).records.map((record) => manifestFileOf(fieldsOf(record, name, "manifest_file")));
}

function manifestFileOf(fields: Fields): ManifestFile {
  return present<ManifestFile>({
    manifestPath: stringAt(fields, "manifest_path"),
    manifestLength: numberAt(fields, "manifest_length"),
    partitionSpecId: numberAt(fields, "partition_spec_id"),
    content: contentOf(fields),
    // Manifests of format v1 are older than every sequence number.
    sequenceNumber: optionalNumberAt(fields, "sequence_number") ?? 0,
    minSequenceNumber: optionalNumberAt(fields, "min_sequence_number") ?? 0,
    addedSnapshotId: bigintAt(fields, "added_snapshot_id"),
    // Second names: what Java wrote before the specification settled (added_data_files_count).
    addedFilesCount: countAt(fields, "added_files_count", "added_data_files_count"),
    existingFilesCount: countAt(fields, "existing_files_count", "existing_data_files_count"),
    deletedFilesCount: countAt(fields, "deleted_files_count", "deleted_data_files_count"),
    addedRowsCount: countAt(fields, "added_rows_count"),
    existingRowsCount: countAt(fields, "existing_rows_count"),
    deletedRowsCount: countAt(fields, "deleted_rows_count"),
    partitions: optionalArrayAt(fields, "partitions")?.map((value) => summaryOf(value, fields.file)),
    keyMetadata: optionalBytesAt(fields, "key_metadata"),
  });
}

function contentOf(fields: Fields): "data" | "deletes" {
  const content = optionalNumberAt(fields, "content") ?? 0;
  if (content === 0) return "data";
  if (content === 1) return "deletes";
  throw corrupt(fields.file, "content", "is not a known kind of manifest");
}

function countAt(fields: Fields, ...names: string[]): number {
  const count = optionalNumberAt(fields, ...names);
  if (count !== undefined) return count;
  throw new MoraineError(
    "Invalid",
    "manifest list of format v1 has no counts; run rewrite_manifests on the table with Spark or Trino once",
    { file: fields.file, property: names[0] },
  );
}

function summaryOf(value: unknown, file: string): FieldSummary {
  const fields = fieldsOf(value, file, "partitions");
  const nan = fields.values["contains_nan"];
  return present<FieldSummary>({
    containsNull: fields.values["contains_null"] === true,
    containsNan: typeof nan === "boolean" ? nan : undefined,
    lowerBound: optionalBytesAt(fields, "lower_bound"),
    upperBound: optionalBytesAt(fields, "upper_bound"),
  });
}
