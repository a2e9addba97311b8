// After a failed attempt: which JSON files are to blame. First every file on its own: DuckDB says line and byte of broken JSON.
// If all are sound, the records are looked at one by one against the table's types.

import type { NestedField, Schema } from "../../core/iceberg/types.ts";
import type { SourceFailure } from "../../core/ports.ts";
import type { Session } from "./engine.ts";
import { failure, type SpooledSource } from "./format.ts";
import { type Shape, ShapeReader } from "./json-shape.ts";
import { fits, isNull } from "./json-types.ts";
import { firstBadLine, isMalformed } from "./lines.ts";

type Records = (sources: readonly SpooledSource[]) => readonly string[];

export async function blameJson(
  session: Session,
  sources: readonly SpooledSource[],
  records: Records,
  schema: Schema | undefined,
  renamed: ReadonlyMap<string, string>,
  lines: boolean,
): Promise<SourceFailure[]> {
  const broken: SourceFailure[] = [];
  for (const source of sources) {
    try {
      for (const query of records([source])) await session.run(`SELECT count(COLUMNS(*)) FROM (${query})`);
    } catch (error) {
      broken.push(await brokenJson(source, lines, String(error)));
    }
  }
  if (broken.length > 0 || schema === undefined) return broken;
  const misfits: SourceFailure[] = [];
  for (const source of sources) {
    const misfit = await misfitOf(session, source, records, schema, renamed, lines);
    if (misfit !== undefined) misfits.push(misfit);
  }
  return misfits;
}

/** DuckDB's message holds the record itself; only the place is taken from it. */
async function brokenJson(source: SpooledSource, lines: boolean, error: string): Promise<SourceFailure> {
  const byte = Number(/at byte (\d+)/.exec(error)?.[1] ?? 0);
  const line = lines ? await firstBadLine(source.path, source.roomBytes > 0 ? 1 : 0, isMalformed) : undefined;
  const place = line !== undefined ? { line } : !lines && byte > 0 ? { byte } : {};
  if (/maximum_object_size/.test(error)) {
    return failure(source, "RECORD_TOO_LARGE", "a record is larger than 16 MiB; split it", place);
  }
  const where = line !== undefined ? ` (line ${line})` : "byte" in place ? ` (byte ${byte} of a record)` : "";
  return failure(source, "MALFORMED_JSON", `not valid JSON${where}; correct the file`, place);
}

async function misfitOf(
  session: Session,
  source: SpooledSource,
  records: Records,
  schema: Schema,
  renamed: ReadonlyMap<string, string>,
  lines: boolean,
): Promise<SourceFailure | undefined> {
  for (const query of records([source])) {
    for await (const rows of session.stream(query)) {
      for (const [record] of rows as [string | null][]) {
        const column = misfitColumn(record ?? "null", schema, renamed);
        if (column === undefined) continue;
        const line = lines ? await lineOf(source, schema, renamed) : undefined;
        const message = `a value of column ${column.name} does not fit the table's type ${column.type}; correct it or give the column a hint`;
        return failure(source, "TYPE_MISMATCH", message, {
          column: column.name,
          ...(line === undefined ? {} : { line }),
        });
      }
    }
  }
  return undefined;
}

function misfitColumn(
  record: string,
  schema: Schema,
  renamed: ReadonlyMap<string, string>,
): { readonly name: string; readonly type: string } | undefined {
  const reader = new ShapeReader();
  reader.add(record, 0);
  if (reader.shape.objects === 0) return { name: "(record)", type: "struct" };
  const fields = reader.shape.fields ?? new Map<string, { readonly shape: Shape }>();
  for (const [key, { shape }] of fields) {
    const name = renamed.get(key) ?? key;
    const field = schema.fields.find((candidate) => candidate.name === name);
    if (field === undefined ? !isNull(shape) : !fits(shape, field.type)) return { name, type: typeName(field) };
  }
  return undefined;
}

function typeName(field: NestedField | undefined): string {
  if (field === undefined) return "(no such column)";
  return typeof field.type === "string" ? field.type : field.type.type;
}

async function lineOf(
  source: SpooledSource,
  schema: Schema,
  renamed: ReadonlyMap<string, string>,
): Promise<number | undefined> {
  const isBad = (line: string) => !isMalformed(line) && misfitColumn(line, schema, renamed) !== undefined;
  return firstBadLine(source.path, source.roomBytes > 0 ? 1 : 0, isBad);
}
