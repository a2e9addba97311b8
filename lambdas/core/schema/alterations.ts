// What changed from one schema of a table to the next, for people. By field id, so that a column that was renamed is told from one that
// came.

import { type Column, columnsOf, typeText } from "../iceberg/schema.ts";
import type { Schema } from "../iceberg/types.ts";
import { cutText } from "./diff.ts";

/** `price is called price_v1 now`, `price double added`, `id widened, now long`: one text for each column, in their order. */
export function alterationsOf(before: Schema, after: Schema): string[] {
  const old = new Map(columnsOf(before).map((column) => [column.field.id, column]));
  const isNew = (column: Column) => !old.has(column.field.id);
  const columns = columnsOf(after);
  const added = columns.filter(isNew).map(({ path }) => `${path}.`);
  return columns
    .filter(({ path }) => !added.some((parent) => path.startsWith(parent)))
    .flatMap((column) => alterationOf(old.get(column.field.id), column))
    .map((text) => cutText(text));
}

function alterationOf(before: Column | undefined, { path, field }: Column): string[] {
  if (before === undefined) return [`${path} ${typeText(field.type)} added`];
  const texts: string[] = [];
  if (before.field.name !== field.name) texts.push(`${before.path} is called ${path} now`);
  const isScalar = typeof field.type === "string";
  if (isScalar && typeText(before.field.type) !== typeText(field.type)) {
    texts.push(`${path} widened, now ${typeText(field.type)}`);
  }
  if (before.field.required && !field.required) texts.push(`${path} relaxed, now optional`);
  return texts;
}
