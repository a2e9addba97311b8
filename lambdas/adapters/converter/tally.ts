// How many rows each source has, told by the very statement that writes them: rows are materialized once, counted by source, and the
// counts leave the statement through a function of ours. (By way of a table instead, whose columns get statistics nobody reads, a
// conversion of 2,000 small files takes a fifth more CPU, and reading them again to count a quarter: bench/small-files.ts.)

import type { DuckDBConnection } from "@duckdb/node-api";
import { duckdb } from "./engine.ts";
import { ident, literal } from "./sql.ts";

const TELL = "moraine_tell";
const ROWS = ident("moraine_rows");

export interface Tally {
  readonly records: number;
  /** Of these, rows with something in `_rescued_data`. */
  readonly rescued: number;
}

/** What running statements have told, by their token. */
const told = new Map<string, Map<string, Tally>>();

/**
 * A query of `columns` of the rows; running it tells the rows of each value of `source`, under a token no other statement has. `rescued`: SQL
 * of an aggregate.
 */
export function tellingRows(token: string, rows: string, columns: string, source: string, rescued: string): string {
  const counts = `SELECT ${source} AS source, count(*) AS n, CAST(${rescued} AS BIGINT) AS rescued FROM ${ROWS} GROUP BY source`;
  const told = `SELECT bool_and(${TELL}(${literal(token)}, source, n, rescued)) FROM (${counts})`;
  return `WITH ${ROWS} AS MATERIALIZED (${rows}) SELECT ${columns} FROM ${ROWS} WHERE (${told})`;
}

/** Runs a telling statement; nothing is told of one that did not get as far. */
export async function listen<T>(
  token: string,
  run: () => Promise<T>,
): Promise<{ readonly result: T; readonly counts: ReadonlyMap<string, Tally> }> {
  const counts = new Map<string, Tally>();
  told.set(token, counts);
  try {
    return { result: await run(), counts };
  } finally {
    told.delete(token);
  }
}

/** Makes `moraine_tell(token, source, rows, rescued)` known to an instance. */
export function registerTally(connection: DuckDBConnection): void {
  const { DuckDBScalarFunction, BIGINT, BOOLEAN, VARCHAR } = duckdb();
  connection.registerScalarFunction(
    DuckDBScalarFunction.create({
      name: TELL,
      parameterTypes: [VARCHAR, VARCHAR, BIGINT, BIGINT],
      returnType: BOOLEAN,
      mainFunction: (_info, input, output) => {
        const counts = told.get(input.getColumnVector(0).getItem(0) as string);
        const sources = input.getColumnVector(1);
        const rows = input.getColumnVector(2);
        const rescued = input.getColumnVector(3);
        for (let row = 0; row < input.rowCount; row++) {
          const tally = { records: Number(rows.getItem(row)), rescued: Number(rescued.getItem(row)) };
          counts?.set(sources.getItem(row) as string, tally);
          output.setItem(row, true);
        }
        output.flush();
      },
    }),
  );
}
