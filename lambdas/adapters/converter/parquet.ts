// Parquet. Columns come from the footers; files with the same columns are one scan. Given a list of files DuckDB takes the columns of the
// first for all, so files are grouped here.

import type { DuckDBType } from "@duckdb/node-api";
import type { DraftField, DraftType, NestedField, Schema } from "../../core/iceberg/types.ts";
import type { Inspection, SourceFailure } from "../../core/ports.ts";
import { columnNames } from "./csv-header.ts";
import { isOutOfMemory, kindOf, tooLargeForMemory } from "./duckdb-errors.ts";
import { FILE_COLUMN, type FormatReader, failure, hintOf, type ReaderContext, type SpooledSource } from "./format.ts";
import { LINEAGE_NAMES } from "./lineage.ts";
import { lookAtFooter } from "./parquet-footer.ts";
import { castDuck, draftOfDuck, indexOfName } from "./parquet-types.ts";
import { ident, literal, tableFunction } from "./sql.ts";
import { duckType } from "./types.ts";

interface ParquetGroup {
  /** As the file has them. */
  readonly names: readonly string[];
  /** As the table has them. */
  readonly columns: readonly string[];
  readonly types: readonly DuckDBType[];
  readonly hasInt96: boolean;
  readonly sources: SpooledSource[];
}

const PARQUET = { hive_partitioning: "false", union_by_name: "false", filename: literal(FILE_COLUMN) };

export class ParquetReader implements FormatReader {
  readonly #context: ReaderContext;
  readonly #groups = new Map<string, ParquetGroup>();

  constructor(context: ReaderContext) {
    this.#context = context;
  }

  async admit(source: SpooledSource, head: Buffer): Promise<SourceFailure | undefined> {
    if (source.sizeBytes === 0) return undefined;
    const magic = head.toString("latin1", 0, 4);
    if (magic === "PARE")
      return failure(source, "ENCRYPTED_PARQUET", "has an encrypted footer; upload it without encryption");
    if (magic !== "PAR1")
      return failure(source, "NOT_PARQUET", "does not start with PAR1; set the format it has", { byte: 0 });
    const { failure: unfit, hasInt96 } = await lookAtFooter(source);
    if (unfit !== undefined) return unfit;
    let described: { names: readonly string[]; types: readonly DuckDBType[] };
    try {
      described = await this.#context.session.columns(
        `SELECT * FROM ${tableFunction("read_parquet", [source.path], { ...PARQUET, filename: "false" })}`,
      );
    } catch (error) {
      return unreadable(source, error);
    }
    const { names, types } = described;
    if (names.some((name) => name.includes("\0")))
      return failure(source, "INVALID_NAME", "a column's name holds NUL; rename it");
    const key = JSON.stringify([names, types.map(String), hasInt96]);
    const columns = columnNames(names, [...LINEAGE_NAMES]);
    const group = this.#groups.get(key) ?? { names, columns, types, hasInt96, sources: [] };
    group.sources.push(source);
    this.#groups.set(key, group);
    return undefined;
  }

  async inspect(sources: readonly SpooledSource[], known: Schema | undefined): Promise<Inspection> {
    const fields = new Map<string, DraftField>();
    for (const group of this.#groupsOf(sources)) {
      for (const [i, name] of group.columns.entries()) {
        const hint = hintOf(this.#context.job, name);
        const seen = hint ?? draftOfDuck(group.types[i] as DuckDBType);
        const own = known?.fields.find((field) => field.name.toLowerCase() === name.toLowerCase());
        const key = name.toLowerCase();
        const before = fields.get(key);
        fields.set(key, {
          name: before?.name ?? own?.name ?? name,
          type: before === undefined ? seen : wider(before.type, seen),
        });
      }
    }
    return { fields: [...fields.values()], failures: [] };
  }

  async selects(sources: readonly SpooledSource[], schema: Schema): Promise<readonly string[]> {
    return this.#groupsOf(sources).map((group) => {
      const paths = group.sources.map(({ path }) => path);
      const columns = schema.fields.map((field) => `${columnOf(group, field)} AS ${ident(field.name)}`);
      return `SELECT ${[...columns, FILE_COLUMN].join(", ")} FROM ${tableFunction("read_parquet", paths, PARQUET)}`;
    });
  }

  async blame(sources: readonly SpooledSource[]): Promise<readonly SourceFailure[]> {
    const blamed: SourceFailure[] = [];
    for (const group of this.#groupsOf(sources)) {
      for (const source of group.sources) {
        try {
          await this.#context.session.run(
            `SELECT count(COLUMNS(*)) FROM ${tableFunction("read_parquet", [source.path], PARQUET)}`,
          );
        } catch (error) {
          blamed.push(unreadable(source, error));
        }
      }
    }
    return blamed;
  }

  #groupsOf(sources: readonly SpooledSource[]): ParquetGroup[] {
    const wanted = new Set(sources);
    return [...this.#groups.values()]
      .map((group) => ({ ...group, sources: group.sources.filter((source) => wanted.has(source)) }))
      .filter((group) => group.sources.length > 0);
  }
}

function unreadable(source: SpooledSource, error: unknown): SourceFailure {
  if (isOutOfMemory(error)) return tooLargeForMemory(source);
  return failure(source, "UNREADABLE_PARQUET", `cannot be read as parquet (${kindOf(error)}); write the file again`);
}

function columnOf(group: ParquetGroup, field: NestedField): string {
  const index = LINEAGE_NAMES.has(field.name) ? -1 : indexOfName(group.columns, field.name);
  const type = group.types[index];
  if (type === undefined) return `CAST(NULL AS ${duckType(field.type)})`;
  return castDuck(ident(group.names[index] as string), type, field.type, group.hasInt96);
}

/** The type that holds both, for files of one batch; anything unrelated is left to the table to object to. */
function wider(a: DraftType, b: DraftType): DraftType {
  if (typeof a === "string" && typeof b === "string") {
    const order = a.startsWith("decimal") || b.startsWith("decimal") ? [] : ["int", "long", "float", "double"];
    if (order.includes(a) && order.includes(b)) {
      // A long in a float would lose digits.
      if ((a === "long" && b === "float") || (a === "float" && b === "long")) return "double";
      return order.indexOf(a) > order.indexOf(b) ? a : b;
    }
    return a === b ? a : "string";
  }
  if (typeof a === "object" && typeof b === "object") {
    if (a.type === "struct" && b.type === "struct") return { type: "struct", fields: widerFields(a.fields, b.fields) };
    if (a.type === "list" && b.type === "list") return { type: "list", element: wider(a.element, b.element) };
  }
  return a;
}

function widerFields(a: readonly DraftField[], b: readonly DraftField[]): DraftField[] {
  const merged = new Map(a.map((field) => [field.name, field.type]));
  for (const { name, type } of b) {
    const before = merged.get(name);
    merged.set(name, before === undefined ? type : wider(before, type));
  }
  return [...merged].map(([name, type]) => ({ name, type }));
}
