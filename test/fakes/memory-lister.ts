// ListObjectsV2 as the port sees it, in memory: over the objects of a MemoryObjectStore, or over any sorted sequence of keys, which
// may be made as they are asked for, so that a test can list a million keys it never holds.

import { compareUtf8 } from "../../lambdas/core/discovery/key-order.ts";
import type { BucketLister, ListedObject, ListPage, ListRequest } from "../../lambdas/core/ports.ts";
import type { MemoryObjectStore } from "./memory-object-store.ts";

/** Keys in UTF-8 byte order, each once. */
export interface KeySequence {
  readonly size: number;
  at(index: number): string;
}

export const PAGE_KEYS = 1000;
const LAST_MODIFIED_MS = Date.UTC(2026, 0, 2, 3, 4, 5);

export class MemoryLister implements BucketLister {
  readonly requests: ListRequest[] = [];
  readonly #store: MemoryObjectStore;
  readonly #pageKeys: number;

  constructor(store: MemoryObjectStore, pageKeys = PAGE_KEYS) {
    this.#store = store;
    this.#pageKeys = pageKeys;
  }

  async page(request: ListRequest): Promise<ListPage> {
    this.requests.push(request);
    const start = `s3://${request.bucket}/`;
    const stored = [...this.#store.objects]
      .filter(([uri]) => uri.startsWith(start))
      .map(([uri, { etag, bytes, lastModifiedMs }]) => {
        return { key: uri.slice(start.length), etag, sizeBytes: bytes.length, lastModifiedMs };
      })
      .sort((a, b) => compareUtf8(a.key, b.key));
    const keys = { size: stored.length, at: (index: number) => stored[index]?.key ?? "" };
    return pageOf(keys, request, this.#pageKeys, (index) => stored[index] as ListedObject);
  }
}

export class SequenceLister implements BucketLister {
  requests = 0;
  readonly #keys: KeySequence;
  readonly #pageKeys: number;

  constructor(keys: KeySequence | readonly string[], pageKeys = PAGE_KEYS) {
    this.#keys = isArray(keys) ? { size: keys.length, at: (index) => keys[index] ?? "" } : keys;
    this.#pageKeys = pageKeys;
  }

  async page(request: ListRequest): Promise<ListPage> {
    this.requests++;
    return pageOf(this.#keys, request, this.#pageKeys, (index) => {
      const key = this.#keys.at(index);
      return { key, etag: `etag-${index}`, sizeBytes: Buffer.byteLength(key), lastModifiedMs: LAST_MODIFIED_MS };
    });
  }
}

function pageOf(
  keys: KeySequence,
  { prefix, after = "", folded = false }: ListRequest,
  pageKeys: number,
  objectAt: (index: number) => ListedObject,
): ListPage {
  const objects: ListedObject[] = [];
  const folders: string[] = [];
  let index = firstIndex(keys, (key) => compareUtf8(key, prefix) >= 0 && compareUtf8(key, after) > 0);
  for (; index < keys.size; index++) {
    const key = keys.at(index);
    if (!key.startsWith(prefix)) break;
    const slash = folded ? key.indexOf("/", prefix.length) : -1;
    const folder = slash < 0 ? undefined : key.slice(0, slash + 1);
    const known = folder !== undefined && (compareUtf8(folder, after) <= 0 || folders.at(-1) === folder);
    if (!known && objects.length + folders.length >= pageKeys) return { objects, folders, truncated: true };
    if (folder === undefined) objects.push(objectAt(index));
    else {
      if (!known) folders.push(folder);
      index = firstIndex(keys, (other) => compareUtf8(other, key) > 0 && !other.startsWith(folder)) - 1;
    }
  }
  return { objects, folders, truncated: false };
}

/** `holds` is false for a leading run of the keys and true behind it. */
function firstIndex(keys: KeySequence, holds: (key: string) => boolean): number {
  let low = 0;
  let high = keys.size;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (holds(keys.at(middle))) high = middle;
    else low = middle + 1;
  }
  return low;
}

function isArray(keys: KeySequence | readonly string[]): keys is readonly string[] {
  return Array.isArray(keys);
}
