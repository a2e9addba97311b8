// The state machine of lib/backfill-machine.ts as a model: steps in order, each tried a few times. It loses patience with functions that
// live on, takes a lost answer for a failure, and an operator may stop it between two steps without a word.

import { mapLimit } from "../../../lambdas/core/concurrency.ts";
import type { KnownFiles } from "../../../lambdas/core/discovery/known-files.ts";
import type { ShardTask } from "../../../lambdas/core/discovery/list-shard.ts";
import { listShard, openShard } from "../../../lambdas/core/discovery/list-shard.ts";
import type { RunReport } from "../../../lambdas/core/discovery/model.ts";
import {
  type Begun,
  beginRun,
  failRun,
  finishRun,
  gatherRound,
  planRound,
  type RoundHandle,
  type RunContext,
  type RunHandle,
} from "../../../lambdas/core/discovery/run.ts";
import { isKind } from "../../../lambdas/core/errors.ts";
import type { World } from "../world.ts";
import { INVOCATION_MS } from "./setup.ts";

export type Ended =
  | { readonly kind: "succeeded"; readonly run: RunHandle; readonly report: RunReport }
  | { readonly kind: "joined" | "failed" | "stopped" };

export interface MachineHost {
  readonly world: World;
  /** A context whose ports are those of one invocation. */
  invoke(name: string): RunContext;
  /** Faults are on. */
  isFaulty(): boolean;
  readonly objectsMax: number;
  tasksOf(round: RoundHandle): readonly ShardTask[];
  begun(run: RunHandle): void;
  waited(): void;
  planned(run: RunHandle): Promise<void>;
  /** What errors an operator would be paged for come to. */
  notice(error: unknown): void;
  seenAs(seen: KnownFiles | undefined): KnownFiles | undefined;
}

const ATTEMPTS_MAX = 4;
const BUSY_WAIT_MS = 2_000;
/** Of waiting too short for a step; a shard's function is more often given up for good while it lives on. */
const IMPATIENT = 0.06;
const IMPATIENT_LISTING = 0.2;

class Stopped extends Error {}

export async function execute(host: MachineHost, name: string, input: object): Promise<Ended> {
  const execution = { name, arn: `arn:${name}` };
  const begin = (before?: Begun) =>
    step(host, `${name} begin`, (context) => beginRun(context, input, execution, before));
  try {
    let begun = await begin();
    for (; begun.kind === "busy"; begun = await begin(begun)) {
      host.waited();
      await host.world.sleep(BUSY_WAIT_MS);
    }
    if (begun.kind === "joined") return { kind: "joined" };
    host.begun(begun.run);
    return await runOn(host, begun.run, begun.functionsMax);
  } catch (error) {
    return { kind: error instanceof Stopped ? "stopped" : "failed" };
  }
}

async function runOn(host: MachineHost, run: RunHandle, functionsMax: number): Promise<Ended> {
  const { runId } = run;
  try {
    let round = await step(host, `${runId} plan`, (context) => planRound(context, run));
    await host.planned(run);
    for (;;) {
      await mapLimit(host.tasksOf(round), functionsMax, (task) => list(host, run, task));
      const gathered = await step(host, `${runId} gather`, (context) => gatherRound(context, run, round));
      if (gathered.kind === "done") break;
      round = gathered.round;
    }
    const report = await step(host, `${runId} finish`, (context) => finishRun(context, run));
    return { kind: "succeeded", run, report };
  } catch (error) {
    if (error instanceof Stopped) throw error;
    await step(host, `${runId} fail`, (context) => failRun(context, run, String(error)));
    throw error;
  }
}

/** The map tolerates every failure. */
async function list(host: MachineHost, run: RunHandle, task: ShardTask): Promise<void> {
  const { world, objectsMax } = host;
  const work = async (context: RunContext): Promise<void> => {
    const deadlineMs = world.now() + INVOCATION_MS * 0.6;
    const shard = await openShard(context, run, { deadlineMs, objectsMax });
    const seen = host.seenAs(shard.seen);
    await listShard({ ...shard, ...(seen === undefined ? {} : { seen }) }, task);
  };
  const options = { attemptsMax: host.isFaulty() ? 1 + world.upTo(2) : ATTEMPTS_MAX, impatient: IMPATIENT_LISTING };
  await step(host, `${run.runId} list ${task.shard.id}`, work, options).catch((error: unknown) => {
    if (error instanceof Stopped) throw error;
  });
}

async function step<T>(
  host: MachineHost,
  name: string,
  work: (context: RunContext) => Promise<T>,
  { attemptsMax = ATTEMPTS_MAX, impatient = IMPATIENT } = {},
): Promise<T> {
  const { world } = host;
  for (let attempt = 1; ; attempt++) {
    if (host.isFaulty() && world.chance(0.015)) throw new Stopped(name);
    try {
      return await waitFor(host, name, work(host.invoke(name)), impatient);
    } catch (error) {
      host.notice(error);
      if (attempt >= attemptsMax || isKind(error, "Invalid", "Corrupt")) throw error;
      await world.sleep(100 + world.upTo(1_000));
    }
  }
}

/** What it waits for may go on when it does not wait any more. */
async function waitFor<T>(host: MachineHost, name: string, work: Promise<T>, impatient: number): Promise<T> {
  const { world } = host;
  const isImpatient = host.isFaulty() && world.chance(impatient);
  const patienceMs = isImpatient ? 100 + world.upTo(2_000) : INVOCATION_MS;
  const late = world.sleep(patienceMs).then(() => {
    throw new Error(`${name} timed out`);
  });
  const answer = await Promise.race([work, late]);
  if (host.isFaulty() && world.chance(0.03)) throw new Error(`${name}: answer lost`);
  return answer;
}
