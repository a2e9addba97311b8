// On which line each record of a CSV file starts. A file is gone over once, when the first of its lines is asked for: DuckDB counts
// records, and not lines once a field may hold line breaks.

import type { CsvOptions } from "./csv-header.ts";
import { type Dialect, eachRecord, RecordLines } from "./csv-records.ts";
import { FILE_COLUMN, type SpooledSource } from "./format.ts";
import { answer, forget, lookup } from "./lookup.ts";
import { memberJson } from "./member-name.ts";
import { ROW } from "./places.ts";

/** What is the same for all files of a scan. */
export interface Layout {
  readonly options: CsvOptions;
  readonly columns: readonly string[];
  readonly linesBefore: number;
}

export class CsvLines {
  readonly #directory: string;
  readonly #known = new Map<SpooledSource, RecordLines>();
  readonly #tokens = new Set<string>();

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Lines of the rows, from 1 each. */
  async of(source: SpooledSource, layout: Layout): Promise<RecordLines> {
    const known = this.#known.get(source);
    if (known !== undefined) return known;
    const lines = new RecordLines();
    let record = layout.options.header ? -1 : 0;
    await eachRecord(source.path, dialectOf(layout), (_, { line }) => lines.add(++record, line));
    this.#known.set(source, lines);
    return lines;
  }

  /**
   * SQL of a row's file and line as JSON members, by its number over all the sources in their order; `counts`: rows of each. That DuckDB reads
   * them in this order is checked row by row.
   */
  async tell(sources: readonly SpooledSource[], layout: Layout, counts: readonly number[]): Promise<string> {
    const name = `${layout.columns.length}-${sources[0]?.source.index}`;
    const lines: RecordLines[] = [];
    for (const source of sources) lines.push(await this.of(source, layout));
    const ends: number[] = [];
    for (const count of counts) ends.push((ends.at(-1) ?? 0) + count);
    const placeOf = (row: number) => ends.findIndex((end) => row <= end);
    const path = this.answer(`paths-${name}`, (row) => sources[placeOf(row)]?.path ?? null);
    const members = this.answer(`lines-${name}`, (row) => {
      const place = placeOf(row);
      const line = lines[place]?.lineOf(row - (ends[place - 1] ?? 0)) ?? null;
      const source = sources[place];
      return `"file":${JSON.stringify(source?.source.uri)},${memberJson(source ?? {})}"line":${line}`;
    });
    const found = lookup(members, ROW);
    if (sources.length === 1) return found;
    const step = "error('rows and files are out of step')";
    return `CASE WHEN ${lookup(path, ROW)} = ${FILE_COLUMN} THEN ${found} ELSE ${step} END`;
  }

  /** Of a file that was written anew. */
  set(source: SpooledSource, lines: RecordLines): void {
    this.#known.set(source, lines);
  }

  /** The token under which statements of this conversion have the answer. */
  answer(name: string, number: (number: number) => string | null): string {
    const token = `${this.#directory}/${name}`;
    this.#tokens.add(token);
    answer(token, number);
    return token;
  }

  close(): void {
    for (const token of this.#tokens) forget(token);
  }
}

export function dialectOf({ options, columns, linesBefore }: Layout): Dialect {
  const { delimiter, quote, comment } = options;
  return {
    delimiter: delimiter === "" ? (options.type === "tsv" ? "\t" : ",") : delimiter,
    quote,
    escape: options.escape,
    ...(comment === undefined ? {} : { comment }),
    linesBefore,
    blankRows: columns.length === 1,
  };
}
