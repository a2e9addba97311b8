// The formats that make one row of each object (core/object-rows.ts). Facts go to DuckDB as NDJSON of texts, which are cast as
// strictly as those of any file; bytes lie in the work directory as they came, and are put beside them by position.

import { writeFile } from "node:fs/promises";
import { LINEAGE_FILE_MODIFIED_AT, LINEAGE_FILE_PATH, parseType } from "../../../core/iceberg/schema.ts";
import type { DraftField, NestedField, Schema } from "../../../core/iceberg/types.ts";
import { CONTENT, needsBody, type ObjectFormat, objectColumns } from "../../../core/object-rows.ts";
import { type PathDate, pathDateOf } from "../../../core/path-date.ts";
import type { Inspection, SourceFailure, Treatment } from "../../../core/ports.ts";
import { inferTypes } from "../csv/infer.ts";
import {
  FILE_COLUMN,
  type FormatReader,
  failure,
  type ReaderContext,
  type SpooledSource,
  treatmentOf,
  type Verdict,
} from "../format.ts";
import { LINEAGE_NAMES } from "../lineage.ts";
import { findMisfits, type Place, ROW, rowOf, type Scan, treatedSelect } from "../places.ts";
import { ident, literal, struct, tableFunction } from "../sql.ts";
import { castText, MISFIT, misfits } from "../strict-cast.ts";
import { draftField, duckType } from "../types.ts";
import { factsOf, type ObjectFacts } from "./facts.ts";

/** Lineage is among the facts. */
const LINEAGE_SOURCES = new Map([
  [LINEAGE_FILE_PATH, "path"],
  [LINEAGE_FILE_MODIFIED_AT, "modified_at"],
]);
/** Whoever names the objects names columns: a table is not to get one for each of them. */
const COLUMNS_MAX = 200;
/** Bytes read in one scan: DuckDB hands rows on by the two thousand, whatever they weigh. */
const SCAN_BYTES_MAX = 16 * 1024 * 1024;
/** Of facts: a key has at most 1,024 bytes. Buffers are twice as large. */
const LINE_BYTES_MAX = 256 * 1024;

const CONTENT_SQL = `CASE WHEN content_file = ${FILE_COLUMN} THEN content ELSE error('rows and bytes are out of step') END`;
const NO_FACTS: ObjectFacts = { texts: new Map(), pathColumns: [] };

export class ObjectReader implements FormatReader {
  readonly fillsLineage = true;
  readonly #context: ReaderContext;
  readonly #format: ObjectFormat;
  readonly #pathDate: PathDate | undefined;
  readonly #facts = new Map<SpooledSource, ObjectFacts>();
  #files = 0;

  constructor(context: ReaderContext, format: ObjectFormat) {
    this.#context = context;
    this.#format = format;
    this.#pathDate = format.pathDate === undefined ? undefined : pathDateOf(format.pathDate);
  }

  async admit(source: SpooledSource): Promise<SourceFailure | undefined> {
    const { uri } = source.source;
    if (uri.includes("\0")) return failure(source, "INVALID_KEY", "the key holds NUL; rename the object");
    if (!uri.isWellFormed()) return failure(source, "INVALID_KEY", "the key is no UTF-8; rename the object");
    this.#facts.set(source, factsOf(source.source, this.#pathDate));
    return undefined;
  }

  /** A hint makes its column at once: a table can be partitioned by what the first paths lack. */
  async inspect(sources: readonly SpooledSource[], known: Schema | undefined): Promise<Inspection> {
    const table = new Map(known?.fields.map((field) => [field.name.toLowerCase(), draftField(field)]));
    const hints = Object.entries(this.#context.job.hints).map(([name, type]) => ({ name, type: parseType(type) }));
    const columns = new Map<string, DraftField>();
    for (const field of [...objectColumns(this.#format), ...hints]) columns.set(field.name.toLowerCase(), field);
    let room = COLUMNS_MAX - new Set([...table.keys(), ...columns.keys()]).size;
    const failures: SourceFailure[] = [];
    for (const source of sources) {
      const names = this.#factsOf(source).pathColumns.filter((name) => !columns.has(name.toLowerCase()));
      const added = names.filter((name) => !table.has(name.toLowerCase())).length;
      if (added > room) {
        const message = `the path would give the table more than ${COLUMNS_MAX} columns; load such objects with another ingestion`;
        failures.push(failure(source, "TOO_MANY_COLUMNS", message));
        continue;
      }
      room -= added;
      for (const name of names) {
        const key = name.toLowerCase();
        columns.set(key, table.get(key) ?? { name, type: "string" });
      }
    }
    return { fields: [...columns.values()], failures };
  }

  async selects(sources: readonly SpooledSource[], schema: Schema): Promise<readonly string[]> {
    const selects: string[] = [];
    const treated = sources.filter((source) => this.#treatmentOf(source, schema) !== undefined);
    for (const source of treated) selects.push(await this.#treatedSelect(source, schema));
    const plain = sources.filter((source) => !treated.includes(source));
    const unread = plain.filter((source) => !this.#hasContent(source));
    const read = groupsByBytes(plain.filter((source) => this.#hasContent(source)));
    if (unread.length > 0) {
      const from = await this.#spoolFacts(unread, schema);
      selects.push(`SELECT ${this.#columns(schema, undefined)} FROM ${from}`);
    }
    for (const group of read) {
      const from = await this.#withContent(group, schema);
      selects.push(`SELECT ${this.#columns(schema, CONTENT_SQL)} FROM ${from}`);
    }
    return selects;
  }

  async blame(sources: readonly SpooledSource[], schema: Schema): Promise<Verdict> {
    const { session } = this.#context;
    const plain = sources.filter((source) => this.#treatmentOf(source, schema) === undefined);
    const treated = sources.filter((source) => !plain.includes(source));
    const scans = [
      ...(plain.length === 0 ? [] : [await this.#scan(plain, schema, undefined)]),
      ...(await Promise.all(treated.map((source) => this.#scan([source], schema, this.#treatmentOf(source, schema))))),
    ];
    const found = [];
    for (const scan of scans) found.push(await findMisfits(session, scan));
    return {
      failures: found.flatMap(({ failures }) => failures),
      misfits: found.flatMap(({ misfits: unfit }) => unfit),
      again: false,
    };
  }

  /** Of a source that cannot be read like any other. */
  #treatmentOf(source: SpooledSource, schema: Schema): Treatment | undefined {
    const treatment = treatmentOf(this.#context, source, schema);
    return treatment === undefined || this.#places(source, schema).length === 0 ? undefined : treatment;
  }

  async #scan(sources: readonly SpooledSource[], schema: Schema, treatment: Treatment | undefined): Promise<Scan> {
    const from = await this.#spoolFacts(sources, schema);
    const only = (path: string) => `(SELECT * FROM ${from} WHERE ${FILE_COLUMN} = ${literal(path)})`;
    return {
      sources,
      treatment,
      places: this.#places(undefined, schema),
      required: [],
      own: (column) => `c${schema.fields.findIndex(({ name }) => name === column)}`,
      from,
      numbered: ({ path }) => `(SELECT *, 1 AS ${ROW} FROM ${only(path)})`,
      typesOf: (source, asked) =>
        inferTypes(
          this.#context.session,
          only(source.path),
          asked.map(({ text }) => text),
          {},
        ),
    };
  }

  /** Of all sources; of one, with its path's columns that the table does not know. */
  #places(source: SpooledSource | undefined, schema: Schema): Place[] {
    const places = schema.fields.flatMap(({ name, type }, n): Place[] => {
      const text = `c${n}`;
      const place = { path: name, type, text, json: `to_json(${text})` };
      if (type === "string" || LINEAGE_NAMES.has(name) || this.#isContent(name)) return [];
      return [{ ...place, unfit: typeof type === "string" ? misfits(text, type) : `(${text} IS NOT NULL)` }];
    });
    const { pathColumns, texts } = source === undefined ? NO_FACTS : this.#factsOf(source);
    const unknown = pathColumns.filter((column) => !schema.fields.some(({ name }) => sameName(name, column)));
    return [
      ...places,
      ...unknown.map((path): Place => {
        const value = texts.get(path.toLowerCase());
        const text = value === undefined || value.includes("\0") ? "CAST(NULL AS VARCHAR)" : literal(value);
        return { path, type: undefined, text, json: `to_json(${text})`, unfit: `(${text} IS NOT NULL)` };
      }),
    ];
  }

  async #treatedSelect(source: SpooledSource, schema: Schema): Promise<string> {
    const content = this.#hasContent(source) ? CONTENT_SQL : undefined;
    const from = content === undefined ? this.#spoolFacts([source], schema) : this.#withContent([source], schema);
    return treatedSelect({
      schema,
      places: this.#places(source, schema),
      treatment: this.#treatmentOf(source, schema) as Treatment,
      own: (column) => `c${schema.fields.findIndex(({ name }) => name === column)}`,
      column: (field, unfit) => {
        const value = this.#value(field, schema.fields.indexOf(field), content);
        const flag = unfit(field.name);
        return flag === undefined ? value : `CASE WHEN ${flag} THEN NULL ELSE ${value} END`;
      },
      from: `(SELECT *, 1 AS ${ROW} FROM ${await from})`,
      where: rowOf(source),
    });
  }

  /** Facts and bytes beside each other: both scans go in the order they are given, in one thread. (A join would hold all bytes in memory at once.) */
  async #withContent(sources: readonly SpooledSource[], schema: Schema): Promise<string> {
    const bytes = tableFunction(
      "read_blob",
      sources.map(({ path }) => path),
      {},
    );
    const facts = await this.#spoolFacts(sources, schema);
    return `(SELECT r.*, b.content, b.filename AS content_file FROM ${facts} POSITIONAL JOIN ${bytes} AS b)`;
  }

  /** A FROM item `r` with a text `c0`, `c1`, ... for each column of the schema, and FILE_COLUMN; rows in the order of the sources. */
  async #spoolFacts(sources: readonly SpooledSource[], schema: Schema): Promise<string> {
    const names = schema.fields.map(({ name }) => LINEAGE_SOURCES.get(name) ?? name.toLowerCase());
    const lines = sources.map((source) => {
      const { texts } = this.#factsOf(source);
      const row = names.map((name, n) => [`c${n}`, texts.get(name)] as const);
      return `${JSON.stringify({ [FILE_COLUMN]: source.path, ...Object.fromEntries(row) })}\n`;
    });
    const path = `${this.#context.directory}/facts-${++this.#files}.ndjson`;
    await writeFile(path, lines.join(""));
    const columns = [FILE_COLUMN, ...names.map((_, n) => `c${n}`)].map((name) => [name, literal("VARCHAR")] as const);
    const options = { format: literal("newline_delimited"), maximum_object_size: String(LINE_BYTES_MAX) };
    return `${tableFunction("read_json", [path], { ...options, columns: struct(columns) })} AS r`;
  }

  #columns(schema: Schema, content: string | undefined): string {
    const columns = schema.fields.map((field, n) => `${this.#value(field, n, content)} AS ${ident(field.name)}`);
    return [...columns, FILE_COLUMN].join(", ");
  }

  #value({ name, type }: NestedField, n: number, content: string | undefined): string {
    const isContent = this.#isContent(name);
    if (isContent && type === "binary") return content ?? "CAST(NULL AS BLOB)";
    if (!isContent && typeof type === "string") return castText(`c${n}`, type);
    // A table that was there already has its own idea of this column.
    const value = isContent ? (content ?? "NULL") : `c${n}`;
    return `CASE WHEN ${value} IS NULL THEN CAST(NULL AS ${duckType(type)}) ELSE error(${literal(MISFIT)}) END`;
  }

  #isContent(name: string): boolean {
    return this.#format.type === "binary" && name.toLowerCase() === CONTENT;
  }

  #hasContent({ source }: SpooledSource): boolean {
    return needsBody(this.#format, source.sizeBytes);
  }

  #factsOf(source: SpooledSource): ObjectFacts {
    return this.#facts.get(source) ?? NO_FACTS;
  }
}

function sameName(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}

function groupsByBytes(sources: readonly SpooledSource[]): SpooledSource[][] {
  const groups: SpooledSource[][] = [];
  let room = 0;
  for (const source of sources) {
    const last = groups.at(-1);
    room -= source.sizeBytes;
    if (last !== undefined && room >= 0) last.push(source);
    else {
      groups.push([source]);
      room = SCAN_BYTES_MAX - source.sizeBytes;
    }
  }
  return groups;
}
