// Tables that other engines write to as well, and tables that they made.

import type { Moraine } from "./moraine.ts";
import type { Column } from "./rows.ts";
import { DECIMAL_HINTS, FLAT, flatRows, type Story, type Told } from "./story.ts";
import { WrittenTable } from "./table.ts";
import { Values } from "./values.ts";

/** Between the steps, other engines append, compact and expire. */
function shared(name: string, partitionBy: readonly string[]): Story {
  return async function* (moraine) {
    const table = new WrittenTable(moraine, { name, partitionBy, hints: DECIMAL_HINTS });
    await table.write(FLAT, { "a.json": flatRows(21, 12), "b.json": flatRows(22, 12, 100) });
    await table.write(FLAT, { "c.json": flatRows(23, 12, 200) });
    yield table.expectation();
    await table.write(FLAT, { "a.json": flatRows(24, 7), "d.json": flatRows(25, 5, 300) });
    yield table.expectation();
    await table.write(FLAT, { "e.json": flatRows(26, 5, 400) });
    yield table.expectation();
  };
}

const ADOPTED: readonly Column[] = [
  { name: "id", type: "long" },
  { name: "count", type: "int" },
  { name: "price", type: "decimal(12, 2)" },
  { name: "name", type: "string" },
  { name: "at", type: "timestamptz" },
  { name: "extra", type: "boolean" },
];

/** The table was made by another engine, with narrower types, a column that must not be null, and partitions. */
function adopted(name: string): Story {
  return async function* (moraine) {
    const table = new WrittenTable(moraine, { name, hints: { price: "decimal(12,2)" } });
    const values = new Values(31);
    const row = (n: number) =>
      values.row(ADOPTED, { id: String(n), name: `name ${n}`, count: String(values.upTo(100)) });
    await table.write(ADOPTED, { "a.json": [row(1), row(2)], "b.json": [row(3)] });
    await table.write(ADOPTED, { "b.json": [row(4), row(5)] });
    yield table.expectation();
  };
}

/** A table of another engine has an int; a file holds more than an int can. */
async function* widened(moraine: Moraine): Told {
  const table = new WrittenTable(moraine, { name: "widened" });
  await table.write([{ name: "count", type: "long" }], { "a.json": [{ count: "4294967296" }] });
  yield table.expectation();
}

/** A table of another engine has a column that must not be null; one of two files holds a null there. */
async function* required(moraine: Moraine): Told {
  const table = new WrittenTable(moraine, { name: "required" });
  const columns: readonly Column[] = [{ name: "id", type: "long" }];
  await table.write(columns, { "a.json": [{ id: "1" }] });
  await table.writeRefused("null.json", '{"id": 2}\n{"id": null}\n');
  yield table.expectation();
}

export const SHARED_TABLES: Readonly<Record<string, Story>> = {
  shared: shared("shared", []),
  shared_by_day: shared("shared_by_day", ["day(at)"]),
  adopted_spark: adopted("adopted_spark"),
  adopted_pyiceberg: adopted("adopted_pyiceberg"),
  widened,
  required,
};
