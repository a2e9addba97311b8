// Values of CSV files that do not fit: found, and kept where they are treated. What is learned of a source is remembered: all columns without
// such values are read as fast as any.

import { rm } from "node:fs/promises";
import type { Schema } from "../../../core/iceberg/types.ts";
import type { Misfits, SourceFailure, Treatment } from "../../../core/ports.ts";
import { FILE_COLUMN, type ReaderContext, type SpooledSource, treatmentOf, type Verdict } from "../format.ts";
import { LINEAGE_NAMES } from "../lineage.ts";
import { lookup } from "../lookup.ts";
import { indexOfName } from "../names.ts";
import { findMisfits, type Place, type RowNotes, type Scan, treatedSelect } from "../places.ts";
import { SMALL_BYTES } from "../spool/spool.ts";
import { castText, MISFIT } from "../strict-cast.ts";
import { duckType } from "../types.ts";
import type { CsvColumns } from "./columns.ts";
import { type CsvGroup, noteOf, numberedCsv, ownText, readCsv } from "./group.ts";
import { inferTypes } from "./infer.ts";
import type { CsvLines, SourceRows } from "./lines.ts";
import { type MendedCsv, NOTE_PREFIX, type Note } from "./mend.ts";
import { type OddRows, placesOf, setOddAside } from "./odd.ts";

/** With more odd rows than this a file is read by one thread, which has a number for each: what is put aside is written and read again. */
const ODD_SHARE_MAX = 0.2;

export class CsvMisfits {
  readonly #context: ReaderContext;
  readonly #columns: CsvColumns;
  readonly #lines: CsvLines;
  readonly #mended: ReadonlyMap<SpooledSource, MendedCsv>;
  /** Columns in which a source is known to have values that do not fit. */
  readonly #unfit = new Map<SpooledSource, Set<string>>();
  readonly #odd = new Map<SpooledSource, OddRows>();
  #oddFiles = 0;

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
      selects.push(...(await this.#treatedSelects({ ...group, sources }, schema, places)));
    }
    return selects;
  }

  async blame(group: CsvGroup, schema: Schema): Promise<Verdict> {
    const failures: SourceFailure[] = [];
    const reported: Misfits[] = [];
    let again = false;
    const places = this.#columns.places(group, schema);
    const required = requiredOf(group, schema, this.#columns);
    // Where a column is missing all rows are odd.
    const missing = required.some(({ isNull }) => isNull === "true");
    const odd = missing ? undefined : await this.#oddRows(group, this.#oddities(group, places, required));
    const scan = async (sources: readonly SpooledSource[], treatment: Treatment | undefined) => {
      const found = await findMisfits(this.#context.session, {
        ...this.#scan({ ...group, sources: [...sources] }, places, treatment, odd),
        required,
      });
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

  #oddities(group: CsvGroup, places: readonly Place[], required: Scan["required"] = []): string[] {
    const unfit = places.flatMap(({ type, unfit }) => (type === undefined ? [] : [unfit]));
    const nulls = required.map(({ isNull }) => `(${isNull})`);
    return [...unfit, ...nulls, ...(group.mended === "noted" ? [`(${noteOf(group)} IS NOT NULL)`] : [])];
  }

  /** As put aside before, if by these conditions among others. */
  async #oddRows(group: CsvGroup, conditions: readonly string[]): Promise<OddRows> {
    const before = new Set(group.sources.map((source) => this.#odd.get(source)));
    const [known, ...others] = before;
    if (others.length === 0 && known !== undefined && conditions.every((sql) => known.conditions.includes(sql)))
      return known;
    const path = `${this.#context.directory}/odd-${++this.#oddFiles}.parquet`;
    const odd = await setOddAside(this.#context.session, group, conditions, path);
    for (const source of group.sources) this.#odd.set(source, odd);
    const needed = new Set(this.#odd.values());
    for (const old of before) if (old !== undefined && !needed.has(old)) await rm(old.path);
    return odd;
  }

  /** Rows of a source, where they were counted. */
  rows(source: SpooledSource): number | undefined {
    return this.#odd.get(source)?.places([source])[0]?.rows;
  }

  #scan(
    group: CsvGroup,
    places: readonly Place[],
    treatment: Treatment | undefined,
    odd: OddRows | undefined,
  ): Omit<Scan, "required"> {
    return {
      sources: group.sources,
      treatment,
      places,
      own: (column) => ownText(group, column),
      from: odd?.of(group.sources) ?? readCsv(group),
      records: (source) => odd?.places([source])[0]?.rows,
      numbered: (source) => odd?.numbered(source) ?? numberedCsv({ ...group, sources: [source] }),
      lineOf: async (source, row) => (await this.#lines.of(source, group)).lineOf(row),
      badRows: group.mended === "noted" && treatment?.rescue !== true ? `${noteOf(group)} IS NOT NULL` : "false",
      typesOf: (source, asked) => this.#typesOf(group, source, asked, odd),
    };
  }

  /** What is none but text by the odd rows is text by all of them. */
  async #typesOf(group: CsvGroup, source: SpooledSource, places: readonly Place[], odd: OddRows | undefined) {
    const { session } = this.#context;
    const texts = places.map(({ text }) => text);
    const infer = (from: string, columns: readonly string[]) => {
      return inferTypes(session, from, columns, this.#columns.formats);
    };
    const ofOdd = odd && (await infer(odd.of([source]), texts));
    const open = texts.filter((_, i) => ofOdd?.[i] !== "string");
    const types = open.length === 0 ? [] : await infer(readCsv(group, {}, source), open);
    return texts.map((text) => types[open.indexOf(text)] ?? "string");
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
  async #treatedSelects(group: CsvGroup, schema: Schema, places: readonly Place[]): Promise<readonly string[]> {
    const unfit = new Set(group.sources.flatMap((source) => [...(this.#unfit.get(source) ?? [])]));
    const [source] = group.sources as [SpooledSource];
    const treatment = this.#treatmentOf(source, schema, places) as Treatment;
    const treated = places.filter(({ path, type }) => type === undefined || unfit.has(path));
    const isKept = (path: string) => treatment.rescue || treatment.routes.some((route) => route.path === path);
    // Where the table has no column for some, every row is odd.
    const all = treated.some(({ path, type }) => type === undefined && isKept(path));
    const typed = treated.filter(({ type }) => type !== undefined);
    const conditions = this.#oddities(group, typed);
    const odd = all ? undefined : await this.#oddRows(group, conditions);
    if (odd === undefined || odd.share(group.sources) > ODD_SHARE_MAX) {
      const rows = placesOf(group.sources, await this.#counts(group));
      const from = numberedCsv(group, this.#columns.readTypes(group, schema, unfit));
      return [await this.#treatedSelect(group, schema, { places: treated, treatment, from, rows })];
    }
    const isOdd = `(${["false", ...conditions].join(" OR ")})`;
    const from = `(SELECT * FROM ${odd.of(group.sources)} WHERE ${isOdd})`;
    const rows = odd.places(group.sources);
    return [
      this.#columns.select(group, schema, unfit, `NOT ${isOdd}`),
      await this.#treatedSelect(group, schema, { places: typed, treatment, from, rows, typed: false }),
    ];
  }

  async #treatedSelect(group: CsvGroup, schema: Schema, how: Treating): Promise<string> {
    const source = group.sources[0] as SpooledSource;
    return treatedSelect({
      schema,
      places: how.places,
      treatment: how.treatment,
      own: (column) => ownText(group, column),
      column: (field, flagOf) => {
        const flag = flagOf(field.name);
        if (flag === undefined) return this.#columns.value(group, field, how.typed);
        if (typeof field.type !== "string") return `CAST(NULL AS ${duckType(field.type)})`;
        const cast = castText(
          this.#columns.text(indexOfName(group.columns, field.name), field),
          field.type,
          this.#columns.formats,
        );
        return `CASE WHEN ${flag} THEN NULL ELSE ${cast} END`;
      },
      from: how.from,
      where: await this.#lines.tell(how.rows, group),
      ...(this.#hasNotes(source) ? { notes: this.#notes(group, source) } : {}),
    });
  }

  /** Rows of each source; of a single one nobody has to know. */
  async #counts(group: CsvGroup): Promise<ReadonlyMap<string, number>> {
    const [only, ...others] = group.sources;
    if (only !== undefined && others.length === 0) return new Map([[only.path, Number.POSITIVE_INFINITY]]);
    const rows = await this.#context.session.rows(
      `SELECT ${FILE_COLUMN} AS path, count(*) AS n FROM ${readCsv(group)} GROUP BY ALL`,
    );
    return new Map(rows.map((row) => [String(row["path"]), Number(row["n"])]));
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

interface Treating {
  readonly places: readonly Place[];
  readonly treatment: Treatment;
  /** A FROM item with ROW and FILE_COLUMN. */
  readonly from: string;
  readonly rows: readonly SourceRows[];
  readonly typed?: boolean;
}

function requiredOf(group: CsvGroup, { fields }: Schema, columns: CsvColumns): Scan["required"] {
  const required = fields.filter((field) => field.required && !LINEAGE_NAMES.has(field.name));
  return required.map((field) => {
    const index = indexOfName(group.columns, field.name);
    return { name: field.name, isNull: index < 0 ? "true" : `${columns.text(index, field)} IS NULL` };
  });
}
