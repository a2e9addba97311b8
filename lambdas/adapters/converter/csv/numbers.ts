// Numbers written as other countries write them: `1.234,5` as `1234.5`, in SQL. What is not written that way becomes no number at all:
// in a file of decimal commas `1.5` is nobody's one and a half.

import type { PrimitiveType } from "../../../core/iceberg/types.ts";
import { literal } from "../sql.ts";

export interface NumberFormats {
  readonly decimalSeparator?: string;
  readonly thousandsSeparator?: string;
}

/** The text as a number is usually written, or as it is where the formats or the type say nothing of it. */
export function numberText(text: string, type: PrimitiveType, formats: NumberFormats): string {
  const { decimalSeparator, thousandsSeparator } = formats;
  if (decimalSeparator === undefined && thousandsSeparator === undefined) return text;
  if (!/^(int|long|float|double|decimal)/.test(type)) return text;
  const point = decimalSeparator ?? ".";
  const plain = `replace(${without(text, thousandsSeparator)}, ${literal(point)}, '.')`;
  const written = literal(shape(point, thousandsSeparator));
  return `(CASE WHEN ${text} IS NULL THEN NULL WHEN regexp_full_match(${text}, ${written}) THEN ${plain} ELSE 'none' END)`;
}

function without(text: string, separator: string | undefined): string {
  return separator === undefined ? text : `replace(${text}, ${literal(separator)}, '')`;
}

/** Groups are of three digits, so that `1,5` is not read as fifteen. */
function shape(point: string, thousands: string | undefined): string {
  const grouped = thousands === undefined ? "" : `[0-9]{1,3}(${escaped(thousands)}[0-9]{3})+|`;
  return `\\s*[+-]?(${grouped}[0-9]*)(${escaped(point)}[0-9]*)?([eE][+-]?[0-9]+)?\\s*|(?i)[+-]?(nan|inf(inity)?)`;
}

function escaped(char: string): string {
  return `[${char.replace(/[\\\]^-]/, "\\$&")}]`;
}
