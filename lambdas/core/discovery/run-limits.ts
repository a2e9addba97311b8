// The limits a run keeps, each with its reason. The simulator runs the same code with smaller ones.

export interface RunLimits {
  /** A run that gave no sign of life for so long may be taken over. Functions renew it while they work; between them lie retries only. */
  readonly leaseMs: number;
  /** A failed run is taken up again if it began to list no longer ago than this. */
  readonly resumeWithinMs: number;
  /** Between two checkpoints of one shard: what a dead function's successor lists again, at most. */
  readonly checkpointEveryMs: number;
  /** Confirmed entries held in memory before a checkpoint is made whatever the clock says. */
  readonly heldBytesMax: number;
  /** After so many rounds in a row in which no shard got on the run fails. */
  readonly idleRoundsMax: number;
  /** Shards and begin markers may be forgotten after this: longer than a run and all that take it up again can last. */
  readonly recordsKeptMs: number;
  /** An event may be this late before its file counts as missed by events. */
  readonly eventGraceMs: number;
  /** Shard records read and closed at once. */
  readonly parallelism: number;
}

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

export const RUN_LIMITS: RunLimits = {
  leaseMs: 20 * MINUTE_MS,
  resumeWithinMs: DAY_MS,
  checkpointEveryMs: 10_000,
  heldBytesMax: 64 * 1024 * 1024,
  idleRoundsMax: 3,
  recordsKeptMs: 30 * DAY_MS,
  eventGraceMs: 15 * MINUTE_MS,
  parallelism: 16,
};
