// Branded identifiers: a batch id can never be passed where an intent id is meant.
// The brand exists for the type checker only; at run time these are plain strings.

declare const brand: unique symbol;
type Branded<T, B extends string> = T & { readonly [brand]: B };

/** Name of an ingestion in `moraine.yaml`. */
export type IngestionId = Branded<string, "IngestionId">;
/** Id of one batch: time-ordered, unique, safe inside an S3 key. */
export type BatchId = Branded<string, "BatchId">;
/** Id of one commit intent: unique, safe inside an S3 key. */
export type IntentId = Branded<string, "IntentId">;
/** `database.table`, lower case: the name a ledger partition is made from. */
export type TableId = Branded<string, "TableId">;
/** `s3://bucket/key`, not URL-encoded. */
export type ObjectUri = Branded<string, "ObjectUri">;
/** Names one breaking difference between an ingestion's files and its table: twelve hex digits. */
export type Fingerprint = Branded<string, "Fingerprint">;
/** Token minted by the writer of a ledger item; the condition of the next write. */
export type Revision = Branded<string, "Revision">;
/** Iceberg snapshot id: a positive int64. Ours stay below 2^53 for readers in JavaScript. */
export type SnapshotId = Branded<bigint, "SnapshotId">;

export interface TableName {
  readonly database: string;
  readonly table: string;
}

export function tableIdOf(name: TableName): TableId {
  return `${name.database}.${name.table}` as TableId;
}

export function objectUri(bucket: string, key: string): ObjectUri {
  return `s3://${bucket}/${key}` as ObjectUri;
}

/** Splits `s3://bucket/key`. A uri without bucket or key is a programmer error. */
export function splitUri(uri: string): { bucket: string; key: string } {
  const slash = uri.indexOf("/", 5);
  if (!uri.startsWith("s3://") || slash <= 5 || slash === uri.length - 1) {
    throw new TypeError(`not an s3 object uri: ${uri}`);
  }
  return { bucket: uri.slice(5, slash), key: uri.slice(slash + 1) };
}
