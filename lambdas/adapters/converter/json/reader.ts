// JSON in all its shapes: NDJSON, one array, one document, concatenated documents, records under a path.
// `inspect` looks at the records in Node (json/look.ts), at those alone that may not fit where it can (json/sift.ts); `selects` reads with a
// seed (json/read.ts), so that a key or kind nobody has seen is an error and never dropped.

import { rmSync } from "node:fs";
import { sameSchema } from "../../../core/iceberg/schema.ts";
import type { Schema } from "../../../core/iceberg/types.ts";
import type { Inspection, Misfits, SourceFailure, Treatment } from "../../../core/ports.ts";
import type { Mended } from "../bad-rows.ts";
import {
  FILE_COLUMN,
  type FormatReader,
  NO_VERDICT,
  type ReaderContext,
  type SpooledSource,
  treatmentOf,
  type Verdict,
} from "../format.ts";
import { LINEAGE_NAMES } from "../lineage.ts";
import { JsonAdmission, type JsonReaderOptions } from "./admit.ts";
import { blameBroken } from "./blame.ts";
import { JsonFiles } from "./files.ts";
import { JsonLook, type Look } from "./look.ts";
import { type FoundInSource, JsonMisfits, keyedColumns, type Target } from "./misfits.ts";
import { keepsDigits } from "./numbers.ts";
import type { Trust } from "./read.ts";
import { SeedBed } from "./seed.ts";
import { JsonSelects, type Reading } from "./select.ts";
import { type DoubtfulLine, Sieve } from "./sift.ts";
import { Blanks, TREATED } from "./treat.ts";

/** A treated source, as it is read instead. */
interface Rewritten {
  readonly schema: Schema;
  /** None: only keys that are null were cut out. */
  readonly treatment: Treatment | undefined;
  /** As far as the schema goes. */
  readonly applied: Treatment;
  readonly records: number;
  readonly source: SpooledSource;
  /** It holds only these lines of the source; the others are read where they are. */
  readonly lines: readonly DoubtfulLine[] | undefined;
}

export class JsonReader implements FormatReader {
  readonly #context: ReaderContext;
  readonly #files: JsonFiles;
  readonly #seeds: SeedBed;
  readonly #blanks = new Blanks();
  readonly #sieve = new Sieve();
  readonly #looks: JsonLook;
  readonly #misfits: JsonMisfits;
  readonly #selects: JsonSelects;
  readonly #found = new Map<SpooledSource, { readonly schema: Schema; readonly found: FoundInSource }>();
  readonly #rewritten = new Map<SpooledSource, Rewritten>();
  readonly #admission: JsonAdmission;
  /** The last one at all sources. */
  #look: Look | undefined;
  #trust: Trust = "guess";

  constructor(context: ReaderContext, options: JsonReaderOptions) {
    this.#context = context;
    const path = options.type === "json" ? options.recordsPath : undefined;
    this.#files = new JsonFiles(context.session, path?.split(".") ?? []);
    this.#seeds = new SeedBed(context.directory);
    this.#looks = new JsonLook(context, this.#files, this.#sieve);
    this.#misfits = new JsonMisfits(context, this.#files, this.#sieve);
    this.#selects = new JsonSelects(this.#files, this.#seeds);
    this.#admission = new JsonAdmission(context, options, this.#files, (source) => this.#forget(source));
  }

  admit(source: SpooledSource, head: Buffer): Promise<SourceFailure | undefined> {
    return this.#admission.admit(source, head);
  }

  async inspect(sources: readonly SpooledSource[], known: Schema | undefined, apart = false): Promise<Inspection> {
    await this.#clear();
    const failures: SourceFailure[] = [];
    let good = this.#files.admitted(sources);
    for (;;) {
      const outcome = await this.#looks.look(good, known && this.#target(known));
      if ("look" in outcome) {
        if (!apart) this.#look = outcome.look;
        return { fields: outcome.look.columns.fields, failures };
      }
      const refused = await this.#admission.mendAll(outcome.failures);
      failures.push(...refused);
      const bad = new Set(refused.map(({ index }) => index));
      good = good.filter(({ source }) => !bad.has(source.index));
    }
  }

  async selects(sources: readonly SpooledSource[], schema: Schema): Promise<readonly string[]> {
    await this.#clear();
    const target = this.#target(schema);
    await this.#makeExact(sources, target);
    await this.#rewriteFound(sources, schema);
    const rewritten = sources.flatMap((source) => this.#rewrittenOf(source, schema) ?? []);
    const reading: Reading = { shape: this.#look?.shape, trust: this.#trust };
    const selects: string[] = [];
    const own = sources.filter((source) => this.#readsItself(source, schema));
    for (const [format, members] of this.#files.byFormat(own)) {
      selects.push(await this.#selects.select(format, members, target, reading));
    }
    for (const members of Map.groupBy(rewritten, ({ applied }) => JSON.stringify(applied)).values()) {
      const files = members.map(({ source }) => source);
      const select = await this.#selects.select("newline_delimited", files, target, reading, members[0]?.applied);
      const original = `left(${FILE_COLUMN}, length(${FILE_COLUMN}) - ${TREATED.length})`;
      selects.push(`SELECT * REPLACE (${original} AS ${FILE_COLUMN}) FROM (${select})`);
    }
    for (const source of sources) {
      const lines = this.#rewrittenOf(source, schema)?.lines;
      if (lines !== undefined) this.#blanks.blank(source, lines);
    }
    return selects;
  }

  /** What was planted or blanked for reading rows goes before anything else is read. */
  async #clear(): Promise<void> {
    this.#blanks.restore();
    await this.#seeds.clear();
  }

  async #makeExact(sources: readonly SpooledSource[], target: Target): Promise<void> {
    const own = sources.filter((source) => this.#readsItself(source, target.schema));
    for (const source of await this.#files.makeExact(own, keyedColumns(target), keepsDigits(this.#context.job))) {
      this.#forget(source);
    }
  }

  /** The source was written anew: what is known of its bytes is no more. */
  #forget(source: SpooledSource): void {
    this.#sieve.forget(source);
    if (this.#rewritten.get(source)?.lines !== undefined) this.#rewritten.delete(source);
    if (this.#found.get(source)?.found.sifted !== undefined) this.#found.delete(source);
  }

  /** Wholly, or beside what was taken out of it. */
  #readsItself(source: SpooledSource, schema: Schema): boolean {
    const rewritten = this.#rewrittenOf(source, schema);
    return rewritten === undefined || rewritten.lines !== undefined;
  }

  fallback(looked: boolean): boolean {
    if (this.#trust === "guess") this.#trust = "unsure";
    else if (this.#trust === "unsure" && looked) this.#trust = "seen";
    else return false;
    return true;
  }

  /** What the last look has shown already, no attempt has to fail for. */
  async foresee(sources: readonly SpooledSource[], schema: Schema): Promise<Verdict> {
    await this.#clear();
    await this.#rewriteFound(sources, schema);
    const admitted = this.#files.admitted(sources).filter((source) => this.#rewrittenOf(source, schema) === undefined);
    const columns = keyedColumns(this.#target(schema));
    if (admitted.some((source) => !this.#sieve.has(source, columns))) return NO_VERDICT;
    return this.#blameEach(admitted, schema);
  }

  async blame(sources: readonly SpooledSource[], schema: Schema): Promise<Verdict> {
    await this.#clear();
    const admitted = this.#files.admitted(sources);
    const broken = this.#look === undefined ? await this.#blameBroken(admitted) : NO_VERDICT;
    if (isVerdict(broken)) return broken;
    const found = await this.#blameEach(admitted, schema);
    return isVerdict(found) || this.#look?.sifted !== true ? found : this.#blameBroken(admitted);
  }

  async #blameBroken(sources: readonly SpooledSource[]): Promise<Verdict> {
    const broken = await blameBroken(this.#context.session, this.#files, sources);
    const refused = await this.#admission.mendAll(broken);
    return { failures: refused, misfits: [], again: refused.length < broken.length };
  }

  async #blameEach(sources: readonly SpooledSource[], schema: Schema): Promise<Verdict> {
    const failures: SourceFailure[] = [];
    const misfits: Misfits[] = [];
    let again = false;
    for (const source of sources) {
      const found = await this.#blameSource(source, this.#target(schema));
      failures.push(...found.failures);
      misfits.push(...found.misfits);
      again ||= found.again;
    }
    return { failures, misfits, again };
  }

  mended(source: SpooledSource): Mended | undefined {
    return this.#admission.mended(source);
  }

  rows(source: SpooledSource): number | undefined {
    return this.#admission.mended(source)?.records ?? this.#rewritten.get(source)?.records;
  }

  close(): void {
    this.#admission.close();
    for (const { source } of this.#rewritten.values()) rmSync(source.path, { force: true });
  }

  #target(schema: Schema): Target {
    return { schema, renamed: this.#look?.columns.renamed ?? new Map() };
  }

  async #blameSource(source: SpooledSource, target: Target): Promise<Verdict> {
    const { sources = [], shape, sifted } = this.#look ?? {};
    const isAll = sources.length === 1 && sources[0] === source && sifted === false;
    const found = await this.#misfits.find(source, target, isAll ? shape : undefined);
    if (found.failure !== undefined) return { ...NO_VERDICT, failures: [found.failure] };
    this.#found.set(source, { schema: target.schema, found });
    if (found.misfits !== undefined) return { ...NO_VERDICT, misfits: [found.misfits] };
    const done = this.#rewrittenOf(source, target.schema) !== undefined;
    if (done || found.concerned.length === 0) return NO_VERDICT;
    // Keys that are null, and that DuckDB cannot be told of, have to be cut out all the same.
    const treatment = treatmentOf(this.#context, source, target.schema) ?? { rescue: false, routes: [] };
    await this.#rewrite(source, target, treatment, found);
    return { ...NO_VERDICT, again: true };
  }

  async #rewrite(source: SpooledSource, target: Target, applied: Treatment, found: FoundInSource): Promise<void> {
    const treatment = this.#context.treatments.get(source.source.index);
    const own = await this.#misfits.rewrite(source, target, applied, found);
    const { records, sifted: lines } = found;
    this.#rewritten.set(source, { schema: target.schema, treatment, applied, source: own, records, lines });
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
}

function isVerdict({ failures, misfits, again }: Verdict): boolean {
  return again || failures.length > 0 || misfits.length > 0;
}

function ownColumns(schema: Schema): Schema {
  return { ...schema, fields: schema.fields.filter(({ name }) => !LINEAGE_NAMES.has(name)) };
}
