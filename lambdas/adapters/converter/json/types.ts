// From what JSON records hold to Iceberg types. The rules (docs state them too):
// whole numbers are long, beyond int64 decimal(38, 0); any fraction makes the column double (or as `numbers` says); ISO 8601 text with a zone is timestamptz,
// without one timestamp, a date is date, when all agree; kinds that disagree, `{}` alone, objects whose keys are data (more than 32, each
// in less than a tenth of the objects) or differ only by case are JSON text in a string; null alone is no column yet; text inside lists
// stays text, and a list that was always empty is a list of text.
// A column the table has keeps the table's type as long as every value fits; true and false in one of numbers are 1 and 0.

import type { JsonOptions } from "../../../core/config.ts";
import { decimalOf } from "../../../core/iceberg/type-text.ts";
import type { DraftField, DraftType, NestedField, PrimitiveType, Type } from "../../../core/iceberg/types.ts";
import { draftOf } from "../types.ts";
import { type FieldShape, type Shape, TEXT } from "./shape.ts";

const KEYS_MAX = 32;
const KEY_PRESENCE_MIN = 0.1;
const PRECISION_MAX = 38;
const SCALE_MIN = 9;

export interface TypeOptions {
  /** Inside a list. */
  readonly inList?: boolean;
  /** false: what nobody gave a type to is text. */
  readonly infer?: boolean;
  /** What becomes of numbers that a long does not hold. Absent: a fraction makes the column a double. */
  readonly numbers?: JsonOptions["numbers"];
}

/** Undefined: nothing but nulls. `known`: the table's type of this place, or a hint. */
export function typeOfShape(shape: Shape, known?: Type | undefined, options: TypeOptions = {}): DraftType | undefined {
  if (known !== undefined && fits(shape, known)) return draftOf(known);
  const promoted = known === "int" ? "long" : known === "float" ? "double" : undefined;
  if (promoted !== undefined && fits(shape, promoted)) return promoted;
  const scalars = Number(shape.bools) + Number(isNumeric(shape)) + Number(shape.strings);
  const kinds = scalars + Number(shape.lists) + Number(shape.objects > 0);
  if (kinds === 0) return undefined;
  if (kinds > 1 || (known === undefined && options.infer === false)) return "string";
  if (shape.objects > 0) return structOf(shape, known, options);
  if (shape.lists) return listOf(shape, known, options);
  if (shape.bools) return "boolean";
  return shape.strings ? textOf(shape, options.inList === true) : numberOf(shape, options.numbers);
}

function isNumeric(shape: Shape): boolean {
  return shape.ints || shape.bigs || shape.huge || shape.reals;
}

function numberOf(shape: Shape, numbers: TypeOptions["numbers"]): PrimitiveType {
  const isLong = !shape.reals && !shape.bigs && !shape.huge;
  if (numbers === "string" && !isLong) return "string";
  if (numbers === "decimal" && shape.reals) return decimalOfDigits(shape);
  if (shape.reals) return shape.rounds ? "string" : "double";
  if (shape.huge) return "string";
  return shape.bigs ? "decimal(38, 0)" : "long";
}

/** All digits that were seen, and some that may come: a decimal's scale never grows. */
function decimalOfDigits({ whole, fraction }: Shape): PrimitiveType {
  if (whole + fraction > PRECISION_MAX) return "string";
  const scale = Math.max(fraction, Math.min(SCALE_MIN, PRECISION_MAX - whole));
  return `decimal(${PRECISION_MAX}, ${scale})`;
}

function textOf(shape: Shape, inList: boolean): PrimitiveType {
  if (inList) return "string";
  switch (shape.text) {
    case TEXT.date:
      return "date";
    case TEXT.timestamp:
      return "timestamp";
    case TEXT.timestamptz:
      return "timestamptz";
    default:
      return "string";
  }
}

function listOf(shape: Shape, known: Type | undefined, options: TypeOptions): DraftType {
  const inner = typeof known === "object" && known.type === "list" ? known.element : undefined;
  const element = shape.element && typeOfShape(shape.element, inner, { ...options, inList: true });
  return { type: "list", element: element ?? "string" };
}

function structOf(shape: Shape, known: Type | undefined, options: TypeOptions): DraftType {
  const knownFields = typeof known === "object" && known.type === "struct" ? known.fields : [];
  if (knownFields.length === 0 && (keysAreData(shape) || keysCollide(shape))) return "string";
  const fields = fieldsOfShape(shape, knownFields, options);
  return fields.length === 0 ? "string" : { type: "struct", fields };
}

function keysAreData(shape: Shape): boolean {
  const fields = shape.fields ?? new Map<string, FieldShape>();
  if (fields.size <= KEYS_MAX) return false;
  let present = 0;
  for (const { count } of fields.values()) present += count;
  return present / fields.size / shape.objects < KEY_PRESENCE_MIN;
}

/** Engines that see no case cannot tell such fields apart. */
function keysCollide(shape: Shape): boolean {
  const names = [...(shape.fields?.keys() ?? [])];
  return names.some(isNoName) || new Set(names.map((name) => name.toLowerCase())).size < names.length;
}

/** SQL has no identifier for these. */
function isNoName(name: string): boolean {
  return name === "" || name.includes("\0");
}

/** Fields in order of first sight; those that were only null are left out. A key that differs only by case takes the name that was there. */
export function fieldsOfShape(shape: Shape, known: readonly NestedField[], options: TypeOptions = {}): DraftField[] {
  const byName = new Map(known.map((field) => [field.name.toLowerCase(), field]));
  const fields = new Map<string, DraftField>();
  for (const [name, field] of shape.fields ?? []) {
    const key = name.toLowerCase();
    const own = byName.get(key);
    const type = fields.has(key) || isNoName(name) ? undefined : typeOfShape(field.shape, own?.type, options);
    if (type !== undefined) fields.set(key, { name: own?.name ?? name, type });
  }
  return [...fields.values()];
}

/** Whether every value of the shape goes into a column of the type as it is. Ranges beyond a promotion's are left to the conversion. */
export function fits(shape: Shape, type: Type): boolean {
  if (typeof type === "string") return fitsPrimitive(shape, type);
  const scalar = shape.bools || isNumeric(shape) || shape.strings;
  switch (type.type) {
    case "list":
      if (scalar || shape.objects > 0) return false;
      return shape.element === undefined || fits(shape.element, type.element);
    case "map":
      return !scalar && !shape.lists;
    case "struct":
      return !scalar && !shape.lists && fitsStruct(shape, type.fields);
  }
}

function fitsStruct(shape: Shape, fields: readonly NestedField[]): boolean {
  const types = new Map(fields.map((field) => [field.name, field.type]));
  for (const [name, field] of shape.fields ?? []) {
    const type = types.get(name);
    if (type === undefined ? !isNull(field.shape) : !fits(field.shape, type)) return false;
  }
  return true;
}

export function isNull(shape: Shape): boolean {
  return !(shape.bools || isNumeric(shape) || shape.strings || shape.lists || shape.objects > 0);
}

function fitsPrimitive(shape: Shape, type: PrimitiveType): boolean {
  if (type === "string") return true;
  if (shape.lists || shape.objects > 0) return false;
  const { text } = shape;
  const strings = (bits: number) => !shape.strings || (text & bits) !== 0;
  switch (type) {
    case "boolean":
      return !isNumeric(shape) && strings(TEXT.bool);
    case "int":
    case "long":
      return (
        !(type === "int" && shape.longs) && !shape.bigs && !shape.huge && !shape.reals && strings(TEXT.int | TEXT.bool)
      );
    case "float":
    case "double":
      return !(type === "float" && shape.doubles) && !shape.huge && !shape.rounds && strings(TEXT.number | TEXT.bool);
    case "date":
      return !shape.bools && !isNumeric(shape) && strings(TEXT.date);
    case "timestamp":
      return !shape.bools && !isNumeric(shape) && strings(TEXT.timestamp | TEXT.date);
    case "timestamptz":
      return !shape.bools && !isNumeric(shape) && strings(TEXT.timestamptz | TEXT.timestamp | TEXT.date);
    default:
      if (decimalOf(type) !== undefined) return !shape.huge && strings(TEXT.number | TEXT.bool);
      return !shape.bools && !isNumeric(shape);
  }
}
