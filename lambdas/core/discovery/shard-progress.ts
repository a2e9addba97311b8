// A shard's account of itself: what is left, what was counted, what was confirmed - of the same stretches at any moment - and the
// checkpoint that puts all of it on record at once. Whoever writes the checkpoint has read the one before it; so of two functions that
// work on one shard, one gets on, and the other is fenced at its next checkpoint.

import type { Revision } from "../ids.ts";
import { writeItem } from "../ledger-writes.ts";
import type { ListedObject } from "../ports.ts";
import { addCounts } from "./counts.ts";
import { laterKey } from "./cursor.ts";
import type { ShardContext } from "./list-shard.ts";
import type { Stretch } from "./lister.ts";
import type { Counts, SeenSegment, ShardRecord } from "./model.ts";
import { subtractRange } from "./range-set.ts";
import { renewActive } from "./run-active.ts";
import { shardItem } from "./run-records.ts";
import { SeenWriter } from "./seen.ts";
import { joinTails, tailOf } from "./tail.ts";

/** What a visited stretch came to. */
export interface Passed {
  readonly counts: Partial<Counts>;
  readonly confirmed: readonly ListedObject[];
}

/** Of the segments in one record, as JSON, which may have 400 KB in all: each is named with two keys of up to a kilobyte. */
const SEGMENTS_BYTES_MAX = 100_000;

export class ShardProgress {
  readonly #context: ShardContext;
  readonly #writer: SeenWriter | undefined;
  readonly #session: string;
  /** As it would be written now, but for segments under way and what `stats` says. */
  #record: ShardRecord;
  #saved: ShardRecord;
  #revision: Revision | "absent";
  #checkpoints = 0;
  #savedAtMs: number;
  #leaseUntilMs = 0;
  #saving: Promise<void> | undefined;
  #fenced = false;
  #full = false;
  #passed = 0;

  constructor(context: ShardContext, record: ShardRecord, revision: Revision | "absent") {
    const { ports, seenFolder } = context;
    this.#context = context;
    this.#record = record;
    this.#saved = record;
    this.#revision = revision;
    this.#session = ports.random.uuid();
    this.#savedAtMs = ports.clock.now();
    this.#writer =
      seenFolder === undefined ? undefined : new SeenWriter(ports.store, seenFolder, () => ports.random.uuid());
  }

  /** The last checkpoint. */
  get saved(): ShardRecord {
    return this.#saved;
  }

  /** Objects passed over since this function began. */
  get passed(): number {
    return this.#passed;
  }

  /** The record has no room for more of what was confirmed: the next round has records of its own. */
  get isFull(): boolean {
    return this.#full;
  }

  /** The next round, or another function, goes on from an earlier checkpoint: nothing more is recorded. */
  get isFenced(): boolean {
    return this.#fenced;
  }

  /** A stretch whose events are sent. In one step: no checkpoint sees half of it. */
  pass(stretch: Stretch, passed: Passed): void {
    const { left, tail, last } = this.#record;
    if (left.kind !== "keys") return;
    const { objects, ...range } = stretch;
    const ranges = subtractRange(left.ranges, range);
    const lastKey = laterKey(last ?? "", objects.at(-1)?.key ?? "");
    const tailKeys = this.#context.lookbackKeys;
    this.#count(passed, {
      left: { ...left, ranges },
      done: ranges.length === 0,
      tail: joinTails([tail, tailOf(objects, tailKeys)], tailKeys),
      ...(lastKey === "" ? {} : { last: lastKey }),
    });
  }

  /** The rows of an inventory up to this one; their events are sent. */
  passRows(rowsDone: number, passed: Passed): void {
    const { left } = this.#record;
    if (left.kind === "inventory") this.#count(passed, { left: { ...left, rowsDone } });
  }

  finishRows(): void {
    this.#record = { ...this.#record, done: true };
  }

  #count({ counts, confirmed }: Passed, changes: Partial<ShardRecord>): void {
    this.#writer?.add(confirmed);
    this.#passed += counts.total ?? 0;
    this.#record = { ...this.#record, ...changes, counts: addCounts(this.#record.counts, counts) };
  }

  /** `stats`: counts of requests so far, of this function as a whole. */
  async saveIfDue(stats: () => Partial<Counts>): Promise<void> {
    const { ports, limits } = this.#context;
    const isDue = ports.clock.now() - this.#savedAtMs >= limits.checkpointEveryMs;
    const isFull = (this.#writer?.heldBytes ?? 0) >= limits.heldBytesMax;
    if ((isDue || isFull) && this.#saving === undefined) await this.save(stats);
  }

  /** A checkpoint, after the one that is being written: each names the revision of the one before it. */
  async save(stats: () => Partial<Counts>): Promise<void> {
    const before = this.#saving ?? Promise.resolve();
    const saving = before.catch(() => undefined).then(() => (this.#fenced ? undefined : this.#write(stats())));
    this.#saving = saving;
    try {
      await saving;
    } finally {
      if (this.#saving === saving) this.#saving = undefined;
    }
  }

  async #write(stats: Partial<Counts>): Promise<void> {
    const { ports, limits } = this.#context;
    const written = this.#record;
    const segments = (await this.#writer?.flush()) ?? [];
    // They are there whatever becomes of this checkpoint: the next one names them too.
    this.#record = withSegments(this.#record, segments);
    this.#full = Buffer.byteLength(JSON.stringify(this.#record.segments)) >= SEGMENTS_BYTES_MAX;
    if (!(await this.#holdLease())) {
      this.#fenced = true;
      return;
    }
    const updatedAtMs = ports.clock.now();
    const counts = addCounts(written.counts, stats);
    const record: ShardRecord = { ...withSegments(written, segments), counts, updatedAtMs };
    const revision = `${this.#session}:${this.#checkpoints++}` as Revision;
    const item = shardItem(record, revision, updatedAtMs + limits.recordsKeptMs);
    const outcome = await writeItem(ports.ledger, item, this.#revision);
    if (outcome.kind === "refused") {
      this.#fenced = true;
      return;
    }
    this.#revision = revision;
    this.#saved = record;
    this.#savedAtMs = updatedAtMs;
  }

  /** A run that nobody else may have taken over keeps its ingestion while its functions get on. */
  async #holdLease(): Promise<boolean> {
    const { ports, limits, input, run } = this.#context;
    if (input.dryRun || this.#leaseUntilMs - ports.clock.now() > limits.leaseMs / 2) return true;
    const leaseUntilMs = await renewActive(ports, limits.leaseMs, run);
    this.#leaseUntilMs = leaseUntilMs ?? 0;
    return leaseUntilMs !== undefined;
  }
}

function withSegments(record: ShardRecord, segments: readonly SeenSegment[]): ShardRecord {
  return segments.length === 0 ? record : { ...record, segments: [...record.segments, ...segments] };
}
