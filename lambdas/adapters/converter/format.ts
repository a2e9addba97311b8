// What the conversion asks of a format: how sources become rows of a schema, what they hold, and which of them are to blame.
// One reader per format; the reader of a conversion is made once and keeps what it learned about the sources.

import { parseType, RESCUED_DATA } from "../../core/iceberg/schema.ts";
import type { PrimitiveType, Schema } from "../../core/iceberg/types.ts";
import type { ConversionJob, Inspection, Misfits, Source, SourceFailure, Treatment } from "../../core/ports.ts";
import type { Mended } from "./bad-rows.ts";
import type { Session } from "./engine.ts";
import { shownName } from "./member-name.ts";
import { ownName } from "./own-name.ts";
import type { Spooled } from "./spool/spool.ts";

/** A source that lies in the work directory. */
export interface SpooledSource extends Omit<Spooled, "head"> {
  readonly source: Source;
  readonly path: string;
  /** Of a file in an archive: its name there (member-name.ts), and the index of the archive. `source.index` is then the file's own. */
  readonly member?: string;
  readonly archiveIndex?: number;
}

/** As the caller knows it. */
export function callersIndex({ source, archiveIndex }: SpooledSource): number {
  return archiveIndex ?? source.index;
}

export interface ReaderContext {
  readonly session: Session;
  readonly job: ConversionJob;
  /** The conversion's own directory, for files a reader makes. */
  readonly directory: string;
  /** By the index of the source; it grows while the conversion goes on. */
  readonly treatments: ReadonlyMap<number, Treatment>;
}

/** As the caller said, as far as the schema has a column for what is rescued. */
export function treatmentOf(
  { treatments }: ReaderContext,
  { source }: SpooledSource,
  schema: Schema,
): Treatment | undefined {
  const treatment = treatments.get(source.index);
  if (treatment?.rescue !== true || schema.fields.some(({ name }) => name === RESCUED_DATA)) return treatment;
  return { ...treatment, rescue: false };
}

/** Who is to blame for an error. */
export interface Verdict {
  readonly failures: readonly SourceFailure[];
  readonly misfits: readonly Misfits[];
  /** Something was learned or mended that the next attempt goes by. */
  readonly again: boolean;
}

export const NO_VERDICT: Verdict = { failures: [], misfits: [], again: false };

/** Name of the column that says which file a row came from. */
export const FILE_COLUMN = ownName("file");

export interface FormatReader {
  /** `selects` fill `_file_path` and `_file_modified_at` too. A join, which they come from otherwise, may hold all rows in memory. */
  readonly fillsLineage?: boolean;
  /** Looks at the first bytes (`head`). A returned failure concerns this source alone. */
  admit(source: SpooledSource, head: Buffer): Promise<SourceFailure | undefined>;
  /** `apart`: of some sources alone, whose rows are not asked for next; what is learned of them holds for no others. */
  inspect(sources: readonly SpooledSource[], known: Schema | undefined, apart?: boolean): Promise<Inspection>;
  /**
   * Queries that together give all rows: the schema's columns by name and type (lineage columns as `fillsLineage` says, or null), then FILE_COLUMN. A value that
   * does not fit raises an error. Sources without rows need not appear.
   */
  selects(sources: readonly SpooledSource[], schema: Schema): Promise<readonly string[]>;
  /**
   * After an error nobody is to blame for: switches to a slower way of reading that takes more; false if there is none (left).
   * `looked`: the values of all sources have been looked at since.
   */
  fallback?(looked: boolean): boolean;
  /** Before an attempt: what is known to keep it from succeeding. */
  foresee?(sources: readonly SpooledSource[], schema: Schema): Promise<Verdict>;
  /** After an error: the sources that are to blame, as far as can be told. */
  blame(sources: readonly SpooledSource[], schema: Schema, error: unknown): Promise<Verdict>;
  /** Of a source whose bad rows were taken out of it. */
  mended?(source: SpooledSource): Mended | undefined;
  /** Rows for the data files, where the source was gone over before it is converted. */
  rows?(source: SpooledSource): number | undefined;
  /** Lets go of what outlives the conversion's directory. */
  close?(): void;
}

/** The hint for a column: names match without regard to case. (Not `hints[name]`: a header may say `constructor`.) */
export function hintOf(job: ConversionJob, name: string): PrimitiveType | undefined {
  const lower = name.toLowerCase();
  const hint = Object.entries(job.hints).find(([hinted]) => hinted.toLowerCase() === lower);
  return hint && parseType(hint[1]);
}

export function failure(
  source: SpooledSource,
  reason: string,
  message: string,
  place: { readonly line?: number; readonly byte?: number; readonly column?: string } = {},
): SourceFailure {
  const shown = source.member === undefined ? message : `member ${shownName(source.member)}: ${message}`;
  return { index: source.source.index, reason, message: shown, ...place };
}

export function requiredIsNull(source: SpooledSource, column: string, line?: number): SourceFailure {
  const where = line === undefined ? "" : ` (line ${line})`;
  const message = `column ${column} is required and a record has no value for it${where}; correct the file or make the column optional`;
  return failure(source, "REQUIRED_IS_NULL", message, { column, ...(line === undefined ? {} : { line }) });
}
