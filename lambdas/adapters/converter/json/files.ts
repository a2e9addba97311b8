// The JSON sources as FROM items: NDJSON, arrays, documents one after the other, records under a path.

import type { NestedField } from "../../../core/iceberg/types.ts";
import type { Session } from "../engine.ts";
import { FILE_COLUMN, type SpooledSource } from "../format.ts";
import { ident, literal, struct, tableFunction } from "../sql.ts";
import { decimalPlaces, LONG_NUMBER, type Place, quoteDecimals } from "./exact.ts";
import type { JsonLayout } from "./scan.ts";

const DUCK_FORMATS = { lines: "newline_delimited", list: "array", documents: "unstructured" } as const;
export type JsonFormat = (typeof DUCK_FORMATS)[JsonLayout];

/** DuckDB's own limit for one record, or one document. Documents are as large as their files. */
const OBJECT_BYTES_MAX = 16 * 1024 * 1024;

export class JsonFiles {
  readonly #session: Session;
  /** Keys that lead to the list of records; none: every document is a record. */
  readonly path: readonly string[];
  readonly #layouts = new Map<SpooledSource, JsonLayout>();
  /** As they lie there now: some were written anew. */
  readonly #sizes = new Map<SpooledSource, number>();
  readonly #exact = new Set<SpooledSource>();

  constructor(session: Session, path: readonly string[]) {
    this.#session = session;
    this.path = path;
  }

  admit(source: SpooledSource, layout: JsonLayout, sizeBytes: number): void {
    this.#layouts.set(source, layout);
    this.#sizes.set(source, sizeBytes);
  }

  layoutOf(source: SpooledSource): JsonLayout {
    return this.#layouts.get(source) ?? "documents";
  }

  /** Those that hold anything. */
  admitted(sources: readonly SpooledSource[]): SpooledSource[] {
    return sources.filter((source) => this.#layouts.has(source));
  }

  /** One record a line, and so places are lines. */
  isLines(source: SpooledSource): boolean {
    return this.path.length === 0 && this.#layouts.get(source) === "lines";
  }

  lineSource(index: number): SpooledSource | undefined {
    return [...this.#layouts.keys()].find((source) => source.source.index === index && this.isLines(source));
  }

  byFormat(sources: readonly SpooledSource[]): Map<JsonFormat, SpooledSource[]> {
    const groups = new Map<JsonFormat, SpooledSource[]>();
    for (const source of sources) {
      const layout = this.#layouts.get(source);
      if (layout === undefined) continue;
      const format = DUCK_FORMATS[layout];
      groups.set(format, [...(groups.get(format) ?? []), source]);
    }
    return groups;
  }

  options(format: JsonFormat, sources: readonly SpooledSource[]): Record<string, string> {
    const largest =
      format === "newline_delimited"
        ? 0
        : Math.max(...sources.map((source) => this.#sizes.get(source) ?? source.sizeBytes));
    return {
      format: literal(format),
      filename: literal(FILE_COLUMN),
      maximum_object_size: String(Math.max(OBJECT_BYTES_MAX, largest + 1)),
    };
  }

  /** Queries that give every document as JSON text, and its file. */
  documents(sources: readonly SpooledSource[]): string[] {
    return this.#each(sources, "read_json_objects", {}).map(
      (from) => `SELECT json::VARCHAR, ${FILE_COLUMN} FROM ${from}`,
    );
  }

  /** Queries that give every record as JSON text, and its file. */
  records(sources: readonly SpooledSource[]): string[] {
    if (this.path.length === 0) return this.documents(sources);
    // Told of one column only, DuckDB leaves the rest alone. (Unnesting json_extract(…, '$.path[*]') instead is quadratic: 34 s for
    // a list of 400,000, this 2 s.)
    const [first = "", ...inner] = this.path;
    const type = inner.reduceRight((nested, key) => `STRUCT(${ident(key)} ${nested})`, "JSON[]");
    const columns = struct([[first, literal(type)]]);
    const list = this.path.map(ident).join(".");
    return this.#each(sources, "read_json", { columns }).map(
      (from) => `SELECT unnest(t.${list})::VARCHAR, ${FILE_COLUMN} FROM ${from} AS t`,
    );
  }

  /** Sources with a document that has no list where the records should be. */
  async pathless(sources: readonly SpooledSource[]): Promise<SpooledSource[]> {
    if (this.path.length === 0) return [];
    const kind = `json_type(json, ${literal(jsonPath(this.path))})`;
    const rows = await this.#union(
      this.#each(sources, "read_json_objects", {}).map(
        (from) =>
          `SELECT ${FILE_COLUMN} AS path FROM ${from} WHERE ${kind} IS NULL OR ${kind} NOT IN ('ARRAY', 'NULL')`,
      ),
    );
    const paths = new Set(rows.map((row) => String(row["path"])));
    return sources.filter(({ path }) => paths.has(path));
  }

  /** Sources with a key twice in an object around their records, which DuckDB reads as one or the other, or not at all. */
  async doubleKeyed(sources: readonly SpooledSource[]): Promise<SpooledSource[]> {
    const rows = await this.#union(
      [...this.path.keys()].flatMap((depth) => {
        const keys = `json_keys(json, ${literal(jsonPath(this.path.slice(0, depth)))})`;
        return this.#each(sources, "read_json_objects", {}).map(
          (from) => `SELECT ${FILE_COLUMN} AS path FROM ${from} WHERE len(${keys}) > len(list_distinct(${keys}))`,
        );
      }),
    );
    const paths = new Set(rows.map((row) => String(row["path"])));
    return sources.filter(({ path }) => paths.has(path));
  }

  /** Keys beside the records, level by level: they are no columns, and must not be taken for unknown ones. */
  async outerKeys(sources: readonly SpooledSource[]): Promise<string[][]> {
    const levels: string[][] = [];
    for (const depth of this.path.keys()) {
      const keys = `json_keys(json, ${literal(jsonPath(this.path.slice(0, depth)))})`;
      const rows = await this.#union(
        this.#each(sources, "read_json_objects", {}).map((from) => `SELECT unnest(${keys}) AS key FROM ${from}`),
      );
      levels.push(rows.map((row) => String(row["key"])));
    }
    return levels;
  }

  /** Sources with a key beside their records that holds NUL: DuckDB takes it for what it begins with, and that may be the path. */
  async nulKeyed(sources: readonly SpooledSource[]): Promise<SpooledSource[]> {
    const keyed: SpooledSource[] = [];
    if (!hasNul(await this.outerKeys(sources))) return keyed;
    for (const source of sources) if (hasNul(await this.outerKeys([source]))) keyed.push(source);
    return keyed;
  }

  /**
   * Makes the decimals of these columns (`texts`: and numbers in text) exact, in the files that may hold numbers a double would cut. Returns
   * the files that were written anew.
   */
  async makeExact(
    sources: readonly SpooledSource[],
    fields: readonly NestedField[],
    texts: boolean,
  ): Promise<SpooledSource[]> {
    const open = sources.filter((source) => !this.#exact.has(source));
    const record = decimalPlaces(fields, texts);
    if (record === undefined || open.length === 0) return [];
    const root = this.path.reduceRight<Place>(
      (inner, key) => ({ keys: new Map([[key, inner]]) }),
      this.#listed(record),
    );
    const rows = await this.#union(
      this.#each(open, "read_json_objects", {}).map(
        (from) =>
          `SELECT ${FILE_COLUMN} AS path FROM ${from} WHERE regexp_matches(json::VARCHAR, ${literal(LONG_NUMBER)})`,
      ),
    );
    const paths = new Set(rows.map((row) => String(row["path"])));
    for (const source of open) this.#exact.add(source);
    const inexact = open.filter(({ path }) => paths.has(path));
    for (const source of inexact) this.#sizes.set(source, await quoteDecimals(source.path, root));
    return inexact;
  }

  #listed(record: Place): Place {
    return this.path.length === 0 ? record : { element: record };
  }

  /** No sources, no queries, no rows: a batch may come to nothing. */
  async #union(queries: readonly string[]): ReturnType<Session["rows"]> {
    return queries.length === 0 ? [] : this.#session.rows(`SELECT DISTINCT * FROM (${queries.join(" UNION ALL ")})`);
  }

  #each(sources: readonly SpooledSource[], reader: string, parameters: Readonly<Record<string, string>>): string[] {
    return [...this.byFormat(sources)].map(([format, members]) => {
      const paths = members.map(({ path }) => path);
      return tableFunction(reader, paths, { ...this.options(format, members), ...parameters });
    });
  }
}

function hasNul(levels: readonly (readonly string[])[]): boolean {
  return levels.some((keys) => keys.some((key) => key.includes("\0")));
}

function jsonPath(keys: readonly string[]): string {
  return `$${keys.map((key) => `.${JSON.stringify(key)}`).join("")}`;
}
