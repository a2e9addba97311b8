// One run at a time: whoever holds the ingestion's ACTIVE item lists it. The lease says when a silent run may be taken over; that
// the dead one writes no more is not left to clocks but to conditions (its shards are closed, its run is FAILED).

import { MoraineError } from "../errors.ts";
import type { Revision } from "../ids.ts";
import { removeItem, writeItem } from "../ledger-writes.ts";
import type { Clock, Ledger } from "../ports.ts";
import type { RunHandle } from "./run.ts";
import type { RunLimits } from "./run-limits.ts";
import { activeItem, activeKey, begunItem, readActive, readBegun } from "./run-records.ts";

export interface LeasePorts {
  readonly ledger: Ledger;
  readonly clock: Clock;
}

/** Each turn means that somebody else wrote the very item in between. */
const TURNS_MAX = 12;

/** When a run began is decided once, so that a begin that is repeated speaks of the same run: what was decided before, or this. */
export async function decideStart({ ledger }: LeasePorts, limits: RunLimits, run: RunHandle): Promise<RunHandle> {
  const { runId, startedAtMs } = run;
  const item = begunItem(run, `${runId}:${startedAtMs}` as Revision, startedAtMs + limits.recordsKeptMs);
  const outcome = await writeItem(ledger, item, "absent");
  return outcome.kind === "written" || outcome.current === undefined ? run : readBegun(outcome.current);
}

/** The run that holds the ingestion now: this one, or one that is under way. */
export async function takeActive({ ledger, clock }: LeasePorts, leaseMs: number, run: RunHandle): Promise<RunHandle> {
  let expected: Revision | "absent" = "absent";
  for (let turn = 0; turn < TURNS_MAX; turn++) {
    const leaseUntilMs = clock.now() + leaseMs;
    const item = activeItem({ ...run, leaseUntilMs }, revisionOf(run, leaseUntilMs));
    const outcome = await writeItem(ledger, item, expected);
    if (outcome.kind === "written") return run;
    if (outcome.current === undefined) {
      expected = "absent";
      continue;
    }
    const { leaseUntilMs: untilMs, ...holder } = readActive(outcome.current);
    if (holder.runId === run.runId || untilMs > clock.now()) return holder;
    expected = outcome.current.revision;
  }
  throw new MoraineError("Unavailable", "the ingestion's active run keeps changing", { ingestion: run.ingestion });
}

/** Until when the run now holds its ingestion; undefined: it does not any more. */
export async function renewActive(
  { ledger, clock }: LeasePorts,
  leaseMs: number,
  run: RunHandle,
): Promise<number | undefined> {
  for (let turn = 0; turn < TURNS_MAX; turn++) {
    const item = await ledger.read(activeKey(run.ingestion));
    if (item === undefined) return undefined;
    const active = readActive(item);
    if (!isSameRun(active, run)) return undefined;
    const leaseUntilMs = clock.now() + leaseMs;
    if (active.leaseUntilMs >= leaseUntilMs) return active.leaseUntilMs;
    const next = activeItem({ ...active, leaseUntilMs }, revisionOf(run, leaseUntilMs));
    if ((await writeItem(ledger, next, item.revision)).kind === "written") return leaseUntilMs;
  }
  throw new MoraineError("Unavailable", "the lease of a run keeps changing", { runId: run.runId });
}

export async function freeActive({ ledger }: LeasePorts, run: RunHandle): Promise<void> {
  for (let turn = 0; turn < TURNS_MAX; turn++) {
    const item = await ledger.read(activeKey(run.ingestion));
    if (item === undefined || !isSameRun(readActive(item), run)) return;
    if ((await removeItem(ledger, item.key, item.revision)).kind === "written") return;
  }
  throw new MoraineError("Unavailable", "the lease of a run keeps changing", { runId: run.runId });
}

/** A begin that comes late may take the ingestion once more: under another start, which is no concern of the run that began. */
function isSameRun(a: RunHandle, b: RunHandle): boolean {
  return a.runId === b.runId && a.startedAtMs === b.startedAtMs && a.ingestion === b.ingestion;
}

function revisionOf({ runId, startedAtMs }: RunHandle, leaseUntilMs: number): Revision {
  return `${runId}:${startedAtMs}:${leaseUntilMs}` as Revision;
}
