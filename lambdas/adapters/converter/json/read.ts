// How JSON is read so that nothing can be dropped. Given explicit columns, DuckDB ignores keys it was not told of; only in
// auto-detection does a key it has not seen raise an error. So the first record it sees, and the only one it samples, is ours: a *seed* that
// has every key with a value of the kind we want it read as. (Measured: no slower than explicit columns.)
// Whole numbers are read as doubles and checked, or as text and cast strictly, because DuckDB would make 2 of 1.5 in an integer column.

import type { NestedField, PrimitiveType, Type } from "../../../core/iceberg/types.ts";
import { ident, literal } from "../sql.ts";
import { castText, DOUBLE_WHOLE_MAX, MISFIT } from "../strict-cast.ts";
import { duckType } from "../types.ts";
import { emptyShape, type Shape } from "./shape.ts";
import { isNull } from "./types.ts";

/** How a place is read. */
export type ReadType =
  | "text"
  | "double"
  /** A double that may not be a whole number rounded: below 2^53. */
  | "checked-double"
  /** A whole number below 2^53, as a double: an eighth less work than text (CPU of a whole conversion, bench/convert.ts). */
  | "whole"
  | { readonly list: ReadType }
  | { readonly struct: readonly { readonly key: string; readonly read: ReadType }[] };

/**
 * What is believed of numbers: `guess`, that they are below 2^53; `unsure`, nothing; `seen`, that all records were looked at and no double is
 * a rounded whole number.
 */
export type Trust = "guess" | "unsure" | "seen";

/** `shape`: what is known to be there; it may hold keys (always null) that the type does not have. */
export function readTypeOf(type: Type, shape: Shape | undefined, trust: Trust): ReadType {
  if (typeof type === "string") {
    if (shape?.strings === true) return "text";
    if (type === "double" || type === "float") {
      return trust === "seen" || shape?.rounds === false ? "double" : "checked-double";
    }
    return (type === "int" || type === "long") && trust === "guess" && shape?.rounds !== true ? "whole" : "text";
  }
  switch (type.type) {
    case "map":
      return "text";
    case "list":
      return { list: readTypeOf(type.element, shape && (shape.element ?? emptyShape()), trust) };
    case "struct":
      return { struct: structKeys(type.fields, shape, trust) };
  }
}

/**
 * Keys of an object: the columns', then those that are there and always null. A key with values and without a column stays unknown to
 * DuckDB, and so is an error; one with NUL has to, for DuckDB takes it for the part before that: in a struct, null would become of the
 * field of that name. So has one that differs from another by case alone, which no struct has beside it.
 */
export function structKeys(
  fields: readonly NestedField[],
  shape: Shape | undefined,
  trust: Trust,
): { readonly key: string; readonly read: ReadType }[] {
  const names = new Set(fields.map(({ name }) => name.toLowerCase()));
  const extra = [...(shape?.fields ?? [])].filter(([key, field]) => {
    if (!isNull(field.shape) || key.includes("\0") || names.has(key.toLowerCase())) return false;
    names.add(key.toLowerCase());
    return true;
  });
  const inner = (name: string) => shape && (shape.fields?.get(name)?.shape ?? emptyShape());
  return [
    ...fields.map((field) => ({ key: field.name, read: readTypeOf(field.type, inner(field.name), trust) })),
    ...extra.map(([key]) => ({ key, read: "text" as const })),
  ];
}

/** JSON text from which DuckDB infers the read type. (Text, because a JavaScript object would put the key "1" before "a".) */
export function seedOf(read: ReadType): string {
  if (read === "text") return '"x"';
  if (typeof read === "string") return "0.5";
  if ("list" in read) return `[${seedOf(read.list)}]`;
  return `{${read.struct.map(({ key, read: inner }) => `${JSON.stringify(key)}:${seedOf(inner)}`).join(",")}}`;
}

/** SQL of the table's type from what was read. */
export function castJson(value: string, type: Type, read: ReadType, depth = 0): string {
  if (isSame(type, read)) return value;
  if (typeof type === "string") return read === "text" ? castScalar(value, type) : castDouble(value, type, read);
  if (type.type === "map") return castMap(value, type);
  if (type.type === "list" && typeof read === "object" && "list" in read) {
    const element = `e${depth}`;
    return `list_transform(${value}, lambda ${element}: ${castJson(element, type.element, read.list, depth + 1)})`;
  }
  if (type.type === "struct" && typeof read === "object" && "struct" in read) {
    const reads = new Map(read.struct.map((entry) => [entry.key, entry.read]));
    const packed = type.fields.map((field) => {
      const inner = `struct_extract(${value}, ${literal(field.name)})`;
      return `${ident(field.name)} := ${castJson(inner, field.type, reads.get(field.name) ?? "text", depth)}`;
    });
    return `CASE WHEN ${value} IS NULL THEN NULL ELSE struct_pack(${packed.join(", ")}) END`;
  }
  throw new Error(`read type does not match ${type.type}`);
}

/** Keys are data, so they cannot be in a seed: the cast is lenient, and what it would change shows on the way back. */
function castMap(value: string, type: Type): string {
  const map = `CAST(CAST(${value} AS JSON) AS ${duckType(type)})`;
  return `CASE WHEN to_json(${map}) <> json(${value}) THEN error(${literal(MISFIT)}) ELSE ${map} END`;
}

const NUMERIC = /^(int|long|float|double|decimal)/;

/** true and false in a column of numbers are 1 and 0, as DuckDB reads them where it reads numbers. */
function castScalar(value: string, type: PrimitiveType): string {
  if (!NUMERIC.test(type)) return castText(value, type);
  const cast = castText(`CASE ${value} WHEN 'true' THEN '1' WHEN 'false' THEN '0' ELSE ${value} END`, type);
  if (type !== "int" && type !== "long") return cast;
  // A number with a fraction comes as the text of a double: from 2^53 on the fraction is gone.
  const real = `contains(${value}, '.') OR contains(${value}, 'e')`;
  const rounded = `abs(TRY_CAST(${value} AS DOUBLE)) >= ${DOUBLE_WHOLE_MAX}`;
  return `CASE WHEN CASE WHEN ${real} THEN ${rounded} END THEN error(${literal(MISFIT)}) ELSE ${cast} END`;
}

/** From 2^53 on a double may stand for a whole number it is not: such a file must be looked at first. */
function castDouble(value: string, type: PrimitiveType, read: ReadType): string {
  const cast = type === "double" ? value : `CAST(${value} AS ${duckType(type)})`;
  if (read === "double") return cast;
  const fraction = read === "whole" ? ` OR ${value} <> trunc(${value})` : "";
  return `CASE WHEN abs(${value}) >= ${DOUBLE_WHOLE_MAX}${fraction} THEN error(${literal(MISFIT)}) ELSE ${cast} END`;
}

function isSame(type: Type, read: ReadType): boolean {
  if (typeof type === "string")
    return (type === "string" && read === "text") || (type === "double" && read === "double");
  if (type.type === "list") return typeof read === "object" && "list" in read && isSame(type.element, read.list);
  if (type.type === "map" || typeof read === "string" || "list" in read) return false;
  return (
    read.struct.length === type.fields.length &&
    type.fields.every((field, i) => isSame(field.type, read.struct[i]?.read ?? "text"))
  );
}
