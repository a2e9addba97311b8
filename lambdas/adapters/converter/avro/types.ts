// Avro's schema compiled once: of each place its DuckDB type, and how its value is read. The values go to DuckDB as they are, without text
// in between, so that no digit is lost. What DuckDB has no type for (a union of several kinds) is JSON text.

import { isUtf8 } from "node:buffer";
import type { DuckDBType, DuckDBValue } from "@duckdb/node-api";
import type { AvroSource } from "../../../core/iceberg/avro-source.ts";
import { duckdb } from "../engine.ts";
import { LEVELS_MAX, levelsIn } from "../parquet/types.ts";
import { AvroError } from "./error.ts";
import { jsonTextOf } from "./json.ts";
import { logicalPlace } from "./logical.ts";

export type AvroType = string | readonly AvroType[] | AvroObject;
export interface AvroObject {
  readonly type: AvroType;
  readonly name?: string;
  readonly namespace?: string;
  readonly logicalType?: string;
  readonly precision?: number;
  readonly scale?: number;
  readonly fields?: readonly { readonly name: string; readonly type: AvroType }[];
  readonly items?: AvroType;
  readonly values?: AvroType;
  readonly size?: number;
  readonly symbols?: readonly string[];
}

export type Read = (source: AvroSource) => DuckDBValue;

/** A place in the records. Without `type` it is always null. */
export interface Place {
  readonly type: DuckDBType | undefined;
  readonly read: Read;
  /** Columns it takes, at every depth. */
  readonly leaves: number;
}

export interface AvroField {
  readonly name: string;
  readonly place: Place;
}

/** Names that are used again cost no text in the schema, and double what they stand for each time. */
const LEAVES_MAX = 20_000;
/** Of a schema, where a level of a column may take three: a record, a union with null, and a type that is wrapped. */
const DEPTH_MAX = 4 * LEVELS_MAX;

/** What is being compiled: names known so far, and those whose definition has not ended. */
interface Scope {
  readonly known: Map<string, Place>;
  readonly open: Set<string>;
  readonly namespace: string;
  /** Types that are being compiled around this one. */
  readonly depth: number;
}

/** The fields of the records. AvroError for a schema that makes no sense, refers to itself, or is of no records. */
export function compileAvro(schemaText: string): readonly AvroField[] {
  let schema: AvroObject;
  try {
    schema = JSON.parse(schemaText) as AvroObject;
  } catch {
    throw senseless("is no JSON");
  }
  if (schema?.type !== "record") {
    throw new AvroError(
      "NOT_AVRO_RECORDS",
      "its schema is of no record; rows must be records, so wrap the values in one",
    );
  }
  const scope: Scope = { known: new Map(), open: new Set(), namespace: "", depth: 0 };
  open(schema, scope);
  return fieldsOf(schema, scope);
}

function senseless(problem: string): AvroError {
  return new AvroError("MALFORMED_AVRO", `its schema ${problem}; write the file again`, 0);
}

function tooDeep(): AvroError {
  return new AvroError("NESTED_TOO_DEEPLY", "its schema nests types too deeply; write what is inside as JSON text");
}

function compile(type: AvroType | undefined, around: Scope): Place {
  const scope = { ...around, depth: around.depth + 1 };
  if (scope.depth > DEPTH_MAX) throw tooDeep();
  if (typeof type === "string") return primitive(type) ?? named(type, scope);
  if (Array.isArray(type)) return union(type as readonly AvroType[], scope);
  if (typeof type !== "object" || type === null) throw senseless("lacks a type");
  const object = type as AvroObject;
  const logical = logicalPlace(object);
  switch (object.type) {
    case "record":
      return define(object, scope, () => record(object, scope));
    case "array":
      return list(compile(object.items, scope));
    case "map":
      return map(compile(object.values, scope));
    case "enum":
      return define(object, scope, () => enumeration(object.symbols ?? []));
    case "fixed":
      return define(object, scope, () => logical ?? fixed(object.size));
    default:
      return logical ?? compile(object.type, scope);
  }
}

function primitive(name: string): Place | undefined {
  const { BOOLEAN, INTEGER, BIGINT, FLOAT, DOUBLE, BLOB, VARCHAR, DuckDBBlobValue } = duckdb();
  switch (name) {
    case "null":
      return { type: undefined, read: () => null, leaves: 0 };
    case "boolean":
      return leaf(BOOLEAN, readBoolean);
    case "int":
      return leaf(INTEGER, (source) => source.readInt());
    case "long":
      return leaf(BIGINT, (source) => source.readLong());
    case "float":
      return leaf(FLOAT, (source) => source.readFloat());
    case "double":
      return leaf(DOUBLE, (source) => source.readDouble());
    case "bytes":
      return leaf(BLOB, (source) => new DuckDBBlobValue(source.readRaw(source.readLength())));
    case "string":
      return leaf(VARCHAR, readText);
    default:
      return undefined;
  }
}

export function leaf(type: DuckDBType, read: Read): Place {
  return { type, read, leaves: 1 };
}

function readBoolean(source: AvroSource): boolean {
  const byte = source.readByte();
  if (byte > 1) throw source.corrupt("a boolean is neither 0 nor 1");
  return byte === 1;
}

export function readText(source: AvroSource): string {
  const bytes = source.readRaw(source.readLength());
  if (!isUtf8(bytes)) throw source.corrupt("a text is not UTF-8");
  return bytes.toString("utf8");
}

function fixed(size: number | undefined): Place {
  if (size === undefined || !Number.isSafeInteger(size) || size < 0) throw senseless("has a fixed without a size");
  return leaf(duckdb().BLOB, (source) => new (duckdb().DuckDBBlobValue)(source.readRaw(size)));
}

function enumeration(symbols: readonly string[]): Place {
  return leaf(duckdb().VARCHAR, (source) => {
    const symbol = symbols[source.readInt()];
    if (symbol === undefined) throw source.corrupt("an enum has no such symbol");
    return symbol;
  });
}

function list(item: Place): Place {
  const { LIST, VARCHAR, DuckDBListValue } = duckdb();
  const read: Read = (source) => {
    const items: DuckDBValue[] = [];
    for (let count = source.readBlockCount(); count !== 0; count = source.readBlockCount()) {
      for (let i = 0; i < count; i++) items.push(item.read(source));
    }
    return new DuckDBListValue(items);
  };
  return { type: LIST(item.type ?? VARCHAR), read, leaves: Math.max(1, item.leaves) };
}

function map(value: Place): Place {
  const { MAP, VARCHAR, DuckDBMapValue } = duckdb();
  const read: Read = (source) => {
    const entries = new Map<string, DuckDBValue>();
    for (let count = source.readBlockCount(); count !== 0; count = source.readBlockCount()) {
      for (let i = 0; i < count; i++) {
        const key = readText(source);
        if (entries.has(key)) throw source.corrupt("a map has the same key twice");
        entries.set(key, value.read(source));
      }
    }
    return new DuckDBMapValue([...entries].map(([key, inner]) => ({ key, value: inner })));
  };
  return { type: MAP(VARCHAR, value.type ?? VARCHAR), read, leaves: 1 + value.leaves };
}

function record(schema: AvroObject, scope: Scope): Place {
  const { STRUCT, VARCHAR, DuckDBStructValue } = duckdb();
  const fields = fieldsOf(schema, scope);
  const names = new Set(fields.map(({ name }) => name.toLowerCase()));
  if (names.size < fields.length) {
    throw new AvroError("KEY_COLLISION", "a record has fields that differ only by case; rename one of them");
  }
  const kept = fields.filter(({ place }) => place.type !== undefined);
  const types = Object.fromEntries(kept.map(({ name, place }) => [name, place.type as DuckDBType]));
  const read: Read = (source) => {
    const entries: [string, DuckDBValue][] = [];
    for (const { name, place } of fields) {
      const value = place.read(source);
      if (place.type !== undefined) entries.push([name, value]);
    }
    return kept.length === 0 ? "{}" : new DuckDBStructValue(Object.fromEntries(entries));
  };
  const leaves = fields.reduce((sum, { place }) => sum + place.leaves, 0);
  return { type: kept.length === 0 ? VARCHAR : STRUCT(types), read, leaves };
}

function fieldsOf(schema: AvroObject, scope: Scope): AvroField[] {
  if (!Array.isArray(schema.fields)) throw senseless("has a record without fields");
  const inner = { ...scope, namespace: namespaceOf(schema, scope) };
  const fields = schema.fields.map(({ name, type }) => {
    if (typeof name !== "string" || name === "" || name.includes("\0")) throw senseless("has a field without a name");
    const place = compile(type, inner);
    if (place.type !== undefined && levelsIn(place.type) > LEVELS_MAX) throw tooDeep();
    return { name, place };
  });
  const leaves = fields.reduce((sum, { place }) => sum + place.leaves, 0);
  if (leaves > LEAVES_MAX) {
    throw new AvroError("TOO_MANY_COLUMNS", `its schema unfolds to more than ${LEAVES_MAX} columns; make it flatter`);
  }
  return fields;
}

function union(branches: readonly AvroType[], scope: Scope): Place {
  const places = branches.map((branch) => compile(branch, scope));
  const kinds = places.filter(({ type }) => type !== undefined);
  const [only] = kinds;
  const pick: (source: AvroSource) => Place = (source) => {
    const place = places[source.readInt()];
    if (place === undefined) throw source.corrupt("a union has no such branch");
    return place;
  };
  if (only === undefined) return { type: undefined, read: (source) => pick(source).read(source), leaves: 0 };
  if (kinds.length === 1) return { ...only, read: (source) => pick(source).read(source) };
  return { ...leaf(duckdb().VARCHAR, (source) => jsonTextOf(pick(source).read(source))) };
}

function namespaceOf(schema: AvroObject, scope: Scope): string {
  const dot = schema.name?.lastIndexOf(".") ?? -1;
  return dot > 0 ? (schema.name as string).slice(0, dot) : (schema.namespace ?? scope.namespace);
}

/** Under its full name, and its short one unless that is taken. */
function namesOf(schema: AvroObject, scope: Scope): string[] {
  const short = schema.name?.slice(schema.name.lastIndexOf(".") + 1) ?? "";
  const namespace = namespaceOf(schema, scope);
  return namespace === "" ? [short] : [`${namespace}.${short}`, short];
}

function open(schema: AvroObject, scope: Scope): string[] {
  const names = namesOf(schema, scope);
  for (const name of names) scope.open.add(name);
  return names;
}

function define(schema: AvroObject, scope: Scope, make: () => Place): Place {
  const names = open(schema, scope);
  const place = make();
  for (const name of names) {
    scope.open.delete(name);
    if (!scope.known.has(name)) scope.known.set(name, place);
  }
  return place;
}

function named(name: string, scope: Scope): Place {
  const full = name.includes(".") || scope.namespace === "" ? name : `${scope.namespace}.${name}`;
  const short = name.slice(name.lastIndexOf(".") + 1);
  for (const candidate of [full, name, short]) {
    const place = scope.known.get(candidate);
    if (place !== undefined) return place;
    if (scope.open.has(candidate)) {
      throw new AvroError("UNSUPPORTED_AVRO", "a type of its schema refers to itself; write that field as JSON text");
    }
  }
  throw senseless("names a type it does not define");
}
