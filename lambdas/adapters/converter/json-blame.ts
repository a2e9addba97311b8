// After a failed attempt: which JSON files are broken. Every file is read on its own: DuckDB says line and byte of what is no JSON.

import type { SourceFailure } from "../../core/ports.ts";
import { isOutOfMemory, tooLargeForMemory } from "./duckdb-errors.ts";
import type { Session } from "./engine.ts";
import { failure, type SpooledSource } from "./format.ts";
import type { JsonFiles } from "./json-files.ts";
import { firstBadLine, isMalformed } from "./lines.ts";

/** `lines`: the sources are NDJSON, so places are line numbers. */
export async function blameBroken(
  session: Session,
  files: JsonFiles,
  sources: readonly SpooledSource[],
  lines: boolean,
): Promise<SourceFailure[]> {
  const broken: SourceFailure[] = [];
  for (const source of sources) {
    try {
      for (const query of files.documents([source])) await session.run(`SELECT count(COLUMNS(*)) FROM (${query})`);
      if ((await files.pathless([source])).length > 0) broken.push(pathlessJson(source, files));
      else if (files.path.length > 0) {
        for (const query of files.records([source])) await session.run(`SELECT count(COLUMNS(*)) FROM (${query})`);
      }
    } catch (error) {
      broken.push(isOutOfMemory(error) ? tooLargeForMemory(source) : await brokenJson(source, lines, String(error)));
    }
  }
  return broken;
}

export function pathlessJson(source: SpooledSource, files: JsonFiles): SourceFailure {
  const message = `a document has no list at ${files.path.join(".")}; correct the ingestion's recordsPath`;
  return failure(source, "RECORDS_NOT_FOUND", message);
}

/** DuckDB's message holds the record itself; only the place is taken from it. */
async function brokenJson(source: SpooledSource, lines: boolean, error: string): Promise<SourceFailure> {
  const byte = Number(/at byte (\d+)/.exec(error)?.[1] ?? 0);
  const line = lines ? await firstBadLine(source.path, blankLines(source), isMalformed) : undefined;
  const place = line !== undefined ? { line } : !lines && byte > 0 ? { byte } : {};
  if (/maximum_object_size/.test(error)) {
    return failure(source, "RECORD_TOO_LARGE", "a record is larger than 16 MiB; split it", place);
  }
  const where = line !== undefined ? ` (line ${line})` : "byte" in place ? ` (byte ${byte} of a record)` : "";
  return failure(source, "MALFORMED_JSON", `not valid JSON${where}; correct the file`, place);
}

function blankLines(source: SpooledSource): number {
  return source.roomBytes > 0 ? 1 : 0;
}
