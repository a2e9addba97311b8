// Rows of a Parquet inventory: one row group's columns in memory as they are stored, decoded a window of rows at a time.

import {
  type AsyncBuffer,
  type FileMetaData,
  parquetMetadataAsync,
  parquetReadObjects,
  parquetSchema,
} from "hyparquet/src/index.js";
import { MoraineError } from "../errors.ts";
import type { ListedObject, ObjectStore } from "../ports.ts";
import { fileIsGone, type InventoryRows, listedObject } from "./inventory-csv.ts";
import { columnAt, type Field } from "./inventory-manifest.ts";
import type { InventoryFile } from "./model.ts";

/** 100,000 decoded rows take 30 MB or so; pages before the window are stepped over. */
const WINDOW_ROWS = 100_000;
const ROWS_AT_ONCE = 4000;
const FIELDS: readonly Field[] = ["Key", "Size", "LastModifiedDate", "ETag", "IsLatest", "IsDeleteMarker"];

type Row = Readonly<Record<string, unknown>>;

export async function* parquetRows(
  store: ObjectStore,
  file: InventoryFile,
  skipRows: number,
): AsyncGenerator<InventoryRows, void, undefined> {
  const bytes = new RangedFile(store, file);
  const metadata = await parquetMetadataAsync(bytes);
  const names = parquetSchema(metadata).children.map(({ element }) => element.name);
  const columns = Object.fromEntries(FIELDS.map((field) => [field, names[columnAt(names, field)]]));
  for (const { start, end } of windowsOf(metadata, skipRows)) {
    if (start.ofGroup) bytes.forget();
    const rows: readonly Row[] = await parquetReadObjects({
      file: bytes,
      metadata,
      columns: Object.values(columns).filter((name) => name !== undefined),
      rowStart: start.row,
      rowEnd: end,
      parsers: { timestampFromMilliseconds: Number },
    });
    for (let at = 0; at < rows.length; at += ROWS_AT_ONCE) {
      const some = rows.slice(at, at + ROWS_AT_ONCE);
      const objects = some.map((row, index) => read(file, columns, row, start.row + at + index + 1));
      yield { rows: some.length, objects: objects.filter((object) => object !== undefined) };
    }
  }
}

/** Undefined: not the current version of an object. Keys are as they are, unlike in CSV. */
function read(
  file: InventoryFile,
  columns: Readonly<Record<string, string | undefined>>,
  row: Row,
  number: number,
): ListedObject | undefined {
  const value = (field: Field): unknown => row[columns[field] ?? ""];
  if (value("IsLatest") === false || value("IsDeleteMarker") === true) return undefined;
  const size = value("Size") ?? Number.NaN;
  const modified = value("LastModifiedDate") ?? Number.NaN;
  return listedObject(file, number, {
    key: String(value("Key") ?? ""),
    etag: String(value("ETag") ?? ""),
    sizeBytes: Number(size),
    lastModifiedMs: Number(modified),
  });
}

/** Windows of rows, none across two row groups. */
function* windowsOf(metadata: FileMetaData, skipRows: number) {
  let groupStart = 0;
  for (const { num_rows } of metadata.row_groups) {
    const groupEnd = groupStart + Number(num_rows);
    const first = Math.max(groupStart, skipRows);
    for (let row = first; row < groupEnd; row += WINDOW_ROWS) {
      yield { start: { row, ofGroup: row === first }, end: Math.min(groupEnd, row + WINDOW_ROWS) };
    }
    groupStart = groupEnd;
  }
}

/** Byte ranges of the file, kept until `forget`: the windows of a row group lie in the same ones. */
class RangedFile implements AsyncBuffer {
  readonly byteLength: number;
  readonly #store: ObjectStore;
  readonly #file: InventoryFile;
  #kept = new Map<string, Promise<ArrayBuffer>>();

  constructor(store: ObjectStore, file: InventoryFile) {
    this.#store = store;
    this.#file = file;
    this.byteLength = file.sizeBytes;
  }

  slice(start: number, end: number = this.byteLength): Promise<ArrayBuffer> {
    const name = `${start}-${end}`;
    const bytes = this.#kept.get(name) ?? this.#fetch(start, end);
    this.#kept.set(name, bytes);
    return bytes;
  }

  forget(): void {
    this.#kept = new Map();
  }

  async #fetch(start: number, end: number): Promise<ArrayBuffer> {
    const outcome = await this.#store.get(this.#file.uri, { range: { start, end } });
    if (outcome.kind !== "found") throw fileIsGone(this.#file);
    const bytes = new Uint8Array(end - start);
    let filled = 0;
    for await (const part of outcome.body) {
      bytes.set(part, filled);
      filled += part.length;
    }
    if (filled === bytes.length) return bytes.buffer;
    const facts = { uri: this.#file.uri, start, end, filled };
    throw new MoraineError("Invalid", "a file of the inventory is shorter than its manifest says", facts);
  }
}
