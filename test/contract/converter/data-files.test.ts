import { describe, expect, test } from "vitest";
import { applyTransform } from "../../../lambdas/core/iceberg/transforms.ts";
import type { DraftField, PartitionSpec, Schema, Transform, Value } from "../../../lambdas/core/iceberg/types.ts";
import { decodeValue } from "../../../lambdas/core/iceberg/values.ts";
import type { ConvertedFile } from "../../../lambdas/core/ports.ts";
import { bytesOf, convertAll, csv, jobOf, metadataOf, rowsOf, schemaOf, useScratch } from "./harness.ts";
import { parquetOf } from "./parquet-files.ts";

const work = useScratch();

const specOf =
  (...fields: (readonly [column: string, transform: Transform])[]) =>
  (schema: Schema): PartitionSpec => ({
    "spec-id": 1,
    fields: fields.map(([column, transform], i) => ({
      name: `p${i}`,
      transform,
      "source-id": schema.fields.find(({ name }) => name === column)?.id ?? -1,
      "field-id": 1000 + i,
    })),
  });

function boundsOf(file: ConvertedFile, schema: Schema): Record<string, [unknown, unknown]> {
  const bounds: Record<string, [unknown, unknown]> = {};
  const visit = (fields: Schema["fields"], prefix: string) => {
    for (const { id, name, type } of fields) {
      if (typeof type !== "string") {
        if (type.type === "struct") visit(type.fields, `${prefix}${name}.`);
        continue;
      }
      const [lower, upper] = [file.file.lowerBounds?.get(id), file.file.upperBounds?.get(id)];
      if (lower === undefined && upper === undefined) continue;
      bounds[prefix + name] = [lower && decodeValue(type, lower), upper && decodeValue(type, upper)];
    }
  };
  visit(schema.fields, "");
  return bounds;
}

const byName = (schema: Schema, counts: ReadonlyMap<number, number> | undefined) =>
  Object.fromEntries(schema.fields.flatMap(({ id, name }) => (counts?.has(id) ? [[name, counts.get(id)]] : [])));

describe("a data file", () => {
  const columns: DraftField[] = [
    { name: "b", type: "boolean" },
    { name: "i", type: "int" },
    { name: "l", type: "long" },
    { name: "f", type: "float" },
    { name: "d", type: "double" },
    { name: "day", type: "date" },
    { name: "ts", type: "timestamp" },
    { name: "tz", type: "timestamptz" },
    { name: "s", type: "string" },
    { name: "p9", type: "decimal(9, 2)" },
    { name: "p38", type: "decimal(38, 4)" },
    { name: "none", type: "string" },
  ];
  const known = schemaOf(columns);
  const text = [
    "b,i,l,f,d,day,ts,tz,s,p9,p38,none",
    `false,-5,-9223372036854775808,-1.5,nan,1950-01-02,1950-01-02T03:04:05.000006,1950-01-02T03:04:05Z,${"a".repeat(20)},-1.25,-99999999999999999999.0001,`,
    `true,7,9223372036854775807,2.5,-0.0,2024-02-29,2024-02-29T23:59:59.999999,2024-02-29T23:59:59.999999+01:00,${"z".repeat(15)}\u{1f600}\u{1f600},3.50,99999999999999999999.0001,`,
    ",,,nan,0.0,,,,,,,",
  ].join("\n");

  test("has exact counts, sizes and split offsets, and bounds that hold every value", async () => {
    const { result, schema, failures } = await convertAll(work, jobOf(csv), { "a.csv": text }, { known });
    expect(failures).toEqual([]);
    const [converted] = result.files as [ConvertedFile];
    const { file } = converted;
    const bytes = await bytesOf(converted);
    expect(file).toMatchObject({
      recordCount: 3,
      fileSizeInBytes: bytes.length,
      partition: [],
      sortOrderId: 0,
      splitOffsets: [4],
    });
    expect(byName(schema, file.valueCounts)).toEqual(Object.fromEntries(columns.map(({ name }) => [name, 3])));
    const nulls = { b: 1, i: 1, l: 1, f: 0, d: 0, day: 1, ts: 1, tz: 1, s: 1, p9: 1, p38: 1, none: 3 };
    expect(byName(schema, file.nullValueCounts)).toEqual(nulls);
    expect(byName(schema, file.nanValueCounts)).toEqual({ f: 1, d: 1 });
    const { row_groups: groups } = await metadataOf(converted);
    const sizes = groups.flatMap((group) =>
      group.columns.map((column) => Number(column.meta_data?.total_compressed_size)),
    );
    expect([...(file.columnSizes?.values() ?? [])]).toEqual(sizes);
    expect(boundsOf(converted, schema)).toEqual({
      b: [false, true],
      i: [-5, 7],
      l: [-(2n ** 63n), 2n ** 63n - 1n],
      f: [-1.5, 2.5],
      d: [-0, 0],
      day: [-7304, 19782],
      ts: [-631054554999994n, 1709251199999999n],
      tz: [-631054555000000n, 1709247599999999n],
      s: ["a".repeat(16), `${"z".repeat(15)}\u{1f601}`],
      p9: [-125n, 350n],
    });
  });

  test("carries the table's field ids at every depth", async () => {
    const nested = schemaOf([
      { name: 'odd "name', type: "long" },
      { name: "s", type: { type: "struct", fields: [{ name: "a b", type: "string" }] } },
      { name: "l", type: { type: "list", element: { type: "struct", fields: [{ name: "q", type: "double" }] } } },
    ]);
    const record = { 'odd "name': 3, s: { "a b": "x" }, l: [{ q: 1 }, { q: 2 }] };
    const { result, schema, rows } = await convertAll(
      work,
      jobOf({ type: "ndjson" }),
      { "a.json": JSON.stringify(record) },
      { known: nested },
    );
    expect(rows).toEqual([{ 'odd "name': 3n, s: { "a b": "x" }, l: [{ q: 1 }, { q: 2 }] }]);
    const { schema: parquet } = await metadataOf(result.files[0] as ConvertedFile);
    const ids = Object.fromEntries(parquet.slice(1).map(({ name, field_id }) => [name, field_id]));
    expect(ids).toEqual({ 'odd "name': 1, s: 2, "a b": 4, l: 3, list: undefined, element: 5, q: 6 });
    // Nothing is known of values inside lists; those of structures have their bounds.
    expect([...(result.files[0]?.file.valueCounts?.keys() ?? [])].sort()).toEqual([1, 4]);
    expect(boundsOf(result.files[0] as ConvertedFile, schema)).toEqual({ 'odd "name': [3n, 3n], "s.a b": ["x", "x"] });
  });

  test("holds many small sources together, and a large conversion is cut near the target size", async () => {
    const files = Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`${i}.csv`, `id,v\n${i},x\n`]));
    const small = await convertAll(work, jobOf(csv), files);
    expect(small.result.files).toHaveLength(1);
    expect(Object.keys(small.loaded)).toHaveLength(300);
    const noise = (n: number) =>
      (Math.imul(n, 2654435761) >>> 0).toString(36) + (Math.imul(n, 40503) >>> 0).toString(36);
    const rows = Array.from({ length: 800_000 }, (_, i) => `${i},${noise(i)}`).join("\n");
    const target = 3 * 1024 * 1024;
    for (const spec of [specOf(), specOf(["k", "truncate[1000000]"])]) {
      const known = schemaOf([
        { name: "k", type: "long" },
        { name: "s", type: "string" },
      ]);
      const { result } = await convertAll(
        work,
        jobOf(csv, { targetFileSizeBytes: target }),
        { "a.csv": `k,s\n${rows}\n` },
        { known, spec },
      );
      expect(result.files.reduce((sum, { file }) => sum + file.recordCount, 0)).toBe(800_000);
      expect(result.files.length).toBeGreaterThan(1);
      // A file is closed once it has passed the target; two threads may each have a row group in hand then.
      for (const converted of result.files) {
        const { row_groups: groups } = await metadataOf(converted);
        const largest = Math.max(
          ...groups.map((group) => Number(group.total_compressed_size ?? group.total_byte_size)),
        );
        expect(converted.file.fileSizeInBytes).toBeLessThan(target + 3 * largest);
      }
      const full = result.files.filter(({ file }) => file.fileSizeInBytes > target * 0.6);
      expect(full.length).toBeGreaterThanOrEqual(result.files.length - 2);
    }
  }, 120_000);

  test("rows of every source are counted, of more sources than DuckDB hands over at once, partitioned or not", async () => {
    const body = (i: number) => Array.from({ length: i % 3 }, (_, row) => `${row},"a\nb ${i}"\n\n`).join("");
    const files = Object.fromEntries(Array.from({ length: 2_100 }, (_, i) => [`${i}.csv`, `id,v\n${body(i)}`]));
    const known = schemaOf([
      { name: "id", type: "long" },
      { name: "v", type: "string" },
    ]);
    for (const spec of [specOf(), specOf(["id", "identity"])]) {
      const { loaded, result } = await convertAll(work, jobOf(csv), files, { known, spec });
      expect(loaded).toEqual(Object.fromEntries(Array.from({ length: 2_100 }, (_, i) => [i, i % 3])));
      expect(result.files.reduce((sum, { file }) => sum + file.recordCount, 0)).toBe(2_100);
    }
  }, 60_000);

  test("row groups of 122,880 rows have ascending split offsets, and NaN in the first of them is counted", async () => {
    const lines = Array.from({ length: 300_000 }, (_, i) => `${i},${i < 5 ? "nan" : i}`).join("\n");
    const known = schemaOf([
      { name: "id", type: "long" },
      { name: "d", type: "double" },
    ]);
    const { result, schema } = await convertAll(work, jobOf(csv), { "a.csv": `id,d\n${lines}\n` }, { known });
    const [converted] = result.files as [ConvertedFile];
    const offsets = converted.file.splitOffsets ?? [];
    const { row_groups: groups } = await metadataOf(converted);
    expect(offsets).toHaveLength(groups.length);
    expect([...offsets].sort((a, b) => a - b)).toEqual(offsets);
    expect(offsets[0]).toBe(4);
    expect(byName(schema, converted.file.nanValueCounts)).toEqual({ d: 5 });
    expect(boundsOf(converted, schema)["d"]).toEqual([5, 299_999]);
  });
});

describe("lineage", () => {
  test("says file, time of change and time of ingestion for every row", async () => {
    const files = { "it's a/key é.csv": "a\n1\n2\n", "b.csv": "a\n3\n" };
    const { rows, loaded } = await convertAll(work, jobOf(csv, { lineage: true }), files);
    expect(rows).toContainEqual({
      a: 2n,
      _file_path: "s3://landing/it's a/key é.csv",
      _file_modified_at: new Date("2026-01-01T00:00:00Z"),
      _ingested_at: new Date("2026-01-02T03:04:05Z"),
    });
    expect(rows).toContainEqual(
      expect.objectContaining({
        a: 3n,
        _file_path: "s3://landing/b.csv",
        _file_modified_at: new Date("2026-01-01T00:00:01Z"),
      }),
    );
    expect(loaded).toEqual({ 0: 2, 1: 1 });
  });
});

describe("partitions", () => {
  const columns: DraftField[] = [
    { name: "i", type: "int" },
    { name: "l", type: "long" },
    { name: "day", type: "date" },
    { name: "ts", type: "timestamp" },
    { name: "tz", type: "timestamptz" },
    { name: "s", type: "string" },
    { name: "p", type: "decimal(9, 2)" },
    { name: "w", type: "decimal(30, 5)" },
    { name: "b", type: "boolean" },
  ];
  const known = schemaOf(columns);
  const rows = [
    "-11,-9223372036854775808,1969-12-31,1969-12-31T23:59:59.999999,1969-12-31T23:59:59.999999Z,iceberg,-10.65,-1.00001,true",
    "-1,-1,1900-02-28,1900-02-28T00:00:00,1970-01-01T00:30:00+01:00,,14.20,99999999999999999.5,false",
    "0,0,1970-01-01,1970-01-01T00:00:00,1970-01-01T00:00:00Z,Iceberg,0.00,0,true",
    "10,34,2017-11-16,2017-11-16T22:31:08,2017-11-16T22:31:08Z,a/b c=d%é😀,10.65,1.5,false",
    "2147483647,9223372036854775807,9999-12-31,9999-12-31T23:59:59,9999-12-31T23:59:59Z,__HIVE_DEFAULT_PARTITION__,9999999.99,7,true",
    `,,,,,${"long ".repeat(40)},,,`,
    ',,,,,"",,,',
    ",,,,,,,,",
  ];
  const text = `${columns.map(({ name }) => name).join(",")}\n${rows.join("\n")}\n`;
  const times: Transform[] = ["year", "month", "day"];
  const cases: [string, Transform][] = [
    ...columns.map(({ name }): [string, Transform] => [name, "identity"]),
    ...["day", "ts", "tz"].flatMap((name) => times.map((transform): [string, Transform] => [name, transform])),
    ["ts", "hour"],
    ["tz", "hour"],
    ...["i", "l", "day", "ts", "tz", "s", "p", "w"].map((name): [string, Transform] => [name, "bucket[4]"]),
    ...["i", "s", "p", "w"].map((name): [string, Transform] => [name, "truncate[3]"]),
    ["s", "void"],
  ];

  function icebergValue(type: unknown, cell: unknown): Value | null {
    if (cell === null || cell === undefined) return null;
    if (type === "date") return (cell as Date).getTime() / 86_400_000;
    if (type === "timestamp" || type === "timestamptz") return BigInt((cell as Date).getTime()) * 1000n;
    if (String(type).startsWith("decimal"))
      return BigInt(Math.round(Number(cell) * (type === "decimal(9, 2)" ? 100 : 100_000)));
    return cell as Value;
  }

  test.each(cases)("every row of a file is in the file's partition: %s by %s", async (column, transform) => {
    const { result, schema, failures } = await convertAll(
      work,
      jobOf(csv),
      { "a.csv": text },
      { known, spec: specOf([column, transform]) },
    );
    expect(failures).toEqual([]);
    expect(result.files.reduce((sum, { file }) => sum + file.recordCount, 0)).toBe(rows.length);
    const tuples = result.files.map(({ file }) =>
      JSON.stringify(file.partition, (_, value) => (typeof value === "bigint" ? `${value}n` : value)),
    );
    expect(new Set(tuples).size).toBe(tuples.length);
    const type = schema.fields.find(({ name }) => name === column)?.type;
    if (typeof type !== "string") throw new Error("no such column");
    for (const file of result.files) {
      const [partition] = file.file.partition;
      for (const row of await rowsOf([file])) {
        // hyparquet cuts microseconds towards zero; the first row is one microsecond before 1970.
        const before = type.startsWith("timestamp") && row["i"] === -11;
        const value = before ? -1n : icebergValue(type, row[column]);
        // hyparquet has milliseconds and doubles: partitions of those identities are compared by the test of bounds below.
        if (transform === "identity" && (type.startsWith("timestamp") || type === "decimal(30, 5)")) continue;
        if (type === "decimal(30, 5)" && transform !== "void" && Number(row[column]) > 1e9) continue;
        expect(partition).toEqual(applyTransform(transform, type, value));
      }
      const id = schema.fields.find(({ name }) => name === column)?.id ?? -1;
      const lower = file.file.lowerBounds?.get(id);
      if (transform === "identity" && lower !== undefined && type !== "string")
        expect(partition).toEqual(decodeValue(type, lower));
    }
  });

  test("of a timestamp beyond counting (as in 9223372036854775807) are never those of null", async () => {
    const values = "('infinity'), ('-infinity'), (NULL), ('2024-01-01')";
    const select = `SELECT c::TIMESTAMP AS ts, c::DATE AS day FROM (VALUES ${values}) AS v(c)`;
    const files = { a: await parquetOf(select) };
    for (const [column, transform] of [
      ["ts", "bucket[4]"],
      ["day", "bucket[4]"],
      ["ts", "hour"],
      ["ts", "day"],
    ] as const) {
      const { result, rows, failures } = await convertAll(work, jobOf({ type: "parquet" }), files, {
        known: schemaOf([
          { name: "ts", type: "timestamp" },
          { name: "day", type: "date" },
        ]),
        spec: specOf([column, transform]),
      });
      expect(failures).toEqual([]);
      expect(rows).toHaveLength(4);
      const nulls = result.files.filter(({ file }) => file.partition[0] === null);
      expect(nulls.map(({ file }) => file.recordCount)).toEqual([1]);
      expect(result.files.every(({ file }) => file.partition[0] === null || Number(file.partition[0]) < 2 ** 31)).toBe(
        true,
      );
    }
  });

  test("fields combine, and nulls are a partition of their own", async () => {
    const spec = specOf(["tz", "day"], ["s", "truncate[1]"], ["l", "void"], ["i", "bucket[2]"]);
    const { result } = await convertAll(work, jobOf(csv), { "a.csv": text }, { known, spec });
    const tuples = result.files.map(({ file }) => file.partition);
    expect(tuples).toContainEqual([null, null, null, null]);
    expect(tuples).toContainEqual([0, "I", null, applyTransform("bucket[2]", "int", 0)]);
    expect(tuples.every((tuple) => tuple.length === 4)).toBe(true);
  });

  test("hundreds of partitions at once keep every row", async () => {
    const text = Array.from({ length: 20_000 }, (_, i) => `${i % 500},${i}`).join("\n");
    const spec = specOf(["k", "identity"]);
    const table = schemaOf([
      { name: "k", type: "string" },
      { name: "v", type: "long" },
    ]);
    const { result } = await convertAll(work, jobOf(csv), { "a.csv": `k,v\n${text}\n` }, { known: table, spec });
    expect(result.files.reduce((sum, { file }) => sum + file.recordCount, 0)).toBe(20_000);
    expect(new Set(result.files.map(({ file }) => file.partition[0])).size).toBe(500);
  });
});

describe("equality deletes", () => {
  test("are one column with its field id and every value", async () => {
    const schema = schemaOf([{ name: "a", type: "long" }], true);
    const conversion = await work.converter.start(jobOf(csv, { lineage: true }));
    const id = schema.fields.find(({ name }) => name === "_file_path")?.id ?? -1;
    const deletes = await conversion.writeDeletes(schema, id, ["s3://landing/it's.csv", "s3://landing/b.csv"]);
    expect(deletes.file).toMatchObject({ recordCount: 2, equalityIds: [id], partition: [] });
    expect(await rowsOf([deletes])).toEqual([
      { _file_path: "s3://landing/it's.csv" },
      { _file_path: "s3://landing/b.csv" },
    ]);
    const { schema: parquet } = await metadataOf(deletes);
    expect(parquet.slice(1).map(({ name, field_id }) => [name, field_id])).toEqual([["_file_path", id]]);
    await conversion.close();
  });
});
