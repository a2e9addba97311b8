// Partition transforms (specification, "Partition Transforms"): from a column's value to its partition value.
// Every engine computes these on its own to prune files, so a different result loses rows from queries without an error.
// Checked against all hash vectors of the specification's appendix B.

import { assert, MoraineError } from "../errors.ts";
import { decimalOf, fixedLengthOf } from "./type-text.ts";
import type { PrimitiveType, Transform, Value } from "./types.ts";
import { decimalBytes, uuidBytes } from "./values.ts";

const DAY_MICROS = 86_400_000_000n;
const HOUR_MICROS = 3_600_000_000n;

const TIMESTAMPS: readonly string[] = ["timestamp", "timestamptz"];
const DATES: readonly string[] = ["date", ...TIMESTAMPS];

interface ParsedTransform {
  readonly name: string;
  readonly width: number;
}

/** `bucket[16]` -> bucket, 16. Undefined for what is no transform of format v2. */
export function parseTransform(transform: string): ParsedTransform | undefined {
  const match = /^(bucket|truncate)\[(\d+)\]$/.exec(transform);
  if (match !== null) {
    const width = Number(match[2]);
    return width > 0 && width <= 0x7fffffff ? { name: match[1] as string, width } : undefined;
  }
  const plain = ["identity", "void", "year", "month", "day", "hour"].includes(transform);
  return plain ? { name: transform, width: 0 } : undefined;
}

/** The type of the partition value; undefined when the transform does not take this type. */
export function transformResultType(transform: Transform, sourceType: PrimitiveType): PrimitiveType | undefined {
  const parsed = parseTransform(transform);
  switch (parsed?.name) {
    case "identity":
    case "void":
      return sourceType;
    case "bucket":
      return ["boolean", "float", "double"].includes(sourceType) ? undefined : "int";
    case "truncate":
      return canTruncate(sourceType) ? sourceType : undefined;
    case "year":
    case "month":
      return DATES.includes(sourceType) ? "int" : undefined;
    case "day":
      // The specification says int; Java writes the Avro date, which is an int too, and engines show it as a date.
      return DATES.includes(sourceType) ? "date" : undefined;
    case "hour":
      return TIMESTAMPS.includes(sourceType) ? "int" : undefined;
    default:
      return undefined;
  }
}

function canTruncate(type: PrimitiveType): boolean {
  return ["int", "long", "string", "binary"].includes(type) || decimalOf(type) !== undefined;
}

export function applyTransform(transform: Transform, sourceType: PrimitiveType, value: Value | null): Value | null {
  const parsed = parseTransform(transform);
  if (parsed === undefined || transformResultType(transform, sourceType) === undefined) {
    throw new MoraineError("Invalid", "transform does not take this type", { transform, type: sourceType });
  }
  if (value === null || parsed.name === "void") return null;
  switch (parsed.name) {
    case "identity":
      return value;
    case "bucket":
      return (hashValue(sourceType, value) & 0x7fffffff) % parsed.width;
    case "truncate":
      return truncate(parsed.width, sourceType, value);
    case "hour":
      // Beyond the year 246953 hours overflow the int they are, as in Java.
      return Number(floorDiv(value as bigint, HOUR_MICROS)) | 0;
    default:
      return fromDays(parsed.name, daysOf(sourceType, value));
  }
}

function truncate(width: number, type: PrimitiveType, value: Value): Value {
  if (typeof value === "string") return [...value].slice(0, width).join("");
  if (value instanceof Uint8Array) return value.slice(0, width);
  // Two's complement overflow at the very bottom of int and long, as in Java.
  if (typeof value === "number") return (value - (((value % width) + width) % width)) | 0;
  assert(typeof value === "bigint", `truncate of ${type}`);
  const wide = BigInt(width);
  const truncated = value - (((value % wide) + wide) % wide);
  return type === "long" ? BigInt.asIntN(64, truncated) : truncated;
}

function daysOf(type: PrimitiveType, value: Value): number {
  return type === "date" ? (value as number) : Number(floorDiv(value as bigint, DAY_MICROS));
}

function floorDiv(a: bigint, b: bigint): bigint {
  const quotient = a / b;
  return a % b < 0n ? quotient - 1n : quotient;
}

function fromDays(unit: string, days: number): number {
  if (unit === "day") return days;
  const { year, month } = civilFromDays(days);
  return unit === "year" ? year - 1970 : (year - 1970) * 12 + (month - 1);
}

/**
 * Proleptic Gregorian year and month of a day number. JavaScript's Date ends at year 275760, int64 microseconds do not.
 * Algorithm: https://howardhinnant.github.io/date_algorithms.html#civil_from_days
 */
function civilFromDays(days: number): { year: number; month: number } {
  const shifted = days + 719_468;
  const era = Math.floor(shifted / 146_097);
  const dayOfEra = shifted - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const monthFromMarch = Math.floor((5 * dayOfYear + 2) / 153);
  const month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9;
  return { year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month };
}

/** The signed 32-bit hash of a value (appendix B): ints hash as longs, decimals by their shortest bytes. */
export function hashValue(type: PrimitiveType, value: Value): number {
  return murmur3(hashedBytes(type, value));
}

function hashedBytes(type: PrimitiveType, value: Value): Uint8Array {
  if (value instanceof Uint8Array) return value;
  if (type === "string") return new TextEncoder().encode(value as string);
  if (type === "uuid") return uuidBytes(value as string);
  if (decimalOf(type) !== undefined) return decimalBytes(value as bigint);
  assert(fixedLengthOf(type) === undefined && typeof value !== "boolean", `hash of ${type}`);
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigInt64(0, BigInt(value), true);
  return bytes;
}

/** Murmur3 x86 32-bit, seed 0. */
export function murmur3(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const blocksEnd = bytes.length & ~3;
  let hash = 0;
  for (let i = 0; i < blocksEnd; i += 4) {
    hash ^= scramble(view.getInt32(i, true));
    hash = Math.imul(rotate(hash, 13), 5) + 0xe6546b64;
  }
  let tail = 0;
  for (let i = bytes.length - 1; i >= blocksEnd; i--) tail = (tail << 8) | (bytes[i] ?? 0);
  hash ^= scramble(tail);
  hash ^= bytes.length;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}

function scramble(block: number): number {
  return Math.imul(rotate(Math.imul(block, 0xcc9e2d51), 15), 0x1b873593);
}

function rotate(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}
