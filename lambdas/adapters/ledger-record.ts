// A ledger item as the DynamoDB record it is stored as, and back. The body's attributes stand at top level with native
// types, so that the console and a plain query read them; the names the ledger needs itself are refused in a body.
// Shared by the adapter and by the in-memory fake: what DynamoDB would refuse, the fake refuses too.
// Limits: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html

import { assert, MoraineError } from "../core/errors.ts";
import type { Revision } from "../core/ids.ts";
import type { Attribute, LedgerItem } from "../core/ports.ts";

/** The subset of DynamoDB's attribute values that the ledger uses; structurally the SDK's `AttributeValue`. */
export type RecordValue =
  | { readonly S: string }
  | { readonly N: string }
  | { readonly BOOL: boolean }
  | { readonly NULL: true }
  | { readonly B: Uint8Array }
  | { readonly L: RecordValue[] }
  | { readonly M: Record<string, RecordValue> };
export type LedgerRecord = Record<string, RecordValue>;

const RESERVED = new Set(["partition", "sort", "revision", "expiresAt", "indexPartition", "indexSort"]);
const ITEM_BYTES_MAX = 400 * 1024;
const NUMBER_MAX = 9.9e125;
const NUMBER_MIN = 1e-130;

export function toRecord(item: LedgerItem): LedgerRecord {
  assert(item.key.partition !== "" && item.key.sort !== "", "a ledger key has no empty part");
  assert(item.revision !== "", "a ledger item has a revision");
  const record: LedgerRecord = {
    partition: { S: item.key.partition },
    sort: { S: item.key.sort },
    revision: { S: item.revision },
  };
  if (item.expiresAt !== undefined) record["expiresAt"] = toValue(item.expiresAt, "expiresAt");
  if (item.index !== undefined) {
    assert(item.index.partition !== "" && item.index.sort !== "", "a ledger index key has no empty part");
    record["indexPartition"] = { S: item.index.partition };
    record["indexSort"] = { S: item.index.sort };
  }
  for (const [name, value] of Object.entries(item.body)) {
    assert(!RESERVED.has(name), `the ledger keeps the name for itself: ${name}`);
    record[name] = toValue(value, name);
  }
  refuseOversize(item, record);
  return record;
}

export function fromRecord(record: Readonly<Record<string, unknown>>): LedgerItem {
  const body: Record<string, Attribute> = {};
  for (const [name, value] of Object.entries(record)) {
    if (!RESERVED.has(name)) body[name] = fromValue(value as RecordValue, name);
  }
  const indexPartition = textOf(record, "indexPartition");
  const expiresAt = record["expiresAt"];
  return {
    key: { partition: required(record, "partition"), sort: required(record, "sort") },
    revision: required(record, "revision") as Revision,
    body,
    ...(indexPartition === undefined
      ? {}
      : { index: { partition: indexPartition, sort: required(record, "indexSort") } }),
    ...(expiresAt === undefined ? {} : { expiresAt: Number((expiresAt as { N: string }).N) }),
  };
}

function toValue(value: Attribute, place: string): RecordValue {
  if (value === null) return { NULL: true };
  if (typeof value === "string") return { S: value };
  if (typeof value === "boolean") return { BOOL: value };
  if (typeof value === "number") return { N: toNumber(value, place) };
  if (value instanceof Uint8Array) return { B: Uint8Array.from(value) };
  if (Array.isArray(value)) return { L: value.map((element, index) => toValue(element, `${place}[${index}]`)) };
  assert(isPlainObject(value), `a ledger attribute is a plain value: ${place}`);
  const members: Record<string, RecordValue> = {};
  for (const [name, member] of Object.entries(value)) members[name] = toValue(member as Attribute, `${place}.${name}`);
  return { M: members };
}

function toNumber(value: number, place: string): string {
  const size = Math.abs(value);
  assert(Number.isFinite(value), `a ledger number is finite: ${place}`);
  assert(size === 0 || (size >= NUMBER_MIN && size <= NUMBER_MAX), `a ledger number is in range: ${place}`);
  return String(value);
}

function fromValue(value: RecordValue, place: string): Attribute {
  if ("S" in value) return value.S;
  if ("N" in value) return Number(value.N);
  if ("BOOL" in value) return value.BOOL;
  if ("NULL" in value) return null;
  if ("B" in value) return Uint8Array.from(value.B);
  if ("L" in value) return value.L.map((element, index) => fromValue(element, `${place}[${index}]`));
  if ("M" in value) {
    const members: Record<string, Attribute> = {};
    for (const [name, member] of Object.entries(value.M)) members[name] = fromValue(member, `${place}.${name}`);
    return members;
  }
  throw new MoraineError("Corrupt", "a ledger item holds an attribute type the ledger never writes", {
    attribute: place,
    type: Object.keys(value).join(),
  });
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null) return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function textOf(record: Readonly<Record<string, unknown>>, name: string): string | undefined {
  const value = record[name] as { S?: string } | undefined;
  return value?.S;
}

function required(record: Readonly<Record<string, unknown>>, name: string): string {
  const text = textOf(record, name);
  if (text === undefined) {
    const facts = { attribute: name, partition: textOf(record, "partition"), sort: textOf(record, "sort") };
    throw new MoraineError("Corrupt", "a ledger item lacks an attribute: was it written by something else?", facts);
  }
  return text;
}

/** DynamoDB counts names and values in UTF-8; the structural bytes are an upper estimate of its own. */
function sizeOf(value: RecordValue): number {
  if ("S" in value) return Buffer.byteLength(value.S);
  if ("N" in value) return value.N.length;
  if ("B" in value) return value.B.length;
  if ("L" in value) return value.L.reduce((sum, element) => sum + 1 + sizeOf(element), 3);
  if ("M" in value) return recordSize(value.M) + 3;
  return 1;
}

function recordSize(record: LedgerRecord): number {
  let size = 0;
  for (const [name, value] of Object.entries(record)) size += Buffer.byteLength(name) + sizeOf(value) + 1;
  return size;
}

function refuseOversize(item: LedgerItem, record: LedgerRecord): void {
  const sizeBytes = recordSize(record);
  if (sizeBytes > ITEM_BYTES_MAX) {
    const facts = { partition: item.key.partition, sort: item.key.sort, sizeBytes, sizeBytesMax: ITEM_BYTES_MAX };
    throw new MoraineError("Invalid", "a ledger item is larger than dynamodb holds", facts);
  }
}
