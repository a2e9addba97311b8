// SQL that turns text into a table's type and refuses what would change on the way. DuckDB's own casts are lenient: '1.5' becomes
// the integer 2, '…+02:00' in a timestamp loses its zone, a time in a date is cut off, 1e400 is Infinity (measured on 1.5.5).
// Checks are nested CASEs, so that the costly half runs only on the few rows that look odd (bench/convert.ts).

import { decimalOf, fixedLengthOf } from "../../core/iceberg/type-text.ts";
import type { PrimitiveType } from "../../core/iceberg/types.ts";
import { literal } from "./sql.ts";
import { duckType } from "./types.ts";

/** `strptime` formats for texts that are not ISO 8601. */
export interface TextFormats {
  readonly date?: string;
  readonly timestamp?: string;
}

/** The text of the error a value that does not fit is refused with. */
export const MISFIT = "moraine-misfit";

/** Before the name of the column in hex digits: of the error a null in a required column is refused with. */
export const NULL_IN = "moraine-null-in-";

const ZONE = literal(":[0-9.]*\\s*([zZ]|[+-][0-9:]+|[A-Za-z].*)$");
const MIDNIGHT = literal(".{8,10}([T ]00:00(:00(\\.0+)?)?)?");

interface Cast {
  readonly value: string;
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

/** True where the text is there and `castText` would refuse it. Never raises an error. */
export function misfits(text: string, type: PrimitiveType, formats: TextFormats = {}): string {
  const { value, suspicious, changes } = castOf(text, type, formats);
  const refused = [`TRY(${value}) IS NULL`];
  if (changes !== undefined) {
    const condition = suspicious === undefined ? changes : `(${suspicious}) AND (${changes})`;
    refused.push(`coalesce(TRY(${condition}), true)`);
  }
  return `(${text} IS NOT NULL AND (${refused.join(" OR ")}))`;
}

function castOf(text: string, type: PrimitiveType, formats: TextFormats): Cast {
  const value = `CAST(${text} AS ${duckType(type)})`;
  switch (type) {
    case "string":
      return { value: text };
    case "binary":
      return { value: `encode(${text})` };
    case "int":
    case "long":
      return {
        value,
        suspicious: `contains(${text}, '.') OR contains(${text}, '-')`,
        changes: `CAST(${text} AS DOUBLE) <> trunc(CAST(${text} AS DOUBLE))`,
      };
    case "float":
    case "double":
      return { value, suspicious: `isinf(${value})`, changes: `NOT contains(lower(${text}), 'inf')` };
    case "date":
      return dateOf(text, value, formats.date);
    case "timestamp":
      if (formats.timestamp !== undefined)
        return { value: `strptime(${text}, ${literal(formats.timestamp)})::TIMESTAMP` };
      return { value, changes: `regexp_matches(${text}, ${ZONE}) OR NOT isfinite(${value})` };
    case "timestamptz":
      if (formats.timestamp !== undefined)
        return { value: `strptime(${text}, ${literal(formats.timestamp)})::TIMESTAMPTZ` };
      return { value, changes: `NOT isfinite(${value})` };
    default:
      return otherOf(text, value, type);
  }
}

function dateOf(text: string, value: string, format: string | undefined): Cast {
  if (format !== undefined) return { value: `CAST(strptime(${text}, ${literal(format)}) AS DATE)` };
  const changes = `NOT isfinite(${value}) OR NOT regexp_full_match(${text}, ${MIDNIGHT})`;
  return { value, suspicious: `strlen(${text}) <> 10`, changes };
}

function otherOf(text: string, value: string, type: PrimitiveType): Cast {
  const decimal = decimalOf(type);
  if (decimal !== undefined) {
    // As many decimals as 38 digits leave room for: a digit that is lost shows.
    return { value, changes: `CAST(${text} AS DECIMAL(38, ${38 - (decimal.precision - decimal.scale)})) <> ${value}` };
  }
  const length = fixedLengthOf(type);
  return length === undefined ? { value } : { value: `encode(${text})`, changes: `strlen(${text}) <> ${length}` };
}
