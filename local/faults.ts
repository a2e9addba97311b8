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
  /** Only S3 requests whose decoded `/bucket/key` contains this; of a listing, `/bucket/prefix`. */
  readonly path?: string;
}

/**
 * A token bucket for each prefix: requests beyond what it holds get the service's throttling answer and are not applied.
 * S3 itself allows 3,500 writes and 5,500 reads per second and prefix (and makes more prefixes when that lasts).
 */
export interface RateLimit {
  /** As in RequestFault; all operations that match take from the same tokens. */
  readonly on: string;
  readonly path?: string;
  readonly perSecond: number;
  /** Tokens a full bucket holds; default: those of one second. */
  readonly burst?: number;
  /** Folders of the key, after the S3 bucket, that make a prefix of their own; default 1, and 0 is the whole S3 bucket. */
  readonly depth?: number;
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
  readonly rates?: readonly RateLimit[];
  readonly invocations?: readonly InvocationFault[];
  /** S3 notifications on their way to their target. Late ones are overtaken: lateness is also how they get out of order. */
  readonly events?: {
    readonly duplicateRate?: number;
    readonly lateRate?: number;
    readonly lateMsMax?: number;
    /** S3 promises to send each at least once; what it costs when it does not is what listings are for. */
    readonly lostRate?: number;
  };
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

class TokenBuckets {
  readonly #limit: RateLimit;
  readonly #now: () => number;
  readonly #buckets = new Map<string, { tokens: number; atMs: number }>();

  constructor(limit: RateLimit, now: () => number) {
    this.#limit = limit;
    this.#now = now;
  }

  refuses(operation: string, path: string): boolean {
    const { on, path: part = "", perSecond, burst = perSecond } = this.#limit;
    if (!covers(on, operation) || !path.includes(part)) return false;
    const prefix = this.#prefixOf(path);
    const nowMs = this.#now();
    const { tokens, atMs } = this.#buckets.get(prefix) ?? { tokens: burst, atMs: nowMs };
    const there = Math.min(burst, tokens + ((nowMs - atMs) / 1000) * perSecond);
    const isRefused = there < 1;
    this.#buckets.set(prefix, { tokens: isRefused ? there : there - 1, atMs: nowMs });
    return isRefused;
  }

  #prefixOf(path: string): string {
    const [, bucket = "", ...key] = path.split("/");
    // The last part is the object's own name.
    return [bucket, ...key.slice(0, -1).slice(0, this.#limit.depth ?? 1)].join("/");
  }
}

function covers(on: string, operation: string): boolean {
  return on === operation || (on.endsWith("*") && operation.startsWith(on.slice(0, -1)));
}

export class Faults {
  readonly fired: FiredFault[] = [];
  #plan: FaultPlan = { seed: 0 };
  #requests: Rule<RequestFault>[] = [];
  #invocations: Rule<InvocationFault>[] = [];
  #rates: TokenBuckets[] = [];
  readonly #now: () => number;
  #event = random(0);
  #message = random(0);

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Replaces the plan; occasions are counted anew. Without a plan: no more faults. */
  set(plan: FaultPlan = { seed: 0 }): void {
    this.#plan = plan;
    let stream = 0;
    const next = () => random(plan.seed * 1000 + stream++);
    this.#event = next();
    this.#message = next();
    this.#requests = (plan.requests ?? []).map((fault) => new Rule(fault, next()));
    this.#invocations = (plan.invocations ?? []).map((fault) => new Rule(fault, next()));
    this.#rates = (plan.rates ?? []).map((limit) => new TokenBuckets(limit, this.#now));
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
      if (!covers(on, operation) || !caller.startsWith(from) || !path.includes(part) || !rule.strikes()) continue;
      if (typeof wanted === "object") delayMs += wanted.delayMs;
      else effect ??= wanted;
    }
    for (const buckets of this.#rates) if (buckets.refuses(operation, path)) effect ??= "throttle";
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

  /** One delay per delivery of an S3 notification; none: it is lost. */
  event(): readonly number[] {
    const { duplicateRate = 0, lateRate = 0, lateMsMax = 0, lostRate = 0 } = this.#plan.events ?? {};
    if (lostRate > 0 && this.#event() < lostRate) {
      this.#note("event", "lost");
      return [];
    }
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
