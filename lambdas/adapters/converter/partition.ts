// Partitioned writing. SQL only has to keep rows of different partitions apart; the tuple itself comes from a row of the written file
// through the same transforms every other part of Moraine uses, so it cannot disagree with the manifest.

import type { DuckDBConnection } from "@duckdb/node-api";
import { MoraineError } from "../../core/errors.ts";
import { applyTransform } from "../../core/iceberg/transforms.ts";
import { decimalOf } from "../../core/iceberg/type-text.ts";
import type {
  PartitionField,
  PartitionSpec,
  PartitionTuple,
  PrimitiveType,
  Schema,
  Transform,
  Value,
} from "../../core/iceberg/types.ts";
import { duckdb, type Session } from "./engine.ts";
import { type LeafColumn, sqlOfField } from "./metrics.ts";
import { literal, tableFunction } from "./sql.ts";
import { icebergValue } from "./values.ts";

const TRANSFORM = "moraine_transform";
/** Directory names may have 255 bytes, and DuckDB writes some bytes as three. */
const KEY_BYTES_MAX = 60;

interface PartitionColumn extends Omit<LeafColumn, "id"> {
  readonly transform: Transform;
}

/** Undefined: a void field, whose values are all null. */
function columnOf(field: PartitionField, schema: Schema): PartitionColumn | undefined {
  if (field.transform === "void") return undefined;
  const leaf = sqlOfField(schema, field["source-id"]);
  if (leaf === undefined) {
    throw new MoraineError("Invalid", "cannot partition by a column that is not there or repeats", {
      field: field.name,
      schemaId: schema["schema-id"],
    });
  }
  return { ...leaf, transform: field.transform };
}

/** SQL expressions that are equal exactly for rows of the same partition: text, or null. */
export function partitionKeys(spec: PartitionSpec, schema: Schema): string[] {
  return spec.fields.flatMap((field) => {
    const column = columnOf(field, schema);
    return column === undefined ? [] : [keyOf(column)];
  });
}

function keyOf({ transform, type, sql }: PartitionColumn): string {
  switch (transform) {
    case "identity":
      return textKey(type, sql);
    case "year":
    case "month":
    case "day":
    case "hour":
      return `strftime(date_trunc('${transform}', ${sql}), '%Y-%m-%dT%H')`;
    default:
      return transformKey({ transform, type, sql });
  }
}

function textKey(type: PrimitiveType, sql: string): string {
  if (type !== "string" && type !== "binary" && !type.startsWith("fixed")) return `CAST(${sql} AS VARCHAR)`;
  const text = type === "string" ? sql : `hex(${sql})`;
  // The letter in front keeps an empty text from being no directory, and texts from being taken for hashes.
  return `CASE WHEN strlen(${text}) <= ${KEY_BYTES_MAX} THEN 's' || ${text} ELSE 'm' || md5(${text}) END`;
}

function transformKey({ transform, type, sql }: PartitionColumn): string {
  const width = /^truncate\[(\d+)\]$/.exec(transform)?.[1];
  if (width !== undefined && type === "string") return textKey("string", `left(${sql}, ${width})`);
  if (width !== undefined && (type === "int" || type === "long")) {
    const wide = `CAST(${sql} AS HUGEINT)`;
    return `CAST(${wide} - ((${wide} % ${width}) + ${width}) % ${width} AS VARCHAR)`;
  }
  const transformed = (text: string) => `${TRANSFORM}(${literal(transform)}, ${literal(type)}, ${text})`;
  const plain = `CAST(${sql} AS VARCHAR)`;
  if (type === "binary" || type.startsWith("fixed")) return transformed(`hex(${sql})`);
  if (type !== "date" && !type.startsWith("timestamp")) return transformed(plain);
  // Nothing counts how far infinity is from 1970, and null is a partition of its own.
  return `CASE WHEN isfinite(${sql}) THEN ${transformed(microsSql(type, sql))} ELSE ${plain} END`;
}

function microsSql(type: PrimitiveType, sql: string): string {
  return type === "date"
    ? `CAST(date_diff('day', DATE '1970-01-01', ${sql}) AS VARCHAR)`
    : `CAST(epoch_us(${sql}) AS VARCHAR)`;
}

/** Makes `moraine_transform(transform, type, text)` known to an instance: hashes are JavaScript, three times as fast as SQL for text. */
export function registerTransform(connection: DuckDBConnection): void {
  const { DuckDBScalarFunction, VARCHAR } = duckdb();
  connection.registerScalarFunction(
    DuckDBScalarFunction.create({
      name: TRANSFORM,
      parameterTypes: [VARCHAR, VARCHAR, VARCHAR],
      returnType: VARCHAR,
      mainFunction: (_info, input, output) => {
        const transform = input.getColumnVector(0).getItem(0) as Transform;
        const type = input.getColumnVector(1).getItem(0) as PrimitiveType;
        const texts = input.getColumnVector(2);
        for (let row = 0; row < input.rowCount; row++) {
          const text = texts.getItem(row) as string | null;
          const value = text === null ? null : applyTransform(transform, type, valueOfText(type, text));
          output.setItem(row, value === null ? null : keyText(value));
        }
        output.flush();
      },
    }),
  );
}

function valueOfText(type: PrimitiveType, text: string): Value {
  if (type === "string" || type === "uuid") return text;
  if (type === "int" || type === "date") return Number(text);
  if (type === "binary" || type.startsWith("fixed")) return Buffer.from(text, "hex");
  return decimalOf(type) === undefined ? BigInt(text) : BigInt(text.replace(".", ""));
}

function keyText(value: Value): string {
  return value instanceof Uint8Array ? `b${Buffer.from(value).toString("hex")}` : `v${value}`;
}

/** The partition tuple of a written file: all its rows share it, so any row tells. */
export async function tupleOfFile(
  session: Session,
  path: string,
  spec: PartitionSpec,
  schema: Schema,
): Promise<PartitionTuple> {
  const columns = spec.fields.map((field) => columnOf(field, schema));
  if (columns.every((column) => column === undefined)) return columns.map(() => null);
  const selected = columns.flatMap((column, i) => (column === undefined ? [] : [`${column.sql} AS "p${i}"`]));
  const [row = {}] = await session.rows(
    `SELECT ${selected.join(", ")} FROM ${tableFunction("read_parquet", [path], { hive_partitioning: "false" })} LIMIT 1`,
  );
  return columns.map((column, i) => {
    if (column === undefined) return null;
    return applyTransform(column.transform, column.type, icebergValue(column.type, row[`p${i}`] ?? null));
  });
}
