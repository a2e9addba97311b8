// Columns that are ours to fill: where a row came from, and what had no place in it. A column of that name in a source is always renamed
// (`_file_path_1`), whether or not the ingestion asks for them, so that turning them on later changes no column's meaning.

import { lineageFields, RESCUED_DATA } from "../../core/iceberg/schema.ts";

export const LINEAGE_NAMES: ReadonlySet<string> = new Set([...lineageFields.map(({ name }) => name), RESCUED_DATA]);
