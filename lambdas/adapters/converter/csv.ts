// CSV and TSV. Columns are matched by name in Node and read by position: given explicit columns DuckDB does not look at the
// header, and a file with another order would load swapped. Files with the same header are one scan.
// Values are read as text and cast strictly (strict-cast.ts): 5 % slower than DuckDB's typed read, and nothing changes silently. Doubles and
// booleans, which DuckDB reads as strictly, are read typed, until a quoted empty field turns up, which is null only as text.

import type { DraftField, NestedField, PrimitiveType, Schema } from "../../core/iceberg/types.ts";
import type { Inspection, SourceFailure } from "../../core/ports.ts";
import { blameCsv } from "./csv-blame.ts";
import { type CsvOptions, columnNames, type Header } from "./csv-header.ts";
import { inferTypes, widenTypes } from "./csv-infer.ts";
import { lookAt } from "./csv-look.ts";
import { FILE_COLUMN, type FormatReader, hintOf, type ReaderContext, type SpooledSource } from "./format.ts";
import { LINEAGE_NAMES } from "./lineage.ts";
import { ident, list, literal, struct, tableFunction } from "./sql.ts";
import { castText, MISFIT, maybeRounded, type TextFormats } from "./strict-cast.ts";
import { draftField, duckType } from "./types.ts";

/** A line (record) may be this long; DuckDB's own limit is 2 MB. */
const LINE_BYTES_MAX = 16 * 1024 * 1024;
/** No line of a small file is longer than the file; with buffers of its size 2,000 of them take a quarter less CPU. */
const LINE_BYTES_MIN = 256 * 1024;

/** Files that can be read in one scan. */
export interface CsvGroup {
  /** As given, or as recognised of its files. */
  readonly options: CsvOptions;
  readonly columns: readonly string[];
  /** Physical lines before the header's last row. */
  readonly linesBefore: number;
  /** The same as DuckDB counts them. */
  readonly skip: number;
  readonly sources: SpooledSource[];
}

export class CsvReader implements FormatReader {
  readonly #context: ReaderContext;
  readonly #options: CsvOptions;
  readonly #formats: TextFormats;
  readonly #groups = new Map<string, CsvGroup>();
  #typed: boolean;

  constructor(context: ReaderContext, options: CsvOptions) {
    this.#context = context;
    this.#options = options;
    this.#formats = {
      ...(options.dateFormat === undefined ? {} : { date: options.dateFormat }),
      ...(options.timestampFormat === undefined ? {} : { timestamp: options.timestampFormat }),
      ...(options.decimalSeparator === undefined ? {} : { decimalSeparator: options.decimalSeparator }),
      ...(options.thousandsSeparator === undefined ? {} : { thousandsSeparator: options.thousandsSeparator }),
    };
    // DuckDB's own numbers and booleans are read without looking at how they are written.
    this.#typed =
      options.trim !== true && options.decimalSeparator === undefined && options.thousandsSeparator === undefined;
  }

  async admit(source: SpooledSource, head: Buffer): Promise<SourceFailure | undefined> {
    const seen = await lookAt(source, head, this.#options);
    if (seen === undefined || "reason" in seen) return seen;
    const { header, options } = seen;
    const names = options.header ? header.values : header.values.map((_, index) => `column${index}`);
    const columns = columnNames(names, [...LINEAGE_NAMES]);
    const key = JSON.stringify([
      header.linesBefore,
      header.skip,
      columns,
      options.delimiter,
      options.quote,
      options.escape,
      options.header,
    ]);
    const group = this.#groups.get(key) ?? { options, columns, ...placeOf(header), sources: [] };
    group.sources.push(source);
    this.#groups.set(key, group);
    return undefined;
  }

  /** Header names say which columns there are; only columns the table does not know, or may have to widen, are read. */
  async inspect(sources: readonly SpooledSource[], known: Schema | undefined): Promise<Inspection> {
    const failures: SourceFailure[] = [];
    const fields = new Map<string, DraftField>();
    for (const group of this.#groupsOf(sources)) {
      const unknown = group.columns.filter((name) => this.#given(name, known) === undefined);
      const narrow = group.columns.flatMap((name) => {
        const type = this.#given(name, known)?.type;
        return type === "int" || type === "float" ? [{ name, type } as const] : [];
      });
      const types = await this.#infer(group, unknown, narrow, failures);
      if (types === undefined) continue;
      for (const name of group.columns) {
        const given = this.#given(name, known);
        const field = { name: given?.name ?? name, type: types.get(name) ?? given?.type ?? "string" };
        const key = field.name.toLowerCase();
        fields.set(key, merge(fields.get(key), field));
      }
    }
    return { fields: [...fields.values()], failures };
  }

  async selects(sources: readonly SpooledSource[], schema: Schema): Promise<readonly string[]> {
    return this.#groupsOf(sources).map((group) => {
      const columns = schema.fields.map((field) => `${this.#column(group, field)} AS ${ident(field.name)}`);
      const types = group.columns.map((name) => this.#readType(schema, name));
      return `SELECT ${[...columns, FILE_COLUMN].join(", ")} FROM ${this.#read(group, { columns: columnTypes(types) })}`;
    });
  }

  fallback(): boolean {
    const typed = this.#typed;
    this.#typed = false;
    return typed;
  }

  async blame(sources: readonly SpooledSource[], schema: Schema): Promise<readonly SourceFailure[]> {
    const blamed: SourceFailure[] = [];
    for (const group of this.#groupsOf(sources)) {
      const cast = schema.fields.flatMap((field) => {
        const index = indexOfColumn(group, field.name);
        return index < 0 || (field.type === "string" && !field.required)
          ? []
          : [{ name: field.name, text: this.#text(index, field), field }];
      });
      const read = (extra: Readonly<Record<string, string>>, only?: SpooledSource) => this.#read(group, extra, only);
      blamed.push(...(await blameCsv(this.#context.session, group, cast, this.#formats, read, group.options)));
    }
    return blamed;
  }

  #groupsOf(sources: readonly SpooledSource[]): CsvGroup[] {
    const wanted = new Set(sources);
    const groups = [...this.#groups.values()].map((group) => ({
      ...group,
      sources: group.sources.filter((source) => wanted.has(source)),
    }));
    return groups.filter((group) => group.sources.length > 0);
  }

  /** What is known of a column without reading it: a hint, or the table's type. */
  #given(name: string, known: Schema | undefined): DraftField | undefined {
    const hint = hintOf(this.#context.job, name);
    if (hint !== undefined) return { name, type: hint };
    const field = known && findByName(known.fields, name);
    return field && draftField(field);
  }

  async #infer(
    group: CsvGroup,
    unknown: readonly string[],
    narrow: readonly { readonly name: string; readonly type: "int" | "float" }[],
    failures: SourceFailure[],
  ): Promise<ReadonlyMap<string, PrimitiveType> | undefined> {
    if (unknown.length + narrow.length === 0) return new Map();
    const columns = unknown.map((name) => `c${group.columns.indexOf(name)}`);
    let sources = group.sources;
    for (;;) {
      if (sources.length === 0) return undefined;
      try {
        const { session } = this.#context;
        const from = this.#read({ ...group, sources });
        const types = unknown.length === 0 ? [] : await inferTypes(session, from, columns, this.#formats);
        const slots = narrow.map(({ name, type }) => ({ column: `c${group.columns.indexOf(name)}`, type }));
        const widened = await widenTypes(session, from, slots);
        return new Map([
          ...unknown.map((name, i) => [name, types[i] as PrimitiveType] as const),
          ...narrow.map(({ name }, i) => [name, widened[i] as PrimitiveType] as const),
        ]);
      } catch (error) {
        const read = (extra: Readonly<Record<string, string>>, only?: SpooledSource) =>
          this.#read({ ...group, sources }, extra, only);
        const blamed = await blameCsv(
          this.#context.session,
          { ...group, sources },
          [],
          this.#formats,
          read,
          group.options,
        );
        if (blamed.length === 0) throw error;
        failures.push(...blamed);
        const bad = new Set(blamed.map(({ index }) => index));
        sources = sources.filter(({ source }) => !bad.has(source.index));
      }
    }
  }

  #readType(schema: Schema, name: string): string {
    const type = findByName(schema.fields, name)?.type;
    return this.#typed && (type === "double" || type === "boolean") ? duckType(type) : "VARCHAR";
  }

  #column(group: CsvGroup, field: NestedField): string {
    const index = indexOfColumn(group, field.name);
    if (index < 0) return `CAST(NULL AS ${duckType(field.type)})`;
    if (this.#typed && field.type === "boolean") return `c${index}`;
    // From 2^53 on it may be a whole number rounded, or one too large: as text that can be told.
    if (this.#typed && field.type === "double")
      return `CASE WHEN ${maybeRounded(`c${index}`)} THEN error(${literal(MISFIT)}) ELSE c${index} END`;
    const text = this.#typed ? `c${index}` : this.#text(index, field);
    if (typeof field.type === "string") return castText(text, field.type, this.#formats);
    // Text in a column that holds structures: there is no rule for it, so it does not fit.
    return `CASE WHEN ${text} IS NULL THEN CAST(NULL AS ${duckType(field.type)}) ELSE error(${literal(MISFIT)}) END`;
  }

  /** A quoted empty field is an empty text in a string column and null in every other. */
  #text(index: number, field: NestedField): string {
    return field.type === "string" ? `c${index}` : `nullif(c${index}, '')`;
  }

  #read(group: CsvGroup, extra: Readonly<Record<string, string>> = {}, only?: SpooledSource): string {
    const largest = Math.max(...(only ? [only] : group.sources).map(({ sizeBytes }) => sizeBytes));
    const lineBytesMax = Math.min(LINE_BYTES_MAX, Math.max(LINE_BYTES_MIN, largest + 1));
    const { delimiter, quote, comment, nullValues, header, type } = group.options;
    const scan = tableFunction("read_csv", only ? [only.path] : group.sources.map(({ path }) => path), {
      auto_detect: "false",
      header: String(header),
      skip: String(group.skip),
      delim: literal(delimiter === "" ? (type === "tsv" ? "\t" : ",") : delimiter),
      quote: literal(quote),
      escape: literal(group.options.escape),
      comment: comment === undefined ? undefined : literal(comment),
      nullstr: list(["", ...nullValues].map(literal)),
      allow_quoted_nulls: "false",
      columns: columnTypes(group.columns.map(() => "VARCHAR")),
      filename: literal(FILE_COLUMN),
      max_line_size: String(lineBytesMax),
      buffer_size: String(2 * lineBytesMax),
      ...extra,
    });
    if (group.options.trim !== true) return scan;
    const columns = group.columns.map((_, index) => `${trimmed(`c${index}`, nullValues)} AS c${index}`);
    return `(SELECT ${[...columns, FILE_COLUMN].join(", ")} FROM ${scan})`;
  }
}

function placeOf({ linesBefore, skip }: Header): Pick<CsvGroup, "linesBefore" | "skip"> {
  return { linesBefore, skip };
}

/** What is nothing but white space is empty; an empty text stays one, as it was quoted. */
function trimmed(column: string, nullValues: readonly string[]): string {
  const value = `trim(${column}, ' \t')`;
  const nulls = ["", ...nullValues].map(literal).join(", ");
  return `CASE WHEN ${value} <> ${column} AND ${value} IN (${nulls}) THEN NULL ELSE ${value} END`;
}

function columnTypes(types: readonly string[]): string {
  return struct(types.map((type, index) => [`c${index}`, literal(type)]));
}

function indexOfColumn(group: CsvGroup, name: string): number {
  const exact = group.columns.indexOf(name);
  if (exact >= 0) return exact;
  const lower = name.toLowerCase();
  return group.columns.findIndex((column) => column.toLowerCase() === lower);
}

function findByName(fields: readonly NestedField[], name: string): NestedField | undefined {
  const lower = name.toLowerCase();
  return fields.find((field) => field.name === name) ?? fields.find((field) => field.name.toLowerCase() === lower);
}

/** Two groups of files disagree on a new column: the wider number, or else text. */
function merge(seen: DraftField | undefined, field: DraftField): DraftField {
  if (seen === undefined || seen.type === field.type) return seen ?? field;
  const types = new Set([seen.type, field.type]);
  if (types.has("int") && types.has("long")) return { name: seen.name, type: "long" };
  if (types.has("float") && types.has("double")) return { name: seen.name, type: "double" };
  if (types.has("long") && (types.has("double") || types.has("decimal(38, 0)"))) {
    return { name: seen.name, type: types.has("double") ? "double" : "decimal(38, 0)" };
  }
  return { name: seen.name, type: "string" };
}
