// Equality deletes: a Parquet file with one column, whose field id says which rows of earlier snapshots are gone.

import { mkdir } from "node:fs/promises";
import { MoraineError } from "../../core/errors.ts";
import { UNPARTITIONED } from "../../core/iceberg/partition.ts";
import type { Schema } from "../../core/iceberg/types.ts";
import type { ConvertedFile } from "../../core/ports.ts";
import type { Session } from "./engine.ts";
import { ident, literal } from "./sql.ts";
import { duckType } from "./types.ts";
import { describeFiles, writeDataFiles } from "./write.ts";

export async function writeEqualityDeletes(
  session: Session,
  directory: string,
  schema: Schema,
  fieldId: number,
  values: readonly string[],
): Promise<ConvertedFile> {
  const field = schema.fields.find(({ id }) => id === fieldId);
  if (field === undefined || typeof field.type !== "string" || values.length === 0) {
    throw new MoraineError("Invalid", "equality deletes need a top-level column and a value", {
      fieldId,
      values: values.length,
    });
  }
  await mkdir(directory, { recursive: true });
  const single: Schema = { type: "struct", "schema-id": schema["schema-id"], fields: [field] };
  const rows = values.map((value) => `(${literal(value)})`).join(", ");
  const select = `SELECT CAST(v AS ${duckType(field.type)}) AS ${ident(field.name)} FROM (VALUES ${rows}) AS t(v)`;
  const target = {
    session,
    directory,
    schema: single,
    spec: UNPARTITIONED,
    targetFileSizeBytes: Number.MAX_SAFE_INTEGER,
    inputBytes: 0,
  };
  const [file] = await describeFiles(target, await writeDataFiles(target, select));
  if (file === undefined) throw new MoraineError("Invalid", "no delete file was written", { fieldId });
  return { ...file, file: { ...file.file, equalityIds: [fieldId] } };
}
