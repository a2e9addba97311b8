// CSV and TSV. Columns are matched by name in Node and read by position: given explicit columns DuckDB does not look at the
// header, and a file with another order would load swapped. Files with the same header are one scan.

import type { Schema } from "../../../core/iceberg/types.ts";
import type { Inspection, SourceFailure } from "../../../core/ports.ts";
import { isMisfit } from "../duckdb-errors.ts";
import type { Session } from "../engine.ts";
import { type FormatReader, NO_VERDICT, type ReaderContext, type SpooledSource, type Verdict } from "../format.ts";
import { LINEAGE_NAMES } from "../lineage.ts";
import { columnNames } from "../names.ts";
import { blameStructure } from "./blame.ts";
import { CsvColumns } from "./columns.ts";
import { removeMarks, unmarkedByte } from "./excess.ts";
import { blameLines } from "./fixed.ts";
import { type CsvGroup, readCsv, readLines } from "./group.ts";
import type { CsvOptions, Header } from "./header.ts";
import { CsvLines, dialectOf } from "./lines.ts";
import { lookAt } from "./look.ts";
import { type MendedCsv, mendCsv } from "./mend.ts";
import { CsvMisfits } from "./misfits.ts";
import { mayEndInQuotes } from "./open.ts";
import { inspectCsv } from "./types.ts";

export class CsvReader implements FormatReader {
  readonly #context: ReaderContext;
  readonly #options: CsvOptions;
  readonly #groups = new Map<string, CsvGroup>();
  readonly #lines: CsvLines;
  readonly #mended = new Map<SpooledSource, MendedCsv>();
  readonly #marks = new Map<SpooledSource, readonly (readonly number[])[]>();
  readonly #columns: CsvColumns;
  readonly #misfits: CsvMisfits;

  constructor(context: ReaderContext, options: CsvOptions) {
    this.#context = context;
    this.#options = options;
    this.#lines = new CsvLines(context.directory);
    this.#columns = new CsvColumns(options);
    this.#misfits = new CsvMisfits(context, this.#columns, this.#lines, this.#mended);
  }

  async admit(source: SpooledSource, head: Buffer): Promise<SourceFailure | undefined> {
    const rescue = this.#context.job.badRows.onBadRow === "rescue";
    const seen = await lookAt(source, head, this.#options, rescue);
    if (seen === undefined || "reason" in seen) return seen;
    const { header, options, marks } = seen;
    this.#marks.set(source, marks);
    const unnamed = () => header.values.map((_, index) => `column${index}`);
    const names = options.columns ?? (options.header ? header.values : unnamed());
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

  async inspect(sources: readonly SpooledSource[], known: Schema | undefined): Promise<Inspection> {
    for (;;) {
      const mended = this.#mended.size;
      const inspection = await inspectCsv(this.#groupsOf(sources), {
        context: this.#context,
        known,
        formats: this.#columns.formats,
        blame: (group) => this.#blameStructure(group),
      });
      // What was taken apart meanwhile is read in another way.
      if (mended === this.#mended.size) return inspection;
    }
  }

  async selects(sources: readonly SpooledSource[], schema: Schema): Promise<readonly string[]> {
    const selects: string[] = [];
    for (const group of this.#groupsOf(sources)) selects.push(...(await this.#misfits.selects(group, schema)));
    return selects;
  }

  fallback(): boolean {
    return this.#columns.fallback();
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
      return await this.#misfits.blame(group, schema);
    } catch (error) {
      const late = sound ? await this.#blameStructure(group) : NO_VERDICT;
      if (late.failures.length === 0 && !late.again) throw error;
      return late;
    }
  }

  /** Sources with rows that cannot be read. What the ingestion bears is taken out of them. */
  async #blameStructure(group: CsvGroup): Promise<Verdict> {
    const { session, job } = this.#context;
    const broken = await blameRows(session, group);
    const failures: SourceFailure[] = [];
    let again = false;
    for (const failed of broken) {
      const source = group.sources.find((candidate) => candidate.source.index === failed.index);
      const bears = job.badRows.onBadRow !== "reject_file" && group.mended === undefined;
      const outcome = source !== undefined && bears ? await this.#mend(source, group) : this.#placed(failed, source);
      if (outcome === undefined) again = true;
      else failures.push(outcome);
    }
    return { failures, misfits: [], again };
  }

  /** The last ones first. */
  #marksOf(source: SpooledSource | undefined): readonly (readonly number[])[] {
    return source === undefined ? [] : (this.#marks.get(source)?.toReversed() ?? []);
  }

  /** With its place in the file that came. */
  #placed(failed: SourceFailure, source: SpooledSource | undefined): SourceFailure {
    if (failed.byte === undefined) return failed;
    return { ...failed, byte: this.#marksOf(source).reduce(unmarkedByte, failed.byte) };
  }

  async #mend(source: SpooledSource, group: CsvGroup): Promise<SourceFailure | undefined> {
    const policy = this.#context.job.badRows;
    for (const places of this.#marksOf(source)) await removeMarks(source.path, places);
    const outcome = await mendCsv({
      source,
      dialect: dialectOf(group),
      columns: group.columns.length,
      header: group.options.header,
      ...(group.options.layout === undefined ? {} : { layout: group.options.layout }),
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
    const { layout: _, ...given } = group.options;
    const options = { ...given, escape: given.escape === "" ? quote : given.escape };
    this.#join(source, { options, columns: group.columns, linesBefore: 0, skip: 0, mended });
    return undefined;
  }

  mended(source: SpooledSource): MendedCsv | undefined {
    return this.#mended.get(source);
  }

  rows(source: SpooledSource): number | undefined {
    return this.#mended.get(source)?.records ?? this.#misfits.rows(source);
  }

  #groupsOf(sources: readonly SpooledSource[]): CsvGroup[] {
    const wanted = new Set(sources);
    const groups = [...this.#groups.values()].map((group) => ({
      ...group,
      sources: group.sources.filter((source) => wanted.has(source)),
    }));
    return groups.filter((group) => group.sources.length > 0);
  }
}

async function blameRows(session: Session, group: CsvGroup): Promise<SourceFailure[]> {
  if (group.options.layout === undefined)
    return blameStructure(session, group, (extra, only) => readCsv(group, extra, only));
  const broken = await blameStructure(session, group, (extra, only) => readLines(group, extra, only));
  return broken.length > 0 ? broken : blameLines(session, group);
}

function placeOf({ linesBefore, skip }: Header): Pick<CsvGroup, "linesBefore" | "skip"> {
  return { linesBefore, skip };
}
