// What it takes to bring the files of one batch and their table together.

import type { Ingestion } from "../config.ts";
import type { DraftField } from "../iceberg/types.ts";
import type { Conversion, SourceFailure } from "../ports.ts";
import type { Settings } from "../settings.ts";
import type { TablePorts } from "../table.ts";
import type { HeldDifference } from "./records.ts";

/** Where the files of a conversion end that do not go into the table; each is out of the conversion then. */
export interface Fates {
  fail(failures: readonly SourceFailure[]): Promise<void>;
  /** A file whose difference from the table somebody has to decide about. */
  hold(breaking: BreakingSource): Promise<void>;
}

export interface BreakingSource {
  readonly index: number;
  readonly differences: readonly HeldDifference[];
  /** Its columns that the table has not, or too narrow. */
  readonly fields: readonly DraftField[];
  readonly records?: number;
}

export interface TableJob {
  readonly ports: TablePorts;
  readonly settings: Settings;
  readonly ingestion: Ingestion;
  readonly conversion: Conversion;
  /** How many files it was given at most. */
  readonly sources: number;
  readonly fates: Fates;
  /** Files that are looked at together with the conversion's own before a table is made of them. */
  readonly sampleMore?: () => Promise<readonly number[]>;
}
