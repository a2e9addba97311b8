// Writes Avro records driven by a schema, compiled once into closures. A value that does not fit its schema is a programmer
// error: the assertion names the path. Knows what Iceberg's own schemas use: records, arrays, fixed, and optional fields.

import { assert } from "../errors.ts";
import { type AvroObject, type AvroSink, type AvroType, isUnion } from "./avro-io.ts";

type Writer = (sink: AvroSink, value: unknown) => void;

export function recordWriter(schema: object): Writer {
  return compileWriter(schema as AvroObject, new Map(), "record");
}

function compileWriter(type: AvroType, named: Map<string, Writer>, path: string): Writer {
  if (typeof type === "string") return primitiveWriter(type, path) ?? namedWriter(type, named, path);
  if (isUnion(type)) return optionalWriter(type, named, path);
  switch (type.type) {
    case "record":
      return recordFieldsWriter(type, named, path);
    case "array":
      return arrayWriter(compileWriter(type.items ?? "", named, `${path}[]`));
    case "fixed": {
      const write: Writer = (sink, value) => {
        assert(value instanceof Uint8Array && value.length === type.size, `${path} needs ${type.size} bytes`);
        sink.writeRaw(value);
      };
      named.set(type.name ?? "", write);
      return write;
    }
    default:
      return compileWriter(type.type, named, path);
  }
}

function primitiveWriter(name: string, path: string): Writer | undefined {
  const need = (condition: boolean) => assert(condition, `${path} is not a valid avro ${name}`);
  switch (name) {
    case "boolean":
      return (sink, value) => {
        need(typeof value === "boolean");
        sink.writeByte(value === true ? 1 : 0);
      };
    case "int":
      return (sink, value) => {
        need(typeof value === "number" && value === (value | 0));
        sink.writeLong(value as number);
      };
    case "long":
      return (sink, value) => {
        need(typeof value === "bigint" || Number.isSafeInteger(value));
        sink.writeLong(value as number | bigint);
      };
    case "float":
      return (sink, value) => {
        need(typeof value === "number");
        sink.writeFloat(value as number);
      };
    case "double":
      return (sink, value) => {
        need(typeof value === "number");
        sink.writeDouble(value as number);
      };
    case "bytes":
      return (sink, value) => {
        need(value instanceof Uint8Array);
        sink.writeBytes(value as Uint8Array);
      };
    case "string":
      return (sink, value) => {
        need(typeof value === "string");
        sink.writeString(value as string);
      };
    default:
      return undefined;
  }
}

function namedWriter(name: string, named: Map<string, Writer>, path: string): Writer {
  const writer = named.get(name);
  assert(writer !== undefined, `${path} refers to the unknown avro type ${name}`);
  return writer;
}

/** Iceberg's own schemas know one union: null first, then the type. */
function optionalWriter(branches: readonly AvroType[], named: Map<string, Writer>, path: string): Writer {
  const [first, second] = branches;
  assert(branches.length === 2 && first === "null" && second !== undefined, `${path} is not an optional avro field`);
  const write = compileWriter(second, named, path);
  return (sink, value) => {
    const present = value !== null && value !== undefined;
    sink.writeLong(present ? 1 : 0);
    if (present) write(sink, value);
  };
}

function recordFieldsWriter(type: AvroObject, named: Map<string, Writer>, path: string): Writer {
  const fields = (type.fields ?? []).map(({ name, type: fieldType }) => ({
    name,
    write: compileWriter(fieldType, named, `${path}.${name}`),
  }));
  return (sink, value) => {
    assert(typeof value === "object" && value !== null, `${path} is not a record`);
    const record = value as Readonly<Record<string, unknown>>;
    for (const field of fields) field.write(sink, record[field.name]);
  };
}

function arrayWriter(writeItem: Writer): Writer {
  return (sink, value) => {
    assert(Array.isArray(value), "not an avro array");
    if (value.length > 0) {
      sink.writeLong(value.length);
      for (const item of value) writeItem(sink, item);
    }
    sink.writeLong(0);
  };
}
