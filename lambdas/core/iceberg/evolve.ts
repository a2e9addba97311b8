// How a table's schema grows to hold what files were seen to hold. Only changes every Iceberg reader follows without rewriting
// data: a new optional column, int -> long, float -> double, a wider decimal, required -> optional. Everything else is a conflict,
// reported and left as it is. Evolving twice with the same fields changes nothing the second time.
// A new column must not take the name of a partition field either: Java engines could not open such a table any more
// ("Cannot create partition from name that exists in schema").

import { assignFieldIds } from "./field-ids.ts";
import { decimalOf, primitiveOf } from "./type-text.ts";
import type {
  DraftField,
  DraftType,
  ListType,
  MapType,
  NestedField,
  PrimitiveType,
  Schema,
  StructType,
  Type,
} from "./types.ts";

/** A conflict's `tableType` where it is no column that stands in the way: the table has no place for what the file holds. */
export const PARTITION_FIELD = "partition field";

export interface SchemaConflict {
  /** Dot path of the table's column. */
  readonly path: string;
  readonly tableType: string;
  /** Absent: the file has no such column. */
  readonly fileType?: DraftType;
}

/** One step of an evolution, or (`absent`) what needs none: a column of the table that the file lacks. */
export interface SchemaChange {
  readonly kind: "added" | "widened" | "relaxed" | "absent";
  /** Dot path. */
  readonly path: string;
  /** What the column becomes; of an absent one, what it is. */
  readonly type: Type | DraftType;
}

export interface SchemaEvolution {
  /** Keeps its schema-id; give a changed one the next id with `withSchemaId`. */
  readonly schema: Schema;
  readonly lastColumnId: number;
  readonly changed: boolean;
  /** In order of the columns; `absent` ones change nothing. */
  readonly changes: readonly SchemaChange[];
  readonly conflicts: readonly SchemaConflict[];
}

/** What one evolution carries along. */
interface Growth {
  lastColumnId: number;
  readonly identifiers: ReadonlySet<number>;
  /** Lower case. */
  readonly partitionNames: ReadonlySet<string>;
  /** Columns of the table that were not seen say nothing. */
  readonly partial: boolean;
  readonly changes: SchemaChange[];
  readonly conflicts: SchemaConflict[];
}

/**
 * `partitionNames`: of all the table's specs, see `partitionNames` in metadata.ts. `partial`: `seen` are some columns of files and not all
 * they have, so that the others are not absent and stay as they are.
 */
export function evolveSchema(
  schema: Schema,
  lastColumnId: number,
  seen: readonly DraftField[],
  partitionNames: readonly string[] = [],
  partial = false,
): SchemaEvolution {
  const growth: Growth = {
    lastColumnId,
    identifiers: new Set(schema["identifier-field-ids"] ?? []),
    partitionNames: new Set(partitionNames.map((name) => name.toLowerCase())),
    partial,
    changes: [],
    conflicts: [],
  };
  const fields = evolveFields(schema.fields, seen, "", growth);
  const changed = fields !== schema.fields;
  return {
    schema: changed ? { ...schema, fields } : schema,
    lastColumnId: growth.lastColumnId,
    changed,
    changes: growth.changes,
    conflicts: growth.conflicts,
  };
}

/** Returns the very array it was given when nothing changes. New columns come last, in the order they were seen. */
function evolveFields(
  fields: readonly NestedField[],
  seen: readonly DraftField[],
  prefix: string,
  growth: Growth,
): readonly NestedField[] {
  const grown = [...fields];
  const met = new Set<number>();
  for (const draft of seen) {
    const index = indexOfName(grown, draft.name);
    const field = grown[index];
    if (field === undefined && growth.partitionNames.has((prefix + draft.name).toLowerCase())) {
      const path = prefix + draft.name;
      growth.conflicts.push({ path, tableType: PARTITION_FIELD, fileType: draft.type });
    } else if (field === undefined) {
      growth.changes.push({ kind: "added", path: prefix + draft.name, type: draft.type });
      const added = assignFieldIds([draft], growth.lastColumnId);
      growth.lastColumnId = added.lastColumnId;
      grown.push(...added.fields);
    } else {
      met.add(index);
      const type = evolveType(field.type, draft.type, prefix + field.name, growth);
      if (type !== field.type) grown[index] = { ...field, type };
    }
  }
  for (const [index, field] of fields.entries()) {
    if (met.has(index) || (growth.partial && prefix === "")) continue;
    growth.changes.push({ kind: "absent", path: prefix + field.name, type: field.type });
    if (field.required) relax(grown, index, prefix + field.name, growth);
  }
  const same = grown.length === fields.length && grown.every((field, index) => field === fields[index]);
  return same ? fields : grown;
}

/** A required column that files lack becomes optional, unless rows are identified by it. */
function relax(fields: NestedField[], index: number, path: string, growth: Growth): void {
  const field = fields[index] as NestedField;
  if (growth.identifiers.has(field.id)) {
    growth.conflicts.push({ path, tableType: `required ${typeText(field.type)}` });
  } else {
    growth.changes.push({ kind: "relaxed", path, type: field.type });
    fields[index] = { ...field, required: false };
  }
}

/** Glue and Athena do not tell `id` from `ID`: two such columns would break every query. */
function indexOfName(fields: readonly NestedField[], name: string): number {
  const exact = fields.findIndex((field) => field.name === name);
  if (exact >= 0) return exact;
  const lower = name.toLowerCase();
  return fields.findIndex((field) => field.name.toLowerCase() === lower);
}

function evolveType(table: Type, file: DraftType, path: string, growth: Growth): Type {
  if (typeof table === "string" && typeof file === "string") return evolvePrimitive(table, file, path, growth);
  if (typeof table === "object" && typeof file === "object") {
    if (table.type === "struct" && file.type === "struct") return evolveStruct(table, file.fields, path, growth);
    if (table.type === "list" && file.type === "list") return evolveList(table, file.element, path, growth);
    if (table.type === "map" && file.type === "map") return evolveMap(table, file, path, growth);
  }
  return conflict(table, file, path, growth);
}

function conflict<T extends Type>(table: T, file: DraftType, path: string, growth: Growth): T {
  growth.conflicts.push({ path, tableType: typeText(table), fileType: file });
  return table;
}

function evolveStruct(table: StructType, seen: readonly DraftField[], path: string, growth: Growth): StructType {
  const fields = evolveFields(table.fields, seen, `${path}.`, growth);
  return fields === table.fields ? table : { ...table, fields };
}

function evolveList(table: ListType, seen: DraftType, path: string, growth: Growth): ListType {
  const element = evolveType(table.element, seen, `${path}.element`, growth);
  return element === table.element ? table : { ...table, element };
}

function evolveMap(
  table: MapType,
  file: { readonly key: DraftType; readonly value: DraftType },
  path: string,
  growth: Growth,
): MapType {
  evolveKey(table.key, file.key, `${path}.key`, growth);
  const value = evolveType(table.value, file.value, `${path}.value`, growth);
  return value === table.value ? table : { ...table, value };
}

/** Map keys cannot change in any way (specification, "Schema Evolution"); a key that would have to is a conflict. */
function evolveKey(table: Type, file: DraftType, path: string, growth: Growth): void {
  const attempt: Growth = { ...growth, changes: [], conflicts: [] };
  const key = evolveType(table, file, path, attempt);
  if (key !== table || attempt.conflicts.length > 0) conflict(table, file, path, growth);
}

function evolvePrimitive(table: PrimitiveType, file: PrimitiveType, path: string, growth: Growth): PrimitiveType {
  if (holds(table, file)) return table;
  if (isPromotion(table, file)) {
    growth.changes.push({ kind: "widened", path, type: file });
    return file;
  }
  return conflict(table, file, path, growth);
}

/**
 * Whether a column of the table's type takes the file's values as they are. Exact in every case but one: a long in a double column,
 * because a JSON or CSV file with whole numbers only is seen as long, and holding it would stop every table with a price in it.
 */
function holds(table: PrimitiveType, file: PrimitiveType): boolean {
  if (primitiveOf(table) === primitiveOf(file)) return true;
  if (table === "long") return file === "int";
  if (table === "double") return file === "float" || file === "int" || file === "long";
  const decimal = decimalOf(table);
  return decimal !== undefined && holdsDecimal(decimal, file);
}

function holdsDecimal(table: { precision: number; scale: number }, file: PrimitiveType): boolean {
  const whole = table.precision - table.scale;
  if (file === "int") return whole >= 10;
  if (file === "long") return whole >= 19;
  const seen = decimalOf(file);
  return seen !== undefined && seen.scale <= table.scale && seen.precision - seen.scale <= whole;
}

function isPromotion(table: PrimitiveType, file: PrimitiveType): boolean {
  if (table === "int") return file === "long";
  if (table === "float") return file === "double";
  const from = decimalOf(table);
  const to = decimalOf(file);
  return from !== undefined && to !== undefined && from.scale === to.scale && from.precision < to.precision;
}

/** A type for people, without field ids: `struct<a: int, b: list<string>>`. */
export function typeText(type: Type | DraftType): string {
  if (typeof type === "string") return type;
  switch (type.type) {
    case "struct":
      return `struct<${type.fields.map((field) => `${field.name}: ${typeText(field.type)}`).join(", ")}>`;
    case "list":
      return `list<${typeText(type.element)}>`;
    case "map":
      return `map<${typeText(type.key)}, ${typeText(type.value)}>`;
  }
}
