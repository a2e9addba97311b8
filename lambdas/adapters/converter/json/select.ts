// The query for rows of a table from JSON sources: read with a seed (json/read.ts), each key cast to its column.

import { RESCUED_DATA } from "../../../core/iceberg/schema.ts";
import type { NestedField } from "../../../core/iceberg/types.ts";
import type { Treatment } from "../../../core/ports.ts";
import { FILE_COLUMN, type SpooledSource } from "../format.ts";
import { LINEAGE_NAMES } from "../lineage.ts";
import { ident, literal, tableFunction } from "../sql.ts";
import { MISFIT } from "../strict-cast.ts";
import { duckType } from "../types.ts";
import { keysOf } from "./columns.ts";
import type { JsonFiles, JsonFormat } from "./files.ts";
import { keyedColumns, type Target } from "./misfits.ts";
import { castJson, type ReadType, seedOf, structKeys, type Trust } from "./read.ts";
import { RESCUED_KEY, routeKey } from "./rescue.ts";
import { SEED_KEY, SEED_OPTIONS, type SeedBed } from "./seed.ts";
import type { Shape } from "./shape.ts";

/** What is known and believed of the sources. */
export interface Reading {
  /** What their records hold, once they have been looked at. */
  readonly shape: Shape | undefined;
  readonly trust: Trust;
}

type KeyRead = { readonly key: string; readonly read: ReadType };

export class JsonSelects {
  readonly #files: JsonFiles;
  readonly #seeds: SeedBed;

  constructor(files: JsonFiles, seeds: SeedBed) {
    this.#files = files;
    this.#seeds = seeds;
  }

  /** `treatment`: the sources were rewritten by it, and have our keys. */
  async select(
    format: JsonFormat,
    sources: readonly SpooledSource[],
    { schema, renamed }: Target,
    reading: Reading,
    treatment?: Treatment,
  ): Promise<string> {
    const routes = treatment?.routes ?? [];
    const ours = treatment === undefined ? [] : [RESCUED_KEY, ...routes.map((_, number) => routeKey(number))];
    const columns = keyedColumns({ schema, renamed });
    const reads = [
      ...structKeys(columns, reading.shape, reading.trust),
      ...ours.map((key): KeyRead => ({ key, read: "text" })),
    ];
    const from =
      this.#files.path.length === 0 || treatment !== undefined
        ? await this.#seeded(format, sources, reads, columns.length, reading.shape !== undefined)
        : await this.#seededUnder(format, sources, reads);
    const keys = keysOf(renamed);
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

  /** A FROM item with columns k0, k1, ... for the keys, of which so many are columns of the table. */
  async #seeded(
    format: JsonFormat,
    sources: readonly SpooledSource[],
    reads: readonly KeyRead[],
    columns: number,
    looked: boolean,
  ): Promise<string> {
    const marked = [...reads, { key: SEED_KEY, read: "text" as const }];
    const from = await this.#planted(format, sources, seedOf({ struct: marked }));
    const keys = reads.map((_, index) => `k${index}`);
    const names = [...keys, "seed", FILE_COLUMN];
    const where = `seed IS NULL${asking(keys.slice(columns))}${looked ? "" : noRecord(reads)}`;
    return `(SELECT * FROM ${from} AS t(${names.join(", ")}) WHERE ${where})`;
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
        const others = (outer[depth] ?? []).filter((other) => other !== key && !other.includes("\0"));
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
    const beside = typeof document === "object" && "struct" in document ? document.struct.slice(1, -1) : [];
    const others = beside.map((_, index) => `o${index}`);
    const names = ["document", ...others, "seed", FILE_COLUMN].join(", ");
    const list = ["document", ...path.slice(1).map(ident)].join(".");
    const records = `SELECT unnest(${list}) AS r, ${FILE_COLUMN} FROM ${from} AS t(${names}) WHERE seed IS NULL${asking(others)}`;
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

/** Always true. DuckDB does not tell of unknown keys in a read of which a column is not asked for. */
function asking(columns: readonly string[]): string {
  return columns.length === 0 ? "" : ` AND hash(${columns.join(", ")}) IS NOT NULL`;
}

/** A null where a record should be reads like one without values: until the records have been looked at, neither is taken. */
function noRecord(reads: readonly KeyRead[]): string {
  if (reads.length === 0) return "";
  const empty = reads.map((_, index) => `k${index} IS NULL`).join(" AND ");
  return ` AND CASE WHEN ${empty} THEN CAST(error(${literal(MISFIT)}) AS BOOLEAN) ELSE true END`;
}
