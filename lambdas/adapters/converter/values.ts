// DuckDB's values as Iceberg values: one typed (partition sources, read from a row), one from the text of COPY's statistics.

import type { DuckDBValue } from "@duckdb/node-api";
import { decimalOf, fixedLengthOf } from "../../core/iceberg/type-text.ts";
import type { PrimitiveType, Value } from "../../core/iceberg/types.ts";
import { BOUND_LENGTH } from "../../core/iceberg/values.ts";

export function icebergValue(type: PrimitiveType, value: DuckDBValue): Value | null {
  if (value === null) return null;
  switch (type) {
    case "boolean":
    case "int":
    case "long":
    case "float":
    case "double":
    case "string":
      return value as Value;
    case "date":
      return (value as { days: number }).days;
    case "time":
    case "timestamp":
    case "timestamptz":
      return (value as { micros: bigint }).micros;
    case "uuid":
      return String(value);
    default:
      return decimalOf(type) === undefined
        ? (value as { bytes: Uint8Array }).bytes
        : (value as { value: bigint }).value;
  }
}

/**
 * Undefined: no bound. That is always safe, so anything unusual (years beyond 9999 or BC, infinity) has none. Floats are not here:
 * DuckDB prints -0.0 as 0.0 and forgets NaN; decimals of more than 18 digits have their ends swapped (duckdb#23504).
 */
export function boundOfText(type: PrimitiveType, text: string): Value | undefined {
  switch (type) {
    case "boolean":
      return text === "1" ? true : text === "0" ? false : undefined;
    case "int":
      return /^-?\d+$/.test(text) ? Number(text) : undefined;
    case "long":
      return /^-?\d+$/.test(text) ? BigInt(text) : undefined;
    case "string":
      // A replacement character: bytes that were no text. (DuckDB cuts at 256 bytes, bounds are made of the first code points.)
      return text.slice(0, 2 * BOUND_LENGTH).includes("\ufffd") ? undefined : text;
    case "date": {
      const micros = microsOf(`${text} 00:00:00`);
      return micros === undefined ? undefined : Number(micros / 86_400_000_000n);
    }
    case "timestamp":
    case "timestamptz":
      return microsOf(text);
    default:
      return decimalBound(type, text);
  }
}

function decimalBound(type: PrimitiveType, text: string): bigint | undefined {
  const decimal = decimalOf(type);
  if (decimal === undefined || decimal.precision > 18 || fixedLengthOf(type) !== undefined) return undefined;
  const match = /^(-?\d*)(?:\.(\d+))?$/.exec(text);
  if (match === null || (match[2] ?? "").length !== decimal.scale) return undefined;
  return BigInt(`${match[1]}${match[2] ?? ""}`);
}

const TIMESTAMP = /^(\d{4})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?(?:\+00)?$/;

function microsOf(text: string): bigint | undefined {
  const match = TIMESTAMP.exec(text);
  if (match === null) return undefined;
  const [, year, month, day, hour, minute, second, fraction = ""] = match;
  const date = new Date(0);
  // Date.UTC takes years below 100 for 19xx.
  date.setUTCFullYear(Number(year), Number(month) - 1, Number(day));
  date.setUTCHours(Number(hour), Number(minute), Number(second));
  return BigInt(date.getTime()) * 1000n + BigInt(fraction.padEnd(6, "0"));
}
