// SQS as it may behave: messages come back after their visibility timeout, in any order, sometimes twice at once, and those that
// were received too often are put aside.

import type { World } from "./world.ts";

export interface Letter {
  readonly id: string;
  readonly body: string;
  receiveCount: number;
  visibleAtMs: number;
}

export class Mailbox {
  readonly #world: World;
  readonly #letters = new Map<string, Letter>();
  readonly #receivesMax: number;
  /** Bodies of dead letters. */
  readonly dead: string[] = [];
  #serial = 0;

  constructor(world: World, receivesMax = Number.POSITIVE_INFINITY) {
    this.#world = world;
    this.#receivesMax = receivesMax;
  }

  get size(): number {
    return this.#letters.size;
  }

  post(body: string): void {
    const id = `m${this.#serial++}`;
    this.#letters.set(id, { id, body, receiveCount: 0, visibleAtMs: this.#world.now() });
  }

  /** Up to `max` visible messages, shuffled; each hides for the visibility timeout, if SQS keeps its word this time. */
  receive(max: number, visibilityMs: number): Letter[] {
    const world = this.#world;
    const visible = [...this.#letters.values()].filter((letter) => letter.visibleAtMs <= world.now());
    for (const { id, body } of visible.filter(({ receiveCount }) => receiveCount >= this.#receivesMax)) {
      world.note(`dead letter ${id}`);
      this.dead.push(body);
      this.#letters.delete(id);
    }
    const taken: Letter[] = [];
    const alive = visible.filter(({ id }) => this.#letters.has(id));
    while (taken.length < max && alive.length > 0) {
      const [letter] = alive.splice(world.upTo(alive.length), 1);
      if (letter === undefined) break;
      letter.receiveCount++;
      letter.visibleAtMs = world.now() + (world.chance(0.03) ? 0 : visibilityMs);
      taken.push({ ...letter });
    }
    return taken;
  }

  acknowledge(id: string): void {
    this.#letters.delete(id);
  }

  /** A failed message comes back after a while. */
  returnLater(id: string, delayMs: number): void {
    const letter = this.#letters.get(id);
    if (letter !== undefined) letter.visibleAtMs = this.#world.now() + delayMs;
  }
}
