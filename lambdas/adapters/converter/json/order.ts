// In which order records have their keys, as far as the table has columns for them. Text is latin1, one character for a byte.

import type { NestedField, Type } from "../../../core/iceberg/types.ts";

/** Keys in the order that records have them, of an object or of the objects in a list. */
export interface Order {
  readonly keys: string[];
  readonly inner: Map<string, Order>;
}

export const NO_KEYS: Order = { keys: [], inner: new Map() };

export function orderOf(columns: readonly NestedField[], records: readonly string[]): Order {
  const order: Order = { keys: [], inner: new Map() };
  for (const record of records) noteOrder(order, columns, parsed(record));
  return order;
}

function parsed(record: string): unknown {
  try {
    return JSON.parse(record);
  } catch {
    return undefined;
  }
}

function noteOrder(order: Order, fields: readonly NestedField[], value: unknown): void {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return;
  const types = new Map(fields.map((field) => [latin1(field.name), field.type]));
  let place = 0;
  for (const [key, inside] of Object.entries(value)) {
    const type = types.get(key);
    if (type === undefined) continue;
    const known = order.keys.indexOf(key);
    if (known < 0) order.keys.splice(place, 0, key);
    place = (known < 0 ? place : known) + 1;
    noteInside(order, key, type, inside);
  }
}

function noteInside(order: Order, key: string, type: Type, value: unknown): void {
  if (typeof type === "string" || type.type === "map") return;
  if (type.type === "list") {
    for (const element of Array.isArray(value) ? value : []) noteInside(order, key, type.element, element);
    return;
  }
  const inner = order.inner.get(key) ?? { keys: [], inner: new Map() };
  order.inner.set(key, inner);
  noteOrder(inner, type.fields, value);
}

export function latin1(name: string): string {
  return Buffer.from(name).toString("latin1");
}
