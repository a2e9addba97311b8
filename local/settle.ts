// Waits until all is said and done: no queue with a consumer holds a message and every object has a final word in the ledger.
// What only the sweeper can finish, it is called for, so that a run does not wait for its schedule.

import { setTimeout as sleep } from "node:timers/promises";
import type { MoraineConfig } from "../lambdas/core/config.ts";
import { type Balance, type LocalPorts, takeBalance } from "./accounting.ts";
import type { LocalStack } from "./stack.ts";

export interface SettleOptions {
  readonly timeoutMs: number;
  /** Pause after a sweep that left files open; default 1 s. */
  readonly pauseMs?: number;
  readonly signal?: AbortSignal;
  /** Sweeps in a row that may change nothing before waiting is given up; default 2. */
  readonly idleSweepsMax?: number;
}

const PAUSE_MS = 1000;
const IDLE_SWEEPS_MAX = 2;

/** The last balance: with open files when time ran out, the signal came, or nothing happens any more. */
export async function settle(
  stack: LocalStack,
  ports: LocalPorts,
  config: MoraineConfig,
  options: SettleOptions,
): Promise<Balance> {
  const untilMs = Date.now() + options.timeoutMs;
  const over = () => Date.now() >= untilMs || options.signal?.aborted === true;
  let idleSweeps = 0;
  for (;;) {
    const isQuiet = await stack.quiet(untilMs - Date.now(), options.signal).then(
      () => true,
      () => false,
    );
    const before = await takeBalance(ports, config);
    if (before.open.length === 0 || !isQuiet || over()) return before;
    await stack.trigger("Sweep");
    await sleep(options.pauseMs ?? PAUSE_MS);
    const after = await takeBalance(ports, config);
    idleSweeps = after.open.length === before.open.length && isIdle(stack) ? idleSweeps + 1 : 0;
    if (idleSweeps >= (options.idleSweepsMax ?? IDLE_SWEEPS_MAX) || over()) return after;
  }
}

function isIdle(stack: LocalStack): boolean {
  return Object.entries(stack.queueDepths()).every(([name, { visible, inFlight, delayed }]) => {
    return /dead/i.test(name) || visible + inFlight + delayed === 0;
  });
}
