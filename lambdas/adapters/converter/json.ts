// JSON in all its shapes: NDJSON, one array, one document, concatenated documents, records under a path.
// `inspect` reads every record in Node when it must (json-shape.ts); `selects` reads with a seed (json-read.ts), so that a key or kind
// nobody has seen is an error and never dropped.

import { rmSync } from "node:fs";
import type { FormatOptions } from "../../core/config.ts";
import { MoraineError } from "../../core/errors.ts";
import { RESCUED_DATA, sameSchema } from "../../core/iceberg/schema.ts";
import type { NestedField, Schema } from "../../core/iceberg/types.ts";
import type { Inspection, Misfits, SourceFailure, Treatment } from "../../core/ports.ts";
import type { Mended } from "./bad-rows.ts";
import {
  FILE_COLUMN,
  type FormatReader,
  failure,
  NO_VERDICT,
  type ReaderContext,
  type SpooledSource,
  treatmentOf,
  type Verdict,
} from "./format.ts";
import { blameBroken, malformedJson, pathlessJson } from "./json-blame.ts";
import { columnsOfShape } from "./json-columns.ts";
import { JsonFiles, type JsonFormat } from "./json-files.ts";
import { mendJson } from "./json-mend.ts";
import { type FoundInSource, JsonMisfits, type Target, TREATED } from "./json-misfits.ts";
import { castJson, type ReadType, seedOf, structKeys, type Trust } from "./json-read.ts";
import { isRescuedRow, RESCUED_KEY, routeKey } from "./json-rescue.ts";
import { keepLastKeys, scanJson, wrapValues } from "./json-rewrite.ts";
import type { JsonLayout } from "./json-scan.ts";
import { SEED_KEY, SEED_OPTIONS, SeedBed } from "./json-seed.ts";
import { type Shape, ShapeReader } from "./json-shape.ts";
import { LINEAGE_NAMES } from "./lineage.ts";
import { ident, literal, tableFunction } from "./sql.ts";
import { MISFIT } from "./strict-cast.ts";
import { duckType } from "./types.ts";

export type JsonReaderOptions = Extract<FormatOptions, { readonly type: "json" | "ndjson" }>;

/** A treated source, as it is read instead. */
interface Rewritten {
  readonly schema: Schema;
  readonly treatment: Treatment;
  /** As far as the schema goes. */
  readonly applied: Treatment;
  readonly records: number;
  readonly source: SpooledSource;
}

/** Failures of files that may have good lines beside the bad. */
const BAD_LINES: ReadonlySet<string> = new Set([
  "MALFORMED_JSON",
  "NOT_JSON_RECORDS",
  "DUPLICATE_KEY",
  "RECORD_TOO_LARGE",
]);

type KeyRead = { readonly key: string; readonly read: ReadType };

export class JsonReader implements FormatReader {
  readonly #context: ReaderContext;
  readonly #files: JsonFiles;
  readonly #seeds: SeedBed;
  readonly #misfits: JsonMisfits;
  readonly #mended = new Map<SpooledSource, Mended>();
  readonly #found = new Map<SpooledSource, { readonly schema: Schema; readonly found: FoundInSource }>();
  readonly #rewritten = new Map<SpooledSource, Rewritten>();
  readonly #options: JsonReaderOptions;
  /** Source key to column name, where they differ; and what all records hold, once they have been looked at. */
  #renamed: ReadonlyMap<string, string> = new Map();
  #shape: Shape | undefined;
  /** The only source of the last look. */
  #lookedAt: SpooledSource | undefined;
  #trust: Trust = "guess";

  constructor(context: ReaderContext, options: JsonReaderOptions) {
    this.#context = context;
    const path = options.type === "json" ? options.recordsPath : undefined;
    this.#files = new JsonFiles(context.session, path?.split(".") ?? []);
    this.#seeds = new SeedBed(context.directory);
    this.#misfits = new JsonMisfits(context, this.#files);
    this.#options = options;
  }

  get #lines(): boolean {
    return this.#options.type === "ndjson";
  }

  async admit(source: SpooledSource, head: Buffer): Promise<SourceFailure | undefined> {
    const text = head.toString("latin1");
    const first = this.#bearsBadRows() && isLines(text, source.lastByte) ? "{" : text.trimStart()[0];
    if (first === undefined && source.sizeBytes <= head.length) return undefined;
    const { values, duplicateKeys } = this.#options;
    if (values !== true && first !== "{" && first !== "[" && first !== undefined) {
      const message =
        "starts with neither { nor [; records must be JSON objects, or set values: true in the ingestion's format";
      return failure(source, "NOT_JSON_RECORDS", message, { line: 1 });
    }
    const layout = this.#lines && (values === true || first !== "[") ? "lines" : first === "[" ? "list" : "documents";
    // DuckDB takes a list that was cut off after a comma, and a lone brace, for complete.
    const cut = layout === "list" ? source.lastByte !== 0x5d : source.sizeBytes === 1;
    const doubtful = cut || source.odd || values === true || duplicateKeys === "last";
    const refused = doubtful ? await this.#makeSound(source, layout) : undefined;
    if (refused !== undefined) return refused;
    const sizeBytes = values === true ? await wrapValues(source.path, layout, source.roomBytes) : source.sizeBytes;
    this.#files.admit(source, layout, sizeBytes);
    return undefined;
  }

  /** What DuckDB would take although the standard does not, or has to be told by the file itself. */
  async #makeSound(source: SpooledSource, layout: JsonLayout): Promise<SourceFailure | undefined> {
    const { values, duplicateKeys } = this.#options;
    const look = duplicateKeys === "last" ? keepLastKeys : scanJson;
    const fault = await look(source.path, layout, source.roomBytes);
    const bears = layout === "lines" && this.#bearsBadRows();
    // Records that are wrapped are no longer what was received: what is to be said of bad lines is said before.
    if (fault === undefined && !(bears && values === true)) return undefined;
    if (fault !== undefined && !bears) return malformedJson(source, fault);
    const refused = await this.#mend(source);
    if (refused !== undefined || duplicateKeys !== "last") return refused;
    const left = await keepLastKeys(source.path, layout, source.roomBytes);
    return left && malformedJson(source, left);
  }

  async inspect(sources: readonly SpooledSource[], known: Schema | undefined): Promise<Inspection> {
    await this.#seeds.clear();
    const failures: SourceFailure[] = [];
    let good = this.#files.admitted(sources);
    for (;;) {
      const outcome = await this.#look(good, known);
      if (outcome.failures.length === 0) return { fields: outcome.fields, failures };
      const refused = await this.#mendAll(outcome.failures);
      failures.push(...refused);
      const bad = new Set(refused.map(({ index }) => index));
      good = good.filter(({ source }) => !bad.has(source.index));
    }
  }

  async selects(sources: readonly SpooledSource[], schema: Schema): Promise<readonly string[]> {
    await this.#seeds.clear();
    await this.#rewriteFound(sources, schema);
    const rewritten = sources.flatMap((source) => this.#rewrittenOf(source, schema) ?? []);
    const plain = sources.filter((source) => this.#rewrittenOf(source, schema) === undefined);
    await this.#files.makeExact(plain, this.#keyed(schema), !this.#context.job.inferTypes);
    const selects: string[] = [];
    for (const [format, members] of this.#files.byFormat(plain)) {
      selects.push(await this.#select(format, members, schema));
    }
    const alike = new Map<string, Rewritten[]>();
    for (const own of rewritten) {
      const key = JSON.stringify(own.applied);
      alike.set(key, [...(alike.get(key) ?? []), own]);
    }
    for (const members of alike.values()) {
      const own = members.map(({ source }) => source);
      const select = await this.#select("newline_delimited", own, schema, members[0]?.applied);
      const original = `left(${FILE_COLUMN}, length(${FILE_COLUMN}) - ${TREATED.length})`;
      selects.push(`SELECT * REPLACE (${original} AS ${FILE_COLUMN}) FROM (${select})`);
    }
    return selects;
  }

  fallback(looked: boolean): boolean {
    if (this.#trust === "guess") this.#trust = "unsure";
    else if (this.#trust === "unsure" && looked) this.#trust = "seen";
    else return false;
    return true;
  }

  async blame(sources: readonly SpooledSource[], schema: Schema): Promise<Verdict> {
    await this.#seeds.clear();
    const { session } = this.#context;
    const admitted = this.#files.admitted(sources);
    // What was looked at is sound.
    const broken = this.#shape === undefined ? await blameBroken(session, this.#files, admitted) : [];
    if (broken.length > 0) {
      const refused = await this.#mendAll(broken);
      return { failures: refused, misfits: [], again: refused.length < broken.length };
    }
    const failures: SourceFailure[] = [];
    const misfits: Misfits[] = [];
    let again = false;
    for (const source of admitted) {
      const found = await this.#blameSource(source, this.#target(schema), admitted.length === 1);
      failures.push(...found.failures);
      misfits.push(...found.misfits);
      again ||= found.again;
    }
    return { failures, misfits, again };
  }

  #bearsBadRows(): boolean {
    return this.#lines && this.#context.job.badRows.onBadRow !== "reject_file";
  }

  /** Takes the lines out of NDJSON files that are no records; returns the failures that remain. */
  async #mendAll(failures: readonly SourceFailure[]): Promise<SourceFailure[]> {
    const remaining: SourceFailure[] = [];
    for (const failed of failures) {
      const source = this.#files.lineSource(failed.index);
      const bears = this.#bearsBadRows() && BAD_LINES.has(failed.reason);
      if (source === undefined || !bears || this.#mended.has(source)) {
        remaining.push(failed);
        continue;
      }
      const refused = await this.#mend(source);
      if (refused !== undefined) remaining.push(refused);
    }
    return remaining;
  }

  async #mend(source: SpooledSource): Promise<SourceFailure | undefined> {
    const outcome = await mendJson(this.#context, source, this.#options);
    if ("reason" in outcome) return outcome;
    this.#mended.set(source, outcome);
    return undefined;
  }

  mended(source: SpooledSource): Mended | undefined {
    return this.#mended.get(source);
  }

  rows(source: SpooledSource): number | undefined {
    return this.#mended.get(source)?.records ?? this.#rewritten.get(source)?.records;
  }

  close(): void {
    for (const { kept } of this.#mended.values()) kept.close();
    for (const { source } of this.#rewritten.values()) rmSync(source.path, { force: true });
  }

  #target(schema: Schema): Target {
    return { schema, renamed: this.#renamed };
  }

  /** `alone`: what was seen of all sources is this one's. */
  async #blameSource(source: SpooledSource, target: Target, alone: boolean): Promise<Verdict> {
    const looked = alone && this.#lookedAt === source ? this.#shape : undefined;
    const found = await this.#misfits.find(source, target, looked);
    if (found.failure !== undefined) return { ...NO_VERDICT, failures: [found.failure] };
    this.#found.set(source, { schema: target.schema, found });
    if (found.misfits !== undefined) return { ...NO_VERDICT, misfits: [found.misfits] };
    const done = this.#rewrittenOf(source, target.schema) !== undefined;
    const treatment = treatmentOf(this.#context, source, target.schema);
    if (treatment === undefined || done || found.concerned.length === 0) return NO_VERDICT;
    await this.#rewrite(source, target, treatment, found);
    return { ...NO_VERDICT, again: true };
  }

  async #rewrite(source: SpooledSource, target: Target, applied: Treatment, found: FoundInSource): Promise<void> {
    const treatment = this.#context.treatments.get(source.source.index) as Treatment;
    const own = await this.#misfits.rewrite(source, target, applied, found.concerned);
    this.#rewritten.set(source, { schema: target.schema, treatment, applied, source: own, records: found.records });
  }

  /** Sources that are known not to fit need not fail once more: all that does not is rescued. */
  async #rewriteFound(sources: readonly SpooledSource[], schema: Schema): Promise<void> {
    if (schema.fields.some(({ name, required }) => required && !LINEAGE_NAMES.has(name))) return;
    for (const source of sources) {
      const known = this.#found.get(source);
      const treatment = treatmentOf(this.#context, source, schema);
      if (known === undefined || treatment?.rescue !== true || this.#rewrittenOf(source, schema) !== undefined)
        continue;
      if (sameSchema(ownColumns(known.schema), ownColumns(schema))) {
        await this.#rewrite(source, this.#target(schema), treatment, known.found);
      }
    }
  }

  /** Undefined: the source is read as it is. */
  #rewrittenOf(source: SpooledSource, schema: Schema): Rewritten | undefined {
    const own = this.#rewritten.get(source);
    const current = own !== undefined && this.#context.treatments.get(source.source.index) === own.treatment;
    return current && sameSchema(own.schema, schema) ? own : undefined;
  }

  /** The table's own columns under the keys that the records have for them. */
  #keyed(schema: Schema): NestedField[] {
    const keys = new Map([...this.#renamed].map(([key, name]) => [name, key]));
    const columns = schema.fields.filter(({ name }) => !LINEAGE_NAMES.has(name));
    return columns.map((field) => ({ ...field, name: keys.get(field.name) ?? field.name }));
  }

  /** One look at all records of the sources. Failures mean that it has to be done again without those. */
  async #look(sources: readonly SpooledSource[], known: Schema | undefined): Promise<Inspection> {
    const { session, job } = this.#context;
    const reader = new ShapeReader();
    const failures = new Map<number, SourceFailure>();
    const byIndex = new Map(sources.map((source) => [source.source.index, source]));
    const fail = (index: number, ...problem: Problem) => {
      const source = byIndex.get(index);
      if (source !== undefined) failures.set(index, failureOf(source, problem));
    };
    try {
      await this.#readRecords(sources, reader, fail);
      for (const source of await this.#files.pathless(sources)) {
        failures.set(source.source.index, pathlessJson(source, this.#files));
      }
    } catch (error) {
      const broken = await blameBroken(session, this.#files, sources);
      if (broken.length > 0) return { fields: [], failures: broken };
      throw new MoraineError(
        "Invalid",
        "records cannot be read and no source is to blame",
        { sources: sources.length },
        error,
      );
    }
    const columns = columnsOfShape(reader.shape, known?.fields ?? [], job.hints, {
      renaming: this.#files.path.length === 0,
      infer: job.inferTypes,
    });
    for (const { path, sources: having, hasColumn } of columns.strays) {
      // An empty key is found again where values do not fit. DuckDB may take one with NUL for another.
      if (hasColumn || !path.includes("\0")) continue;
      const message = "a key holds NUL and cannot be a column; rename it";
      for (const index of having) fail(index, "KEY_COLLISION", message, path);
    }
    this.#renamed = columns.renamed;
    this.#shape = reader.shape;
    this.#lookedAt = sources.length === 1 ? sources[0] : undefined;
    return { fields: columns.fields, failures: [...failures.values()] };
  }

  async #readRecords(
    sources: readonly SpooledSource[],
    reader: ShapeReader,
    fail: (index: number, ...problem: Problem) => void,
  ): Promise<void> {
    const byPath = new Map(sources.map((source) => [source.path, source.source.index]));
    // Every text that comes over costs 3 µs, a path as much as a record; of an ENUM only its place comes.
    const file = `CAST(file AS ENUM (${[...byPath.keys()].map(literal).join(", ")}))`;
    for (const query of this.#files.records(sources)) {
      for await (const rows of this.#context.session.stream(
        `SELECT record, ${file} FROM (${query}) AS t(record, file)`,
      )) {
        for (const [record, path] of rows as [string | null, string][]) {
          const index = byPath.get(path) ?? -1;
          if (record !== null && isRescuedRow(record)) continue;
          const problem = readRecord(reader, record, index);
          if (problem !== undefined) fail(index, ...problem);
        }
      }
    }
  }

  /** `treatment`: the sources were rewritten by it, and have our keys. */
  async #select(
    format: JsonFormat,
    sources: readonly SpooledSource[],
    schema: Schema,
    treatment?: Treatment,
  ): Promise<string> {
    const routes = treatment?.routes ?? [];
    const ours = treatment === undefined ? [] : [RESCUED_KEY, ...routes.map((_, number) => routeKey(number))];
    const reads = [
      ...structKeys(this.#keyed(schema), this.#shape, this.#trust),
      ...ours.map((key): KeyRead => ({ key, read: "text" })),
    ];
    const from =
      this.#files.path.length === 0 || treatment !== undefined
        ? await this.#seeded(format, sources, reads)
        : await this.#seededUnder(format, sources, reads);
    const keys = new Map([...this.#renamed].map(([key, name]) => [name, key]));
    const positions = new Map(reads.map(({ key }, index) => [key, index]));
    const columnValue = (field: NestedField): string => {
      if (field.name === RESCUED_DATA && treatment !== undefined) return `k${positions.get(RESCUED_KEY)}`;
      if (LINEAGE_NAMES.has(field.name)) return `CAST(NULL AS ${duckType(field.type)})`;
      const position = positions.get(keys.get(field.name) ?? field.name) ?? -1;
      const value = castJson(`k${position}`, field.type, reads[position]?.read ?? "text");
      const incoming = routes.flatMap(({ column }, number) =>
        column === field.name ? [`k${positions.get(routeKey(number))}`] : [],
      );
      return incoming.length === 0 ? value : `coalesce(${[value, ...incoming].join(", ")})`;
    };
    const values = schema.fields.map((field) => `${columnValue(field)} AS ${ident(field.name)}`);
    return `SELECT ${[...values, FILE_COLUMN].join(", ")} FROM ${from}`;
  }

  /** A FROM item with columns k0, k1, ... for the keys. */
  async #seeded(format: JsonFormat, sources: readonly SpooledSource[], reads: readonly KeyRead[]): Promise<string> {
    const marked = [...reads, { key: SEED_KEY, read: "text" as const }];
    const from = await this.#planted(format, sources, seedOf({ struct: marked }));
    const names = [...reads.map((_, index) => `k${index}`), "seed", FILE_COLUMN];
    return `(SELECT * FROM ${from} AS t(${names.join(", ")}) WHERE seed IS NULL${this.#noRecord(reads)})`;
  }

  /** A null where a record should be reads like one without values: until the records have been looked at, neither is taken. */
  #noRecord(reads: readonly KeyRead[]): string {
    if (this.#shape !== undefined || reads.length === 0) return "";
    const empty = reads.map((_, index) => `k${index} IS NULL`).join(" AND ");
    return ` AND CASE WHEN ${empty} THEN CAST(error(${literal(MISFIT)}) AS BOOLEAN) ELSE true END`;
  }

  /** The same for records under a path. */
  async #seededUnder(
    format: JsonFormat,
    sources: readonly SpooledSource[],
    reads: readonly KeyRead[],
  ): Promise<string> {
    const { path } = this.#files;
    if ((await this.#files.pathless(sources)).length > 0) throw new Error(MISFIT);
    const outer = await this.#files.outerKeys(sources);
    const document = [...path.entries()].reduceRight<ReadType>(
      (inner, [depth, key]) => {
        const others = (outer[depth] ?? []).filter((other) => other !== key);
        const marker = depth === 0 ? [SEED_KEY] : [];
        return {
          struct: [
            { key, read: inner },
            ...[...others, ...marker].map((other): KeyRead => ({ key: other, read: "text" })),
          ],
        };
      },
      { list: { struct: reads } },
    );
    const from = await this.#planted(format, sources, seedOf(document));
    const records = `SELECT unnest(t.${path.map(ident).join(".")}) AS r, ${FILE_COLUMN} FROM ${from} AS t WHERE ${ident(SEED_KEY)} IS NULL`;
    const record = `CASE WHEN r IS NULL THEN error(${literal(MISFIT)}) ELSE r END`;
    const values = reads.map(
      ({ key }, index) => `struct_extract(${index === 0 ? record : "r"}, ${literal(key)}) AS k${index}`,
    );
    return `(SELECT ${[...values, FILE_COLUMN].join(", ")} FROM (${records}))`;
  }

  async #planted(format: JsonFormat, sources: readonly SpooledSource[], seed: string): Promise<string> {
    const paths = await this.#seeds.plant(format, sources, seed);
    return tableFunction("read_json", paths, { ...this.#files.options(format, sources), ...SEED_OPTIONS });
  }
}

function ownColumns(schema: Schema): Schema {
  return { ...schema, fields: schema.fields.filter(({ name }) => !LINEAGE_NAMES.has(name)) };
}

/** The first line may be no record, and may look like the start of a list. */
function isLines(head: string, lastByte: number | undefined): boolean {
  const list =
    /^\s*\[/.test(head) &&
    lastByte === 0x5d &&
    !/^\s*\[.*\]\s*$/m.test(head.slice(0, head.indexOf("\n", head.search(/\S/)) + 1));
  return !list && /^\s*\{/m.test(head);
}

type Problem = [reason: string, message: string, column?: string];

function failureOf(source: SpooledSource, [reason, message, column]: Problem): SourceFailure {
  return failure(source, reason, message, column === undefined ? {} : { column });
}

function readRecord(reader: ShapeReader, record: string | null, source: number): Problem | undefined {
  if (record?.[0] !== "{")
    return [
      "NOT_JSON_RECORDS",
      "holds a record that is no JSON object; set values: true in the ingestion's format to load it",
    ];
  try {
    const twice = reader.add(record, source);
    return twice === undefined
      ? undefined
      : ["DUPLICATE_KEY", "an object has the same key twice; set duplicateKeys: last to take the last", twice];
  } catch {
    return ["MALFORMED_JSON", "a record is not valid JSON; correct the file"];
  }
}
