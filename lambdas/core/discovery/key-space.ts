// Where keys may lie: every place of a key cuts the room left by the places before it (key-place.ts), so that a key is a number in
// [0, 1), as in arithmetic coding. That makes "how much is left" and "half way" computable, and both are guesses: nothing depends on
// them but speed. A place is counted from the last "/", so that folders of different lengths do not blur what is below them.

import { endOfGroup, sharedLength } from "./key-order.ts";
import { KeyPlace, type Piece, pieceAt, pieceOf, type Word } from "./key-place.ts";
import type { CutPoint } from "./live-range.ts";

/** Keys looked at per page. */
const SAMPLES = 48;
/** Places to either side that count as one word with a place. */
const WORD = 8;
/** Below this share a place is beyond what a double tells apart. */
const SHARE_MIN = 1e-14;
const SLASH = 47;

/** A place: how many "/" come before it, and how many characters lie between. */
interface Cursor {
  folder: number;
  at: number;
}

export class KeySpace {
  readonly #folders: KeyPlace[][] = [];

  /** `objects`: in order. */
  learn(objects: readonly { readonly key: string }[]): void {
    const step = Math.floor(objects.length / SAMPLES) | 1;
    let before: string | undefined;
    for (let at = 0; at < objects.length; at += step) {
      const key = objects[at]?.key ?? "";
      this.#learnKey(key, before);
      before = key;
    }
    const last = objects.at(-1)?.key;
    if (last !== undefined && last !== before) this.#learnKey(last, before);
  }

  /** The number of a key among those that share its first `from` characters. Keys in order have numbers in order (or equal ones). */
  valueOf(key: string, from: number): number {
    const cursor = cursorBehind(key, from);
    let value = 0;
    let share = 1;
    for (let at = from; at < key.length && share > SHARE_MIN; at++) {
      const unit = key.charCodeAt(at);
      const piece = pieceOf(this.#piecesAt(cursor), unit);
      value += share * piece.low;
      share *= piece.share;
      step(cursor, unit);
    }
    return value;
  }

  /** The shortest key that begins with `shared` and has this number, give or take `resolution`. */
  keyAt(shared: string, value: number, resolution: number): string {
    const cursor = cursorBehind(shared, shared.length);
    let key = shared;
    let rest = value;
    let share = 1;
    while (share > resolution && share > SHARE_MIN) {
      const piece = pieceAt(this.#piecesAt(cursor), rest);
      if (piece === undefined) break;
      key += String.fromCharCode(piece.unit);
      rest = Math.max(0, rest - piece.low) / piece.share;
      share *= piece.share;
      step(cursor, piece.unit);
    }
    return wellFormed(key);
  }

  /** Ends of the groups `key` lies in, from the smallest group to the largest: each several times as far away as the one before. */
  groupEnds(key: string, from: number): readonly CutPoint[] {
    const cursor = cursorBehind(key, from);
    const ends: CutPoint[] = [];
    for (let length = from + 1; length <= key.length; length++) {
      const place = this.#place(cursor);
      step(cursor, key.charCodeAt(length - 1));
      if (place === undefined || place.isSettled) continue;
      const isFolder = key.charCodeAt(length - 1) === SLASH;
      if (place.isLiteral && !isFolder && this.#place(cursor)?.isLiteral === true) continue;
      const at = endOfGroup(key.slice(0, length));
      if (at !== undefined) ends.push({ at, survey: isFolder ? parentOf(key.slice(0, length)) : undefined });
    }
    return ends.reverse();
  }

  /** The end of the word that all keys have had here so far; undefined: there is none, or none other is to be expected. */
  endOfWord(key: string, from: number): string | undefined {
    const cursor = cursorBehind(key, from);
    let at = from;
    for (let place = this.#place(cursor); at < key.length && place?.isLiteral === true && !place.isSettled; at++) {
      step(cursor, key.charCodeAt(at));
      place = this.#place(cursor);
    }
    return at === from ? undefined : endOfGroup(key.slice(0, at));
  }

  #place({ folder, at }: Cursor): KeyPlace | undefined {
    return this.#folders[folder]?.[at];
  }

  #piecesAt(cursor: Cursor): readonly Piece[] {
    return this.#place(cursor)?.pieces(() => this.#wordAround(cursor)) ?? [];
  }

  #learnKey(key: string, before: string | undefined): void {
    const same = before === undefined ? key.length : sharedLength(before, key);
    const cursor = { folder: 0, at: 0 };
    for (let at = 0; at < key.length; at++) {
      const unit = key.charCodeAt(at);
      this.#folders[cursor.folder] ??= [];
      const places = this.#folders[cursor.folder] ?? [];
      places[cursor.at] ??= new KeyPlace();
      if (places[cursor.at]?.learn(unit, at >= same ? at - same : undefined) === true) forgetAround(places, cursor.at);
      step(cursor, unit);
    }
  }

  #wordAround({ folder, at }: Cursor): Word {
    const places = this.#folders[folder] ?? [];
    const steps = new Map<number, number>();
    for (const direction of [-1, 1]) {
      for (let near = direction < 0 ? at : at + 1; Math.abs(near - at) <= WORD; near += direction) {
        const place = places[near];
        if (place?.isOfWord !== true) break;
        for (const [unit, count] of place.steps) steps.set(unit, (steps.get(unit) ?? 0) + count);
      }
    }
    const [before, ones, behind] = [places[at - 1], places[at + 1], places[at + 2]];
    const isTens = before?.isOfWord !== true && ones?.isDigit === true && behind?.isOfWord !== true;
    return { steps, isTens };
  }
}

/** Of a folder whose siblings are not to be guessed: it is a word, not a number or a date. */
function parentOf(folder: string): string | undefined {
  const parent = folder.slice(0, folder.lastIndexOf("/", folder.length - 2) + 1);
  return /\d\/$/.test(folder) ? undefined : parent;
}

function forgetAround(places: readonly KeyPlace[], at: number): void {
  for (let near = Math.max(0, at - WORD); near <= at + WORD; near++) places[near]?.forgetPieces();
}

function step(cursor: Cursor, unit: number): void {
  if (unit === SLASH) {
    cursor.folder++;
    cursor.at = 0;
  } else cursor.at++;
}

function cursorBehind(key: string, length: number): Cursor {
  const cursor = { folder: 0, at: 0 };
  for (let at = 0; at < length; at++) step(cursor, key.charCodeAt(at));
  return cursor;
}

/** The common start of a range's keys: what lies before it need not be looked at. */
export function sharedStart(prefix: string, a: string, b: string, c: string): number {
  return Math.max(prefix.length, Math.min(sharedLength(a, b), sharedLength(a, c)));
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
