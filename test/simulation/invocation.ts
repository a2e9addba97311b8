// One invocation of a function, as Lambda runs it: it may crash at any await (its promises then never settle, no `finally` runs),
// sleep like a zombie, and is gone for good when its lifetime is over. Every port it uses is wrapped: each call may fail before
// its effect (Unavailable) or after it (its response is lost).

import { MoraineError } from "../../lambdas/core/errors.ts";
import type { World } from "./world.ts";

export interface FaultRates {
  /** Per await. */
  readonly crash: number;
  readonly zombie: number;
  /** Per port call. */
  readonly before: number;
  readonly lost: number;
}

export const NO_FAULTS: FaultRates = { crash: 0, zombie: 0, before: 0, lost: 0 };

const LATENCY_MAX_MS = 40;

export class Invocation {
  readonly name: string;
  readonly #world: World;
  readonly #rates: () => FaultRates;
  readonly #endMs: number;
  #dead = false;

  constructor(world: World, name: string, lifetimeMs: number, rates: () => FaultRates) {
    this.#world = world;
    this.name = name;
    this.#rates = rates;
    this.#endMs = world.now() + lifetimeMs;
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

  async *#iterate(name: string, open: () => AsyncIterable<unknown>): AsyncIterable<unknown> {
    await this.pause(name);
    this.#failBefore(name);
    yield* open();
  }

  #failBefore(name: string): void {
    if (this.#world.chance(this.#rates().before)) throw new MoraineError("Unavailable", "refused", { call: name });
  }
}
