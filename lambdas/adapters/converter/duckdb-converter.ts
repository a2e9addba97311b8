// The converter: source files in, Iceberg data files out, by DuckDB in this process. Read `DuckDbConversion` top to bottom.
// Invariant: every source added ends either in `loaded`, with all its rows in the files, or in `failures`, with none.

import { randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { assert, MoraineError } from "../../core/errors.ts";
import { UNPARTITIONED } from "../../core/iceberg/partition.ts";
import { sameSchema } from "../../core/iceberg/schema.ts";
import type { PartitionSpec, Schema } from "../../core/iceberg/types.ts";
import type {
  Conversion,
  ConversionJob,
  ConversionResult,
  ConvertedFile,
  Converter,
  Inspection,
  LoadedSource,
  Source,
  SourceFailure,
  SourceShape,
  Treatment,
} from "../../core/ports.ts";
import { type Attempt, attempt } from "./attempt.ts";
import type { KeptRows } from "./bad-rows.ts";
import { CsvReader } from "./csv.ts";
import { writeEqualityDeletes } from "./deletes.ts";
import { isMisfit } from "./duckdb-errors.ts";
import { Engine, type EngineOptions } from "./engine.ts";
import type { FormatReader, ReaderContext, SpooledSource } from "./format.ts";
import { isolate, Miscounted } from "./isolate.ts";
import { JsonReader } from "./json.ts";
import { SEED_ROOM_BYTES, SEED_ROOM_MATTERS_BYTES } from "./json-seed.ts";
import { LINEAGE_NAMES } from "./lineage.ts";
import { registerLookup } from "./lookup.ts";
import { ObjectReader } from "./objects.ts";
import { ParquetReader } from "./parquet.ts";
import { registerTransform } from "./partition.ts";
import { Slots } from "./slots.ts";
import { DiskBudget, SMALL_BYTES, type SourceEncoding, spool } from "./spool.ts";
import { SpoolError } from "./spool-error.ts";
import { registerTally } from "./tally.ts";
import { draftField } from "./types.ts";
import { ownDirectory } from "./work-dir.ts";
import { describeFiles } from "./write.ts";

export class DuckDbConverter implements Converter {
  readonly #options: EngineOptions;
  readonly #engine: Engine;
  readonly #slots: Slots;

  constructor(options: EngineOptions) {
    this.#options = { ...options, workDir: ownDirectory(options.workDir) };
    this.#engine = new Engine(this.#options, (connection) => {
      registerTransform(connection);
      registerTally(connection);
      registerLookup(connection);
    });
    this.#slots = new Slots(`${this.#options.workDir}/slots`);
  }

  async start(job: ConversionJob): Promise<Conversion> {
    const directory = `${this.#options.workDir}/${randomUUID()}`;
    await mkdir(directory, { recursive: true });
    const session = await this.#engine.connect();
    return new DuckDbConversion({ session, job, directory }, this.#slots, this.#options.diskBytesMax);
  }
}

class DuckDbConversion implements Conversion {
  readonly #context: ReaderContext;
  readonly #reader: FormatReader;
  readonly #slots: Slots;
  readonly #taken: string[] = [];
  readonly #disk: DiskBudget;
  readonly #sources: SpooledSource[] = [];
  readonly #failed = new Set<number>();
  readonly #treatments = new Map<number, Treatment>();
  #attempts = 0;
  /** What `inspect` has converted already. */
  #ready: { readonly schema: Schema; readonly spec: PartitionSpec; readonly attempt: Attempt } | undefined;

  constructor(context: Omit<ReaderContext, "treatments">, slots: Slots, diskBytesMax: number) {
    this.#context = { ...context, treatments: this.#treatments };
    this.#slots = slots;
    this.#reader = readerOf(this.#context);
    this.#disk = new DiskBudget(diskBytesMax);
  }

  async add(source: Source, body: AsyncIterable<Uint8Array> | undefined): Promise<SourceFailure | undefined> {
    const { job, directory } = this.#context;
    if (body === undefined) {
      const unread = { bytesRead: 0, sizeBytes: 0, lastByte: undefined, roomBytes: 0 };
      return this.#admit({ ...unread, source, path: `${directory}/${source.index}` }, Buffer.alloc(0));
    }
    const small = source.sizeBytes <= SMALL_BYTES;
    const path = small ? this.#slots.take() : `${directory}/${source.index}`;
    if (small) this.#taken.push(path);
    const roomBytes = job.format.type === "ndjson" && source.sizeBytes >= SEED_ROOM_MATTERS_BYTES ? SEED_ROOM_BYTES : 0;
    try {
      const spooled = await spool(body, source.sizeBytes, {
        path,
        name: source.uri,
        compression: job.format.type === "binary" ? "none" : job.compression,
        encoding: encodingOf(job),
        disk: this.#disk,
        roomBytes,
      });
      const { head, ...facts } = spooled;
      return await this.#admit({ ...facts, source, path }, head);
    } catch (error) {
      if (!small) await rm(path, { force: true });
      if (!(error instanceof SpoolError)) throw error;
      return { index: source.index, reason: error.reason, message: error.message, ...error.place };
    }
  }

  async inspect(known: Schema | undefined, spec: PartitionSpec = UNPARTITIONED): Promise<Inspection> {
    const ahead = known !== undefined && this.#context.job.format.type.endsWith("json");
    if (ahead && (await this.#convertAhead(known, spec))) {
      return { fields: known.fields.filter(({ name }) => !LINEAGE_NAMES.has(name)).map(draftField), failures: [] };
    }
    const inspection = await this.#reader.inspect(this.#good(), known);
    for (const { index } of inspection.failures) this.#failed.add(index);
    return inspection;
  }

  async inspectEach(known: Schema): Promise<readonly SourceShape[]> {
    const shapes: SourceShape[] = [];
    for (const source of this.#good()) {
      const { fields, failures } = await this.#reader.inspect([source], known);
      if (failures.length === 0) shapes.push({ index: source.source.index, fields });
    }
    return shapes;
  }

  leaveOut(index: number): void {
    this.#failed.add(index);
    this.#ready = undefined;
  }

  treat(index: number, treatment: Treatment): void {
    this.#treatments.set(index, treatment);
    this.#ready = undefined;
  }

  async convert(schema: Schema, spec: PartitionSpec): Promise<ConversionResult> {
    const ahead = this.#ready;
    if (ahead !== undefined && sameSchema(ahead.schema, schema) && sameSpec(ahead.spec, spec)) {
      return this.#result(ahead.attempt, []);
    }
    const { outcome, failures, misfits } = await isolate(this.#reader, this.#good(), schema, {
      attempt: (sources) => this.#attempt(sources, schema, spec),
      discard: ({ target }) => rm(target.directory, { recursive: true, force: true }),
    });
    for (const { index } of failures) this.#failed.add(index);
    return outcome === undefined ? { files: [], loaded: [], failures, misfits } : this.#result(outcome, failures);
  }

  async writeDeletes(schema: Schema, fieldId: number, values: readonly string[]): Promise<ConvertedFile> {
    return writeEqualityDeletes(
      this.#context.session,
      `${this.#context.directory}/deletes-${++this.#attempts}`,
      schema,
      fieldId,
      values,
    );
  }

  async close(): Promise<void> {
    this.#reader.close?.();
    this.#context.session.close();
    await rm(this.#context.directory, { recursive: true, force: true });
    this.#slots.giveBack(this.#taken.splice(0));
  }

  async #admit(source: SpooledSource, head: Buffer): Promise<SourceFailure | undefined> {
    const refused = await this.#reader.admit(source, head);
    if (refused === undefined) this.#sources.push(source);
    return refused;
  }

  /**
   * Reading JSON tells of unknown keys only while it converts them, so a conversion with the table's own schema is the
   * cheapest look there is: if it succeeds, there was nothing new.
   */
  async #convertAhead(schema: Schema, spec: PartitionSpec): Promise<boolean> {
    for (;;) {
      try {
        this.#ready = { schema, spec, attempt: await this.#attempt(this.#good(), schema, spec) };
        return true;
      } catch (error) {
        if (error instanceof MoraineError) throw error;
        // Large numbers show at once, and cost little to find: the first of them ends the attempt.
        if (!isMisfit(error) || this.#reader.fallback?.(false) !== true) return false;
      }
    }
  }

  /** Rows are counted where they are written; where a source was taken apart before, they were counted there too. */
  async #attempt(sources: readonly SpooledSource[], schema: Schema, spec: PartitionSpec): Promise<Attempt> {
    const directory = `${this.#context.directory}/out-${++this.#attempts}`;
    const outcome = await attempt(this.#context, this.#reader, sources, schema, spec, directory);
    const miscounted = sources.filter((source) => {
      const rows = this.#reader.rows?.(source);
      return rows !== undefined && rows !== (outcome.counts.get(source.path)?.records ?? 0);
    });
    if (miscounted.length === 0) return outcome;
    await rm(directory, { recursive: true, force: true });
    throw new Miscounted(miscounted);
  }

  async #result(outcome: Attempt, failures: readonly SourceFailure[]): Promise<ConversionResult> {
    const loaded = outcome.sources.map((source) => this.#loadedSource(source, outcome));
    const quarantine = this.#quarantine(outcome.sources);
    assert(
      loaded.reduce((sum, { quarantined }) => sum + quarantined, 0) === (quarantine?.rows ?? 0),
      "rows are quarantined as often as their sources say",
    );
    return {
      files: await describeFiles(outcome.target, outcome.files),
      loaded,
      failures,
      misfits: [],
      ...(quarantine === undefined ? {} : { quarantine }),
    };
  }

  /** Every row that was seen is in the data files or in the quarantine. */
  #loadedSource(source: SpooledSource, { counts }: Attempt): LoadedSource {
    const { records, rescued } = counts.get(source.path) ?? { records: 0, rescued: 0 };
    const mended = this.#reader.mended?.(source);
    const quarantined = this.#isQuarantining() ? (mended?.bad ?? 0) : 0;
    assert(records + quarantined === (mended?.seen ?? records), "rows seen are rows loaded and rows quarantined");
    assert(rescued <= records, "rescued rows are some of those loaded");
    return { index: source.source.index, records, rescued, quarantined, bytesRead: source.bytesRead };
  }

  #quarantine(sources: readonly SpooledSource[]): ConversionResult["quarantine"] {
    if (!this.#isQuarantining()) return undefined;
    const kept = sources.flatMap((source) => this.#reader.mended?.(source)?.kept ?? []).filter(({ rows }) => rows > 0);
    if (kept.length === 0) return undefined;
    const sizeBytes = kept.reduce((sum, rows) => sum + rows.sizeBytes, 0);
    return { rows: kept.reduce((sum, { rows }) => sum + rows, 0), body: { sizeBytes, open: () => joined(kept) } };
  }

  #isQuarantining(): boolean {
    return this.#context.job.badRows.onBadRow === "quarantine";
  }

  #good(): SpooledSource[] {
    return this.#sources.filter(({ source }) => !this.#failed.has(source.index));
  }
}

async function* joined(kept: readonly KeptRows[]): AsyncGenerator<Uint8Array> {
  for (const { path } of kept) yield* createReadStream(path) as AsyncIterable<Uint8Array>;
}

function sameSpec(a: PartitionSpec, b: PartitionSpec): boolean {
  return JSON.stringify(a.fields) === JSON.stringify(b.fields);
}

function readerOf(context: ReaderContext): FormatReader {
  const { format } = context.job;
  switch (format.type) {
    case "csv":
    case "tsv":
      return new CsvReader(context, format);
    case "ndjson":
      return new JsonReader(context, { lines: true });
    case "json":
      return new JsonReader(context, { lines: false, recordsPath: format.recordsPath });
    case "parquet":
      return new ParquetReader(context);
    case "metadata":
    case "binary":
      return new ObjectReader(context, format);
  }
}

function encodingOf(job: ConversionJob): SourceEncoding {
  switch (job.format.type) {
    case "csv":
    case "tsv":
      return job.format.encoding;
    case "parquet":
    case "metadata":
    case "binary":
      return "binary";
    default:
      return "utf-8";
  }
}
