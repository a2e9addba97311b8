// Runs functions from the asset folders CDK would upload, each environment a Node process of its own: own env, own module
// cache, one invocation at a time, warm until it fails. A function waits in line when all its environments are busy
// (AWS would throttle and the event source would come again).
// Processes, not worker threads, because a thread busy in native code cannot be stopped: Worker.terminate() on a running
// DuckDB query did not return within a minute, whereas a timeout or a crash must end everything at once.

import { type ChildProcess, fork } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Faults } from "./faults.ts";
import type { AnswerMessage, InvocationMessage } from "./lambda-runtime.ts";
import type { Caller } from "./servers/front.ts";

export interface FunctionSpec {
  /** Logical id. */
  readonly id: string;
  readonly name: string;
  readonly arn: string;
  readonly codeFolder: string;
  /** Such as `index.handler`. */
  readonly handler: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly memoryMb: number;
  readonly reservedConcurrency?: number;
  /** Folders of its layers, as they would lie under /opt. */
  readonly layers: readonly string[];
}

export type InvokeOutcome =
  | { readonly kind: "returned"; readonly payload: unknown }
  | {
      readonly kind: "failed";
      readonly errorType: string;
      readonly errorMessage: string;
      readonly trace: readonly string[];
    };

export interface LogLine {
  readonly functionId: string;
  readonly requestId: string;
  readonly line: string;
}

export interface LambdaOptions {
  readonly faults: Faults;
  /** Folder for the environments' own /tmp. */
  readonly scratch: string;
  /** Where the host's packages lie: native modules of layers are taken from here, built for this machine. */
  readonly hostModules: string;
  /** Environments of one function at most, when it has no smaller reserved concurrency. */
  readonly environmentsMax: number;
  log(line: LogLine): void;
}

interface Environment {
  readonly accessKey: string;
  readonly child: ChildProcess;
  readonly tmp: string;
  /** Settles the invocation under way; also told of the end of the process. */
  settle: (outcome: InvokeOutcome) => void;
  requestId: string;
  /** Dead or about to be: never to be used again. */
  spent: boolean;
  readonly ready: Promise<InvokeOutcome | undefined>;
}

interface FunctionState {
  readonly spec: FunctionSpec;
  readonly idle: Environment[];
  readonly waiting: (() => void)[];
  environments: number;
}

const RUNTIME_FILE = fileURLToPath(new URL("./lambda-runtime.ts", import.meta.url));
const PAYLOAD_BYTES_MAX = 6 * 1024 * 1024;

export class Lambda {
  readonly #options: LambdaOptions;
  readonly #functions = new Map<string, FunctionState>();
  readonly #environments = new Map<string, { readonly environment: Environment; readonly functionId: string }>();
  #running = 0;
  #made = 0;
  #stopped = false;

  constructor(options: LambdaOptions) {
    this.#options = options;
  }

  define(spec: FunctionSpec): void {
    this.#functions.set(spec.id, { spec, idle: [], waiting: [], environments: 0 });
  }

  /** Invocations under way or in line. */
  get running(): number {
    return this.#running;
  }

  /** Environments made since the start: every one was a cold start. */
  get coldStarts(): number {
    return this.#made;
  }

  callerOf(accessKey: string): Caller | undefined {
    const found = this.#environments.get(accessKey);
    if (found === undefined) return undefined;
    return { functionId: found.functionId, kill: () => kill(found.environment) };
  }

  async invoke(functionId: string, event: unknown): Promise<InvokeOutcome> {
    const state = this.#functions.get(functionId);
    if (state === undefined) throw new Error(`no such function function=${functionId}`);
    this.#running++;
    try {
      const environment = await this.#take(state);
      const outcome = await this.#run(state, environment, JSON.stringify(event ?? null));
      this.#giveBack(state, environment);
      return outcome;
    } finally {
      this.#running--;
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    for (const { waiting } of this.#functions.values()) for (const wake of waiting.splice(0)) wake();
    const ends = [...this.#environments.values()].map(({ environment: { child } }) => {
      const end = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGKILL");
      return end;
    });
    await Promise.all(ends);
  }

  async #take(state: FunctionState): Promise<Environment> {
    for (;;) {
      if (this.#stopped) throw new Error("the local stack is stopped");
      const idle = state.idle.pop();
      if (idle !== undefined) return idle;
      const limit = Math.min(
        state.spec.reservedConcurrency ?? this.#options.environmentsMax,
        this.#options.environmentsMax,
      );
      if (state.environments < limit) return this.#start(state);
      await new Promise<void>((resolve) => state.waiting.push(resolve));
    }
  }

  #giveBack(state: FunctionState, environment: Environment): void {
    if (environment.spent) return;
    state.idle.push(environment);
    state.waiting.shift()?.();
  }

  #start(state: FunctionState): Environment {
    const { spec } = state;
    const accessKey = `LOCAL${String(++this.#made).padStart(11, "0")}`;
    const tmp = join(this.#options.scratch, accessKey);
    mkdirSync(tmp, { recursive: true });
    const child = fork(RUNTIME_FILE, [spec.codeFolder, spec.handler], {
      cwd: spec.codeFolder,
      env: environmentOf(spec, this.#options.hostModules, accessKey, tmp),
      execArgv: [],
      stdio: ["ignore", "pipe", "pipe", "ipc"],
    });
    const ready = Promise.withResolvers<InvokeOutcome | undefined>();
    const environment: Environment = {
      accessKey,
      child,
      tmp,
      settle: ready.resolve,
      requestId: "",
      spent: false,
      ready: ready.promise,
    };
    state.environments++;
    this.#environments.set(accessKey, { environment, functionId: spec.id });
    this.#listen(state, environment, ready.resolve);
    return environment;
  }

  #listen(state: FunctionState, environment: Environment, ready: (failure: InvokeOutcome | undefined) => void): void {
    const { child } = environment;
    child.on("message", (message: AnswerMessage) => {
      if (message.kind === "ready") return ready(undefined);
      environment.settle(
        message.kind === "returned" ? { kind: "returned", payload: JSON.parse(message.payload) } : { ...message },
      );
    });
    child.on("exit", (code, signal) => {
      environment.spent = true;
      state.environments--;
      const idle = state.idle.indexOf(environment);
      if (idle >= 0) state.idle.splice(idle, 1);
      this.#environments.delete(environment.accessKey);
      rmSync(environment.tmp, { recursive: true, force: true });
      environment.settle(failed("Runtime.ExitError", `Runtime exited with ${signal ?? `exit status ${code}`}`));
      state.waiting.shift()?.();
    });
    for (const stream of [child.stdout, child.stderr]) {
      if (stream === null) continue;
      createInterface({ input: stream }).on("line", (line) => {
        this.#options.log({ functionId: state.spec.id, requestId: environment.requestId, line });
      });
    }
  }

  async #run(state: FunctionState, environment: Environment, event: string): Promise<InvokeOutcome> {
    const notStarted = await environment.ready;
    if (notStarted !== undefined) {
      kill(environment);
      return notStarted;
    }
    const { spec } = state;
    const { child } = environment;
    const requestId = randomUUID();
    const outcome = new Promise<InvokeOutcome>((resolve) => {
      environment.settle = resolve;
    });
    environment.requestId = requestId;
    const message: InvocationMessage = {
      requestId,
      event,
      deadlineMs: Date.now() + spec.timeoutMs,
      functionArn: spec.arn,
    };
    // A process that died between being taken and now is reported by its exit, not by this.
    if (!environment.spent) child.send(message, () => {});
    else environment.settle(failed("Runtime.ExitError", "Runtime exited before the invocation"));
    const timers = this.#timers(spec, environment, requestId);
    const settled = checkSize(await outcome);
    for (const timer of timers) clearTimeout(timer);
    return settled;
  }

  #timers(spec: FunctionSpec, environment: Environment, requestId: string): NodeJS.Timeout[] {
    const timedOut = () => {
      const message = `${requestId} Task timed out after ${(spec.timeoutMs / 1000).toFixed(2)} seconds`;
      environment.settle(failed("Sandbox.Timedout", message));
      kill(environment);
    };
    const timers = [setTimeout(timedOut, spec.timeoutMs)];
    const fault = this.#options.faults.invocation(spec.id);
    if (fault !== undefined) {
      const strike = fault.effect === "timeout" ? timedOut : () => kill(environment);
      timers.push(setTimeout(strike, fault.afterMs ?? 0));
    }
    return timers;
  }
}

function kill(environment: Environment): void {
  environment.spent = true;
  environment.child.kill("SIGKILL");
}

function failed(errorType: string, errorMessage: string): InvokeOutcome {
  return { kind: "failed", errorType, errorMessage, trace: [] };
}

function checkSize(outcome: InvokeOutcome): InvokeOutcome {
  if (outcome.kind === "failed" || JSON.stringify(outcome.payload).length <= PAYLOAD_BYTES_MAX) return outcome;
  return failed(
    "Function.ResponseSizeTooLarge",
    "Response payload size exceeded maximum allowed payload size (6291556 bytes).",
  );
}

/** Nothing is inherited from this process but what a program needs to start. */
function environmentOf(
  spec: FunctionSpec,
  hostModules: string,
  accessKey: string,
  tmp: string,
): Record<string, string> {
  const layers = spec.layers.map((folder) => join(folder, "nodejs", "node_modules"));
  return {
    PATH: process.env["PATH"] ?? "",
    LANG: "en_US.UTF-8",
    TZ: ":UTC",
    HOME: tmp,
    TMPDIR: tmp,
    // The host's build of a native module comes first: a layer carries Lambda's.
    NODE_PATH: [hostModules, ...layers].join(":"),
    AWS_LAMBDA_FUNCTION_NAME: spec.name,
    AWS_LAMBDA_FUNCTION_VERSION: "$LATEST",
    AWS_LAMBDA_FUNCTION_MEMORY_SIZE: String(spec.memoryMb),
    AWS_LAMBDA_INITIALIZATION_TYPE: "on-demand",
    LAMBDA_TASK_ROOT: spec.codeFolder,
    ...spec.environment,
    AWS_ACCESS_KEY_ID: accessKey,
    AWS_SECRET_ACCESS_KEY: "local",
  };
}
