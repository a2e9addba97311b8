// The one path, as the load function walks it: event -> claim -> convert -> stage -> seal. (commit.ts goes on from there.)
// Read this file first. A message is acknowledged only when every file it names is in a sealed batch or has its fate on record;
// whatever else happens - a crash at any await, a lease that runs out, a lost response - the event comes back and finds the
// ledger as it was left.

import { abortBatch, discardBatch, type HeldBatch, openBatch, sealBatch } from "./batch.ts";
import { BatchWork, type ClaimedTask, type FileOutcome } from "./batch-work.ts";
import { type ClaimOutcome, claimFile, decideFile } from "./claim.ts";
import { mapLimit } from "./concurrency.ts";
import type { Ingestion } from "./config.ts";
import { isKind, type MoraineError } from "./errors.ts";
import { objectUri, tableIdOf } from "./ids.ts";
import { type LoadMessage, type LoadPlan, planLoad, type Task } from "./load-plan.ts";
import type { Catalog, Clock, Converter, Ledger, ObjectStore, Queues, Random } from "./ports.ts";
import { postpone } from "./postpone.ts";
import type { StagedFile } from "./records.ts";
import type { Router } from "./routing.ts";
import { type FitJob, fitFiles } from "./schema/fit.ts";
import { quarantineFolder } from "./schema/quarantine.ts";
import { addSamples } from "./schema/sample.ts";
import type { Settings } from "./settings.ts";
import { Spans, type Step } from "./spans.ts";
import { stageBatch } from "./stage.ts";

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
  /** Files there was no time for, whose events were sent anew. */
  readonly postponed: number;
  readonly outcomes: Readonly<Record<FileOutcome, number>>;
  /** Events no ingestion asks for. */
  readonly unrouted: number;
  readonly records: number;
  /** Source bytes of the files loaded, as received. */
  readonly bytesRead: number;
  readonly spentMs: Readonly<Record<Step, number>>;
  /** What went wrong outside any one file, for the log: the messages concerned are in `retry`. */
  readonly errors: readonly unknown[];
}

/** Loads what the messages name. Never throws for what one message or one batch did. */
export async function load(context: LoadContext, messages: readonly LoadMessage[]): Promise<LoadReport> {
  const plan = planLoad(context.route, context.settings, messages);
  const errors: unknown[] = [...plan.errors];
  const done = new Map<Task, FileOutcome>();
  const spans = new Spans(context.ports.clock);
  let records = 0;
  let bytesRead = 0;
  let begun = 0;
  for (const batch of plan.batches) {
    if (context.ports.clock.now() >= context.deadlineMs) break;
    begun++;
    try {
      const loaded = await loadBatch({ ...context, spans }, batch.ingestion, batch.tasks);
      for (const [task, outcome] of loaded.outcomes) done.set(task, outcome);
      records += loaded.records;
      bytesRead += loaded.bytesRead;
    } catch (error) {
      errors.push(error);
    }
  }
  const outcomes = countOutcomes(plan, done);
  const { unrouted } = plan;
  const { retry, postponed } = await giveBack(context, plan, done, begun, errors);
  return { retry, postponed, outcomes, unrouted, records, bytesRead, spentMs: spans.spentMs, errors };
}

interface BatchContext extends LoadContext {
  readonly spans: Spans;
}

interface Loaded {
  readonly records: number;
  readonly bytesRead: number;
}

interface BatchResult extends Loaded {
  readonly outcomes: ReadonlyMap<Task, FileOutcome>;
}

/** One batch: opened with what it intends, and then either sealed or aborted. */
async function loadBatch(context: BatchContext, ingestion: Ingestion, tasks: readonly Task[]): Promise<BatchResult> {
  const { ports, settings, spans } = context;
  const table = tableIdOf(ingestion.target);
  const intends = tasks.map((task) => task.event);
  const batch = await openBatch(ports, { table, ingestion: ingestion.id, intends }, settings.leaseMs);
  const outcomes = new Map<Task, FileOutcome>();
  let claimed: readonly ClaimedTask[] = [];
  try {
    claimed = await spans.time("claim", () => claimTasks(context, ingestion, batch, tasks, outcomes));
    const loaded = claimed.length === 0 ? undefined : await loadClaimed(context, ingestion, batch, claimed, outcomes);
    // Not sealed: all it claimed is decided and nothing was uploaded, so nothing but the item is left behind.
    if (loaded === undefined) await discardBatch(ports, batch);
    return { outcomes, ...(loaded ?? { records: 0, bytesRead: 0 }) };
  } catch (error) {
    if (isKind(error, "Fenced")) throw error;
    // Whoever meets the claims of an aborted batch may take the files at once, instead of after the lease.
    const end = await abortBatch(ports, batch, { released: true }).catch(() => undefined);
    if (end !== "aborted" || !isKind(error, "Invalid", "Rejected")) throw error;
    await failAlone(context, claimed, error, outcomes);
    return { outcomes, records: 0, bytesRead: 0 };
  }
}

/**
 * The reason goes on record, and the file goes round no longer, if the error met it alone: at once when one of the batch's files is to
 * blame, too often when none is. Its batch was aborted before, so the claim may have been taken over: then the new holder decides.
 */
async function failAlone(
  { ports, settings }: LoadContext,
  claimed: readonly ClaimedTask[],
  error: MoraineError,
  outcomes: Map<Task, FileOutcome>,
): Promise<void> {
  const [only, ...company] = claimed;
  const { kind, message } = error;
  if (only === undefined || company.length > 0) throw error;
  if (kind !== "Rejected" && only.task.deliveries < settings.deliveriesMax) throw error;
  const reason = kind === "Rejected" ? "REFUSED_BY_TABLE" : "UNLOADABLE";
  const fate = { status: "FAILED", reason, error: { kind, message } } as const;
  await decideFile(ports.ledger, { ...only.file, ...fate, processedAtMs: ports.clock.now() });
  outcomes.set(only.task, "failed");
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
    if (answer.kind === "claimed") claimed.push({ task, ...answer });
    else outcomes.set(task, answer.kind);
  });
  return claimed;
}

/** Convert, stage, seal. What will be in the table once the batch is committed; undefined: nothing was sealed. */
async function loadClaimed(
  context: BatchContext,
  ingestion: Ingestion,
  batch: HeldBatch,
  claimed: readonly ClaimedTask[],
  outcomes: Map<Task, FileOutcome>,
): Promise<Loaded | undefined> {
  const { ports, settings, spans, route } = context;
  const conversion = await ports.converter.start({
    format: ingestion.format,
    compression: ingestion.compression,
    hints: ingestion.schema.hints,
    inferTypes: ingestion.schema.inferTypes,
    badRows: ingestion.badRows,
    lineage: ingestion.lineage,
    targetFileSizeBytes: ingestion.target.targetFileSizeBytes,
    ingestedAtMs: ports.clock.now(),
  });
  try {
    const work = new BatchWork(ports, { settings, ingestion }, claimed, outcomes);
    const fetchOne = (_: ClaimedTask, index: number) => work.fetch(conversion, ingestion.format, index);
    await spans.time("fetch", () => mapLimit(claimed, settings.parallelism, fetchOne));
    if (work.open.length === 0) return undefined;
    const time: FitJob["time"] = (step, run) => spans.time(step, run);
    const sampleMore = () => addSamples({ ...ports, route }, ingestion, conversion, claimed);
    const sources = claimed.length;
    const fitted = await fitFiles({ ports, settings, ingestion, conversion, sources, fates: work, time, sampleMore });
    if (fitted === undefined) return await work.settleEmpty();
    const { result } = fitted;
    const { metadata } = fitted.table;
    const files = work.stagedFiles(result.loaded);
    if (files.length === 0) return undefined;
    const replaces = ingestion.onOverwrite === "replace" ? files.flatMap(replacedPath) : [];
    const { store } = ports;
    const { batch: id } = batch.record;
    const quarantine = quarantineFolder(settings.warehouseUri, ingestion.target, id);
    const job = { store, metadata, batch: id, quarantine, conversion, result, files, replaces };
    const staged = await spans.time("stage", () => stageBatch(job));
    await spans.time("seal", () => sealBatch(ports, batch, staged));
    work.sealed(result.loaded.map(({ index }) => index));
    await hintCommit(context, ingestion);
    return { records: staged.records, bytesRead: files.reduce((sum, file) => sum + file.bytesRead, 0) };
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

/** What is not done comes back: what was tried by its messages, what was never begun by new ones. */
async function giveBack(
  { ports, settings }: LoadContext,
  plan: LoadPlan,
  done: ReadonlyMap<Task, FileOutcome>,
  begun: number,
  errors: unknown[],
): Promise<Pick<LoadReport, "retry" | "postponed">> {
  const tried = plan.batches.slice(0, begun).flatMap(({ tasks }) => tasks);
  const untried = plan.batches.slice(begun).flatMap(({ tasks }) => tasks);
  const idsOf = (tasks: readonly Task[]) => tasks.flatMap((task) => task.messageIds);
  const failed = [...plan.invalid, ...idsOf(tried.filter((task) => !isAcknowledged(done.get(task))))];
  const retry = new Set([...failed, ...idsOf(untried)]);
  // Without a single batch begun nothing would keep the messages from going round as fast as the queue can.
  if (begun === 0) return { retry: [...retry], postponed: 0 };
  const postponed = postpone(untried, new Set(failed), settings);
  try {
    if (postponed.bodies.length > 0) await ports.queues.sendIntake(postponed.bodies);
  } catch (error) {
    // Nobody knows which were sent. One that was is loaded once all the same.
    errors.push(error);
    return { retry: [...retry], postponed: 0 };
  }
  for (const id of postponed.messageIds) retry.delete(id);
  return { retry: [...retry], postponed: postponed.files };
}

function countOutcomes(plan: LoadPlan, done: ReadonlyMap<Task, FileOutcome>): Record<FileOutcome, number> {
  const counts = { loaded: 0, failed: 0, skipped: 0, held: 0, known: 0, busy: 0, retry: 0 };
  for (const task of plan.batches.flatMap((batch) => batch.tasks)) counts[done.get(task) ?? "retry"]++;
  return counts;
}
