// The claimed files of one batch on their way: fetched, failed, skipped, released or staged, each leaving once with one outcome.
// Invariant: before a batch is sealed, every file it claimed is either among its staged files or has its fate on record.
// (A claim that a sealed batch forgot would be taken for loaded.)

import { asLoaded, decideFile } from "./claim.ts";
import { mapLimit } from "./concurrency.ts";
import type { FormatOptions, Ingestion } from "./config.ts";
import { isKind, MoraineError } from "./errors.ts";
import { objectUri } from "./ids.ts";
import type { Task } from "./load-plan.ts";
import { needsBody } from "./object-rows.ts";
import type {
  Clock,
  Conversion,
  Ledger,
  LoadedSource,
  ObjectStore,
  Queues,
  Random,
  Source,
  SourceFailure,
} from "./ports.ts";
import type { FileRecord, StagedFile } from "./records.ts";
import { differencesText } from "./schema/diff.ts";
import { holdFile } from "./schema/hold.ts";
import type { BreakingSource, Fates } from "./schema/job.ts";
import { quarantineFile } from "./schema/quarantine.ts";
import type { Settings } from "./settings.ts";

export type FileOutcome =
  /** In a sealed batch. */
  | "loaded"
  /** FAILED, with its reason. */
  | "failed"
  /** Superseded or gone before it could be read. */
  | "skipped"
  /** Waits for a decision about its schema. */
  | "held"
  /** Already decided, or being brought about by another batch. */
  | "known"
  /** Held by somebody; the event comes back. */
  | "busy"
  /** A service was not available; the event comes back. */
  | "retry";

export interface ClaimedTask {
  readonly task: Task;
  readonly file: FileRecord;
  /** What the record said before the claim, if that was a last word. */
  readonly previous?: FileRecord;
}

const HELD = { status: "SKIPPED", reason: "SCHEMA_HELD" } as const;
const REJECTED = { status: "REJECTED", reason: "SCHEMA_REJECTED" } as const;

interface WorkPorts {
  readonly store: ObjectStore;
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly random: Random;
  readonly queues: Queues;
}

export class BatchWork implements Fates {
  readonly #ports: WorkPorts;
  readonly #settings: Settings;
  readonly #ingestion: Ingestion;
  readonly #claimed: readonly ClaimedTask[];
  readonly #outcomes: Map<Task, FileOutcome>;
  readonly #modifiedMs = new Map<number, number>();

  constructor(
    ports: WorkPorts,
    { settings, ingestion }: { readonly settings: Settings; readonly ingestion: Ingestion },
    claimed: readonly ClaimedTask[],
    outcomes: Map<Task, FileOutcome>,
  ) {
    this.#ports = ports;
    this.#settings = settings;
    this.#ingestion = ingestion;
    this.#claimed = claimed;
    this.#outcomes = outcomes;
  }

  /** Indices of files that are still to be loaded. */
  get open(): readonly number[] {
    return this.#claimed.flatMap(({ task }, index) => (this.#outcomes.has(task) ? [] : [index]));
  }

  /** What was claimed is what is read: If-Match. What the format does not want to read is taken as it was claimed. */
  async fetch(conversion: Conversion, format: FormatOptions, index: number): Promise<void> {
    const { bucket, key, version } = this.#at(index).file;
    const { etag, versionId, sizeBytes, timeMs } = version;
    const uri = objectUri(bucket, key);
    const claimed = { index, uri, etag, ...(versionId === undefined ? {} : { versionId }) };
    const reads = needsBody(format, sizeBytes);
    try {
      if (!reads) return await this.#add(conversion, { ...claimed, sizeBytes, lastModifiedMs: timeMs }, undefined);
      const got = await this.#ports.store.get(uri, { ifMatch: etag });
      if (got.kind !== "found") return await this.#skip(index, got.kind);
      this.#modifiedMs.set(index, got.lastModifiedMs);
      const read = { ...claimed, sizeBytes: got.sizeBytes, lastModifiedMs: got.lastModifiedMs };
      await this.#add(conversion, read, got.body);
    } catch (error) {
      if (isKind(error, "Rejected")) {
        await this.fail([{ index, reason: "UNREADABLE_OBJECT", message: error.message }]);
      } else if (isKind(error, "Unavailable")) {
        await this.#release(index, error);
      } else {
        throw error;
      }
    }
  }

  async #add(conversion: Conversion, source: Source, body: AsyncIterable<Uint8Array> | undefined): Promise<void> {
    const failure = await conversion.add(source, body);
    if (failure !== undefined) await this.fail([failure]);
  }

  async fail(failures: readonly SourceFailure[]): Promise<void> {
    const open = new Set(this.open);
    await mapLimit(
      failures.filter(({ index }) => open.has(index)),
      this.#settings.parallelism,
      async (failure) => {
        const { index, reason, ...error } = failure;
        if (this.#ingestion.badRows.onBadRow === "quarantine") await this.#quarantine(failure);
        this.#outcomes.set(this.#at(index).task, "failed");
        await this.#decide(index, { status: "FAILED", reason, error: { kind: "Rejected", ...error } });
      },
    );
  }

  #quarantine({ index, reason, message, line, byte }: SourceFailure): Promise<void> {
    const { bucket, key, version } = this.#at(index).file;
    return quarantineFile(this.#ports, this.#settings.warehouseUri, this.#ingestion.target, {
      file: objectUri(bucket, key),
      member: null,
      version: version.etag,
      line: line ?? null,
      byte: byte ?? null,
      reason,
      message,
      text: null,
    });
  }

  /** Held, or what was decided about its difference in the meantime. */
  async hold({ index, ...breaking }: BreakingSource): Promise<void> {
    const { task, file } = this.#at(index);
    const outcome = await holdFile(this.#ports, { file, ...breaking });
    if (outcome.kind === "again") {
      this.#outcomes.set(task, "retry");
      return this.#decide(index, { status: "DISCOVERED", reason: "SCHEMA_RELEASED" });
    }
    const { fingerprint } = outcome;
    const differences = differencesText(breaking.differences);
    const [first] = breaking.differences;
    const place = {
      ...(first === undefined ? {} : { column: first.path }),
      ...(first?.line === undefined ? {} : { line: first.line }),
    };
    const isHeld = outcome.kind === "held";
    const message = isHeld
      ? `waits for a decision on schema change ${fingerprint}: moraine schema show ${fingerprint} (${differences})`
      : `schema change ${fingerprint} was rejected (${differences})`;
    this.#outcomes.set(task, isHeld ? "held" : "failed");
    await this.#decide(index, {
      ...(isHeld ? HELD : REJECTED),
      fingerprint,
      error: { kind: "Rejected", message, ...place },
    });
  }

  /** Files without a single record, and no table yet: nothing to commit, and still loaded, with no rows. */
  async settleEmpty(): Promise<undefined> {
    await mapLimit(this.open, this.#settings.parallelism, async (index) => {
      const { task, file } = this.#at(index);
      const processedAtMs = this.#ports.clock.now();
      const { version } = this.#asRead(index);
      const loaded = { version, batch: file.batch, records: 0, bytesRead: version.sizeBytes, seq: 0, processedAtMs };
      await this.#decide(index, { status: "SUCCESS", records: 0, loaded });
      this.#outcomes.set(task, "loaded");
    });
    return undefined;
  }

  stagedFiles(loaded: readonly LoadedSource[]): StagedFile[] {
    const open = new Set(this.open);
    const files = loaded
      .filter(({ index }) => open.has(index))
      .map(({ index, records, rescued, quarantined, bytesRead }) => ({
        claimed: this.#asRead(index),
        records,
        bytesRead,
        ...(rescued > 0 ? { rescued } : {}),
        ...(quarantined > 0 ? { quarantined } : {}),
      }));
    if (files.length !== open.size || loaded.length !== open.size) {
      throw new MoraineError("Corrupt", "converter lost or invented a source", {
        open: open.size,
        loaded: loaded.length,
      });
    }
    return files;
  }

  sealed(indices: readonly number[]): void {
    for (const index of indices) this.#outcomes.set(this.#at(index).task, "loaded");
  }

  /**
   * 412: a newer version is there and its event is coming. 404: the object is gone. The version that was claimed says nothing, then:
   * what was on record stays on record, and rows of an earlier version stay with the record of them.
   */
  async #skip(index: number, kind: "changed" | "absent"): Promise<void> {
    const { task, file, previous } = this.#at(index);
    this.#outcomes.set(task, "skipped");
    if (previous !== undefined) return decideFile(this.#ports.ledger, { ...previous, batch: file.batch });
    if (file.loaded !== undefined) return decideFile(this.#ports.ledger, asLoaded(file));
    return this.#decide(index, { status: "SKIPPED", reason: kind === "changed" ? "SUPERSEDED" : "OBJECT_GONE" });
  }

  /**
   * A file whose bytes could not be had now goes back, unclaimed, and its neighbours go on. When it has been delivered too
   * often its reason goes on record instead, so that it does not end nameless in the dead-letter queue.
   */
  async #release(index: number, error: MoraineError): Promise<void> {
    const { task } = this.#at(index);
    const last = task.receives >= this.#settings.deliveriesMax;
    const facts = { error: { kind: error.kind, message: error.message } };
    await this.#decide(
      index,
      last
        ? { status: "FAILED", reason: "UNAVAILABLE", ...facts }
        : { status: "DISCOVERED", reason: "UNAVAILABLE", ...facts },
    );
    this.#outcomes.set(task, last ? "failed" : "retry");
  }

  /** The version as it was read: LastModified is known now, and tells a listing of the same upload from another upload of the same bytes. */
  #asRead(index: number): FileRecord {
    const { file } = this.#at(index);
    const timeMs = this.#modifiedMs.get(index) ?? file.version.timeMs;
    return { ...file, version: { ...file.version, timeMs } };
  }

  async #decide(index: number, fate: Partial<FileRecord>): Promise<void> {
    const processedAtMs = this.#ports.clock.now();
    const file = this.#asRead(index);
    await decideFile(this.#ports.ledger, {
      ...file,
      ...fate,
      processedAtMs,
      durationMs: processedAtMs - file.startedAtMs,
    });
  }

  #at(index: number): ClaimedTask {
    const claimed = this.#claimed[index];
    if (claimed === undefined)
      throw new MoraineError("Corrupt", "converter named a source it was not given", { index });
    return claimed;
  }
}
