// On which line each record of a CSV file starts. A file is gone over once, when the first of its lines is asked for: DuckDB counts
// records, and not lines once a field may hold line breaks.

import type { CsvOptions } from "./csv-header.ts";
import { type Dialect, eachRecord, RecordLines } from "./csv-records.ts";
import type { SpooledSource } from "./format.ts";
import { answer, forget } from "./lookup.ts";

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

  /** Lets statements look lines up by the row's number, under the token returned. */
  async tell(source: SpooledSource, layout: Layout): Promise<string> {
    const lines = await this.of(source, layout);
    return this.answer(`lines-${source.source.index}`, (row) => String(lines.lineOf(row) ?? "null"));
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
