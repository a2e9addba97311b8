// The formats that make one row of each object: `metadata` from what its event or listing said, `binary` with its bytes too.
// Which objects are read at all is decided here, from the format and the size alone: the pipeline and the converter both ask, and
// agree without telling each other.

import type { FormatOptions } from "./config.ts";
import type { DraftField } from "./iceberg/types.ts";
import { pathDateField } from "./path-date.ts";

export type ObjectFormat = Extract<FormatOptions, { readonly type: "metadata" | "binary" }>;

export const CONTENT = "content";

const FACTS: readonly DraftField[] = [
  { name: "path", type: "string" },
  { name: "bucket", type: "string" },
  { name: "key", type: "string" },
  { name: "name", type: "string" },
  { name: "extension", type: "string" },
  { name: "content_type", type: "string" },
  { name: "size_bytes", type: "long" },
  { name: "etag", type: "string" },
  { name: "version_id", type: "string" },
  { name: "modified_at", type: "timestamptz" },
];

/**
 * Names that are the formats' own, in either of them and whatever their options: a path's `name=x` is always column `name_1`, so that
 * changing an option changes no column's meaning.
 */
export const OBJECT_COLUMN_NAMES: readonly string[] = [
  ...FACTS.map(({ name }) => name),
  CONTENT,
  "path_date",
  "path_time",
];

export function isObjectFormat(format: FormatOptions): format is ObjectFormat {
  return format.type === "metadata" || format.type === "binary";
}

/** The columns of every table of the format, in their order; those of a path's `name=value` parts come after them. */
export function objectColumns(format: ObjectFormat): readonly DraftField[] {
  const dated = format.pathDate === undefined ? [] : [pathDateField(format.pathDate)];
  const content: readonly DraftField[] = format.type === "binary" ? [{ name: CONTENT, type: "binary" }] : [];
  return [...FACTS, ...dated, ...content];
}

/** Whether an object of this size is read. One that is not costs no request. */
export function needsBody(format: FormatOptions, sizeBytes: number): boolean {
  if (format.type === "metadata") return false;
  return format.type !== "binary" || sizeBytes <= format.contentBytesMax;
}
