// The DuckDB library: loaded at first use, one instance per process, locked into the work directory.
// Loading goes through `require`, because the native binding lies in a Lambda layer and only `require` looks at NODE_PATH.
// A fatal error poisons a whole instance ("database has been invalidated"), so the next conversion gets a new one.

import { createRequire } from "node:module";
import type { DuckDBConnection, DuckDBInstance, DuckDBType, DuckDBValue, JS } from "@duckdb/node-api";
import { MoraineError } from "../../core/errors.ts";
import { literal } from "./sql.ts";

export interface EngineOptions {
  /** The only directory DuckDB may read and write. */
  readonly workDir: string;
  readonly memoryLimitBytes: number;
  readonly threads: number;
  /** Also bounds what DuckDB may spill. */
  readonly diskBytesMax: number;
}

type DuckDbModule = typeof import("@duckdb/node-api");

let loaded: DuckDbModule | undefined;

export function duckdb(): DuckDbModule {
  // In a CommonJS bundle `import.meta` is empty and `__filename` is there.
  loaded ??= createRequire(import.meta.url ?? __filename)("@duckdb/node-api") as DuckDbModule;
  return loaded;
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
    this.#instance ??= this.#open();
    const instance = this.#instance;
    try {
      return new Session(await (await instance).connect(), () => this.#discard(instance));
    } catch (error) {
      this.#discard(instance);
      throw new MoraineError("Unavailable", "duckdb did not start", { workDir: this.#options.workDir }, error);
    }
  }

  #discard(instance: Promise<DuckDBInstance>): void {
    if (this.#instance === instance) this.#instance = undefined;
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

/** One connection: its temporary tables die with it. */
export class Session {
  readonly #connection: DuckDBConnection;
  readonly #poisoned: () => void;

  constructor(connection: DuckDBConnection, poisoned: () => void) {
    this.#connection = connection;
    this.#poisoned = poisoned;
  }

  async run(sql: string): Promise<void> {
    await this.#guard(() => this.#connection.run(sql));
  }

  /** All rows; int64 as bigint, decimals, dates and timestamps as DuckDB's own value classes. */
  async rows(sql: string): Promise<Record<string, DuckDBValue>[]> {
    return this.#guard(async () => (await this.#connection.runAndReadAll(sql)).getRowObjects());
  }

  /** Rows in chunks, for results that do not fit in memory. */
  async *stream(sql: string): AsyncIterable<JS[][]> {
    const result = await this.#guard(() => this.#connection.stream(sql));
    const chunks = result.yieldRowsJs();
    for (;;) {
      const next = await this.#guard(() => chunks.next());
      if (next.done === true) return;
      yield next.value;
    }
  }

  /** Columns of a query and their types, without its rows. */
  async columns(sql: string): Promise<{ readonly names: readonly string[]; readonly types: readonly DuckDBType[] }> {
    const reader = await this.#guard(() => this.#connection.runAndReadAll(`SELECT * FROM (${sql}) LIMIT 0`));
    return { names: reader.columnNames(), types: reader.columnTypes() };
  }

  close(): void {
    this.#connection.closeSync();
  }

  async #guard<T>(action: () => Promise<T>): Promise<T> {
    try {
      return await action();
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      if (/^(INTERNAL|FATAL) Error/.test(text) || text.includes("database has been invalidated")) this.#poisoned();
      throw error;
    }
  }
}
