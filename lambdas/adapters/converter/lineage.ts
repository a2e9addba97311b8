// The columns that say where a row came from. They are the converter's to fill, so a source column of that name is renamed
// (`_file_path_1`) when the ingestion asks for lineage.

import { lineageFields } from "../../core/iceberg/schema.ts";
import type { ConversionJob } from "../../core/ports.ts";

export const LINEAGE_NAMES: ReadonlySet<string> = new Set(lineageFields.map(({ name }) => name));

export function reservedNames(job: ConversionJob): readonly string[] {
  return job.lineage ? [...LINEAGE_NAMES] : [];
}
