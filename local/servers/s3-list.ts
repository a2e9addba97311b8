// ListObjectsV2 over sorted keys: prefix, delimiter, start-after, continuation, max-keys. Pure, so that a model can check it.
// Invariant: pages joined give every key under the prefix exactly once, in UTF-8 byte order, each either as itself or
// inside one common prefix; the cost of a page is the page, not the bucket (common prefixes are stepped over by a search).

import { compareUtf8 } from "../../lambdas/core/discovery/key-order.ts";
import type { SortedKeys } from "./sorted-keys.ts";

export interface ListQuery {
  readonly prefix: string;
  readonly delimiter: string;
  /** Keys up to and including this one are left out. */
  readonly startAfter: string;
  readonly continuation?: Cursor;
  readonly maxKeys: number;
}

/** Where a page ended: after a key, or after everything below a common prefix. */
export interface Cursor {
  readonly after: string;
  readonly isPrefix: boolean;
}

export interface ListPage {
  readonly keys: readonly string[];
  readonly commonPrefixes: readonly string[];
  readonly next?: Cursor;
}

export function listPage(sorted: SortedKeys, query: ListQuery): ListPage {
  const keys: string[] = [];
  const commonPrefixes: string[] = [];
  let cursor =
    query.continuation ?? (query.startAfter === "" ? undefined : { after: query.startAfter, isPrefix: false });
  let walk = seek(sorted, query.prefix, cursor);
  for (;;) {
    const step = walk.next();
    const key = step.done ? undefined : step.value;
    if (key === undefined || !key.startsWith(query.prefix)) return { keys, commonPrefixes };
    if (keys.length + commonPrefixes.length >= query.maxKeys) {
      return cursor === undefined ? { keys, commonPrefixes } : { keys, commonPrefixes, next: cursor };
    }
    const rolled = commonPrefixOf(key, query);
    if (rolled === undefined) {
      keys.push(key);
      cursor = { after: key, isPrefix: false };
    } else {
      commonPrefixes.push(rolled);
      cursor = { after: rolled, isPrefix: true };
      walk = seek(sorted, query.prefix, cursor);
    }
  }
}

function seek(sorted: SortedKeys, prefix: string, cursor: Cursor | undefined): Generator<string> {
  return sorted.from((key) => {
    if (compareUtf8(key, prefix) < 0) return true;
    if (cursor === undefined) return false;
    return compareUtf8(key, cursor.after) <= 0 || (cursor.isPrefix && key.startsWith(cursor.after));
  });
}

function commonPrefixOf(key: string, query: ListQuery): string | undefined {
  if (query.delimiter === "") return undefined;
  const at = key.indexOf(query.delimiter, query.prefix.length);
  return at < 0 ? undefined : key.slice(0, at + query.delimiter.length);
}

export function encodeCursor(cursor: Cursor): string {
  return Buffer.from(JSON.stringify([cursor.after, cursor.isPrefix])).toString("base64url");
}

export function decodeCursor(token: string): Cursor | undefined {
  try {
    const [after, isPrefix] = JSON.parse(Buffer.from(token, "base64url").toString()) as [unknown, unknown];
    return typeof after === "string" && typeof isPrefix === "boolean" ? { after, isPrefix } : undefined;
  } catch {
    return undefined;
  }
}
