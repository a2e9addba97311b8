// The summary of a snapshot: the counters every Iceberg engine shows, and Moraine's own facts for people. Nothing reads it back
// for correctness, since summaries expire with their snapshots.

import type { ManifestFile, Snapshot } from "./iceberg/types.ts";
import type { Intent, Staged } from "./records.ts";

export function summarize(
  ledgerId: string,
  intent: Intent,
  staged: readonly Staged[],
  manifests: readonly ManifestFile[],
  parent: Snapshot | undefined,
): Snapshot["summary"] {
  const added = {
    dataFiles: sum(staged, (one) => one.dataFiles),
    records: sum(staged, (one) => one.records),
    deleteFiles: sum(staged, (one) => one.deleteFiles),
    deletes: sum(staged, (one) => one.deleteRecords),
    bytes: sum(staged, (one) => one.dataBytes + one.deleteBytes),
  };
  const data = manifests.filter((manifest) => manifest.content === "data");
  const deletes = manifests.filter((manifest) => manifest.content === "deletes");
  const previousBytes = Number(parent?.summary["total-files-size"] ?? 0);
  const previousPositions = parent?.summary["total-position-deletes"] ?? "0";
  return {
    operation: added.deleteFiles > 0 ? "overwrite" : "append",
    "added-data-files": `${added.dataFiles}`,
    "added-records": `${added.records}`,
    "added-files-size": `${added.bytes}`,
    ...(added.deleteFiles > 0
      ? {
          "added-delete-files": `${added.deleteFiles}`,
          "added-equality-delete-files": `${added.deleteFiles}`,
          "added-equality-deletes": `${added.deletes}`,
        }
      : {}),
    "total-data-files": `${sum(data, liveFiles)}`,
    "total-records": `${sum(data, liveRows)}`,
    "total-files-size": `${previousBytes + added.bytes}`,
    "total-delete-files": `${sum(deletes, liveFiles)}`,
    "total-position-deletes": previousPositions,
    "total-equality-deletes": `${Number(parent?.summary["total-equality-deletes"] ?? 0) + added.deletes}`,
    [`moraine.${ledgerId}.commit-seq`]: `${intent.seq}:${intent.id}`,
    "moraine.files": `${intent.files}`,
  };
}

function liveFiles(manifest: ManifestFile): number {
  return manifest.addedFilesCount + manifest.existingFilesCount;
}

function liveRows(manifest: ManifestFile): number {
  return manifest.addedRowsCount + manifest.existingRowsCount;
}

function sum<T>(items: readonly T[], number: (item: T) => number): number {
  return items.reduce((total, item) => total + number(item), 0);
}
