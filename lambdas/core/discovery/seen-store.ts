// Segments in the object store.

import { readObject } from "../iceberg/read-object.ts";
import type { ObjectUri } from "../ids.ts";
import type { ObjectStore } from "../ports.ts";
import type { SeenSegment } from "./model.ts";
import { EntryCursor, type EntryList } from "./seen-entries.ts";
import { decodeSegment, encodeSegment, type OpenSegment } from "./seen-segment.ts";

export type SegmentRead =
  | { readonly kind: "loaded"; readonly segment: OpenSegment }
  | { readonly kind: "missing" | "unreadable" };

const UPLOADS_AT_ONCE = 8;

/** Throws what the store throws. */
export async function readSegment(store: ObjectStore, uri: ObjectUri): Promise<SegmentRead> {
  const bytes = await readObject(store, uri);
  if (bytes === undefined) return { kind: "missing" };
  const segment = decodeSegment(bytes);
  return segment === undefined ? { kind: "unreadable" } : { kind: "loaded", segment };
}

/** Writes each list as it comes, a few at a time. */
export async function writeSegments(
  store: ObjectStore,
  folder: string,
  name: () => string,
  lists: Iterable<EntryList>,
): Promise<readonly SeenSegment[]> {
  const written: SeenSegment[] = [];
  let uploads: Promise<SeenSegment>[] = [];
  for (const list of lists) {
    uploads.push(writeSegment(store, uriIn(folder, name()), list));
    if (uploads.length < UPLOADS_AT_ONCE) continue;
    written.push(...(await allEnded(uploads)));
    uploads = [];
  }
  return [...written, ...(await allEnded(uploads))];
}

async function writeSegment(store: ObjectStore, uri: ObjectUri, list: EntryList): Promise<SeenSegment> {
  await store.put(uri, encodeSegment(list), { contentType: "application/octet-stream" });
  return { uri, ...endsOf(list), entries: list.count };
}

/** Every upload has ended, one way or the other, before an error is thrown. */
async function allEnded<T>(work: readonly Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(work);
  return Promise.all(work);
}

function endsOf(list: EntryList): { readonly first: string; readonly last: string } {
  const cursor = new EntryCursor(list);
  const key = () => cursor.key.toString("utf8", 0, cursor.length);
  cursor.next();
  const first = key();
  while (cursor.next());
  return { first, last: key() };
}

function uriIn(folder: string, name: string): ObjectUri {
  return `${folder}${folder.endsWith("/") ? "" : "/"}${name}.bin` as ObjectUri;
}
