// Checked access to the fields of records that somebody else wrote (Avro records, JSON objects).
// Every refusal is Corrupt and names the file and the property, because the operator has to find the bytes.

import { MoraineError } from "../errors.ts";

export interface Fields {
  readonly file: string;
  readonly values: Readonly<Record<string, unknown>>;
}

export function fieldsOf(value: unknown, file: string, property: string): Fields {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return { file, values: value as Readonly<Record<string, unknown>> };
  }
  throw corrupt(file, property, "is not an object");
}

export function corrupt(file: string, property: string, problem: string): MoraineError {
  return new MoraineError("Corrupt", `${property} ${problem}`, { file, property });
}

function isAbsent(value: unknown): value is null | undefined {
  return value === null || value === undefined;
}

/** The value under the first of the names that is there. */
function valueAt(fields: Fields, names: readonly string[]): unknown {
  for (const name of names) if (!isAbsent(fields.values[name])) return fields.values[name];
  return undefined;
}

export function stringAt(fields: Fields, ...names: string[]): string {
  const value = valueAt(fields, names);
  if (typeof value === "string") return value;
  throw corrupt(fields.file, names[0] ?? "", "is not a string");
}

/** A safe integer, written as number or bigint. */
export function numberAt(fields: Fields, ...names: string[]): number {
  const value = optionalNumberAt(fields, ...names);
  if (value !== undefined) return value;
  throw corrupt(fields.file, names[0] ?? "", "is missing");
}

export function optionalNumberAt(fields: Fields, ...names: string[]): number | undefined {
  const value = valueAt(fields, names);
  if (value === undefined) return undefined;
  const number = typeof value === "bigint" ? Number(value) : value;
  if (Number.isSafeInteger(number)) return number as number;
  throw corrupt(fields.file, names[0] ?? "", "is not an integer");
}

export function bigintAt(fields: Fields, ...names: string[]): bigint {
  const value = optionalBigintAt(fields, ...names);
  if (value !== undefined) return value;
  throw corrupt(fields.file, names[0] ?? "", "is missing");
}

export function optionalBigintAt(fields: Fields, ...names: string[]): bigint | undefined {
  const value = valueAt(fields, names);
  if (value === undefined) return undefined;
  if (typeof value === "bigint") return value;
  if (Number.isSafeInteger(value)) return BigInt(value as number);
  throw corrupt(fields.file, names[0] ?? "", "is not an integer");
}

export function optionalBytesAt(fields: Fields, name: string): Uint8Array | undefined {
  const value = valueAt(fields, [name]);
  if (value === undefined || value instanceof Uint8Array) return value;
  throw corrupt(fields.file, name, "is not bytes");
}

export function optionalArrayAt(fields: Fields, name: string): readonly unknown[] | undefined {
  const value = valueAt(fields, [name]);
  if (value === undefined || Array.isArray(value)) return value;
  throw corrupt(fields.file, name, "is not an array");
}

export function arrayAt(fields: Fields, name: string): readonly unknown[] {
  const value = optionalArrayAt(fields, name);
  if (value !== undefined) return value;
  throw corrupt(fields.file, name, "is missing");
}

/** Drops undefined properties: `exactOptionalPropertyTypes` wants them absent. */
export function present<T extends object>(record: { [K in keyof T]: T[K] | undefined }): T {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined)) as T;
}
