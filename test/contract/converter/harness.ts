// Runs whole conversions for the tests: bytes in, rows and facts out. Rows are read back by hyparquet, which we did not write.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { zstdDecompressSync } from "node:zlib";
import { parquetMetadataAsync, parquetReadObjects } from "hyparquet";
import { afterAll, beforeAll, expect } from "vitest";
import { DuckDbConverter } from "../../../lambdas/adapters/converter/duckdb-converter.ts";
import type { FormatOptions } from "../../../lambdas/core/config.ts";
import { assignFieldIds, evolveSchema, lineageFields, rescuedField } from "../../../lambdas/core/iceberg/schema.ts";
import type { DraftField, PartitionSpec, Schema } from "../../../lambdas/core/iceberg/types.ts";
import { objectUri } from "../../../lambdas/core/ids.ts";
import type {
  Conversion,
  ConversionJob,
  ConversionResult,
  ConvertedFile,
  Inspection,
  Misfits,
  SourceFailure,
  Treatment,
} from "../../../lambdas/core/ports.ts";
import type { QuarantineRow } from "../../../lambdas/core/schema/quarantine.ts";

export const csv: Extract<FormatOptions, { readonly type: "csv" | "tsv" }> = {
  type: "csv",
  delimiter: ",",
  header: true,
  quote: '"',
  escape: '"',
  nullValues: [],
  encoding: "utf-8",
  skipLines: 0,
};

/** How core treats a source whose misfits are rescued, and the column that comes with it. */
export const RESCUE: Treatment = { rescue: true, routes: [] };
export const ADDS: readonly DraftField[] = [rescuedField];

export const UNPARTITIONED: PartitionSpec = { "spec-id": 0, fields: [] };

export interface Scratch {
  readonly directory: string;
  readonly converter: DuckDbConverter;
  remove(): Promise<void>;
}

export async function scratch(
  options: { readonly diskBytesMax?: number; readonly memoryLimitBytes?: number; readonly threads?: number } = {},
): Promise<Scratch> {
  const directory = await mkdtemp(join(tmpdir(), "moraine-converter-"));
  const converter = new DuckDbConverter({
    workDir: directory,
    memoryLimitBytes: options.memoryLimitBytes ?? 1024 ** 3,
    threads: options.threads ?? 2,
    diskBytesMax: options.diskBytesMax ?? 8 * 1024 ** 3,
  });
  return { directory, converter, remove: () => rm(directory, { recursive: true, force: true }) };
}

/** A work directory and a converter for all tests of a file. */
export function useScratch(): Scratch {
  let made: Scratch | undefined;
  beforeAll(async () => {
    made = await scratch();
  });
  afterAll(() => made?.remove());
  return new Proxy({} as Scratch, { get: (_, name) => Reflect.get(made as Scratch, name) });
}

export function jobOf(format: FormatOptions, changes: Partial<ConversionJob> = {}): ConversionJob {
  return {
    format,
    compression: "auto",
    hints: {},
    inferTypes: true,
    badRows: { onBadRow: "reject_file", shareMax: 0.1 },
    lineage: false,
    targetFileSizeBytes: 128 * 1024 * 1024,
    ingestedAtMs: Date.UTC(2026, 0, 2, 3, 4, 5),
    ...changes,
  };
}

/** hyparquet brings snappy only; zstd is Node's own. */
const compressors = { ZSTD: (input: Uint8Array): Uint8Array => new Uint8Array(zstdDecompressSync(input)) };

export type Bytes = string | Uint8Array;

export async function* streamOf(bytes: Bytes, chunkBytes = 64 * 1024): AsyncGenerator<Uint8Array> {
  const buffer = Buffer.from(bytes as Uint8Array);
  for (let at = 0; at < buffer.length; at += chunkBytes) yield buffer.subarray(at, at + chunkBytes);
}

export async function addAll(conversion: Conversion, files: Readonly<Record<string, Bytes>>): Promise<SourceFailure[]> {
  const failures: SourceFailure[] = [];
  for (const [index, [key, bytes]] of Object.entries(files).entries()) {
    const source = {
      index,
      uri: objectUri("landing", key),
      etag: `etag-${index}`,
      sizeBytes: Buffer.byteLength(bytes as string),
      lastModifiedMs: Date.UTC(2026, 0, 1) + index * 1000,
    };
    const failure = await conversion.add(source, streamOf(bytes));
    if (failure !== undefined) failures.push(failure);
  }
  return failures;
}

export function schemaOf(fields: readonly DraftField[], lineage = false): Schema {
  const all = lineage ? [...fields, ...lineageFields] : fields;
  return { type: "struct", "schema-id": 0, fields: assignFieldIds(all, 0).fields };
}

export function grown(schema: Schema, fields: readonly DraftField[]): Schema {
  const ids = [...JSON.stringify(schema).matchAll(/"(?:[a-z]+-)?id":(\d+)/g)].map(([, id]) => Number(id));
  return evolveSchema(schema, Math.max(1000, ...ids), fields).schema;
}

export interface Converted {
  readonly inspection: Inspection;
  readonly schema: Schema;
  readonly result: ConversionResult;
  readonly rows: Record<string, unknown>[];
  /** Of add, inspect and convert. */
  readonly failures: readonly SourceFailure[];
  /** Of all conversions; those without a treatment were left out. */
  readonly misfits: readonly Misfits[];
  readonly loaded: Readonly<Record<number, number>>;
}

/** While the conversion is open. */
export async function quarantined({ quarantine }: ConversionResult): Promise<QuarantineRow[]> {
  if (quarantine === undefined) return [];
  const chunks: Uint8Array[] = [];
  if (quarantine.body instanceof Uint8Array) chunks.push(quarantine.body);
  else for await (const chunk of quarantine.body.open()) chunks.push(chunk);
  const text = Buffer.concat(chunks);
  expect(text.length).toBe(quarantine.body instanceof Uint8Array ? text.length : quarantine.body.sizeBytes);
  const rows = text.toString().split("\n").filter(Boolean);
  expect(rows).toHaveLength(quarantine.rows);
  return rows.map((row) => JSON.parse(row) as QuarantineRow);
}

/** A first load (or, with `known`, a load into a table that is there), as core does it. */
export async function convertAll(
  { converter }: Scratch,
  job: ConversionJob,
  files: Readonly<Record<string, Bytes>>,
  options: {
    readonly known?: Schema;
    readonly spec?: (schema: Schema) => PartitionSpec;
    /** Of sources that are reported; undefined: they are left out. */
    readonly treat?: (misfits: Misfits) => Treatment | undefined;
    /** Columns that come with treatments. */
    readonly adds?: readonly DraftField[];
    /** Columns of the files that the table does not have stay out of it. */
    readonly fixed?: boolean;
  } = {},
): Promise<Converted> {
  const conversion = await converter.start(job);
  try {
    const refused = await addAll(conversion, files);
    const { known } = options;
    const inspection = await conversion.inspect(known, known && (options.spec?.(known) ?? UNPARTITIONED));
    let schema = known === undefined ? schemaOf(inspection.fields, job.lineage) : known;
    if (known !== undefined && options.fixed !== true) schema = grown(known, inspection.fields);
    const misfits: Misfits[] = [];
    const failures = [...refused, ...inspection.failures];
    let converted = await conversion.convert(schema, options.spec?.(schema) ?? UNPARTITIONED);
    while (converted.misfits.length > 0) {
      expect({ ...converted, failures: [], misfits: [] }).toEqual({ files: [], loaded: [], failures: [], misfits: [] });
      misfits.push(...converted.misfits);
      failures.push(...converted.failures);
      for (const misfit of converted.misfits) {
        const treatment = options.treat?.(misfit);
        if (treatment === undefined) conversion.leaveOut(misfit.index);
        else conversion.treat(misfit.index, treatment);
      }
      if (options.adds !== undefined) schema = grown(schema, options.adds);
      converted = await conversion.convert(schema, options.spec?.(schema) ?? UNPARTITIONED);
    }
    const result = await kept(converted);
    const rows = await rowsOf(result.files);
    return {
      inspection,
      schema,
      result,
      rows,
      failures: [...failures, ...result.failures],
      misfits,
      loaded: Object.fromEntries(result.loaded.map(({ index, records }) => [index, records])),
    };
  } finally {
    await conversion.close();
  }
}

/** Bodies are gone once the conversion is closed; tests look at them later. */
async function kept(result: ConversionResult): Promise<ConversionResult> {
  const files: ConvertedFile[] = [];
  for (const file of result.files) files.push({ ...file, body: await bytesOf(file) });
  return { ...result, files };
}

export async function bytesOf(file: ConvertedFile): Promise<Buffer> {
  if (file.body instanceof Uint8Array) return Buffer.from(file.body);
  const chunks: Uint8Array[] = [];
  for await (const chunk of file.body.open()) chunks.push(chunk);
  return Buffer.concat(chunks);
}

export async function rowsOf(files: readonly ConvertedFile[]): Promise<Record<string, unknown>[]> {
  const rows: Record<string, unknown>[] = [];
  for (const file of files) {
    const bytes = await bytesOf(file);
    const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer;
    for (const row of await parquetReadObjects({ file: buffer, compressors, utf8: false })) rows.push(row);
  }
  return rows;
}

export async function metadataOf(file: ConvertedFile): Promise<Awaited<ReturnType<typeof parquetMetadataAsync>>> {
  const bytes = await bytesOf(file);
  return parquetMetadataAsync(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer);
}
