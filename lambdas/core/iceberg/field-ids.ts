// Gives field ids to columns that have none. An id is given once and never again: data files are read by field id,
// so a reused id would show one column's values as another's.

import type { DraftField, DraftType, NestedField, Type } from "./types.ts";

/** Ids follow Java's order: all fields of a struct first, then what is inside them. All fields are optional. */
export function assignFieldIds(
  fields: readonly DraftField[],
  lastColumnId: number,
): { fields: NestedField[]; lastColumnId: number } {
  const ids = { last: lastColumnId };
  const assigned = assignFields(fields, ids);
  return { fields: assigned, lastColumnId: ids.last };
}

function assignFields(fields: readonly DraftField[], ids: { last: number }): NestedField[] {
  return fields
    .map((field) => ({ id: ++ids.last, field }))
    .map(({ id, field }) => ({ id, name: field.name, required: false, type: assignType(field.type, ids) }));
}

function assignType(type: DraftType, ids: { last: number }): Type {
  if (typeof type === "string") return type;
  switch (type.type) {
    case "struct":
      return { type: "struct", fields: assignFields(type.fields, ids) };
    case "list": {
      const elementId = ++ids.last;
      const element = assignType(type.element, ids);
      return { type: "list", "element-id": elementId, element, "element-required": false };
    }
    case "map": {
      const keyId = ++ids.last;
      const valueId = ++ids.last;
      const key = assignType(type.key, ids);
      const value = assignType(type.value, ids);
      return { type: "map", "key-id": keyId, key, "value-id": valueId, value, "value-required": false };
    }
  }
}
