// After a failed attempt: which JSON files are to blame. First every file on its own: DuckDB says line and byte of broken JSON.
// If all are sound, the records are looked at one by one against the table's types.

import type { NestedField, Schema } from "../../core/iceberg/types.ts";
import type { SourceFailure } from "../../core/ports.ts";
import { isOutOfMemory, tooLargeForMemory } from "./duckdb-errors.ts";
import type { Session } from "./engine.ts";
import { failure, requiredIsNull, type SpooledSource } from "./format.ts";
import type { JsonFiles } from "./json-files.ts";
import { scanJson } from "./json-rewrite.ts";
import type { JsonFault, JsonLayout } from "./json-scan.ts";
import { type Shape, ShapeReader } from "./json-shape.ts";
import { fits, isNull } from "./json-types.ts";
import { overflowing } from "./json-values.ts";
import { firstBadLine, isMalformed } from "./lines.ts";

export async function blameBroken(
  session: Session,
  files: JsonFiles,
  sources: readonly SpooledSource[],
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
      broken.push(
        isOutOfMemory(error)
          ? tooLargeForMemory(source)
          : await brokenJson(source, files.layoutOf(source), String(error)),
      );
    }
  }
  return broken;
}

export function pathlessJson(source: SpooledSource, files: JsonFiles): SourceFailure {
  const message = `a document has no list at ${files.path.join(".")}; correct the ingestion's recordsPath`;
  return failure(source, "RECORDS_NOT_FOUND", message);
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

function blankLines(source: SpooledSource): number {
  return source.roomBytes > 0 ? 1 : 0;
}

interface Target {
  readonly schema: Schema;
  /** Source key to column name, where they differ. */
  readonly renamed: ReadonlyMap<string, string>;
}

export async function blameMisfits(
  session: Session,
  files: JsonFiles,
  sources: readonly SpooledSource[],
  target: Target,
  lines: boolean,
): Promise<SourceFailure[]> {
  const misfits: SourceFailure[] = [];
  for (const source of sources) {
    const field = await firstMisfit(session, files, source, target);
    if (field === undefined) continue;
    const isBad = (line: string) => !isMalformed(line) && misfitOf(line, target) !== undefined;
    const line = lines ? await firstBadLine(source.path, blankLines(source), isBad) : undefined;
    if (field.isNull === true) {
      misfits.push(requiredIsNull(source, field.name, line));
      continue;
    }
    const where = line === undefined ? "" : ` (line ${line})`;
    const message = `a value of column ${field.name} does not fit the table's type ${field.type}${where}; correct it or give the column a hint`;
    const place = { column: field.name, ...(line === undefined ? {} : { line }) };
    misfits.push(failure(source, "TYPE_MISMATCH", message, place));
  }
  return misfits;
}

interface Misfit {
  readonly name: string;
  readonly type: string;
  readonly isNull?: boolean;
}

async function firstMisfit(
  session: Session,
  files: JsonFiles,
  source: SpooledSource,
  target: Target,
): Promise<Misfit | undefined> {
  for (const query of files.records([source])) {
    for await (const rows of session.stream(query)) {
      for (const [record] of rows as [string | null][]) {
        const misfit = misfitOf(record ?? "null", target);
        if (misfit !== undefined) return misfit;
      }
    }
  }
  return undefined;
}

function misfitOf(record: string, { schema, renamed }: Target): Misfit | undefined {
  const reader = new ShapeReader();
  try {
    reader.add(record, 0);
  } catch {
    return { name: "(record)", type: "struct" };
  }
  if (reader.shape.objects === 0) return { name: "(record)", type: "struct" };
  const fields = reader.shape.fields ?? new Map<string, { readonly shape: Shape }>();
  for (const [key, { shape }] of fields) {
    const name = renamed.get(key) ?? key;
    const field = schema.fields.find((candidate) => candidate.name === name);
    if (field === undefined ? !isNull(shape) : !fits(shape, field.type)) return { name, type: typeName(field) };
  }
  const digits = overflowing(record, schema.fields, renamed);
  if (digits !== undefined) return { name: digits.name, type: typeName(digits) };
  const keys = new Map([...renamed].map(([key, name]) => [name, key]));
  const missing = schema.fields.find(({ name, required }) => {
    const shape = required ? fields.get(keys.get(name) ?? name)?.shape : undefined;
    return required && (shape === undefined || isNull(shape));
  });
  return missing && { name: missing.name, type: typeName(missing), isNull: true };
}

function typeName(field: NestedField | undefined): string {
  if (field === undefined) return "(no such column)";
  return typeof field.type === "string" ? field.type : field.type.type;
}
