// Whether a record's numbers go into the table's columns as they are written: kinds are json-types.ts's matter, digits are this file's.
// For messages only, after a conversion has failed.

import { decimalOf } from "../../core/iceberg/type-text.ts";
import type { NestedField, Type } from "../../core/iceberg/types.ts";

const NUMBER = /^[+-]?0*(\d*)(?:\.(\d*?)0*)?$/;
const SCIENTIFIC = /^([+-]?)(\d*)\.?(\d*)[eE]([+-]?\d{1,3})$/;
/** A number with an exponent is taken up to as many digits (strict-cast.ts). */
const SCIENTIFIC_DIGITS_MAX = 15;

class Written {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

/** The first column with a number of too many digits. `names`: source key to column name, where they differ. */
export function overflowing(
  record: string,
  fields: readonly NestedField[],
  names: ReadonlyMap<string, string>,
): NestedField | undefined {
  let values: Record<string, unknown>;
  try {
    values = JSON.parse(record, (_key, value: unknown, context?: { readonly source?: string }) =>
      typeof value === "number" ? new Written(context?.source ?? String(value)) : value,
    ) as Record<string, unknown>;
  } catch {
    return undefined;
  }
  const byName = new Map(Object.entries(values).map(([key, value]) => [names.get(key) ?? key, value]));
  return fields.find(({ name, type }) => !holdsDigits(type, byName.get(name)));
}

function holdsDigits(type: Type, value: unknown): boolean {
  if (value === null || value === undefined) return true;
  if (typeof type !== "string") {
    if (type.type === "list") return !Array.isArray(value) || value.every((item) => holdsDigits(type.element, item));
    if (type.type === "map") return true;
    return type.fields.every((field) => holdsDigits(field.type, (value as Record<string, unknown>)[field.name]));
  }
  const text = value instanceof Written ? value.text : typeof value === "string" ? value : undefined;
  const match = text === undefined ? null : NUMBER.exec(withoutExponent(text));
  if (match === null) return true;
  const [, whole = "", fraction = ""] = match;
  if (type === "int" || type === "long") {
    const bits = type === "int" ? 32 : 64;
    return fraction === "" && BigInt.asIntN(bits, BigInt(whole || "0")) === BigInt(whole || "0");
  }
  const decimal = decimalOf(type);
  return (
    decimal === undefined || (fraction.length <= decimal.scale && whole.length <= decimal.precision - decimal.scale)
  );
}

/** The same number without an exponent, unless it has too many digits to be taken with one: then more than any column holds. */
function withoutExponent(text: string): string {
  const match = SCIENTIFIC.exec(text);
  if (match === null) return text;
  const [, sign = "", whole = "", fraction = "", exponent = "0"] = match;
  if (whole.length + fraction.length > SCIENTIFIC_DIGITS_MAX) return "9".repeat(40);
  const shift = Number(exponent);
  const digits = `${"0".repeat(Math.max(0, -shift))}${whole}${fraction}${"0".repeat(Math.max(0, shift))}`;
  const point = Math.max(0, -shift) + whole.length + shift;
  return `${sign}${digits.slice(0, point)}.${digits.slice(point)}`;
}
