// Parquet. Columns come from the footers; files with the same columns are one scan. Given a list of files DuckDB takes the columns of the
// first for all, so files are grouped here.

import type { DuckDBType } from "@duckdb/node-api";
import type { DraftField, NestedField, Schema } from "../../../core/iceberg/types.ts";
import type { Inspection, Misfits, SourceFailure, Treatment } from "../../../core/ports.ts";
import { isOutOfMemory, isTooFar, kindOf, tooFar, tooLargeForMemory } from "../duckdb-errors.ts";
import { duckdb } from "../engine.ts";
import {
  FILE_COLUMN,
  type FormatReader,
  failure,
  hintOf,
  type ReaderContext,
  type SpooledSource,
  treatmentOf,
  type Verdict,
} from "../format.ts";
import { LINEAGE_NAMES } from "../lineage.ts";
import { columnNames, indexOfName } from "../names.ts";
import { findMisfits, ROW, rowOf, type Scan, treatedSelect } from "../places.ts";
import { ident, literal, tableFunction } from "../sql.ts";
import { duckType } from "../types.ts";
import { widerIn } from "../wider.ts";
import { lookAtFooter } from "./footer.ts";
import { castFitting, type ParquetPlace, placesOf } from "./places.ts";
import { castDuck, checkedInt96, draftOfDuck, hasUnnamed, LEVELS_MAX, levelsIn, listsIn } from "./types.ts";

interface ParquetGroup {
  /** As the file has them. */
  readonly names: readonly string[];
  /** As the table has them. */
  readonly columns: readonly string[];
  readonly types: readonly DuckDBType[];
  readonly hasInt96: boolean;
  readonly sources: SpooledSource[];
}

/** Each further one more than doubles what DuckDB takes to plan a statement: 16 take 0.1 s, 24 half a minute (1.5.5). */
const LISTS_MAX = 12;

const PARQUET = { hive_partitioning: "false", union_by_name: "false", filename: literal(FILE_COLUMN) };

export class ParquetReader implements FormatReader {
  readonly #context: ReaderContext;
  readonly #groups = new Map<string, ParquetGroup>();
  readonly #rows = new Map<SpooledSource, number>();

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
    const { failure: unfit, hasInt96, rows } = await lookAtFooter(source);
    if (unfit !== undefined) return unfit;
    if (rows !== undefined) this.#rows.set(source, rows);
    let described: { names: readonly string[]; types: readonly DuckDBType[] };
    try {
      described = await this.#context.session.columns(
        `SELECT * FROM ${tableFunction("read_parquet", [source.path], { ...PARQUET, filename: "false" })}`,
      );
    } catch (error) {
      return unreadable(source, error);
    }
    const { names, types } = described;
    const problem = problemOf(names, types);
    if (problem !== undefined) return failure(source, ...problem);
    const key = JSON.stringify([names, types.map(String), hasInt96]);
    const columns = columnNames(names, [...LINEAGE_NAMES]);
    const group = this.#groups.get(key) ?? { names, columns, types, hasInt96, sources: [] };
    group.sources.push(source);
    this.#groups.set(key, group);
    return undefined;
  }

  /** By its footer. */
  rows(source: SpooledSource): number | undefined {
    return this.#rows.get(source);
  }

  async inspect(sources: readonly SpooledSource[], known: Schema | undefined): Promise<Inspection> {
    const fields = new Map<string, DraftField>();
    const table = new Map(known?.fields.toReversed().map((field) => [field.name.toLowerCase(), field]));
    for (const group of this.#groupsOf(sources)) {
      for (const [i, name] of group.columns.entries()) {
        const hint = hintOf(this.#context.job, name);
        const seen = hint ?? draftOfDuck(group.types[i] as DuckDBType);
        const key = name.toLowerCase();
        const own = table.get(key);
        const before = fields.get(key);
        fields.set(key, {
          name: before?.name ?? own?.name ?? name,
          type: before === undefined ? seen : widerIn(own?.type, before.type, seen),
        });
      }
    }
    return { fields: [...fields.values()], failures: [] };
  }

  async selects(sources: readonly SpooledSource[], schema: Schema): Promise<readonly string[]> {
    return this.#groupsOf(sources).flatMap((group) => {
      const places = placesIn(group, schema);
      const treated = group.sources.filter((source) => this.#treatmentOf(source, schema, places) !== undefined);
      const plain = group.sources.filter((source) => !treated.includes(source));
      const selects = treated.map((source) => this.#treatedSelect(group, source, schema, places));
      if (plain.length === 0) return selects;
      const columns = schema.fields.map((field) => `${columnOf(group, field)} AS ${ident(field.name)}`);
      return [...selects, `SELECT ${[...columns, FILE_COLUMN].join(", ")} FROM ${read(plain)}`];
    });
  }

  async blame(sources: readonly SpooledSource[], schema: Schema): Promise<Verdict> {
    const failures: SourceFailure[] = [];
    const misfits: Misfits[] = [];
    for (const group of this.#groupsOf(sources)) {
      for (const source of group.sources) {
        try {
          const rows = group.hasInt96 ? `(SELECT ${guarded(group)} FROM ${read([source])})` : read([source]);
          await this.#context.session.run(`SELECT count(COLUMNS(*)) FROM ${rows}`);
        } catch (error) {
          failures.push(unreadable(source, error));
        }
      }
    }
    if (failures.length > 0) return { failures, misfits, again: false };
    for (const group of this.#groupsOf(sources)) {
      const places = placesIn(group, schema);
      for (const [treatment, members] of this.#byTreatment(group, schema, places)) {
        const found = await findMisfits(this.#context.session, scanOf(group, members, schema, places, treatment));
        failures.push(...found.failures);
        misfits.push(...found.misfits);
      }
    }
    return { failures, misfits, again: false };
  }

  #byTreatment(
    group: ParquetGroup,
    schema: Schema,
    places: readonly ParquetPlace[],
  ): (readonly [Treatment | undefined, readonly SpooledSource[]])[] {
    const treated = group.sources.flatMap((source) => {
      const treatment = this.#treatmentOf(source, schema, places);
      return treatment === undefined ? [] : [[treatment, [source]] as const];
    });
    const plain = group.sources.filter((source) => this.#treatmentOf(source, schema, places) === undefined);
    return plain.length === 0 ? treated : [...treated, [undefined, plain] as const];
  }

  /** Of a source that cannot be read like any other. */
  #treatmentOf(source: SpooledSource, schema: Schema, places: readonly ParquetPlace[]): Treatment | undefined {
    return places.length === 0 ? undefined : treatmentOf(this.#context, source, schema);
  }

  #treatedSelect(group: ParquetGroup, source: SpooledSource, schema: Schema, places: readonly ParquetPlace[]): string {
    return treatedSelect({
      schema,
      places,
      treatment: this.#treatmentOf(source, schema, places) as Treatment,
      own: (column) => ownOf(group, column),
      column: (field, unfit) => {
        const index = indexOfField(group, field);
        const type = group.types[index];
        if (type === undefined) return `CAST(NULL AS ${duckType(field.type)})`;
        return castFitting(field.name, ident(group.names[index] as string), type, field.type, unfit);
      },
      from: numbered(group, source),
      where: rowOf(source),
    });
  }

  #groupsOf(sources: readonly SpooledSource[]): ParquetGroup[] {
    const wanted = new Set(sources);
    return [...this.#groups.values()]
      .map((group) => ({ ...group, sources: group.sources.filter((source) => wanted.has(source)) }))
      .filter((group) => group.sources.length > 0);
  }
}

/** What the statements that read the columns could not take. */
function problemOf(names: readonly string[], types: readonly DuckDBType[]): [string, string] | undefined {
  const unnamed = types.findIndex(hasUnnamed);
  if (unnamed >= 0) return ["INVALID_NAME", `column ${names[unnamed]} has a member without a name; give it one`];
  const deep = types.findIndex((type) => listsIn(type) > LISTS_MAX || levelsIn(type) > LEVELS_MAX);
  if (deep < 0) return undefined;
  const bounds = `more than ${LEVELS_MAX} levels, or more than ${LISTS_MAX} lists and maps in one another`;
  return ["NESTED_TOO_DEEPLY", `column ${names[deep]} has ${bounds}; write it as JSON text`];
}

function unreadable(source: SpooledSource, error: unknown): SourceFailure {
  if (isOutOfMemory(error)) return tooLargeForMemory(source);
  if (isTooFar(error)) return tooFar(source);
  return failure(source, "UNREADABLE_PARQUET", `cannot be read as parquet (${kindOf(error)}); write the file again`);
}

function read(sources: readonly SpooledSource[], options: Readonly<Record<string, string>> = {}): string {
  return tableFunction(
    "read_parquet",
    sources.map(({ path }) => path),
    { ...PARQUET, ...options },
  );
}

/**
 * Columns of which only the fitting values may be cast. Of structs DuckDB casts members in the scan itself, before any condition is asked
 * (1.5.5), unless they are made by an expression. Timestamps that were counted round fit, and are no less wrong.
 */
function guarded(group: ParquetGroup): string {
  const made = group.names.flatMap((name, i) => {
    const type = group.types[i] as DuckDBType;
    const column = ident(name);
    const checked = group.hasInt96 ? checkedInt96(column, type) : column;
    if (checked !== column) return [`${checked} AS ${column}`];
    const isStruct = type.typeId === duckdb().DuckDBTypeId.STRUCT;
    return isStruct ? [`CASE WHEN ${column} IS NOT NULL THEN ${column} END AS ${column}`] : [];
  });
  return made.length === 0 ? "*" : `* REPLACE (${made.join(", ")})`;
}

function numbered(group: ParquetGroup, source: SpooledSource): string {
  // A column of the file may have the name that DuckDB would give the number.
  const own = group.names.some((name) => name.toLowerCase() === "file_row_number");
  const number = own ? "row_number() OVER ()" : "file_row_number + 1";
  return `(SELECT ${guarded(group)}, ${number} AS ${ROW} FROM ${read([source], own ? {} : { file_row_number: "true" })})`;
}

function scanOf(
  group: ParquetGroup,
  sources: readonly SpooledSource[],
  schema: Schema,
  places: readonly ParquetPlace[],
  treatment: Treatment | undefined,
): Scan {
  const required = schema.fields.filter((field) => field.required && !LINEAGE_NAMES.has(field.name));
  return {
    sources,
    treatment,
    places,
    required: required.map((field) => ({ name: field.name, isNull: `${ownOf(group, field.name)} IS NULL` })),
    own: (column) => ownOf(group, column),
    from: `(SELECT ${guarded(group)}, ${FILE_COLUMN} FROM ${read(sources)})`,
    numbered: (source) => numbered(group, source),
    typesOf: async (_, asked) => asked.map((place) => (place as ParquetPlace).fileType),
  };
}

function placesIn(group: ParquetGroup, schema: Schema): ParquetPlace[] {
  // Of two fields that are one column's the first has it.
  const fields = new Map(schema.fields.toReversed().map((field) => [indexOfField(group, field), field]));
  return group.names.flatMap((name, i) => {
    const field = fields.get(i);
    return placesOf(
      field?.name ?? (group.columns[i] as string),
      ident(name),
      group.types[i] as DuckDBType,
      field?.type,
    );
  });
}

function ownOf(group: ParquetGroup, column: string): string {
  const index = indexOfName(group.columns, column);
  return index < 0 ? "NULL" : ident(group.names[index] as string);
}

function indexOfField(group: ParquetGroup, { name }: Pick<NestedField, "name">): number {
  return LINEAGE_NAMES.has(name) ? -1 : indexOfName(group.columns, name);
}

function columnOf(group: ParquetGroup, field: NestedField): string {
  const index = indexOfField(group, field);
  const type = group.types[index];
  if (type === undefined) return `CAST(NULL AS ${duckType(field.type)})`;
  return castDuck(ident(group.names[index] as string), type, field.type, group.hasInt96);
}
