// The ledger in memory: one condition on one item, in one synchronous step. Items are kept as the records DynamoDB would
// hold, so nothing is shared with callers and what DynamoDB refuses (undefined, 400 KB, reserved names) is refused here.
// `calls` counts requests: one per 100 keys of `readMany`, one per page of a list.

import { isDeepStrictEqual } from "node:util";
import { fromRecord, type LedgerRecord, toRecord } from "../../lambdas/adapters/ledger-record.ts";
import type { Revision } from "../../lambdas/core/ids.ts";
import type { Attribute, Ledger, LedgerItem, LedgerKey, WriteOutcome } from "../../lambdas/core/ports.ts";

const READ_MANY_KEYS = 100;
/** DynamoDB's pages hold 1 MB; this is about that many of our items, and small enough that tests cross it. */
const PAGE_ITEMS = 100;

interface Entry {
  readonly key: LedgerKey;
  readonly index: LedgerKey | undefined;
  readonly revision: Revision;
  readonly record: LedgerRecord;
}

export class MemoryLedger implements Ledger {
  readonly calls = new Map<string, number>();
  /** Partition to sort key to entry. */
  readonly #partitions = new Map<string, Map<string, Entry>>();

  async read(key: LedgerKey): Promise<LedgerItem | undefined> {
    this.#count("read");
    return this.#item(key);
  }

  async readMany(keys: readonly LedgerKey[]): Promise<readonly (LedgerItem | undefined)[]> {
    this.#count("readMany", Math.ceil(keys.length / READ_MANY_KEYS));
    return keys.map((key) => this.#item(key));
  }

  async write(item: LedgerItem, expected: Revision | "absent"): Promise<WriteOutcome> {
    this.#count("write");
    const record = toRecord(item);
    const current = this.#entry(item.key);
    if ((current?.revision ?? "absent") !== expected) {
      if (current !== undefined && isDeepStrictEqual(current.record, record)) return { kind: "written" };
      return { kind: "refused", current: this.#item(item.key) };
    }
    const entry = { key: { ...item.key }, index: item.index && { ...item.index }, revision: item.revision, record };
    const partition = this.#partitions.get(item.key.partition) ?? new Map<string, Entry>();
    partition.set(item.key.sort, entry);
    this.#partitions.set(item.key.partition, partition);
    return { kind: "written" };
  }

  async remove(key: LedgerKey, expected: Revision): Promise<WriteOutcome> {
    this.#count("remove");
    if (this.#entry(key)?.revision !== expected) return { kind: "refused", current: this.#item(key) };
    this.#partitions.get(key.partition)?.delete(key.sort);
    return { kind: "written" };
  }

  list(
    partition: string,
    sortPrefix: string,
    options: { readonly limit?: number; readonly reverse?: boolean } = {},
  ): AsyncIterable<LedgerItem> {
    const entries = () => [...(this.#partitions.get(partition)?.values() ?? [])];
    return this.#pages("list", entries, (entry) => [entry.key.sort], sortPrefix, options);
  }

  listIndex(
    partition: string,
    sortPrefix: string,
    options: { readonly limit?: number } = {},
  ): AsyncIterable<LedgerItem> {
    const entries = () => this.#entries().filter((entry) => entry.index?.partition === partition);
    const place = (entry: Entry) => [entry.index?.sort ?? "", entry.key.partition, entry.key.sort];
    return this.#pages("listIndex", entries, place, sortPrefix, options);
  }

  // ---- for tests ----

  /** Everything, by partition and sort key. */
  items(): LedgerItem[] {
    return this.#entries()
      .sort((a, b) => comparePlaces([a.key.partition, a.key.sort], [b.key.partition, b.key.sort]))
      .map((entry) => freeze(fromRecord(entry.record)));
  }

  /** What DynamoDB's time to live does, some time after it may. */
  expire(nowMs: number): void {
    for (const { key, record } of this.#entries()) {
      const expiresAt = fromRecord(record).expiresAt;
      if (expiresAt !== undefined && expiresAt * 1000 < nowMs) this.#partitions.get(key.partition)?.delete(key.sort);
    }
  }

  // ---- inside ----

  async *#pages(
    method: string,
    entries: () => Entry[],
    place: (entry: Entry) => string[],
    sortPrefix: string,
    options: { readonly limit?: number; readonly reverse?: boolean },
  ): AsyncIterable<LedgerItem> {
    const direction = options.reverse === true ? -1 : 1;
    let left = options.limit ?? Number.POSITIVE_INFINITY;
    let after: string[] | undefined;
    while (left > 0) {
      this.#count(method);
      const page = entries()
        .map((entry) => ({ entry, place: place(entry) }))
        .filter((row) => row.place[0]?.startsWith(sortPrefix))
        .filter((row) => after === undefined || direction * comparePlaces(row.place, after) > 0)
        .sort((a, b) => direction * comparePlaces(a.place, b.place))
        .slice(0, Math.min(PAGE_ITEMS, left));
      for (const { entry } of page) yield freeze(fromRecord(entry.record));
      if (page.length < PAGE_ITEMS) return;
      left -= page.length;
      after = page.at(-1)?.place;
    }
  }

  #entry(key: LedgerKey): Entry | undefined {
    return this.#partitions.get(key.partition)?.get(key.sort);
  }

  #item(key: LedgerKey): LedgerItem | undefined {
    const entry = this.#entry(key);
    return entry && freeze(fromRecord(entry.record));
  }

  #entries(): Entry[] {
    return [...this.#partitions.values()].flatMap((partition) => [...partition.values()]);
  }

  #count(method: string, requests = 1): void {
    this.calls.set(method, (this.calls.get(method) ?? 0) + requests);
  }
}

/** DynamoDB orders strings by their UTF-8 bytes. */
function comparePlaces(a: readonly string[], b: readonly string[]): number {
  for (const [index, part] of a.entries()) {
    const order = Buffer.compare(Buffer.from(part), Buffer.from(b[index] ?? ""));
    if (order !== 0) return order;
  }
  return 0;
}

/** Items are values: code that edits one it was given is wrong, and hears of it here. */
function freeze(item: LedgerItem): LedgerItem {
  freezeDeep(item.body);
  return Object.freeze(item);
}

function freezeDeep(value: Attribute): void {
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return;
  for (const member of Object.values(value)) freezeDeep(member);
  Object.freeze(value);
}
