// The shape of `moraine.yaml` after validation and defaults: what every part of Moraine reads.
// Parsing and its messages live in `config-file.ts`; here are the types.

import type { Listing } from "./discovery/model.ts";
import type { IngestionId } from "./ids.ts";

export type FormatOptions =
  | {
      readonly type: "csv" | "tsv";
      /** At most 4 bytes; "," for csv and tab for tsv unless told. */
      readonly delimiter: string;
      readonly header: boolean;
      /** Rows that make the header together, when there is one: names are joined by `_`. Absent: 1. */
      readonly headerRows?: number;
      /** Names of all columns in their order. The header, if there is one, is left out unread. Absent: the header's, or `column0`, ... */
      readonly columns?: readonly string[];
      readonly quote: string;
      readonly escape: string;
      /** Texts that mean null, besides the empty field. */
      readonly nullValues: readonly string[];
      readonly encoding: CsvEncoding;
      /** Lines before the header that are not rows. */
      readonly skipLines: number;
      /** Lines at the end that are not rows, blank ones not counted. */
      readonly footerLines?: number;
      readonly comment?: string;
      /** White space at both ends of a value is no part of it. */
      readonly trim?: boolean;
      /** Of numbers: `,` in `1,5`. Absent: a point. */
      readonly decimalSeparator?: string;
      /** Of numbers: `.` in `1.234,5`. Absent: none. */
      readonly thousandsSeparator?: string;
      /** What is recognised of each file by its first bytes; what is given here of it does not count. Absent: nothing. */
      readonly recognise?: readonly DialectPart[];
      readonly dateFormat?: string;
      readonly timestampFormat?: string;
    }
  | FixedOptions
  | ({ readonly type: "ndjson" } & JsonOptions)
  /** One document: an array of records, one record, or records under a dot path such as `Records`. */
  | ({ readonly type: "json"; readonly recordsPath?: string } & JsonOptions)
  | { readonly type: "parquet" | "avro" }
  /** One row for each object, which is not read. `pathDate`: where its key has a date, such as `%Y/%m/%d`. */
  | { readonly type: "metadata"; readonly pathDate?: string }
  /** The same with the bytes of the object, if it has no more than these. */
  | { readonly type: "binary"; readonly contentBytesMax: number; readonly pathDate?: string };

/** Lines in which every column has its place. */
export interface FixedOptions {
  readonly type: "fixed";
  /** In their order, none over another. */
  readonly columns: readonly FixedColumn[];
  /** The first line is left out. */
  readonly header: boolean;
  readonly nullValues: readonly string[];
  readonly encoding: CsvEncoding;
  readonly skipLines: number;
  readonly footerLines?: number;
  readonly comment?: string;
  readonly decimalSeparator?: string;
  readonly thousandsSeparator?: string;
  readonly dateFormat?: string;
  readonly timestampFormat?: string;
}

export interface FixedColumn {
  readonly name: string;
  /** In characters, from 1. */
  readonly start: number;
  /** Absent, of the last alone: up to the end of the line. */
  readonly width?: number;
}

export type CsvEncoding = "utf-8" | "utf-16" | "latin-1" | "windows-1252";
/** What can be told of a file by looking at it. A byte order mark is always heeded. */
export const DIALECT_PARTS = ["delimiter", "quote", "escape", "header", "skipLines", "footerLines"] as const;
export type DialectPart = (typeof DIALECT_PARTS)[number];

export interface JsonOptions {
  /** true: a record that is no object is a row with the one column `value`. Without it such a file fails. */
  readonly values?: boolean;
  /** Of a key that an object has twice: the file fails (unless told), or the last one counts. */
  readonly duplicateKeys?: "fail" | "last";
  /** Type of an inferred column with numbers that a long does not hold. Absent: doubles, for whole numbers a decimal. */
  readonly numbers?: "decimal" | "string";
}

export type Compression = "auto" | "none" | "gzip" | "zstd" | "zip" | "tar";

export type OverwritePolicy = "replace" | "append" | "ignore";
export type SchemaPolicy = "evolve" | "rescue" | "hold" | "fail";

/** What becomes of a row that cannot be read as one: too many fields, broken quotes, no JSON. */
export interface BadRowPolicy {
  /** `rescue`: a row of nulls with its text in `_rescued_data`. `quarantine`: a row of the quarantine table. `reject_file`: the file fails. */
  readonly onBadRow: "rescue" | "quarantine" | "reject_file";
  /** Share of a file's rows (0 to 1) above which the file fails all the same. */
  readonly shareMax: number;
}

export interface Ingestion {
  readonly id: IngestionId;
  readonly source: {
    /** The bucket's real name at run time, its name in `moraine.yaml` at synth time. */
    readonly bucket: string;
    readonly prefix: string;
    /** Globs over the key below `prefix`; empty means all. */
    readonly include: readonly string[];
    readonly exclude: readonly string[];
  };
  readonly format: FormatOptions;
  readonly compression: Compression;
  readonly target: {
    readonly database: string;
    readonly table: string;
    /** Partition expressions such as `day(eventTime)`, `bucket(16, id)`, `truncate(4, name)`, `region`. */
    readonly partitionBy: readonly string[];
    readonly targetFileSizeBytes: number;
    /** Where the table is created, `s3://bucket/folder`; under the warehouse unless told. Its bucket is named as `source.bucket` is. */
    readonly location?: string;
    /** Iceberg table properties set when the table is created. */
    readonly properties: Readonly<Record<string, string>>;
  };
  readonly schema: {
    readonly policy: SchemaPolicy;
    /** Column name (dot path for nested) to Iceberg type. */
    readonly hints: Readonly<Record<string, string>>;
    /** All columns of a new table, given in full: name to Iceberg type. Empty: they are inferred. */
    readonly columns: Readonly<Record<string, string>>;
    /** false: a column of a text format that nobody gave a type to is a string. */
    readonly inferTypes: boolean;
    /** Policy `evolve`: a file with conflicting values in no more than this share of its rows (0 to 1) has them rescued; else it is held. */
    readonly rescueShareMax: number;
  };
  readonly badRows: BadRowPolicy;
  readonly onOverwrite: OverwritePolicy;
  /** Adds `_file_path`, `_file_modified_at`, `_ingested_at` to the table. */
  readonly lineage: boolean;
  readonly batch: { readonly filesMax: number; readonly bytesMax: number };
  readonly discovery: Discovery;
}

export interface Discovery {
  /** false: the bucket sends no events for this ingestion; its files are found by listing alone. */
  readonly events: boolean;
  /** How a backfill lists, unless its input names another strategy. */
  readonly listing: Listing;
  /** Listings that run by themselves. */
  readonly schedules: readonly { readonly listing: Listing; readonly everySeconds: number }[];
  /** LIST requests at once in one function. */
  readonly concurrency: number;
  /** Listing functions at once. */
  readonly functionsMax: number;
}

/** What the listings of all ingestions share. */
export interface DiscoveryConfig {
  /** Absent: what the seen manifest does not know is asked of the ledger. */
  readonly cache?: CacheConfig;
  /** Where the discover function runs; absent: outside of any VPC. */
  readonly vpc?: VpcConfig;
}

export interface CacheConfig {
  /** `rediss://host:port`, without a login. */
  readonly url: string;
  readonly ttlSeconds: number;
  /** A secret of Secrets Manager that holds the password. */
  readonly secretArn?: string;
}

export interface VpcConfig {
  readonly subnetIds: readonly string[];
  readonly securityGroupIds: readonly string[];
}

export interface BucketConfig {
  readonly bucket: string;
  /** false: created by the stack; true: the name of a bucket that is there. */
  readonly existing: boolean;
}

export interface DatabaseConfig {
  readonly database: string;
  /** false: created by the stack. */
  readonly existing: boolean;
}

export interface MoraineConfig {
  readonly landing: readonly BucketConfig[];
  readonly warehouse: BucketConfig & { readonly prefix: string };
  readonly commit: { readonly intervalSeconds: number };
  readonly discovery?: DiscoveryConfig;
  /** Every database that is the target of an ingestion, once. */
  readonly databases?: readonly DatabaseConfig[];
  readonly ingestions: readonly Ingestion[];
}

/** An output of a stack has at most 1,024 characters. */
const IDS_TEXT_MAX = 1000;

/** What tells apart the configurations that stacks were made of, for people: the ids of the ingestions. */
export function idsText({ ingestions }: MoraineConfig): string {
  return ingestions
    .map(({ id }) => id)
    .join(", ")
    .slice(0, IDS_TEXT_MAX);
}
