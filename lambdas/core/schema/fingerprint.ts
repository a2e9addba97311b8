// Files with the same breaking difference share one fingerprint, and with it one alert and one decision.
// Types are compared coarsely inside structures: two files whose structures differ in some key are the same question to a person.

import { createHash } from "node:crypto";
import type { DraftType } from "../iceberg/types.ts";
import type { Fingerprint, IngestionId } from "../ids.ts";
import type { Difference } from "./diff.ts";

export function fingerprintOf(ingestion: IngestionId, differences: readonly Difference[]): Fingerprint {
  const lines = differences.map(({ kind, path, tableType, fileType }) =>
    JSON.stringify([
      path.toLowerCase(),
      kind,
      coarseText(tableType ?? ""),
      fileType === undefined ? "" : coarseType(fileType),
    ]),
  );
  const text = [ingestion, ...new Set(lines.sort())].join("\n");
  return createHash("sha256").update(text).digest("hex").slice(0, 12) as Fingerprint;
}

/** The text of a type, up to the first structure or map: what is in it may grow while files wait. */
function coarseText(text: string): string {
  return text.replace(/(struct|map)<.*$/s, "$1");
}

export function coarseType(type: DraftType): string {
  if (typeof type === "string") return type;
  return type.type === "list" ? `list<${coarseType(type.element)}>` : type.type;
}
