// On which line each record of a CSV file starts. A file is gone over once, when the first of its lines is asked for: DuckDB counts
// records, and not lines once a field may hold line breaks.

import { FILE_COLUMN, type SpooledSource } from "../format.ts";
import { answer, forget, lookup } from "../lookup.ts";
import { memberJson } from "../member-name.ts";
import { ROW } from "../places.ts";
import type { CsvOptions } from "./header.ts";
import { type Dialect, eachRecord, RecordLines } from "./records.ts";

/** What is the same for all files of a scan. */
export interface Layout {
  readonly options: CsvOptions;
  readonly columns: readonly string[];
  readonly linesBefore: number;
}

/** Where the rows of a source are among those of all sources that are read. */
export interface SourceRows {
  readonly source: SpooledSource;
  /** Rows of the sources before it. */
  readonly before: number;
  /** Infinite: it is the only source, and nobody has counted. */
  readonly rows: number;
  /** How many sources are read. */
  readonly among: number;
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
   * SQL of a row's file and line as JSON members, by its number over all sources that are read. That DuckDB reads them one after the other is
   * checked row by row, where there are several.
   */
  async tell(places: readonly SourceRows[], layout: Layout): Promise<string> {
    const name = `${layout.columns.length}-${places[0]?.source.source.index}`;
    const lines = new Map<SpooledSource, RecordLines>();
    for (const { source } of places) lines.set(source, await this.of(source, layout));
    const placeOf = (row: number) => places.find(({ before, rows }) => row > before && row <= before + rows);
    const path = this.answer(`paths-${name}`, (row) => placeOf(row)?.source.path ?? null);
    const members = this.answer(`lines-${name}`, (row) => {
      const place = placeOf(row);
      if (place === undefined) return null;
      const { source } = place;
      const line = lines.get(source)?.lineOf(row - place.before) ?? null;
      return `"file":${JSON.stringify(source.source.uri)},${memberJson(source)}"line":${line}`;
    });
    const found = lookup(members, ROW);
    if (places[0]?.among === 1) return found;
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
    blankRows: columns.length === 1 && options.layout === undefined,
  };
}
