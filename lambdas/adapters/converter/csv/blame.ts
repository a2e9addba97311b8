// After a failed attempt: which CSV files have records that DuckDB cannot take apart. One pass over all files finds them (its rejects
// table knows their lines); only what that cannot tell has files read on their own.

import type { SourceFailure } from "../../../core/ports.ts";
import type { Session } from "../engine.ts";
import { failure, type SpooledSource } from "../format.ts";
import { literal } from "../sql.ts";
import type { CsvGroup } from "./group.ts";

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

/** Records DuckDB cannot take apart. */
export async function blameStructure(session: Session, group: CsvGroup, read: Read): Promise<SourceFailure[]> {
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
