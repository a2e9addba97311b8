// The DuckDB library: one instance per process, locked into the work directory.
// The bundle puts lib/duckdb-native.cjs in the package's place, which finds it, with its native binding, in Lambda's layer.
// A fatal error poisons a whole instance ("database has been invalidated"), so the next conversion gets a new one.

import type { DuckDBConnection, DuckDBInstance, DuckDBType, DuckDBValue, JS } from "@duckdb/node-api";
import * as library from "@duckdb/node-api";
import { MoraineError } from "../../core/errors.ts";
import { isPoisoned } from "./duckdb-errors.ts";
import { literal } from "./sql.ts";

export interface EngineOptions {
  /** The only directory DuckDB may read and write. */
  readonly workDir: string;
  readonly memoryLimitBytes: number;
  readonly threads: number;
  /** Also bounds what DuckDB may spill. */
  readonly diskBytesMax: number;
}

/** DuckDB's own vector size. */
export const CHUNK_ROWS = 2048;

export function duckdb(): typeof library {
  return library;
}

export class Engine {
  readonly #options: EngineOptions;
  readonly #prepare: (connection: DuckDBConnection) => void;
  #instance: Promise<DuckDBInstance> | undefined;

  /** `prepare` registers functions on a new instance. */
  constructor(options: EngineOptions, prepare: (connection: DuckDBConnection) => void) {
    this.#options = options;
    this.#prepare = prepare;
  }

  async connect(): Promise<Session> {
    const open = () => this.#connect();
    return new Session(open, await open());
  }

  async #connect(): Promise<Connected> {
    this.#instance ??= this.#open();
    const instance = this.#instance;
    const discard = () => {
      if (this.#instance === instance) this.#instance = undefined;
    };
    try {
      return { connection: await (await instance).connect(), discard };
    } catch (error) {
      discard();
      throw new MoraineError("Unavailable", "duckdb did not start", { workDir: this.#options.workDir }, error);
    }
  }

  async #open(): Promise<DuckDBInstance> {
    const { workDir, memoryLimitBytes, threads, diskBytesMax } = this.#options;
    const instance = await duckdb().DuckDBInstance.create(":memory:", {
      threads: String(threads),
      memory_limit: `${memoryLimitBytes}B`,
      autoinstall_known_extensions: "false",
      autoload_known_extensions: "false",
      allow_community_extensions: "false",
    });
    const connection = await instance.connect();
    this.#prepare(connection);
    await connection.run(`
      SET GLOBAL TimeZone = 'UTC';
      SET GLOBAL enable_geoparquet_conversion = false;
      SET GLOBAL preserve_insertion_order = false;
      SET GLOBAL enable_external_file_cache = false;
      SET GLOBAL temp_directory = ${literal(`${workDir}/spill`)};
      SET GLOBAL max_temp_directory_size = '${diskBytesMax}B';
      SET GLOBAL allowed_directories = [${literal(workDir)}];
      SET GLOBAL enable_external_access = false;
      SET GLOBAL lock_configuration = true`);
    connection.closeSync();
    return instance;
  }
}

interface Connected {
  readonly connection: DuckDBConnection;
  /** Lets go of the instance: the next connection is made to a new one. */
  readonly discard: () => void;
}

/** One connection: its temporary tables die with it. After a fatal error the next statement runs on a new instance. */
export class Session {
  readonly #open: () => Promise<Connected>;
  #connected: Connected | undefined;

  constructor(open: () => Promise<Connected>, connected: Connected) {
    this.#open = open;
    this.#connected = connected;
  }

  async run(sql: string): Promise<void> {
    await this.#guard((connection) => connection.run(sql));
  }

  /** All rows; int64 as bigint, decimals, dates and timestamps as DuckDB's own value classes. */
  async rows(sql: string): Promise<Record<string, DuckDBValue>[]> {
    return this.#guard(async (connection) => (await connection.runAndReadAll(sql)).getRowObjects());
  }

  /** Rows in chunks, for results that do not fit in memory. */
  async *stream(sql: string): AsyncIterable<JS[][]> {
    const result = await this.#guard((connection) => connection.stream(sql));
    const chunks = result.yieldRowsJs();
    for (;;) {
      const next = await this.#guard(() => chunks.next());
      if (next.done === true) return;
      yield next.value;
    }
  }

  /** Fills a table with chunks of columns, of at most CHUNK_ROWS rows each. */
  async append(
    table: string,
    types: readonly DuckDBType[],
    chunks: AsyncIterable<readonly (readonly DuckDBValue[])[]>,
  ): Promise<void> {
    await this.#guard(async (connection) => {
      const appender = await connection.createAppender(table);
      try {
        for await (const columns of chunks) {
          const chunk = duckdb().DuckDBDataChunk.create(types);
          chunk.setColumns(columns);
          appender.appendDataChunk(chunk);
        }
        appender.flushSync();
      } finally {
        appender.closeSync();
      }
    });
  }

  /** Columns of a query and their types, without its rows. */
  async columns(sql: string): Promise<{ readonly names: readonly string[]; readonly types: readonly DuckDBType[] }> {
    const reader = await this.#guard((connection) => connection.runAndReadAll(`SELECT * FROM (${sql}) LIMIT 0`));
    return { names: reader.columnNames(), types: reader.columnTypes() };
  }

  close(): void {
    this.#connected?.connection.closeSync();
    this.#connected = undefined;
  }

  async #guard<T>(action: (connection: DuckDBConnection) => Promise<T>): Promise<T> {
    this.#connected ??= await this.#open();
    const { connection, discard } = this.#connected;
    try {
      return await action(connection);
    } catch (error) {
      if (isPoisoned(error)) {
        discard();
        this.close();
      }
      throw error;
    }
  }
}
