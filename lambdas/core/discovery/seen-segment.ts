// One segment of the seen manifest as bytes. Whatever is wrong with them, there is no segment then: never an error, never a wrong entry.
//
//    0  8 bytes   "MORSEEN" and the format's version
//    8  uint32    entries
//   12  uint32    bytes of the keys, unpacked
//   16  16 bytes  SHA-256 of all else, cut
//   32            hashes, 8 bytes an entry (they do not compress), then the keys (zstd)

import { createHash } from "node:crypto";
import { constants, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { EntryCursor, type EntryList, HASH_BYTES, type PackedVersions, RESTART_EVERY } from "./seen-entries.ts";

/** 32,768 entries: some 700 KB to 1.2 MB, a GET of 30 ms, for which the ledger would be asked 328 times. */
export const SEGMENT_ENTRIES = 32_768;

const MAGIC = Buffer.from("MORSEEN\u0001", "latin1");
const CHECKSUM_AT = 16;
const BODY_AT = 32;

/** A segment in memory, unpacked but for the front-coding. */
export interface OpenSegment {
  readonly list: EntryList;
  /** Where every 64th entry lies. */
  readonly restarts: Uint32Array;
  readonly sizeBytes: number;
}

export function encodeSegment(list: EntryList): Uint8Array {
  const head = Buffer.alloc(BODY_AT);
  MAGIC.copy(head);
  head.writeUInt32LE(list.count, 8);
  head.writeUInt32LE(list.keys.length, 12);
  // Level 1: a third of the time of level 3, and as small.
  const keys = zstdCompressSync(list.keys, { params: { [constants.ZSTD_c_compressionLevel]: 1 } });
  const bytes = Buffer.concat([head, list.hashes, keys]);
  checksum(bytes).copy(bytes, CHECKSUM_AT);
  return bytes;
}

export function decodeSegment(source: Uint8Array): OpenSegment | undefined {
  const bytes = Buffer.from(source.buffer, source.byteOffset, source.byteLength);
  if (bytes.length < BODY_AT || !bytes.subarray(0, MAGIC.length).equals(MAGIC)) return undefined;
  if (!checksum(bytes).equals(bytes.subarray(CHECKSUM_AT, BODY_AT))) return undefined;
  try {
    return unpackSegment(bytes);
  } catch {
    return undefined;
  }
}

function unpackSegment(bytes: Buffer): OpenSegment | undefined {
  const count = bytes.readUInt32LE(8);
  const keysLength = bytes.readUInt32LE(12);
  const keysAt = BODY_AT + count * HASH_BYTES;
  const hashes = Buffer.from(bytes.subarray(BODY_AT, keysAt));
  const keys = zstdDecompressSync(bytes.subarray(keysAt), { maxOutputLength: Math.max(keysLength, 1) });
  if (hashes.length !== count * HASH_BYTES || keys.length !== keysLength) return undefined;
  const list = { count, keys, hashes };
  const restarts = restartsOf(list);
  return restarts && { list, restarts, sizeBytes: keys.length + hashes.length + restarts.byteLength };
}

/** Walks the whole list once: what comes through can be walked from everywhere. */
function restartsOf(list: EntryList): Uint32Array | undefined {
  const restarts = new Uint32Array(Math.ceil(list.count / RESTART_EVERY));
  const cursor = new EntryCursor(list);
  for (let index = 0; index < list.count; index++) {
    if (index % RESTART_EVERY === 0) restarts[index / RESTART_EVERY] = cursor.at;
    cursor.next();
  }
  return cursor.at === list.keys.length ? restarts : undefined;
}

/** Tells of each version from `from` to before `to`, in order of key, that the segment has an entry for. */
export function findEntries(
  segment: OpenSegment,
  versions: PackedVersions,
  [from, to]: readonly [number, number],
  tell: (version: number) => void,
): void {
  if (from >= to) return;
  const cursor = cursorBefore(segment, keyOf(versions, from));
  let asked = from;
  for (let more = cursor.next(); more && asked < to; ) {
    const order = compareToKey(cursor, versions, asked);
    if (order > 0) asked++;
    else {
      if (order === 0) tellVersions(cursor, versions, [asked, to], tell);
      more = cursor.next();
    }
  }
}

/** Several may ask for one key, and it may have several versions here. */
function tellVersions(
  cursor: EntryCursor,
  versions: PackedVersions,
  [from, to]: readonly [number, number],
  tell: (version: number) => void,
): void {
  for (let asked = from; asked < to && compareToKey(cursor, versions, asked) === 0; asked++) {
    if (versions.hashes[2 * asked] === cursor.a && versions.hashes[2 * asked + 1] === cursor.b) tell(asked);
  }
}

function compareToKey(cursor: EntryCursor, { keys, starts }: PackedVersions, asked: number): number {
  return cursor.key.compare(keys, starts[asked], starts[asked + 1], 0, cursor.length);
}

function keyOf({ keys, starts }: PackedVersions, asked: number): Buffer {
  return keys.subarray(starts[asked], starts[asked + 1]);
}

/** At the last restart whose key is smaller: entries of `key` may begin right before a restart that equals it. */
function cursorBefore({ list, restarts }: OpenSegment, key: Buffer): EntryCursor {
  let low = 0;
  let high = restarts.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (isBefore(list, restarts, middle, key)) low = middle;
    else high = middle - 1;
  }
  return new EntryCursor(list, low * RESTART_EVERY, restarts[low] ?? 0);
}

function isBefore(list: EntryList, restarts: Uint32Array, restart: number, key: Buffer): boolean {
  const cursor = new EntryCursor(list, restart * RESTART_EVERY, restarts[restart] ?? 0);
  cursor.next();
  return cursor.key.compare(key, 0, key.length, 0, cursor.length) < 0;
}

function checksum(bytes: Buffer): Buffer {
  const hash = createHash("sha256").update(bytes.subarray(0, CHECKSUM_AT)).update(bytes.subarray(BODY_AT));
  return hash.digest().subarray(0, BODY_AT - CHECKSUM_AT);
}
