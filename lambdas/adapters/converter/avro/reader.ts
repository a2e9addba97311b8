// Avro. A file is read here, block by block, into a table of DuckDB's, which takes its place in the work directory as a Parquet file; the
// rest is Parquet's reader. So types, casts and blame are one set of rules, and no value becomes text on the way.

import type { DuckDBType, DuckDBValue } from "@duckdb/node-api";
import { MoraineError } from "../../../core/errors.ts";
import { AvroSource } from "../../../core/iceberg/avro-source.ts";
import type { Schema } from "../../../core/iceberg/types.ts";
import type { Inspection, SourceFailure } from "../../../core/ports.ts";
import { isOutOfMemory, tooLargeForMemory } from "../duckdb-errors.ts";
import { CHUNK_ROWS } from "../engine.ts";
import { type FormatReader, failure, type ReaderContext, type SpooledSource, type Verdict } from "../format.ts";
import { columnNames } from "../names.ts";
import { ParquetReader } from "../parquet/reader.ts";
import { ident, literal } from "../sql.ts";
import { type AvroBlock, damaged, readBlocks, readHeader } from "./container.ts";
import { AvroError } from "./error.ts";
import { type AvroField, compileAvro } from "./types.ts";

export class AvroReader implements FormatReader {
  readonly #context: ReaderContext;
  readonly #parquet: ParquetReader;
  /** The Parquet file that took a source's place. */
  readonly #written = new Map<SpooledSource, SpooledSource>();
  /** As its blocks have them. */
  readonly #rows = new Map<SpooledSource, number>();
  #tables = 0;

  constructor(context: ReaderContext) {
    this.#context = context;
    this.#parquet = new ParquetReader(context);
  }

  async admit(source: SpooledSource): Promise<SourceFailure | undefined> {
    if (source.sizeBytes === 0) return undefined;
    try {
      const written = await this.#rewrite(source);
      if (written === undefined) return undefined;
      this.#written.set(source, written);
      return await this.#parquet.admit(written, Buffer.from("PAR1"));
    } catch (error) {
      if (isOutOfMemory(error)) return tooLargeForMemory(source);
      if (!(error instanceof AvroError)) throw error;
      return failure(source, error.reason, error.message, error.byte === undefined ? {} : { byte: error.byte });
    }
  }

  rows(source: SpooledSource): number | undefined {
    return this.#rows.get(source);
  }

  inspect(sources: readonly SpooledSource[], known: Schema | undefined): Promise<Inspection> {
    return this.#parquet.inspect(this.#ofParquet(sources), known);
  }

  selects(sources: readonly SpooledSource[], schema: Schema): Promise<readonly string[]> {
    return this.#parquet.selects(this.#ofParquet(sources), schema);
  }

  blame(sources: readonly SpooledSource[], schema: Schema): Promise<Verdict> {
    return this.#parquet.blame(this.#ofParquet(sources), schema);
  }

  #ofParquet(sources: readonly SpooledSource[]): SpooledSource[] {
    return sources.flatMap((source) => this.#written.get(source) ?? []);
  }

  /** Undefined: the file has no records. */
  async #rewrite(source: SpooledSource): Promise<SpooledSource | undefined> {
    const header = await readHeader(source.path, source.sizeBytes);
    const fields = compileAvro(header.schemaText);
    const kept = fields.filter(({ place }) => place.type !== undefined);
    if (kept.length === 0) {
      throw new AvroError("UNSUPPORTED_AVRO", "its records have no field that could be a column; give them one");
    }
    const { session } = this.#context;
    const table = `avro_${++this.#tables}`;
    const types = kept.map(({ place }) => place.type as DuckDBType);
    const names = columnNames(
      kept.map(({ name }) => name),
      [],
    );
    const columns = types.map((type, i) => `${ident(names[i] as string)} ${String(type)}`);
    await session.run(`CREATE TEMP TABLE ${table} (${columns.join(", ")})`);
    try {
      const blocks = readBlocks(source.path, source.sizeBytes, header);
      const rows = { count: 0 };
      await session.append(table, types, chunksOf(blocks, fields, rows));
      this.#rows.set(source, rows.count);
      if (rows.count === 0) return undefined;
      // Records keep their order, and the file is written anew only when all of the old one was read.
      const [copied] = await session.rows(
        `COPY ${table} TO ${literal(source.path)} (FORMAT parquet, COMPRESSION snappy, RETURN_STATS)`,
      );
      return { ...source, sizeBytes: Number(copied?.["file_size_bytes"]) };
    } finally {
      await session.run(`DROP TABLE IF EXISTS ${table}`);
    }
  }
}

async function* chunksOf(
  blocks: AsyncIterable<AvroBlock>,
  fields: readonly AvroField[],
  rows: { count: number },
): AsyncGenerator<DuckDBValue[][]> {
  const empty = () => fields.filter(({ place }) => place.type !== undefined).map((): DuckDBValue[] => []);
  let columns = empty();
  let filled = 0;
  for await (const block of blocks) {
    const source = new AvroSource(block.body, "block");
    for (let i = 0; i < block.count; i++) {
      readRecord(source, fields, columns, block);
      rows.count++;
      if (++filled < CHUNK_ROWS) continue;
      yield columns;
      columns = empty();
      filled = 0;
    }
    if (!source.atEnd()) throw damaged(block.at, "holds more than its records");
  }
  if (filled > 0) yield columns;
}

function readRecord(
  source: AvroSource,
  fields: readonly AvroField[],
  columns: DuckDBValue[][],
  block: AvroBlock,
): void {
  try {
    let column = 0;
    for (const { place } of fields) {
      const value = place.read(source);
      if (place.type !== undefined) (columns[column++] as DuckDBValue[]).push(value);
    }
  } catch (error) {
    if (error instanceof AvroError)
      throw new AvroError(error.reason, `${error.message} (block at byte ${block.at})`, block.at);
    if (!(error instanceof MoraineError)) throw error;
    const problem = error.message.replace(/ file=.*$/, "");
    throw damaged(block.at, `does not hold its records (${problem}, at byte ${source.position} of what it unfolds to)`);
  }
}
