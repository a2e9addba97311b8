// Columns of a table from the columns of a CSV file, in SQL. Values are read as text and cast strictly (strict-cast.ts): 5 % slower than
// DuckDB's typed read, and nothing changes silently. Doubles and booleans, which DuckDB reads as strictly, are read typed, until a quoted
// empty field turns up, which is null only as text.

import type { NestedField, Schema } from "../../../core/iceberg/types.ts";
import { FILE_COLUMN } from "../format.ts";
import { LINEAGE_NAMES } from "../lineage.ts";
import { findByName, indexOfName } from "../names.ts";
import type { Place } from "../places.ts";
import { ident, literal } from "../sql.ts";
import { castText, MISFIT, maybeRounded, misfits, type TextFormats } from "../strict-cast.ts";
import { duckType } from "../types.ts";
import { type CsvGroup, columnTypes, fieldsIn, readCsv } from "./group.ts";
import type { CsvOptions } from "./header.ts";

export class CsvColumns {
  readonly formats: TextFormats;
  #typed: boolean;

  constructor(options: CsvOptions) {
    this.formats = {
      ...(options.dateFormat === undefined ? {} : { date: options.dateFormat }),
      ...(options.timestampFormat === undefined ? {} : { timestamp: options.timestampFormat }),
      ...(options.decimalSeparator === undefined ? {} : { decimalSeparator: options.decimalSeparator }),
      ...(options.thousandsSeparator === undefined ? {} : { thousandsSeparator: options.thousandsSeparator }),
    };
    // DuckDB's own numbers and booleans are read without looking at how they are written.
    this.#typed =
      options.trim !== true && options.decimalSeparator === undefined && options.thousandsSeparator === undefined;
  }

  /** From now on all is read as text. False: it was already. */
  fallback(): boolean {
    const typed = this.#typed;
    this.#typed = false;
    return typed;
  }

  /** Values that may not fit: of columns with a type, and of columns that the table does not know. */
  places(group: CsvGroup, schema: Schema): Place[] {
    const known = new Set<number>();
    const places = schema.fields.flatMap((field): Place[] => {
      const index = LINEAGE_NAMES.has(field.name) ? -1 : indexOfName(group.columns, field.name);
      known.add(index);
      if (index < 0 || field.type === "string") return [];
      const text = this.text(index, field);
      const unfit = typeof field.type === "string" ? misfits(text, field.type, this.formats) : `(${text} IS NOT NULL)`;
      return [{ path: field.name, type: field.type, unfit, text, json: `to_json(${text})` }];
    });
    const unknown = group.columns.flatMap((path, index): Place[] => {
      if (known.has(index)) return [];
      const text = `c${index}`;
      return [{ path, type: undefined, unfit: `(${text} IS NOT NULL)`, text, json: `to_json(${text})` }];
    });
    return [...places, ...unknown];
  }

  /** `asText`: columns that are not to be read typed. */
  select(group: CsvGroup, schema: Schema, asText: ReadonlySet<string> = new Set(), where = "true"): string {
    const columns = schema.fields.map((field) => {
      return `${this.value(group, field, this.#typed && !asText.has(field.name))} AS ${ident(field.name)}`;
    });
    const types = this.readTypes(group, schema, asText);
    const from = readCsv(group, { columns: columnTypes(types) });
    return `SELECT ${[...columns, FILE_COLUMN].join(", ")} FROM ${from} WHERE ${where}`;
  }

  readTypes(group: CsvGroup, schema: Schema, asText: ReadonlySet<string>): string[] {
    return fieldsIn(group).map((name) => this.#readType(schema, name, asText));
  }

  #readType(schema: Schema, name: string, asText: ReadonlySet<string>): string {
    const field = findByName(schema.fields, name);
    if (asText.has(field?.name ?? name)) return "VARCHAR";
    const type = field?.type;
    return this.#typed && (type === "double" || type === "boolean") ? duckType(type) : "VARCHAR";
  }

  /** `typed`: a double or boolean is read as such. */
  value(group: CsvGroup, field: NestedField, typed = this.#typed): string {
    const index = LINEAGE_NAMES.has(field.name) ? -1 : indexOfName(group.columns, field.name);
    if (index < 0) return `CAST(NULL AS ${duckType(field.type)})`;
    if (typed && field.type === "boolean") return `c${index}`;
    // From 2^53 on it may be a whole number rounded, or one too large: as text that can be told.
    if (typed && field.type === "double")
      return `CASE WHEN ${maybeRounded(`c${index}`)} THEN error(${literal(MISFIT)}) ELSE c${index} END`;
    const text = typed ? `c${index}` : this.text(index, field);
    if (typeof field.type === "string") return castText(text, field.type, this.formats);
    // Text in a column that holds structures: there is no rule for it, so it does not fit.
    return `CASE WHEN ${text} IS NULL THEN CAST(NULL AS ${duckType(field.type)}) ELSE error(${literal(MISFIT)}) END`;
  }

  /** A quoted empty field is an empty text in a string column and null in every other. */
  text(index: number, field: NestedField): string {
    return field.type === "string" ? `c${index}` : `nullif(c${index}, '')`;
  }
}
