// SQL that turns text into a table's type and refuses what would change on the way. DuckDB's own casts are lenient: '1.5' becomes
// the integer 2, '…+02:00' in a timestamp loses its zone, a time in a date is cut off, 1e400 is Infinity (measured on 1.5.5).
// Checks are nested CASEs, so that the costly half runs only on the few rows that look odd (bench/convert.ts).

import { decimalOf, fixedLengthOf } from "../../core/iceberg/type-text.ts";
import type { PrimitiveType } from "../../core/iceberg/types.ts";
import { type NumberFormats, numberText } from "./csv/numbers.ts";
import { literal } from "./sql.ts";
import { duckType } from "./types.ts";

/** `strptime` formats for texts that are not ISO 8601, and how numbers are written. */
export interface TextFormats extends NumberFormats {
  readonly date?: string;
  readonly timestamp?: string;
}

/** 2^53: from here on a double may stand for a whole number it is not. */
export const DOUBLE_WHOLE_MAX = 9007199254740992;

/** Not of NaN, which DuckDB orders above infinity. */
export function maybeRounded(double: string): string {
  return `abs(${double}) BETWEEN ${DOUBLE_WHOLE_MAX} AND CAST('infinity' AS DOUBLE)`;
}

/** The text of the error a value that does not fit is refused with. */
export const MISFIT = "moraine-misfit";

/** The text of the error a timestamp is refused with that may have been counted round. */
export const TOO_FAR = "moraine-too-far";

/** Before the name of the column in hex digits: of the error a null in a required column is refused with. */
export const NULL_IN = "moraine-null-in-";

const ZONE = literal(":[0-9.]*\\s*([zZ]|[+-][0-9:]+|[A-Za-z].*)$");
const MIDNIGHT = literal(".{8,10}([T ]00:00(:00(\\.0+)?)?)?");

interface Cast {
  readonly value: string;
  /** The value, or null where `value` raises an error. */
  readonly tried: string;
  /** A condition on the text that is cheap and almost never true, and what it then takes to know that the value would change. */
  readonly suspicious?: string;
  readonly changes?: string;
}

/** A value of the type, or an error. `text` is the SQL of a VARCHAR. */
export function castText(text: string, type: PrimitiveType, formats: TextFormats = {}): string {
  const { value, suspicious, changes } = castOf(text, type, formats);
  if (changes === undefined) return value;
  const checked = `CASE WHEN ${changes} THEN error(${literal(MISFIT)}) ELSE ${value} END`;
  return suspicious === undefined ? checked : `CASE WHEN ${suspicious} THEN ${checked} ELSE ${value} END`;
}

/**
 * True where the text is there and `castText` would refuse it. Never raises an error, nor inside: each one costs 20 µs, so that 4,096 rows
 * of 15 columns that are tried as seven types took 10 s, and take 0.2 s (first inference of bench/convert.ts).
 */
export function misfits(text: string, type: PrimitiveType, formats: TextFormats = {}): string {
  const { tried, suspicious, changes } = castOf(text, type, formats);
  const whens = [`WHEN ${text} IS NULL THEN false`, `WHEN ${tried} IS NULL THEN true`];
  if (changes !== undefined) whens.push(`WHEN ${suspicious ?? "true"} THEN coalesce(TRY(${changes}), true)`);
  return `(CASE ${whens.join(" ")} ELSE false END)`;
}

function castOf(given: string, type: PrimitiveType, formats: TextFormats): Cast {
  const text = numberText(given, type, formats);
  const format = type === "date" ? formats.date : type.startsWith("timestamp") ? formats.timestamp : undefined;
  if (format !== undefined) return parsed(text, type, format);
  const value = `CAST(${text} AS ${duckType(type)})`;
  const plain = { value, tried: `TRY_${value}` };
  switch (type) {
    case "string":
      return { value: text, tried: text };
    case "binary":
      return { value: `encode(${text})`, tried: `encode(${text})` };
    case "int":
    case "long":
      return exactly(text, plain, 0);
    case "float":
    case "double":
      return { ...plain, suspicious: maybeRounded(value), changes: roundsWhole(text, value) };
    case "date": {
      const changes = `NOT isfinite(${value}) OR NOT regexp_full_match(${text}, ${MIDNIGHT})`;
      return { ...plain, suspicious: `strlen(${text}) <> 10`, changes };
    }
    case "timestamp":
      return { ...plain, changes: `regexp_matches(${text}, ${ZONE}) OR NOT isfinite(${value})` };
    case "timestamptz":
      return { ...plain, changes: `NOT isfinite(${value})` };
    default:
      return otherOf(text, type, plain);
  }
}

/**
 * A number that keeps all its digits. Judged by its text, because DuckDB has no type with more room than 38 digits: most are written as
 * DuckDB would write them, the others are taken if no digit but 0 stands beyond the scale. With an exponent a double tells up to 15 digits.
 */
function exactly(text: string, plain: Pick<Cast, "value" | "tried">, scale: number): Cast {
  const written = `CAST(${plain.value} AS VARCHAR)`;
  const digits = literal(`\\s*[+-]?[0-9]*(\\.[0-9]{0,${scale}}0*)?\\s*`);
  const exponent = literal("\\s*[+-]?([0-9]\\.?|\\.[0-9]){1,15}[eE][+-]?[0-9]+\\s*");
  // What is too small for a double is none of zero.
  const zero = literal("[^1-9]*([eE].*)?");
  const double = `TRY_CAST(${text} AS DOUBLE)`;
  const same = `${double} = CAST(${written} AS DOUBLE) AND (${double} <> 0 OR regexp_full_match(${text}, ${zero}))`;
  const scientific = `regexp_full_match(${text}, ${exponent}) AND ${same}`;
  return {
    ...plain,
    suspicious: `${written} <> ${text}`,
    changes: `NOT regexp_full_match(${text}, ${digits}) AND NOT (${scientific})`,
  };
}

/** A whole number that is written out is kept or refused; with a fraction or an exponent, the nearest double is meant. */
function roundsWhole(text: string, value: string): string {
  const whole = `regexp_full_match(${text}, '\\s*[+-]?[0-9_]+\\s*')`;
  // More than 38 digits cannot be compared, and few doubles have them.
  const differs = `(TRY_CAST(${text} AS DECIMAL(38, 0)) = TRY_CAST(${value} AS DECIMAL(38, 0))) IS NOT TRUE`;
  return `CASE WHEN isinf(${value}) THEN NOT contains(lower(${text}), 'inf') ELSE ${whole} AND ${differs} END`;
}

function parsed(text: string, type: PrimitiveType, format: string): Cast {
  const call = `strptime(${text}, ${literal(format)})`;
  return { value: `CAST(${call} AS ${duckType(type)})`, tried: `TRY_CAST(try_${call} AS ${duckType(type)})` };
}

function otherOf(text: string, type: PrimitiveType, plain: Cast): Cast {
  const decimal = decimalOf(type);
  if (decimal !== undefined) return exactly(text, plain, decimal.scale);
  const length = fixedLengthOf(type);
  const encoded = `encode(${text})`;
  return length === undefined ? plain : { value: encoded, tried: encoded, changes: `strlen(${text}) <> ${length}` };
}
