// What is done to a JSON file before it is read: which layout it has, whether it is JSON, and lines that are none taken out.

import type { FormatOptions } from "../../../core/config.ts";
import type { SourceFailure } from "../../../core/ports.ts";
import type { Mended } from "../bad-rows.ts";
import { failure, type ReaderContext, type SpooledSource } from "../format.ts";
import { malformedJson } from "./blame.ts";
import type { JsonFiles } from "./files.ts";
import { mendJson } from "./mend.ts";
import { keepLastKeys, scanJson, wrapValues } from "./rewrite.ts";
import type { JsonLayout } from "./scan.ts";

export type JsonReaderOptions = Extract<FormatOptions, { readonly type: "json" | "ndjson" }>;

/** Failures of files that may have good lines beside the bad. */
const BAD_LINES: ReadonlySet<string> = new Set([
  "MALFORMED_JSON",
  "NOT_JSON_RECORDS",
  "DUPLICATE_KEY",
  "RECORD_TOO_LARGE",
]);

export class JsonAdmission {
  readonly #context: ReaderContext;
  readonly #options: JsonReaderOptions;
  readonly #files: JsonFiles;
  readonly #mended = new Map<SpooledSource, Mended>();
  readonly #forget: (source: SpooledSource) => void;

  /** `forget`: a source was written anew. */
  constructor(
    context: ReaderContext,
    options: JsonReaderOptions,
    files: JsonFiles,
    forget: (source: SpooledSource) => void,
  ) {
    this.#context = context;
    this.#options = options;
    this.#files = files;
    this.#forget = forget;
  }

  mended(source: SpooledSource): Mended | undefined {
    return this.#mended.get(source);
  }

  close(): void {
    for (const { kept } of this.#mended.values()) kept.close();
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

  #bearsBadRows(): boolean {
    return this.#lines && this.#context.job.badRows.onBadRow !== "reject_file";
  }

  /** Takes the lines out of NDJSON files that are no records; returns the failures that remain. */
  async mendAll(failures: readonly SourceFailure[]): Promise<SourceFailure[]> {
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
    this.#forget(source);
    this.#mended.set(source, outcome);
    return undefined;
  }
}

/** The first line may be no record, and may look like the start of a list. */
function isLines(head: string, lastByte: number | undefined): boolean {
  const list =
    /^\s*\[/.test(head) &&
    lastByte === 0x5d &&
    !/^\s*\[.*\]\s*$/m.test(head.slice(0, head.indexOf("\n", head.search(/\S/)) + 1));
  return !list && /^\s*\{/m.test(head);
}
