// The run's own item: read, held while a step works, and moved on by one conditional write per step. A run that is over stays as it
// ended, so a step that comes late, or twice, finds out here.

import type { Ingestion } from "../config.ts";
import { MoraineError } from "../errors.ts";
import type { IngestionId, Revision } from "../ids.ts";
import { writeItem } from "../ledger-writes.ts";
import type { LedgerItem } from "../ports.ts";
import { sourceOf } from "./cursor.ts";
import type { RunRecord } from "./model.ts";
import type { RunContext, RunHandle } from "./run.ts";
import { type LeasePorts, renewActive } from "./run-active.ts";
import { RUN_LIMITS, type RunLimits } from "./run-limits.ts";
import { begunKey, readBegun, readRun, runItem, runKey } from "./run-records.ts";

export interface StoredRun {
  readonly record: RunRecord;
  readonly revision: Revision;
}

const ERROR_LENGTH_MAX = 1000;

export function limitsOf(context: RunContext): RunLimits {
  return context.limits ?? RUN_LIMITS;
}

export function ingestionOf(context: RunContext, id: IngestionId): Ingestion {
  const ingestion = context.config.ingestions.find((candidate) => candidate.id === id);
  if (ingestion !== undefined) return ingestion;
  throw new MoraineError("Invalid", "the ingestion is not configured any more: deploy it again", { ingestion: id });
}

export async function readRunOf({ ledger }: Pick<LeasePorts, "ledger">, run: RunHandle): Promise<StoredRun> {
  const item = await ledger.read(runKey(run.ingestion, run.startedAtMs, run.runId));
  if (item !== undefined) return storedOf(item);
  throw new MoraineError("Fenced", "no such run: it was taken over before it was on record", { runId: run.runId });
}

/** The run, if it goes on: it is RUNNING and the ingestion is its own, for another lease. Throws Fenced otherwise. */
export async function holdRun(context: RunContext, run: RunHandle): Promise<StoredRun> {
  const stored = await readRunOf(context.ports, run);
  const { status, input, error } = stored.record;
  if (status !== "RUNNING") throw new MoraineError("Fenced", "the run is over", { runId: run.runId, status, error });
  await holdIngestion(context, run, input.dryRun);
  return stored;
}

/**
 * A step that would list by another choice of files than the run began with, after a deploy or before one is undone, does nothing:
 * what it left out would count as listed.
 */
export function requireSource({ config }: RunContext, { runId, ingestion: id, source }: RunRecord): void {
  const ingestion = config.ingestions.find((candidate) => candidate.id === id);
  if (ingestion !== undefined && sourceOf(ingestion, config.ingestions) === source) return;
  throw new MoraineError("Unavailable", "the ingestion takes other files than when the run began: start another run", {
    runId,
    ingestion: id,
  });
}

/** A dry run leaves nothing behind that another run could trip over: it needs no lease. */
export async function holdIngestion(context: RunContext, run: RunHandle, dryRun: boolean): Promise<void> {
  if (dryRun || (await renewActive(context.ports, limitsOf(context).leaseMs, run)) !== undefined) return;
  throw new MoraineError("Fenced", "another run has taken the ingestion over", { runId: run.runId });
}

/** One step forward. Refused because the very step is on record already: done. Throws Fenced when the run has ended meanwhile. */
export async function moveRun(
  context: RunContext,
  { record, revision }: StoredRun,
  changes: Partial<RunRecord>,
): Promise<RunRecord> {
  const next: RunRecord = { ...record, ...changes, updatedAtMs: context.ports.clock.now() };
  const outcome = await writeItem(context.ports.ledger, runItem(next, revisionOf(next)), revision);
  if (outcome.kind === "written") return next;
  const current = outcome.current && readRun(outcome.current);
  if (current?.status === next.status && current.round === next.round) return current;
  throw new MoraineError("Fenced", "the run was ended by another", { runId: record.runId, status: current?.status });
}

/** A run that has ended stays as it is. */
export async function markFailed({ ledger, clock }: LeasePorts, run: StoredRun, error: string): Promise<RunRecord> {
  let { record, revision } = run;
  while (record.status === "RUNNING") {
    const nowMs = clock.now();
    const text = error.slice(0, ERROR_LENGTH_MAX);
    const failed: RunRecord = { ...record, status: "FAILED", error: text, updatedAtMs: nowMs, endedAtMs: nowMs };
    const outcome = await writeItem(ledger, runItem(failed, revisionOf(failed)), revision);
    if (outcome.kind === "written") return failed;
    if (outcome.current === undefined) return failed;
    ({ record, revision } = storedOf(outcome.current));
  }
  return record;
}

/** Of an earlier run, from its id; undefined when that is forgotten. */
export async function findRun({ ledger }: Pick<LeasePorts, "ledger">, runId: string): Promise<StoredRun | undefined> {
  const begun = await ledger.read(begunKey(runId));
  if (begun === undefined) return undefined;
  const { ingestion, startedAtMs } = readBegun(begun);
  const item = await ledger.read(runKey(ingestion, startedAtMs, runId));
  return item && storedOf(item);
}

export function storedOf(item: LedgerItem): StoredRun {
  return { record: readRun(item), revision: item.revision };
}

export function revisionOf({ runId, status, round }: RunRecord): Revision {
  return `${runId}:${status}:${round}` as Revision;
}
