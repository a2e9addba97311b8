// After a failed attempt: which CSV files are to blame, with line and column. One pass over all files finds broken records
// (DuckDB's rejects table knows their lines), another finds values that do not fit; only then are guilty files read on their own.

import type { NestedField, PrimitiveType } from "../../core/iceberg/types.ts";
import type { SourceFailure } from "../../core/ports.ts";
import type { CsvGroup } from "./csv.ts";
import type { CsvOptions } from "./csv-header.ts";
import type { Session } from "./engine.ts";
import { FILE_COLUMN, failure, requiredIsNull, type SpooledSource } from "./format.ts";
import { lineOfRecord } from "./lines.ts";
import { literal } from "./sql.ts";
import { misfits, type TextFormats } from "./strict-cast.ts";

/** A column as it is cast: `text` is its SQL. */
export interface CastColumn {
  readonly name: string;
  readonly text: string;
  readonly field: NestedField;
}

type Read = (extra: Readonly<Record<string, string>>, only?: SpooledSource) => string;

const REASONS: Readonly<Record<string, readonly [reason: string, message: string]>> = {
  "MISSING COLUMNS": [
    "ROW_TOO_SHORT",
    "a row has fewer fields than the header; complete it, or upload a file that was cut off again",
  ],
  "TOO MANY COLUMNS": ["ROW_TOO_LONG", "a row has more fields than the header; quote fields that hold the delimiter"],
  "UNQUOTED VALUE": ["MALFORMED_QUOTES", "a quoted field does not end properly; double quotes inside quoted fields"],
  "LINE SIZE OVER MAXIMUM": ["LINE_TOO_LONG", "a row is longer than 16 MiB; close an open quote, or split the row"],
  "INVALID ENCODING": ["INVALID_ENCODING", "a row is not UTF-8; set the format's encoding"],
};

let rejects = 0;

export async function blameCsv(
  session: Session,
  group: CsvGroup,
  columns: readonly CastColumn[],
  formats: TextFormats,
  read: Read,
  options: CsvOptions,
): Promise<SourceFailure[]> {
  const broken = await blameStructure(session, group, read);
  if (broken.length > 0 || columns.length === 0) return broken;
  return blameValues(session, group, columns, formats, read, options);
}

/** Records DuckDB cannot take apart. */
async function blameStructure(session: Session, group: CsvGroup, read: Read): Promise<SourceFailure[]> {
  const id = ++rejects;
  const tables = { rejects_table: literal(`rejects_${id}`), rejects_scan: literal(`scans_${id}`) };
  try {
    // All columns are counted, because a column that is not read is not checked.
    await session.run(
      `SELECT count(COLUMNS(*)) FROM ${read({ store_rejects: "true", rejects_limit: "8", ...tables })}`,
    );
  } catch {
    return blameOneByOne(session, group, read);
  }
  const rows = await session.rows(`
    SELECT s.file_path AS path, min_by(r.error_type, r.line)::VARCHAR AS kind, min(r.line) AS line, min_by(r.byte_position, r.line) AS byte
    FROM rejects_${id} r JOIN scans_${id} s USING (scan_id, file_id) GROUP BY ALL`);
  await session.run(`DROP TABLE rejects_${id}; DROP TABLE scans_${id}`);
  const byPath = new Map(rows.map((row) => [String(row["path"]), row]));
  return group.sources.flatMap((source) => {
    const row = byPath.get(source.path);
    if (row === undefined) return [];
    const [reason, message] = REASONS[String(row["kind"])] ?? ["MALFORMED_ROW", "a row is not valid CSV; correct it"];
    const place = { line: Number(row["line"]), ...(row["byte"] == null ? {} : { byte: Number(row["byte"]) }) };
    return [failure(source, reason, `${message} (line ${place.line})`, place)];
  });
}

/** Errors DuckDB cannot put in its rejects table, such as mixed line ends. */
async function blameOneByOne(session: Session, group: CsvGroup, read: Read): Promise<SourceFailure[]> {
  const blamed: SourceFailure[] = [];
  for (const source of group.sources) {
    try {
      await session.run(`SELECT count(COLUMNS(*)) FROM ${read({}, source)}`);
    } catch (error) {
      const line = /CSV Error on Line: (\d+)/.exec(String(error))?.[1];
      const place = line === undefined ? {} : { line: Number(line) };
      blamed.push(
        failure(source, "MALFORMED_CSV", "not valid CSV in this dialect; check quote, escape and line ends", place),
      );
    }
  }
  return blamed;
}

/** Values that are not of the table's type. */
async function blameValues(
  session: Session,
  group: CsvGroup,
  columns: readonly CastColumn[],
  formats: TextFormats,
  read: Read,
  options: CsvOptions,
): Promise<SourceFailure[]> {
  const unfit = columns.map(({ text, field }) =>
    typeof field.type === "string" ? misfits(text, field.type as PrimitiveType, formats) : `${text} IS NOT NULL`,
  );
  const required = columns.map(({ text, field }, i) =>
    field.required ? `(${unfit[i]} OR ${text} IS NULL)` : unfit[i],
  );
  const first = `list_position(${`[${required.join(", ")}]`}, true)`;
  const rows = await session.rows(
    `SELECT DISTINCT ${FILE_COLUMN} AS path FROM ${read({})} WHERE ${required.join(" OR ")}`,
  );
  const guilty = new Set(rows.map((row) => String(row["path"])));
  const blamed: SourceFailure[] = [];
  for (const source of group.sources.filter(({ path }) => guilty.has(path))) {
    // One thread reads in order, so row numbers are those of the file.
    const [row = {}] = await session.rows(`
      SELECT n, place, texts[place] IS NULL AS isnull
      FROM (SELECT row_number() OVER () AS n, ${first} AS place, [${columns.map(({ text }) => text).join(", ")}] AS texts FROM ${read({ parallel: "false" }, source)})
      WHERE place > 0 ORDER BY n LIMIT 1`);
    const column = columns[Number(row["place"] ?? 1) - 1] as CastColumn;
    const record = Number(row["n"] ?? 0);
    const line = await lineOfRecord(source.path, record + (options.header ? 1 : 0), group.linesBefore, options);
    if (row["isnull"] === true) {
      blamed.push(requiredIsNull(source, column.name, line));
      continue;
    }
    const type = typeof column.field.type === "string" ? column.field.type : column.field.type.type;
    const message = `a value of column ${column.name} does not fit the table's type ${type} (line ${line ?? "unknown"}); correct it or give the column a hint`;
    blamed.push(
      failure(source, "TYPE_MISMATCH", message, { ...(line === undefined ? {} : { line }), column: column.name }),
    );
  }
  return blamed;
}
