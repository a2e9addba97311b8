// Table schemas: finding columns and comparing schemas. Field ids are given in field-ids.ts, growth is in evolve.ts.
// Names are compared exactly first and then without case, because Glue and Athena see no case.

import { typeKey } from "./type-text.ts";
import type { DraftField, NestedField, Schema, Type } from "./types.ts";

export {
  evolveSchema,
  PARTITION_FIELD,
  type SchemaChange,
  type SchemaConflict,
  type SchemaEvolution,
  typeText,
} from "./evolve.ts";
export { assignFieldIds } from "./field-ids.ts";
export { parseType } from "./type-text.ts";

/** Columns that say where a row came from. */
export const LINEAGE_FILE_PATH = "_file_path";
export const LINEAGE_FILE_MODIFIED_AT = "_file_modified_at";
export const LINEAGE_INGESTED_AT = "_ingested_at";

export const lineageFields: readonly DraftField[] = [
  { name: LINEAGE_FILE_PATH, type: "string" },
  { name: LINEAGE_FILE_MODIFIED_AT, type: "timestamptz" },
  { name: LINEAGE_INGESTED_AT, type: "timestamptz" },
];

/**
 * JSON text of what has no place in a row's columns, null where everything has:
 * `{"values": {"price": "n/a"}, "reasons": {"price": "no long"}, "file": "s3://bucket/key", "line": 17}`.
 */
export const RESCUED_DATA = "_rescued_data";
export const rescuedField: DraftField = { name: RESCUED_DATA, type: "string" };

export function withSchemaId(schema: Schema, id: number): Schema {
  return { ...schema, "schema-id": id };
}

/** Same columns, ids, types and order; the schema's own id does not count. */
export function sameSchema(a: Schema, b: Schema): boolean {
  return typeKey(a) === typeKey(b) && identifierKey(a) === identifierKey(b);
}

function identifierKey(schema: Schema): string {
  return [...(schema["identifier-field-ids"] ?? [])].sort((a, b) => a - b).join(",");
}

/** A column with its dot path; list elements and map entries are columns named element, key and value. */
export interface Column {
  readonly path: string;
  readonly field: NestedField;
  /** Inside a list or a map: has no bounds and cannot be partitioned by. */
  readonly repeated: boolean;
}

/** All columns, nested ones too, parents before children. */
export function columnsOf(schema: Schema): Column[] {
  const columns: Column[] = [];
  const visitType = (type: Type, prefix: string, repeated: boolean) => {
    for (const field of childrenOf(type)) {
      const column = {
        path: prefix + field.name,
        field,
        repeated: repeated || (typeof type === "object" && type.type !== "struct"),
      };
      columns.push(column);
      visitType(field.type, `${column.path}.`, column.repeated);
    }
  };
  visitType(schema, "", false);
  return columns;
}

function childrenOf(type: Type): readonly NestedField[] {
  if (typeof type === "string") return [];
  switch (type.type) {
    case "struct":
      return type.fields;
    case "list":
      return [{ id: type["element-id"], name: "element", required: type["element-required"], type: type.element }];
    case "map":
      return [
        { id: type["key-id"], name: "key", required: true, type: type.key },
        { id: type["value-id"], name: "value", required: type["value-required"], type: type.value },
      ];
  }
}

export function columnsById(schema: Schema): ReadonlyMap<number, NestedField> {
  return new Map(columnsOf(schema).map(({ field }) => [field.id, field]));
}

/** By dot path (exactly, or else differing in case only, as Glue and Athena see names) or by field id. */
export function findColumn(schema: Schema, key: string | number): Column | undefined {
  const columns = columnsOf(schema);
  if (typeof key === "number") return columns.find(({ field }) => field.id === key);
  const lower = key.toLowerCase();
  return columns.find(({ path }) => path === key) ?? columns.find(({ path }) => path.toLowerCase() === lower);
}

export function findField(schema: Schema, key: string | number): NestedField | undefined {
  return findColumn(schema, key)?.field;
}
