// The converter: source files in, Iceberg data files out, by DuckDB in this process. Read `DuckDbConversion` top to bottom.
// Invariant: every source added ends either in `loaded`, with all its rows in the files, or in `failures`, with none.

import { randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { assert, MoraineError } from "../../core/errors.ts";
import { UNPARTITIONED } from "../../core/iceberg/partition.ts";
import { assignFieldIds, sameSchema } from "../../core/iceberg/schema.ts";
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
import { AvroReader } from "./avro/reader.ts";
import type { KeptRows } from "./bad-rows.ts";
import { csvOptionsOf } from "./csv/fixed.ts";
import { CsvReader } from "./csv/reader.ts";
import { writeEqualityDeletes } from "./deletes.ts";
import { isMisfit } from "./duckdb-errors.ts";
import { Engine, type EngineOptions } from "./engine.ts";
import { callersIndex, type FormatReader, type ReaderContext, type SpooledSource } from "./format.ts";
import { isolate, Miscounted } from "./isolate.ts";
import { JsonReader } from "./json/reader.ts";
import { SEED_ROOM_BYTES, SEED_ROOM_MATTERS_BYTES } from "./json/seed.ts";
import { LINEAGE_NAMES } from "./lineage.ts";
import { registerLookup } from "./lookup.ts";
import { failuresOfSources, MemberIndexes, misfitsOfSources } from "./members.ts";
import { ObjectReader } from "./objects/reader.ts";
import { ParquetReader } from "./parquet/reader.ts";
import { registerTransform } from "./partition.ts";
import { Slots } from "./slots.ts";
import { DiskBudget, SMALL_BYTES, type SourceEncoding, type SpoolOptions, spool } from "./spool/spool.ts";
import { SpoolError } from "./spool/spool-error.ts";
import { type Part, unpack } from "./spool/unpack.ts";
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
  /** By the caller's index. */
  readonly #failed = new Set<number>();
  readonly #memberIndexes = new MemberIndexes();
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
    MemberIndexes.check(source.index);
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
      if ("archive" in spooled) {
        const parts = await unpack(spooled, source, directory, options, this.#memberIndexes);
        return await this.#admitAll(source, parts);
      }
      const { head, ...facts } = spooled;
      return await this.#admit({ ...facts, source, path }, head);
    } catch (error) {
      if (!small) await rm(path, { force: true });
      if (!(error instanceof SpoolError)) throw error;
      return { index: source.index, reason: error.reason, message: error.message, ...error.place };
    }
  }

  /** The files of one archive: all of them, or none. */
  async #admitAll(source: Source, parts: readonly Part[]): Promise<SourceFailure | undefined> {
    for (const { head, ...part } of parts) {
      const refused = await this.#admit(part, head);
      if (refused === undefined) continue;
      this.#failed.add(source.index);
      return { ...refused, index: source.index };
    }
    return undefined;
  }

  async inspect(known: Schema | undefined, spec: PartitionSpec = UNPARTITIONED): Promise<Inspection> {
    const ahead = known !== undefined && this.#context.job.format.type.endsWith("json");
    if (ahead && (await this.#convertAhead(known, spec))) {
      return { fields: known.fields.filter(({ name }) => !LINEAGE_NAMES.has(name)).map(draftField), failures: [] };
    }
    const failures: SourceFailure[] = [];
    for (;;) {
      const sources = this.#good();
      const found = await this.#reader.inspect(sources, known);
      failures.push(...this.#fail(sources, found.failures));
      // What the good files of a bad archive hold is no column.
      const single = sources.filter(({ source }) => found.failures.every(({ index }) => index !== source.index));
      if (single.length === this.#good().length) return { fields: found.fields, failures };
    }
  }

  async inspectEach(known: Schema): Promise<readonly SourceShape[]> {
    const shapes: SourceShape[] = [];
    for (const [index, parts] of Map.groupBy(this.#good(), callersIndex)) {
      const { fields, failures } = await this.#reader.inspect(parts, known, true);
      if (failures.length === 0) shapes.push({ index, fields });
    }
    return shapes;
  }

  async countRecords({ index, fields: seen }: SourceShape): Promise<number | undefined> {
    const sources = this.#good().filter((source) => callersIndex(source) === index);
    const { fields } = assignFieldIds(seen, 0);
    try {
      const selects = await this.#reader.selects(sources, { type: "struct", "schema-id": 0, fields });
      if (selects.length === 0) return 0;
      const rows = selects.map((select) => `SELECT count(*) AS n FROM (${select})`).join(" UNION ALL ");
      const [row = {}] = await this.#context.session.rows(`SELECT sum(n)::BIGINT AS n FROM (${rows})`);
      return Number(row["n"]);
    } catch (error) {
      if (error instanceof MoraineError) throw error;
      return undefined;
    }
  }

  leaveOut(index: number): void {
    this.#failed.add(index);
    this.#ready = undefined;
  }

  treat(index: number, treatment: Treatment): void {
    for (const source of this.#sources) {
      if (callersIndex(source) === index) this.#treatments.set(source.source.index, treatment);
    }
    this.#ready = undefined;
  }

  async convert(schema: Schema, spec: PartitionSpec): Promise<ConversionResult> {
    const ahead = this.#ready;
    if (ahead !== undefined && sameSchema(ahead.schema, schema) && sameSpec(ahead.spec, spec)) {
      return this.#result(ahead.attempt, []);
    }
    const sources = this.#good();
    const isolated = await isolate(this.#reader, sources, schema, {
      attempt: (some) => this.#attempt(some, schema, spec),
      discard: ({ target }) => rm(target.directory, { recursive: true, force: true }),
    });
    const failures = this.#fail(sources, isolated.failures);
    if (isolated.outcome !== undefined) return this.#result(isolated.outcome, failures);
    const misfits = await misfitsOfSources(sources, isolated.misfits, (fitting) => this.#rowsOf(fitting, schema, spec));
    return { files: [], loaded: [], failures, misfits };
  }

  /** Of files that fit: by converting them. */
  async #rowsOf(fitting: readonly SpooledSource[], schema: Schema, spec: PartitionSpec): Promise<number> {
    const { target, counts } = await this.#attempt(fitting, schema, spec);
    await rm(target.directory, { recursive: true, force: true });
    return [...counts.values()].reduce((sum, { records }) => sum + records, 0);
  }

  #fail(sources: readonly SpooledSource[], failures: readonly SourceFailure[]): SourceFailure[] {
    const told = failuresOfSources(sources, failures);
    for (const { index } of told) this.#failed.add(index);
    return told;
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
    const bySource = Map.groupBy(outcome.sources, callersIndex);
    const loaded = [...bySource].map(([index, parts]) => this.#loadedSource(index, parts, outcome));
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

  #loadedSource(index: number, parts: readonly SpooledSource[], outcome: Attempt): LoadedSource {
    const sum = { records: 0, rescued: 0, quarantined: 0, bytesRead: 0 };
    for (const part of parts) {
      const own = this.#loadedPart(part, outcome);
      sum.records += own.records;
      sum.rescued += own.rescued;
      sum.quarantined += own.quarantined;
      sum.bytesRead += part.bytesRead;
    }
    return { index, ...sum };
  }

  /** Every row that was seen is in the data files or in the quarantine. */
  #loadedPart(source: SpooledSource, { counts }: Attempt): Pick<LoadedSource, "records" | "rescued" | "quarantined"> {
    const { records, rescued } = counts.get(source.path) ?? { records: 0, rescued: 0 };
    const mended = this.#reader.mended?.(source);
    const quarantined = this.#isQuarantining() ? (mended?.bad ?? 0) : 0;
    assert(records + quarantined === (mended?.seen ?? records), "rows seen are rows loaded and rows quarantined");
    assert(rescued <= records, "rescued rows are some of those loaded");
    return { records, rescued, quarantined };
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
    return this.#sources.filter((source) => !this.#failed.has(callersIndex(source)));
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
    case "fixed":
      return new CsvReader(context, csvOptionsOf(format));
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

function encodingOf(job: ConversionJob): SourceEncoding {
  switch (job.format.type) {
    case "csv":
    case "tsv":
    case "fixed":
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
