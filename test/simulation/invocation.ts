// One invocation of a function, as Lambda runs it: it may crash at any await (its promises then never settle, no `finally` runs),
// sleep like a zombie, and is gone for good when its lifetime is over. Its clock is its own. Every port it uses is wrapped: each call
// may fail before its effect (Unavailable) or after it (its response is lost), a write may take effect when its caller has long given
// it up or once more than it was answered, and a body may break off in the middle.

import { uuidV7 } from "../../lambdas/adapters/system.ts";
import { MoraineError } from "../../lambdas/core/errors.ts";
import type { Clock, GetOutcome, ObjectStore, Random } from "../../lambdas/core/ports.ts";
import type { World } from "./world.ts";

export interface FaultRates {
  /** Per await. */
  readonly crash: number;
  readonly zombie: number;
  /** Per port call. */
  readonly before: number;
  readonly lost: number;
  /** Per write: it arrives up to `lateMaxMs` later, alone or a second time. What one function sends late takes about as long. */
  readonly late: number;
  readonly lateMaxMs: number;
  /** Per GET. */
  readonly broken: number;
  /** The clock of most invocations is off by less than this, and that of one in twenty by `skewMaxMs` at most. */
  readonly skewMs: number;
  readonly skewMaxMs: number;
}

const LAG_JITTER_MS = 1_000;

export const NO_FAULTS: FaultRates = {
  crash: 0,
  zombie: 0,
  before: 0,
  lost: 0,
  late: 0,
  lateMaxMs: LAG_JITTER_MS,
  broken: 0,
  skewMs: 0,
  skewMaxMs: 0,
};

const LATENCY_MAX_MS = 40;
const WRITES = /\.(write|remove|put|swap|create|sendIntake|hintCommit)$/;

export class Invocation {
  readonly name: string;
  readonly #world: World;
  readonly #rates: () => FaultRates;
  readonly #endMs: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly #lagMs: number;
  #dead = false;

  constructor(world: World, name: string, lifetimeMs: number, rates: () => FaultRates) {
    this.#world = world;
    this.name = name;
    this.#rates = rates;
    this.#endMs = world.now() + lifetimeMs;
    this.#lagMs = world.upTo(rates().lateMaxMs - LAG_JITTER_MS);
    const offMs = this.#offMs();
    this.clock = { now: () => world.now() + offMs };
    const bytes = () => Uint8Array.from({ length: 10 }, () => world.upTo(256));
    this.random = {
      uuid: () => uuidV7(this.clock.now(), bytes()),
      fraction: () => world.random.fraction(),
    };
  }

  #offMs(): number {
    const { skewMs, skewMaxMs } = this.#rates();
    if (skewMs === 0) return 0;
    const maxMs = this.#world.chance(0.05) ? skewMaxMs : skewMs;
    return this.#world.upTo(2 * maxMs) - maxMs;
  }

  get isDead(): boolean {
    return this.#dead || this.#world.now() >= this.#endMs;
  }

  /** Lets time pass; does not come back from a crash or past the end of the lifetime. */
  async pause(where: string): Promise<void> {
    const world = this.#world;
    const { crash, zombie } = this.#rates();
    if (this.#dead || world.chance(crash)) return this.die(where);
    const delayMs = world.chance(zombie) ? world.upTo(this.#endMs - world.now()) : world.upTo(LATENCY_MAX_MS);
    if (world.now() + delayMs >= this.#endMs) return this.die(where);
    await world.sleep(delayMs);
  }

  /** The end: nothing that awaits this goes on. */
  die(where: string): Promise<never> {
    if (!this.#dead) this.#world.note(`${this.name} dies at ${where}`);
    this.#dead = true;
    return new Promise<never>(() => undefined);
  }

  /** The port as this invocation sees it. Methods that return an async iterable pause once, before the first item. */
  wrap<T extends object>(portName: string, port: T, iterables: readonly string[] = []): T {
    return new Proxy(port, {
      get: (target, property) => {
        const member: unknown = Reflect.get(target, property, target);
        if (typeof member !== "function") return member;
        const name = `${portName}.${String(property)}`;
        if (iterables.includes(String(property))) {
          return (...args: unknown[]) => this.#iterate(name, () => member.apply(target, args));
        }
        return (...args: unknown[]) => this.#call(name, () => member.apply(target, args));
      },
    });
  }

  async #call(name: string, effect: () => Promise<unknown>): Promise<unknown> {
    await this.pause(name);
    this.#failBefore(name);
    if (WRITES.test(name) && this.#world.chance(this.#rates().late)) {
      this.#arriveLate(name, effect);
      if (this.#world.chance(0.5)) {
        await this.pause(name);
        throw new MoraineError("UnknownOutcome", "no answer", { call: name });
      }
    }
    this.#world.note(`${this.name} ${name}`);
    const result = await effect();
    if (this.#world.chance(this.#rates().lost)) {
      this.#world.note(`${this.name} ${name}: response lost`);
      await this.pause(name);
      throw new MoraineError("UnknownOutcome", "response lost", { call: name });
    }
    await this.pause(name);
    return result;
  }

  /** Whoever sent it is not asked any more, alive or not. */
  #arriveLate(name: string, effect: () => Promise<unknown>): void {
    const world = this.#world;
    world.at(world.now() + this.#lagMs + world.upTo(LAG_JITTER_MS), () => {
      world.note(`${this.name} ${name} arrives late`);
      effect().catch(() => undefined);
    });
  }

  /** The store, with bodies that may break off. */
  breaking(store: ObjectStore): ObjectStore {
    const get: ObjectStore["get"] = async (uri, options) => {
      const got = await store.get(uri, options);
      return got.kind === "found" && this.#world.chance(this.#rates().broken) ? { ...got, body: brokenOff(got) } : got;
    };
    return new Proxy(store, { get: (target, property) => (property === "get" ? get : Reflect.get(target, property)) });
  }

  async *#iterate(name: string, open: () => AsyncIterable<unknown>): AsyncIterable<unknown> {
    await this.pause(name);
    this.#failBefore(name);
    yield* open();
  }

  #failBefore(name: string): void {
    if (this.#world.chance(this.#rates().before)) throw new MoraineError("Unavailable", "refused", { call: name });
  }
}

async function* brokenOff({ body }: GetOutcome & { kind: "found" }): AsyncIterable<Uint8Array> {
  for await (const chunk of body) {
    yield chunk.slice(0, Math.floor(chunk.length / 2));
    break;
  }
  throw new MoraineError("Unavailable", "an object's body broke off");
}
