// Iceberg's primitive types are texts ("decimal(10, 2)", "fixed[16]"); here they are taken apart and checked.
// Java writes a space in decimals and some writers do not, so types are compared in their canonical text.

import { MoraineError } from "../errors.ts";
import type { PrimitiveType, Type } from "./types.ts";

const SIMPLE = new Set<string>([
  "boolean",
  "int",
  "long",
  "float",
  "double",
  "date",
  "time",
  "timestamp",
  "timestamptz",
  "string",
  "uuid",
  "binary",
]);
const DECIMAL = /^decimal\(\s*(\d+)\s*,\s*(\d+)\s*\)$/;
const FIXED = /^fixed\[\s*(\d+)\s*\]$/;
const PRECISION_MAX = 38;

export function decimalOf(type: string): { precision: number; scale: number } | undefined {
  const match = DECIMAL.exec(type);
  return match === null ? undefined : { precision: Number(match[1]), scale: Number(match[2]) };
}

export function fixedLengthOf(type: string): number | undefined {
  const match = FIXED.exec(type);
  return match === null ? undefined : Number(match[1]);
}

/** The canonical text of a primitive type, or undefined if it is none. */
export function primitiveOf(text: string): PrimitiveType | undefined {
  if (SIMPLE.has(text)) return text as PrimitiveType;
  const decimal = decimalOf(text);
  if (decimal !== undefined) {
    const { precision, scale } = decimal;
    const valid = precision >= 1 && precision <= PRECISION_MAX && scale <= precision;
    return valid ? `decimal(${precision}, ${scale})` : undefined;
  }
  const length = fixedLengthOf(text);
  return length === undefined || length === 0 ? undefined : `fixed[${length}]`;
}

/** A type written by a person (a hint in `moraine.yaml`). */
export function parseType(text: string): PrimitiveType {
  const type = primitiveOf(text.trim().toLowerCase());
  if (type !== undefined) return type;
  throw new MoraineError(
    "Invalid",
    `not an iceberg type; use one of ${[...SIMPLE].join(", ")}, decimal(precision, scale) with precision up to ${PRECISION_MAX}, fixed[length]`,
    { type: text },
  );
}

/** Equal exactly when the types are equal, field ids included. */
export function typeKey(type: Type): string {
  if (typeof type === "string") return primitiveOf(type) ?? type;
  switch (type.type) {
    case "list":
      return `list<${type["element-id"]}${type["element-required"] ? "!" : ""}:${typeKey(type.element)}>`;
    case "map":
      return `map<${type["key-id"]}:${typeKey(type.key)},${type["value-id"]}${type["value-required"] ? "!" : ""}:${typeKey(type.value)}>`;
    case "struct":
      return `struct<${type.fields
        .map(
          (f) => `${f.id}${f.required ? "!" : ""}${JSON.stringify(f.name)}:${typeKey(f.type)}${JSON.stringify(f.doc)}`,
        )
        .join(",")}>`;
  }
}
