// How many rows each source has, told by the very statement that writes them: rows are materialized once, counted by source, and the
// counts leave the statement through a function of ours. (By way of a table instead, whose columns get statistics nobody reads, a
// conversion of 2,000 small files takes a fifth more CPU, and reading them again to count a quarter: bench/small-files.ts.)

import type { DuckDBConnection } from "@duckdb/node-api";
import { duckdb } from "./engine.ts";
import { ident, literal } from "./sql.ts";

const TELL = "moraine_tell";
const ROWS = ident("moraine_rows");

/** What running statements have told, by their token. */
const told = new Map<string, Map<string, number>>();

/** A query of `columns` of the rows; running it tells the rows of each value of `source`, under a token no other statement has. */
export function tellingRows(token: string, rows: string, columns: string, source: string): string {
  const counts = `SELECT ${source} AS source, count(*) AS n FROM ${ROWS} GROUP BY ALL`;
  const told = `SELECT bool_and(${TELL}(${literal(token)}, source, n)) FROM (${counts})`;
  return `WITH ${ROWS} AS MATERIALIZED (${rows}) SELECT ${columns} FROM ${ROWS} WHERE (${told})`;
}

/** Runs a telling statement; nothing is told of one that did not get as far. */
export async function listen<T>(
  token: string,
  run: () => Promise<T>,
): Promise<{ readonly result: T; readonly counts: ReadonlyMap<string, number> }> {
  const counts = new Map<string, number>();
  told.set(token, counts);
  try {
    return { result: await run(), counts };
  } finally {
    told.delete(token);
  }
}

/** Makes `moraine_tell(token, source, rows)` known to an instance. */
export function registerTally(connection: DuckDBConnection): void {
  const { DuckDBScalarFunction, BIGINT, BOOLEAN, VARCHAR } = duckdb();
  connection.registerScalarFunction(
    DuckDBScalarFunction.create({
      name: TELL,
      parameterTypes: [VARCHAR, VARCHAR, BIGINT],
      returnType: BOOLEAN,
      mainFunction: (_info, input, output) => {
        const counts = told.get(input.getColumnVector(0).getItem(0) as string);
        const sources = input.getColumnVector(1);
        const rows = input.getColumnVector(2);
        for (let row = 0; row < input.rowCount; row++) {
          counts?.set(sources.getItem(row) as string, Number(rows.getItem(row)));
          output.setItem(row, true);
        }
        output.flush();
      },
    }),
  );
}
