// One type for what several files hold in a column. It does not depend on their order, and a file that holds another kind of value than
// the table's does not keep the table from growing to what the others hold.

import { evolveSchema } from "../../core/iceberg/schema.ts";
import { decimalOf } from "../../core/iceberg/type-text.ts";
import type { DraftField, DraftType, NestedField, PrimitiveType, Type } from "../../core/iceberg/types.ts";
import { indexOfName } from "./names.ts";

/** Of two files' types that which the table's column can become; both together where it can become either. */
export function widerIn(table: Type | undefined, a: DraftType, b: DraftType): DraftType {
  if (table === undefined) return wider(a, b);
  if (kindOf(a) !== kindOf(b)) return kindOf(b) === kindOf(table) ? b : a;
  if (typeof a === "string" || typeof b === "string") return widerPrimitive(table, a, b);
  if (a.type === "struct" && b.type === "struct") {
    return { type: "struct", fields: widerFields(a.fields, b.fields, fieldsOf(table)) };
  }
  if (a.type === "list" && b.type === "list") {
    const element = typeof table === "object" && table.type === "list" ? table.element : undefined;
    return { type: "list", element: widerIn(element, a.element, b.element) };
  }
  if (a.type !== "map" || b.type !== "map") return a;
  const own = typeof table === "object" && table.type === "map" ? table : undefined;
  return { type: "map", key: widerIn(own?.key, a.key, b.key), value: widerIn(own?.value, a.value, b.value) };
}

function fieldsOf(table: Type): readonly NestedField[] {
  return typeof table === "object" && table.type === "struct" ? table.fields : [];
}

function kindOf(type: Type | DraftType): string {
  return typeof type === "string" ? "scalar" : type.type;
}

function widerPrimitive(table: Type, a: DraftType, b: DraftType): DraftType {
  const grownByA = grown(table, a);
  const grownByB = grown(table, b);
  if (grownByA === undefined || grownByB === undefined) return grownByA === undefined ? b : a;
  // Growing by one and then by the other holds both.
  return grown(grownByA, b) === grownByA ? a : b;
}

/** Undefined: the column cannot become that. */
function grown(table: Type, seen: DraftType): Type | undefined {
  const fields: NestedField[] = [{ id: 1, name: "c", required: false, type: table }];
  const evolved = evolveSchema({ type: "struct", "schema-id": 0, fields }, 1, [{ name: "c", type: seen }]);
  return evolved.conflicts.length > 0 ? undefined : evolved.schema.fields[0]?.type;
}

const NUMBERS = ["int", "long", "float", "double"];

/** The type of a new column that holds both: what is unrelated is text, and JSON text where it is nested. */
export function wider(a: DraftType, b: DraftType): DraftType {
  if (typeof a === "string" && typeof b === "string") return a === b ? a : widerScalar(a, b);
  if (typeof a === "object" && typeof b === "object") {
    if (a.type === "struct" && b.type === "struct")
      return { type: "struct", fields: widerFields(a.fields, b.fields, []) };
    if (a.type === "list" && b.type === "list") return { type: "list", element: wider(a.element, b.element) };
    if (a.type === "map" && b.type === "map") {
      return { type: "map", key: wider(a.key, b.key), value: wider(a.value, b.value) };
    }
  }
  return "string";
}

function widerScalar(a: PrimitiveType, b: PrimitiveType): PrimitiveType {
  const [first, second] = [NUMBERS.indexOf(a), NUMBERS.indexOf(b)];
  if (first >= 0 && second >= 0) {
    // A float has room for 24 bits.
    return a === "float" || b === "float" ? "double" : (NUMBERS[Math.max(first, second)] as PrimitiveType);
  }
  return widerDecimal(a, b) ?? ([a, b].sort().join() === "date,timestamp" ? "timestamp" : "string");
}

function widerDecimal(a: PrimitiveType, b: PrimitiveType): PrimitiveType | undefined {
  const [first, second] = [digitsOf(a), digitsOf(b)];
  if (first === undefined || second === undefined) return undefined;
  const scale = Math.max(first.scale, second.scale);
  const precision = Math.max(first.precision - first.scale, second.precision - second.scale) + scale;
  return precision > 38 ? undefined : `decimal(${precision}, ${scale})`;
}

function digitsOf(type: PrimitiveType): { readonly precision: number; readonly scale: number } | undefined {
  if (type === "int") return { precision: 10, scale: 0 };
  if (type === "long") return { precision: 19, scale: 0 };
  return decimalOf(type);
}

/** Names match as columns do: another case is no other member. */
function widerFields(a: readonly DraftField[], b: readonly DraftField[], table: readonly NestedField[]): DraftField[] {
  const merged = [...a];
  for (const field of b) {
    const at = indexOfName(namesOf(a), field.name);
    const before = merged[at];
    if (before === undefined) merged.push(field);
    else {
      const own = table[indexOfName(namesOf(table), field.name)];
      merged[at] = { name: before.name, type: widerIn(own?.type, before.type, field.type) };
    }
  }
  return merged;
}

function namesOf(fields: readonly { readonly name: string }[]): string[] {
  return fields.map(({ name }) => name);
}
