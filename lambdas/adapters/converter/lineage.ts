// The columns that say where a row came from. They are the converter's to fill: a column of that name in a source is always renamed
// (`_file_path_1`), whether or not the ingestion asks for lineage, so that turning lineage on later changes no column's meaning.

import { lineageFields } from "../../core/iceberg/schema.ts";

export const LINEAGE_NAMES: ReadonlySet<string> = new Set(lineageFields.map(({ name }) => name));
