// The commands around listing: one function each, as in commands.ts.

import type { Strategy } from "../lambdas/core/discovery/model.ts";
import { recommend as recommendFor } from "../lambdas/core/discovery/recommend.ts";
import { sampleBucket } from "../lambdas/core/discovery/sample.ts";
import { MoraineError } from "../lambdas/core/errors.ts";
import type { IngestionId } from "../lambdas/core/ids.ts";
import { activeRun, startRun, watchRun } from "./backfill.ts";
import { chosenIngestions, type GlobalOptions, onStack, respond, type Stack, withRealBucket } from "./commands.ts";
import { type Checkpoint, renderCheckpoints, renderRun, renderRuns } from "./render-runs.ts";
import { findRun, listRuns, readCheckpoint, readProgress, resetCheckpoint, withCounts } from "./runs.ts";
import type { Terminal } from "./terminal.ts";

export interface BackfillOptions {
  readonly strategy?: Strategy;
  readonly prefix?: string;
  readonly include?: readonly string[];
  readonly exclude?: readonly string[];
  readonly modifiedFrom?: string;
  readonly modifiedBefore?: string;
  readonly dateFrom?: string;
  readonly dateTo?: string;
  readonly pattern?: string;
  /** A number of keys, or a duration. */
  readonly lookback?: number | string;
  readonly overlap?: string;
  readonly inventory?: string;
  readonly sizeMin?: number;
  readonly sizeMax?: number;
  readonly concurrency?: number;
  readonly dryRun: boolean;
  readonly checkAll: boolean;
  readonly fresh: boolean;
  readonly watch: boolean;
  readonly detach: boolean;
}

export async function backfill(
  terminal: Terminal,
  options: GlobalOptions,
  named: string,
  request: BackfillOptions,
): Promise<boolean> {
  return onStack(terminal, options, async (stack) => {
    const [chosen] = chosenIngestions(stack.config, options, named);
    const ingestion = chosen?.id as IngestionId;
    const started = request.watch
      ? await underWay(stack, ingestion)
      : await startRun({ operator: stack.operator, terminal }, machineOf(stack), inputOf(stack, ingestion, request));
    if (request.detach) {
      respond(terminal, options, started, ({ runId }) => `run ${runId} was started\n`);
      return true;
    }
    const watched = { operator: stack.operator, terminal, ingestion, dryRun: request.dryRun, silent: options.json };
    const { runId, execution } = started;
    const progress = await watchRun(watched, runId, execution);
    if (progress === undefined) return true;
    respond(terminal, options, progress, renderRun);
    return progress.run.status === "SUCCEEDED";
  });
}

async function underWay(
  { operator }: Stack,
  ingestion: IngestionId,
): Promise<{ readonly runId: string; readonly execution?: string }> {
  const runId = await activeRun(operator, ingestion);
  if (runId !== undefined) return { runId };
  throw new MoraineError("Invalid", `no run of ${ingestion} is under way: leave --watch out to start one`);
}

function machineOf({ parts }: Stack): string {
  if (parts.backfill !== undefined) return parts.backfill;
  throw new MoraineError(
    "Invalid",
    "the backfill state machine is not known: its ARN is an output of the stack (BackfillStateMachineArn); deploy again, or give --outputs FILE",
  );
}

/** As the state machine takes it: docs/backfill.md. */
function inputOf({ parts }: Stack, ingestion: IngestionId, request: BackfillOptions): Record<string, unknown> {
  const { sizeMin: sizeBytesMin, sizeMax: sizeBytesMax, watch: _watch, detach: _detach, ...rest } = request;
  const inventory = request.inventory && withRealBucket(request.inventory, parts.buckets);
  return { ingestion, ...rest, inventory, sizeBytesMin, sizeBytesMax };
}

export async function runs(
  terminal: Terminal,
  options: GlobalOptions,
  query: { readonly ingestion?: string; readonly limit: number },
): Promise<boolean> {
  return onStack(terminal, options, async ({ operator, config }) => {
    const ingestions = chosenIngestions(config, options, query.ingestion);
    const lists = await Promise.all(ingestions.map(({ id }) => listRuns(operator.ledger, id, query.limit)));
    const newestFirst = lists.flat().toSorted((a, b) => b.startedAtMs - a.startedAtMs);
    const counted = await Promise.all(newestFirst.map((record) => withCounts(operator.ledger, record)));
    respond(terminal, options, counted, renderRuns);
    return true;
  });
}

export async function run(terminal: Terminal, options: GlobalOptions, id: string): Promise<boolean> {
  return onStack(terminal, options, async ({ operator, config }) => {
    const ids = config.ingestions.map((ingestion) => ingestion.id);
    const found = await findRun(operator.ledger, ids, id);
    if (found === undefined) {
      terminal.writeError(`no run ${id}: moraine runs shows those there were\n`);
      return false;
    }
    respond(terminal, options, await readProgress(operator.ledger, found, terminal.now()), renderRun);
    return true;
  });
}

export async function checkpoints(
  terminal: Terminal,
  options: GlobalOptions,
  named: string | undefined,
  { reset }: { readonly reset: boolean },
): Promise<boolean> {
  if (reset && named === undefined) {
    throw new MoraineError("Invalid", "--reset needs the ingestion whose checkpoint is to be forgotten: name it");
  }
  return onStack(terminal, options, async ({ operator, config }) => {
    const answers: Checkpoint[] = [];
    for (const { id } of chosenIngestions(config, options, named)) {
      const done = reset ? { reset: await resetCheckpoint(operator.ledger, id) } : {};
      const cursor = await readCheckpoint(operator.ledger, id);
      answers.push({ ingestion: id, ...done, ...(cursor === undefined ? {} : { cursor }) });
    }
    respond(terminal, options, answers, renderCheckpoints);
    return true;
  });
}

export async function recommend(terminal: Terminal, options: GlobalOptions, path: string): Promise<boolean> {
  return onStack(terminal, options, async ({ operator, parts }) => {
    const [, bucket, prefix = ""] = /^s3:\/\/([^/]+)(?:\/(.*))?$/s.exec(withRealBucket(path, parts.buckets)) ?? [];
    if (bucket === undefined) throw new MoraineError("Invalid", `${path} is no s3://bucket/prefix/`);
    const ports = { lister: operator.lister, timer: terminal, clock: terminal };
    const sample = await sampleBucket(ports, bucket, prefix);
    respond(terminal, options, recommendFor(sample), ({ strategy, why, yaml }) => {
      return `${strategy}\n${why.map((line) => `  - ${line}\n`).join("")}\n${yaml}`;
    });
    return true;
  });
}
