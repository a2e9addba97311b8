// Entries of a sorted manifest: keys in the order of their UTF-8 bytes, front-coded against the key before them, and beside each a
// 64-bit hash of its version. A million entries of a listing take some 40 MB so, where the listed objects take 300.
//
//   keys     per entry: shared (varint), length (varint), the `length` bytes after the `shared` ones; every 64th shares nothing
//   hashes   per entry: two 32-bit words, little endian

import type { ListedObject } from "../ports.ts";

export interface EntryList {
  readonly count: number;
  readonly keys: Buffer;
  readonly hashes: Buffer;
}

export const HASH_BYTES = 8;
/** A walk may begin at every such entry. */
export const RESTART_EVERY = 64;

/**
 * Of ETag, size and LastModified in whole seconds, as two words at `at`. Not a cryptographic hash: two versions of one key are taken
 * for each other with a chance of 2^-64, and whoever could forge that may write to the bucket anyway. SHA-256 costs five times as much.
 */
export function hashVersion({ etag, sizeBytes, lastModifiedMs }: ListedObject, into: Uint32Array, at: number): void {
  const seconds = Math.floor(lastModifiedMs / 1000);
  const { length } = etag;
  let a = 0x243f6a88;
  let b = 0x85a308d3;
  // Each step is a permutation of the 64 bits of (a, b), so two versions that have come apart meet again only by chance.
  for (let index = 0; index < length + 5; index++) {
    a = Math.imul(
      a ^ (index < length ? etag.charCodeAt(index) : wordOf(index - length, length, sizeBytes, seconds)),
      P1,
    );
    a ^= a >>> 15;
    b = Math.imul(b ^ a, P2);
    b ^= b >>> 13;
    a ^= b;
  }
  into[at] = a;
  into[at + 1] = b;
}

const P1 = 0x9e3779b1;
const P2 = 0x85ebca77;

/** What follows the ETag, so that no two versions are the same sequence of words. */
function wordOf(place: number, etagLength: number, sizeBytes: number, seconds: number): number {
  if (place === 0) return etagLength;
  if (place < 3) return place === 1 ? sizeBytes >>> 0 : Math.floor(sizeBytes / 2 ** 32);
  return place === 3 ? seconds >>> 0 : Math.floor(seconds / 2 ** 32);
}

/** Versions of objects in some order: their keys end to end, and their hashes. One allocation for a stretch, not one for each key. */
export interface PackedVersions {
  readonly count: number;
  readonly keys: Buffer;
  /** The key of the n-th lies between the n-th and the next. */
  readonly starts: Uint32Array;
  readonly hashes: Uint32Array;
}

export function packVersions(objects: readonly ListedObject[], order: readonly number[]): PackedVersions {
  const count = order.length;
  const [starts, hashes] = [new Uint32Array(count + 1), new Uint32Array(2 * count)];
  for (let n = 0; n < count; n++) {
    const object = objects[order[n] as number] as ListedObject;
    starts[n + 1] = (starts[n] as number) + Buffer.byteLength(object.key);
    hashVersion(object, hashes, 2 * n);
  }
  const keys = Buffer.allocUnsafe(starts[count] as number);
  for (let n = 0; n < count; n++) keys.write((objects[order[n] as number] as ListedObject).key, starts[n] as number);
  return { count, keys, starts, hashes };
}

/** Takes entries in order of key, then hash. An entry pushed twice is held once. */
export class EntryWriter {
  #keys = Buffer.allocUnsafe(16 * 1024);
  #keysLength = 0;
  #hashes = Buffer.allocUnsafe(8 * 1024);
  #count = 0;
  #last = Buffer.allocUnsafe(1024);
  #lastLength = 0;

  get count(): number {
    return this.#count;
  }

  /** The key, which is copied, is the `length` bytes from `start` of `bytes`. */
  push(bytes: Buffer, start: number, length: number, a: number, b: number): void {
    const common = this.#commonWith(bytes, start, length);
    if (this.#count > 0 && common === length && common === this.#lastLength && this.#isLastHash(a, b)) return;
    const shared = this.#count % RESTART_EVERY === 0 ? 0 : common;
    this.#keys = withRoom(this.#keys, this.#keysLength, length - shared + 10);
    this.#varint(shared);
    this.#varint(length - shared);
    this.#keysLength += bytes.copy(this.#keys, this.#keysLength, start + shared, start + length);
    this.#hashes = withRoom(this.#hashes, this.#count * HASH_BYTES, HASH_BYTES);
    this.#hashes.writeUInt32LE(a, this.#count * HASH_BYTES);
    this.#hashes.writeUInt32LE(b, this.#count * HASH_BYTES + 4);
    this.#count++;
    this.#last = withRoom(this.#last, common, length - common);
    bytes.copy(this.#last, common, start + common, start + length);
    this.#lastLength = length;
  }

  /** What was pushed since the last `take`. */
  take(): EntryList {
    const list = {
      count: this.#count,
      keys: Buffer.from(this.#keys.subarray(0, this.#keysLength)),
      hashes: Buffer.from(this.#hashes.subarray(0, this.#count * HASH_BYTES)),
    };
    this.#count = this.#keysLength = this.#lastLength = 0;
    return list;
  }

  #commonWith(bytes: Buffer, start: number, length: number): number {
    const most = Math.min(length, this.#lastLength);
    const last = this.#last;
    let common = 0;
    while (common < most && last[common] === bytes[start + common]) common++;
    return common;
  }

  #isLastHash(a: number, b: number): boolean {
    const at = (this.#count - 1) * HASH_BYTES;
    return this.#hashes.readUInt32LE(at) === a && this.#hashes.readUInt32LE(at + 4) === b;
  }

  #varint(value: number): void {
    let rest = value;
    for (; rest > 0x7f; rest >>>= 7) this.#keys[this.#keysLength++] = (rest & 0x7f) | 0x80;
    this.#keys[this.#keysLength++] = rest;
  }
}

/** Walks a list. `key` is good up to `length` and until the next step. */
export class EntryCursor {
  readonly list: EntryList;
  key = Buffer.allocUnsafe(1024);
  length = 0;
  a = 0;
  b = 0;
  #index: number;
  #at: number;

  /** `index`, a multiple of `RESTART_EVERY`, is the first entry `next` will show; it lies at `at`. */
  constructor(list: EntryList, index = 0, at = 0) {
    this.list = list;
    this.#index = index;
    this.#at = at;
  }

  /** Where the entry that `next` will show lies. */
  get at(): number {
    return this.#at;
  }

  next(): boolean {
    if (this.#index >= this.list.count) return false;
    const shared = this.#varint();
    const rest = this.#varint();
    this.length = shared + rest;
    this.key = withRoom(this.key, shared, rest);
    this.#at += this.list.keys.copy(this.key, shared, this.#at, this.#at + rest);
    this.a = this.list.hashes.readUInt32LE(this.#index * HASH_BYTES);
    this.b = this.list.hashes.readUInt32LE(this.#index * HASH_BYTES + 4);
    this.#index++;
    return true;
  }

  #varint(): number {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.list.keys.readUInt8(this.#at++);
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  }
}

/** Entries that stand in any of the lists, in order, in lists of at most `entriesMax`. */
export function* mergeLists(lists: readonly EntryList[], entriesMax: number): Generator<EntryList> {
  const writer = new EntryWriter();
  const heap: EntryCursor[] = [];
  for (const cursor of lists.map((list) => new EntryCursor(list))) if (cursor.next()) insert(heap, cursor);
  while (heap[0] !== undefined) {
    writer.push(heap[0].key, 0, heap[0].length, heap[0].a, heap[0].b);
    if (!heap[0].next()) removeTop(heap);
    else sink(heap);
    if (writer.count === entriesMax && heap.length > 0) yield writer.take();
  }
  if (writer.count > 0) yield writer.take();
}

function insert(heap: EntryCursor[], cursor: EntryCursor): void {
  let at = heap.push(cursor) - 1;
  while (at > 0) {
    const parent = (at - 1) >> 1;
    if (compareEntries(heap[parent] as EntryCursor, cursor) <= 0) return;
    [heap[at], heap[parent]] = [heap[parent] as EntryCursor, cursor];
    at = parent;
  }
}

function removeTop(heap: EntryCursor[]): void {
  const last = heap.pop();
  if (heap.length === 0 || last === undefined) return;
  heap[0] = last;
  sink(heap);
}

function sink(heap: EntryCursor[]): void {
  const cursor = heap[0] as EntryCursor;
  let at = 0;
  for (;;) {
    let child = 2 * at + 1;
    const [left, right] = [heap[child], heap[child + 1]];
    if (left === undefined) return;
    if (right !== undefined && compareEntries(right, left) < 0) child++;
    const least = heap[child] as EntryCursor;
    if (compareEntries(cursor, least) <= 0) return;
    [heap[at], heap[child]] = [least, cursor];
    at = child;
  }
}

function compareEntries(x: EntryCursor, y: EntryCursor): number {
  return x.key.compare(y.key, 0, y.length, 0, x.length) || x.a - y.a || x.b - y.b;
}

/** The buffer, or a larger one that begins alike, with `more` bytes behind `used`. */
function withRoom(buffer: Buffer<ArrayBuffer>, used: number, more: number): Buffer<ArrayBuffer> {
  if (used + more <= buffer.length) return buffer;
  const larger = Buffer.allocUnsafe(Math.max(used + more, buffer.length * 2));
  buffer.copy(larger, 0, 0, used);
  return larger;
}
