// What a single value of `moraine.yaml` must look like, and what its ingestions must not do to each other.
// A check returns the complaint (what is wrong; the remedy) or undefined, so that the reader adds place and path.

import picomatch from "picomatch";
import type { Ingestion } from "./config.ts";
import { type Check, shown } from "./config-text.ts";
import { readPattern } from "./discovery/partitions.ts";
import { isObjectFormat, OBJECT_COLUMN_NAMES, objectColumns } from "./object-rows.ts";
import { checkPathDate } from "./path-date.ts";
import { quarantineTable } from "./schema/quarantine.ts";

function pattern(expression: RegExp, what: string, remedy: string): Check {
  return (text) => (expression.test(text) ? undefined : `${shown(text)} is no ${what}; ${remedy}`);
}

export const checkIngestionId = pattern(
  /^[a-z0-9][a-z0-9_-]{0,62}$/,
  "ingestion id",
  "use lower-case letters, digits, - and _, at most 63",
);

/** Glue folds names to lower case, and Athena reads no other characters. */
export const checkGlueName = pattern(
  /^[a-z0-9_]{1,255}$/,
  "Glue name",
  "use lower-case letters, digits and _, at most 255",
);

export const checkBucketName = pattern(
  /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/,
  "bucket name",
  "use 3 to 63 lower-case letters, digits and -",
);

export const checkSourcePrefix: Check = (text) => {
  if (text.startsWith("/")) return `${shown(text)} starts with /, which no S3 key does; remove the /`;
  if (/[*?[\]{}]/.test(text)) return `${shown(text)} looks like a glob; put globs into include`;
  return utf8Length(text) > 1024 ? "is longer than an S3 key can be; shorten it to 1024 bytes" : undefined;
};

export const checkWarehousePrefix = pattern(
  /^([A-Za-z0-9!_.'()=-]+(\/[A-Za-z0-9!_.'()=-]+)*)?$/,
  "warehouse prefix",
  "use folder names of letters, digits, - and _, without / at either end",
);

export const checkLocation = pattern(
  /^s3:\/\/[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]\/[A-Za-z0-9!_.'()=-]+(\/[A-Za-z0-9!_.'()=-]+)*$/,
  "table location",
  "write s3://bucket/folder, without / at the end",
);

export const checkInventoryLocation = pattern(
  /^s3:\/\/[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]\/[^/]+(\/[^/]+)*\/?$/,
  "inventory location",
  "write s3://bucket/prefix/source-bucket/inventory-id, the folder that holds its dated folders",
);

export const checkPartitionPattern: Check = (text) => {
  const { complaint } = readPattern(text);
  return complaint === undefined ? undefined : `${shown(text)} ${complaint}`;
};

/** Each costs a request. */
const PARTITIONS_MAX = 10_000;

const HOUR_MS = 3_600_000;
const UNIT_MS = { year: 8760 * HOUR_MS, month: 720 * HOUR_MS, day: 24 * HOUR_MS, hour: HOUR_MS } as const;

/** A pattern that is wrong has its own complaint. */
export function checkPartitions(text: string, lookbackMs: number): string | undefined {
  const { pattern } = readPattern(text);
  // Counted, not made: a window may be of thousands of years.
  const partitions = pattern === undefined ? 0 : Math.ceil(lookbackMs / UNIT_MS[pattern.unit]);
  return partitions <= PARTITIONS_MAX
    ? undefined
    : `is ${partitions} partitions, each a request; shorten it to ${PARTITIONS_MAX}`;
}

export const checkGlob: Check = (text) => {
  if (text === "") return "is empty; write a glob such as **/*.csv";
  if (text.startsWith("/")) return `${shown(text)} starts with /; globs match the key below the prefix, remove the /`;
  try {
    picomatch(text, { dot: true, strictBrackets: true });
    return undefined;
  } catch (error) {
    return `${shown(text)} is no glob (${error instanceof Error ? error.message : "unknown"}); close its brackets or escape them with \\`;
  }
};

const COLUMN = String.raw`[^\s(),]+`;
const PARTITION = new RegExp(
  String.raw`^(?:${COLUMN}|(?:identity|void|year|month|day|hour)\(\s*${COLUMN}\s*\)|(?:bucket|truncate)\(\s*[1-9]\d{0,8}\s*,\s*${COLUMN}\s*\))$`,
);

export const checkPartitionExpression = pattern(
  PARTITION,
  "partition expression",
  "write a column, year|month|day|hour(column), bucket(16, column) or truncate(4, column)",
);

export const checkPathDatePattern: Check = (text) => {
  const complaint = checkPathDate(text);
  return complaint === undefined ? undefined : `${shown(text)} ${complaint}`;
};

const PLAIN_TYPES = "boolean int long float double date time timestamp timestamptz string uuid binary".split(" ");

export const checkIcebergType: Check = (text) => {
  if (PLAIN_TYPES.includes(text)) return undefined;
  const decimal = /^decimal\((\d{1,2}), ?(\d{1,2})\)$/.exec(text);
  const precision = Number(decimal?.[1]);
  if (decimal && precision >= 1 && precision <= 38 && Number(decimal[2]) <= precision) return undefined;
  if (/^fixed\[[1-9]\d{0,5}\]$/.test(text)) return undefined;
  return `${shown(text)} is no Iceberg type; use ${PLAIN_TYPES.join(", ")}, decimal(precision up to 38, scale) or fixed[bytes]`;
};

export function checkProperty(_value: string, name: string): string | undefined {
  const reserved = name.startsWith("moraine.") || name === "format-version";
  return reserved ? "is kept by Moraine itself; remove it" : undefined;
}

/** `decimal(9,2)` as Iceberg writes it: `decimal(9, 2)`. */
export function canonicalType(text: string): string {
  return text.replace(/^decimal\((\d+), ?(\d+)\)$/, "decimal($1, $2)");
}

export interface Conflict {
  /** Which ingestion, and which of its keys. */
  readonly index: number;
  readonly section: "source" | "target" | "schema" | "ingestion";
  readonly key: string;
  readonly message: string;
}

/** What two ingestions must not share, and what one's options must not combine. */
export function findConflicts(ingestions: readonly Ingestion[]): readonly Conflict[] {
  return ingestions.flatMap((ingestion, index) => {
    const earlier = ingestions.slice(0, index);
    return [
      ...conflictsWithin(ingestion, index),
      ...conflictsWithObjects(ingestion, index),
      ...earlier.flatMap((other) => conflictsBetween(ingestion, other, index)),
    ];
  });
}

function conflictsWithin(ingestion: Ingestion, index: number): readonly Conflict[] {
  if (ingestion.onOverwrite !== "replace" || ingestion.lineage) return [];
  const message = "replace finds the old rows by _file_path; set lineage: true, or onOverwrite to append or ignore";
  return [{ index, section: "ingestion", key: "onOverwrite", message }];
}

/** What the formats that make rows of objects fill themselves, and what they do not read. */
function conflictsWithObjects({ format, compression, schema, target }: Ingestion, index: number): readonly Conflict[] {
  if (!isObjectFormat(format)) return [];
  const conflicts: Conflict[] = [];
  if (compression !== "auto") {
    const message = `format ${format.type} takes objects as they are; remove it`;
    conflicts.push({ index, section: "ingestion", key: "compression", message });
  }
  for (const name of Object.keys(schema.hints).filter((hinted) => OBJECT_COLUMN_NAMES.includes(hinted.toLowerCase()))) {
    const message = `${name} has its type from format ${format.type}; remove its hint`;
    conflicts.push({ index, section: "schema", key: "hints", message });
  }
  const columns = objectColumns(format).map(({ name }) => name);
  for (const expression of target.partitionBy) {
    const column = /([^\s(),]+)\s*\)?$/.exec(expression)?.[1] ?? "";
    if (!OBJECT_COLUMN_NAMES.includes(column) || columns.includes(column)) continue;
    const remedy = column.startsWith("path_") ? "give the format a pathDate that has it" : "use format binary";
    conflicts.push({
      index,
      section: "target",
      key: "partitionBy",
      message: `there is no column ${column}; ${remedy}`,
    });
  }
  return conflicts;
}

function takesQuarantine({ badRows, target }: Ingestion, other: Ingestion["target"]): boolean {
  const { database, table } = quarantineTable(target);
  return badRows.onBadRow === "quarantine" && database === other.database && table === other.table;
}

function conflictsBetween(ingestion: Ingestion, other: Ingestion, index: number): readonly Conflict[] {
  const conflicts: Conflict[] = [];
  const add = (section: Conflict["section"], key: string, message: string): void => {
    conflicts.push({ index, section, key, message });
  };
  if (ingestion.id === other.id)
    add("ingestion", "id", `"${ingestion.id}" is taken by an ingestion above; choose another id`);
  if (ingestion.source.bucket !== "" && same(ingestion.source, other.source)) {
    add(
      "source",
      "prefix",
      `"${other.id}" takes the same keys; give one of the two another prefix, include or exclude`,
    );
  }
  const { target } = ingestion;
  if (takesQuarantine(other, target) || takesQuarantine(ingestion, other.target)) {
    add(
      "target",
      "table",
      `"${target.table}" and "${other.target.table}": one is the other's quarantine; rename a table`,
    );
  }
  if (target.table === "" || target.database !== other.target.database || target.table !== other.target.table)
    return conflicts;
  if (!same(target.partitionBy, other.target.partitionBy)) {
    add("target", "partitionBy", `"${other.id}" loads the same table with another partitionBy; make the two equal`);
  }
  if (target.location !== other.target.location) {
    add("target", "location", `"${other.id}" loads the same table at another location; make the two equal`);
  }
  return conflicts;
}

function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function utf8Length(text: string): number {
  return new TextEncoder().encode(text).length;
}
