// Everything the protocol needs from outside. Each port is small enough for a fake with honest semantics, and one contract
// suite runs against the fake and against the real adapter (test/contract). Every method may throw MoraineError "Unavailable"
// (nothing was applied) or "UnknownOutcome" (perhaps applied); other outcomes are values.

import type { BadRowPolicy, Compression, FormatOptions } from "./config.ts";
import type {
  DataFile,
  DraftField,
  DraftType,
  PartitionSpec,
  PartitionTuple,
  Schema,
  TableMetadata,
  TableRequirement,
  TableUpdate,
} from "./iceberg/types.ts";
import type { ObjectUri, Revision, TableName } from "./ids.ts";

/** Epoch milliseconds. */
export interface Clock {
  now(): number;
}

export interface Random {
  /** A UUID (version 7 in production: ids sort by time of making). */
  uuid(): string;
  /** [0, 1) */
  fraction(): number;
}

// ---- objects -------------------------------------------------------------------------------------------------------

export interface ObjectFacts {
  readonly etag: string;
  readonly sizeBytes: number;
  readonly lastModifiedMs: number;
}

export type GetOutcome =
  | ({ readonly kind: "found"; readonly body: AsyncIterable<Uint8Array> } & ObjectFacts)
  /** 412: the object is there, but is not the version asked for. */
  | { readonly kind: "changed" }
  /** 404 */
  | { readonly kind: "absent" };

export type PutBody = Uint8Array | { readonly sizeBytes: number; open(): AsyncIterable<Uint8Array> };

/** Bytes start <= b < end, of which the object must have the first. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

export interface ObjectStore {
  /** ETags are without quotes, everywhere. `range`: the body is that part; the facts are the whole object's. */
  get(uri: ObjectUri, options?: { readonly ifMatch?: string; readonly range?: ByteRange }): Promise<GetOutcome>;
  /** `ifAbsent`: If-None-Match *, "exists" is its 412. */
  put(
    uri: ObjectUri,
    body: PutBody,
    options?: { readonly ifAbsent?: boolean; readonly contentType?: string },
  ): Promise<{ readonly kind: "stored"; readonly etag: string } | { readonly kind: "exists" }>;
  /** Deleting what is not there succeeds. Any number of uris. */
  remove(uris: readonly ObjectUri[]): Promise<void>;
  /** All objects whose key starts with the prefix, in UTF-8 byte order of the key. `prefix` is `s3://bucket/start-of-key`. */
  list(prefix: string): AsyncIterable<{ readonly uri: ObjectUri } & ObjectFacts>;
}

// ---- listing -------------------------------------------------------------------------------------------------------

export interface ListedObject extends ObjectFacts {
  readonly key: string;
}

export interface ListRequest {
  readonly bucket: string;
  /** Only keys that begin with it. */
  readonly prefix: string;
  /** Only keys (and folders) after this one; "" or absent: from the start of the prefix. */
  readonly after?: string;
  /** Folds what lies below the next "/" into one of `folders`. */
  readonly folded?: boolean;
}

export interface ListPage {
  /** At most 1,000 together with `folders`; each in UTF-8 byte order of the key. */
  readonly objects: readonly ListedObject[];
  /** Common prefixes, each with its "/". */
  readonly folders: readonly string[];
  /** There is more behind the last of them. */
  readonly truncated: boolean;
}

/** Asked before each further request of a page that is not had with the first one: it is counted, or false, and the page is Unavailable. */
export type MayAskOn = () => boolean;

/**
 * One ListObjectsV2 request, and more where S3 answers nothing but that there is more. Throws Throttled-marked Unavailable
 * (`context.throttled`) on 503 SlowDown: the governor decides when to try again.
 */
export interface BucketLister {
  page(request: ListRequest, mayAskOn?: MayAskOn): Promise<ListPage>;
}

export interface Timer {
  sleep(ms: number): Promise<void>;
}

// ---- ledger --------------------------------------------------------------------------------------------------------

export interface LedgerKey {
  readonly partition: string;
  readonly sort: string;
}

/** Plain attribute values: what DynamoDB can hold natively. No undefined inside. */
export type Attribute =
  | string
  | number
  | boolean
  | null
  | Uint8Array
  | readonly Attribute[]
  | { readonly [name: string]: Attribute };

export interface LedgerItem {
  readonly key: LedgerKey;
  /** Minted by whoever writes the item; every write names the revision it replaces. */
  readonly revision: Revision;
  readonly body: Readonly<Record<string, Attribute>>;
  /** Place in the index that serves people (eventually consistent); correctness never reads it. */
  readonly index?: LedgerKey;
  /** Epoch seconds after which DynamoDB may drop the item. Only for items that can be made again. */
  readonly expiresAt?: number;
}

export type WriteOutcome =
  | { readonly kind: "written" }
  /** The condition failed; `current` is the item as it stands (undefined: there is none). */
  | { readonly kind: "refused"; readonly current: LedgerItem | undefined };

/** One DynamoDB table. Every write is one condition on one item; reads are strongly consistent unless said. */
export interface Ledger {
  read(key: LedgerKey): Promise<LedgerItem | undefined>;
  /** Any number of keys, in the order asked; undefined where there is no item. */
  readMany(keys: readonly LedgerKey[]): Promise<readonly (LedgerItem | undefined)[]>;
  /** Puts the whole item if the stored revision is `expected` ("absent": if there is none). */
  write(item: LedgerItem, expected: Revision | "absent"): Promise<WriteOutcome>;
  remove(key: LedgerKey, expected: Revision): Promise<WriteOutcome>;
  /** Items of one partition whose sort key starts with the prefix, in order of the sort key. `from`: start at this sort key. */
  list(
    partition: string,
    sortPrefix: string,
    options?: { readonly limit?: number; readonly reverse?: boolean },
  ): AsyncIterable<LedgerItem>;
  /** The index that serves people: eventually consistent. */
  listIndex(partition: string, sortPrefix: string, options?: { readonly limit?: number }): AsyncIterable<LedgerItem>;
}

// ---- queues --------------------------------------------------------------------------------------------------------

export interface Queues {
  /** Sends an event back into the intake queue (a released file, a backfill). `body` is an intake message. */
  sendIntake(bodies: readonly string[]): Promise<void>;
  /** Says that a table has something to commit. Hints with the same `once` within five minutes are delivered once. */
  hintCommit(table: TableName, once: string): Promise<void>;
}

/** Where found files go: the backfill queue, which never keeps live events waiting. Bodies as `formatIntake` makes them. */
export interface EventSink {
  send(bodies: readonly string[]): Promise<void>;
}

/** Tells people: mail, chat, whatever is subscribed. Told again when nobody knows whether it was. */
export interface Alerts {
  /** `subject`: at most 100 characters of ASCII. */
  publish(alert: { readonly subject: string; readonly text: string }): Promise<void>;
}

// ---- catalog -------------------------------------------------------------------------------------------------------

export interface LoadedTable {
  readonly name: TableName;
  readonly metadata: TableMetadata;
  readonly metadataLocation: ObjectUri;
  /** What the compare-and-swap is made on (Glue: VersionId). Opaque to core. */
  readonly token: string;
}

export interface TableCommit {
  readonly requirements: readonly TableRequirement[];
  readonly updates: readonly TableUpdate[];
  /** Folder under the table's `metadata/` that a catalog writing its own metadata files puts this one in. */
  readonly folder: string;
}

export type CommitOutcome =
  | { readonly kind: "committed"; readonly table: LoadedTable }
  /** Somebody else committed first: nothing of ours is visible, nothing of ours is left behind but what `orphans` names. */
  | { readonly kind: "conflict" };

/** Glue and Iceberg REST are adapters of this one port. */
export interface Catalog {
  load(name: TableName): Promise<LoadedTable | undefined>;
  create(
    name: TableName,
    metadata: TableMetadata,
  ): Promise<{ readonly kind: "created"; readonly table: LoadedTable } | { readonly kind: "exists" }>;
  /** Applies all updates in one compare-and-swap on `base`. An unknown outcome is thrown: the caller must look. */
  commit(base: LoadedTable, commit: TableCommit): Promise<CommitOutcome>;
}

/** The part of a catalog that Glue really is: a pointer to a metadata file with a compare-and-swap. */
export interface TablePointer {
  read(name: TableName): Promise<{ readonly metadataLocation: ObjectUri; readonly token: string } | undefined>;
  create(
    name: TableName,
    metadataLocation: ObjectUri,
    metadata: TableMetadata,
  ): Promise<{ readonly kind: "created"; readonly token: string } | { readonly kind: "exists" }>;
  swap(
    name: TableName,
    token: string,
    next: {
      readonly metadataLocation: ObjectUri;
      readonly previousLocation: ObjectUri;
      readonly metadata: TableMetadata;
    },
  ): Promise<{ readonly kind: "swapped"; readonly token: string } | { readonly kind: "conflict" }>;
}

// ---- conversion ----------------------------------------------------------------------------------------------------

/** One object version as the converter sees it. `index` is its place in the batch and the name of its outcome. */
export interface Source {
  readonly index: number;
  readonly uri: ObjectUri;
  readonly etag: string;
  readonly versionId?: string;
  readonly sizeBytes: number;
  /** For `_file_modified_at`. Of an object that is not read: what its event or listing said. */
  readonly lastModifiedMs: number;
}

/** Why one source could not be loaded. `message` names the place (line, byte, column) and the remedy. */
export interface SourceFailure {
  readonly index: number;
  readonly reason: string;
  readonly message: string;
  readonly line?: number;
  readonly byte?: number;
  readonly column?: string;
}

/** What the sources of a conversion were seen to hold, against the table's schema. Sources that fail are in `failures`. */
export interface Inspection {
  /** All columns seen over all good sources, in order of first sight, with the narrowest type that holds every source. */
  readonly fields: readonly DraftField[];
  readonly failures: readonly SourceFailure[];
}

/** What one source was seen to hold: columns as in an Inspection of it alone. */
export interface SourceShape {
  readonly index: number;
  readonly fields: readonly DraftField[];
}

/** A column of the table that takes some of a source's values only by changing or losing them. */
export interface MisfitColumn {
  /** Dot path of the table's column. */
  readonly path: string;
  /** The narrowest type that holds all of the source's values there. */
  readonly fileType: DraftType;
  /** Rows with a value that does not fit. */
  readonly records: number;
  /** A few such values as text, each of at most 100 characters. */
  readonly samples: readonly string[];
  /** Of the first one: physical line, from 1. Of an archive of several files there is none. */
  readonly line?: number;
}

/** A source whose values do not all fit the table. It is in no data file until the caller says how to treat it. */
export interface Misfits {
  readonly index: number;
  /** All rows of the source. */
  readonly records: number;
  /** Rows with at least one value that does not fit. */
  readonly unfit: number;
  readonly columns: readonly MisfitColumn[];
}

/** What becomes of a source's values that have no place in the table. */
export interface Treatment {
  /**
   * They go to the column `_rescued_data`, which the schema then has: values of the wrong type and of columns the table does not know.
   * Those of `routes` excepted.
   */
  readonly rescue: boolean;
  /** Values that do not fit one column go into another, a string: dot path of the first to the name of the second. */
  readonly routes: readonly Route[];
}

export interface Route {
  readonly path: string;
  readonly column: string;
}

/** A Parquet file written to the work directory: its `DataFile` facts minus the path it will be uploaded to. */
export interface ConvertedFile {
  readonly file: Omit<DataFile, "filePath" | "content">;
  readonly body: PutBody;
}

/** Rows of one source. Always: seen = rows in the data files + quarantined, and `rescued` are some of those in the data files. */
export interface LoadedSource {
  readonly index: number;
  /** In the data files. */
  readonly records: number;
  /** Of these, rows with something in `_rescued_data`. */
  readonly rescued: number;
  /** Rows that could not be read as any row, and are in `quarantine`. */
  readonly quarantined: number;
  /** As received. */
  readonly bytesRead: number;
}

export interface ConversionResult {
  readonly files: readonly ConvertedFile[];
  /** Sources that went into `files`; those not named here are in `failures`. */
  readonly loaded: readonly LoadedSource[];
  readonly failures: readonly SourceFailure[];
  /** Not empty: `files` and `loaded` are empty. Treat these or leave them out, and convert again. */
  readonly misfits: readonly Misfits[];
  /** The quarantined rows of all loaded sources, as NDJSON of QUARANTINE_FIELDS (core/schema/quarantine.ts). */
  readonly quarantine?: { readonly rows: number; readonly body: PutBody };
}

export interface ConversionJob {
  readonly format: FormatOptions;
  readonly compression: Compression;
  /** Column name to Iceberg type: wins over what is inferred. */
  readonly hints: Readonly<Record<string, string>>;
  /** false: a column nobody gave a type to is a string, in formats of text. */
  readonly inferTypes: boolean;
  readonly badRows: BadRowPolicy;
  readonly lineage: boolean;
  readonly targetFileSizeBytes: number;
  /** Value of `_ingested_at`. */
  readonly ingestedAtMs: number;
}

/** One batch's conversion, in a work directory of its own. Call order: add*, inspect, convert (again with another schema), writeDeletes?, close. */
export interface Conversion {
  /** Takes one source, without a body if `needsBody` says so. A returned failure concerns this source alone. */
  add(source: Source, body: AsyncIterable<Uint8Array> | undefined): Promise<SourceFailure | undefined>;
  /**
   * `known`: the table's schema when there is one; sources whose columns are all known cost no full inference. `spec`: its partition
   * spec; with it the converter may convert while it looks, and `convert` with the same two is then free.
   */
  inspect(known: Schema | undefined, spec?: PartitionSpec): Promise<Inspection>;
  /** The same, source by source: costs more, for when they are not all alike to the caller. Sources that fail are left for `inspect` to name. */
  inspectEach(known: Schema): Promise<readonly SourceShape[]>;
  /** Rows of a source as it was seen; undefined: it cannot be read to its end. Reads it once more. */
  countRecords(shape: SourceShape): Promise<number | undefined>;
  /** Takes a source out of everything that follows: the caller has decided its fate. */
  leaveOut(index: number): void;
  /** How the source is converted from now on. */
  treat(index: number, treatment: Treatment): void;
  /** Writes data files typed by the schema, with its field ids, one partition tuple each. A failed source leaves no row. */
  convert(schema: Schema, spec: PartitionSpec): Promise<ConversionResult>;
  /** An equality-delete file: one row per value, one column, with that column's field id. */
  writeDeletes(schema: Schema, fieldId: number, values: readonly string[]): Promise<ConvertedFile>;
  /** Removes the work directory. Bodies of converted files are gone after it. */
  close(): Promise<void>;
}

export interface Converter {
  start(job: ConversionJob): Promise<Conversion>;
}

export type { PartitionTuple };
