// JSON in all its shapes: NDJSON, one array, one document, concatenated documents, records under a path.
// `inspect` reads every record in Node when it must (json-shape.ts); `selects` reads with a seed (json-read.ts), so that a key or kind
// nobody has seen is an error and never dropped.

import type { FormatOptions } from "../../core/config.ts";
import { MoraineError } from "../../core/errors.ts";
import type { NestedField, Schema } from "../../core/iceberg/types.ts";
import type { Inspection, SourceFailure } from "../../core/ports.ts";
import { FILE_COLUMN, type FormatReader, failure, type ReaderContext, type SpooledSource } from "./format.ts";
import { blameBroken, blameMisfits, malformedJson, pathlessJson } from "./json-blame.ts";
import { columnsOfShape } from "./json-columns.ts";
import { JsonFiles, type JsonFormat } from "./json-files.ts";
import { castJson, type ReadType, seedOf, structKeys, type Trust } from "./json-read.ts";
import { keepLastKeys, scanJson, wrapValues } from "./json-rewrite.ts";
import { SEED_KEY, SEED_OPTIONS, SeedBed } from "./json-seed.ts";
import { type Shape, ShapeReader } from "./json-shape.ts";
import { LINEAGE_NAMES } from "./lineage.ts";
import { ident, literal, tableFunction } from "./sql.ts";
import { MISFIT } from "./strict-cast.ts";
import { duckType } from "./types.ts";

export type JsonReaderOptions = Extract<FormatOptions, { readonly type: "json" | "ndjson" }>;

type KeyRead = { readonly key: string; readonly read: ReadType };

export class JsonReader implements FormatReader {
  readonly #context: ReaderContext;
  readonly #files: JsonFiles;
  readonly #seeds: SeedBed;
  readonly #options: JsonReaderOptions;
  /** Source key to column name, where they differ; and what all records hold, once they have been looked at. */
  #renamed: ReadonlyMap<string, string> = new Map();
  #shape: Shape | undefined;
  #trust: Trust = "guess";

  constructor(context: ReaderContext, options: JsonReaderOptions) {
    this.#context = context;
    const path = options.type === "json" ? options.recordsPath : undefined;
    this.#files = new JsonFiles(context.session, path?.split(".") ?? []);
    this.#seeds = new SeedBed(context.directory);
    this.#options = options;
  }

  get #lines(): boolean {
    return this.#options.type === "ndjson";
  }

  async admit(source: SpooledSource, head: Buffer): Promise<SourceFailure | undefined> {
    const first = head.toString("latin1").trimStart()[0];
    if (first === undefined && source.sizeBytes <= head.length) return undefined;
    const { values, duplicateKeys } = this.#options;
    if (values !== true && first !== "{" && first !== "[" && first !== undefined) {
      const message =
        "starts with neither { nor [; records must be JSON objects, or set values: true in the ingestion's format";
      return failure(source, "NOT_JSON_RECORDS", message, { line: 1 });
    }
    const layout = this.#lines && (values === true || first !== "[") ? "lines" : first === "[" ? "list" : "documents";
    // DuckDB takes a list that was cut off after a comma, and a lone brace, for complete.
    const cut = layout === "list" ? source.lastByte !== 0x5d : source.sizeBytes === 1;
    let { sizeBytes } = source;
    if (cut || source.odd || values === true || duplicateKeys === "last") {
      const look = duplicateKeys === "last" ? keepLastKeys : scanJson;
      const fault = await look(source.path, layout, source.roomBytes);
      if (fault !== undefined) return malformedJson(source, fault);
      if (values === true) sizeBytes = await wrapValues(source.path, layout, source.roomBytes);
    }
    this.#files.admit(source, layout, sizeBytes);
    return undefined;
  }

  async inspect(sources: readonly SpooledSource[], known: Schema | undefined): Promise<Inspection> {
    await this.#seeds.clear();
    const failures: SourceFailure[] = [];
    let good = this.#files.admitted(sources);
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
    for (const [format, members] of this.#files.byFormat(sources)) {
      selects.push(await this.#select(format, members, schema));
    }
    return selects;
  }

  fallback(looked: boolean): boolean {
    if (this.#trust === "guess") this.#trust = "unsure";
    else if (this.#trust === "unsure" && looked) this.#trust = "seen";
    else return false;
    return true;
  }

  async blame(sources: readonly SpooledSource[], schema: Schema): Promise<readonly SourceFailure[]> {
    await this.#seeds.clear();
    const { session } = this.#context;
    const admitted = this.#files.admitted(sources);
    const broken = await blameBroken(session, this.#files, admitted);
    if (broken.length > 0) return broken;
    const fields = schema.fields.filter(({ name }) => !LINEAGE_NAMES.has(name));
    const target = { schema: { ...schema, fields }, renamed: this.#renamed };
    return blameMisfits(session, this.#files, admitted, target, this.#lines);
  }

  /** One look at all records of the sources. Failures mean that it has to be done again without those. */
  async #look(sources: readonly SpooledSource[], known: Schema | undefined): Promise<Inspection> {
    const { session, job } = this.#context;
    const reader = new ShapeReader();
    const failures = new Map<number, SourceFailure>();
    const byIndex = new Map(sources.map((source) => [source.source.index, source]));
    const fail = (index: number, ...problem: Problem) => {
      const source = byIndex.get(index);
      if (source !== undefined) failures.set(index, failureOf(source, problem));
    };
    try {
      await this.#readRecords(sources, reader, fail);
      for (const source of await this.#files.pathless(sources)) {
        failures.set(source.source.index, pathlessJson(source, this.#files));
      }
    } catch (error) {
      const broken = await blameBroken(session, this.#files, sources);
      if (broken.length > 0) return { fields: [], failures: broken };
      throw new MoraineError(
        "Invalid",
        "records cannot be read and no source is to blame",
        { sources: sources.length },
        error,
      );
    }
    const columns = columnsOfShape(reader.shape, known?.fields ?? [], job.hints, this.#files.path.length === 0);
    for (const { path, sources: having } of columns.strays) {
      const message =
        "a key cannot be a column: it is empty, holds NUL or differs from another only by case; a table whose schema.hints make the column a string holds such records as JSON text";
      for (const index of having) fail(index, "KEY_COLLISION", message, path);
    }
    this.#renamed = columns.renamed;
    this.#shape = reader.shape;
    return { fields: columns.fields, failures: [...failures.values()] };
  }

  async #readRecords(
    sources: readonly SpooledSource[],
    reader: ShapeReader,
    fail: (index: number, ...problem: Problem) => void,
  ): Promise<void> {
    const byPath = new Map(sources.map((source) => [source.path, source.source.index]));
    // Every text that comes over costs 3 µs, a path as much as a record; of an ENUM only its place comes.
    const file = `CAST(file AS ENUM (${[...byPath.keys()].map(literal).join(", ")}))`;
    for (const query of this.#files.records(sources)) {
      for await (const rows of this.#context.session.stream(
        `SELECT record, ${file} FROM (${query}) AS t(record, file)`,
      )) {
        for (const [record, path] of rows as [string | null, string][]) {
          const index = byPath.get(path) ?? -1;
          const problem = readRecord(reader, record, index);
          if (problem !== undefined) fail(index, ...problem);
        }
      }
    }
  }

  async #select(format: JsonFormat, sources: readonly SpooledSource[], schema: Schema): Promise<string> {
    const keys = new Map([...this.#renamed].map(([key, name]) => [name, key]));
    const columns = schema.fields.filter(({ name }) => !LINEAGE_NAMES.has(name));
    const keyed = columns.map((field) => ({ ...field, name: keys.get(field.name) ?? field.name }));
    await this.#seeds.clear();
    await this.#files.makeExact(sources, keyed);
    const reads = structKeys(keyed, this.#shape, this.#trust);
    const from =
      this.#files.path.length === 0
        ? await this.#seeded(format, sources, reads)
        : await this.#seededUnder(format, sources, reads);
    const positions = new Map(reads.map(({ key }, index) => [key, index]));
    const columnValue = (field: NestedField): string => {
      if (LINEAGE_NAMES.has(field.name)) return `CAST(NULL AS ${duckType(field.type)})`;
      const position = positions.get(keys.get(field.name) ?? field.name) ?? -1;
      return castJson(`k${position}`, field.type, reads[position]?.read ?? "text");
    };
    const values = schema.fields.map((field) => `${columnValue(field)} AS ${ident(field.name)}`);
    return `SELECT ${[...values, FILE_COLUMN].join(", ")} FROM ${from}`;
  }

  /** A FROM item with columns k0, k1, ... for the keys. */
  async #seeded(format: JsonFormat, sources: readonly SpooledSource[], reads: readonly KeyRead[]): Promise<string> {
    const marked = [...reads, { key: SEED_KEY, read: "text" as const }];
    const from = await this.#planted(format, sources, seedOf({ struct: marked }));
    const names = [...reads.map((_, index) => `k${index}`), "seed", FILE_COLUMN];
    return `(SELECT * FROM ${from} AS t(${names.join(", ")}) WHERE seed IS NULL${this.#noRecord(reads)})`;
  }

  /** A null where a record should be reads like one without values: until the records have been looked at, neither is taken. */
  #noRecord(reads: readonly KeyRead[]): string {
    if (this.#shape !== undefined || reads.length === 0) return "";
    const empty = reads.map((_, index) => `k${index} IS NULL`).join(" AND ");
    return ` AND CASE WHEN ${empty} THEN CAST(error(${literal(MISFIT)}) AS BOOLEAN) ELSE true END`;
  }

  /** The same for records under a path. */
  async #seededUnder(
    format: JsonFormat,
    sources: readonly SpooledSource[],
    reads: readonly KeyRead[],
  ): Promise<string> {
    const { path } = this.#files;
    if ((await this.#files.pathless(sources)).length > 0) throw new Error(MISFIT);
    const outer = await this.#files.outerKeys(sources);
    const document = [...path.entries()].reduceRight<ReadType>(
      (inner, [depth, key]) => {
        const others = (outer[depth] ?? []).filter((other) => other !== key);
        const marker = depth === 0 ? [SEED_KEY] : [];
        return {
          struct: [
            { key, read: inner },
            ...[...others, ...marker].map((other): KeyRead => ({ key: other, read: "text" })),
          ],
        };
      },
      { list: { struct: reads } },
    );
    const from = await this.#planted(format, sources, seedOf(document));
    const records = `SELECT unnest(t.${path.map(ident).join(".")}) AS r, ${FILE_COLUMN} FROM ${from} AS t WHERE ${ident(SEED_KEY)} IS NULL`;
    const record = `CASE WHEN r IS NULL THEN error(${literal(MISFIT)}) ELSE r END`;
    const values = reads.map(
      ({ key }, index) => `struct_extract(${index === 0 ? record : "r"}, ${literal(key)}) AS k${index}`,
    );
    return `(SELECT ${[...values, FILE_COLUMN].join(", ")} FROM (${records}))`;
  }

  async #planted(format: JsonFormat, sources: readonly SpooledSource[], seed: string): Promise<string> {
    const paths = await this.#seeds.plant(format, sources, seed);
    return tableFunction("read_json", paths, { ...this.#files.options(format, sources), ...SEED_OPTIONS });
  }
}

type Problem = [reason: string, message: string, column?: string];

function failureOf(source: SpooledSource, [reason, message, column]: Problem): SourceFailure {
  return failure(source, reason, message, column === undefined ? {} : { column });
}

function readRecord(reader: ShapeReader, record: string | null, source: number): Problem | undefined {
  if (record?.[0] !== "{")
    return [
      "NOT_JSON_RECORDS",
      "holds a record that is no JSON object; set values: true in the ingestion's format to load it",
    ];
  try {
    const twice = reader.add(record, source);
    return twice === undefined
      ? undefined
      : ["DUPLICATE_KEY", "an object has the same key twice; set duplicateKeys: last to take the last", twice];
  } catch {
    return ["MALFORMED_JSON", "a record is not valid JSON; correct the file"];
  }
}
