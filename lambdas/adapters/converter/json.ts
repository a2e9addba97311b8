// JSON in all its shapes: NDJSON, one array, one document, concatenated documents, records under a path.
// `inspect` reads every record in Node when it must (json-shape.ts); `selects` reads with a seed (json-read.ts), so that a key or kind
// nobody has seen is an error and never dropped.

import { open, writeFile } from "node:fs/promises";
import { parseType } from "../../core/iceberg/schema.ts";
import type { DraftField, NestedField, Schema } from "../../core/iceberg/types.ts";
import type { Inspection, SourceFailure } from "../../core/ports.ts";
import { FILE_COLUMN, type FormatReader, failure, type ReaderContext, type SpooledSource } from "./format.ts";
import { blameJson } from "./json-blame.ts";
import { castJson, type ReadType, seedOf, structKeys } from "./json-read.ts";
import { type Shape, ShapeReader } from "./json-shape.ts";
import { fieldsOfShape, strayKeys } from "./json-types.ts";
import { LINEAGE_NAMES, reservedNames } from "./lineage.ts";
import { ident, literal, tableFunction } from "./sql.ts";
import { MISFIT } from "./strict-cast.ts";
import { duckType } from "./types.ts";

export type JsonFormat = "array" | "newline_delimited" | "unstructured";

/** Room for a seed before the records of a large file: with the seed in a file of its own DuckDB reads the large one with one thread. */
export const SEED_ROOM_BYTES = 64 * 1024;
export const SEED_ROOM_MATTERS_BYTES = 8 * 1024 * 1024;
const SEED_KEY = "__moraine_seed";
const OBJECT_BYTES_MIN = 16 * 1024 * 1024;

/** Columns that are read, and the source keys each comes from. */
interface Plan {
  /** Source key to column name, where they differ. */
  readonly renamed: ReadonlyMap<string, string>;
  readonly shape: Shape | undefined;
}

export class JsonReader implements FormatReader {
  readonly #context: ReaderContext;
  readonly #path: readonly string[];
  readonly #lines: boolean;
  readonly #formats = new Map<SpooledSource, JsonFormat>();
  #plan: Plan = { renamed: new Map(), shape: undefined };
  #seeds = 0;
  /** The source whose room holds a seed now. */
  #planted: SpooledSource | undefined;
  #checked = true;

  constructor(context: ReaderContext, options: { readonly lines: boolean; readonly recordsPath?: string | undefined }) {
    this.#context = context;
    this.#lines = options.lines;
    this.#path = options.recordsPath === undefined ? [] : options.recordsPath.split(".");
  }

  async admit(source: SpooledSource, head: Buffer): Promise<SourceFailure | undefined> {
    const first = head.toString("latin1").trimStart()[0];
    if (first === undefined && source.sizeBytes <= head.length) return undefined;
    if (first !== "{" && first !== "[" && first !== undefined) {
      return failure(source, "NOT_JSON_RECORDS", `starts with neither { nor [; records must be JSON objects`, {
        line: 1,
      });
    }
    // DuckDB takes a list that was cut off after a comma, and a lone brace, for complete.
    const cut = first === "[" ? source.lastByte !== 0x5d : source.sizeBytes === 1;
    if (cut) return failure(source, "MALFORMED_JSON", "ends in the middle of its records; upload it again");
    this.#formats.set(source, first === "[" ? "array" : this.#lines ? "newline_delimited" : "unstructured");
    return undefined;
  }

  async inspect(sources: readonly SpooledSource[], known: Schema | undefined): Promise<Inspection> {
    const failures: SourceFailure[] = [];
    await this.#clearRoom();
    let good = sources.filter((source) => this.#formats.has(source));
    for (;;) {
      const outcome = await this.#look(good, known);
      failures.push(...outcome.failures);
      if (outcome.failures.length === 0) return { fields: outcome.fields, failures };
      const bad = new Set(outcome.failures.map(({ index }) => index));
      good = good.filter(({ source }) => !bad.has(source.index));
    }
  }

  async selects(sources: readonly SpooledSource[], schema: Schema): Promise<readonly string[]> {
    const selects: string[] = [];
    for (const [format, members] of this.#byFormat(sources)) selects.push(await this.#select(format, members, schema));
    return selects;
  }

  /** Large doubles are refused until all records have been looked at and none was a rounded whole number. */
  fallback(): boolean {
    const checked = this.#checked;
    this.#checked = false;
    return checked;
  }

  async blame(sources: readonly SpooledSource[], schema: Schema): Promise<readonly SourceFailure[]> {
    await this.#clearRoom();
    const admitted = sources.filter((source) => this.#formats.has(source));
    const targets = { ...schema, fields: schema.fields.filter(({ name }) => !LINEAGE_NAMES.has(name)) };
    return this.#blame(admitted, targets);
  }

  async #blame(sources: readonly SpooledSource[], schema: Schema | undefined): Promise<SourceFailure[]> {
    const read = (members: readonly SpooledSource[]) => this.#records(members);
    const blamed = await blameJson(this.#context.session, sources, read, undefined, new Map(), this.#lines);
    if (blamed.length > 0) return blamed;
    const pathless = await this.#pathless(sources);
    if (pathless.length > 0 || schema === undefined) return pathless;
    return blameJson(this.#context.session, sources, read, schema, this.#plan.renamed, this.#lines);
  }

  /** Sources with a document that has no list where the records should be. */
  async #pathless(sources: readonly SpooledSource[]): Promise<SourceFailure[]> {
    if (this.#path.length === 0) return [];
    const paths = new Set<string>();
    for (const [format, members] of this.#byFormat(sources)) {
      const kind = `json_type(json, ${literal(pathOf(this.#path))})`;
      const from = tableFunction(
        "read_json_objects",
        members.map(({ path }) => path),
        this.#options(format, members),
      );
      const rows = await this.#context.session.rows(
        `SELECT DISTINCT ${FILE_COLUMN} AS path FROM ${from} WHERE ${kind} IS NULL OR ${kind} NOT IN ('ARRAY', 'NULL')`,
      );
      for (const row of rows) paths.add(String(row["path"]));
    }
    const message = `a document has no list at ${this.#path.join(".")}; correct the ingestion's recordsPath`;
    return sources.filter(({ path }) => paths.has(path)).map((source) => failure(source, "RECORDS_NOT_FOUND", message));
  }

  async #look(sources: readonly SpooledSource[], known: Schema | undefined): Promise<Inspection> {
    const byIndex = new Map(sources.map((source) => [source.source.index, source]));
    const byPath = new Map(sources.map((source) => [source.path, source.source.index]));
    const reader = new ShapeReader();
    const failures = new Map<number, SourceFailure>();
    const fail = (index: number, reason: string, message: string, column?: string) => {
      const source = byIndex.get(index);
      if (source !== undefined)
        failures.set(index, failure(source, reason, message, column === undefined ? {} : { column }));
    };
    try {
      for (const query of this.#records(sources)) {
        for await (const rows of this.#context.session.stream(query)) {
          for (const [record, path] of rows as [string | null, string][]) {
            const index = byPath.get(path) ?? -1;
            const problem = readRecord(reader, record, index);
            if (problem !== undefined) fail(index, ...problem);
          }
        }
      }
    } catch (error) {
      const blamed = await this.#blame(sources, undefined);
      if (blamed.length === 0) throw error;
      return { fields: [], failures: blamed };
    }
    for (const pathless of await this.#pathless(sources)) failures.set(pathless.index, pathless);
    const { fields, renamed } = this.#columnsOf(reader.shape, known, fail);
    this.#plan = { renamed, shape: reader.shape };
    return { fields, failures: [...failures.values()] };
  }

  /** Columns of the records, hints first, then the table's types. Keys that cannot be columns get another name or are refused. */
  #columnsOf(
    shape: Shape,
    known: Schema | undefined,
    fail: (index: number, reason: string, message: string, column?: string) => void,
  ): { fields: DraftField[]; renamed: Map<string, string> } {
    const hinted = Object.entries(this.#context.job.hints).map(([name, text]): NestedField => {
      return { id: 0, name, required: false, type: parseType(text) };
    });
    const table = (known?.fields ?? []).filter(({ name }) => !LINEAGE_NAMES.has(name));
    const names = new Set(hinted.map(({ name }) => name));
    const fields = fieldsOfShape(shape, [...hinted, ...table.filter(({ name }) => !names.has(name))]);
    const renamed = this.#renamedKeys(shape, fields);
    const byKey = new Map([...renamed].map(([key, name]) => [name, key]));
    for (const { path, sources } of strayKeys(
      shape,
      fields.map((field) => ({ ...field, name: byKey.get(field.name) ?? field.name })),
    )) {
      for (const index of sources)
        fail(
          index,
          "KEY_COLLISION",
          "a key cannot be a column: it is empty, holds NUL or differs from another only by case",
          path,
        );
    }
    const reserved = new Map([...renamed].filter(([key]) => LINEAGE_NAMES.has(key)));
    return { fields: fields.map((field) => ({ ...field, name: reserved.get(field.name) ?? field.name })), renamed };
  }

  /** Source keys whose column has another name: the table's spelling, or a name beside the lineage columns. */
  #renamedKeys(shape: Shape, fields: readonly DraftField[]): Map<string, string> {
    const renamed = new Map<string, string>();
    for (const name of reservedNames(this.#context.job)) if (shape.fields?.has(name)) renamed.set(name, `${name}_1`);
    if (this.#path.length > 0) return renamed;
    for (const { name } of fields) {
      if (shape.fields?.has(name) === true) continue;
      const keys = [...(shape.fields?.keys() ?? [])].filter((key) => key.toLowerCase() === name.toLowerCase());
      if (keys.length === 1) renamed.set(keys[0] as string, name);
    }
    return renamed;
  }

  #byFormat(sources: readonly SpooledSource[]): Map<JsonFormat, SpooledSource[]> {
    const groups = new Map<JsonFormat, SpooledSource[]>();
    for (const source of sources) {
      const format = this.#formats.get(source);
      if (format !== undefined) groups.set(format, [...(groups.get(format) ?? []), source]);
    }
    return groups;
  }

  /** Queries that give every record as JSON text, and its file. */
  #records(sources: readonly SpooledSource[]): string[] {
    return [...this.#byFormat(sources)].map(([format, members]) => {
      const paths = members.map(({ path }) => path);
      const from = tableFunction("read_json_objects", paths, { ...this.#options(format, members) });
      if (this.#path.length === 0) return `SELECT json::VARCHAR, ${FILE_COLUMN} FROM ${from}`;
      return `SELECT unnest(json_extract(json, ${literal(`${pathOf(this.#path)}[*]`)}))::VARCHAR, ${FILE_COLUMN} FROM ${from}`;
    });
  }

  async #select(format: JsonFormat, sources: readonly SpooledSource[], schema: Schema): Promise<string> {
    const { renamed, shape } = this.#plan;
    const keyOf = new Map([...renamed].map(([key, name]) => [name, key]));
    const columns = schema.fields.filter(({ name }) => !LINEAGE_NAMES.has(name));
    const keyed = columns.map((field) => ({ ...field, name: keyOf.get(field.name) ?? field.name }));
    const reads = structKeys(keyed, shape, this.#checked);
    const from = await this.#seeded(format, sources, reads);
    const positions = new Map(reads.map(({ key }, index) => [key, index]));
    const values = schema.fields.map((field) => {
      if (LINEAGE_NAMES.has(field.name)) return `CAST(NULL AS ${duckType(field.type)}) AS ${ident(field.name)}`;
      const position = positions.get(keyOf.get(field.name) ?? field.name) ?? -1;
      const read = reads[position]?.read ?? "text";
      return `${castJson(`k${position}`, field.type, read)} AS ${ident(field.name)}`;
    });
    return `SELECT ${[...values, FILE_COLUMN].join(", ")} FROM ${from}`;
  }

  /** A FROM item with columns k0, k1, ... for the keys. */
  async #seeded(
    format: JsonFormat,
    sources: readonly SpooledSource[],
    reads: readonly { readonly key: string; readonly read: ReadType }[],
  ): Promise<string> {
    const record = seedOf({ struct: reads });
    const names = reads.map((_, index) => `k${index}`);
    if (this.#path.length > 0) return this.#seededUnder(format, sources, reads, record);
    const seed = `${record.slice(0, -1)}${record === "{}" ? "" : ","}${JSON.stringify(SEED_KEY)}:"x"}`;
    const paths = await this.#plant(format, sources, seed);
    const from = tableFunction("read_json", paths, { ...this.#options(format, sources), ...SEED_OPTIONS });
    return `(SELECT * FROM ${from} AS t(${[...names, "seed", FILE_COLUMN].join(", ")}) WHERE seed IS NULL)`;
  }

  async #seededUnder(
    format: JsonFormat,
    sources: readonly SpooledSource[],
    reads: readonly { readonly key: string; readonly read: ReadType }[],
    record: string,
  ): Promise<string> {
    if ((await this.#pathless(sources)).length > 0) throw new Error(MISFIT);
    const outer = await this.#outerKeys(format, sources);
    let document = `[${record}]`;
    for (const [depth, key] of [...this.#path.entries()].reverse()) {
      const others = (outer[depth] ?? [])
        .filter((other) => other !== key)
        .map((other) => `,${JSON.stringify(other)}:"x"`);
      const marker = depth === 0 ? `,${JSON.stringify(SEED_KEY)}:"x"` : "";
      document = `{${JSON.stringify(key)}:${document}${others.join("")}${marker}}`;
    }
    const paths = await this.#plant(format, sources, document);
    const from = tableFunction("read_json", paths, { ...this.#options(format, sources), ...SEED_OPTIONS });
    const records = this.#path.map(ident).join(".");
    const values = reads.map(({ key }, index) => `struct_extract(r, ${literal(key)}) AS k${index}`);
    return `(SELECT ${[...values, FILE_COLUMN].join(", ")} FROM (SELECT unnest(t.${records}) AS r, ${FILE_COLUMN} FROM ${from} AS t WHERE ${ident(SEED_KEY)} IS NULL))`;
  }

  /** Keys beside the records, level by level: they are no columns, and must not be taken for unknown ones. */
  async #outerKeys(format: JsonFormat, sources: readonly SpooledSource[]): Promise<string[][]> {
    const from = tableFunction(
      "read_json_objects",
      sources.map(({ path }) => path),
      this.#options(format, sources),
    );
    const levels: string[][] = [];
    for (const depth of this.#path.keys()) {
      const path = pathOf(this.#path.slice(0, depth));
      const rows = await this.#context.session.rows(
        `SELECT DISTINCT unnest(json_keys(json, ${literal(path)})) AS key FROM ${from}`,
      );
      levels.push(rows.map((row) => String(row["key"])));
    }
    return levels;
  }

  async #clearRoom(): Promise<void> {
    const planted = this.#planted;
    if (planted === undefined) return;
    await writeAtStart(planted.path, roomHolding(""));
    this.#planted = undefined;
  }

  /** Puts the seed where DuckDB meets it first, and returns the paths to read. */
  async #plant(format: JsonFormat, sources: readonly SpooledSource[], seed: string): Promise<string[]> {
    const roomy = format === "newline_delimited" ? sources.find(({ roomBytes }) => roomBytes > 0) : undefined;
    await this.#clearRoom();
    if (roomy !== undefined && Buffer.byteLength(seed) < roomy.roomBytes) {
      await writeAtStart(roomy.path, roomHolding(seed));
      this.#planted = roomy;
      return [roomy.path, ...sources.filter((source) => source !== roomy).map(({ path }) => path)];
    }
    const path = `${this.#context.directory}/seed-${++this.#seeds}.json`;
    await writeFile(path, format === "array" ? `[${seed}]` : seed);
    return [path, ...sources.map((source) => source.path)];
  }

  #options(format: JsonFormat, sources: readonly SpooledSource[]): Record<string, string> {
    const largest = format === "newline_delimited" ? 0 : Math.max(...sources.map(({ sizeBytes }) => sizeBytes));
    return {
      format: literal(format),
      filename: literal(FILE_COLUMN),
      maximum_object_size: String(Math.max(OBJECT_BYTES_MIN, largest + 1)),
    };
  }
}

type Problem = [reason: string, message: string, column?: string];

function readRecord(reader: ShapeReader, record: string | null, source: number): Problem | undefined {
  if (record?.[0] !== "{") return ["NOT_JSON_RECORDS", "holds a record that is no JSON object"];
  try {
    const twice = reader.add(record, source);
    return twice === undefined ? undefined : ["DUPLICATE_KEY", "an object has the same key twice", twice];
  } catch {
    return ["MALFORMED_JSON", "a record is not valid JSON; correct the file"];
  }
}

/** One line: the seed and spaces. */
function roomHolding(seed: string): Buffer {
  const room = Buffer.alloc(SEED_ROOM_BYTES, " ");
  room.write(seed);
  room[SEED_ROOM_BYTES - 1] = 0x0a;
  return room;
}

async function writeAtStart(path: string, bytes: Buffer): Promise<void> {
  const file = await open(path, "r+");
  try {
    await file.write(bytes, 0, bytes.length, 0);
  } finally {
    await file.close();
  }
}

function pathOf(keys: readonly string[]): string {
  return `$${keys.map((key) => `.${JSON.stringify(key)}`).join("")}`;
}

const SEED_OPTIONS = { maximum_sample_files: "1", sample_size: "1", map_inference_threshold: "-1" };
