// From what COPY reports of a Parquet file to the metrics of Iceberg's `data_file`. Sizes and counts are exact, bounds are safe:
// a wrong bound makes engines skip a file that holds the row, a missing one only costs time.

import type { DataFile, PrimitiveType, Schema, Value } from "../../core/iceberg/types.ts";
import { encodeValue, truncateLowerString, truncateUpperString } from "../../core/iceberg/values.ts";
import { ident } from "./sql.ts";
import { boundOfText } from "./values.ts";

/** COPY's statistics of one column, as text. */
export type ColumnStatistics = ReadonlyMap<string, string>;

/** Counted from the written file: COPY cannot be asked (its has_nan forgets all row groups but the last). */
export interface FloatStatistics {
  readonly nans: number;
  readonly min: Value | null;
  readonly max: Value | null;
}

export interface LeafColumn {
  readonly id: number;
  readonly type: PrimitiveType;
  /** As COPY and SQL name it: `"a"."b"`. */
  readonly sql: string;
}

/** Columns with metrics: primitive, and not inside a list or map. */
export function leafColumns(schema: Schema): LeafColumn[] {
  const leaves: LeafColumn[] = [];
  const visit = (fields: Schema["fields"], prefix: readonly string[]) => {
    for (const { id, name, type } of fields) {
      const path = [...prefix, name];
      if (typeof type === "string") leaves.push({ id, type, sql: path.map(ident).join(".") });
      else if (type.type === "struct") visit(type.fields, path);
    }
  };
  visit(schema.fields, []);
  return leaves;
}

/** Columns whose bounds and NaN counts are read from the file. */
export function countedColumns(schema: Schema): LeafColumn[] {
  return leafColumns(schema).filter(({ type }) => type === "float" || type === "double");
}

export type FileMetrics = Pick<
  DataFile,
  "columnSizes" | "valueCounts" | "nullValueCounts" | "nanValueCounts" | "lowerBounds" | "upperBounds"
>;

export function metricsOf(
  schema: Schema,
  columns: ReadonlyMap<string, ColumnStatistics>,
  floats: ReadonlyMap<number, FloatStatistics>,
): FileMetrics {
  const columnSizes = new Map<number, number>();
  const valueCounts = new Map<number, number>();
  const nullValueCounts = new Map<number, number>();
  const nanValueCounts = new Map<number, number>();
  const lowerBounds = new Map<number, Uint8Array>();
  const upperBounds = new Map<number, Uint8Array>();
  for (const leaf of leafColumns(schema)) {
    const statistics = columns.get(leaf.sql);
    if (statistics === undefined) continue;
    setCount(columnSizes, leaf.id, statistics.get("column_size_bytes"));
    setCount(valueCounts, leaf.id, statistics.get("num_values"));
    setCount(nullValueCounts, leaf.id, statistics.get("null_count"));
    const float = floats.get(leaf.id);
    if (float !== undefined) nanValueCounts.set(leaf.id, float.nans);
    const [lower, upper] = float === undefined ? textBounds(leaf.type, statistics) : floatBounds(float);
    if (lower !== undefined) lowerBounds.set(leaf.id, encodeValue(leaf.type, lower));
    if (upper !== undefined) upperBounds.set(leaf.id, encodeValue(leaf.type, upper));
  }
  return { columnSizes, valueCounts, nullValueCounts, nanValueCounts, lowerBounds, upperBounds };
}

function setCount(counts: Map<number, number>, id: number, text: string | undefined): void {
  if (text !== undefined) counts.set(id, Number(text));
}

type Bounds = readonly [lower: Value | undefined, upper: Value | undefined];

function textBounds(type: PrimitiveType, statistics: ColumnStatistics): Bounds {
  const min = statistics.get("min");
  const max = statistics.get("max");
  const lower = min === undefined ? undefined : boundOfText(type, min);
  const upper = max === undefined ? undefined : boundOfText(type, max);
  if (type !== "string") return [lower, upper];
  return [
    typeof lower === "string" ? truncateLowerString(lower) : undefined,
    typeof upper === "string" ? truncateUpperString(upper) : undefined,
  ];
}

/** Zeros of both signs are equal to SQL and ordered to Iceberg: a bound of zero takes the outer one. */
function floatBounds({ min, max }: FloatStatistics): Bounds {
  return [min === 0 ? -0 : (min ?? undefined), max === 0 ? 0 : (max ?? undefined)];
}

/** How a column of the schema is reached in SQL; undefined inside lists and maps. */
export function sqlOfField(schema: Schema, fieldId: number): LeafColumn | undefined {
  return leafColumns(schema).find(({ id }) => id === fieldId);
}
