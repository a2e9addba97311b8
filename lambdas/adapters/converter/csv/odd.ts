// Rows of CSV files that something is wrong with, put aside with their numbers. DuckDB numbers rows only where one thread reads them, but it
// writes what all threads read in the order of the files, if asked to: a Parquet file gets the fields of every odd row, and of every other
// row nothing, so that the place in it is the number.

import type { Session } from "../engine.ts";
import { FILE_COLUMN, type SpooledSource } from "../format.ts";
import { ROW } from "../places.ts";
import { literal, tableFunction } from "../sql.ts";
import { type CsvGroup, fieldsIn, readCsv } from "./group.ts";
import type { SourceRows } from "./lines.ts";

export class OddRows {
  /** The file they are in. */
  readonly path: string;
  /** SQL of what makes a row odd. */
  readonly conditions: readonly string[];
  readonly #places: readonly SourceRows[];
  readonly #counts: ReadonlyMap<string, number>;
  readonly #from: string;

  /** `counts`: odd rows by path. */
  constructor(
    path: string,
    conditions: readonly string[],
    places: readonly SourceRows[],
    counts: ReadonlyMap<string, number>,
    from: string,
  ) {
    this.path = path;
    this.conditions = conditions;
    this.#places = places;
    this.#counts = counts;
    this.#from = from;
  }

  /** Of the rows of these sources. */
  share(sources: readonly SpooledSource[]): number {
    let [odd, all] = [0, 0];
    for (const { source, rows } of this.places(sources)) {
      odd += this.#counts.get(source.path) ?? 0;
      all += rows;
    }
    return odd / Math.max(all, 1);
  }

  /** A FROM item of those among them that belong to the sources: fields as text, FILE_COLUMN, and ROW over all sources that were read. */
  of(sources: readonly SpooledSource[]): string {
    const paths = sources.map(({ path }) => literal(path)).join(", ");
    return `(SELECT * FROM ${this.#from} WHERE ${FILE_COLUMN} IN (${paths}))`;
  }

  /** The same of one source, with ROW from 1. */
  numbered(source: SpooledSource): string {
    const [place] = this.places([source]);
    return `(SELECT * REPLACE (${ROW} - ${place?.before ?? 0} AS ${ROW}) FROM ${this.of([source])})`;
  }

  places(sources: readonly SpooledSource[]): SourceRows[] {
    const wanted = new Set(sources);
    return this.#places.filter(({ source }) => wanted.has(source));
  }
}

/** `path`: of the file they are written to. */
export async function setOddAside(
  session: Session,
  group: CsvGroup,
  conditions: readonly string[],
  path: string,
): Promise<OddRows> {
  const fields = fieldsIn(group).map((_, index) => `c${index}`);
  const odd = `CASE WHEN ${["false", ...conditions].join(" OR ")} THEN [${fields.join(", ")}] END AS odd`;
  const options = "FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, PRESERVE_ORDER true";
  await session.run(`COPY (SELECT ${odd}, ${FILE_COLUMN} FROM ${readCsv(group)}) TO ${literal(path)} (${options})`);
  const written = tableFunction("read_parquet", [path], { hive_partitioning: "false", file_row_number: "true" });
  const counted = await session.rows(
    `SELECT ${FILE_COLUMN} AS path, count(*) AS n, count(odd) AS odd FROM ${written} GROUP BY ALL`,
  );
  const [counts, odds] = (["n", "odd"] as const).map((name) => {
    return new Map(counted.map((row) => [String(row["path"]), Number(row[name])]));
  }) as [Map<string, number>, Map<string, number>];
  const own = fields.map((field, index) => `odd[${index + 1}] AS ${field}`);
  const from = `(SELECT ${own.join(", ")}, ${FILE_COLUMN}, file_row_number + 1 AS ${ROW} FROM ${written} WHERE odd IS NOT NULL)`;
  return new OddRows(path, conditions, placesOf(group.sources, counts), odds, from);
}

/** Of sources that are read one after the other. `counts`: rows by path. */
export function placesOf(sources: readonly SpooledSource[], counts: ReadonlyMap<string, number>): SourceRows[] {
  let before = 0;
  return sources.map((source) => {
    const place = { source, before, rows: counts.get(source.path) ?? 0, among: sources.length };
    before += place.rows;
    return place;
  });
}
