// The converter of the simulation: a source is a list of JSON lines, a data file is a JSON document that keeps its rows. Small
// enough to be obviously right, and honest in what the protocol relies on: per-source failures, exact counts, lineage.

import { createHash } from "node:crypto";
import { RESCUED_DATA } from "../../lambdas/core/iceberg/schema.ts";
import type { DraftField, PrimitiveType, Schema } from "../../lambdas/core/iceberg/types.ts";
import type {
  Conversion,
  ConversionJob,
  ConversionResult,
  ConvertedFile,
  Converter,
  Inspection,
  LoadedSource,
  Misfits,
  Source,
  SourceFailure,
  SourceShape,
  Treatment,
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
  readonly quarantined: readonly string[];
  readonly bytes: number;
}

class RowConversion implements Conversion {
  readonly #job: ConversionJob;
  readonly #added: Added[] = [];
  readonly #treatments = new Map<number, Treatment>();
  readonly #die: () => Promise<never>;

  constructor(job: ConversionJob, die: () => Promise<never>) {
    this.#job = job;
    this.#die = die;
  }

  /** A source without a body is one row, named as its object. */
  async add(source: Source, body: AsyncIterable<Uint8Array> | undefined): Promise<SourceFailure | undefined> {
    if (body === undefined) {
      this.#added.push({ source, lines: [source.uri], quarantined: [], bytes: 0 });
      return undefined;
    }
    const chunks: Uint8Array[] = [];
    for await (const chunk of body) chunks.push(chunk);
    const text = Buffer.concat(chunks).toString();
    const lines = text.split("\n").filter((line) => line !== "");
    // No row of the table's, where the ingestion bears such.
    const isRow = (line: string) => this.#job.badRows?.onBadRow !== "quarantine" || !line.startsWith("QUARANTINE");
    if (lines.includes("POISON")) return this.#die();
    const bad = lines.indexOf("BAD");
    if (bad >= 0) return { index: source.index, reason: "MALFORMED", message: `line ${bad + 1}`, line: bad + 1 };
    const odd = lines.filter((line) => !isRow(line));
    this.#added.push({ source, lines: lines.filter(isRow), quarantined: odd, bytes: text.length });
    return undefined;
  }

  /** A column nobody knows gets the type of its lines, a string when they differ; of those that are known only values count. */
  async inspect(known?: Schema): Promise<Inspection> {
    return {
      fields: fieldsOf(
        this.#added.flatMap(({ lines }) => lines),
        known,
      ),
      failures: [],
    };
  }

  async inspectEach(known: Schema): Promise<readonly SourceShape[]> {
    return this.#added.map(({ source, lines }) => ({ index: source.index, fields: fieldsOf(lines, known) }));
  }

  async countRecords({ index }: SourceShape): Promise<number | undefined> {
    return this.#added.find(({ source }) => source.index === index)?.lines.length;
  }

  leaveOut(index: number): void {
    const at = this.#added.findIndex(({ source }) => source.index === index);
    if (at >= 0) this.#added.splice(at, 1);
  }

  treat(index: number, treatment: Treatment): void {
    this.#treatments.set(index, treatment);
  }

  /** A line that says so fails only now: found late, as a wrong type at the end of a file would be. */
  async convert(schema: Schema): Promise<ConversionResult> {
    const misfits = this.#added.flatMap((added) => this.#misfitsOf(added, schema) ?? []);
    if (misfits.length > 0) return { files: [], loaded: [], failures: [], misfits };
    const failures: SourceFailure[] = [];
    const rows: SimRow[] = [];
    const loaded: LoadedSource[] = [];
    const quarantine: string[] = [];
    for (const { source, lines, quarantined, bytes } of this.#added) {
      const { index } = source;
      if (lines.some((line) => line.startsWith("LATE"))) {
        failures.push({ index, reason: "MALFORMED", message: "found late" });
        continue;
      }
      rows.push(...lines.map((id) => ({ id, path: source.uri })));
      const rescued = this.#treatments.get(index)?.rescue === true ? unfitOf(lines, schema).length : 0;
      loaded.push({ index, records: lines.length, rescued, quarantined: quarantined.length, bytesRead: bytes });
      quarantine.push(...quarantined.map((text) => JSON.stringify({ text, file: source.uri })));
    }
    const files: ConvertedFile[] = [];
    for (let start = 0; start < rows.length; start += ROWS_PER_FILE) {
      const part = rows.slice(start, start + ROWS_PER_FILE);
      files.push(fileOf({ rows: part } satisfies SimDataFile, part.length));
    }
    const count = quarantine.length;
    const kept =
      count === 0 ? {} : { quarantine: { rows: count, body: new Uint8Array(Buffer.from(quarantine.join("\n"))) } };
    return { files, loaded, failures, misfits: [], ...kept };
  }

  #misfitsOf({ source, lines }: Added, schema: Schema): Misfits | undefined {
    const { rescue = false, routes = [] } = this.#treatments.get(source.index) ?? {};
    const names = new Set(schema.fields.map(({ name }) => name));
    if (rescue && !names.has(RESCUED_DATA)) throw new Error("there is no column for rescued data");
    const missing = lines.map((line) => columnOf(line).name).find((name) => !names.has(name));
    if (missing !== undefined && !rescue) throw new Error(`column ${missing} is not in the table`);
    const open = unfitOf(lines, schema).filter((line) => {
      const { name } = columnOf(line);
      const route = routes.find(({ path }) => path === name);
      if (route !== undefined && !names.has(route.column)) throw new Error(`${route.column} is not in the table`);
      return !rescue && route === undefined;
    });
    if (open.length === 0) return undefined;
    const columns = fieldsOf(open, undefined).map(({ name: path }) => ({
      path,
      fileType: narrowestOf(lines.map(columnOf).filter(({ name }) => name === path)),
      records: open.filter((line) => columnOf(line).name === path).length,
      samples: [],
    }));
    return { index: source.index, records: lines.length, unfit: open.length, columns };
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

  async start(job: ConversionJob): Promise<Conversion> {
    return new RowConversion(job, this.#die);
  }
}

/** Rows named `…@name` bring the column `name`, those named `…@name:long` with another type: tables get wider, and files stop fitting. */
function columnOf(line: string): { readonly name: string; readonly type: PrimitiveType } {
  const [name = "id", type = "string"] = (line.split("@")[1] ?? "id").split(":");
  return { name, type: type as PrimitiveType };
}

function fieldsOf(lines: readonly string[], known: Schema | undefined): DraftField[] {
  const types = new Map<string, PrimitiveType>();
  for (const { name, type } of lines.map(columnOf)) {
    types.set(name, (types.get(name) ?? type) === type ? type : "string");
  }
  return [...types]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, type]) => ({ name, type: known ? (typeIn(known, name) ?? type) : type }));
}

function typeIn(schema: Schema, name: string): PrimitiveType | undefined {
  return schema.fields.find((field) => field.name === name)?.type as PrimitiveType | undefined;
}

/** A string column does not take longs here either: what matters is that some values do not fit. */
function unfitOf(lines: readonly string[], schema: Schema): string[] {
  return lines.filter((line) => {
    const { name, type } = columnOf(line);
    const own = typeIn(schema, name) ?? type;
    return own !== ANY && type !== own;
  });
}

/** The type of a column that takes lines of all types: what a file with several of them is seen to hold. */
const ANY = "binary";

function narrowestOf(columns: readonly { readonly type: PrimitiveType }[]): PrimitiveType {
  const types = new Set(columns.map(({ type }) => type));
  return types.size === 1 ? ([...types][0] as PrimitiveType) : ANY;
}

export function fileOf(content: SimDataFile | SimDeleteFile, recordCount: number): ConvertedFile {
  const body = new Uint8Array(Buffer.from(JSON.stringify(content)));
  return { file: { partition: [], recordCount, fileSizeInBytes: body.length }, body };
}

export function etagOf(text: string): string {
  return createHash("md5").update(text).digest("hex");
}
