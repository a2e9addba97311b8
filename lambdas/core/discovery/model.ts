// The nouns of discovery: how an ingestion's files are found when no event names them, and what is remembered of it.
// Read order: here, run.ts (begin, plan, gather, finish), list-shard.ts (one listing function's work), check.ts (what a listed object
// comes to), lister.ts (key ranges), seen.ts (what earlier runs confirmed).
//
//   run     RUNNING -> SUCCEEDED | FAILED        one at a time per ingestion (dry runs apart); FAILED ones can be taken up again
//   round   the shards of a run that are worked on together; what they hand back makes the next round
//   shard   key ranges below one prefix, or one file of an inventory; its record is its checkpoint
//
// Invariant: an object is passed over only when it is outside the run's scope, or the ledger has its fate on record, or its event was
// sent. Listing something twice costs reads, never a row: every event ends in the same claim.

import type { IngestionId, ObjectUri } from "../ids.ts";

/** How a listing finds files. `event_driven` is no listing: a run of such an ingestion lists by its own `listing`. */
export type Strategy = "full" | "incremental_lexical" | "incremental_time" | "partitioned" | "inventory";

export const STRATEGIES: readonly Strategy[] = [
  "full",
  "incremental_lexical",
  "incremental_time",
  "partitioned",
  "inventory",
];

/** A strategy with all it needs; durations in milliseconds. */
export type Listing =
  | { readonly strategy: "full" }
  /** Lists keys behind the last key seen, and `lookbackKeys` before it again. */
  | { readonly strategy: "incremental_lexical"; readonly lookbackKeys: number }
  /** Lists and asks as `full` does; a new file from before the last whole listing's start minus `overlapMs` is reported. */
  | { readonly strategy: "incremental_time"; readonly overlapMs: number }
  /** `pattern`: strftime text below the ingestion's prefix, such as `year=%Y/month=%m/day=%d` or `%Y/%m/%d/%H`. UTC. */
  | { readonly strategy: "partitioned"; readonly pattern: string; readonly lookbackMs: number }
  /** `location`: `s3://bucket/prefix/source-bucket/config-id/`, the folder whose subfolders hold manifest.json. */
  | { readonly strategy: "inventory"; readonly location: string; readonly ageMaxMs: number };

/** Keys k with after < k <= upTo, in the order of their UTF-8 bytes; whole keys, not relative to a prefix. */
export interface KeyRange {
  /** "" for no lower bound. */
  readonly after: string;
  /** Absent: no upper bound but the prefix. */
  readonly upTo?: string;
}

export type Shard =
  | {
      readonly kind: "keys";
      readonly id: string;
      /** Every key of the shard begins with this. */
      readonly prefix: string;
      /** Disjoint, in order. */
      readonly ranges: readonly KeyRange[];
    }
  | {
      readonly kind: "inventory";
      readonly id: string;
      readonly file: InventoryFile;
      /** Rows of the file that are done with. */
      readonly rowsDone: number;
    };

export interface InventoryFile {
  readonly uri: ObjectUri;
  readonly format: "CSV" | "Parquet";
  readonly sizeBytes: number;
  /** Column names of a CSV inventory, in order (`fileSchema` of the manifest). */
  readonly columns: readonly string[];
}

/** What a run lists and what it leaves out; times in epoch milliseconds. All of it is optional in a run's input. */
export interface Scope {
  /** Start of the key, from the bucket's root; begins with the ingestion's prefix. */
  readonly prefix?: string;
  /** Globs over the key below the ingestion's prefix, besides the ingestion's own. */
  readonly include?: readonly string[];
  readonly exclude?: readonly string[];
  /** LastModified at or after / before. */
  readonly modifiedFromMs?: number;
  readonly modifiedBeforeMs?: number;
  readonly sizeBytesMin?: number;
  readonly sizeBytesMax?: number;
}

export type Trigger = "console" | "command" | "schedule";

/** The validated input of the state machine: see docs/backfill.md. */
export interface RunInput {
  readonly ingestion: IngestionId;
  /** Resolved: the ingestion's own listing unless the input names another strategy. */
  readonly listing: Listing;
  readonly scope: Scope;
  /** partitioned: the partitions with an instant of fromMs <= t < toMs, instead of the look-back. */
  readonly window?: { readonly fromMs: number; readonly toMs: number };
  /** Counts and checks; sends nothing, remembers nothing but the run itself. */
  readonly dryRun: boolean;
  /** Asks the ledger about every file, whatever the seen manifest says. */
  readonly checkAll: boolean;
  readonly trigger: Trigger;
  /** Requests to S3 at once in one function. */
  readonly concurrency: number;
}

export type BrokenAssumption =
  /** incremental_lexical: a new file at or before the last key seen. */
  | "key_below_cursor"
  /** incremental_time: a file nobody had seen, older than the window. */
  | "older_file_appeared"
  /** partitioned: files of a partition outside the window. */
  | "partition_outside_window"
  /** partitioned: a folder too full to see whether new partitions are in it. */
  | "partitions_unseen"
  | "stale_inventory"
  /** event_driven: a file older than the grace period that no event had brought. */
  | "missed_by_events";

export interface Broken {
  readonly count: number;
  /** Some of the keys (or partitions) concerned, at most `EXAMPLES_MAX`. */
  readonly examples: readonly string[];
}
export const EXAMPLES_MAX = 5;

export type BrokenAssumptions = Readonly<Partial<Record<BrokenAssumption, Broken>>>;

/**
 * What listing and checking came to. Files: `total` = `new` + `known` + `changed` + `skipped` + `excluded`.
 * Sums of shards are sums of these, field by field (counts.ts).
 */
export interface Counts {
  /** Objects listed within the run's prefix and ranges. */
  readonly total: number;
  /** Not in the ledger: sent. */
  readonly new: number;
  /** Another version than the ledger's, or one to be tried again: sent. */
  readonly changed: number;
  /** Its fate is on record, or somebody is at it. */
  readonly known: number;
  /** Nothing to load: folder markers. */
  readonly skipped: number;
  /** By route, glob, size, age. */
  readonly excluded: number;
  /** Of all objects listed and not excluded. */
  readonly bytes: number;
  /** Of new and changed ones. */
  readonly newBytes: number;
  readonly listRequests: number;
  /** Items read from the ledger, and requests that read them. */
  readonly ledgerReads: number;
  readonly ledgerRequests: number;
  readonly sendRequests: number;
  /** Summed over workers: may exceed wall time. */
  readonly listingMs: number;
  readonly ledgerMs: number;
  readonly ranges: number;
  readonly splits: number;
  readonly throttled: number;
  readonly broken: BrokenAssumptions;
}

/** A sorted manifest of files whose fate the ledger confirmed, in one object. Keys: first <= k <= last. */
export interface SeenSegment {
  readonly uri: ObjectUri;
  readonly first: string;
  readonly last: string;
  readonly entries: number;
}

/** Some keys of a listed stretch in order, each with the number of keys from it to the next: enough to step back N keys. */
export interface Tail {
  readonly samples: readonly { readonly key: string; readonly keys: number }[];
}

/** The checkpoint of a shard: written whole under one condition, so counts are exact however often its function dies. */
export interface ShardRecord {
  readonly runId: string;
  readonly ingestion: IngestionId;
  readonly round: number;
  /** What is left to do; no ranges (all rows done): the shard is done. */
  readonly left: Shard;
  readonly done: boolean;
  /** The next round has taken over what was left: whoever still works on it is fenced. */
  readonly closed: boolean;
  readonly counts: Counts;
  readonly segments: readonly SeenSegment[];
  /** Last keys listed, for the lexical cursor; and the very last one. */
  readonly tail: Tail;
  readonly last?: string;
  readonly updatedAtMs: number;
}

/** Facts of earlier runs that tell whether an assumption was broken. */
export interface Assumptions {
  /** Last key of the lexical cursor. */
  readonly lexicalLast?: string;
  /** incremental_time: what is older than this was listed by an earlier run. */
  readonly windowFromMs?: number;
  /** event_driven: files modified before this should have come by an event. */
  readonly eventsUntilMs?: number;
  /** A wider listing of an ingestion that is listed by partition otherwise: prefixes its window had; new files elsewhere were missed. */
  readonly windowPrefixes?: readonly string[];
}

export type RunStatus = "RUNNING" | "SUCCEEDED" | "FAILED";

export interface RunRecord {
  readonly runId: string;
  readonly ingestion: IngestionId;
  readonly status: RunStatus;
  readonly input: RunInput;
  /** Which files the ingestion took when the run began (`sourceOf`): what another choice listed is not taken up again. */
  readonly source: string;
  readonly startedAtMs: number;
  readonly updatedAtMs: number;
  readonly endedAtMs?: number;
  readonly execution?: string;
  /** 0: not planned yet. */
  readonly round: number;
  /** Shards of all rounds so far. */
  readonly shards: number;
  /** Rounds in a row in which no shard got on. */
  readonly idleRounds?: number;
  readonly counts: Counts;
  readonly report?: RunReport;
  readonly error?: string;
  /** The run whose shards this one took over. */
  readonly resumes?: string;
  /** What was there at this time is listed: the start of this run, or of the first one it takes up again. */
  readonly listedFromMs: number;
  /** What every shard is held against, and the seen index they all use: decided once, by planning. */
  readonly assumptions: Assumptions;
  readonly seen?: ObjectUri;
}

export interface RunReport extends Counts {
  readonly ingestion: IngestionId;
  readonly runId: string;
  readonly strategy: Strategy;
  readonly dryRun: boolean;
  /** Wall time. */
  readonly durationMs: number;
  readonly requests: number;
  readonly filesPerSecond: number;
  readonly shards: number;
  readonly assumptionsBroken: readonly BrokenAssumption[];
  /** Of listing and checking, list prices of us-east-1; loading is not in it. */
  readonly dollars: number;
}

/** Which folders of partitions there were: what comes later is told from them. All are prefixes. */
export interface SeenPartitions {
  readonly pattern: string;
  /** Folders that were seen whole. */
  readonly lookedInto: readonly string[];
  /** What lay in them: partitions, and folders of partitions. */
  readonly folders: readonly string[];
  /** Those that came after a run had looked, with the time they were first seen: still written to, perhaps. */
  readonly late?: readonly LateFolder[];
}

export interface LateFolder {
  readonly folder: string;
  readonly sinceMs: number;
}

/** What a run leaves for the next one of the same ingestion. */
export interface CursorRecord {
  readonly ingestion: IngestionId;
  /** What it speaks of (`sourceOf`): under another bucket, prefix or choice of files it means nothing. */
  readonly source: string;
  /** The run that began it from nothing: a cursor that was forgotten and begun anew is another one. */
  readonly begunBy?: string;
  /** Last key seen, and the key to start behind so that the look-back is listed again. */
  readonly lexical?: { readonly last: string; readonly tail: Tail };
  /** Start of the last successful run that listed everything, or when the inventory was made that it read. */
  readonly listedFromMs?: number;
  /** Of the last run over all of the ingestion's own partitioned listing; `listedFromMs`: its start. */
  readonly partitioned?: SeenPartitions & { readonly listedFromMs: number };
  /** Location of the seen index; a stale one costs reads. */
  readonly seen?: ObjectUri;
  /** Of each inventory, by its location: when the report was made that was read last. */
  readonly inventoriesAtMs?: Readonly<Record<string, number>>;
  readonly updatedAtMs: number;
}
