// Iceberg v2 table metadata as it stands in a metadata.json, and the records of manifests and manifest lists.
// Property names are the specification's own, verbatim (https://iceberg.apache.org/spec/), so that JSON needs no mapping.
// int64 values that may pass 2^53 (snapshot ids) are bigint; counts, sizes and epoch milliseconds are numbers.

export type PrimitiveType =
  | "boolean"
  | "int"
  | "long"
  | "float"
  | "double"
  | "date"
  | "time"
  | "timestamp"
  | "timestamptz"
  | "string"
  | "uuid"
  | "binary"
  | `decimal(${number}, ${number})`
  | `fixed[${number}]`;

export interface StructType {
  readonly type: "struct";
  readonly fields: readonly NestedField[];
}
export interface ListType {
  readonly type: "list";
  readonly "element-id": number;
  readonly element: Type;
  readonly "element-required": boolean;
}
export interface MapType {
  readonly type: "map";
  readonly "key-id": number;
  readonly key: Type;
  readonly "value-id": number;
  readonly value: Type;
  readonly "value-required": boolean;
}
export type Type = PrimitiveType | StructType | ListType | MapType;

export interface NestedField {
  readonly id: number;
  readonly name: string;
  readonly required: boolean;
  readonly type: Type;
  readonly doc?: string;
}

export interface Schema extends StructType {
  readonly "schema-id": number;
  readonly "identifier-field-ids"?: readonly number[];
}

/** A schema before the table gave it field ids: what a file was seen to hold. */
export interface DraftField {
  readonly name: string;
  readonly type: DraftType;
}
export type DraftType =
  | PrimitiveType
  | { readonly type: "struct"; readonly fields: readonly DraftField[] }
  | { readonly type: "list"; readonly element: DraftType }
  | { readonly type: "map"; readonly key: DraftType; readonly value: DraftType };

export type Transform =
  | "identity"
  | "void"
  | "year"
  | "month"
  | "day"
  | "hour"
  | `bucket[${number}]`
  | `truncate[${number}]`;

export interface PartitionField {
  readonly name: string;
  readonly transform: Transform;
  readonly "source-id": number;
  readonly "field-id": number;
}
export interface PartitionSpec {
  readonly "spec-id": number;
  readonly fields: readonly PartitionField[];
}

export interface SortOrder {
  readonly "order-id": number;
  readonly fields: readonly unknown[];
}

export interface Snapshot {
  readonly "snapshot-id": bigint;
  readonly "parent-snapshot-id"?: bigint;
  readonly "sequence-number": number;
  readonly "timestamp-ms": number;
  readonly "manifest-list": string;
  readonly summary: Readonly<Record<string, string>> & {
    readonly operation: "append" | "replace" | "overwrite" | "delete";
  };
  readonly "schema-id"?: number;
}

export interface SnapshotRef {
  readonly "snapshot-id": bigint;
  readonly type: "branch" | "tag";
  readonly "min-snapshots-to-keep"?: number;
  readonly "max-snapshot-age-ms"?: number;
  readonly "max-ref-age-ms"?: number;
}

export interface TableMetadata {
  readonly "format-version": 2;
  readonly "table-uuid": string;
  readonly location: string;
  readonly "last-sequence-number": number;
  readonly "last-updated-ms": number;
  readonly "last-column-id": number;
  readonly schemas: readonly Schema[];
  readonly "current-schema-id": number;
  readonly "partition-specs": readonly PartitionSpec[];
  readonly "default-spec-id": number;
  readonly "last-partition-id": number;
  readonly properties: Readonly<Record<string, string>>;
  /** Absent or -1 when the table has no snapshot. */
  readonly "current-snapshot-id"?: bigint;
  readonly snapshots: readonly Snapshot[];
  readonly "snapshot-log": readonly { readonly "timestamp-ms": number; readonly "snapshot-id": bigint }[];
  readonly "metadata-log": readonly { readonly "timestamp-ms": number; readonly "metadata-file": string }[];
  readonly "sort-orders": readonly SortOrder[];
  readonly "default-sort-order-id": number;
  readonly refs?: Readonly<Record<string, SnapshotRef>>;
  readonly statistics?: readonly unknown[];
  readonly "partition-statistics"?: readonly unknown[];
}

/**
 * One value of a partition tuple, or a bound, in the form Iceberg's Avro files use:
 * int/date -> number, long/time/timestamp[tz] (microseconds) -> bigint, decimal -> bigint (unscaled),
 * string -> string, uuid -> string (canonical), binary/fixed -> Uint8Array.
 */
export type Value = boolean | number | bigint | string | Uint8Array;
/** In the order of the partition spec's fields. */
export type PartitionTuple = readonly (Value | null)[];

/** `data_file` of a manifest entry. Maps are keyed by field id; bounds are single-value serialized. */
export interface DataFile {
  readonly content: "data" | "position-deletes" | "equality-deletes";
  readonly filePath: string;
  /** As written, upper case for ours; absent: PARQUET. Foreign writers may add AVRO and ORC. */
  readonly fileFormat?: string;
  readonly partition: PartitionTuple;
  readonly recordCount: number;
  readonly fileSizeInBytes: number;
  readonly columnSizes?: ReadonlyMap<number, number>;
  readonly valueCounts?: ReadonlyMap<number, number>;
  readonly nullValueCounts?: ReadonlyMap<number, number>;
  readonly nanValueCounts?: ReadonlyMap<number, number>;
  readonly lowerBounds?: ReadonlyMap<number, Uint8Array>;
  readonly upperBounds?: ReadonlyMap<number, Uint8Array>;
  readonly splitOffsets?: readonly number[];
  /** Field ids that make two rows equal; only for equality deletes. */
  readonly equalityIds?: readonly number[];
  readonly sortOrderId?: number;
  /** Foreign only, carried along: encryption key metadata, and the one data file a position-delete file is about. */
  readonly keyMetadata?: Uint8Array;
  readonly referencedDataFile?: string;
}

export type ManifestEntryStatus = "existing" | "added" | "deleted";

export interface ManifestEntry {
  readonly status: ManifestEntryStatus;
  /** null: inherited from the manifest list entry. */
  readonly snapshotId: bigint | null;
  readonly sequenceNumber: number | null;
  readonly fileSequenceNumber: number | null;
  readonly dataFile: DataFile;
}

export interface FieldSummary {
  readonly containsNull: boolean;
  readonly containsNan?: boolean;
  readonly lowerBound?: Uint8Array;
  readonly upperBound?: Uint8Array;
}

/** One record of a manifest list: `manifest_file`. */
export interface ManifestFile {
  readonly manifestPath: string;
  readonly manifestLength: number;
  readonly partitionSpecId: number;
  readonly content: "data" | "deletes";
  readonly sequenceNumber: number;
  readonly minSequenceNumber: number;
  readonly addedSnapshotId: bigint;
  readonly addedFilesCount: number;
  readonly existingFilesCount: number;
  readonly deletedFilesCount: number;
  readonly addedRowsCount: number;
  readonly existingRowsCount: number;
  readonly deletedRowsCount: number;
  readonly partitions?: readonly FieldSummary[];
  /** Foreign only, carried along. */
  readonly keyMetadata?: Uint8Array;
}

/** A manifest a loader wrote: the committer fills in snapshot id and sequence numbers when it lists it. */
export type StagedManifest = Omit<ManifestFile, "sequenceNumber" | "minSequenceNumber" | "addedSnapshotId">;

/** Changes to a table, named as in the Iceberg REST catalog specification (`TableUpdate`). */
export type TableUpdate =
  | { readonly action: "add-schema"; readonly schema: Schema; readonly "last-column-id": number }
  | { readonly action: "set-current-schema"; readonly "schema-id": number }
  | { readonly action: "add-spec"; readonly spec: PartitionSpec }
  | { readonly action: "set-default-spec"; readonly "spec-id": number }
  | { readonly action: "add-snapshot"; readonly snapshot: Snapshot }
  | ({ readonly action: "set-snapshot-ref"; readonly "ref-name": string } & SnapshotRef)
  | { readonly action: "remove-snapshots"; readonly "snapshot-ids": readonly bigint[] }
  | { readonly action: "set-properties"; readonly updates: Readonly<Record<string, string>> }
  | { readonly action: "remove-properties"; readonly removals: readonly string[] };

/** What must hold for the updates to apply (`TableRequirement` of the REST specification). */
export type TableRequirement =
  | { readonly type: "assert-table-uuid"; readonly uuid: string }
  | { readonly type: "assert-ref-snapshot-id"; readonly ref: string; readonly "snapshot-id": bigint | null }
  | { readonly type: "assert-current-schema-id"; readonly "current-schema-id": number }
  | { readonly type: "assert-last-assigned-field-id"; readonly "last-assigned-field-id": number }
  | { readonly type: "assert-default-spec-id"; readonly "default-spec-id": number };
