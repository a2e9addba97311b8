// The converter: source files in, Iceberg data files out, by DuckDB in this process. Read `DuckDbConversion` top to bottom.
// Invariant: every source added ends either in `loaded`, with all its rows in the files, or in `failures`, with none.

import { randomUUID } from "node:crypto";
import { mkdir, rm } from "node:fs/promises";
import { MoraineError } from "../../core/errors.ts";
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
  Source,
  SourceFailure,
  SourceShape,
  Treatment,
} from "../../core/ports.ts";
import { type Attempt, attempt } from "./attempt.ts";
import { AvroReader } from "./avro.ts";
import { CsvReader } from "./csv.ts";
import { writeEqualityDeletes } from "./deletes.ts";
import { isMisfit } from "./duckdb-errors.ts";
import { Engine, type EngineOptions } from "./engine.ts";
import type { FormatReader, ReaderContext, SpooledSource } from "./format.ts";
import { isolate } from "./isolate.ts";
import { JsonReader } from "./json.ts";
import { SEED_ROOM_BYTES, SEED_ROOM_MATTERS_BYTES } from "./json-seed.ts";
import { LINEAGE_NAMES } from "./lineage.ts";
import { ObjectReader } from "./objects.ts";
import { ParquetReader } from "./parquet.ts";
import { registerTransform } from "./partition.ts";
import { Slots } from "./slots.ts";
import { DiskBudget, SMALL_BYTES, type SpoolOptions, spool } from "./spool.ts";
import { SpoolError } from "./spool-error.ts";
import { registerTally } from "./tally.ts";
import { draftField } from "./types.ts";
import { type Part, unpack } from "./unpack.ts";
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
  #attempts = 0;
  /** What `inspect` has converted already. */
  #ready: { readonly schema: Schema; readonly spec: PartitionSpec; readonly attempt: Attempt } | undefined;

  constructor(context: ReaderContext, slots: Slots, diskBytesMax: number) {
    this.#context = context;
    this.#slots = slots;
    this.#reader = readerOf(context);
    this.#disk = new DiskBudget(diskBytesMax);
  }

  async add(source: Source, body: AsyncIterable<Uint8Array> | undefined): Promise<SourceFailure | undefined> {
    const { job, directory } = this.#context;
    if (body === undefined) {
      const unread = { bytesRead: 0, sizeBytes: 0, lastByte: undefined, odd: false, roomBytes: 0 };
      return this.#admit({ ...unread, source, path: `${directory}/${source.index}` }, Buffer.alloc(0));
    }
    const small = source.sizeBytes <= SMALL_BYTES;
    const path = small ? this.#slots.take() : `${directory}/${source.index}`;
    if (small) this.#taken.push(path);
    const roomy = job.format.type === "ndjson" && source.sizeBytes >= SEED_ROOM_MATTERS_BYTES;
    const options: SpoolOptions = {
      path,
      name: source.uri,
      compression: job.format.type === "binary" ? "none" : job.compression,
      encoding: encodingOf(job),
      disk: this.#disk,
      roomBytes: roomy ? SEED_ROOM_BYTES : 0,
      isJson: job.format.type === "json" || job.format.type === "ndjson",
    };
    try {
      const spooled = await spool(body, source.sizeBytes, options);
      if ("archive" in spooled) return await this.#admitAll(source, await unpack(spooled, source, directory, options));
      const { head, ...facts } = spooled;
      return await this.#admit({ ...facts, source, path }, head);
    } catch (error) {
      if (!small) await rm(path, { force: true });
      if (!(error instanceof SpoolError)) throw error;
      return { index: source.index, reason: error.reason, message: error.message };
    }
  }

  /** The files of one archive: all of them, or none. */
  async #admitAll(source: Source, parts: readonly Part[]): Promise<SourceFailure | undefined> {
    for (const { head, ...part } of parts) {
      const refused = await this.#admit(part, head);
      if (refused === undefined) continue;
      this.#failed.add(source.index);
      return refused;
    }
    return undefined;
  }

  async inspect(known: Schema | undefined, spec: PartitionSpec = UNPARTITIONED): Promise<Inspection> {
    const ahead = known !== undefined && this.#context.job.format.type.endsWith("json");
    if (ahead && (await this.#convertAhead(known, spec))) {
      return { fields: known.fields.filter(({ name }) => !LINEAGE_NAMES.has(name)).map(draftField), failures: [] };
    }
    const { fields, failures } = await this.#reader.inspect(this.#good(), known);
    for (const { index } of failures) this.#failed.add(index);
    return { fields, failures: oncePerSource(failures) };
  }

  async inspectEach(known: Schema): Promise<readonly SourceShape[]> {
    const shapes: SourceShape[] = [];
    for (const [index, parts] of Map.groupBy(this.#good(), ({ source }) => source.index)) {
      const { fields, failures } = await this.#reader.inspect(parts, known);
      if (failures.length === 0) shapes.push({ index, fields });
    }
    return shapes;
  }

  leaveOut(index: number): void {
    this.#failed.add(index);
    this.#ready = undefined;
  }

  treat(index: number, treatment: Treatment): void {
    throw new MoraineError("Invalid", "treatments are not built yet", { index, rescue: treatment.rescue });
  }

  async convert(schema: Schema, spec: PartitionSpec): Promise<ConversionResult> {
    const ahead = this.#ready;
    if (ahead !== undefined && sameSchema(ahead.schema, schema) && sameSpec(ahead.spec, spec)) {
      return this.#result(ahead.attempt, []);
    }
    const { outcome, failures } = await isolate(this.#reader, this.#good(), schema, {
      attempt: (sources) => this.#attempt(sources, schema, spec),
      discard: ({ target }) => rm(target.directory, { recursive: true, force: true }),
    });
    for (const { index } of failures) this.#failed.add(index);
    return this.#result(outcome, failures);
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

  #attempt(sources: readonly SpooledSource[], schema: Schema, spec: PartitionSpec): Promise<Attempt> {
    return attempt(
      this.#context,
      this.#reader,
      sources,
      schema,
      spec,
      `${this.#context.directory}/out-${++this.#attempts}`,
    );
  }

  async #result(
    { target, files, counts, sources }: Attempt,
    failures: readonly SourceFailure[],
  ): Promise<ConversionResult> {
    return {
      files: await describeFiles(target, files),
      loaded: [...Map.groupBy(sources, ({ source }) => source.index)].map(([index, parts]) => ({
        index,
        records: parts.reduce((sum, { path }) => sum + (counts.get(path) ?? 0), 0),
        rescued: 0,
        quarantined: 0,
        bytesRead: parts.reduce((sum, { bytesRead }) => sum + bytesRead, 0),
      })),
      failures: oncePerSource(failures),
      misfits: [],
    };
  }

  #good(): SpooledSource[] {
    return this.#sources.filter(({ source }) => !this.#failed.has(source.index));
  }
}

/** Several files of one archive may be to blame: the first is told. */
function oncePerSource(failures: readonly SourceFailure[]): SourceFailure[] {
  return [...Map.groupBy(failures, ({ index }) => index).values()].map(([first]) => first as SourceFailure);
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
    case "json":
      return new JsonReader(context, format);
    case "parquet":
      return new ParquetReader(context);
    case "avro":
      return new AvroReader(context);
    case "metadata":
    case "binary":
      return new ObjectReader(context, format);
  }
}

function encodingOf(job: ConversionJob): "utf-8" | "utf-16" | "latin-1" | "binary" {
  switch (job.format.type) {
    case "csv":
    case "tsv":
      return job.format.encoding;
    case "parquet":
    case "avro":
    case "metadata":
    case "binary":
      return "binary";
    default:
      return "utf-8";
  }
}
