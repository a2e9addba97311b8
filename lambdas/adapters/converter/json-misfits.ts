// Which values of JSON sources do not fit the table, and the files without them. A source is gone over twice at most: once to find the
// records concerned (and what its values are), once to write those anew; all others are copied as they are.

import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { finished } from "node:stream/promises";
import type { DraftType, Schema } from "../../core/iceberg/types.ts";
import type { Misfits, SourceFailure, Treatment } from "../../core/ports.ts";
import { type ReaderContext, requiredIsNull, type SpooledSource, treatmentOf } from "./format.ts";
import type { JsonFiles } from "./json-files.ts";
import { type Finding, type Fit, FitReader } from "./json-fit.ts";
import { jsonRecords, linesOf } from "./json-records.ts";
import { isRescuedRow, plainText, rewritten, settle } from "./json-rescue.ts";
import { SEED_ROOM_BYTES, SEED_ROOM_MATTERS_BYTES } from "./json-seed.ts";
import { emptyShape, type Shape, ShapeReader } from "./json-shape.ts";
import { typeOfShape } from "./json-types.ts";
import { LINEAGE_NAMES } from "./lineage.ts";
import { memberJson } from "./member-name.ts";

/** Ends the path of a rewritten source: what comes before is the path of the source itself. */
export const TREATED = ".treated";
const SAMPLES = 3;
const SAMPLE_LENGTH = 100;

export interface Target {
  readonly schema: Schema;
  /** Source key to column name, where they differ. */
  readonly renamed: ReadonlyMap<string, string>;
}

/** What a source was found to hold beside the table. */
export interface FoundInSource {
  readonly failure: SourceFailure | undefined;
  readonly misfits: Misfits | undefined;
  /** Places of the records that have to be written anew, in order. */
  readonly concerned: readonly number[];
  readonly records: number;
}

interface ColumnCount {
  records: number;
  readonly samples: string[];
  readonly line?: number;
  /** Holds keys that no type can have beside each other. */
  collides: boolean;
}

export class JsonMisfits {
  readonly #context: ReaderContext;
  readonly #files: JsonFiles;

  constructor(context: ReaderContext, files: JsonFiles) {
    this.#context = context;
    this.#files = files;
  }

  /** `shape`: of all the source's records, where it is known. */
  async find(source: SpooledSource, target: Target, known: Shape | undefined): Promise<FoundInSource> {
    const treatment = treatmentOf(this.#context, source, target.schema);
    const fits = fitReader(target);
    const lines = this.#files.isLines(source);
    const required = target.schema.fields.filter((field) => field.required && !LINEAGE_NAMES.has(field.name));
    const columns = new Map<string, ColumnCount>();
    const concerned: number[] = [];
    let records = 0;
    let unfit = 0;
    for await (const piece of this.#records(source)) {
      for (const { text, number } of piece) {
        records++;
        if (isRescuedRow(text)) {
          if (required.length > 0) {
            const failure = requiredIsNull(source, required[0]?.name ?? "", number);
            return { failure, misfits: undefined, concerned, records };
          }
          concerned.push(number);
          if (treatment?.rescue !== true) unfit++;
          continue;
        }
        const fit = fits.read(text);
        const missing = required.find(({ name }) => !fit.filled.has(name) || (treatment && isCut(fit, name)));
        if (missing !== undefined) {
          const failure = requiredIsNull(source, missing.name, lines ? number : undefined);
          return { failure, misfits: undefined, concerned, records };
        }
        if (fit.findings.length === 0) continue;
        concerned.push(number);
        const { open } = settle(fit, treatment);
        if (open.length === 0) continue;
        unfit++;
        countColumns(columns, open, text, lines ? number : undefined);
      }
    }
    if (unfit === 0) return { failure: undefined, misfits: undefined, concerned, records };
    const types = typesAt(known ?? (await this.#shapeOf(source)), target, columns);
    const misfits = {
      index: source.source.index,
      records,
      unfit,
      columns: [...columns].map(([path, { collides: _, ...count }], i) => ({
        path,
        fileType: types[i] ?? "string",
        ...count,
      })),
    };
    return { failure: undefined, misfits, concerned, records };
  }

  /** The source without what does not fit, in a file of NDJSON. */
  async rewrite(
    source: SpooledSource,
    target: Target,
    treatment: Treatment,
    concerned: readonly number[],
  ): Promise<SpooledSource> {
    const path = `${source.path}${TREATED}`;
    const lines = this.#files.isLines(source);
    const fits = fitReader(target);
    const anew = (text: string, number: number) => {
      if (isRescuedRow(text)) return `${text}\n`;
      const fit = fits.read(text);
      const place = { file: source.source.uri, where: `${memberJson(source)}"${lines ? "line" : "row"}":${number}` };
      return `${rewritten(text, fit, settle(fit, treatment), place)}\n`;
    };
    const roomBytes = source.sizeBytes >= SEED_ROOM_MATTERS_BYTES ? SEED_ROOM_BYTES : 0;
    const out = createWriteStream(path, { highWaterMark: 4 * 1024 * 1024 });
    let sizeBytes = 0;
    const write = async (bytes: Buffer) => {
      sizeBytes += bytes.length;
      if (!out.write(bytes)) await once(out, "drain");
    };
    if (roomBytes > 0) await write(Buffer.alloc(roomBytes, " ").fill("\n", roomBytes - 1));
    let at = 0;
    if (lines) {
      for await (const piece of linesOf(source)) {
        const parts = piece.map(({ bytes, line }) => {
          if (line !== concerned[at]) return bytes;
          at++;
          return Buffer.from(anew(bytes.toString("utf8").trim(), line));
        });
        await write(Buffer.concat(parts));
      }
    } else {
      for await (const piece of this.#records(source)) {
        await write(Buffer.from(piece.map(({ text, number }) => anew(text, number)).join("")));
      }
    }
    out.end();
    await finished(out);
    return { ...source, path, sizeBytes: sizeBytes - roomBytes, roomBytes };
  }

  #records(source: SpooledSource): ReturnType<typeof jsonRecords> {
    return jsonRecords(this.#context.session, this.#files, source, this.#files.isLines(source));
  }

  async #shapeOf(source: SpooledSource): Promise<Shape> {
    const reader = new ShapeReader();
    for await (const piece of this.#records(source)) {
      for (const { text } of piece) if (!isRescuedRow(text)) reader.add(text, 0);
    }
    return reader.shape;
  }
}

/** From all values of the source, not only those that do not fit. */
function typesAt(shape: Shape, { renamed }: Target, columns: ReadonlyMap<string, ColumnCount>): DraftType[] {
  const keys = new Map([...renamed].map(([key, name]) => [name, key]));
  return [...columns].map(([path, { collides }]) => {
    return (collides ? undefined : typeOfShape(shapeAt(shape, path, keys))) ?? "string";
  });
}

function fitReader({ schema, renamed }: Target): FitReader {
  return new FitReader(
    schema.fields.filter(({ name }) => !LINEAGE_NAMES.has(name)),
    renamed,
  );
}

function isCut({ findings }: Fit, column: string): boolean {
  return findings.some(({ path, cut }) => path === column && cut === undefined);
}

function countColumns(
  columns: Map<string, ColumnCount>,
  open: readonly Finding[],
  text: string,
  line: number | undefined,
): void {
  const seen = new Set<string>();
  for (const finding of open) {
    const { column } = finding;
    const count = columns.get(column) ?? {
      records: 0,
      samples: [],
      ...(line === undefined ? {} : { line }),
      collides: false,
    };
    columns.set(column, count);
    if (!seen.has(column)) count.records++;
    seen.add(column);
    // A top-level key that is another's twin: no type holds both.
    if (finding.cut !== undefined && finding.path !== column && finding.whole === undefined) count.collides = true;
    if (count.samples.length < SAMPLES)
      count.samples.push([...plainText(text, finding)].slice(0, SAMPLE_LENGTH).join(""));
  }
}

function shapeAt(shape: Shape, path: string, keys: ReadonlyMap<string, string>): Shape {
  const whole = keys.get(path) ?? path;
  const own = shape.fields?.get(whole)?.shape;
  if (own !== undefined) return own;
  const [first = "", ...rest] = path.split(".");
  return [keys.get(first) ?? first, ...rest].reduce(
    (inner, key) => inner.fields?.get(key)?.shape ?? emptyShape(),
    shape,
  );
}
