// Where keys may lie: what characters were seen at each place of the keys so far, taken as the digits of a number with a base of
// its own per place. That makes "how much is left" and "half way" computable, and both are guesses: nothing depends on them but speed.

import { endOfGroup, sharedLength, unitOrder } from "./key-order.ts";

/** Characters remembered per place; more distinct ones add nothing to a guess. */
const UNITS_MAX = 256;
/** Keys looked at per page. */
const SAMPLES = 48;
/** Places to either side that count as one word with a place. */
const WORD = 8;
/** Below this weight a place is beyond what a double tells apart. */
const WEIGHT_MIN = 1e-14;

const DIGITS = units("0123456789");
const HEX_LOWER = units("abcdef");
const HEX_UPPER = units("ABCDEF");
const LOWER = units("abcdefghijklmnopqrstuvwxyz");
const UPPER = units("ABCDEFGHIJKLMNOPQRSTUVWXYZ");

interface Place {
  readonly seen: Set<number>;
  /** Sorted; undefined: to be made again. */
  alphabet: readonly number[] | undefined;
}

export class KeySpace {
  readonly #places: Place[] = [];

  /** `objects`: in order. */
  learn(objects: readonly { readonly key: string }[]): void {
    const step = Math.max(1, Math.floor(objects.length / SAMPLES));
    for (let at = 0; at < objects.length; at += step) this.#learnKey(objects[at]?.key ?? "");
    this.#learnKey(objects.at(-1)?.key ?? "");
  }

  /** A key as a number: place `from` counts whole, later ones are its fraction. Keys in order have numbers in order (or equal ones). */
  valueOf(key: string, from: number): number {
    let value = 0;
    let weight = 1;
    for (let at = from; at < key.length && weight > WEIGHT_MIN; at++) {
      const alphabet = this.alphabetAt(at);
      if (at > from) weight /= alphabet.length;
      value += weight * rank(alphabet, key.charCodeAt(at));
    }
    return value;
  }

  /** The number behind all keys that share their first `from` characters. */
  endValue(from: number): number {
    return this.alphabetAt(from).length;
  }

  /** The shortest key that begins with `shared` and has this number, give or take `resolution`. */
  keyAt(shared: string, value: number, resolution: number): string {
    let key = shared;
    let rest = value;
    let weight = 1;
    for (let at = shared.length; weight > resolution && weight > WEIGHT_MIN; at++) {
      const alphabet = this.alphabetAt(at);
      if (at > shared.length) {
        weight /= alphabet.length;
        rest *= alphabet.length;
      }
      const index = Math.min(Math.floor(rest), alphabet.length - 1);
      const unit = alphabet[index];
      if (unit === undefined) break;
      key += String.fromCharCode(unit);
      rest = Math.max(0, rest - index);
    }
    return wellFormed(key);
  }

  /** Ends of the groups `key` lies in, from the smallest group to the largest: each about ten times as far away as the one before. */
  groupEnds(key: string, from: number): readonly string[] {
    const ends: string[] = [];
    for (let at = key.length - 1; at >= from; at--) {
      if (this.#isLiteral(at) && this.#isLiteral(at + 1)) continue;
      const end = endOfGroup(key.slice(0, at + 1));
      if (end !== undefined) ends.push(end);
    }
    return ends;
  }

  alphabetAt(at: number): readonly number[] {
    const place = this.#places[at];
    if (place === undefined) return [];
    place.alphabet ??= this.#complete(at, place.seen);
    return place.alphabet;
  }

  #learnKey(key: string): void {
    for (let at = 0; at < key.length; at++) {
      let place = this.#places[at];
      if (place === undefined) {
        place = { seen: new Set(), alphabet: undefined };
        this.#places.push(place);
      }
      const unit = key.charCodeAt(at);
      if (place.seen.has(unit) || place.seen.size >= UNITS_MAX) continue;
      place.seen.add(unit);
      for (let near = Math.max(0, at - WORD); near <= at + WORD; near++) {
        const other = this.#places[near];
        if (other !== undefined) other.alphabet = undefined;
      }
    }
  }

  /** One character that is no digit, whatever the key: part of a word all keys share. */
  #isLiteral(at: number): boolean {
    const seen = this.#places[at]?.seen;
    if (seen === undefined || seen.size !== 1) return false;
    const [only = 0] = seen;
    return !DIGITS.has(only);
  }

  /** Adds what is likely to come at a place although it was not seen yet: a first page knows only zeros at the front. */
  #complete(at: number, seen: ReadonlySet<number>): readonly number[] {
    const all = new Set(seen);
    if (!this.#isLiteral(at)) for (const unit of this.#likelyAt(at, seen)) all.add(unit);
    return [...all].sort((a, b) => unitOrder(a) - unitOrder(b));
  }

  #likelyAt(at: number, seen: ReadonlySet<number>): Set<number> {
    const word = this.#wordAround(at);
    const likely = new Set<number>();
    if (isDisjoint(seen, DIGITS) && isDisjoint(seen, LOWER) && isDisjoint(seen, UPPER)) return likely;
    if (!isDisjoint(word, DIGITS)) addAll(likely, DIGITS);
    if (!isDisjoint(word, LOWER)) addAll(likely, onlyOf(word, LOWER, HEX_LOWER) ? HEX_LOWER : LOWER);
    if (!isDisjoint(word, UPPER)) addAll(likely, onlyOf(word, UPPER, HEX_UPPER) ? HEX_UPPER : UPPER);
    return likely;
  }

  /** All characters at the places around this one that vary, as far as the word goes. */
  #wordAround(at: number): Set<number> {
    const word = new Set<number>();
    for (const step of [-1, 1]) {
      for (let near = at; Math.abs(near - at) <= WORD; near += step) {
        const seen = this.#places[near]?.seen;
        if (seen === undefined || (seen.size === 1 && !isAlphanumeric(seen))) break;
        if (!this.#isLiteral(near)) addAll(word, seen);
      }
    }
    return word;
  }
}

/** The common start of a range's keys: what lies before `from` need not be looked at. */
export function sharedStart(prefix: string, a: string, b: string, c: string): number {
  return Math.max(prefix.length, Math.min(sharedLength(a, b), sharedLength(a, c)));
}

function rank(alphabet: readonly number[], unit: number): number {
  let low = 0;
  let high = alphabet.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (unitOrder(alphabet[middle] ?? 0) < unitOrder(unit)) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Without half a character at the end or anywhere before it. */
function wellFormed(key: string): string {
  if (key.isWellFormed()) return key;
  let length = 0;
  for (const character of key) {
    if (!character.isWellFormed()) break;
    length += character.length;
  }
  return key.slice(0, length);
}

function units(text: string): ReadonlySet<number> {
  return new Set([...text].map((character) => character.charCodeAt(0)));
}

function addAll(to: Set<number>, from: Iterable<number>): void {
  for (const unit of from) to.add(unit);
}

function isDisjoint(a: ReadonlySet<number>, b: ReadonlySet<number>): boolean {
  for (const unit of a) if (b.has(unit)) return false;
  return true;
}

function onlyOf(word: ReadonlySet<number>, of: ReadonlySet<number>, only: ReadonlySet<number>): boolean {
  for (const unit of word) if (of.has(unit) && !only.has(unit)) return false;
  return true;
}

function isAlphanumeric(seen: ReadonlySet<number>): boolean {
  return !(isDisjoint(seen, DIGITS) && isDisjoint(seen, LOWER) && isDisjoint(seen, UPPER));
}
