// The converter of the simulation: a source is a list of JSON lines, a data file is a JSON document that keeps its rows. Small
// enough to be obviously right, and honest in what the protocol relies on: per-source failures, exact counts, lineage.

import { createHash } from "node:crypto";
import type { Schema } from "../../lambdas/core/iceberg/types.ts";
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
} from "../../lambdas/core/ports.ts";

export interface SimRow {
  readonly id: string;
  readonly path: string;
}

export interface SimDataFile {
  readonly rows: readonly SimRow[];
}

export interface SimDeleteFile {
  readonly paths: readonly string[];
}

const ROWS_PER_FILE = 6;

interface Added {
  readonly source: Source;
  readonly lines: readonly string[];
  readonly bytes: number;
}

class RowConversion implements Conversion {
  readonly #added: Added[] = [];
  readonly #die: () => Promise<never>;

  constructor(die: () => Promise<never>) {
    this.#die = die;
  }

  /** A source without a body is one row, named as its object. */
  async add(source: Source, body: AsyncIterable<Uint8Array> | undefined): Promise<SourceFailure | undefined> {
    if (body === undefined) {
      this.#added.push({ source, lines: [source.uri], bytes: 0 });
      return undefined;
    }
    const chunks: Uint8Array[] = [];
    for await (const chunk of body) chunks.push(chunk);
    const text = Buffer.concat(chunks).toString();
    const lines = text.split("\n").filter((line) => line !== "");
    if (lines.includes("POISON")) return this.#die();
    const bad = lines.indexOf("BAD");
    if (bad >= 0) return { index: source.index, reason: "MALFORMED", message: `line ${bad + 1}`, line: bad + 1 };
    this.#added.push({ source, lines, bytes: text.length });
    return undefined;
  }

  async inspect(): Promise<Inspection> {
    const columns = new Set<string>();
    for (const { lines } of this.#added) for (const line of lines) columns.add(columnOf(line));
    return { fields: [...columns].sort().map((name) => ({ name, type: "string" })), failures: [] };
  }

  async inspectEach(): Promise<readonly SourceShape[]> {
    return this.#added.map(({ source, lines }) => ({
      index: source.index,
      fields: [...new Set(lines.map(columnOf))].map((name) => ({ name, type: "string" })),
    }));
  }

  leaveOut(index: number): void {
    const at = this.#added.findIndex(({ source }) => source.index === index);
    if (at >= 0) this.#added.splice(at, 1);
  }

  treat(): void {}

  /** A line that says so fails only now: found late, as a wrong type at the end of a file would be. */
  async convert(schema: Schema): Promise<ConversionResult> {
    const known = new Set(schema.fields.map((field) => field.name));
    const failures: SourceFailure[] = [];
    const rows: SimRow[] = [];
    const loaded: LoadedSource[] = [];
    for (const { source, lines, bytes } of this.#added) {
      const { index } = source;
      const missing = lines.map(columnOf).find((name) => !known.has(name));
      if (missing !== undefined) throw new Error(`column ${missing} is not in the table`);
      if (lines.some((line) => line.startsWith("LATE"))) {
        failures.push({ index, reason: "MALFORMED", message: "found late" });
        continue;
      }
      rows.push(...lines.map((id) => ({ id, path: source.uri })));
      loaded.push({ index, records: lines.length, rescued: 0, quarantined: 0, bytesRead: bytes });
    }
    const files: ConvertedFile[] = [];
    for (let start = 0; start < rows.length; start += ROWS_PER_FILE) {
      const part = rows.slice(start, start + ROWS_PER_FILE);
      files.push(fileOf({ rows: part } satisfies SimDataFile, part.length));
    }
    return { files, loaded, failures, misfits: [] };
  }

  async writeDeletes(_schema: Schema, _fieldId: number, values: readonly string[]): Promise<ConvertedFile> {
    return fileOf({ paths: values } satisfies SimDeleteFile, values.length);
  }

  async close(): Promise<void> {}
}

export class RowConverter implements Converter {
  readonly #die: () => Promise<never>;

  /** `die`: what a source does to its function that is too much for it. */
  constructor(die: () => Promise<never> = () => Promise.reject(new Error("poison"))) {
    this.#die = die;
  }

  async start(_job: ConversionJob): Promise<Conversion> {
    return new RowConversion(this.#die);
  }
}

/** Rows named `…@name` bring the column `name`: tables get wider while they are loaded. */
function columnOf(line: string): string {
  return line.split("@")[1] ?? "id";
}

export function fileOf(content: SimDataFile | SimDeleteFile, recordCount: number): ConvertedFile {
  const body = new Uint8Array(Buffer.from(JSON.stringify(content)));
  return { file: { partition: [], recordCount, fileSizeInBytes: body.length }, body };
}

export function etagOf(text: string): string {
  return createHash("md5").update(text).digest("hex");
}
