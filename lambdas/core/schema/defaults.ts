// What an ingestion gets that says nothing about its schema and its bad rows.

import type { BadRowPolicy, Ingestion } from "../config.ts";

export const SCHEMA_DEFAULTS: Ingestion["schema"] = {
  policy: "evolve",
  hints: {},
  columns: {},
  inferTypes: true,
  rescueShareMax: 0.01,
};

export const BAD_ROW_DEFAULTS: BadRowPolicy = { onBadRow: "reject_file", shareMax: 0.1 };
