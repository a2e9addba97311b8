// Which columns the records' keys are. Hints first, then the table's types and names; a key that cannot be a column as it is gets
// another name where a rule gives one, and otherwise is found where values do not fit.

import { parseType } from "../../../core/iceberg/schema.ts";
import type { DraftField, NestedField, Type } from "../../../core/iceberg/types.ts";
import { LINEAGE_NAMES } from "../lineage.ts";
import type { Shape } from "./shape.ts";
import { fieldsOfShape, type TypeOptions } from "./types.ts";

export interface JsonColumns {
  readonly fields: readonly DraftField[];
  /** Source key to column name, where they differ. */
  readonly renamed: ReadonlyMap<string, string>;
}

/** `infer`: types of columns nobody gave one. `renaming`: top-level keys can be read under another name (those of records under a path cannot, but for the reserved). */
export function columnsOfShape(
  shape: Shape,
  known: readonly NestedField[],
  hints: Readonly<Record<string, string>>,
  { renaming, ...options }: { readonly renaming: boolean } & TypeOptions,
): JsonColumns {
  const table = known.filter(({ name }) => !LINEAGE_NAMES.has(name));
  const fields = fieldsOfShape(shape, withHints(table, hints), options);
  const reserved = new Map(
    [...LINEAGE_NAMES].filter((name) => shape.fields?.has(name)).map((name) => [name, `${name}_1`]),
  );
  const respelled = renaming ? respelledKeys(shape, fields) : new Map<string, string>();
  return {
    fields: fields.map((field) => ({ ...field, name: reserved.get(field.name) ?? field.name })),
    renamed: new Map([...reserved, ...respelled]),
  };
}

/** Column name to source key, where they differ. */
export function keysOf(renamed: JsonColumns["renamed"]): ReadonlyMap<string, string> {
  return new Map([...renamed].map(([key, name]) => [name, key]));
}

/** Keys that differ from their column by case alone, when the column's own spelling is nowhere in the sources. */
function respelledKeys(shape: Shape, fields: readonly DraftField[]): Map<string, string> {
  const renamed = new Map<string, string>();
  for (const { name } of fields) {
    if (shape.fields?.has(name) === true) continue;
    const keys = [...(shape.fields?.keys() ?? [])].filter((key) => key.toLowerCase() === name.toLowerCase());
    if (keys.length === 1) renamed.set(keys[0] as string, name);
  }
  return renamed;
}

/** The table's fields with the hints over them; a hint is a name, or a dot path into structures. */
export function withHints(
  known: readonly NestedField[],
  hints: Readonly<Record<string, string>>,
): readonly NestedField[] {
  return Object.entries(hints).reduce<readonly NestedField[]>((fields, [name, text]) => {
    const type = parseType(text);
    const whole = overlay(fields, [name], type);
    return name.includes(".") ? overlay(whole, name.split("."), type) : whole;
  }, known);
}

function overlay(fields: readonly NestedField[], [name = "", ...rest]: readonly string[], type: Type): NestedField[] {
  const own = fields.find((field) => field.name.toLowerCase() === name.toLowerCase());
  const inner = typeof own?.type === "object" && own.type.type === "struct" ? own.type.fields : [];
  const overlaid: Type = rest.length === 0 ? type : { type: "struct", fields: overlay(inner, rest, type) };
  const field: NestedField = { id: 0, required: false, ...own, name: own?.name ?? name, type: overlaid };
  return [...fields.filter((other) => other !== own), field];
}
