// Nulls where the table has none: in required columns, and in required members, elements and values inside of others. Tables that others
// made may have such places, and engines that trust them fail on what they do not expect.

import type { NestedField, Type } from "../../core/iceberg/types.ts";
import { ident, literal } from "./sql.ts";
import { NULL_IN } from "./strict-cast.ts";

interface Missing {
  readonly path: string;
  /** SQL that is true where there is a null. */
  readonly sql: string;
}

/** The column, or an error where something required is null in it. */
export function checkedColumn({ name, required, type }: NestedField, from: string): string {
  const column = `${from}.${ident(name)}`;
  const own = required ? [{ path: name, sql: `${column} IS NULL` }] : [];
  const whens = [...own, ...missingIn(name, column, type, 0)].map(({ path, sql }) => {
    return `WHEN ${sql} THEN error(${literal(NULL_IN + Buffer.from(path).toString("hex"))})`;
  });
  return whens.length === 0 ? column : `CASE ${whens.join(" ")} ELSE ${column} END`;
}

function missingIn(path: string, value: string, type: Type, depth: number): Missing[] {
  if (typeof type === "string") return [];
  const item = `q${depth}`;
  switch (type.type) {
    case "struct":
      return type.fields.flatMap((field) => {
        const member = place(`${path}.${field.name}`, `struct_extract(${value}, ${literal(field.name)})`, field, depth);
        return member.map((missing) => ({ ...missing, sql: `(${value} IS NOT NULL AND ${missing.sql})` }));
      });
    case "list": {
      const element = { required: type["element-required"], type: type.element };
      return anyOf(value, item, place(`${path}.element`, item, element, depth + 1));
    }
    case "map": {
      const inner = { required: type["value-required"], type: type.value };
      return anyOf(`map_values(${value})`, item, place(`${path}.value`, item, inner, depth + 1));
    }
  }
}

function place(
  path: string,
  value: string,
  { required, type }: Pick<NestedField, "required" | "type">,
  depth: number,
): Missing[] {
  const own = required ? [{ path, sql: `${value} IS NULL` }] : [];
  return [...own, ...missingIn(path, value, type, depth)];
}

function anyOf(list: string, item: string, inside: readonly Missing[]): Missing[] {
  return inside.map(({ path, sql }) => {
    return { path, sql: `coalesce(list_bool_or(list_transform(${list}, lambda ${item}: ${sql})), false)` };
  });
}
