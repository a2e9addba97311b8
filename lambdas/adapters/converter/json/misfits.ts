// Which values of JSON sources do not fit the table, and the files without them. A source is gone over twice at most: once to find the
// records concerned (and what its values are), once to write those anew; all others are copied as they are.

import type { DraftType, NestedField, Schema } from "../../../core/iceberg/types.ts";
import type { Misfits, SourceFailure, Treatment } from "../../../core/ports.ts";
import { type ReaderContext, requiredIsNull, type SpooledSource, treatmentOf } from "../format.ts";
import { LINEAGE_NAMES } from "../lineage.ts";
import { SAMPLES_MAX } from "../places.ts";
import { keysOf } from "./columns.ts";
import type { JsonFiles } from "./files.ts";
import { type Finding, type Fit, FitReader } from "./fit.ts";
import { numbersOf, shapeReaderOf } from "./numbers.ts";
import type { LinePattern } from "./pattern.ts";
import { jsonRecords } from "./records.ts";
import { isRescuedRow, plainText, settle } from "./rescue.ts";
import { emptyShape, type Shape } from "./shape.ts";
import type { DoubtfulLine, Sieve, Sifted } from "./sift.ts";
import { writeTreated } from "./treat.ts";
import { type TypeOptions, typeOfShape } from "./types.ts";

const SAMPLE_LENGTH = 100;

export interface Target {
  readonly schema: Schema;
  /** Source key to column name, where they differ. */
  readonly renamed: ReadonlyMap<string, string>;
}

/** What a source was found to hold beside the table. */
export interface FoundInSource {
  readonly failure: SourceFailure | undefined;
  readonly misfits: Misfits | undefined;
  /** Places of the records that have to be written anew, in order. */
  readonly concerned: readonly number[];
  readonly records: number;
  /** Where only some of its lines had to be looked at: the concerned of them. */
  readonly sifted?: readonly DoubtfulLine[];
}

interface ColumnCount {
  records: number;
  readonly samples: string[];
  readonly line?: number;
  /** Holds keys that no type can have beside each other. */
  collides: boolean;
}

export class JsonMisfits {
  readonly #context: ReaderContext;
  readonly #files: JsonFiles;
  readonly #sieve: Sieve;

  constructor(context: ReaderContext, files: JsonFiles, sieve: Sieve) {
    this.#context = context;
    this.#files = files;
    this.#sieve = sieve;
  }

  /** `shape`: of all the source's records, where it is known. */
  async find(source: SpooledSource, target: Target, known: Shape | undefined): Promise<FoundInSource> {
    const treatment = treatmentOf(this.#context, source, target.schema);
    const fits = fitReader(target);
    const lines = this.#files.isLines(source);
    const required = target.schema.fields.filter((field) => field.required && !LINEAGE_NAMES.has(field.name));
    const columns = new Map<string, ColumnCount>();
    const concerned: number[] = [];
    const sifted = lines ? await this.#sieve.sift(source, keyedColumns(target)) : undefined;
    const seen = shapeReaderOf(this.#context.job);
    let read = 0;
    let unfit = 0;
    for await (const piece of sifted === undefined ? this.#records(source) : [sifted.doubtful]) {
      for (const { text, number } of piece) {
        read++;
        if (isRescuedRow(text)) {
          if (required.length > 0) {
            const failure = requiredIsNull(source, required[0]?.name ?? "", number);
            return { failure, misfits: undefined, concerned, records: read };
          }
          concerned.push(number);
          if (treatment?.rescue !== true) unfit++;
          continue;
        }
        const fit = fits.read(text);
        const missing = required.find(({ name }) => !fit.filled.has(name) || (treatment && isCut(fit, name)));
        if (missing !== undefined) {
          const failure = requiredIsNull(source, missing.name, lines ? number : undefined);
          return { failure, misfits: undefined, concerned, records: read };
        }
        if (sifted !== undefined) seen.add(text);
        if (fit.findings.length === 0) continue;
        concerned.push(number);
        const { open } = settle(fit, treatment);
        if (open.length === 0) continue;
        unfit++;
        countColumns(columns, open, text, lines ? number : undefined);
      }
    }
    const records = sifted?.records ?? read;
    const own = { failure: undefined, concerned, records, ...siftedOf(sifted, concerned) };
    if (unfit === 0) return { ...own, misfits: undefined };
    sifted?.pattern.addTo(seen.shape);
    const told = sifted !== undefined && tellsAll(sifted.pattern, seen.shape, target, columns);
    const types = typesAt(
      told ? seen.shape : (known ?? (await this.#shapeOf(source))),
      target,
      columns,
      numbersOf(this.#context.job),
    );
    const misfits = {
      index: source.source.index,
      records,
      unfit,
      columns: [...columns].map(([path, { collides: _, ...count }], i) => ({
        path,
        fileType: types[i] ?? "string",
        ...count,
      })),
    };
    return { ...own, misfits };
  }

  /** The source without what does not fit, in a file of NDJSON; where it was sifted, only the concerned records. */
  async rewrite(
    source: SpooledSource,
    target: Target,
    treatment: Treatment,
    { concerned, sifted }: FoundInSource,
  ): Promise<SpooledSource> {
    const fits = fitReader(target);
    if (sifted !== undefined) return writeTreated(source, { some: sifted }, fits, treatment);
    const all = this.#files.isLines(source) ? { lines: concerned } : { records: this.#records(source) };
    return writeTreated(source, all, fits, treatment);
  }

  #records(source: SpooledSource): ReturnType<typeof jsonRecords> {
    return jsonRecords(this.#context.session, this.#files, source, this.#files.isLines(source));
  }

  async #shapeOf(source: SpooledSource): Promise<Shape> {
    const reader = shapeReaderOf(this.#context.job);
    for await (const piece of this.#records(source)) {
      for (const { text } of piece) if (!isRescuedRow(text)) reader.add(text);
    }
    return reader.shape;
  }
}

function siftedOf(sifted: Sifted | undefined, concerned: readonly number[]): Pick<FoundInSource, "sifted"> {
  const lines = new Set(concerned);
  return sifted === undefined ? {} : { sifted: sifted.doubtful.filter(({ number }) => lines.has(number)) };
}

/** The table's own columns under the keys that the records have for them. */
export function keyedColumns({ schema, renamed }: Target): NestedField[] {
  const keys = keysOf(renamed);
  const columns = schema.fields.filter(({ name }) => !LINEAGE_NAMES.has(name));
  return columns.map((field) => ({ ...field, name: keys.get(field.name) ?? field.name }));
}

/** Whether the doubtful records and the pattern of the others say what the source holds in these columns. */
function tellsAll(
  pattern: LinePattern,
  shape: Shape,
  { renamed }: Target,
  columns: ReadonlyMap<string, ColumnCount>,
): boolean {
  const keys = keysOf(renamed);
  return [...columns].every(([path, { collides }]) => {
    const key = path.replace(/^[^.]*/, (name) => keys.get(name) ?? name);
    return collides || pattern.tells(key, shapeAt(shape, path, keys));
  });
}

/** From all values of the source, not only those that do not fit. */
function typesAt(
  shape: Shape,
  { renamed }: Target,
  columns: ReadonlyMap<string, ColumnCount>,
  options: TypeOptions,
): DraftType[] {
  const keys = keysOf(renamed);
  return [...columns].map(([path, { collides }]) => {
    return (collides ? undefined : typeOfShape(shapeAt(shape, path, keys), undefined, options)) ?? "string";
  });
}

function fitReader({ schema, renamed }: Target): FitReader {
  return new FitReader(
    schema.fields.filter(({ name }) => !LINEAGE_NAMES.has(name)),
    renamed,
  );
}

function isCut({ findings }: Fit, column: string): boolean {
  return findings.some(({ path, cut }) => path === column && cut === undefined);
}

function countColumns(
  columns: Map<string, ColumnCount>,
  open: readonly Finding[],
  text: string,
  line: number | undefined,
): void {
  const seen = new Set<string>();
  for (const finding of open) {
    const { column } = finding;
    const count = columns.get(column) ?? {
      records: 0,
      samples: [],
      ...(line === undefined ? {} : { line }),
      collides: false,
    };
    columns.set(column, count);
    if (!seen.has(column)) count.records++;
    seen.add(column);
    // A top-level key that is another's twin: no type holds both.
    if (finding.cut !== undefined && finding.path !== column && finding.whole === undefined) count.collides = true;
    if (count.samples.length === SAMPLES_MAX) continue;
    const sample = [...plainText(text, finding)].slice(0, SAMPLE_LENGTH).join("");
    if (!count.samples.includes(sample)) count.samples.push(sample);
  }
}

function shapeAt(shape: Shape, path: string, keys: ReadonlyMap<string, string>): Shape {
  const whole = keys.get(path) ?? path;
  const own = shape.fields?.get(whole)?.shape;
  if (own !== undefined) return own;
  const [first = "", ...rest] = path.split(".");
  return [keys.get(first) ?? first, ...rest].reduce(
    (inner, key) => inner.fields?.get(key)?.shape ?? emptyShape(),
    shape,
  );
}
