// Answers of ours to single rows of a statement, by number: the line a record starts on, what is known of a row that was mended. DuckDB
// asks for few rows, those that something is wrong with, so that rows which are fine pay nothing.

import type { DuckDBConnection } from "@duckdb/node-api";
import { duckdb } from "./engine.ts";
import { literal } from "./sql.ts";

const LOOKUP = "moraine_lookup";

type Answer = (number: number) => string | null;

const answers = new Map<string, Answer>();

/** Makes the answer known to statements, under a token that nobody else has. */
export function answer(token: string, number: Answer): void {
  answers.set(token, number);
}

export function forget(token: string): void {
  answers.delete(token);
}

/** SQL of the answer, a text: `number` is the SQL of a BIGINT. */
export function lookup(token: string, number: string): string {
  return `${LOOKUP}(${literal(token)}, ${number})`;
}

/** Makes `moraine_lookup(token, number)` known to an instance. */
export function registerLookup(connection: DuckDBConnection): void {
  const { DuckDBScalarFunction, BIGINT, VARCHAR } = duckdb();
  connection.registerScalarFunction(
    DuckDBScalarFunction.create({
      name: LOOKUP,
      parameterTypes: [VARCHAR, BIGINT],
      returnType: VARCHAR,
      mainFunction: (_info, input, output) => {
        const tokens = input.getColumnVector(0);
        const numbers = input.getColumnVector(1);
        for (let row = 0; row < input.rowCount; row++) {
          const number = numbers.getItem(row);
          const answered = number === null ? undefined : answers.get(tokens.getItem(row) as string);
          output.setItem(row, answered?.(Number(number)) ?? null);
        }
        output.flush();
      },
    }),
  );
}
