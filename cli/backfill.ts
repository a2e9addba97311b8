// `moraine backfill`: starts a run of the state machine (which may join or wait for the one under way), shows how far it is, and ends with its report.
// The run lives in Step Functions: Ctrl-C ends the watching and nothing else.

import type { Execution, Operator } from "../lambdas/adapters/operator.ts";
import type { RunRecord } from "../lambdas/core/discovery/model.ts";
import { RUN_LIMITS } from "../lambdas/core/discovery/run-limits.ts";
import { activeKey, readActive } from "../lambdas/core/discovery/run-records.ts";
import { MoraineError } from "../lambdas/core/errors.ts";
import type { IngestionId } from "../lambdas/core/ids.ts";
import { isRecord } from "../lambdas/core/json-shape.ts";
import { renderProgress } from "./render-runs.ts";
import { findRecentRun, type Progress, readProgress } from "./runs.ts";
import type { Terminal } from "./terminal.ts";

const POLL_MS = 1_000;
/** Without a terminal that rewrites its line, a line is written this often. */
const LINE_EVERY_MS = 10_000;

export interface Watched {
  readonly operator: Operator;
  readonly terminal: Terminal;
  readonly ingestion: IngestionId;
  /** It waits for no other run. */
  readonly dryRun: boolean;
  /** Says nothing while it waits. */
  readonly silent: boolean;
}

/** Starts a run; its id, and the execution that will take it up (or will find another under way). */
export async function startRun(
  { operator, terminal }: Pick<Watched, "operator" | "terminal">,
  machineArn: string,
  input: Readonly<Record<string, unknown>>,
): Promise<{ readonly runId: string; readonly execution: string }> {
  const runId = terminal.uuid();
  const execution = await operator.startExecution(machineArn, runId, JSON.stringify({ ...input, trigger: "command" }));
  return { runId, execution };
}

export async function activeRun(operator: Operator, ingestion: IngestionId): Promise<string | undefined> {
  const item = await operator.ledger.read(activeKey(ingestion));
  return item && readActive(item).runId;
}

/** Waits for the run's end; undefined: the watcher went away before. Without `execution`, by the one that the run names. */
export async function watchRun(watched: Watched, runId: string, execution?: string): Promise<Progress | undefined> {
  const { operator, terminal, ingestion } = watched;
  let id = runId;
  let arn = execution;
  let awaited: string | undefined;
  let lineAtMs = 0;
  for (;;) {
    // The execution is asked first: what it ended with is then on record.
    let state = arn === undefined ? undefined : await operator.execution(arn);
    const joined = joinedRun(state);
    if (joined !== undefined && joined !== id) {
      terminal.writeError(`run ${joined} of ${ingestion} listed the same: its report is this one's\n`);
      id = joined;
      arn = state = undefined;
    }
    const run = await findRecentRun(operator.ledger, id);
    failIfDead(state, run, id);
    arn ??= run?.execution;
    if (run === undefined && !watched.dryRun) awaited = await showAwaited(watched, id, awaited);
    // Until it has begun, how far the one is that it waits for.
    const shown = run ?? (awaited === undefined ? undefined : await findRecentRun(operator.ledger, awaited));
    const progress = shown && (await readProgress(operator.ledger, shown, terminal.now()));
    if (progress !== undefined && progress.run === run && run.status !== "RUNNING") {
      if (!watched.silent && terminal.rewrites) terminal.writeError("\r\u001b[2K");
      return progress;
    }
    lineAtMs = show(watched, progress, lineAtMs);
    if (terminal.interrupted()) {
      const once = run === undefined ? " once it has begun" : "";
      terminal.writeError(`\nthe run goes on: moraine run ${id} shows how far it is${once}\n`);
      return undefined;
    }
    await terminal.sleep(POLL_MS);
  }
}

/** Says once which run holds the ingestion before this one has begun. */
async function showAwaited(
  { operator, terminal, ingestion }: Watched,
  runId: string,
  before: string | undefined,
): Promise<string | undefined> {
  const holder = await activeRun(operator, ingestion);
  if (holder === undefined || holder === runId || holder === before) return before;
  terminal.writeError(
    `run ${holder} of ${ingestion} is under way: waiting for its end, which is this one's if it lists the same\n`,
  );
  return holder;
}

function show({ terminal, silent }: Watched, progress: Progress | undefined, lineAtMs: number): number {
  if (silent || progress === undefined) return lineAtMs;
  const nowMs = terminal.now();
  if (terminal.rewrites) terminal.writeError(`\r\u001b[2K${renderProgress(progress)}`);
  else if (nowMs - lineAtMs >= LINE_EVERY_MS) terminal.writeError(`${renderProgress(progress)}\n`);
  else return lineAtMs;
  return nowMs;
}

/** An execution that ended without its run having said so: it never began, or somebody stopped it. Asked before the run was read. */
function failIfDead(state: Execution | undefined, run: RunRecord | undefined, runId: string): void {
  if (state === undefined || state.status === "RUNNING" || state.status === "SUCCEEDED") return;
  if (run !== undefined && run.status !== "RUNNING") return;
  const kind = state.error === "Moraine.Invalid" ? "Invalid" : "Unavailable";
  if (state.status !== "ABORTED") throw new MoraineError(kind, `the run failed: ${causeOf(state)}`, { runId });
  const minutes = RUN_LIMITS.leaseMs / 60_000;
  const remedy = `${minutes} minutes after its last sign of life another one takes over what it has done`;
  throw new MoraineError("Unavailable", `somebody stopped the execution of the run: ${remedy}`, { runId });
}

function causeOf({ error = "no error was given", cause }: Execution): string {
  try {
    const value: unknown = JSON.parse(cause ?? "");
    if (isRecord(value) && typeof value["errorMessage"] === "string") return value["errorMessage"];
  } catch {
    // not json: as it is
  }
  return cause === undefined || cause === "" ? error : cause;
}

function joinedRun(state: Execution | undefined): string | undefined {
  if (state?.output === undefined) return undefined;
  const output: unknown = JSON.parse(state.output);
  if (!isRecord(output) || output["kind"] !== "joined" || !isRecord(output["run"])) return undefined;
  return String(output["run"]["runId"]);
}
