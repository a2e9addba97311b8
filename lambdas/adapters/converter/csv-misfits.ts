// Values of CSV files that do not fit: found, and kept where they are treated. What is learned of a source is remembered: all columns without
// such values are read as fast as any.

import type { Schema } from "../../core/iceberg/types.ts";
import type { Misfits, SourceFailure, Treatment } from "../../core/ports.ts";
import type { CsvColumns } from "./csv-columns.ts";
import {
  type CsvGroup,
  fieldsIn,
  findByName,
  indexOfColumn,
  noteOf,
  numberedCsv,
  ownText,
  readCsv,
} from "./csv-group.ts";
import { inferTypes } from "./csv-infer.ts";
import type { CsvLines } from "./csv-lines.ts";
import { type MendedCsv, NOTE_PREFIX, type Note } from "./csv-mend.ts";
import { FILE_COLUMN, type ReaderContext, type SpooledSource, treatmentOf, type Verdict } from "./format.ts";
import { LINEAGE_NAMES } from "./lineage.ts";
import { lookup } from "./lookup.ts";
import { findMisfits, type Place, type RowNotes, type Scan, treatedSelect } from "./places.ts";
import { SMALL_BYTES } from "./spool.ts";
import { castText, MISFIT } from "./strict-cast.ts";
import { duckType } from "./types.ts";

export class CsvMisfits {
  readonly #context: ReaderContext;
  readonly #columns: CsvColumns;
  readonly #lines: CsvLines;
  readonly #mended: ReadonlyMap<SpooledSource, MendedCsv>;
  /** Columns in which a source is known to have values that do not fit. */
  readonly #unfit = new Map<SpooledSource, Set<string>>();

  constructor(
    context: ReaderContext,
    columns: CsvColumns,
    lines: CsvLines,
    mended: ReadonlyMap<SpooledSource, MendedCsv>,
  ) {
    this.#context = context;
    this.#columns = columns;
    this.#lines = lines;
    this.#mended = mended;
  }

  /** Queries that give all rows of the group, as far as it is known of which sources values do not fit. */
  async selects(group: CsvGroup, schema: Schema): Promise<readonly string[]> {
    const selects: string[] = [];
    const places = this.#columns.places(group, schema);
    const treated = group.sources.filter((source) => this.#treatmentOf(source, schema, places) !== undefined);
    const plain = group.sources.filter((source) => !treated.includes(source));
    const homeless = group.sources.some((source) => {
      return this.#hasNotes(source) && this.#treatmentOf(source, schema, places)?.rescue !== true;
    });
    if (homeless) throw new Error(MISFIT);
    if (plain.length > 0) selects.push(this.#columns.select({ ...group, sources: plain }, schema));
    for (const sources of this.#together(treated, schema)) {
      selects.push(await this.#treatedSelect({ ...group, sources }, schema, places));
    }
    return selects;
  }

  async blame(group: CsvGroup, schema: Schema): Promise<Verdict> {
    const failures: SourceFailure[] = [];
    const reported: Misfits[] = [];
    let again = false;
    const places = this.#columns.places(group, schema);
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
        return { name: field.name, isNull: index < 0 ? "true" : `${this.#columns.text(index, field)} IS NULL` };
      }),
      own: (column) => ownText(group, column),
      from: readCsv(group),
      numbered: (source) => numberedCsv({ ...group, sources: [source] }),
      lineOf: async (source, row) => (await this.#lines.of(source, group)).lineOf(row),
      badRows: group.mended === "noted" && treatment?.rescue !== true ? `${noteOf(group)} IS NOT NULL` : "false",
      typesOf: (source, asked) =>
        inferTypes(
          session,
          readCsv(group, {}, source),
          asked.map(({ text }) => text),
          this.#columns.formats,
        ),
    };
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
      return unfit.has(findByName(schema.fields, name)?.name ?? name)
        ? "VARCHAR"
        : this.#columns.readType(schema, name);
    });
    return treatedSelect({
      schema,
      places: places.filter(({ path, type }) => type === undefined || unfit.has(path)),
      treatment: this.#treatmentOf(source, schema, places) as Treatment,
      own: (column) => ownText(group, column),
      column: (field, flagOf) => {
        const flag = flagOf(field.name);
        if (flag === undefined) return this.#columns.value(group, field);
        if (typeof field.type !== "string") return `CAST(NULL AS ${duckType(field.type)})`;
        const cast = castText(
          this.#columns.text(indexOfColumn(group, field.name), field),
          field.type,
          this.#columns.formats,
        );
        return `CASE WHEN ${flag} THEN NULL ELSE ${cast} END`;
      },
      from: numberedCsv(group, types),
      where,
      ...(this.#hasNotes(source) ? { notes: this.#notes(group, source) } : {}),
    });
  }

  /** Rows of each source; of a single one nobody has to know. */
  async #counts(group: CsvGroup): Promise<readonly number[]> {
    if (group.sources.length === 1) return [Number.POSITIVE_INFINITY];
    const rows = await this.#context.session.rows(
      `SELECT ${FILE_COLUMN} AS path, count(*) AS n FROM ${readCsv(group)} GROUP BY ALL`,
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
}
