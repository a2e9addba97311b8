// What a reader of a snapshot reads: its live data files, each with the deletes that apply to it (specification, "Scan Planning").
// For tests, the command line and exports; the commit path never scans.

import { MoraineError } from "../errors.ts";
import type { ObjectStore } from "../ports.ts";
import { currentSnapshot, snapshotById, specById } from "./metadata.ts";
import { isUnpartitioned } from "./partition.ts";
import { readEntries, readManifests } from "./read-manifests.ts";
import type { DataFile, ManifestFile, PartitionTuple, TableMetadata } from "./types.ts";

export { verifyTable } from "./verify.ts";

export interface ScanDelete {
  readonly deleteFile: DataFile;
  readonly sequenceNumber: number;
}

export interface ScanTask {
  readonly dataFile: DataFile;
  readonly sequenceNumber: number;
  /** Partition spec the data file was written with. */
  readonly specId: number;
  readonly deletes: readonly ScanDelete[];
}

/** A live file and where it stands. */
interface LiveFile {
  readonly file: DataFile;
  readonly sequenceNumber: number;
  readonly specId: number;
}

/** Field id of `file_path` in position-delete files (specification, "Reserved Field IDs"). */
const DELETE_FILE_PATH_ID = 2147483546;

/** No snapshot id: the current one. A table without a snapshot has no files. */
export async function planScan(store: ObjectStore, metadata: TableMetadata, snapshotId?: bigint): Promise<ScanTask[]> {
  const snapshot = snapshotId === undefined ? currentSnapshot(metadata) : snapshotById(metadata, snapshotId);
  if (snapshot === undefined) {
    if (snapshotId === undefined) return [];
    throw new MoraineError("Invalid", "table has no such snapshot; it may have expired", { snapshotId });
  }
  const live = await liveFiles(store, await readManifests(store, snapshot["manifest-list"]));
  const deletesOf = deleteIndex(
    live.filter(({ file }) => file.content !== "data"),
    (specId) => isUnpartitioned(specById(metadata, specId)),
  );
  return live
    .filter(({ file }) => file.content === "data")
    .map((data) => ({
      dataFile: data.file,
      sequenceNumber: data.sequenceNumber,
      specId: data.specId,
      deletes: deletesOf(data),
    }));
}

async function liveFiles(store: ObjectStore, manifests: readonly ManifestFile[]): Promise<LiveFile[]> {
  const live: LiveFile[] = [];
  for (const manifest of manifests) {
    for (const { status, sequenceNumber, dataFile } of await readEntries(store, manifest)) {
      if (status === "deleted") continue;
      live.push({ file: dataFile, sequenceNumber: sequenceNumber ?? 0, specId: manifest.partitionSpecId });
    }
  }
  return live;
}

function deleteIndex(
  deletes: readonly LiveFile[],
  isGlobalSpec: (specId: number) => boolean,
): (data: LiveFile) => ScanDelete[] {
  const global = deletes.filter(({ file, specId }) => file.content === "equality-deletes" && isGlobalSpec(specId));
  const inPartition = Map.groupBy(
    deletes.filter((one) => !global.includes(one)),
    partitionKey,
  );
  return (data) =>
    [...global, ...(inPartition.get(partitionKey(data)) ?? [])]
      .filter((one) => applies(one, data))
      .map(({ file, sequenceNumber }) => ({ deleteFile: file, sequenceNumber }));
}

/** Equality deletes reach only older data; position deletes also data of the same commit. */
function applies(one: LiveFile, data: LiveFile): boolean {
  if (one.file.content === "equality-deletes") return data.sequenceNumber < one.sequenceNumber;
  const target = targetOf(one.file);
  return data.sequenceNumber <= one.sequenceNumber && (target === undefined || target === data.file.filePath);
}

/** The one data file a position-delete file is about, when it says so or its bounds do. */
function targetOf(file: DataFile): string | undefined {
  if (file.referencedDataFile !== undefined) return file.referencedDataFile;
  const lower = file.lowerBounds?.get(DELETE_FILE_PATH_ID);
  const upper = file.upperBounds?.get(DELETE_FILE_PATH_ID);
  const same = lower !== undefined && upper !== undefined && Buffer.compare(lower, upper) === 0;
  return same ? new TextDecoder().decode(lower) : undefined;
}

function partitionKey({ specId, file }: LiveFile): string {
  return `${specId} ${tupleKey(file.partition)}`;
}

function tupleKey(tuple: PartitionTuple): string {
  const texts = tuple.map((value) => {
    if (value instanceof Uint8Array) return `x${Buffer.from(value).toString("hex")}`;
    // 5 and 5n are one value: the column may have been promoted between two manifests.
    return typeof value === "bigint" || typeof value === "number" ? `n${value}` : value;
  });
  return JSON.stringify(texts);
}
