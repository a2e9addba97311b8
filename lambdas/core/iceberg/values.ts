// Single values in Iceberg's binary form (specification, appendix D "Binary single-value serialization") and their order.
// Bounds in manifests are made of these; a wrong order or a wrong byte makes engines skip files that hold matching rows.

import { assert, MoraineError } from "../errors.ts";
import { decimalOf } from "./type-text.ts";
import type { PrimitiveType, Value } from "./types.ts";

/** Java keeps this many code points of a string bound. */
export const BOUND_LENGTH = 16;

export function encodeValue(type: PrimitiveType, value: Value): Uint8Array {
  switch (type) {
    case "boolean":
      return Uint8Array.of(value === true ? 1 : 0);
    case "int":
    case "date":
      return fill(4, (view) => view.setInt32(0, value as number, true));
    case "long":
    case "time":
    case "timestamp":
    case "timestamptz":
      return fill(8, (view) => view.setBigInt64(0, BigInt(value as bigint | number), true));
    case "float":
      return fill(4, (view) => view.setFloat32(0, value as number, true));
    case "double":
      return fill(8, (view) => view.setFloat64(0, value as number, true));
    case "string":
      return new TextEncoder().encode(value as string);
    case "uuid":
      return uuidBytes(value as string);
    default:
      return decimalOf(type) === undefined ? (value as Uint8Array) : decimalBytes(value as bigint);
  }
}

/** Accepts bounds written before a promotion: 4 bytes under a long, a float under a double, any length of decimal. */
export function decodeValue(type: PrimitiveType, bytes: Uint8Array): Value {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const wide = bytes.length === 8;
  const need = (...lengths: number[]) => {
    if (!lengths.includes(bytes.length)) {
      throw new MoraineError("Corrupt", "single value has the wrong length", { type, length: bytes.length });
    }
  };
  switch (type) {
    case "boolean":
      need(1);
      return bytes[0] !== 0;
    case "int":
    case "date":
      need(4);
      return view.getInt32(0, true);
    case "long":
    case "time":
    case "timestamp":
    case "timestamptz":
      need(4, 8);
      return wide ? view.getBigInt64(0, true) : BigInt(view.getInt32(0, true));
    case "float":
      need(4);
      return view.getFloat32(0, true);
    case "double":
      need(4, 8);
      return wide ? view.getFloat64(0, true) : view.getFloat32(0, true);
    case "string":
      return new TextDecoder().decode(bytes);
    case "uuid":
      need(16);
      return uuidText(bytes);
    default:
      return decimalOf(type) === undefined ? bytes : decimalFromBytes(bytes);
  }
}

function fill(length: number, write: (view: DataView) => void): Uint8Array {
  const bytes = new Uint8Array(length);
  write(new DataView(bytes.buffer));
  return bytes;
}

export function uuidBytes(text: string): Uint8Array {
  const bytes = Buffer.from(text.replaceAll("-", ""), "hex");
  assert(bytes.length === 16, `not a uuid: ${text}`);
  return new Uint8Array(bytes);
}

export function uuidText(bytes: Uint8Array): string {
  const hex = Buffer.from(bytes).toString("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** The unscaled value as two's complement, big endian, in the fewest bytes (or sign-extended to `length`). */
export function decimalBytes(unscaled: bigint, length?: number): Uint8Array {
  let count = length ?? 1;
  if (length === undefined) while (BigInt.asIntN(count * 8, unscaled) !== unscaled) count++;
  const bytes = new Uint8Array(count);
  let rest = unscaled;
  for (let i = count - 1; i >= 0; i--, rest >>= 8n) bytes[i] = Number(rest & 0xffn);
  return bytes;
}

export function decimalFromBytes(bytes: Uint8Array): bigint {
  let value = 0n;
  for (const byte of bytes) value = (value << 8n) | BigInt(byte);
  return BigInt.asIntN(bytes.length * 8, value);
}

/** Negative, zero or positive. Strings and bytes compare as unsigned bytes; -0.0 is below 0.0 and NaN above all, as in Java. */
export function compareValues(type: PrimitiveType, a: Value, b: Value): number {
  if (type === "string") return Buffer.compare(Buffer.from(a as string, "utf8"), Buffer.from(b as string, "utf8"));
  if (a instanceof Uint8Array && b instanceof Uint8Array) return Buffer.compare(a, b);
  if (type === "float" || type === "double") return compareFloats(a as number, b as number);
  return a < b ? -1 : a > b ? 1 : 0;
}

function compareFloats(a: number, b: number): number {
  if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(a)) - Number(Number.isNaN(b));
  if (a === 0 && b === 0) return Number(Object.is(b, -0)) - Number(Object.is(a, -0));
  return a < b ? -1 : a > b ? 1 : 0;
}

/** A lower bound of everything that starts like `text`: its first code points. */
export function truncateLowerString(text: string, length = BOUND_LENGTH): string {
  return firstCodePoints(text, length).join("");
}

/** An upper bound of `text`: cut and incremented; undefined when no string of that length is above it. */
export function truncateUpperString(text: string, length = BOUND_LENGTH): string | undefined {
  const points = firstCodePoints(text, length);
  if (points.join("").length === text.length) return text;
  for (let i = points.length - 1; i >= 0; i--) {
    const next = nextCodePoint(points[i]?.codePointAt(0) ?? 0);
    if (next !== undefined) return points.slice(0, i).join("") + String.fromCodePoint(next);
  }
  return undefined;
}

function firstCodePoints(text: string, length: number): string[] {
  const points: string[] = [];
  for (const point of text) {
    if (points.length === length) break;
    points.push(point);
  }
  return points;
}

/** Surrogates are not characters: U+D7FF is followed by U+E000. */
function nextCodePoint(point: number): number | undefined {
  if (point === 0x10ffff) return undefined;
  return point + 1 === 0xd800 ? 0xe000 : point + 1;
}
