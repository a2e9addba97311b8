// The entry of one object version in a cache: a name and a value that proves it. Both are halves of one SHA-256 over everything that
// makes the version what it is, so whatever else stands under the name (cut off, of another type, somebody else's) is no entry.

import { hash } from "node:crypto";
import type { IngestionId } from "../ids.ts";
import type { ListedObject } from "../ports.ts";

/** Whose fate it is: the file of one ledger is unheard of in another, and so is the same key in another bucket. */
export interface EntryScope {
  /** The ledger table's name: a restored ledger is another table, and may have forgotten what the first one confirmed. */
  readonly ledgerId: string;
  readonly ingestion: IngestionId;
  readonly bucket: string;
}

export interface KnownEntry {
  readonly name: string;
  readonly value: string;
}

/** 128 bits: two of 10^12 versions share a name with a chance of 10^-15, and even then the value tells them apart. */
const HALF_CHARACTERS = 32;

/** Ledger and ingestion stand in the name as they are, for access rules and for whoever wants one of them gone. */
export function knownEntry(scope: EntryScope, object: ListedObject): KnownEntry {
  const { ledgerId, ingestion, bucket } = scope;
  const { key, etag, sizeBytes, lastModifiedMs } = object;
  // Listings give whole seconds, inventories more.
  const modified = Math.floor(lastModifiedMs / 1000);
  const digest = hash("sha256", JSON.stringify([ledgerId, ingestion, bucket, key, etag, sizeBytes, modified]), "hex");
  return {
    name: `moraine:${ledgerId}:${ingestion}:${digest.slice(0, HALF_CHARACTERS)}`,
    value: digest.slice(HALF_CHARACTERS),
  };
}
