// The one place where names and texts become SQL. Column names, file paths and hints come from other people's files and
// configuration: nothing reaches a statement except through these functions.

import { assert } from "../../core/errors.ts";

/** A quoted identifier. DuckDB ends a statement at NUL, so a name holding one must have been refused before. */
export function ident(name: string): string {
  assert(!name.includes("\0"), "identifier holds NUL");
  return `"${name.replaceAll('"', '""')}"`;
}

/** A quoted text literal. */
export function literal(text: string): string {
  assert(!text.includes("\0"), "literal holds NUL");
  return `'${text.replaceAll("'", "''")}'`;
}

export function list(items: readonly string[]): string {
  return `[${items.join(", ")}]`;
}

/** `{'a': 1, 'b': 2}`: values are SQL already. */
export function struct(entries: readonly (readonly [name: string, sql: string])[]): string {
  return `{${entries.map(([name, sql]) => `${literal(name)}: ${sql}`).join(", ")}}`;
}

/** A call of a table function with named parameters; parameters without a value are left out. */
export function tableFunction(
  name: string,
  paths: readonly string[],
  parameters: Readonly<Record<string, string | undefined>>,
): string {
  const named = Object.entries(parameters).flatMap(([key, value]) =>
    value === undefined ? [] : [`${key} = ${value}`],
  );
  return `${name}(${[list(paths.map(literal)), ...named].join(", ")})`;
}
