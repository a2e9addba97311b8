// One execution of a machine, or of a distributed map's item processor: its facts, its end, and what its states run in.
// Invariant: the status changes once, from RUNNING, and `ended` resolves right after, whatever happened.

import type { InvokeOutcome } from "../lambda.ts";
import type { Json } from "../template.ts";
import { Cancellation } from "./cancellation.ts";
import type { Flow } from "./definition.ts";
import { Ended, errorFields, statesErrorOf } from "./failure.ts";
import { History, payload, type Trail } from "./history.ts";
import type { MapRun } from "./map-run.ts";
import type { ObjectAccess } from "./object-access.ts";
import { Variables } from "./variables.ts";

/** Everything an execution needs from outside. */
export interface World {
  now(): number;
  random(): number;
  uuid(): string;
  readonly region: string;
  /** Factor on Wait states and on the time between retries. Timeouts are not scaled: the work they limit is not either. */
  readonly timeScale: number;
  /** By name or ARN; undefined: there is no such function. */
  invoke(functionName: string, event: Json): Promise<InvokeOutcome> | undefined;
  readonly objects: ObjectAccess;
  /** An execution of its own has begun, also a child of a map run. */
  opened(execution: Execution): void;
  mapRunOpened(mapRun: MapRun): void;
}

export interface MachineFacts {
  readonly arn: string;
  readonly name: string;
  readonly roleArn: string;
}

export interface ExecutionFacts {
  readonly arn: string;
  readonly name: string;
  readonly machine: MachineFacts;
  readonly input: Json;
  readonly mapRunArn?: string;
  /** Of a child of a map run: the items its input holds. */
  readonly itemCount?: number;
}

export type ExecutionStatus = "RUNNING" | "SUCCEEDED" | "FAILED" | "TIMED_OUT" | "ABORTED";
export type RunFlow = (flow: Flow, input: Json, scope: Scope) => Promise<Json>;

/** What a flow runs in; a branch or an iteration has its own, made from its parent's. */
export interface Scope {
  readonly execution: Execution;
  readonly world: World;
  readonly cancellation: Cancellation;
  readonly trail: Trail;
  readonly variables: Variables;
  /** Inside an inline map. */
  readonly item?: MapItem;
  readonly runFlow: RunFlow;
}

export interface MapItem {
  readonly Index: number;
  readonly Value: Json;
}

export class Execution {
  readonly facts: ExecutionFacts;
  readonly startMs: number;
  readonly history: History;
  readonly #cancellation: Cancellation;
  readonly #trail: Trail = { previous: 0 };
  readonly #world: World;
  readonly #ended = Promise.withResolvers<void>();
  status: ExecutionStatus = "RUNNING";
  stopMs: number | undefined;
  output: Json | undefined;
  error: string | undefined;
  cause: string | undefined;

  constructor(facts: ExecutionFacts, world: World, parent?: Cancellation) {
    this.facts = facts;
    this.#world = world;
    this.#cancellation = new Cancellation(parent);
    this.startMs = world.now();
    this.history = new History(() => world.now());
  }

  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  abort(error?: string, reason?: string): void {
    this.#cancellation.cancel(new Ended("ABORTED", error, reason));
  }

  async run(flow: Flow, timeoutSeconds: number | undefined, runFlow: RunFlow): Promise<void> {
    const { roleArn } = this.facts.machine;
    const started = { ...payload("input", this.facts.input), roleArn };
    this.history.add({ previous: 0 }, "ExecutionStarted", "executionStartedEventDetails", started);
    const timer =
      timeoutSeconds === undefined
        ? undefined
        : setTimeout(() => this.#cancellation.cancel(new Ended("TIMED_OUT")), timeoutSeconds * 1000);
    try {
      this.#succeed(await runFlow(flow, this.facts.input, this.#scope(runFlow)));
    } catch (error) {
      this.#fail(error);
    } finally {
      clearTimeout(timer);
      this.#cancellation.release();
      this.#ended.resolve();
    }
  }

  #scope(runFlow: RunFlow): Scope {
    return {
      execution: this,
      world: this.#world,
      cancellation: this.#cancellation,
      trail: this.#trail,
      variables: new Variables(),
      runFlow,
    };
  }

  #succeed(output: Json): void {
    this.#end("SUCCEEDED");
    this.output = output;
    this.history.add(
      this.#trail,
      "ExecutionSucceeded",
      "executionSucceededEventDetails",
      payload("output", this.output),
    );
  }

  #fail(thrown: unknown): void {
    const ended = thrown instanceof Ended ? thrown : undefined;
    const words =
      ended === undefined ? errorFields(statesErrorOf(thrown)) : { error: ended.error, cause: ended.reason };
    this.#end(ended?.status ?? "FAILED");
    this.error = words.error;
    this.cause = words.cause;
    const kind = { ABORTED: "Aborted", TIMED_OUT: "TimedOut", FAILED: "Failed" }[ended?.status ?? "FAILED"];
    this.history.add(this.#trail, `Execution${kind}`, `execution${kind}EventDetails`, words);
  }

  #end(status: ExecutionStatus): void {
    this.status = status;
    this.stopMs = this.#world.now();
  }
}
