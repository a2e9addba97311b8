// S3 Inventory: finding the newest report, and its files as streams of listed objects, never whole in memory.

import { MoraineError } from "../errors.ts";
import { readObject } from "../iceberg/read-object.ts";
import type { ObjectUri } from "../ids.ts";
import type { ListedObject, ObjectStore } from "../ports.ts";
import { csvRows } from "./inventory-csv.ts";
import { type Manifest, parseManifest } from "./inventory-manifest.ts";
import { parquetRows } from "./inventory-parquet.ts";
import { compareUtf8 } from "./key-order.ts";
import type { InventoryFile } from "./model.ts";

export interface InventoryReport extends Manifest {
  readonly manifest: ObjectUri;
}

const CHUNK_OBJECTS = 4000;
/** Also when none of them is of interest: a checkpoint must get on. */
const CHUNK_ROWS = 100_000;

/** The newest complete report below `location`. Throws Invalid with the remedy: none there, ORC, a column missing. */
export async function findInventory(store: ObjectStore, location: string): Promise<InventoryReport> {
  const folder = location.replace(/\/+$/, "");
  let newest: ObjectUri | undefined;
  // Reports lie in `2026-11-06T21-32Z/`, their many files in `data/`: until the year 3000 this lists the former alone.
  for await (const { uri } of store.list(`${folder}/2`)) {
    if (/\/\d{4}-\d\d-\d\dT\d\d-\d\dZ\/manifest\.json$/.test(uri)) newest = uri;
  }
  const bytes = newest === undefined ? undefined : await readObject(store, newest);
  if (newest === undefined || bytes === undefined) {
    throw new MoraineError(
      "Invalid",
      "there is no inventory report at the location: name the folder that holds its dated folders; the first report takes up to 48 hours",
      { location },
    );
  }
  return { ...parseManifest(Buffer.from(bytes).toString("utf8"), newest), manifest: newest };
}

/**
 * Chunks of current object versions in the order of the file, each sorted by key; `rows` counts the file's rows so far, for
 * checkpoints.
 */
export async function* readInventory(
  store: ObjectStore,
  file: InventoryFile,
  { skipRows, prefix }: { readonly skipRows: number; readonly prefix: string },
): AsyncGenerator<{ readonly objects: readonly ListedObject[]; readonly rows: number }, void, undefined> {
  const read = file.format === "CSV" ? csvRows : parquetRows;
  let held: ListedObject[] = [];
  let rows = skipRows;
  let passedOn = skipRows;
  for await (const some of read(store, file, skipRows)) {
    rows += some.rows;
    for (const object of some.objects) if (object.key.startsWith(prefix)) held.push(object);
    if (held.length < CHUNK_OBJECTS && rows - passedOn < CHUNK_ROWS) continue;
    yield { objects: inOrder(held), rows };
    held = [];
    passedOn = rows;
  }
  if (rows > passedOn) yield { objects: inOrder(held), rows };
}

function inOrder(objects: readonly ListedObject[]): readonly ListedObject[] {
  return objects.toSorted((a, b) => compareUtf8(a.key, b.key));
}
