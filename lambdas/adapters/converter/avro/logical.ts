// Avro's logical types as DuckDB's. One that is unknown, or stands over a type it does not go with, is left out, as the standard has it.

import type { DuckDBValue } from "@duckdb/node-api";
import type { AvroSource } from "../../../core/iceberg/avro-source.ts";
import { duckdb } from "../engine.ts";
import { AvroError } from "./error.ts";
import { type AvroObject, leaf, type Place } from "./types.ts";

/** DuckDB's infinities, and what lies beyond them. */
const MICROS_MAX = 2n ** 63n - 2n;
const DAYS_MAX = 2 ** 31 - 2;
const DAY_MICROS = 86_400_000_000n;
const UUID_BYTES = 16;

export function logicalPlace(schema: AvroObject): Place | undefined {
  switch (`${schema.logicalType}/${schema.type}`) {
    case "date/int":
      return leaf(duckdb().DATE, (source) => new (duckdb().DuckDBDateValue)(daysOf(source)));
    case "time-millis/int":
      return time((source) => BigInt(source.readInt()) * 1000n);
    case "time-micros/long":
      return time((source) => source.readLong());
    case "uuid/fixed":
      return schema.size === UUID_BYTES ? uuid() : undefined;
    case "decimal/bytes":
    case "decimal/fixed":
      return decimal(schema);
    default:
      return timestamp(schema);
  }
}

function timestamp({ logicalType, type }: AvroObject): Place | undefined {
  const match = type === "long" ? /^(local-)?timestamp-(millis|micros|nanos)$/.exec(logicalType ?? "") : null;
  if (match === null) return undefined;
  const { TIMESTAMP, TIMESTAMPTZ, DuckDBTimestampTZValue, DuckDBTimestampValue } = duckdb();
  const micros = (source: AvroSource): bigint => {
    const raw = source.readLong();
    const value = match[2] === "millis" ? raw * 1000n : match[2] === "micros" ? raw : floored(raw);
    if (value > MICROS_MAX || value < -MICROS_MAX) throw tooFar();
    return value;
  };
  return match[1] === undefined
    ? leaf(TIMESTAMPTZ, (source) => new DuckDBTimestampTZValue(micros(source)))
    : leaf(TIMESTAMP, (source) => new DuckDBTimestampValue(micros(source)));
}

/** Nanoseconds are cut to microseconds, before 1970 too. */
function floored(nanos: bigint): bigint {
  return (nanos - (((nanos % 1000n) + 1000n) % 1000n)) / 1000n;
}

function daysOf(source: AvroSource): number {
  const days = source.readInt();
  if (Math.abs(days) > DAYS_MAX) throw tooFar();
  return days;
}

function tooFar(): AvroError {
  const message = "a date or timestamp lies beyond what a table holds; correct it, or write it as a number";
  return new AvroError("TIMESTAMP_OUT_OF_RANGE", message);
}

function time(micros: (source: AvroSource) => bigint): Place {
  return leaf(duckdb().TIME, (source) => {
    const value = micros(source);
    if (value < 0n || value >= DAY_MICROS) throw source.corrupt("a time is not within a day");
    return new (duckdb().DuckDBTimeValue)(value);
  });
}

function uuid(): Place {
  return leaf(duckdb().VARCHAR, (source) => {
    const hex = source.readRaw(UUID_BYTES).toString("hex");
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
  });
}

function decimal({ precision, scale = 0, type, size }: AvroObject): Place | undefined {
  if (precision === undefined || !(precision >= 1 && precision <= 38 && scale >= 0 && scale <= precision))
    return undefined;
  if (type === "fixed" && !(Number.isSafeInteger(size) && (size as number) >= 0)) return undefined;
  const { DECIMAL, DuckDBDecimalValue } = duckdb();
  const limit = 10n ** BigInt(precision);
  return leaf(DECIMAL(precision, scale), (source): DuckDBValue => {
    const bytes = source.readRaw(type === "fixed" ? (size as number) : source.readLength());
    const value = bytes.length === 0 ? 0n : BigInt.asIntN(bytes.length * 8, BigInt(`0x${bytes.toString("hex")}`));
    if (value >= limit || value <= -limit) throw source.corrupt("a decimal has more digits than its precision");
    return new DuckDBDecimalValue(value, precision, scale);
  });
}
