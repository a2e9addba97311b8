// The one path, as the load function walks it: event -> claim -> convert -> stage -> seal. (commit.ts goes on from there.)
// Read this file first. A message is acknowledged only when every file it names is in a sealed batch or has its fate on record;
// whatever else happens - a crash at any await, a lease that runs out, a lost response - the event comes back and finds the
// ledger as it was left.

import { abortBatch, discardBatch, type HeldBatch, openBatch, sealBatch } from "./batch.ts";
import { BatchWork, type ClaimedTask, type FileOutcome } from "./batch-work.ts";
import { type ClaimOutcome, claimFile } from "./claim.ts";
import { mapLimit } from "./concurrency.ts";
import type { Ingestion } from "./config.ts";
import { isKind } from "./errors.ts";
import { currentSchema, defaultSpec } from "./iceberg/metadata.ts";
import { objectUri, tableIdOf } from "./ids.ts";
import { type LoadMessage, type LoadPlan, planLoad, type Task } from "./load-plan.ts";
import type { Catalog, Clock, Converter, Ledger, ObjectStore, Queues, Random } from "./ports.ts";
import type { StagedFile } from "./records.ts";
import type { Router } from "./routing.ts";
import type { Settings } from "./settings.ts";
import { stageBatch } from "./stage.ts";
import { prepareTable } from "./table.ts";

export interface LoadPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly store: ObjectStore;
  readonly ledger: Ledger;
  readonly catalog: Catalog;
  readonly queues: Queues;
  readonly converter: Converter;
}

export interface LoadContext {
  readonly ports: LoadPorts;
  readonly settings: Settings;
  readonly route: Router;
  /** No new batch is begun after this. */
  readonly deadlineMs: number;
}

export interface LoadReport {
  /** Ids of messages to be delivered again. */
  readonly retry: readonly string[];
  readonly outcomes: Readonly<Record<FileOutcome, number>>;
  /** Events no ingestion asks for. */
  readonly unrouted: number;
  readonly records: number;
  /** What went wrong outside any one file, for the log: the messages concerned are in `retry`. */
  readonly errors: readonly unknown[];
}

/** Loads what the messages name. Never throws for what one message or one batch did. */
export async function load(context: LoadContext, messages: readonly LoadMessage[]): Promise<LoadReport> {
  const plan = planLoad(context.route, context.settings, messages);
  const errors: unknown[] = [...plan.errors];
  const done = new Map<Task, FileOutcome>();
  let records = 0;
  for (const batch of plan.batches) {
    if (context.ports.clock.now() >= context.deadlineMs) break;
    try {
      const loaded = await loadBatch(context, batch.ingestion, batch.tasks);
      for (const [task, outcome] of loaded.outcomes) done.set(task, outcome);
      records += loaded.records;
    } catch (error) {
      errors.push(error);
    }
  }
  return { retry: undone(plan, done), outcomes: countOutcomes(plan, done), unrouted: plan.unrouted, records, errors };
}

interface BatchResult {
  readonly outcomes: ReadonlyMap<Task, FileOutcome>;
  readonly records: number;
}

/** One batch: opened with what it intends, and then either sealed or aborted. */
async function loadBatch(context: LoadContext, ingestion: Ingestion, tasks: readonly Task[]): Promise<BatchResult> {
  const { ports, settings } = context;
  const table = tableIdOf(ingestion.target);
  const intends = tasks.map((task) => task.event);
  const batch = await openBatch(ports, { table, ingestion: ingestion.id, intends }, settings.leaseMs);
  try {
    const outcomes = new Map<Task, FileOutcome>();
    const claimed = await claimTasks(context, ingestion, batch, tasks, outcomes);
    const records = claimed.length === 0 ? undefined : await loadClaimed(context, ingestion, batch, claimed, outcomes);
    // Not sealed: all it claimed is decided and nothing was uploaded, so nothing but the item is left behind.
    if (records === undefined) await discardBatch(ports, batch);
    return { outcomes, records: records ?? 0 };
  } catch (error) {
    // Whoever meets the claims of an aborted batch may take the files at once, instead of after the lease.
    if (!isKind(error, "Fenced")) await abortBatch(ports, batch).catch(() => undefined);
    throw error;
  }
}

async function claimTasks(
  { ports, settings }: LoadContext,
  ingestion: Ingestion,
  batch: HeldBatch,
  tasks: readonly Task[],
  outcomes: Map<Task, FileOutcome>,
): Promise<ClaimedTask[]> {
  const claim = {
    ports,
    ingestion,
    batch: batch.record.batch,
    batchFiles: tasks.length,
    deathsMax: settings.deathsMax,
  };
  const answers = await mapLimit(tasks, settings.parallelism, (task) => claimFile(claim, task.event));
  const claimed: ClaimedTask[] = [];
  tasks.forEach((task, n) => {
    const answer = answers[n] as ClaimOutcome;
    if (answer.kind === "claimed") claimed.push({ task, file: answer.file });
    else outcomes.set(task, answer.kind);
  });
  return claimed;
}

/** Convert, stage, seal. The rows that will be in the table once the batch is committed; undefined: nothing was sealed. */
async function loadClaimed(
  context: LoadContext,
  ingestion: Ingestion,
  batch: HeldBatch,
  claimed: readonly ClaimedTask[],
  outcomes: Map<Task, FileOutcome>,
): Promise<number | undefined> {
  const { ports, settings } = context;
  const conversion = await ports.converter.start({
    format: ingestion.format,
    compression: ingestion.compression,
    hints: ingestion.schema.hints,
    lineage: ingestion.lineage,
    targetFileSizeBytes: ingestion.target.targetFileSizeBytes,
    ingestedAtMs: ports.clock.now(),
  });
  try {
    const work = new BatchWork(ports, settings, claimed, outcomes);
    await mapLimit(claimed, settings.parallelism, (_, index) => work.fetch(conversion, index));
    if (work.open.length === 0) return undefined;
    const prepared = await prepareTable(ports, settings, ingestion, conversion);
    await work.fail(prepared.failures);
    if (prepared.table === undefined) return await work.settleEmpty();
    const { metadata } = prepared.table;
    const result = await conversion.convert(currentSchema(metadata), defaultSpec(metadata));
    await work.fail(result.failures);
    const files = work.stagedFiles(result.loaded);
    if (files.length === 0) return undefined;
    const replaces = ingestion.onOverwrite === "replace" ? files.flatMap(replacedPath) : [];
    const staged = await stageBatch({
      store: ports.store,
      metadata,
      batch: batch.record.batch,
      conversion,
      result,
      files,
      replaces,
    });
    await sealBatch(ports, batch, staged);
    work.sealed(result.loaded.map(({ index }) => index));
    await hintCommit(context, ingestion);
    return staged.records;
  } finally {
    await conversion.close();
  }
}

/** A hint that gets lost costs time only: the sweeper sees the sealed batch. */
async function hintCommit({ ports, settings }: LoadContext, ingestion: Ingestion): Promise<void> {
  const interval = Math.floor(ports.clock.now() / settings.commitIntervalMs);
  const once = `${tableIdOf(ingestion.target)}:${interval}`;
  await ports.queues.hintCommit(ingestion.target, once).catch(() => undefined);
}

function replacedPath({ claimed }: StagedFile) {
  return (claimed.loaded?.records ?? 0) > 0 ? [objectUri(claimed.bucket, claimed.key)] : [];
}

function isAcknowledged(outcome: FileOutcome | undefined): boolean {
  return outcome !== undefined && outcome !== "busy" && outcome !== "retry";
}

function undone(plan: LoadPlan, done: ReadonlyMap<Task, FileOutcome>): string[] {
  const retry = new Set(plan.invalid);
  for (const task of plan.batches.flatMap((batch) => batch.tasks)) {
    if (!isAcknowledged(done.get(task))) for (const id of task.messageIds) retry.add(id);
  }
  return [...retry];
}

function countOutcomes(plan: LoadPlan, done: ReadonlyMap<Task, FileOutcome>): Record<FileOutcome, number> {
  const counts = { loaded: 0, failed: 0, skipped: 0, known: 0, busy: 0, retry: 0 };
  for (const task of plan.batches.flatMap((batch) => batch.tasks)) counts[done.get(task) ?? "retry"]++;
  return counts;
}
