// What the stack and the handlers must agree on: names of environment variables and metrics, and the limits that stand in a
// relation to each other. `lib` sets them, handlers read them, `test/stack/limits.test.ts` holds the relations.
// Constants only: nothing here reads the environment.

/** Environment variables of every function. */
export const ENV = {
  /** JSON object: name of a bucket in `moraine.yaml` to its real name. */
  buckets: "MORAINE_BUCKETS",
  ledgerTable: "MORAINE_LEDGER_TABLE",
  /** Stable for the life of the ledger table: part of the table property `moraine.<ledger-id>.commit-seq`. */
  ledgerId: "MORAINE_LEDGER_ID",
  intakeQueueUrl: "MORAINE_INTAKE_QUEUE_URL",
  commitQueueUrl: "MORAINE_COMMIT_QUEUE_URL",
  /** Of the function that lists, and of the load function, which reads it. */
  backfillQueueUrl: "MORAINE_BACKFILL_QUEUE_URL",
  /** `s3://bucket/prefix` without a slash at the end. */
  warehouseUri: "MORAINE_WAREHOUSE_URI",
  /** Of the sweep function alone. */
  alertTopicArn: "MORAINE_ALERT_TOPIC_ARN",
  commitIntervalSeconds: "MORAINE_COMMIT_INTERVAL_SECONDS",
} as const;

/** Variables the deployed stack never sets: what tests and `local/` need otherwise than production. All have defaults. */
export const LOCAL_ENV = {
  /** Folder whose `node_modules` holds DuckDB's native binding, tried before all others. */
  nativeRoot: "MORAINE_NATIVE_ROOT",
  /** JSON object of whole numbers: limits of `settings.ts` and `redeliveryFirstMs` that differ from their defaults. */
  limits: "MORAINE_LIMITS",
  /** "1": buckets are named in the path, not in the host. */
  s3PathStyle: "MORAINE_S3_PATH_STYLE",
  /** The validated configuration, when it does not lie beside the bundle. */
  configFile: "MORAINE_CONFIG_FILE",
} as const;

/** The validated configuration, beside each bundle: environment variables end at 4 KB. */
export const CONFIG_ASSET = "moraine.config.json";

/**
 * Node's flags in the discover function. Bodies of pages lie outside the heap and go when young objects are collected: without a bound on
 * the young generation a listing of a million keys at 64 requests takes 300 MB, with it 180 MB (test/contract/list-million.ts).
 */
export const DISCOVER_NODE_FLAGS = ["--enable-source-maps", "--max-semi-space-size=8"] as const;

/** Index of the ledger that serves people; base keys are `partition` and `sort`. */
export const LEDGER_INDEX = "people";

/** EMF. Emit with the `service` dimension only (Powertools adds it): an alarm matches its dimensions exactly. */
export const METRIC_NAMESPACE = "Moraine";
export const METRICS = {
  filesLoaded: "FilesLoaded",
  filesFailed: "FilesFailed",
  filesSkipped: "FilesSkipped",
  rowsLoaded: "RowsLoaded",
  bytesRead: "BytesRead",
  commits: "Commits",
  commitConflicts: "CommitConflicts",
  /** Ledger and table disagree: the table is stopped and somebody is paged. */
  tableCorrupt: "TableCorrupt",
  /** Objects listed, those sent to be loaded, and those that no event had brought. */
  filesListed: "FilesListed",
  filesFound: "FilesFound",
  filesMissed: "FilesMissed",
  assumptionsBroken: "AssumptionsBroken",
  /** Objects that a cache of known files gave no answer about: each cost a ledger read. */
  cacheFailures: "CacheFailures",
  /** Wall time of a run, in seconds (the others are counts). */
  listingSeconds: "ListingSeconds",
} as const;

const MINUTE_SECONDS = 60;
const DAY_SECONDS = 24 * 60 * MINUTE_SECONDS;

export const LIMITS = {
  loadTimeoutSeconds: 5 * MINUTE_SECONDS,
  /** New accounts may not go above 3,008 MB; it buys 1.7 vCPU. */
  loadMemoryMb: 3008,
  /** Source bytes, DuckDB's spill and the Parquet files of one batch; /tmp above 512 MB costs under 1 % of the function. */
  loadDiskMb: 10_240,
  /** Equal parts of that disk: one for each of the three. */
  loadDiskShares: 3,
  /** Source bytes a batch may be configured to take: what fits a share of the disk, with room for what is compressed. */
  batchBytesMax: 3 * 1024 * 1024 * 1024,
  /** Above 10 needs a window. The 6 MB payload holds some 3,000 S3 notifications. */
  intakeBatchSize: 1000,
  intakeWindowSeconds: 10,
  loadConcurrencyMax: 50,

  commitTimeoutSeconds: 2 * MINUTE_SECONDS,
  commitMemoryMb: 1024,
  /** FIFO sources take at most 10. */
  commitBatchSize: 10,
  commitConcurrencyMax: 20,
  /** The commit hint waits this much longer than the interval, so that it is seen after the interval's last batch. */
  commitDelayMarginSeconds: 2,
  /** SQS delays a message by at most 900 s. */
  commitIntervalSecondsMax: 895,

  sweepEveryMinutes: 5,
  sweepTimeoutSeconds: 4 * MINUTE_SECONDS,
  sweepMemoryMb: 1024,

  discoverTimeoutSeconds: 10 * MINUTE_SECONDS,
  discoverMemoryMb: 1769,
  /** What one listing function takes on of key ranges before it hands the rest back to be spread over more of them. */
  discoverObjectsMax: 1_000_000,
  /** Listed files are loaded by at most this many functions at once, whatever live events do. */
  backfillConcurrencyMax: 10,
  /** Each names up to `backfillEventsPerMessage` files. */
  backfillBatchSize: 10,
  backfillEventsPerMessage: 100,
  /** A listing that takes longer raises an alarm. */
  listingSecondsMax: 5 * MINUTE_SECONDS,

  /** AWS asks for six times the function's timeout. */
  visibilityPerTimeout: 6,
  receivesMax: 10,
  /** Shorter than the dead-letter queues': a dead message keeps the age it had. */
  queueRetentionSeconds: 10 * DAY_SECONDS,
  deadLetterRetentionSeconds: 14 * DAY_SECONDS,
} as const;
