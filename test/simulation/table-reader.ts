// Reads a simulated table the way an engine would: snapshot, manifest list, manifests, data files, equality deletes by sequence
// number. Written apart from the code that commits, so that the two can disagree. Every object it needs must be there.

import { decodeManifest, inherit } from "../../lambdas/core/iceberg/manifest.ts";
import { decodeManifestList } from "../../lambdas/core/iceberg/manifest-list.ts";
import { currentSnapshot } from "../../lambdas/core/iceberg/metadata.ts";
import type { DataFile, Snapshot, TableMetadata } from "../../lambdas/core/iceberg/types.ts";
import type { ObjectUri } from "../../lambdas/core/ids.ts";
import type { MemoryObjectStore } from "../fakes/memory-object-store.ts";
import type { SimDataFile, SimDeleteFile, SimRow } from "./row-converter.ts";

export interface LiveFile {
  readonly file: DataFile;
  readonly sequenceNumber: number;
}

export class MissingObject extends Error {}

function bytesOf(store: MemoryObjectStore, uri: string): Uint8Array {
  const object = store.objects.get(uri as ObjectUri);
  if (object === undefined) throw new MissingObject(`live object is missing: ${uri}`);
  return object.bytes;
}

function contentOf(store: MemoryObjectStore, uri: string): unknown {
  return JSON.parse(Buffer.from(bytesOf(store, uri)).toString());
}

export function liveFiles(store: MemoryObjectStore, snapshot: Snapshot): LiveFile[] {
  const manifests = decodeManifestList(bytesOf(store, snapshot["manifest-list"]));
  return manifests.flatMap((manifest) => {
    const bytes = bytesOf(store, manifest.manifestPath);
    if (bytes.length !== manifest.manifestLength) throw new Error(`manifest length is wrong: ${manifest.manifestPath}`);
    return inherit(decodeManifest(bytes).entries, manifest)
      .filter((entry) => entry.status !== "deleted")
      .map((entry) => ({ file: entry.dataFile, sequenceNumber: Number(entry.sequenceNumber) }));
  });
}

export function rowsOf(store: MemoryObjectStore, files: readonly LiveFile[]): SimRow[] {
  const deletes = files
    .filter(({ file }) => file.content === "equality-deletes")
    .map(({ file, sequenceNumber }) => ({
      sequenceNumber,
      paths: new Set((contentOf(store, file.filePath) as SimDeleteFile).paths),
    }));
  return files
    .filter(({ file }) => file.content === "data")
    .flatMap(({ file, sequenceNumber }) => {
      const { rows } = contentOf(store, file.filePath) as SimDataFile;
      if (rows.length !== file.recordCount) throw new Error(`record count is wrong: ${file.filePath}`);
      const applying = deletes.filter((one) => one.sequenceNumber > sequenceNumber);
      return rows.filter((row) => !applying.some(({ paths }) => paths.has(row.path)));
    });
}

export function currentRows(store: MemoryObjectStore, metadata: TableMetadata): SimRow[] {
  const snapshot = currentSnapshot(metadata);
  return snapshot === undefined ? [] : rowsOf(store, liveFiles(store, snapshot));
}

/** Everything any snapshot of the table leads to; throws MissingObject when something of it is gone. */
export function reachable(store: MemoryObjectStore, metadata: TableMetadata): Set<string> {
  const reached = new Set<string>();
  for (const snapshot of metadata.snapshots) {
    reached.add(snapshot["manifest-list"]);
    for (const manifest of decodeManifestList(bytesOf(store, snapshot["manifest-list"])))
      reached.add(manifest.manifestPath);
    for (const { file } of liveFiles(store, snapshot)) {
      bytesOf(store, file.filePath);
      reached.add(file.filePath);
    }
  }
  return reached;
}
