// Objects as rows: of facts alone (`metadata`), and with their bytes (`binary`).

import { randomBytes } from "node:crypto";
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import type { FormatOptions } from "../../../lambdas/core/config.ts";
import type { DraftField, PartitionSpec, Schema, Transform } from "../../../lambdas/core/iceberg/types.ts";
import { objectUri } from "../../../lambdas/core/ids.ts";
import { needsBody } from "../../../lambdas/core/object-rows.ts";
import type { ConversionJob, Source, SourceFailure } from "../../../lambdas/core/ports.ts";
import { jobOf, rowsOf, type Scratch, schemaOf, scratch, streamOf, UNPARTITIONED, useScratch } from "./harness.ts";

const work = useScratch();

const MIB = 1024 * 1024;
const METADATA: FormatOptions = { type: "metadata" };
const BINARY: FormatOptions = { type: "binary", contentBytesMax: MIB };
const PHOTOS = Date.UTC(2026, 0, 1, 12, 30, 15, 123);

interface Thing {
  readonly sizeBytes?: number;
  readonly bytes?: Uint8Array;
  readonly etag?: string;
  readonly versionId?: string;
}

interface Options {
  readonly known?: Schema;
  readonly spec?: (schema: Schema) => PartitionSpec;
  readonly scratch?: Scratch;
}

/** As core does it: a body only for those the format wants to read. */
async function register(job: ConversionJob, things: Readonly<Record<string, Thing>>, options: Options = {}) {
  const startedMs = performance.now();
  const conversion = await (options.scratch ?? work).converter.start(job);
  try {
    const failures: SourceFailure[] = [];
    for (const [index, [key, thing]] of Object.entries(things).entries()) {
      const sizeBytes = thing.bytes?.length ?? thing.sizeBytes ?? 0;
      const { etag = `e${index}`, versionId } = thing;
      const identity = {
        index,
        uri: objectUri("landing", key),
        etag,
        ...(versionId === undefined ? {} : { versionId }),
      };
      const source: Source = { ...identity, sizeBytes, lastModifiedMs: PHOTOS + index };
      const body = needsBody(job.format, sizeBytes) ? streamOf(thing.bytes ?? new Uint8Array()) : undefined;
      const refused = await conversion.add(source, body);
      if (refused !== undefined) failures.push(refused);
    }
    const inspection = await conversion.inspect(options.known);
    const schema = options.known ?? schemaOf(inspection.fields, job.lineage);
    const spec = options.spec?.(schema) ?? UNPARTITIONED;
    let result = await conversion.convert(schema, spec);
    const { misfits } = result;
    for (const { index } of misfits) conversion.leaveOut(index);
    if (misfits.length > 0) result = await conversion.convert(schema, spec);
    const seconds = (performance.now() - startedMs) / 1000;
    const rows = await rowsOf(result.files);
    failures.push(...inspection.failures, ...result.failures);
    const files = result.files.map(({ file }) => file);
    return { fields: inspection.fields, schema, rows, failures, misfits, files, loaded: result.loaded, seconds };
  } finally {
    await conversion.close();
  }
}

const typesOf = (fields: readonly DraftField[]) => Object.fromEntries(fields.map(({ name, type }) => [name, type]));
const partitionedBy =
  (...fields: (readonly [column: string, transform: Transform])[]) =>
  (schema: Schema): PartitionSpec => ({
    "spec-id": 0,
    fields: fields.map(([column, transform], i) => ({
      name: `p${i}`,
      transform,
      "source-id": schema.fields.find(({ name }) => name === column)?.id ?? -1,
      "field-id": 1000 + i,
    })),
  });

describe("an object's row", () => {
  test("has what its event said, its name taken apart, and nulls where there is nothing", async () => {
    const { fields, rows, failures, loaded } = await register(jobOf(METADATA), {
      "photos/2026/Cat.JPG": { sizeBytes: 5_000_000_000, etag: "abc-3", versionId: "v1" },
      plain: {},
    });
    expect(failures).toEqual([]);
    expect(typesOf(fields)).toEqual({
      path: "string",
      bucket: "string",
      key: "string",
      name: "string",
      extension: "string",
      content_type: "string",
      size_bytes: "long",
      etag: "string",
      version_id: "string",
      modified_at: "timestamptz",
    });
    expect(rows).toEqual([
      {
        path: "s3://landing/photos/2026/Cat.JPG",
        bucket: "landing",
        key: "photos/2026/Cat.JPG",
        name: "Cat.JPG",
        extension: "jpg",
        content_type: "image/jpeg",
        size_bytes: 5_000_000_000n,
        etag: "abc-3",
        version_id: "v1",
        modified_at: new Date(PHOTOS),
      },
      {
        path: "s3://landing/plain",
        bucket: "landing",
        key: "plain",
        name: "plain",
        extension: null,
        content_type: null,
        size_bytes: 0n,
        etag: "e1",
        version_id: null,
        modified_at: new Date(PHOTOS + 1),
      },
    ]);
    expect(loaded).toEqual([
      { index: 0, records: 1, rescued: 0, quarantined: 0, bytesRead: 0 },
      { index: 1, records: 1, rescued: 0, quarantined: 0, bytesRead: 0 },
    ]);
  });

  test("keeps odd keys as they are", async () => {
    const keys = [
      `it's "quoted" \\ and\ttabbed\nbroken`,
      "日本語/ünï/👩‍🚀.webp",
      "a=b/c+d e%20f.tar.gz",
      "folder/with/slash/",
      ".profile",
      "dot.",
      "a//b.csv",
      "null",
      " ",
      `{"json": true}.json`,
      "x".repeat(1024),
    ];
    const { rows } = await register(jobOf(METADATA), Object.fromEntries(keys.map((key) => [key, {}])));
    const byKey = new Map(rows.map((row) => [row["key"], row]));
    expect([...byKey.keys()].sort()).toEqual([...keys].sort());
    for (const key of keys) {
      expect(byKey.get(key)).toMatchObject({ path: `s3://landing/${key}`, name: key.split("/").at(-1) || null });
    }
    const extensions = keys.map((key) => byKey.get(key)?.["extension"]);
    expect(extensions).toEqual([null, "webp", "gz", null, null, null, "csv", null, null, "json", null]);
    expect(byKey.get("日本語/ünï/👩‍🚀.webp")?.["content_type"]).toBe("image/webp");
  });

  test("is refused alone where its key is no text", async () => {
    const { rows, failures } = await register(jobOf(METADATA), { "k=\ud800/x": {}, "a\0b": {}, good: {} });
    expect(failures.map(({ index, reason }) => [index, reason])).toEqual([
      [0, "INVALID_KEY"],
      [1, "INVALID_KEY"],
    ]);
    expect(rows.map((row) => row["key"])).toEqual(["good"]);
  });

  test("carries lineage like any other row", async () => {
    const { rows } = await register(jobOf(METADATA, { lineage: true }), { "a.png": {}, "b.png": {} });
    expect(rows.map((row) => [row["_file_path"], row["path"], row["_file_modified_at"]])).toEqual([
      ["s3://landing/a.png", "s3://landing/a.png", new Date(PHOTOS)],
      ["s3://landing/b.png", "s3://landing/b.png", new Date(PHOTOS + 1)],
    ]);
  });
});

describe("values in the path", () => {
  test("are columns named as the path names them, decoded, and text unless a hint says otherwise", async () => {
    const job = jobOf(METADATA, { hints: { year: "int", Unseen: "date" } });
    const { fields, rows, failures } = await register(job, {
      "region=eu%2Fwest/year=2026/a.jpg": {},
      "region=__HIVE_DEFAULT_PARTITION__/Year=0007/b.jpg": {},
      "na%3Dme=1+1%20%C3%A9%zz%00/c.jpg": {},
    });
    expect(failures).toEqual([]);
    expect(typesOf(fields.slice(10))).toEqual({ year: "int", Unseen: "date", region: "string", "na=me": "string" });
    expect(rows.map((row) => [row["region"], row["year"], row["na=me"], row["Unseen"]])).toEqual([
      ["eu/west", 2026, null, null],
      [null, 7, null, null],
      [null, null, "1+1 é%zz%00", null],
    ]);
  });

  test("are folders with one = and text on both sides; no base64 name becomes a column", async () => {
    const { fields } = await register(jobOf(METADATA), {
      "dGVzdA==/a": {},
      "dGVzdDE=/a": {},
      "=x/a": {},
      " =x/a": {},
      "a=b=c/a": {},
      "last=part": {},
    });
    expect(fields).toHaveLength(10);
  });

  test("that are named as a column of the format or of lineage are renamed, in every option the same", async () => {
    for (const format of [METADATA, BINARY, { ...METADATA, pathDate: "%Y" } as FormatOptions]) {
      const { rows } = await register(jobOf(format, { lineage: true }), {
        "key=k/_File_Path=f/content=c/path_date=d/x=1/X=2/a": { bytes: Buffer.from("!") },
      });
      expect(rows[0]).toMatchObject({
        key_1: "k",
        _File_Path_1: "f",
        content_1: "c",
        path_date_1: "d",
        x: "1",
        X_1: "2",
      });
    }
  });

  test("that do not fit the table's type are reported of their object alone, with the column", async () => {
    const job = jobOf(METADATA, { hints: { year: "int" } });
    const { rows, misfits } = await register(job, { "year=2026/a": {}, "year=soon/b": {}, "year=1.5/c": {} });
    expect(rows.map((row) => row["key"])).toEqual(["year=2026/a"]);
    expect(misfits.map(({ index, columns }) => [index, columns])).toEqual([
      [1, [{ path: "year", fileType: "string", records: 1, samples: ["soon"] }]],
      [2, [{ path: "year", fileType: "double", records: 1, samples: ["1.5"] }]],
    ]);
  });

  test("never make more columns than a table is good for", async () => {
    const things = Object.fromEntries(Array.from({ length: 300 }, (_, n) => [`tag${n}=1/a`, {}]));
    const { fields, rows, failures } = await register(jobOf(METADATA), things);
    expect([fields.length, rows.length, failures.length]).toEqual([200, 190, 110]);
    expect(failures[0]).toMatchObject({ index: 190, reason: "TOO_MANY_COLUMNS" });
  });

  test("fit a table that was there with types of its own, or are reported", async () => {
    const known = schemaOf([
      { name: "Key", type: "string" },
      { name: "size_bytes", type: "int" },
      { name: "modified_at", type: "date" },
      { name: "region", type: { type: "list", element: "string" } },
    ]);
    const { rows, misfits } = await register(jobOf(METADATA), { a: { sizeBytes: 7 } }, { known });
    expect(rows).toEqual([]);
    expect(misfits).toMatchObject([{ index: 0, columns: [{ path: "modified_at" }] }]);
    const fitting = { ...known, fields: known.fields.filter(({ name }) => name !== "modified_at") };
    const second = await register(jobOf(METADATA), { a: { sizeBytes: 7 }, "region=x/b": {} }, { known: fitting });
    expect(second.rows.map((row) => [row["Key"], row["size_bytes"], row["region"] ?? null])).toEqual([["a", 7, null]]);
    expect(second.misfits).toMatchObject([{ index: 1, columns: [{ path: "region", samples: ["x"] }] }]);
  });
});

describe("a date in the path", () => {
  test("is a day, or an hour when the pattern has hours; null where the calendar has no such day", async () => {
    const keys = [
      "x/2026/02/28/a",
      "x/2026/02/29/a",
      "x/2024/02/29/23/a",
      "12026/02/28/a",
      "x/9999/99/99/2026/01/02/a",
      "x",
    ];
    const things = Object.fromEntries(keys.map((key) => [key, {}]));
    const days = await register(jobOf({ type: "metadata", pathDate: "%Y/%m/%d" }), things);
    expect(typesOf(days.fields)).toMatchObject({ path_date: "date" });
    expect(days.rows.map((row) => (row["path_date"] as Date | null)?.toISOString().slice(0, 10))).toEqual([
      "2026-02-28",
      undefined,
      "2024-02-29",
      undefined,
      "2026-01-02",
      undefined,
    ]);
    const hours = await register(jobOf({ type: "metadata", pathDate: "%Y/%m/%d/%H" }), things);
    expect(typesOf(hours.fields)).toMatchObject({ path_time: "timestamptz" });
    expect(hours.rows.flatMap((row) => row["path_time"] ?? [])).toEqual([new Date("2024-02-29T23:00:00Z")]);
  });

  test("partitions, as do the day of modification and a value of the path", async () => {
    const job = jobOf({ type: "metadata", pathDate: "%Y%m%d" }, { hints: { region: "string" } });
    const spec = partitionedBy(["path_date", "identity"], ["region", "identity"], ["modified_at", "day"]);
    const things = { "region=eu/20260101-a": {}, "region=eu/20260101-b": {}, "region=us/20260102": {}, none: {} };
    const { rows, files } = await register(job, things, { spec });
    expect(rows).toHaveLength(4);
    const day = Math.floor(PHOTOS / 86_400_000);
    const tuples = files.map(({ partition, recordCount }) => [...partition, recordCount]);
    expect(tuples.sort()).toEqual(
      [
        [20_454, "eu", day, 2],
        [20_455, "us", day, 1],
        [null, null, day, 1],
      ].sort(),
    );
  });
});

describe("content", () => {
  const picture = randomBytes(300_000);
  const bytesIn = (row: Record<string, unknown> | undefined) =>
    row?.["content"] == null ? row?.["content"] : Buffer.from(row["content"] as Uint8Array);

  test("is the object's bytes as they are up to the bound, and null above it", async () => {
    const zipped = gzipSync("compressed files stay compressed");
    const { fields, rows, failures, loaded } = await register(jobOf({ type: "binary", contentBytesMax: 300_000 }), {
      "a.jpg": { bytes: picture },
      "b.gz": { bytes: zipped },
      "c.mp4": { sizeBytes: 300_001 },
      d: { bytes: Buffer.alloc(0) },
      e: { bytes: Buffer.from("\ufefftext\0") },
    });
    expect(failures).toEqual([]);
    expect(typesOf(fields)).toMatchObject({ content: "binary" });
    const byKey = new Map(rows.map((row) => [row["key"], row]));
    expect(bytesIn(byKey.get("a.jpg"))?.equals(picture)).toBe(true);
    expect(bytesIn(byKey.get("b.gz"))?.equals(zipped)).toBe(true);
    expect(byKey.get("c.mp4")).toMatchObject({ content: null, size_bytes: 300_001n, content_type: "video/mp4" });
    expect(bytesIn(byKey.get("d"))).toHaveLength(0);
    expect(bytesIn(byKey.get("e"))?.toString()).toBe("\ufefftext\0");
    expect(loaded.map(({ bytesRead }) => bytesRead).sort((a, b) => a - b)).toEqual(
      [0, 0, zipped.length && 8, zipped.length, 300_000].sort((a, b) => a - b),
    );
  });

  test("of many objects stays beside their facts, in files of the target size and little memory", async () => {
    const narrow = await scratch({ memoryLimitBytes: 240 * MIB, threads: 2 });
    try {
      const count = 200;
      const noise = randomBytes(64 * MIB);
      // Every object begins with its number; sizes differ, so that scans are cut everywhere.
      const things = Object.fromEntries(
        Array.from({ length: count }, (_, n) => {
          const at = (n * 7_654_321) % (62 * MIB);
          const bytes = Buffer.concat([Buffer.from(`${n}:`), noise.subarray(at, at + 900_000 + 1997 * n)]);
          return [`part=${n % 3}/${n}.bin`, { bytes }];
        }),
      );
      const job = jobOf({ type: "binary", contentBytesMax: 2 * MIB }, { lineage: true, targetFileSizeBytes: 16 * MIB });
      for (const spec of [undefined, partitionedBy(["part", "identity"])]) {
        const { rows, files, failures } = await register(job, things, { scratch: narrow, ...(spec && { spec }) });
        expect(failures).toEqual([]);
        expect(rows).toHaveLength(count);
        for (const row of rows) {
          const content = bytesIn(row) as Buffer;
          const n = Number(content.subarray(0, content.indexOf(":")).toString());
          expect(row).toMatchObject({ name: `${n}.bin`, part: String(n % 3), size_bytes: BigInt(content.length) });
        }
        expect(files.length).toBeGreaterThan(5);
      }
    } finally {
      await narrow.remove();
    }
  });
});

test("ten thousand objects are one data file, in seconds", async () => {
  const count = 10_000;
  const things = Object.fromEntries(
    Array.from({ length: count }, (_, n) => [`images/region=r${n % 7}/2026/01/${1 + (n % 28)}/picture-${n}.jpeg`, {}]),
  );
  const job = jobOf({ type: "metadata", pathDate: "%Y/%m/%d" }, { lineage: true });
  const { rows, files, loaded, seconds } = await register(job, things);
  console.log(`${count} objects registered in ${seconds.toFixed(2)} s`);
  expect(files).toHaveLength(1);
  expect(new Set(rows.map((row) => row["key"])).size).toBe(count);
  expect(loaded).toHaveLength(count);
  expect(seconds).toBeLessThan(20);
});
