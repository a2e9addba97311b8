// Staging a batch: its data files and one manifest per content are uploaded under the batch id, snapshot and sequence numbers
// left null to be inherited. Nothing here is visible to a reader; an aborted batch leaves exactly these objects behind.

import { mapLimit } from "./concurrency.ts";
import { assert } from "./errors.ts";
import { stageManifest } from "./iceberg/manifest.ts";
import { currentSchema, defaultSpec } from "./iceberg/metadata.ts";
import { findField, LINEAGE_FILE_PATH } from "./iceberg/schema.ts";
import type { DataFile, PartitionSpec, StagedManifest, TableMetadata } from "./iceberg/types.ts";
import type { BatchId, ObjectUri } from "./ids.ts";
import type { Conversion, ConversionResult, ConvertedFile, ObjectStore } from "./ports.ts";
import type { Staged, StagedFile } from "./records.ts";
import type { StagedQuarantine } from "./schema/quarantine.ts";

export interface StageJob {
  readonly store: ObjectStore;
  readonly metadata: TableMetadata;
  readonly batch: BatchId;
  /** Where rows that are none go. */
  readonly quarantine: string;
  readonly conversion: Conversion;
  readonly result: ConversionResult;
  readonly files: readonly StagedFile[];
  /** Paths whose earlier rows leave the table in the same snapshot. */
  readonly replaces: readonly ObjectUri[];
}

const UPLOADS_MAX = 4;

export async function stageBatch(job: StageJob): Promise<Staged> {
  const { metadata } = job;
  const data = await mapLimit(job.result.files, UPLOADS_MAX, (file, n) =>
    uploadFile(job, file, `${n}`, { content: "data" }),
  );
  const deletes = job.replaces.length === 0 ? [] : [await uploadDeletes(job)];
  const dataManifest = await uploadManifest(job, "data", defaultSpec(metadata), data);
  const deleteManifest = await uploadManifest(job, "deletes", globalSpec(metadata), deletes);
  const staged: Staged = {
    tableUuid: metadata["table-uuid"],
    ...(dataManifest === undefined ? {} : { dataManifest, partitionFields: defaultSpec(metadata).fields }),
    ...(deleteManifest === undefined ? {} : { deleteManifest }),
    files: job.files,
    ...(await uploadQuarantine(job)),
    dataFiles: data.length,
    deleteFiles: deletes.length,
    records: sum(data.map((file) => file.recordCount)),
    deleteRecords: sum(deletes.map((file) => file.recordCount)),
    dataBytes: sum(data.map((file) => file.fileSizeInBytes)),
    deleteBytes: sum(deletes.map((file) => file.fileSizeInBytes)),
  };
  assert(
    staged.records === sum(job.files.map((file) => file.records)),
    "rows in data files equal rows of the files loaded",
  );
  return staged;
}

/**
 * Equality deletes on `_file_path`, unpartitioned and therefore global: they take the old version's rows out wherever a
 * compaction may have moved them, and spare the new rows, whose sequence number is not lower (specification, "Scan Planning").
 */
async function uploadDeletes(job: StageJob): Promise<DataFile> {
  const schema = currentSchema(job.metadata);
  const field = findField(schema, LINEAGE_FILE_PATH);
  assert(field !== undefined, "a table whose files are replaced has the column _file_path");
  const file = await job.conversion.writeDeletes(schema, field.id, job.replaces);
  return uploadFile(job, file, "deletes", { content: "equality-deletes", equalityIds: [field.id] });
}

async function uploadQuarantine(job: StageJob): Promise<{ readonly quarantine?: StagedQuarantine }> {
  const { quarantine } = job.result;
  const rows = sum(job.files.map(({ quarantined = 0 }) => quarantined));
  assert((quarantine?.rows ?? 0) === rows, "rows in quarantine equal rows the files lack");
  if (quarantine === undefined || rows === 0) return {};
  const uri = `${job.quarantine}rows.ndjson` as ObjectUri;
  const stored = await job.store.put(uri, quarantine.body, { contentType: "application/x-ndjson" });
  assert(stored.kind === "stored", "nothing but a condition refuses a put");
  const { body } = quarantine;
  const sizeBytes = body instanceof Uint8Array ? body.length : body.sizeBytes;
  return { quarantine: { uri, etag: stored.etag, sizeBytes, rows } };
}

async function uploadFile(
  job: StageJob,
  converted: ConvertedFile,
  name: string,
  role: Pick<DataFile, "content" | "equalityIds">,
): Promise<DataFile> {
  const filePath = `${job.metadata.location}/data/${job.batch}/${name}.parquet` as ObjectUri;
  await job.store.put(filePath, converted.body, { contentType: "application/vnd.apache.parquet" });
  return { ...converted.file, ...role, filePath };
}

async function uploadManifest(
  job: StageJob,
  content: "data" | "deletes",
  spec: PartitionSpec,
  dataFiles: readonly DataFile[],
): Promise<StagedManifest | undefined> {
  if (dataFiles.length === 0) return undefined;
  const path = manifestPath(job.metadata.location, job.batch, content);
  const { bytes, staged } = stageManifest(path, {
    schema: currentSchema(job.metadata),
    spec,
    content,
    dataFiles: [...dataFiles],
  });
  await job.store.put(path, bytes, { contentType: "application/avro" });
  return staged;
}

/** The spec without fields: equality deletes listed under it hold in every partition. `prepareTable` sees to it that there is one. */
function globalSpec(metadata: TableMetadata): PartitionSpec {
  const spec = findGlobalSpec(metadata);
  assert(
    spec !== undefined || defaultSpec(metadata).fields.length === 0,
    "a table whose files are replaced has an empty spec",
  );
  return spec ?? defaultSpec(metadata);
}

export function findGlobalSpec(metadata: TableMetadata): PartitionSpec | undefined {
  return metadata["partition-specs"].find((spec) => spec.fields.length === 0);
}

function manifestPath(location: string, batch: BatchId, content: "data" | "deletes"): ObjectUri {
  return `${location}/metadata/${batch}/${content}.avro` as ObjectUri;
}

/** The manifests that a batch may have staged. */
export function manifestPaths(location: string, batch: BatchId): readonly ObjectUri[] {
  return [manifestPath(location, batch, "data"), manifestPath(location, batch, "deletes")];
}

/** Folders that hold everything a batch ever writes. */
export function batchFolders(location: string, batch: BatchId): readonly string[] {
  return [`${location}/data/${batch}/`, `${location}/metadata/${batch}/`];
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
