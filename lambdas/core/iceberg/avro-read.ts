// Reads Avro records driven by the schema in the file's header, compiled once into closures.
// Records are plain objects: long is bigint, int is number, bytes and fixed are Uint8Array, null is null.
// Logical types are left to the caller. Own code although avsc writes (docs/decisions/0007-avro.md): avsc believes every count, so
// that 200 damaged bytes take all memory or half a minute; it reads an overlong int or long as some other number; and it refuses
// schemas that Iceberg writers really produce (a decimal type defined twice, names beyond ASCII).

import { MoraineError } from "../errors.ts";
import type { AvroSource } from "./avro-source.ts";

type AvroType = string | readonly AvroType[] | AvroObject;
interface AvroObject {
  readonly type: AvroType;
  readonly name?: string;
  readonly namespace?: string;
  readonly fields?: readonly { readonly name: string; readonly type: AvroType }[];
  readonly items?: AvroType;
  readonly values?: AvroType;
  readonly size?: number;
  readonly symbols?: readonly string[];
}

function isUnion(type: AvroType): type is readonly AvroType[] {
  return Array.isArray(type);
}

type Reader = (source: AvroSource) => unknown;

export function recordReader(schema: object, fileName: string): Reader {
  try {
    return compileReader(schema as AvroObject, new Map());
  } catch (error) {
    throw new MoraineError("Corrupt", "avro schema makes no sense", { file: fileName, property: "avro.schema" }, error);
  }
}

function compileReader(type: AvroType, named: Map<string, Reader>): Reader {
  if (typeof type === "string") return primitiveReader(type) ?? namedReader(type, named);
  if (isUnion(type)) return unionReader(type, named);
  const inner = (t: AvroType | undefined) => compileReader(t ?? "", named);
  switch (type.type) {
    case "record":
      return recordFieldsReader(type, named);
    case "array":
      return arrayReader(inner(type.items));
    case "map":
      return mapReader(inner(type.values));
    case "fixed": {
      const size = type.size;
      if (size === undefined || !Number.isSafeInteger(size) || size < 0) throw new TypeError("fixed without a size");
      return define(type, named, (source) => copyOf(source.readRaw(size)));
    }
    case "enum":
      return define(type, named, enumReader(type.symbols ?? []));
    default:
      return inner(type.type);
  }
}

function primitiveReader(name: string): Reader | undefined {
  switch (name) {
    case "null":
      return () => null;
    case "boolean":
      return (source) => source.readByte() !== 0;
    case "int":
      return (source) => source.readInt();
    case "long":
      return (source) => source.readLong();
    case "float":
      return (source) => source.readFloat();
    case "double":
      return (source) => source.readDouble();
    case "bytes":
      return (source) => copyOf(source.readRaw(source.readLength()));
    case "string":
      return (source) => source.readString();
    default:
      return undefined;
  }
}

/** A plain Uint8Array of its own: a Buffer view would keep the whole block in memory. */
function copyOf(bytes: Buffer): Uint8Array {
  return new Uint8Array(bytes);
}

/** Resolved when first read, so that a type may refer to itself. */
function namedReader(name: string, named: Map<string, Reader>): Reader {
  return (source) => {
    const reader = named.get(name) ?? named.get(name.slice(name.lastIndexOf(".") + 1));
    if (reader === undefined) throw source.corrupt("avro type is unknown");
    return reader(source);
  };
}

/** The first definition of a name wins: PyIceberg repeats equal definitions instead of referring to them. */
function define(type: AvroObject, named: Map<string, Reader>, reader: Reader): Reader {
  const name = type.name ?? "";
  const full = type.namespace === undefined ? name : `${type.namespace}.${name}`;
  for (const key of [name, full]) if (!named.has(key)) named.set(key, reader);
  return reader;
}

function recordFieldsReader(type: AvroObject, named: Map<string, Reader>): Reader {
  const fields: { name: string; read: Reader }[] = [];
  const reader = define(type, named, (source) => {
    const record: Record<string, unknown> = {};
    for (const field of fields) record[field.name] = field.read(source);
    return record;
  });
  for (const { name, type: fieldType } of type.fields ?? []) {
    fields.push({ name, read: compileReader(fieldType, named) });
  }
  return reader;
}

function unionReader(branches: readonly AvroType[], named: Map<string, Reader>): Reader {
  const readers = branches.map((branch) => compileReader(branch, named));
  return (source) => {
    const reader = readers[source.readInt()];
    if (reader === undefined) throw source.corrupt("avro union has no such branch");
    return reader(source);
  };
}

function enumReader(symbols: readonly string[]): Reader {
  return (source) => {
    const symbol = symbols[source.readInt()];
    if (symbol === undefined) throw source.corrupt("avro enum has no such symbol");
    return symbol;
  };
}

function arrayReader(readItem: Reader): Reader {
  return (source) => {
    const items: unknown[] = [];
    for (let count = source.readBlockCount(); count !== 0; count = source.readBlockCount()) {
      for (let i = 0; i < count; i++) items.push(readItem(source));
    }
    return items;
  };
}

function mapReader(readValue: Reader): Reader {
  return (source) => {
    const entries: Record<string, unknown> = {};
    for (let count = source.readBlockCount(); count !== 0; count = source.readBlockCount()) {
      for (let i = 0; i < count; i++) {
        const key = source.readString();
        entries[key] = readValue(source);
      }
    }
    return entries;
  };
}
