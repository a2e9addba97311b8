// The quarantine: rows that could not be read as rows, kept as text beside the table they were meant for.

import type { DraftField } from "../iceberg/types.ts";

/** Columns of a quarantine table, and the keys of each record in a conversion's `quarantine`. */
export const QUARANTINE_FIELDS = [
  /** `s3://bucket/key` */
  { name: "file", type: "string" },
  /** The object version's ETag. */
  { name: "version", type: "string" },
  /** Physical line at which the row starts, from 1. */
  { name: "line", type: "long" },
  /** Where it starts, in bytes of the file as it was decompressed, from 0. */
  { name: "byte", type: "long" },
  /** Upper-case word, such as ROW_TOO_LONG. */
  { name: "reason", type: "string" },
  { name: "message", type: "string" },
  /** The row as it stands, cut after QUARANTINE_TEXT_MAX characters. */
  { name: "text", type: "string" },
] as const satisfies readonly DraftField[];

export type QuarantineRow = Readonly<Record<(typeof QUARANTINE_FIELDS)[number]["name"], string | number | null>>;

export const QUARANTINE_TEXT_MAX = 16_384;
