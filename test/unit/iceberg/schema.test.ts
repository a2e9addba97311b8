import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  assignFieldIds,
  columnsById,
  columnsOf,
  evolveSchema,
  findField,
  lineageFields,
  parseType,
  sameSchema,
  withSchemaId,
} from "../../../lambdas/core/iceberg/schema.ts";
import type { DraftField, DraftType, NestedField, Schema, Type } from "../../../lambdas/core/iceberg/types.ts";
import { draftFields, schema as schemas } from "./arbitraries.ts";

function tableOf(...drafts: DraftField[]): { schema: Schema; lastColumnId: number } {
  const { fields, lastColumnId } = assignFieldIds(drafts, 0);
  return { schema: { type: "struct", "schema-id": 0, fields }, lastColumnId };
}

function evolve(table: { schema: Schema; lastColumnId: number }, ...seen: DraftField[]) {
  return evolveSchema(table.schema, table.lastColumnId, seen);
}

/** A schema as a file would show it. */
function draftsOf(fields: readonly NestedField[]): DraftField[] {
  return fields.map(({ name, type }) => ({ name, type: draftOf(type) }));
}

function draftOf(type: Type): DraftType {
  if (typeof type === "string") return type;
  if (type.type === "struct") return { type: "struct", fields: draftsOf(type.fields) };
  if (type.type === "list") return { type: "list", element: draftOf(type.element) };
  return { type: "map", key: draftOf(type.key), value: draftOf(type.value) };
}

/** Columns by path and type, whatever their order and ids. */
function shapeOf(schema: Schema): string[] {
  return columnsOf(schema)
    .map(({ path, field }) => `${path} ${typeof field.type === "string" ? field.type : field.type.type}`)
    .sort();
}

describe("field ids", () => {
  it("are given as Java gives them: a struct's fields first, then what is inside", () => {
    const { schema, lastColumnId } = tableOf(
      { name: "a", type: { type: "struct", fields: [{ name: "x", type: "int" }] } },
      { name: "l", type: { type: "list", element: "string" } },
      { name: "m", type: { type: "map", key: "string", value: { type: "list", element: "int" } } },
    );
    const ids = columnsOf(schema).map(({ path, field }) => `${path}=${field.id}`);
    expect(ids).toEqual(["a=1", "a.x=4", "l=2", "l.element=5", "m=3", "m.key=6", "m.value=7", "m.value.element=8"]);
    expect(lastColumnId).toBe(8);
  });

  it("are unique, and no column is required", () => {
    fc.assert(
      fc.property(draftFields, fc.nat(1000), (drafts, last) => {
        const { fields, lastColumnId } = assignFieldIds(drafts, last);
        const columns = columnsOf({ type: "struct", "schema-id": 0, fields });
        const ids = columns.map(({ field }) => field.id);
        expect(new Set(ids).size).toBe(ids.length);
        expect(Math.min(...ids)).toBe(last + 1);
        expect(Math.max(...ids)).toBe(lastColumnId);
        expect(columns.filter(({ path, field }) => field.required && !path.endsWith(".key"))).toEqual([]);
      }),
    );
  });
});

describe("schema evolution", () => {
  it("changes nothing for a file that has the table's own columns", () => {
    fc.assert(
      fc.property(schemas, (table) => {
        const { schema, changed, conflicts, lastColumnId } = evolve(table, ...draftsOf(table.schema.fields));
        expect({ changed, conflicts, lastColumnId }).toEqual({
          changed: false,
          conflicts: [],
          lastColumnId: table.lastColumnId,
        });
        expect(schema).toBe(table.schema);
      }),
    );
  });

  it("is done after once: the same file changes nothing the second time", () => {
    fc.assert(
      fc.property(schemas, draftFields, (table, seen) => {
        const once = evolve(table, ...seen);
        const twice = evolve(once, ...seen);
        expect(twice.changed).toBe(false);
        expect(twice.conflicts).toEqual(once.conflicts);
      }),
    );
  });

  it("gives the same columns in whatever order they are seen", () => {
    fc.assert(
      fc.property(schemas, draftFields, (table, seen) => {
        const forward = evolve(table, ...seen);
        const backward = evolve(table, ...seen.toReversed());
        expect(shapeOf(forward.schema)).toEqual(shapeOf(backward.schema));
        expect(forward.lastColumnId).toBe(backward.lastColumnId);
      }),
    );
  });

  it("never reuses a field id and never moves one to another column", () => {
    fc.assert(
      fc.property(schemas, draftFields, draftFields, (table, first, second) => {
        const grown = evolve(evolve(table, ...first), ...second);
        const before = columnsOf(table.schema);
        const after = new Map(columnsOf(grown.schema).map(({ path, field }) => [field.id, path]));
        for (const { path, field } of before) expect(after.get(field.id)).toBe(path);
        expect(after.size).toBe(columnsOf(grown.schema).length);
        expect(Math.max(...after.keys())).toBeLessThanOrEqual(grown.lastColumnId);
        const added = [...after.keys()].filter((id) => !before.some(({ field }) => field.id === id));
        for (const id of added) expect(id).toBeGreaterThan(table.lastColumnId);
      }),
    );
  });

  it("adds columns inside structs, list elements and map values", () => {
    const pair: DraftType = { type: "struct", fields: [{ name: "x", type: "int" }] };
    const wider: DraftType = { type: "struct", fields: [{ name: "y", type: "string" }, ...pair.fields] };
    const table = tableOf(
      { name: "s", type: pair },
      { name: "l", type: { type: "list", element: pair } },
      { name: "m", type: { type: "map", key: "string", value: pair } },
    );
    const { schema, conflicts } = evolve(
      table,
      { name: "s", type: wider },
      { name: "l", type: { type: "list", element: wider } },
      { name: "m", type: { type: "map", key: "string", value: wider } },
    );
    expect(conflicts).toEqual([]);
    for (const path of ["s.y", "l.element.y", "m.value.y"]) {
      expect(findField(schema, path)).toMatchObject({ type: "string", required: false });
    }
  });

  it.each<[Type & string, DraftType & string, string]>([
    ["int", "long", "long"],
    ["float", "double", "double"],
    ["decimal(9, 2)", "decimal(12, 2)", "decimal(12, 2)"],
  ])("promotes %s to %s", (from, to, expected) => {
    const { schema, conflicts, changed } = evolve(tableOf({ name: "c", type: from }), { name: "c", type: to });
    expect([findField(schema, "c")?.type, conflicts, changed]).toEqual([expected, [], true]);
  });

  it.each<[Type & string, DraftType & string]>([
    ["long", "int"],
    ["double", "float"],
    ["double", "int"],
    ["double", "long"],
    ["decimal(12, 2)", "decimal(9, 2)"],
    ["decimal(12, 2)", "decimal(5, 1)"],
    ["decimal(12, 2)", "int"],
    ["decimal(38, 10)", "long"],
  ])("leaves a %s column that is given %s as it is", (table, file) => {
    const { conflicts, changed } = evolve(tableOf({ name: "c", type: table }), { name: "c", type: file });
    expect([conflicts, changed]).toEqual([[], false]);
  });

  it.each<[Type & string, DraftType & string]>([
    ["long", "double"],
    ["int", "string"],
    ["string", "int"],
    ["date", "timestamp"],
    ["timestamp", "date"],
    ["timestamp", "timestamptz"],
    ["long", "date"],
    ["float", "long"],
    ["decimal(9, 2)", "decimal(9, 3)"],
    ["decimal(9, 2)", "long"],
    ["decimal(12, 2)", "decimal(11, 0)"],
    ["boolean", "int"],
  ])("reports a %s column that is given %s, and leaves it", (table, file) => {
    const { conflicts, changed } = evolve(tableOf({ name: "c", type: table }), { name: "c", type: file });
    expect(conflicts).toEqual([{ path: "c", tableType: table, fileType: file }]);
    expect(changed).toBe(false);
  });

  it("reports a conflict by the nested path and still takes the rest of the file", () => {
    const table = tableOf({ name: "s", type: { type: "struct", fields: [{ name: "x", type: "int" }] } });
    const seen: DraftType = {
      type: "struct",
      fields: [
        { name: "x", type: "boolean" },
        { name: "y", type: "int" },
      ],
    };
    const { schema, conflicts } = evolve(table, { name: "s", type: seen }, { name: "t", type: "int" });
    expect(conflicts).toEqual([{ path: "s.x", tableType: "int", fileType: "boolean" }]);
    expect(findField(schema, "s.y")).toBeDefined();
    expect(findField(schema, "t")).toBeDefined();
  });

  it("refuses to change map keys, which no reader could follow", () => {
    const table = tableOf({ name: "m", type: { type: "map", key: "int", value: "int" } });
    const { conflicts, changed } = evolve(table, { name: "m", type: { type: "map", key: "long", value: "int" } });
    expect(conflicts).toEqual([{ path: "m.key", tableType: "int", fileType: "long" }]);
    expect(changed).toBe(false);
  });

  it("takes ID for the table's id: Glue and Athena could not tell two columns apart", () => {
    const table = tableOf({ name: "id", type: "int" });
    const { schema } = evolve(
      table,
      { name: "ID", type: "long" },
      { name: "New", type: "int" },
      { name: "new", type: "long" },
    );
    expect(schema.fields.map(({ name, type }) => [name, type])).toEqual([
      ["id", "long"],
      ["New", "long"],
    ]);
  });

  it("prefers the exact name where a foreign table has both", () => {
    const table = tableOf({ name: "id", type: "int" }, { name: "ID", type: "int" });
    const { schema } = evolve(table, { name: "ID", type: "long" });
    expect(schema.fields.map(({ name, type }) => [name, type])).toEqual([
      ["id", "int"],
      ["ID", "long"],
    ]);
  });

  it("makes a required column optional when a file lacks it, but not one that identifies rows", () => {
    const fields: NestedField[] = [
      { id: 1, name: "key", required: true, type: "int" },
      { id: 2, name: "note", required: true, type: "string" },
    ];
    const schema: Schema = { type: "struct", "schema-id": 0, fields, "identifier-field-ids": [1] };
    const evolved = evolveSchema(schema, 2, [{ name: "other", type: "int" }]);
    expect(findField(evolved.schema, "note")?.required).toBe(false);
    const present = evolveSchema(schema, 2, [
      { name: "note", type: "string" },
      { name: "key", type: "int" },
    ]);
    expect(present.changed).toBe(false);
    expect(findField(evolved.schema, "key")?.required).toBe(true);
    expect(evolved.conflicts).toEqual([{ path: "key", tableType: "required int" }]);
  });

  it("reports a new column with the name of a partition field: Java could not open the table any more", () => {
    const table = tableOf({ name: "at", type: "timestamp" });
    const seen: DraftField[] = [
      { name: "AT_day", type: "string" },
      { name: "ok", type: "int" },
    ];
    const { schema, conflicts } = evolveSchema(table.schema, table.lastColumnId, seen, ["at_day"]);
    expect(conflicts).toEqual([{ path: "AT_day", tableType: "partition field", fileType: "string" }]);
    expect(schema.fields.map((field) => field.name)).toEqual(["at", "ok"]);
  });

  it("adds the lineage columns once", () => {
    const once = evolve(tableOf({ name: "a", type: "int" }), ...lineageFields);
    expect(once.schema.fields.map((field) => field.name)).toEqual([
      "a",
      "_file_path",
      "_file_modified_at",
      "_ingested_at",
    ]);
    expect(evolve(once, ...lineageFields).changed).toBe(false);
  });
});

describe("schemas", () => {
  it("are the same whatever their id and the spacing of decimals", () => {
    const { schema } = tableOf({ name: "d", type: "decimal(9, 2)" });
    const respaced = { ...schema, fields: [{ ...schema.fields[0], type: "decimal(9,2)" }] } as unknown as Schema;
    expect(sameSchema(schema, withSchemaId(respaced, 7))).toBe(true);
  });

  it("differ by name, id, type, order, required and identifier", () => {
    const { schema } = tableOf({ name: "a", type: "int" }, { name: "b", type: "int" });
    const [a, b] = schema.fields as [NestedField, NestedField];
    const others: Schema[] = [
      { ...schema, fields: [{ ...a, name: "c" }, b] },
      { ...schema, fields: [{ ...a, id: 9 }, b] },
      { ...schema, fields: [{ ...a, type: "long" }, b] },
      { ...schema, fields: [b, a] },
      { ...schema, fields: [{ ...a, required: true }, b] },
      { ...schema, "identifier-field-ids": [1] },
    ];
    for (const other of others) expect(sameSchema(schema, other)).toBe(false);
  });

  it("find columns by id and by path, dots in names included", () => {
    fc.assert(
      fc.property(schemas, ({ schema }) => {
        const byId = columnsById(schema);
        for (const { path, field } of columnsOf(schema)) {
          expect(findField(schema, field.id)).toEqual(field);
          expect(byId.get(field.id)).toEqual(field);
          expect(findField(schema, path)).toEqual(field);
        }
      }),
    );
    const { schema } = tableOf({ name: "a.b", type: "int" }, { name: "eventTime", type: "date" });
    expect(findField(schema, "a.b")?.id).toBe(1);
    expect(findField(schema, "EVENTTIME")?.id).toBe(2);
    expect(findField(schema, "nowhere")).toBeUndefined();
  });
});

describe("types in hints", () => {
  it.each([
    ["timestamptz", "timestamptz"],
    [" Decimal(10,2) ", "decimal(10, 2)"],
    ["fixed[16]", "fixed[16]"],
  ])("%s is %s", (text, type) => {
    expect(parseType(text)).toBe(type);
  });

  it.each(["bigint", "decimal(39, 2)", "decimal(5, 6)", "decimal(0, 0)", "fixed[0]", "", "struct"])(
    "%j is refused with the types there are",
    (text) => {
      expect(() => parseType(text)).toThrow(/use one of boolean, int, long/);
    },
  );
});
