// Every limit of the protocol in one place, with its reason. `lib/` derives timeouts and retention from the same numbers
// (test/stack checks the relations); the simulator runs the same code with smaller ones.

export interface Settings {
  /** Names this stack in table properties; keeps two stacks on one table apart. Letters, digits and dashes. */
  readonly ledgerId: string;
  /** `s3://bucket/prefix` without a slash at the end: tables without a location of their own lie below it. */
  readonly warehouseUri: string;
  /** A batch still open after this may be aborted by anyone. Longer than a load function can live. */
  readonly leaseMs: number;
  /** No function that wrote an object lives longer than this: only then are leftovers deleted. */
  readonly functionLifetimeMs: number;
  /** Files claimed or settled at once. */
  readonly parallelism: number;
  /** Intended files of one batch, packed, stay far below DynamoDB's 400 KB. */
  readonly batchKeyBytesMax: number;
  /** Batches spliced into one snapshot; bounds the intent and the reads of one commit. */
  readonly commitBatchesMax: number;
  /** Attempts of one commit before the function gives up and the hint is delivered again. */
  readonly commitAttemptsMax: number;
  /** A file that died this often while alone in its batch is FAILED instead of tried again. */
  readonly deathsMax: number;
  /** Deliveries after which a file that meets an unavailable service is FAILED rather than sent back to the queue. */
  readonly deliveriesMax: number;
  /** Manifests of one size tier that are merged into one. */
  readonly manifestFanIn: number;
  readonly manifestTargetBytes: number;
  /** Snapshots that always stay; older ones are thinned by age, see iceberg/expire.ts. */
  readonly snapshotsKeepLast: number;
  readonly snapshotAgeMaxMs: number;
  /** A commit hint is delivered once per interval and table. */
  readonly commitIntervalMs: number;
}

export const DEFAULT_LIMITS = {
  leaseMs: 6 * 60_000,
  functionLifetimeMs: 16 * 60_000,
  parallelism: 32,
  batchKeyBytesMax: 300_000,
  commitBatchesMax: 100,
  commitAttemptsMax: 12,
  deathsMax: 2,
  deliveriesMax: 8,
  manifestFanIn: 8,
  manifestTargetBytes: 8 * 1024 * 1024,
  snapshotsKeepLast: 10,
  snapshotAgeMaxMs: 5 * 24 * 3_600_000,
  commitIntervalMs: 5_000,
} as const satisfies Omit<Settings, "ledgerId" | "warehouseUri">;
