// Rows of a gzipped CSV inventory, streamed: what is unzipped ahead of the reader is a few hundred kilobytes.
// S3 quotes every field, writes no header, and URL-encodes keys as forms do (a space is "+"), so no field holds a quote or a newline.

import { pipeline } from "node:stream";
import { createGunzip } from "node:zlib";
import { MoraineError } from "../errors.ts";
import { decodeKey } from "../events.ts";
import type { ListedObject, ObjectStore } from "../ports.ts";
import { columnAt } from "./inventory-manifest.ts";
import type { InventoryFile } from "./model.ts";

/** Some rows of an inventory's file: how many, and those of them that are current versions, in the file's order. */
export interface InventoryRows {
  readonly rows: number;
  readonly objects: readonly ListedObject[];
}

const UNZIPPED_BYTES = 256 * 1024;
const NEWLINE = 10;

export async function* csvRows(
  store: ObjectStore,
  file: InventoryFile,
  skipRows: number,
): AsyncGenerator<InventoryRows, void, undefined> {
  const read = rowReader(file);
  let row = 0;
  for await (const lines of linesOf(store, file)) {
    const objects: ListedObject[] = [];
    const first = Math.max(0, Math.min(lines.length, skipRows - row));
    for (let at = first; at < lines.length; at++) {
      const object = read(lines[at] as string, row + at + 1);
      if (object !== undefined) objects.push(object);
    }
    row += lines.length;
    if (first < lines.length) yield { rows: lines.length - first, objects };
  }
}

/** Undefined: not the current version of an object. `row`: from 1, for messages. */
function rowReader(file: InventoryFile): (line: string, row: number) => ListedObject | undefined {
  const place = (field: Parameters<typeof columnAt>[1]): number => columnAt(file.columns, field);
  const [key, size, modified, etag] = [place("Key"), place("Size"), place("LastModifiedDate"), place("ETag")];
  const [latest, marker] = [place("IsLatest"), place("IsDeleteMarker")];
  return (line, row) => {
    const fields = fieldsOf(line);
    if (fields.length !== file.columns.length) {
      const facts = { uri: file.uri, row, fields: fields.length, columns: file.columns.length };
      throw new MoraineError("Invalid", "a row of the inventory has another number of fields than its manifest", facts);
    }
    if (fields[latest] === "false" || fields[marker] === "true") return undefined;
    return listedObject(file, row, {
      key: decodeKey(fields[key] ?? ""),
      etag: fields[etag] ?? "",
      sizeBytes: fields[size] === "" ? Number.NaN : Number(fields[size]),
      lastModifiedMs: Date.parse(fields[modified] ?? ""),
    });
  };
}

/** Throws Invalid for a current version without ETag, size or date: it could be told from no other. */
export function listedObject(file: InventoryFile, row: number, object: ListedObject): ListedObject {
  const { key, etag, sizeBytes, lastModifiedMs } = object;
  if (key !== "" && etag !== "" && Number.isSafeInteger(sizeBytes) && !Number.isNaN(lastModifiedMs)) return object;
  throw new MoraineError("Invalid", "a row of the inventory lacks its key, etag, size or date", { uri: file.uri, row });
}

function fieldsOf(line: string): readonly string[] {
  if (line.startsWith('"') && line.endsWith('"')) return line.slice(1, -1).split('","');
  // Other writers leave out the quotes where nothing needs them.
  return line.split(",").map((field) => (field.startsWith('"') && field.endsWith('"') ? field.slice(1, -1) : field));
}

async function* linesOf(store: ObjectStore, file: InventoryFile): AsyncGenerator<readonly string[]> {
  let rest: Uint8Array = new Uint8Array();
  for await (const part of unzipped(store, file)) {
    const end = part.lastIndexOf(NEWLINE) + 1;
    if (end > 0) yield splitLines(Buffer.concat([rest, part.subarray(0, end)]));
    rest = end > 0 ? part.subarray(end) : Buffer.concat([rest, part]);
  }
  if (rest.length > 0) yield splitLines(Buffer.from(rest));
}

function splitLines(bytes: Buffer): readonly string[] {
  const lines = bytes.toString("utf8").split("\n");
  if (lines.at(-1) === "") lines.pop();
  return lines.some((line) => line.endsWith("\r")) ? lines.map((line) => line.replace(/\r$/, "")) : lines;
}

async function* unzipped(store: ObjectStore, file: InventoryFile): AsyncGenerator<Buffer> {
  const outcome = await store.get(file.uri);
  if (outcome.kind !== "found") throw fileIsGone(file);
  // The callback is told what the iteration throws as well.
  const gunzip = pipeline(outcome.body, createGunzip({ chunkSize: UNZIPPED_BYTES }), () => undefined);
  try {
    yield* gunzip as AsyncIterable<Buffer>;
  } catch (error) {
    if (error instanceof MoraineError) throw error;
    throw new MoraineError("Invalid", "a file of the inventory is no gzip, or ends early", { uri: file.uri }, error);
  }
}

export function fileIsGone(file: InventoryFile): MoraineError {
  const remedy = "run again with the next report, or keep reports longer than a run takes";
  return new MoraineError("Invalid", `a file of the inventory is not there any more: ${remedy}`, { uri: file.uri });
}
