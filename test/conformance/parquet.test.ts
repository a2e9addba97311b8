// Apache's parquet-testing: files of many writers, encodings and codecs, variants, and files that broke other readers. What lands must be what
// DuckDB reads from the same file by itself, and, where it can, what hyparquet reads, which shares no code with it.

import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { gunzipSync, zstdDecompressSync } from "node:zlib";
import { DuckDBInstance } from "@duckdb/node-api";
import { parquetReadObjects } from "hyparquet";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bytesOf, type Converted, convertAll, jobOf, type Scratch, scratch } from "../contract/converter/harness.ts";

const folder = new URL("../../../shared/data/parquet-testing/", import.meta.url).pathname;

/** Files that cannot be read, and why. All others must land. */
const REFUSED: Readonly<Record<string, string>> = {
  "data/byte_stream_split_extended.gzip.parquet": "UNSUPPORTED_PARQUET",
  "data/hadoop_lz4_compressed.parquet": "UNSUPPORTED_PARQUET",
  // A timestamp of the year -226414.
  "data/int96_from_spark.parquet": "TIMESTAMP_OUT_OF_RANGE",
};
/**
 * Bad files that are read all the same, with as many rows as their footers say: the places where they break the format (a dictionary index
 * of no bits, levels of repetition) show only to who decodes pages.
 */
const READ_ALL_THE_SAME = new Set([
  "bad_data/ARROW-GH-43605.parquet",
  "bad_data/ARROW-GH-45185.parquet",
  "bad_data/ARROW-RS-GH-6229-LEVELS.parquet",
]);

let work: Scratch;
const outcomes = new Map<string, number>();
beforeAll(async () => {
  work = await scratch();
});
afterAll(async () => {
  await work.remove();
  const lines = [...outcomes].sort().map(([outcome, files]) => `${String(files).padStart(4)}  ${outcome}`);
  process.stdout.write(`parquet-testing, files by outcome:\n${lines.join("\n")}\n`);
});

if (!existsSync(folder)) {
  test("NOT RUN: ../shared/data/parquet-testing is not there", () => expect(existsSync(folder)).toBe(false));
} else {
  const names = readdirSync(folder, { recursive: true })
    .map(String)
    .filter((name) => name.endsWith(".parquet"))
    .sort();
  const under = (...folders: readonly string[]) => names.filter((name) => folders.some((of) => name.startsWith(of)));
  const neighbour = readFileSync(`${folder}data/int32_with_null_pages.parquet`);
  const neighbourRows = 1000;

  async function convert(name: string): Promise<Converted> {
    const alone = { [name]: readFileSync(folder + name) };
    const both = await convertAll(work, jobOf({ type: "parquet" }), { ...alone, "neighbour.parquet": neighbour });
    expect(both.loaded[1]).toBe(neighbourRows);
    const converted = await convertAll(work, jobOf({ type: "parquet" }), alone);
    expect(converted.failures.length + Object.keys(converted.loaded).length).toBe(1);
    const outcome = `${name.split("/")[0]}: ${converted.failures[0]?.reason ?? "landed"}`;
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    return converted;
  }

  /** All rows as JSON text, by a DuckDB of the test's own. */
  async function rowsOf(paths: readonly string[]): Promise<string[]> {
    const connection = await (await DuckDBInstance.create(":memory:")).connect();
    await connection.run("SET TimeZone = 'UTC'; SET enable_geoparquet_conversion = false");
    const list = paths.map((path) => `'${path}'`).join(", ");
    const reader = await connection.runAndReadAll(`SELECT to_json(t)::VARCHAR FROM read_parquet([${list}]) AS t`);
    return reader
      .getRows()
      .map(([row]) => String(row))
      .sort();
  }

  describe("files that are sound", () => {
    test.each(under("data/"))("%s lands as DuckDB reads it, or fails with a remedy", async (name) => {
      const { failures, result } = await convert(name);
      expect(failures.map(({ reason }) => reason)).toEqual(name in REFUSED ? [REFUSED[name]] : []);
      if (failures.length > 0) {
        expect(failures[0]?.message).toMatch(/; (write|correct) /);
        return;
      }
      const paths: string[] = [];
      for (const [i, file] of result.files.entries()) {
        const path = `${work.directory}/landed-${i}.parquet`;
        writeFileSync(path, await bytesOf(file));
        paths.push(path);
      }
      expect(await rowsOf(paths)).toEqual(await rowsOf([folder + name]));
    });

    // Of geometries it makes GeoJSON.
    const theirs = under("data/").filter((name) => !(name in REFUSED) && !name.includes("geospatial"));
    test.each(theirs)("%s lands as hyparquet reads it", async (name) => {
      const bytes = readFileSync(folder + name);
      const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer;
      const compressors = { GZIP: unzip(gunzipSync), ZSTD: unzip(zstdDecompressSync) };
      let expected: Record<string, unknown>[];
      try {
        expected = await parquetReadObjects({ file: buffer, compressors, utf8: false });
      } catch (error) {
        // It has no LZ4.
        expect(String(error)).toMatch(/unsupported/);
        return;
      }
      const { rows } = await convertAll(work, jobOf({ type: "parquet" }), { [name]: bytes });
      expect(rows.map(plain).sort()).toEqual(expected.map(plain).sort());
    });
  });

  test.each(under("shredded_variant/"))("%s is refused: there is no type for a variant", async (name) => {
    const { failures } = await convert(name);
    expect(failures).toMatchObject([{ reason: "UNSUPPORTED_PARQUET", message: expect.stringContaining("JSON text") }]);
  });

  test.each(under("bad_data/"))("%s fails with a reason, or keeps its rows", async (name) => {
    const { failures, rows, loaded } = await convert(name);
    if (READ_ALL_THE_SAME.has(name)) expect(rows).toHaveLength(loaded[0] ?? -1);
    else expect(failures).toMatchObject([{ reason: "UNREADABLE_PARQUET" }]);
  });
}

function unzip(inflate: (input: Uint8Array) => Uint8Array) {
  return (input: Uint8Array): Uint8Array => new Uint8Array(inflate(input));
}

/** Whole numbers of any width are the same number, and absent is null. */
function plain(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) => {
    if (typeof inner === "bigint") return Number(inner);
    if (inner instanceof Uint8Array) return Buffer.from(inner).toString("hex");
    return inner === undefined ? null : inner;
  });
}
