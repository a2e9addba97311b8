import { describe, expect, it } from "vitest";
import {
  isUnpartitioned,
  parsePartitionBy,
  partitionType,
  summarizePartitions,
  UNPARTITIONED,
} from "../../../lambdas/core/iceberg/partition.ts";
import { assignFieldIds } from "../../../lambdas/core/iceberg/schema.ts";
import type { DraftField, PartitionSpec, Schema } from "../../../lambdas/core/iceberg/types.ts";

const DRAFTS: DraftField[] = [
  { name: "eventTime", type: "timestamptz" },
  { name: "id", type: "long" },
  { name: "name", type: "string" },
  { name: "region", type: "string" },
  { name: "score", type: "double" },
  { name: "user", type: { type: "struct", fields: [{ name: "born", type: "date" }] } },
  { name: "tags", type: { type: "list", element: "string" } },
  { name: "name_trunc", type: "string" },
];
const SCHEMA: Schema = { type: "struct", "schema-id": 0, fields: assignFieldIds(DRAFTS, 0).fields };

const parse = (...expressions: string[]) => parsePartitionBy(expressions, SCHEMA);

describe("partition expressions", () => {
  it("become partition fields with the names Spark would give", () => {
    expect(parse("day(eventTime)", "bucket(16, id)", "truncate(4, region)", "name", "month(user.born)")).toEqual([
      { name: "eventTime_day", transform: "day", "source-id": 1, "field-id": 1000 },
      { name: "id_bucket", transform: "bucket[16]", "source-id": 2, "field-id": 1001 },
      { name: "region_trunc", transform: "truncate[4]", "source-id": 4, "field-id": 1002 },
      { name: "name", transform: "identity", "source-id": 3, "field-id": 1003 },
      { name: "user.born_month", transform: "month", "source-id": 9, "field-id": 1004 },
    ]);
  });

  it("may be spaced, plural or in another case, and still name the table's column", () => {
    expect(parse(" DAYS( eventtime ) ")).toEqual([
      { name: "eventTime_day", transform: "day", "source-id": 1, "field-id": 1000 },
    ]);
    expect(parsePartitionBy(["region"], SCHEMA, 1007)[0]?.["field-id"]).toBe(1007);
  });

  it.each([
    ["day(nowhere)", /not in the schema.*expression="day\(nowhere\)" column=nowhere columns=eventTime,/],
    ["hour(user.born)", /does not take this type.*type=date/],
    ["bucket(16, score)", /does not take this type/],
    ["tags", /must be a single value/],
    ["tags.element", /must be a single value/],
    ["user", /must be a single value/],
    ["week(eventTime)", /not known.*use column, year\(column\)/],
    ["bucket(id)", /not known/],
    ["bucket(0, id)", /not known/],
    ["day(3, eventTime)", /not known/],
    ["void(id)", /not known/],
    ["day(eventTime", /not understood/],
    ["", /not understood/],
    ["truncate(4, name)", /name of a column.*name=name_trunc/],
  ])("%j is refused with expression and remedy", (expression, message) => {
    expect(() => parse(expression)).toThrow(message);
    expect(() => parse(expression)).toThrow(expect.objectContaining({ kind: "Invalid" }));
  });

  it.each([
    ["region", "region"],
    ["day(eventTime)", "hour(eventTime)"],
    ["bucket(4, id)", "bucket(8, id)"],
  ])("%s beside %s is refused as a repetition", (first, second) => {
    expect(() => parse(first, second)).toThrow(/repeats another one/);
  });
});

describe("partition specs", () => {
  const spec: PartitionSpec = { "spec-id": 1, fields: parse("day(eventTime)", "bucket(16, id)", "score") };

  it("know the types of their values", () => {
    expect(partitionType(spec, SCHEMA)).toEqual(["date", "int", "double"]);
    expect(partitionType(UNPARTITIONED, SCHEMA)).toEqual([]);
  });

  it("have no type for a column that is gone, unless the field is void", () => {
    const gone = { ...SCHEMA, fields: SCHEMA.fields.slice(1) };
    expect(() => partitionType(spec, gone)).toThrow(/field=eventTime_day/);
    const [first] = spec.fields;
    const left = { "spec-id": 2, fields: [{ ...first, transform: "void" }] } as PartitionSpec;
    expect(partitionType(left, gone)).toEqual(["string"]);
    expect(isUnpartitioned(left)).toBe(true);
    expect(isUnpartitioned(spec)).toBe(false);
  });

  it("are summarized by bounds over values that are neither null nor NaN", () => {
    const summaries = summarizePartitions(spec, SCHEMA, [
      [5, 3, Number.NaN],
      [-2, null, 1.5],
      [7, 3, -0.5],
    ]);
    const int = (value: number) => new Uint8Array(Int32Array.of(value).buffer);
    const double = (value: number) => new Uint8Array(Float64Array.of(value).buffer);
    expect(summaries).toEqual([
      { containsNull: false, containsNan: false, lowerBound: int(-2), upperBound: int(7) },
      { containsNull: true, containsNan: false, lowerBound: int(3), upperBound: int(3) },
      { containsNull: false, containsNan: true, lowerBound: double(-0.5), upperBound: double(1.5) },
    ]);
  });

  it("have no bounds where every value is null, or files would be skipped by a bound that is not there", () => {
    expect(summarizePartitions(spec, SCHEMA, [[null, null, null]])[0]).toEqual({
      containsNull: true,
      containsNan: false,
    });
  });
});
