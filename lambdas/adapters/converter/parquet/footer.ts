// What a Parquet file's footer promises, looked at before DuckDB sees the file: kinds of columns it cannot read have a reason and a remedy
// here, and variants that are not as it expects them would end its whole instance (an INTERNAL error).
// A footer that cannot be read here is DuckDB's to judge: nothing is refused for being unknown.

import { type FileHandle, open } from "node:fs/promises";
import { type FileMetaData, parquetMetadataAsync } from "hyparquet/src/index.js";
import type { SourceFailure } from "../../../core/ports.ts";
import { failure, type SpooledSource } from "../format.ts";

const FIRST_FETCH_BYTES = 64 * 1024;
const FOOTER_END_BYTES = 8;
/** The codecs of DuckDB; Hadoop's LZ4 and LZO are left out. */
const CODECS = new Set(["UNCOMPRESSED", "SNAPPY", "GZIP", "BROTLI", "ZSTD", "LZ4_RAW"]);
/** DuckDB reads longer ones as doubles, of any value (1.5.5). */
const DECIMAL_DIGITS_MAX = 38;
const REMEDY = "write it with zstd, snappy or gzip";

type Problem = [reason: string, message: string, column?: string];
type Column = NonNullable<FileMetaData["row_groups"][number]["columns"][number]["meta_data"]>;

export interface Footer {
  readonly failure?: SourceFailure;
  /** It has timestamps of the old type, which DuckDB counts round when they are too far off. */
  readonly hasInt96: boolean;
  /** Of all its row groups; undefined where the footer is of a kind that is not known here. */
  readonly rows?: number;
}

export async function lookAtFooter(source: SpooledSource): Promise<Footer> {
  const file = await open(source.path, "r");
  try {
    const broken = await endProblem(file, source);
    const { problem = broken, ...facts } =
      broken === undefined ? await look(file, source.sizeBytes) : { hasInt96: false };
    if (problem === undefined) return facts;
    const [reason, message, column] = problem;
    return { ...facts, failure: failure(source, reason, message, column === undefined ? {} : { column }) };
  } finally {
    await file.close();
  }
}

/** The file ends in the footer's length and PAR1. */
async function endProblem(file: FileHandle, { sizeBytes }: SpooledSource): Promise<Problem | undefined> {
  const end = Buffer.alloc(FOOTER_END_BYTES);
  if (sizeBytes >= 4 + FOOTER_END_BYTES) await file.read(end, 0, end.length, sizeBytes - end.length);
  const magic = end.toString("latin1", 4);
  if (magic === "PARE") return ["ENCRYPTED_PARQUET", "has an encrypted footer; upload it without encryption"];
  if (magic !== "PAR1") {
    return [
      "UNREADABLE_PARQUET",
      `does not end in a footer (PAR1) at byte ${sizeBytes}: it is cut off; upload it again`,
    ];
  }
  const footerBytes = end.readUInt32LE(0);
  if (footerBytes + 4 + FOOTER_END_BYTES <= sizeBytes) return undefined;
  return ["UNREADABLE_PARQUET", `its footer of ${footerBytes} bytes is larger than the file; write it again`];
}

async function look(
  file: FileHandle,
  sizeBytes: number,
): Promise<Omit<Footer, "failure"> & { readonly problem?: Problem | undefined }> {
  const slice = async (start: number, end = sizeBytes): Promise<ArrayBuffer> => {
    const bytes = new Uint8Array(end - start);
    await file.read(bytes, 0, bytes.length, start);
    return bytes.buffer;
  };
  try {
    const options = { initialFetchSize: FIRST_FETCH_BYTES, geoparquet: false };
    const metadata = await parquetMetadataAsync({ byteLength: sizeBytes, slice }, options);
    const hasInt96 = metadata.schema.some(({ type }) => type === "INT96");
    const rows = metadata.row_groups.reduce((sum, group) => sum + group.num_rows, 0n);
    return { hasInt96, rows: Number(rows), problem: problemOf(metadata, sizeBytes) };
  } catch {
    // Damaged so that a part is missing, or of a kind that is not known here.
    return { hasInt96: false };
  }
}

function problemOf(metadata: FileMetaData, sizeBytes: number): Problem | undefined {
  const variant = metadata.schema.find(({ logical_type }) => logical_type?.type === "VARIANT");
  if (variant !== undefined) {
    const message = `column ${variant.name} is a variant, which tables of this format version have no type for; write it as JSON text`;
    return ["UNSUPPORTED_PARQUET", message, variant.name];
  }
  if (metadata.schema.some(({ name }) => name.includes("\0"))) {
    return ["INVALID_NAME", "a column's name holds NUL; rename it"];
  }
  const wide = metadata.schema.find((element) => digitsOf(element) > DECIMAL_DIGITS_MAX);
  if (wide !== undefined) {
    const message = `column ${wide.name} is a decimal of ${digitsOf(wide)} digits, and tables hold ${DECIMAL_DIGITS_MAX}; write it with fewer, or as text`;
    return ["UNSUPPORTED_PARQUET", message, wide.name];
  }
  let rows = 0n;
  for (const group of metadata.row_groups) {
    rows += BigInt(group.num_rows);
    for (const { meta_data, crypto_metadata } of group.columns) {
      const isHidden = meta_data === undefined || crypto_metadata !== undefined;
      const problem = isHidden ? HIDDEN : columnProblem(meta_data, sizeBytes);
      if (problem !== undefined) return problem;
    }
  }
  // (Some writers leave the sum 0.)
  if (rows >= BigInt(metadata.num_rows)) return undefined;
  return ["UNREADABLE_PARQUET", `its footer counts ${metadata.num_rows} rows, its row groups ${rows}; write it again`];
}

function digitsOf({ converted_type, logical_type, precision = 0 }: FileMetaData["schema"][number]): number {
  if (logical_type?.type === "DECIMAL") return logical_type.precision;
  return converted_type === "DECIMAL" ? precision : 0;
}

const HIDDEN: Problem = ["ENCRYPTED_PARQUET", "has encrypted columns; upload it without encryption"];

function columnProblem(column: Column, sizeBytes: number): Problem | undefined {
  const name = column.path_in_schema.join(".");
  if (!CODECS.has(column.codec)) {
    const message = `column ${name} is compressed with ${column.codec ?? "an unknown codec"}, which cannot be read; ${REMEDY}`;
    return ["UNSUPPORTED_PARQUET", message, name];
  }
  const split = column.encodings?.includes("BYTE_STREAM_SPLIT") === true;
  if (split && column.type !== "FLOAT" && column.type !== "DOUBLE") {
    const message = `column ${name} is encoded as BYTE_STREAM_SPLIT, which can be read of float and double only; write it without`;
    return ["UNSUPPORTED_PARQUET", message, name];
  }
  const from = column.dictionary_page_offset ?? column.data_page_offset;
  const start = from < column.data_page_offset && from > 0n ? from : column.data_page_offset;
  const end = start + column.total_compressed_size;
  if (start >= 0n && column.total_compressed_size >= 0n && end <= BigInt(sizeBytes)) return undefined;
  return ["UNREADABLE_PARQUET", `column ${name} should end at byte ${end} of ${sizeBytes}; write the file again`, name];
}
