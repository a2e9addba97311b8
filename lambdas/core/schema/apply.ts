// What a decision makes of a table's schema. Pure, and done after once: applied to its own outcome it changes nothing.
//
//   accept   the file's shape becomes current: new and wider columns as seen; a column in conflict is kept under a versioned name
//            (`price_v1`, the same field id, so no data is rewritten) and a new one takes its place
//   merge    both shapes side by side: new and wider columns as seen; what does not fit a column goes as text to a sibling of it
//            (`price_string`)

import { MoraineError } from "../errors.ts";
import { assignFieldIds, type Column, columnsOf, findColumn, RESCUED_DATA, typeText } from "../iceberg/schema.ts";
import type { NestedField, Schema, TableMetadata, Type } from "../iceberg/types.ts";
import { addToTable, shapeOfTable, type TableShape } from "./diff.ts";
import type { ChangeStatus, HeldDifference, SchemaChange } from "./records.ts";

export interface AppliedSchema {
  readonly schema: Schema;
  readonly lastColumnId: number;
}

/** The schema after the change's last decision. Throws Invalid where the table cannot have it, with what to do instead. */
export function applyDecision(metadata: TableMetadata, change: SchemaChange): AppliedSchema {
  const table = shapeOfTable(metadata);
  if (change.status === "REJECTED" || change.status === "OPEN") return table;
  const grown = withShape(table, addToTable(table, change.fields));
  return change.differences.reduce((shape, difference) => {
    if (difference.kind === "relaxed") return relax(shape, difference);
    if (difference.kind !== "conflict") return shape;
    return change.status === "ACCEPTED" ? accept(shape, difference, metadata) : merge(shape, difference);
  }, grown);
}

/** A required column that the files lack becomes optional. */
function relax(table: TableShape, { path }: HeldDifference): TableShape {
  const column = findColumn(table.schema, path);
  if (column === undefined || !column.field.required) return table;
  return { ...table, schema: replaced(table.schema, column.field.id, (field) => [{ ...field, required: false }]) };
}

function withShape(table: TableShape, { schema, lastColumnId }: AppliedSchema): TableShape {
  return { ...table, schema, lastColumnId };
}

function accept(table: TableShape, difference: HeldDifference, metadata: TableMetadata): TableShape {
  const column = findColumn(table.schema, difference.path);
  if (column === undefined || difference.fileType === undefined) return table;
  // Another column stands there by now: the decision was applied before.
  if (column.field.id !== difference.fieldId) return table;
  // Somebody made it so, by hand or for another ingestion that loads the table: the files fit.
  if (typeText(column.field.type) === typeText(difference.fileType)) return table;
  refuseBound(column, metadata);
  const added = assignFieldIds([{ name: column.field.name, type: difference.fileType }], table.lastColumnId);
  const schema = replaced(table.schema, column.field.id, (field, siblings) => [
    { ...field, name: freeName(namesOf(siblings), (n) => `${field.name}_v${n}`), required: false },
    ...added.fields,
  ]);
  return withShape(table, { schema, lastColumnId: added.lastColumnId });
}

/** A partition or an identity cannot move to another column without a rewrite. */
function refuseBound({ path, field }: Column, metadata: TableMetadata): void {
  const inside = columnsOf({ type: "struct", "schema-id": 0, fields: [field] }).map((column) => column.field.id);
  const sources = metadata["partition-specs"].flatMap((spec) => spec.fields.map((each) => each["source-id"]));
  const identifiers = metadata.schemas.flatMap((schema) => schema["identifier-field-ids"] ?? []);
  if (inside.some((id) => sources.includes(id))) {
    throw new MoraineError(
      "Invalid",
      "the table is partitioned by this column, so no other can take its place: use merge",
      {
        column: path,
      },
    );
  }
  if (inside.some((id) => identifiers.includes(id))) {
    throw new MoraineError("Invalid", "rows are identified by this column, so no other can take its place: use merge", {
      column: path,
    });
  }
}

function merge(table: TableShape, { column }: HeldDifference): TableShape {
  if (column === undefined || hasName(namesOf(table.schema.fields), column)) return table;
  const added = assignFieldIds([{ name: column, type: "string" }], table.lastColumnId);
  const schema = { ...table.schema, fields: [...table.schema.fields, ...added.fields] };
  return withShape(table, { schema, lastColumnId: added.lastColumnId });
}

/** The differences of a change that is decided: which columns are in conflict, and what a merge will call their siblings. */
export function bindDifferences(
  metadata: TableMetadata,
  status: ChangeStatus,
  differences: readonly HeldDifference[],
): HeldDifference[] {
  const { schema, partitionNames } = shapeOfTable(metadata);
  const taken = [...namesOf(schema.fields), ...partitionNames, RESCUED_DATA];
  return differences.map((difference) => {
    const column = findColumn(schema, difference.path);
    if (difference.kind !== "conflict" || column === undefined) return difference;
    const bound = { ...difference, fieldId: column.field.id };
    if (status !== "MERGED") return bound;
    const sibling = freeName(taken, siblingNames(difference.path));
    taken.push(sibling);
    return { ...bound, column: sibling };
  });
}

function siblingNames(path: string): (n: number) => string {
  const name = `${path.replaceAll(".", "_")}_string`;
  return (n) => (n === 1 ? name : `${name}_${n - 1}`);
}

/** `made`: for n = 1, 2, ... until nothing else is called that. */
function freeName(taken: readonly string[], made: (n: number) => string): string {
  for (let n = 1; ; n++) if (!hasName(taken, made(n))) return made(n);
}

function hasName(taken: readonly string[], name: string): boolean {
  return taken.some((other) => other.toLowerCase() === name.toLowerCase());
}

function namesOf(fields: readonly NestedField[]): string[] {
  return fields.map(({ name }) => name);
}

type Replacement = (field: NestedField, siblings: readonly NestedField[]) => readonly NestedField[];

/** The schema with another field, or several, in the place of one. */
function replaced(schema: Schema, id: number, replacement: Replacement): Schema {
  return { ...schema, fields: replacedIn(schema.fields, id, replacement) };
}

function replacedIn(fields: readonly NestedField[], id: number, replacement: Replacement): readonly NestedField[] {
  return fields.flatMap((field) =>
    field.id === id ? replacement(field, fields) : [{ ...field, type: replacedInType(field.type, id, replacement) }],
  );
}

function replacedInType(type: Type, id: number, replacement: Replacement): Type {
  if (typeof type === "string") return type;
  switch (type.type) {
    case "struct":
      return { ...type, fields: replacedIn(type.fields, id, replacement) };
    case "list":
      return { ...type, element: replacedInType(type.element, id, replacement) };
    case "map":
      return { ...type, value: replacedInType(type.value, id, replacement) };
  }
}
