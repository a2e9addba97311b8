// One case of the fuzzer, all of it from one seed: a sound file of some format, damaged, goes through the whole converter beside a sound one.
// It must fail with a reason, be reported as not fitting, or load with all its rows, those in the quarantine counted: as many rows in the data
// files as are accounted for, and the neighbour's among them.

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { DuckDBInstance } from "@duckdb/node-api";
import { pack } from "tar-stream";
import type { BadRowPolicy, FormatOptions } from "../../lambdas/core/config.ts";
import { RESCUED_DATA } from "../../lambdas/core/iceberg/schema.ts";
import type { Schema } from "../../lambdas/core/iceberg/types.ts";
import type { Treatment } from "../../lambdas/core/ports.ts";
import { zip } from "../../lib/zip.ts";
import { avroOf } from "../contract/converter/avro-files.ts";
import {
  type Converted,
  convertAll,
  csv,
  jobOf,
  metadataOf,
  type Scratch,
  schemaOf,
} from "../contract/converter/harness.ts";
import { SeededRandom } from "../fakes/seeded-random.ts";

interface Sound {
  readonly name: string;
  readonly format: FormatOptions;
  readonly bytes: Buffer;
  /** A good file with a column of its own, so that no type of the damaged one concerns it. */
  readonly neighbour: Buffer;
}

const NEIGHBOUR_ROWS = 3;
const POLICIES: readonly BadRowPolicy["onBadRow"][] = ["reject_file", "quarantine", "rescue"];
const RESCUE: Treatment = { rescue: true, routes: [] };

const PACKINGS: readonly (readonly [string, (bytes: Buffer) => Buffer | Promise<Buffer>])[] = [
  ["+gzip", (bytes) => gzipSync(bytes)],
  ["+zstd", (bytes) => zstdCompressSync(bytes)],
  ["+zip", (bytes) => Buffer.from(zip([{ name: "a", bytes: new Uint8Array(bytes) }]))],
  ["+tar", tarOf],
  ["+tar.gz", async (bytes) => gzipSync(await tarOf(bytes))],
];

async function tarOf(bytes: Buffer): Promise<Buffer> {
  const archive = pack();
  archive.entry({ name: "a", mtime: new Date(0) }, bytes);
  archive.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of archive) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

export interface CaseResult {
  /** What was done to which file, for whoever repeats it. */
  readonly story: string;
  readonly outcome: string;
  readonly violations: readonly string[];
}

export async function soundFiles(): Promise<readonly Sound[]> {
  const rows = Array.from({ length: 400 }, (_, i) => rowOf(i));
  const lines = (items: readonly unknown[]) => items.map((item) => JSON.stringify(item)).join("\n");
  const neighbour = Array.from({ length: NEIGHBOUR_ROWS }, (_, i) => ({ neighbour: i }));
  const table = `id,name,at,price,note\n${rows.map((row) => csvLine(row)).join("\n")}\n`;
  const csvNeighbour = Buffer.from(`neighbour\n${neighbour.map((row) => row.neighbour).join("\n")}\n`);
  const text: Sound[] = [
    { name: "csv", format: csv, bytes: Buffer.from(table), neighbour: csvNeighbour },
    {
      name: "tsv",
      format: { ...csv, type: "tsv", delimiter: "\t" },
      bytes: Buffer.from(table.replaceAll(",", "\t")),
      neighbour: csvNeighbour,
    },
    json("ndjson", { type: "ndjson" }, lines(rows), lines(neighbour)),
    json("json list", { type: "json" }, JSON.stringify(rows, null, 1), JSON.stringify(neighbour)),
    json(
      "json path",
      { type: "json", recordsPath: "r" },
      JSON.stringify({ a: 1, r: rows }),
      JSON.stringify({ r: neighbour }),
    ),
    json(
      "json values",
      { type: "json", values: true, duplicateKeys: "last" },
      JSON.stringify([...rows, 1, "x"]),
      JSON.stringify(neighbour),
    ),
  ];
  return [...text, ...avroFiles(rows, neighbour), ...(await parquetFiles())];
}

function json(name: string, format: FormatOptions, text: string, neighbour: string): Sound {
  return { name, format, bytes: Buffer.from(text), neighbour: Buffer.from(neighbour) };
}

function avroFiles(rows: readonly Record<string, unknown>[], neighbour: readonly object[]): Sound[] {
  const geo = {
    type: "record",
    name: "geo",
    fields: [
      { name: "lat", type: "double" },
      { name: "deep", type: { type: "array", items: { type: "map", values: "int" } } },
    ],
  };
  const fields = { id: "int", name: "string", price: "double", note: ["null", "string"], tags: STRINGS, geo };
  const neighbours = avroOf(recordOf({ neighbour: "int" }), neighbour);
  return ["null", "deflate", "snappy", "zstandard"].map((codec) => {
    const bytes = avroOf(recordOf(fields), rows, { codec });
    return { name: `avro ${codec}`, format: { type: "avro" }, bytes, neighbour: neighbours };
  });
}

const STRINGS = { type: "array", items: "string" };

function recordOf(fields: Readonly<Record<string, unknown>>): object {
  return { type: "record", name: "row", fields: Object.entries(fields).map(([name, type]) => ({ name, type })) };
}

function rowOf(i: number): Record<string, unknown> {
  return {
    id: i,
    name: `näme "${i}", \u{1f30d}`,
    at: new Date(1.7e12 + i * 1e7).toISOString(),
    price: i / 8,
    note: i % 7 === 0 ? null : "x".repeat(i % 30),
    tags: i % 3 === 0 ? [] : [`t${i % 5}`, "u"],
    geo: { lat: i / 3, deep: [{ k: i }] },
  };
}

function csvLine(row: Record<string, unknown>): string {
  const name = `"${String(row["name"]).replaceAll('"', '""')}"`;
  return [row["id"], name, row["at"], row["price"], row["note"] ?? ""].join(",");
}

async function parquetFiles(): Promise<Sound[]> {
  const directory = mkdtempSync(join(tmpdir(), "moraine-fuzz-"));
  const connection = await (await DuckDBInstance.create(":memory:", { threads: "1" })).connect();
  const made = async (select: string, options: string): Promise<Buffer> => {
    await connection.run(`COPY (${select}) TO '${directory}/made.parquet' (FORMAT parquet, ${options})`);
    return readFileSync(`${directory}/made.parquet`);
  };
  const select = `SELECT range id, 'name ' || range % 9 AS name, range % 2 = 0 AS flag, range / 7.0 AS price,
    (range / 3)::DECIMAL(20, 3) AS cost, TIMESTAMPTZ '2024-01-01' + to_seconds(range) AS at, DATE '2024-01-01' + range::INTEGER AS day,
    [range, range + 1] AS items, {'a': range, 'b': ['x']} AS pair, MAP {'k': range} AS keyed, encode('b' || range) AS bytes FROM range(300)`;
  const neighbour = await made(`SELECT range AS neighbour FROM range(${NEIGHBOUR_ROWS})`, "COMPRESSION zstd");
  const files: Sound[] = [];
  for (const compression of ["zstd", "snappy", "uncompressed", "gzip"]) {
    for (const version of ["V1", "V2"]) {
      const bytes = await made(select, `COMPRESSION ${compression}, PARQUET_VERSION ${version}, ROW_GROUP_SIZE 2048`);
      files.push({ name: `parquet ${compression} ${version}`, format: { type: "parquet" }, bytes, neighbour });
    }
  }
  rmSync(directory, { recursive: true, force: true });
  return files;
}

export async function playCase(work: Scratch, sounds: readonly Sound[], seed: number): Promise<CaseResult> {
  const random = new SeededRandom(seed);
  const below = (limit: number) => Math.floor(random.fraction() * limit);
  const sound = sounds[below(sounds.length)] as Sound;
  const { bytes, how } = below(6) === 0 ? damagedMember(sound, below) : await damagedFile(sound, below);
  const known = below(2) === 0 ? await tableOf(work, sound) : undefined;
  const onBadRow = POLICIES[below(POLICIES.length)] as BadRowPolicy["onBadRow"];
  const rescue = below(2) === 0;
  const table = known === undefined ? "new table" : "table is there";
  const story = `${sound.name}${how}, ${table}, ${onBadRow}${rescue ? ", values rescued" : ""}`;
  const first = below(2) === 0;
  const files = first ? { damaged: bytes, neighbour: sound.neighbour } : { neighbour: sound.neighbour, damaged: bytes };
  try {
    const job = jobOf(sound.format, { badRows: { onBadRow, shareMax: 0.1 } });
    const converted = await convertAll(work, job, files, {
      ...(known === undefined ? {} : { known }),
      ...(rescue ? { treat: () => RESCUE, adds: [{ name: RESCUED_DATA, type: "string" as const }] } : {}),
    });
    const { failures, misfits, loaded, result } = converted;
    const damaged = first ? 0 : 1;
    const outcome = failures.find(({ index }) => index === damaged)?.reason ?? fateOf(converted, damaged);
    let landed = 0;
    for (const file of result.files) landed += Number((await metadataOf(file)).num_rows);
    const accounted = Object.values(loaded).reduce((sum, rows) => sum + rows, 0);
    const violations: string[] = [];
    if (loaded[1 - damaged] !== NEIGHBOUR_ROWS) violations.push(`the neighbour has ${loaded[1 - damaged]} rows`);
    if (landed !== accounted) violations.push(`${landed} rows landed, ${accounted} are accounted for`);
    // What is reported may fail, or load, once it is treated.
    const settled = [...failures, ...result.loaded].map(({ index }) => index);
    const fates = new Set([...settled, ...misfits.map(({ index }) => index)]);
    if (new Set(settled).size !== settled.length || fates.size !== 2) violations.push("a file has no fate, or two");
    for (const { message } of failures) {
      if (!/[;:] /.test(message)) violations.push(`a failure has no remedy: ${message}`);
    }
    return { story, outcome, violations };
  } catch (error) {
    return { story, outcome: "THROWN", violations: [String(error), String((error as Error).cause ?? "")] };
  }
}

function fateOf({ result, misfits }: Converted, index: number): string {
  const own = result.loaded.find((source) => source.index === index);
  if (own === undefined) return misfits.length > 0 ? "MISFITS" : "NOTHING";
  return own.quarantined > 0 ? "LOADED, QUARANTINED" : own.rescued > 0 ? "LOADED, RESCUED" : "LOADED";
}

type Below = (limit: number) => number;

/** Packed perhaps, then damaged. */
async function damagedFile(sound: Sound, below: Below): Promise<{ readonly bytes: Buffer; readonly how: string }> {
  const packing = PACKINGS[below(3 * PACKINGS.length)];
  const { bytes, how } = damage(await (packing?.[1] ?? ((bytes: Buffer) => bytes))(sound.bytes), below);
  return { bytes, how: `${packing?.[0] ?? ""}, ${how}` };
}

/** Damaged, then packed beside a sound file. */
function damagedMember(sound: Sound, below: Below): { readonly bytes: Buffer; readonly how: string } {
  const { bytes, how } = damage(sound.bytes, below);
  const members = [
    { name: "damaged", bytes },
    { name: "sound", bytes: sound.neighbour },
  ];
  const packed = zip(members.map((member) => ({ ...member, bytes: new Uint8Array(member.bytes) })));
  return { bytes: Buffer.from(packed), how: ` in a zip, ${how}` };
}

const tables = new Map<string, Schema>();

/** The table that the sound file and its neighbour would have made. */
async function tableOf(work: Scratch, sound: Sound): Promise<Schema> {
  const known = tables.get(sound.name);
  if (known !== undefined) return known;
  const files = { sound: sound.bytes, neighbour: sound.neighbour };
  const { inspection, failures } = await convertAll(work, jobOf(sound.format), files);
  if (failures.length > 0) throw new Error(`${sound.name}: a sound file fails: ${failures[0]?.message}`);
  const schema = schemaOf(inspection.fields);
  tables.set(sound.name, schema);
  return schema;
}

function damage(sound: Buffer, below: Below): { readonly bytes: Buffer; readonly how: string } {
  const kind = below(6);
  const at = below(sound.length);
  const length = 1 + below(Math.min(64, sound.length - at));
  const [before, cut, after] = [sound.subarray(0, at), sound.subarray(at, at + length), sound.subarray(at + length)];
  switch (kind) {
    case 0:
      return { bytes: Buffer.from(before), how: `cut off at byte ${at}` };
    case 1:
      return { bytes: Buffer.concat([before, after]), how: `${length} bytes missing at ${at}` };
    case 2:
      return { bytes: Buffer.concat([before, cut, cut, after]), how: `${length} bytes twice at ${at}` };
    default: {
      const bytes = Buffer.from(sound);
      const flips = kind === 3 ? 1 : 1 + below(16);
      // The ends of a file, where footers and headers are, as often as all the rest.
      const near = kind === 4 ? Math.min(600, bytes.length) : bytes.length;
      for (let flip = 0; flip < flips; flip++) {
        const place = bytes.length - near + below(near);
        bytes[place] = (bytes[place] as number) ^ (1 << below(8));
      }
      return { bytes, how: `${flips} bits flipped${kind === 4 ? " near the end" : ""}` };
    }
  }
}
