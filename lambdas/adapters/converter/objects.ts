// The formats that make one row of each object (core/object-rows.ts). Facts go to DuckDB as NDJSON of texts, which are cast as
// strictly as those of any file; bytes lie in the work directory as they came, and are put beside them by position.

import { writeFile } from "node:fs/promises";
import { LINEAGE_FILE_MODIFIED_AT, LINEAGE_FILE_PATH, parseType } from "../../core/iceberg/schema.ts";
import type { DraftField, NestedField, Schema } from "../../core/iceberg/types.ts";
import { CONTENT, needsBody, type ObjectFormat, objectColumns } from "../../core/object-rows.ts";
import { type PathDate, pathDateOf } from "../../core/path-date.ts";
import type { Inspection, SourceFailure } from "../../core/ports.ts";
import { FILE_COLUMN, type FormatReader, failure, type ReaderContext, type SpooledSource } from "./format.ts";
import { factsOf, type ObjectFacts } from "./object-facts.ts";
import { ident, list, literal, struct, tableFunction } from "./sql.ts";
import { castText, MISFIT, misfits } from "./strict-cast.ts";
import { draftField, duckType } from "./types.ts";

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
    if (source.source.uri.includes("\0")) return failure(source, "INVALID_KEY", "the key holds NUL; rename the object");
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
    const unread = sources.filter((source) => !this.#hasContent(source));
    const read = groupsByBytes(sources.filter((source) => this.#hasContent(source)));
    const selects: string[] = [];
    if (unread.length > 0) {
      const from = await this.#spoolFacts(unread, schema);
      selects.push(`SELECT ${this.#columns(schema, undefined)} FROM ${from}`);
    }
    for (const group of read) {
      const facts = await this.#spoolFacts(group, schema);
      const bytes = tableFunction(
        "read_blob",
        group.map(({ path }) => path),
        {},
      );
      // Both scans go in the order they are given, in one thread. (A join would hold the bytes of all groups in memory at once.)
      const content = `CASE WHEN b.filename = r.${FILE_COLUMN} THEN b.content ELSE error('rows and bytes are out of step') END`;
      selects.push(`SELECT ${this.#columns(schema, content)} FROM ${facts} POSITIONAL JOIN ${bytes} AS b`);
    }
    return selects;
  }

  async blame(sources: readonly SpooledSource[], schema: Schema): Promise<readonly SourceFailure[]> {
    const unfit = schema.fields.map((field, n) =>
      typeof field.type === "string" ? misfits(`r.c${n}`, field.type) : `r.c${n} IS NOT NULL`,
    );
    const from = await this.#spoolFacts(sources, schema);
    const rows = await this.#context.session.rows(
      `SELECT * FROM (SELECT ${FILE_COLUMN} AS path, list_position(${list(unfit)}, true) AS place FROM ${from}) WHERE place > 0`,
    );
    const places = new Map(rows.map((row) => [String(row["path"]), Number(row["place"])]));
    return sources.flatMap((source) => {
      const field = schema.fields[(places.get(source.path) ?? 0) - 1];
      if (field === undefined) return [];
      const type = typeof field.type === "string" ? field.type : field.type.type;
      const message = `the path's value of ${field.name} does not fit the table's type ${type}; rename the object, or load it with another ingestion`;
      return [failure(source, "TYPE_MISMATCH", message, { column: field.name })];
    });
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
    return [...columns, `r.${FILE_COLUMN}`].join(", ");
  }

  #value({ name, type }: NestedField, n: number, content: string | undefined): string {
    const isContent = this.#format.type === "binary" && name.toLowerCase() === CONTENT;
    if (isContent && type === "binary") return content ?? "CAST(NULL AS BLOB)";
    if (!isContent && typeof type === "string") return castText(`r.c${n}`, type);
    // A table that was there already has its own idea of this column.
    const value = isContent ? (content ?? "NULL") : `r.c${n}`;
    return `CASE WHEN ${value} IS NULL THEN CAST(NULL AS ${duckType(type)}) ELSE error(${literal(MISFIT)}) END`;
  }

  #hasContent({ source }: SpooledSource): boolean {
    return needsBody(this.#format, source.sizeBytes);
  }

  #factsOf(source: SpooledSource): ObjectFacts {
    return this.#facts.get(source) ?? { texts: new Map(), pathColumns: [] };
  }
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
