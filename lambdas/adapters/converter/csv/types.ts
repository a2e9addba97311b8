// Which columns CSV files have, and of which types. Header names say the first; only columns that the table does not know, or may have to
// widen, are read.

import type { DraftField, PrimitiveType, Schema } from "../../../core/iceberg/types.ts";
import type { ConversionJob, Inspection, SourceFailure } from "../../../core/ports.ts";
import { hintOf, type ReaderContext, type Verdict } from "../format.ts";
import { findByName } from "../names.ts";
import type { TextFormats } from "../strict-cast.ts";
import { draftField } from "../types.ts";
import { type CsvGroup, readCsv } from "./group.ts";
import { inferTypes, widenTypes } from "./infer.ts";

export interface Inspecting {
  readonly context: ReaderContext;
  readonly known: Schema | undefined;
  readonly formats: TextFormats;
  /** Sources that cannot be taken apart. */
  blame(group: CsvGroup): Promise<Verdict>;
}

export async function inspectCsv(groups: readonly CsvGroup[], inspecting: Inspecting): Promise<Inspection> {
  const {
    context: { job },
    known,
  } = inspecting;
  const failures: SourceFailure[] = [];
  const fields = new Map<string, DraftField>();
  for (const group of groups) {
    const unknown = group.columns.filter((name) => givenOf(job, name, known) === undefined);
    const narrow = group.columns.flatMap((name) => {
      const type = givenOf(job, name, known)?.type;
      return type === "int" || type === "float" ? [{ name, type } as const] : [];
    });
    const types = await inferGroup(group, unknown, narrow, failures, inspecting);
    if (types === undefined) continue;
    for (const name of group.columns) {
      const given = givenOf(job, name, known);
      const field = { name: given?.name ?? name, type: types.get(name) ?? given?.type ?? "string" };
      const key = field.name.toLowerCase();
      fields.set(key, merge(fields.get(key), field));
    }
  }
  return { fields: [...fields.values()], failures };
}

/** What is known of a column without reading it: a hint, or the table's type, or that it is text because types are not to be inferred. */
function givenOf(job: ConversionJob, name: string, known: Schema | undefined): DraftField | undefined {
  const hint = hintOf(job, name);
  if (hint !== undefined) return { name, type: hint };
  const field = known && findByName(known.fields, name);
  if (field !== undefined) return draftField(field);
  return job.inferTypes ? undefined : { name, type: "string" };
}

async function inferGroup(
  group: CsvGroup,
  unknown: readonly string[],
  narrow: readonly { readonly name: string; readonly type: "int" | "float" }[],
  failures: SourceFailure[],
  { context: { session }, formats, blame }: Inspecting,
): Promise<ReadonlyMap<string, PrimitiveType> | undefined> {
  if (unknown.length + narrow.length === 0) return new Map();
  const columns = unknown.map((name) => `c${group.columns.indexOf(name)}`);
  let sources = group.sources;
  for (;;) {
    if (sources.length === 0) return undefined;
    try {
      const from = readCsv({ ...group, sources });
      const types = unknown.length === 0 ? [] : await inferTypes(session, from, columns, formats);
      const slots = narrow.map(({ name, type }) => ({ column: `c${group.columns.indexOf(name)}`, type }));
      const widened = await widenTypes(session, from, slots);
      return new Map([
        ...unknown.map((name, i) => [name, types[i] as PrimitiveType] as const),
        ...narrow.map(({ name }, i) => [name, widened[i] as PrimitiveType] as const),
      ]);
    } catch (error) {
      const { failures: blamed, again } = await blame({ ...group, sources });
      if (again) return undefined;
      if (blamed.length === 0) throw error;
      failures.push(...blamed);
      const bad = new Set(blamed.map(({ index }) => index));
      sources = sources.filter(({ source }) => !bad.has(source.index));
    }
  }
}

/** Two groups of files disagree on a new column: the wider number, or else text. */
function merge(seen: DraftField | undefined, field: DraftField): DraftField {
  if (seen === undefined || seen.type === field.type) return seen ?? field;
  const types = new Set([seen.type, field.type]);
  if (types.has("int") && types.has("long")) return { name: seen.name, type: "long" };
  if (types.has("float") && types.has("double")) return { name: seen.name, type: "double" };
  if (types.has("long") && (types.has("double") || types.has("decimal(38, 0)"))) {
    return { name: seen.name, type: types.has("double") ? "double" : "decimal(38, 0)" };
  }
  return { name: seen.name, type: "string" };
}
