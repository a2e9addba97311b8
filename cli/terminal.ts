// Everything of the machine that the command touches, so that tests run the whole command in memory.

import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { connectOperator, type Operator, type OperatorTarget } from "../lambdas/adapters/operator.ts";
import { SystemRandom } from "../lambdas/adapters/system.ts";

export interface Terminal {
  write(text: string): void;
  writeError(text: string): void;
  /** undefined: there is no such file. Other failures are thrown. */
  readFile(path: string): string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  connect(target: OperatorTarget): Operator;
  now(): number;
  sleep(ms: number): Promise<void>;
  /** Unique, sorts by time. */
  uuid(): string;
  /** Somebody pressed Ctrl-C: stop waiting. */
  interrupted(): boolean;
  /** A person watches: a line may be written over. */
  readonly rewrites: boolean;
}

let interrupts = 0;

export const systemTerminal: Terminal = {
  now: Date.now,
  sleep: (ms) => sleep(ms),
  uuid: () => new SystemRandom().uuid(),
  interrupted() {
    if (interrupts === 0) process.once("SIGINT", () => void interrupts++);
    return interrupts > 0;
  },
  rewrites: process.stderr.isTTY === true,
  write: (text) => void process.stdout.write(text),
  writeError: (text) => void process.stderr.write(text),
  readFile,
  env: process.env,
  connect(target) {
    if (target.endpointUrl !== undefined) signAnyhow();
    return connectOperator(target);
  },
};

function readFile(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** The local stack asks for no credentials, but the SDK sends nothing unsigned; whoever has a profile keeps it. */
function signAnyhow(): void {
  if (process.env["AWS_ACCESS_KEY_ID"] !== undefined || process.env["AWS_PROFILE"] !== undefined) return;
  process.env["AWS_ACCESS_KEY_ID"] = "local";
  process.env["AWS_SECRET_ACCESS_KEY"] = "local";
}
