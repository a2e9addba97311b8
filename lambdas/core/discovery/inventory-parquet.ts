// Rows of a Parquet inventory: column by column, a window of one row group at a time, so that memory is bounded by the window and by
// one column of the row group.

import { type AsyncBuffer, parquetMetadataAsync, parquetScan, parquetSchema } from "hyparquet/src/index.js";
import { MoraineError } from "../errors.ts";
import type { ListedObject, ObjectStore } from "../ports.ts";
import { fileIsGone, type InventoryRows, listedObject } from "./inventory-csv.ts";
import { columnAt, type Field } from "./inventory-manifest.ts";
import type { InventoryFile } from "./model.ts";

/** 50 MB or so decoded. Pages of a million rows, which S3 does not write, are decoded again for every window and take 600 MB. */
const WINDOW_ROWS = 250_000;
const ROWS_AT_ONCE = 4000;
const FIELDS: readonly Field[] = ["Key", "Size", "LastModifiedDate", "ETag", "IsLatest", "IsDeleteMarker"];

/** Values by row of the window; absent: the inventory has no such column. */
type Columns = Readonly<Partial<Record<Field, ArrayLike<unknown>>>>;

export interface RowWindow {
  readonly rowStart: number;
  readonly rowEnd: number;
}

export async function* parquetRows(
  store: ObjectStore,
  file: InventoryFile,
  skipRows: number,
): AsyncGenerator<InventoryRows, void, undefined> {
  const bytes = rangedFile(store, file);
  const metadata = await parquetMetadataAsync(bytes);
  const names = parquetSchema(metadata).children.map(({ element }) => element.name);
  const groups = metadata.row_groups.map(({ num_rows }) => Number(num_rows));
  for (const window of windowsOf(groups, skipRows, WINDOW_ROWS)) {
    // A scan remembers the columns it read: one for each window lets go of them.
    const scan = await parquetScan({ file: bytes, metadata, parsers: { timestampFromMilliseconds: Number } });
    const columns: { [F in Field]?: ArrayLike<unknown> } = {};
    for (const field of FIELDS) {
      const column = names[columnAt(names, field)];
      if (column !== undefined) columns[field] = await scan.readColumn({ column, ...window });
    }
    const count = window.rowEnd - window.rowStart;
    for (let at = 0; at < count; at += ROWS_AT_ONCE) {
      const rows = Math.min(ROWS_AT_ONCE, count - at);
      yield { rows, objects: read(file, columns, { at, rows, firstRow: window.rowStart + 1 }) };
    }
  }
}

/** Windows of rows, none across two row groups; without the first `skipRows`. `groups`: rows of each. */
export function* windowsOf(groups: readonly number[], skipRows: number, windowRows: number): Generator<RowWindow> {
  let groupStart = 0;
  for (const rows of groups) {
    const groupEnd = groupStart + rows;
    for (let rowStart = Math.max(groupStart, skipRows); rowStart < groupEnd; rowStart += windowRows) {
      yield { rowStart, rowEnd: Math.min(groupEnd, rowStart + windowRows) };
    }
    groupStart = groupEnd;
  }
}

/** Current versions among some rows of the window. Keys are as they are, unlike in CSV. */
function read(
  file: InventoryFile,
  columns: Columns,
  { at, rows, firstRow }: { readonly at: number; readonly rows: number; readonly firstRow: number },
): readonly ListedObject[] {
  const objects: ListedObject[] = [];
  for (let row = at; row < at + rows; row++) {
    if (columns.IsLatest?.[row] === false || columns.IsDeleteMarker?.[row] === true) continue;
    const object = {
      key: String(columns.Key?.[row] ?? ""),
      etag: String(columns.ETag?.[row] ?? ""),
      sizeBytes: Number(columns.Size?.[row] ?? Number.NaN),
      lastModifiedMs: Number(columns.LastModifiedDate?.[row] ?? Number.NaN),
    };
    objects.push(listedObject(file, firstRow + row, object));
  }
  return objects;
}

function rangedFile(store: ObjectStore, file: InventoryFile): AsyncBuffer {
  return {
    byteLength: file.sizeBytes,
    async slice(start, end = file.sizeBytes) {
      const outcome = await store.get(file.uri, { range: { start, end } });
      if (outcome.kind !== "found") throw fileIsGone(file);
      const bytes = new Uint8Array(end - start);
      let filled = 0;
      for await (const part of outcome.body) {
        bytes.set(part, filled);
        filled += part.length;
      }
      if (filled === bytes.length) return bytes.buffer;
      const facts = { uri: file.uri, start, end, filled };
      throw new MoraineError("Invalid", "a file of the inventory is shorter than its manifest says", facts);
    },
  };
}
