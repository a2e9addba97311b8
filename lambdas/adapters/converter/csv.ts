// CSV and TSV. Columns are matched by name in Node and read by position: given explicit columns DuckDB does not look at the
// header, and a file with another order would load swapped. Files with the same header are one scan.
// Values are read as text and cast strictly (strict-cast.ts): 5 % slower than DuckDB's typed read, and nothing changes silently. Doubles and
// booleans, which DuckDB reads as strictly, are read typed, until a quoted empty field turns up, which is null only as text.

import type { DraftField, NestedField, PrimitiveType, Schema } from "../../core/iceberg/types.ts";
import type { Inspection, Misfits, SourceFailure, Treatment } from "../../core/ports.ts";
import { blameStructure } from "./csv-blame.ts";
import { removeMarks } from "./csv-excess.ts";
import { type CsvOptions, columnNames, type Header } from "./csv-header.ts";
import { inferTypes, widenTypes } from "./csv-infer.ts";
import { CsvLines, dialectOf } from "./csv-lines.ts";
import { lookAt } from "./csv-look.ts";
import { type MendedCsv, mendCsv, NOTE_PREFIX, type Note } from "./csv-mend.ts";
import { mayEndInQuotes } from "./csv-open.ts";
import { isMisfit } from "./duckdb-errors.ts";
import {
  FILE_COLUMN,
  type FormatReader,
  hintOf,
  NO_VERDICT,
  type ReaderContext,
  type SpooledSource,
  treatmentOf,
  type Verdict,
} from "./format.ts";
import { LINEAGE_NAMES } from "./lineage.ts";
import { lookup } from "./lookup.ts";
import { findMisfits, type Place, ROW, type RowNotes, type Scan, treatedSelect } from "./places.ts";
import { SMALL_BYTES } from "./spool.ts";
import { ident, list, literal, struct, tableFunction } from "./sql.ts";
import { castText, MISFIT, maybeRounded, misfits, type TextFormats } from "./strict-cast.ts";
import { draftField, duckType } from "./types.ts";

/** A line (record) may be this long; DuckDB's own limit is 2 MB. */
const LINE_BYTES_MAX = 16 * 1024 * 1024;
/** No line of a small file is longer than the file; with buffers of its size 2,000 of them take a quarter less CPU. */
const LINE_BYTES_MIN = 256 * 1024;
/** For what is added to a line that is mended. */
const ROOM_BYTES = 64;

/** Files that can be read in one scan. */
export interface CsvGroup {
  /** As given, or as recognised of its files. */
  readonly options: CsvOptions;
  readonly columns: readonly string[];
  /** Physical lines before the header's last row. */
  readonly linesBefore: number;
  /** The same as DuckDB counts them. */
  readonly skip: number;
  /** Their bad rows were taken out: `rows` and nothing else is left, or rows `noted` in one more field. */
  readonly mended?: "rows" | "noted";
  /** Index of its only source (csv-open.ts). */
  readonly alone?: number;
  readonly sources: SpooledSource[];
}

export class CsvReader implements FormatReader {
  readonly #context: ReaderContext;
  readonly #options: CsvOptions;
  readonly #formats: TextFormats;
  readonly #groups = new Map<string, CsvGroup>();
  /** Columns in which a source is known to have values that do not fit: all others are read as fast as any. */
  readonly #unfit = new Map<SpooledSource, Set<string>>();
  readonly #lines: CsvLines;
  readonly #mended = new Map<SpooledSource, MendedCsv>();
  readonly #marks = new Map<SpooledSource, readonly number[]>();
  #typed: boolean;

  constructor(context: ReaderContext, options: CsvOptions) {
    this.#context = context;
    this.#options = options;
    this.#lines = new CsvLines(context.directory);
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
    const rescue = this.#context.job.badRows.onBadRow === "rescue";
    const seen = await lookAt(source, head, this.#options, rescue);
    if (seen === undefined || "reason" in seen) return seen;
    const { header, options, marks } = seen;
    if (marks.length > 0) this.#marks.set(source, marks);
    const names = options.header ? header.values : header.values.map((_, index) => `column${index}`);
    const layout = { options, columns: columnNames(names, [...LINEAGE_NAMES]), ...placeOf(header) };
    const open = await mayEndInQuotes(source.path, dialectOf(layout));
    this.#join(source, { ...layout, ...(open ? { alone: source.source.index } : {}) });
    return undefined;
  }

  #join(source: SpooledSource, layout: Omit<CsvGroup, "sources">): void {
    const { options, columns, linesBefore, skip, mended, alone } = layout;
    const dialect = [options.delimiter, options.quote, options.escape, options.header];
    const key = JSON.stringify([mended, alone, linesBefore, skip, columns, ...dialect]);
    const group = this.#groups.get(key) ?? { ...layout, sources: [] };
    group.sources.push(source);
    this.#groups.set(key, group);
  }

  /** Header names say which columns there are; only columns the table does not know, or may have to widen, are read. */
  async inspect(sources: readonly SpooledSource[], known: Schema | undefined): Promise<Inspection> {
    for (;;) {
      const mended = this.#mended.size;
      const inspection = await this.#inspect(sources, known);
      // What was taken apart meanwhile is read in another way.
      if (mended === this.#mended.size) return inspection;
    }
  }

  async #inspect(sources: readonly SpooledSource[], known: Schema | undefined): Promise<Inspection> {
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
    const selects: string[] = [];
    for (const group of this.#groupsOf(sources)) {
      const places = this.#places(group, schema);
      const treated = group.sources.filter((source) => this.#treatmentOf(source, schema, places) !== undefined);
      const plain = group.sources.filter((source) => !treated.includes(source));
      const homeless = group.sources.some((source) => {
        return this.#hasNotes(source) && this.#treatmentOf(source, schema, places)?.rescue !== true;
      });
      if (homeless) throw new Error(MISFIT);
      if (plain.length > 0) selects.push(this.#select({ ...group, sources: plain }, schema));
      for (const sources of this.#together(treated, schema)) {
        selects.push(await this.#treatedSelect({ ...group, sources }, schema, places));
      }
    }
    return selects;
  }

  fallback(): boolean {
    const typed = this.#typed;
    this.#typed = false;
    return typed;
  }

  async blame(sources: readonly SpooledSource[], schema: Schema, error: unknown): Promise<Verdict> {
    let verdict = NO_VERDICT;
    for (const group of this.#groupsOf(sources)) {
      const found = await this.#blameGroup(group, schema, isMisfit(error));
      verdict = {
        failures: [...verdict.failures, ...found.failures],
        misfits: [...verdict.misfits, ...found.misfits],
        again: verdict.again || found.again,
      };
    }
    return verdict;
  }

  close(): void {
    this.#lines.close();
    for (const { kept } of this.#mended.values()) kept.close();
  }

  /** `sound`: values are to blame, as far as is known; then records that are broken show when their values are read. */
  async #blameGroup(group: CsvGroup, schema: Schema, sound: boolean): Promise<Verdict> {
    const broken = sound ? NO_VERDICT : await this.#blameStructure(group);
    if (broken.failures.length > 0 || broken.again) return broken;
    try {
      return await this.#blameValues(group, schema);
    } catch (error) {
      const late = sound ? await this.#blameStructure(group) : NO_VERDICT;
      if (late.failures.length === 0 && !late.again) throw error;
      return late;
    }
  }

  /** Sources with rows that cannot be read. What the ingestion bears is taken out of them. */
  async #blameStructure(group: CsvGroup): Promise<Verdict> {
    const { session, job } = this.#context;
    const broken = await blameStructure(session, group, (extra, only) => this.#read(group, extra, only));
    const failures: SourceFailure[] = [];
    let again = false;
    for (const failed of broken) {
      const source = group.sources.find((candidate) => candidate.source.index === failed.index);
      const bears = job.badRows.onBadRow !== "reject_file" && group.mended === undefined;
      const outcome = source !== undefined && bears ? await this.#mend(source, group) : failed;
      if (outcome === undefined) again = true;
      else failures.push(outcome);
    }
    return { failures, misfits: [], again };
  }

  async #mend(source: SpooledSource, group: CsvGroup): Promise<SourceFailure | undefined> {
    const policy = this.#context.job.badRows;
    await removeMarks(source.path, this.#marks.get(source) ?? []);
    const outcome = await mendCsv({
      source,
      dialect: dialectOf(group),
      columns: group.columns.length,
      header: group.options.header,
      policy,
      directory: this.#context.directory,
    });
    if ("reason" in outcome) return outcome;
    this.#mended.set(source, outcome);
    this.#lines.set(source, outcome.lines);
    for (const { sources } of this.#groups.values())
      if (sources.includes(source)) sources.splice(sources.indexOf(source), 1);
    const mended = policy.onBadRow === "rescue" ? "noted" : "rows";
    // Without an escape no good row has a quote inside of quotes, and what is rescued may.
    const { quote } = group.options;
    const options = { ...group.options, escape: group.options.escape === "" ? quote : group.options.escape };
    this.#join(source, { options, columns: group.columns, linesBefore: 0, skip: 0, mended });
    return undefined;
  }

  mended(source: SpooledSource): MendedCsv | undefined {
    return this.#mended.get(source);
  }

  rows(source: SpooledSource): number | undefined {
    return this.#mended.get(source)?.records;
  }

  async #blameValues(group: CsvGroup, schema: Schema): Promise<Verdict> {
    const failures: SourceFailure[] = [];
    const reported: Misfits[] = [];
    let again = false;
    const places = this.#places(group, schema);
    const scan = async (sources: readonly SpooledSource[], treatment: Treatment | undefined) => {
      if (sources.length === 0) return [];
      const found = await findMisfits(
        this.#context.session,
        this.#scan({ ...group, sources: [...sources] }, schema, places, treatment),
      );
      failures.push(...found.failures);
      return found.misfits;
    };
    for (const misfit of await scan(group.sources, undefined)) {
      const source = group.sources.find((candidate) => candidate.source.index === misfit.index) as SpooledSource;
      const learned = this.#learn(source, misfit);
      const treatment = treatmentOf(this.#context, source, schema);
      const open = treatment === undefined ? [misfit] : await scan([source], treatment);
      reported.push(...open);
      again ||= open.length === 0 && learned;
    }
    return { failures, misfits: reported, again };
  }

  /** Whether there is a column among them that was not known to have misfits. */
  #learn(source: SpooledSource, { columns }: Misfits): boolean {
    const known = this.#unfit.get(source) ?? new Set();
    const before = known.size;
    for (const { path } of columns) known.add(path);
    this.#unfit.set(source, known);
    return known.size > before;
  }

  /** Of a source that cannot be read like any other. */
  #treatmentOf(source: SpooledSource, schema: Schema, places: readonly Place[]): Treatment | undefined {
    const treatment = treatmentOf(this.#context, source, schema);
    if (treatment === undefined) return undefined;
    const unknown = treatment.rescue && (this.#hasNotes(source) || places.some(({ type }) => type === undefined));
    return unknown || this.#unfit.has(source) ? treatment : undefined;
  }

  /** Some of the source's rows are bad, and are to be rescued. */
  #hasNotes(source: SpooledSource): boolean {
    const bad = this.#mended.get(source)?.bad ?? 0;
    return bad > 0 && this.#context.job.badRows.onBadRow === "rescue";
  }

  #scan(group: CsvGroup, schema: Schema, places: readonly Place[], treatment: Treatment | undefined): Scan {
    const { session } = this.#context;
    const required = schema.fields.filter((field) => field.required && !LINEAGE_NAMES.has(field.name));
    return {
      sources: group.sources,
      treatment,
      places,
      required: required.map((field) => {
        const index = indexOfColumn(group, field.name);
        return { name: field.name, isNull: index < 0 ? "true" : `${this.#text(index, field)} IS NULL` };
      }),
      own: (column) => ownText(group, column),
      from: this.#read(group),
      numbered: (source) => this.#numbered(group, [source]),
      lineOf: async (source, row) => (await this.#lines.of(source, group)).lineOf(row),
      badRows: group.mended === "noted" && treatment?.rescue !== true ? `${noteOf(group)} IS NOT NULL` : "false",
      typesOf: (source, asked) =>
        inferTypes(
          session,
          this.#read(group, {}, source),
          asked.map(({ text }) => text),
          this.#formats,
        ),
    };
  }

  /** Values that may not fit: of columns with a type, and of columns that the table does not know. */
  #places(group: CsvGroup, schema: Schema): Place[] {
    const known = new Set<number>();
    const places = schema.fields.flatMap((field): Place[] => {
      const index = LINEAGE_NAMES.has(field.name) ? -1 : indexOfColumn(group, field.name);
      known.add(index);
      if (index < 0 || field.type === "string") return [];
      const text = this.#text(index, field);
      const unfit = typeof field.type === "string" ? misfits(text, field.type, this.#formats) : `(${text} IS NOT NULL)`;
      return [{ path: field.name, type: field.type, unfit, text, json: `to_json(${text})` }];
    });
    const unknown = group.columns.flatMap((path, index): Place[] => {
      if (known.has(index)) return [];
      const text = `c${index}`;
      return [{ path, type: undefined, unfit: `(${text} IS NOT NULL)`, text, json: `to_json(${text})` }];
    });
    return [...places, ...unknown];
  }

  #select(group: CsvGroup, schema: Schema): string {
    const columns = schema.fields.map((field) => `${this.#column(group, field)} AS ${ident(field.name)}`);
    const types = fieldsIn(group).map((name) => this.#readType(schema, name));
    return `SELECT ${[...columns, FILE_COLUMN].join(", ")} FROM ${this.#read(group, { columns: columnTypes(types) })}`;
  }

  /** Small sources that are treated alike are one scan: a statement of two thousand takes half a minute. */
  #together(treated: readonly SpooledSource[], schema: Schema): SpooledSource[][] {
    const groups = new Map<string, SpooledSource[]>();
    for (const source of treated) {
      const alone = this.#hasNotes(source) || source.sizeBytes > SMALL_BYTES;
      const key = JSON.stringify([treatmentOf(this.#context, source, schema), alone ? source.source.index : ""]);
      groups.set(key, [...(groups.get(key) ?? []), source]);
    }
    return [...groups.values()];
  }

  /** All are treated alike. */
  async #treatedSelect(group: CsvGroup, schema: Schema, places: readonly Place[]): Promise<string> {
    const source = group.sources[0] as SpooledSource;
    const where = await this.#lines.tell(group.sources, group, await this.#counts(group));
    const unfit = new Set(group.sources.flatMap((member) => [...(this.#unfit.get(member) ?? [])]));
    const types = fieldsIn(group).map((name) => {
      return unfit.has(findByName(schema.fields, name)?.name ?? name) ? "VARCHAR" : this.#readType(schema, name);
    });
    return treatedSelect({
      schema,
      places: places.filter(({ path, type }) => type === undefined || unfit.has(path)),
      treatment: this.#treatmentOf(source, schema, places) as Treatment,
      own: (column) => ownText(group, column),
      column: (field, flagOf) => {
        const flag = flagOf(field.name);
        if (flag === undefined) return this.#column(group, field);
        if (typeof field.type !== "string") return `CAST(NULL AS ${duckType(field.type)})`;
        const cast = castText(this.#text(indexOfColumn(group, field.name), field), field.type, this.#formats);
        return `CASE WHEN ${flag} THEN NULL ELSE ${cast} END`;
      },
      from: this.#numbered(group, group.sources, types),
      where,
      ...(this.#hasNotes(source) ? { notes: this.#notes(group, source) } : {}),
    });
  }

  /** Rows of each source; of a single one nobody has to know. */
  async #counts(group: CsvGroup): Promise<readonly number[]> {
    if (group.sources.length === 1) return [Number.POSITIVE_INFINITY];
    const rows = await this.#context.session.rows(
      `SELECT ${FILE_COLUMN} AS path, count(*) AS n FROM ${this.#read(group)} GROUP BY ALL`,
    );
    const counts = new Map(rows.map((row) => [String(row["path"]), Number(row["n"])]));
    return group.sources.map(({ path }) => counts.get(path) ?? 0);
  }

  #notes(group: CsvGroup, source: SpooledSource): RowNotes {
    const number = `CAST(substr(${noteOf(group)}, ${NOTE_PREFIX.length + 1}) AS BIGINT)`;
    const kept = this.#mended.get(source)?.kept;
    const member = (name: keyof Note) => {
      const token = this.#lines.answer(`${name}-${source.source.index}`, (asked) => {
        return (kept?.at(asked) as Note | undefined)?.[name] ?? null;
      });
      return lookup(token, number);
    };
    return { row: member("row"), values: member("values"), reasons: member("reasons") };
  }

  /** One thread reads in order, so row numbers are those of the files one after the other. */
  #numbered(group: CsvGroup, sources: readonly SpooledSource[], types = fieldsIn(group).map(() => "VARCHAR")): string {
    const read = this.#read({ ...group, sources: [...sources] }, { parallel: "false", columns: columnTypes(types) });
    return `(SELECT *, row_number() OVER () AS ${ROW} FROM ${read})`;
  }

  #groupsOf(sources: readonly SpooledSource[]): CsvGroup[] {
    const wanted = new Set(sources);
    const groups = [...this.#groups.values()].map((group) => ({
      ...group,
      sources: group.sources.filter((source) => wanted.has(source)),
    }));
    return groups.filter((group) => group.sources.length > 0);
  }

  /** What is known of a column without reading it: a hint, or the table's type, or that it is text because types are not to be inferred. */
  #given(name: string, known: Schema | undefined): DraftField | undefined {
    const hint = hintOf(this.#context.job, name);
    if (hint !== undefined) return { name, type: hint };
    const field = known && findByName(known.fields, name);
    if (field !== undefined) return draftField(field);
    return this.#context.job.inferTypes ? undefined : { name, type: "string" };
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
        const { failures: blamed, again } = await this.#blameStructure({ ...group, sources });
        if (again) return undefined;
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
    const index = LINEAGE_NAMES.has(field.name) ? -1 : indexOfColumn(group, field.name);
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
    const lineBytesMax = Math.min(LINE_BYTES_MAX, Math.max(LINE_BYTES_MIN, largest + ROOM_BYTES));
    const { delimiter, quote, comment, nullValues, header, type } = group.options;
    const scan = tableFunction("read_csv", only ? [only.path] : group.sources.map(({ path }) => path), {
      auto_detect: "false",
      header: String(header && group.mended === undefined),
      skip: String(group.skip),
      delim: literal(delimiter === "" ? (type === "tsv" ? "\t" : ",") : delimiter),
      quote: literal(quote),
      escape: literal(group.options.escape),
      comment: comment === undefined ? undefined : literal(comment),
      nullstr: list(["", ...nullValues].map(literal)),
      allow_quoted_nulls: "false",
      columns: columnTypes(fieldsIn(group).map(() => "VARCHAR")),
      filename: literal(FILE_COLUMN),
      max_line_size: String(lineBytesMax),
      buffer_size: String(2 * lineBytesMax),
      ...extra,
    });
    if (group.options.trim !== true) return scan;
    const columns = group.columns.map((_, index) => `${trimmed(`c${index}`, nullValues)} AS c${index}`);
    const notes = group.mended === "noted" ? [noteOf(group)] : [];
    return `(SELECT ${[...columns, ...notes, FILE_COLUMN].join(", ")} FROM ${scan})`;
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

/** Columns as they are read. */
function fieldsIn({ columns, mended }: CsvGroup): readonly string[] {
  return mended === "noted" ? [...columns, ""] : columns;
}

function noteOf({ columns }: CsvGroup): string {
  return `c${columns.length}`;
}

function ownText(group: CsvGroup, column: string): string {
  const index = indexOfColumn(group, column);
  return index < 0 ? "CAST(NULL AS VARCHAR)" : `c${index}`;
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
