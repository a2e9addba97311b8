// After a failed attempt: which JSON files are broken. Every file is read on its own; one that DuckDB stops at is scanned for the place.

import type { SourceFailure } from "../../../core/ports.ts";
import { isOutOfMemory, tooLargeForMemory } from "../duckdb-errors.ts";
import type { Session } from "../engine.ts";
import { failure, type SpooledSource } from "../format.ts";
import type { JsonFiles } from "./files.ts";
import { scanJson } from "./rewrite.ts";
import type { JsonFault, JsonLayout } from "./scan.ts";

export async function blameBroken(
  session: Session,
  files: JsonFiles,
  sources: readonly SpooledSource[],
): Promise<SourceFailure[]> {
  const broken: SourceFailure[] = [];
  for (const source of sources) {
    try {
      for (const query of files.documents([source])) await session.run(`SELECT count(COLUMNS(*)) FROM (${query})`);
      const [misplaced] = await blamePath(files, [source]);
      if (misplaced !== undefined) broken.push(misplaced);
      else if (files.path.length > 0) {
        for (const query of files.records([source])) await session.run(`SELECT count(COLUMNS(*)) FROM (${query})`);
      }
    } catch (error) {
      broken.push(
        isOutOfMemory(error)
          ? tooLargeForMemory(source)
          : await brokenJson(source, files.layoutOf(source), String(error)),
      );
    }
  }
  return broken;
}

/** Sources whose records cannot be told from what is beside them. */
export async function blamePath(files: JsonFiles, sources: readonly SpooledSource[]): Promise<SourceFailure[]> {
  const path = files.path.join(".");
  const pathless = (await files.pathless(sources)).map((source) => {
    const message = `a document has no list at ${path}; correct the ingestion's recordsPath`;
    return failure(source, "RECORDS_NOT_FOUND", message);
  });
  const nulKeyed = (await files.nulKeyed(sources)).map((source) => {
    return failure(source, "KEY_COLLISION", `a key beside the records at ${path} holds NUL; rename it`);
  });
  const doubleKeyed = (await files.doubleKeyed(sources)).map((source) => {
    const message = `an object around the records at ${path} has the same key twice; set duplicateKeys: last to take the last`;
    return failure(source, "DUPLICATE_KEY", message);
  });
  return [...nulKeyed, ...doubleKeyed, ...pathless];
}

/** DuckDB's message holds the record itself, and a place only within it: the file is scanned for it. */
async function brokenJson(source: SpooledSource, layout: JsonLayout, error: string): Promise<SourceFailure> {
  const fault = await scanJson(source.path, layout, source.roomBytes);
  if (fault !== undefined) return malformedJson(source, fault);
  if (/maximum_object_size/.test(error)) {
    return failure(source, "RECORD_TOO_LARGE", "a record is larger than 16 MiB; split it");
  }
  return failure(source, "MALFORMED_JSON", "cannot be read as JSON; correct the file");
}

export function malformedJson(source: SpooledSource, { problem, line, byte }: JsonFault): SourceFailure {
  const message = `not valid JSON: ${problem} (line ${line}, byte ${byte} of it); correct the file`;
  return failure(source, "MALFORMED_JSON", message, { line, byte });
}
