// What comes at one place of the keys: characters seen there with how often, and what is likely to come though it was not seen yet.
// Together they cut [0, 1) into a piece for each character, in the order keys are listed in.

import { unitOrder } from "./key-order.ts";

/** Characters remembered per place; more distinct ones add nothing to a guess. */
const UNITS_MAX = 256;
/** Steps without anything new that halve the likelihood of what was never seen. */
const DOUBT_STEPS = 4;
/** A kind of character this much rarer than the rest was blown here from names of another length. */
const RARE = 0.1;
/** What a character nobody expected gets. */
const UNEXPECTED = 1e-3;

const DIGITS = units("0123456789");
const LOWER = units("abcdefghijklmnopqrstuvwxyz");
const UPPER = units("ABCDEFGHIJKLMNOPQRSTUVWXYZ");
const HEX_LOWER = units("abcdef");
const HEX_UPPER = units("ABCDEF");

export interface Piece {
  readonly unit: number;
  readonly low: number;
  readonly share: number;
}

/** What is known around a place. */
export interface Word {
  /** All steps at the places of the word. */
  readonly steps: Counts;
  /** The first of two digits that stand alone: mostly a month, a day or an hour, which end with 12, 31 and 23. */
  readonly isTens: boolean;
}

const THREE = 51;

export type Counts = ReadonlyMap<number, number>;

export class KeyPlace {
  readonly #counts = new Map<number, number>();
  /** Of those, the ones that came by a step. */
  readonly #steps = new Map<number, number>();
  #most = 0;
  #draws = 0;
  #stepsSinceNew = 0;
  #pieces: readonly Piece[] | undefined;
  #drawsOfPieces = 0;

  /**
   * `before`: how many characters from here back to where this key began to differ from the one before: 0 is a step from one character
   * to the next at this very place, undefined no difference up to here. True: a character never seen before.
   */
  learn(unit: number, before: number | undefined): boolean {
    const count = this.#counts.get(unit) ?? 0;
    if (count === 0 && this.#counts.size >= UNITS_MAX) return false;
    if (before !== undefined) this.#draws++;
    if (before === 0) {
      this.#stepsSinceNew++;
      this.#steps.set(unit, (this.#steps.get(unit) ?? 0) + 1);
    }
    if (count > 0 && before === undefined) return false;
    this.#counts.set(unit, count + 1);
    this.#most = Math.max(this.#most, count + 1);
    if (count === 0) this.#stepsSinceNew = 0;
    return count === 0;
  }

  /** Characters that follow each other here, one after the other; others come here when something before them changes. */
  get steps(): Counts {
    return this.#steps;
  }

  get isDigit(): boolean {
    return this.#counts.keys().every((unit) => DIGITS.has(unit));
  }

  /** The same character in every key, and no digit: a separator, or part of a word all keys share. */
  get isLiteral(): boolean {
    const [only = 0] = this.#counts.keys();
    return this.#counts.size === 1 && !DIGITS.has(only);
  }

  /** Another character would have shown by now. Digits may run over at any time. */
  get isSettled(): boolean {
    return this.isLiteral && this.#draws >= DOUBT_STEPS;
  }

  /** Part of a name, as opposed to what separates names. */
  get isOfWord(): boolean {
    return this.#counts.size > 1 || this.#counts.keys().some(isAlphanumeric);
  }

  /** What a place near it has seen may change what is likely here. */
  forgetPieces(): void {
    this.#pieces = undefined;
  }

  pieces(word: () => Word): readonly Piece[] {
    if (this.#pieces !== undefined && this.#draws <= 1.2 * this.#drawsOfPieces + 4) return this.#pieces;
    this.#pieces = this.#cut(word());
    this.#drawsOfPieces = this.#draws;
    return this.#pieces;
  }

  #cut({ steps, isTens }: Word): readonly Piece[] {
    const likely = this.isLiteral || !this.isOfWord ? new Set<number>() : likelyIn(steps);
    if (this.isDigit) for (const unit of DIGITS) likely.add(unit);
    const weights = new Map<number, number>();
    const unseen = 1 / (1 + this.#stepsSinceNew / DOUBT_STEPS);
    for (const unit of likely) weights.set(unit, isTens && unit > THREE ? unseen * RARE : unseen);
    for (const [unit, count] of this.#counts) {
      weights.set(unit, likely.has(unit) ? 1 : Math.min(1, count / (RARE * this.#most)));
    }
    const total = weights.values().reduce((sum, weight) => sum + weight, 0);
    let low = 0;
    return [...weights]
      .sort(([a], [b]) => unitOrder(a) - unitOrder(b))
      .map(([unit, weight]) => {
        const piece = { unit, low, share: weight / total };
        low += piece.share;
        return piece;
      });
  }
}

/** Digits where there are digits, hex letters where there are hex letters. */
function likelyIn(steps: Counts): Set<number> {
  const enough = RARE * sum(steps, () => true);
  const likely = new Set<number>();
  for (const [kind, hex] of [
    [DIGITS, DIGITS],
    [LOWER, HEX_LOWER],
    [UPPER, HEX_UPPER],
  ] as const) {
    const count = sum(steps, (unit) => kind.has(unit));
    if (count === 0 || count < enough) continue;
    const others = sum(steps, (unit) => kind.has(unit) && !hex.has(unit));
    for (const unit of others < RARE * RARE * count ? hex : kind) likely.add(unit);
  }
  return likely;
}

function sum(counts: Counts, holds: (unit: number) => boolean): number {
  let total = 0;
  for (const [unit, count] of counts) if (holds(unit)) total += count;
  return total;
}

/** The piece of a character; one that was not expected lies between its neighbours. */
export function pieceOf(pieces: readonly Piece[], unit: number): Piece {
  let low = 0;
  let high = pieces.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (unitOrder(pieces[middle]?.unit ?? 0) < unitOrder(unit)) low = middle + 1;
    else high = middle;
  }
  const piece = pieces[low];
  if (piece?.unit === unit) return piece;
  return { unit, low: piece?.low ?? 1, share: piece === undefined ? 0 : UNEXPECTED };
}

export function pieceAt(pieces: readonly Piece[], value: number): Piece | undefined {
  return pieces.findLast(({ low }) => low <= value) ?? pieces[0];
}

function isAlphanumeric(unit: number): boolean {
  return DIGITS.has(unit) || LOWER.has(unit) || UPPER.has(unit);
}

function units(text: string): ReadonlySet<number> {
  return new Set([...text].map((character) => character.charCodeAt(0)));
}
