// What comes at one place of the keys: characters seen there with how often, and what is likely to come though it was not seen yet.
// Together they cut [0, 1) into a piece for each character, in the order keys are listed in.

import { unitOrder } from "./key-order.ts";

/** Characters remembered per place; more distinct ones add nothing to a guess. */
const UNITS_MAX = 256;
/** Draws without anything new that halve the likelihood of what was never seen. */
const DOUBT_DRAWS = 4;
/** A character this much rarer than the commonest one counts for less than a whole. */
const RARE = 0.1;
/** What a character nobody expected gets. */
const UNEXPECTED = 1e-3;

const DIGITS = units("0123456789");
const HEX_LOWER = units("abcdef");
const HEX_UPPER = units("ABCDEF");
const LOWER = units("abcdefghijklmnopqrstuvwxyz");
const UPPER = units("ABCDEFGHIJKLMNOPQRSTUVWXYZ");

export interface Piece {
  readonly unit: number;
  readonly low: number;
  readonly share: number;
}

export class KeyPlace {
  readonly #counts = new Map<number, number>();
  #most = 0;
  #draws = 0;
  #drawsSinceNew = 0;
  #pieces: readonly Piece[] | undefined;
  #drawsOfPieces = 0;

  /** `drawn`: something before this place, or the place itself, differs from the key before, so this is news. True: never seen before. */
  learn(unit: number, drawn: boolean): boolean {
    const count = this.#counts.get(unit);
    if (count === undefined && this.#counts.size >= UNITS_MAX) return false;
    if (drawn) {
      this.#draws++;
      this.#drawsSinceNew++;
    }
    if (count !== undefined && !drawn) return false;
    this.#counts.set(unit, (count ?? 0) + 1);
    this.#most = Math.max(this.#most, (count ?? 0) + 1);
    if (count === undefined) this.#drawsSinceNew = 0;
    return count === undefined;
  }

  /** The same character in every key, and no digit: a separator, or part of a word all keys share. */
  get isLiteral(): boolean {
    const [only = 0] = this.#counts.keys();
    return this.#counts.size === 1 && !DIGITS.has(only);
  }

  /** Another character would have shown by now. Digits may run over at any time. */
  get isSettled(): boolean {
    return this.isLiteral && this.#draws >= DOUBT_DRAWS;
  }

  get isVaried(): boolean {
    return this.#counts.size > 1;
  }

  get seen(): Iterable<number> {
    return this.#counts.keys();
  }

  /** What a place near it has seen may change what is likely here. */
  forgetPieces(): void {
    this.#pieces = undefined;
  }

  pieces(word: () => ReadonlySet<number>): readonly Piece[] {
    if (this.#pieces !== undefined && this.#draws <= 1.2 * this.#drawsOfPieces + 4) return this.#pieces;
    this.#pieces = this.#cut(word());
    this.#drawsOfPieces = this.#draws;
    return this.#pieces;
  }

  #cut(word: ReadonlySet<number>): readonly Piece[] {
    const weights = new Map<number, number>();
    for (const [unit, count] of this.#counts) weights.set(unit, Math.min(1, count / (RARE * this.#most)));
    const unseen = 1 / (1 + this.#drawsSinceNew / DOUBT_DRAWS);
    if (!this.isLiteral)
      for (const unit of likely(this.#counts, word)) if (!weights.has(unit)) weights.set(unit, unseen);
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

/** Digits beside digits, hex letters beside hex: what `word`, the varying places around, is made of. */
function likely(seen: ReadonlyMap<number, number>, word: ReadonlySet<number>): Set<number> {
  const all = new Set<number>();
  if (!(hasAny(seen, DIGITS) || hasAny(seen, LOWER) || hasAny(seen, UPPER))) return all;
  if (hasAny(word, DIGITS) || hasAny(seen, DIGITS)) addAll(all, DIGITS);
  if (hasAny(word, LOWER)) addAll(all, isOnly(word, LOWER, HEX_LOWER) ? HEX_LOWER : LOWER);
  if (hasAny(word, UPPER)) addAll(all, isOnly(word, UPPER, HEX_UPPER) ? HEX_UPPER : UPPER);
  return all;
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

export function isAlphanumeric(unit: number): boolean {
  return DIGITS.has(unit) || LOWER.has(unit) || UPPER.has(unit);
}

function units(text: string): ReadonlySet<number> {
  return new Set([...text].map((character) => character.charCodeAt(0)));
}

export function addAll(to: Set<number>, from: Iterable<number>): void {
  for (const unit of from) to.add(unit);
}

function hasAny(seen: ReadonlySet<number> | ReadonlyMap<number, number>, of: ReadonlySet<number>): boolean {
  for (const unit of seen.keys()) if (of.has(unit)) return true;
  return false;
}

function isOnly(word: ReadonlySet<number>, of: ReadonlySet<number>, only: ReadonlySet<number>): boolean {
  for (const unit of word) if (of.has(unit) && !only.has(unit)) return false;
  return true;
}
