// One look at all records of JSON sources: which columns they have, and which sources are to blame where they have none.

import { MoraineError } from "../../../core/errors.ts";
import type { Schema } from "../../../core/iceberg/types.ts";
import type { SourceFailure } from "../../../core/ports.ts";
import { failure, type ReaderContext, type SpooledSource } from "../format.ts";
import { literal } from "../sql.ts";
import { blameBroken, blamePath } from "./blame.ts";
import { columnsOfShape, type JsonColumns, withHints } from "./columns.ts";
import type { JsonFiles } from "./files.ts";
import { keyedColumns, type Target } from "./misfits.ts";
import { numbersOf, shapeReaderOf } from "./numbers.ts";
import { isRescuedRow } from "./rescue.ts";
import type { Shape, ShapeReader } from "./shape.ts";
import type { Sieve } from "./sift.ts";

export interface Look {
  readonly sources: readonly SpooledSource[];
  readonly columns: JsonColumns;
  readonly shape: Shape;
  /** Some sources were only sifted: DuckDB has not read them, and the shape says enough for the table they were sifted by, not all. */
  readonly sifted: boolean;
}

type Fail = (index: number, ...problem: Problem) => void;

export class JsonLook {
  readonly #context: ReaderContext;
  readonly #files: JsonFiles;
  readonly #sieve: Sieve;

  constructor(context: ReaderContext, files: JsonFiles, sieve: Sieve) {
    this.#context = context;
    this.#files = files;
    this.#sieve = sieve;
  }

  /** Failures mean that it has to be done again without those. `target`: the table, if there is one. */
  async look(
    sources: readonly SpooledSource[],
    target: Target | undefined,
  ): Promise<{ readonly look: Look } | { readonly failures: readonly SourceFailure[] }> {
    const { session, job } = this.#context;
    const reader = shapeReaderOf(job);
    const failures = new Map<number, SourceFailure>();
    const byIndex = new Map(sources.map((source) => [source.source.index, source]));
    const fail: Fail = (index, ...problem) => {
      const source = byIndex.get(index);
      if (source !== undefined) failures.set(index, failureOf(source, problem));
    };
    const unsifted: SpooledSource[] = [];
    for (const source of sources) if (!(await this.#sift(source, target, reader, fail))) unsifted.push(source);
    try {
      await this.#readRecords(unsifted, reader, fail);
      for (const failed of await blamePath(this.#files, unsifted)) failures.set(failed.index, failed);
    } catch (error) {
      const broken = await blameBroken(session, this.#files, sources);
      if (broken.length > 0) return { failures: broken };
      throw new MoraineError(
        "Invalid",
        "records cannot be read and no source is to blame",
        { sources: sources.length },
        error,
      );
    }
    const columns = columnsOfShape(reader.shape, target?.schema.fields ?? [], job.hints, {
      renaming: this.#files.path.length === 0,
      infer: job.inferTypes,
      ...numbersOf(job),
    });
    if (failures.size > 0) return { failures: [...failures.values()] };
    return { look: { sources, columns, shape: reader.shape, sifted: unsifted.length < sources.length } };
  }

  /** Looks at those records alone that may not fit the table; false: the source has to be read whole. */
  async #sift(source: SpooledSource, target: Target | undefined, reader: ShapeReader, fail: Fail): Promise<boolean> {
    if (target === undefined || !this.#files.isLines(source) || this.#isHinted(target.schema)) return false;
    const sifted = await this.#sieve.sift(source, keyedColumns(target));
    if (sifted === undefined) return false;
    const { index } = source.source;
    for (const { text } of sifted.doubtful) {
      if (isRescuedRow(text)) continue;
      const problem = readRecord(reader, text);
      if (problem !== undefined) fail(index, ...problem);
    }
    sifted.pattern.addTo(reader.shape);
    return true;
  }

  /** Hints say something else of the table's columns than the table does. */
  #isHinted({ fields }: Schema): boolean {
    const { hints } = this.#context.job;
    const hinted = withHints(fields, hints);
    return fields.some((field) => !hinted.some(({ name, type }) => name === field.name && type === field.type));
  }

  async #readRecords(sources: readonly SpooledSource[], reader: ShapeReader, fail: Fail): Promise<void> {
    const byPath = new Map(sources.map((source) => [source.path, source.source.index]));
    // Every text that comes over costs 3 µs, a path as much as a record; of an ENUM only its place comes.
    const file = `CAST(file AS ENUM (${[...byPath.keys()].map(literal).join(", ")}))`;
    for (const query of this.#files.records(sources)) {
      for await (const rows of this.#context.session.stream(
        `SELECT record, ${file} FROM (${query}) AS t(record, file)`,
      )) {
        for (const [record, path] of rows as [string | null, string][]) {
          const index = byPath.get(path) ?? -1;
          if (record !== null && isRescuedRow(record)) continue;
          const problem = readRecord(reader, record);
          if (problem !== undefined) fail(index, ...problem);
        }
      }
    }
  }
}

type Problem = [reason: string, message: string, column?: string];

function failureOf(source: SpooledSource, [reason, message, column]: Problem): SourceFailure {
  return failure(source, reason, message, column === undefined ? {} : { column });
}

function readRecord(reader: ShapeReader, record: string | null): Problem | undefined {
  if (record?.[0] !== "{")
    return [
      "NOT_JSON_RECORDS",
      "holds a record that is no JSON object; set values: true in the ingestion's format to load it",
    ];
  try {
    const twice = reader.add(record);
    return twice === undefined
      ? undefined
      : ["DUPLICATE_KEY", "an object has the same key twice; set duplicateKeys: last to take the last", twice];
  } catch {
    return ["MALFORMED_JSON", "a record is not valid JSON; correct the file"];
  }
}
