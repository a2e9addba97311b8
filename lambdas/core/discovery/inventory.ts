// S3 Inventory: finding the newest report, and its files as streams of listed objects, never whole in memory.

import type { ObjectUri } from "../ids.ts";
import type { ListedObject, ObjectStore } from "../ports.ts";
import type { InventoryFile } from "./model.ts";

export interface InventoryReport {
  readonly files: readonly InventoryFile[];
  readonly sourceBucket: string;
  readonly createdAtMs: number;
  readonly manifest: ObjectUri;
}

/** The newest complete report below `location`. Throws Invalid with the remedy: none there, ORC, a column missing. */
export function findInventory(_store: ObjectStore, _location: string): Promise<InventoryReport> {
  throw new Error("to be built");
}

/** Chunks of current object versions in the order of the file; `rows` counts the file's rows so far, for checkpoints. */
export function readInventory(
  _store: ObjectStore,
  _file: InventoryFile,
  _options: { readonly skipRows: number; readonly prefix: string },
): AsyncIterable<{ readonly objects: readonly ListedObject[]; readonly rows: number }> {
  throw new Error("to be built");
}
