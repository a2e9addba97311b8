// Random types, values, schemas and partition specs for the Iceberg tests.

import fc from "fast-check";
import { assignFieldIds } from "../../../lambdas/core/iceberg/schema.ts";
import { transformResultType } from "../../../lambdas/core/iceberg/transforms.ts";
import { decimalOf, fixedLengthOf } from "../../../lambdas/core/iceberg/type-text.ts";
import type {
  DraftField,
  DraftType,
  PartitionField,
  PrimitiveType,
  Schema,
  Transform,
  Value,
} from "../../../lambdas/core/iceberg/types.ts";

const SIMPLE: PrimitiveType[] = [
  "boolean",
  "int",
  "long",
  "float",
  "double",
  "date",
  "time",
  "timestamp",
  "timestamptz",
  "string",
  "uuid",
  "binary",
];

export const primitiveType: fc.Arbitrary<PrimitiveType> = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...SIMPLE) },
  fc
    .integer({ min: 1, max: 38 })
    .chain((precision) =>
      fc.integer({ min: 0, max: precision }).map((scale): PrimitiveType => `decimal(${precision}, ${scale})`),
    ),
  fc.integer({ min: 1, max: 20 }).map((length): PrimitiveType => `fixed[${length}]`),
);

export function valuesOf(type: PrimitiveType): fc.Arbitrary<Value> {
  switch (type) {
    case "boolean":
      return fc.boolean();
    case "int":
    case "date":
      return fc.integer();
    case "long":
    case "timestamp":
    case "timestamptz":
      return fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
    case "time":
      return fc.bigInt({ min: 0n, max: 86_399_999_999n });
    case "float":
      return fc.float({ noNaN: true });
    case "double":
      return fc.double({ noNaN: true });
    case "string":
      return fc.string({ unit: "grapheme", maxLength: 30 });
    case "uuid":
      return fc.uuid();
    case "binary":
      return fc.uint8Array({ maxLength: 40 });
    default:
      return wideValue(type);
  }
}

function wideValue(type: PrimitiveType): fc.Arbitrary<Value> {
  const precision = decimalOf(type)?.precision;
  if (precision !== undefined) {
    const largest = 10n ** BigInt(precision) - 1n;
    return fc.bigInt({ min: -largest, max: largest });
  }
  const length = fixedLengthOf(type) ?? 1;
  return fc.uint8Array({ minLength: length, maxLength: length });
}

const name = fc.stringMatching(/^[a-z]{1,2}$/);

/** Few short names, so that two random schemas share columns; no two names differ in case only. */
export const draftFields: fc.Arbitrary<DraftField[]> = fc.letrec<{ type: DraftType; fields: DraftField[] }>((tie) => ({
  type: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    primitiveType,
    tie("fields").map((fields): DraftType => ({ type: "struct", fields })),
    tie("type").map((element): DraftType => ({ type: "list", element })),
    fc.tuple(primitiveType, tie("type")).map(([key, value]): DraftType => ({ type: "map", key, value })),
  ),
  fields: fc.uniqueArray(fc.record({ name, type: tie("type") }), {
    selector: (field) => field.name,
    minLength: 1,
    maxLength: 5,
  }),
})).fields;

export const schema: fc.Arbitrary<{ schema: Schema; lastColumnId: number }> = draftFields.map((drafts) => {
  const { fields, lastColumnId } = assignFieldIds(drafts, 0);
  return { schema: { type: "struct", "schema-id": 0, fields }, lastColumnId };
});

const TRANSFORMS: Transform[] = ["identity", "void", "year", "month", "day", "hour", "bucket[7]", "truncate[3]"];

/** A flat schema of primitive columns and partition fields over some of them, odd names included. */
export const partitioned: fc.Arbitrary<{ schema: Schema; fields: PartitionField[]; types: PrimitiveType[] }> = fc
  .array(fc.tuple(primitiveType, fc.constantFrom(...TRANSFORMS), fc.constantFrom("p", "a b", "9é", "")), {
    minLength: 1,
    maxLength: 4,
  })
  .map((columns) => {
    const { fields } = assignFieldIds(
      columns.map(([type], i) => ({ name: `c${i}`, type })),
      0,
    );
    const usable = columns
      .map(([type, transform, prefix], i) => ({
        type,
        transform,
        prefix,
        i,
        result: transformResultType(transform, type),
      }))
      .filter((column) => column.result !== undefined);
    return {
      schema: { type: "struct", "schema-id": 3, fields },
      fields: usable.map(({ transform, prefix, i }) => ({
        name: `${prefix}${i}`,
        transform,
        "source-id": i + 1,
        "field-id": 1000 + i,
      })),
      types: usable.map(({ result }) => result as PrimitiveType),
    };
  });
