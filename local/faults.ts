// What goes wrong, and when: the emulators are too polite, so tests order their trouble here.
// Every rule draws from a stream of its own made from the seed, so adding a rule never changes what another one does;
// with concurrent clients the draws are reproducible, their order among requests is not. `fired` says what happened.

export type RequestEffect =
  /** The service's own throttling answer; nothing is applied. */
  | "throttle"
  /** Glue ConcurrentModificationException, S3 409; nothing is applied. */
  | "conflict"
  /** 500; nothing is applied. */
  | "unavailable"
  /** The connection ends; nothing is applied. */
  | "drop"
  /** The request is applied, the connection ends without the answer. */
  | "lose-response"
  /** The function that sent it dies, before or after the request is applied. */
  | "kill-before"
  | "kill-after"
  | { readonly delayMs: number };

interface Occasion {
  /** Probability of each occasion that matches. */
  readonly rate?: number;
  /** Exactly these occasions, counted from 1 since the plan was set. Without rate and nth: every one. */
  readonly nth?: readonly number[];
}

export interface RequestFault extends Occasion {
  /** `Glue.UpdateTable`, or `S3.*`. */
  readonly on: string;
  readonly effect: RequestEffect;
  /** Only requests of functions whose logical id starts so. */
  readonly from?: string;
  /** Only S3 requests whose decoded `/bucket/key` contains this. */
  readonly path?: string;
}

export interface InvocationFault extends Occasion {
  /** Start of the function's logical id. */
  readonly function: string;
  readonly effect: "kill" | "timeout";
  /** Milliseconds after the handler was called; default 0. */
  readonly afterMs?: number;
}

export interface FaultPlan {
  readonly seed: number;
  readonly requests?: readonly RequestFault[];
  readonly invocations?: readonly InvocationFault[];
  /** S3 notifications on their way to their target. Late ones are overtaken: lateness is also how they get out of order. */
  readonly events?: { readonly duplicateRate?: number; readonly lateRate?: number; readonly lateMsMax?: number };
  /** Standard queues: a received message becomes receivable again at once. */
  readonly messages?: { readonly duplicateRate?: number };
}

export interface FiredFault {
  readonly occasion: string;
  readonly effect: string;
}

class Rule<T extends Occasion> {
  readonly fault: T;
  readonly #draw: () => number;
  #seen = 0;

  constructor(fault: T, draw: () => number) {
    this.fault = fault;
    this.#draw = draw;
  }

  strikes(): boolean {
    this.#seen++;
    if (this.fault.nth !== undefined) return this.fault.nth.includes(this.#seen);
    return this.fault.rate === undefined || this.#draw() < this.fault.rate;
  }
}

export class Faults {
  readonly fired: FiredFault[] = [];
  #plan: FaultPlan = { seed: 0 };
  #requests: Rule<RequestFault>[] = [];
  #invocations: Rule<InvocationFault>[] = [];
  #event = random(0);
  #message = random(0);

  /** Replaces the plan; occasions are counted anew. Without a plan: no more faults. */
  set(plan: FaultPlan = { seed: 0 }): void {
    this.#plan = plan;
    let stream = 0;
    const next = () => random(plan.seed * 1000 + stream++);
    this.#event = next();
    this.#message = next();
    this.#requests = (plan.requests ?? []).map((fault) => new Rule(fault, next()));
    this.#invocations = (plan.invocations ?? []).map((fault) => new Rule(fault, next()));
  }

  /** All delays together, and at most one other effect: the first rule that strikes. */
  request(
    operation: string,
    caller: string,
    path = "",
  ): { readonly delayMs: number; readonly effect?: Exclude<RequestEffect, object> } {
    let delayMs = 0;
    let effect: Exclude<RequestEffect, object> | undefined;
    for (const rule of this.#requests) {
      const { on, from = "", path: part = "", effect: wanted } = rule.fault;
      const matches = on === operation || (on.endsWith("*") && operation.startsWith(on.slice(0, -1)));
      if (!matches || !caller.startsWith(from) || !path.includes(part) || !rule.strikes()) continue;
      if (typeof wanted === "object") delayMs += wanted.delayMs;
      else effect ??= wanted;
    }
    if (effect !== undefined) this.#note(operation, effect);
    return effect === undefined ? { delayMs } : { delayMs, effect };
  }

  invocation(functionId: string): InvocationFault | undefined {
    for (const rule of this.#invocations) {
      if (!functionId.startsWith(rule.fault.function) || !rule.strikes()) continue;
      this.#note(`invoke ${functionId}`, rule.fault.effect);
      return rule.fault;
    }
    return undefined;
  }

  /** One delay per delivery of an S3 notification. */
  event(): readonly number[] {
    const { duplicateRate = 0, lateRate = 0, lateMsMax = 0 } = this.#plan.events ?? {};
    const delay = () => (this.#event() < lateRate ? Math.ceil(this.#event() * lateMsMax) : 0);
    const delays = [delay()];
    if (this.#event() < duplicateRate) delays.push(delay());
    if (delays.length > 1) this.#note("event", "duplicate");
    if (delays.some((each) => each > 0)) this.#note("event", "late");
    return delays;
  }

  duplicateMessage(queue: string): boolean {
    const strikes = this.#message() < (this.#plan.messages?.duplicateRate ?? 0);
    if (strikes) this.#note(`message of ${queue}`, "duplicate");
    return strikes;
  }

  #note(occasion: string, effect: string): void {
    this.fired.push({ occasion, effect });
  }
}

/** mulberry32: [0, 1) */
export function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let value = Math.imul(state ^ (state >>> 15), state | 1);
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61);
    return ((value ^ (value >>> 14)) >>> 0) / 4294967296;
  };
}
