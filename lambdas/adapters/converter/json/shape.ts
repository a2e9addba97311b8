// What JSON records were seen to hold, from their text: types of every key at every depth, over all records.
// Written by hand because neither JSON.parse nor DuckDB's inference tells enough: the first rounds 2^53+1 and does not know 1.0 from 1,
// the second turns `…+02:00` into a timestamp without zone, and costs six times as much (json_group_structure, 11 s for 250 MB).
// The text is known to be valid JSON: DuckDB has split the records.

import { digitsOf } from "./digits.ts";
import { TextWalk } from "./text.ts";

/** Everything a place in the records (a key, a list's elements) was seen to hold. */
export interface Shape {
  bools: boolean;
  /** Whole numbers within int64. */
  ints: boolean;
  /** Whole numbers beyond int32, as numbers or as text. */
  longs: boolean;
  /** Numbers beyond the range of a float. */
  doubles: boolean;
  /** Whole numbers beyond int64, of at most 38 digits. */
  bigs: boolean;
  /** Whole numbers that neither a double nor 38 digits hold. */
  huge: boolean;
  /** Whole numbers that a double would round. */
  rounds: boolean;
  reals: boolean;
  /** Of all numbers: the most before and after the point, where digits are counted (`ShapeReader`); more than any decimal has, if none takes one. */
  whole: number;
  fraction: number;
  strings: boolean;
  /** What all strings so far are written like: a mask of TEXT bits. */
  text: number;
  lists: boolean;
  element: Shape | undefined;
  objects: number;
  fields: Map<string, FieldShape> | undefined;
}

export interface FieldShape {
  readonly shape: Shape;
  /** Objects that have the key. */
  count: number;
  /** The last object it was seen in: a second time is a duplicate key. */
  object: number;
}

export const TEXT = { int: 1, number: 2, date: 4, timestamp: 8, timestamptz: 16, bool: 32, all: 63 } as const;

export function emptyShape(): Shape {
  return {
    bools: false,
    ints: false,
    longs: false,
    doubles: false,
    bigs: false,
    huge: false,
    rounds: false,
    reals: false,
    whole: 0,
    fraction: 0,
    strings: false,
    text: TEXT.all,
    lists: false,
    element: undefined,
    objects: 0,
    fields: undefined,
  };
}

/** Below this depth nothing is told apart: such a value is JSON text. */
const DEPTH_MAX = 32;
/** Lists in one another: each further one more than doubles what DuckDB takes to plan a statement (1.5.5). */
const LISTS_MAX = 12;
const INT_MAX = 2_147_483_647;
const FLOAT_MAX = 3.4028234663852886e38;
const MONTH_DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
const TIMESTAMP = /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.\d+)?)?( ?(?:Z|[+-]\d\d(?::?\d\d)?))?)?$/;

/** Reads records into one shape. Throws on what is no JSON object text (DuckDB lets a comma before a brace pass). */
export class ShapeReader extends TextWalk {
  readonly shape = emptyShape();
  #objects = 0;
  #duplicate: string | undefined;
  readonly #countsDigits: boolean;

  constructor(countsDigits = false) {
    super();
    this.#countsDigits = countsDigits;
  }

  /** The name of a key that an object of this record has twice, if there is one. */
  add(record: string): string | undefined {
    this.start(record);
    this.#duplicate = undefined;
    this.#value(this.shape, 0, 0);
    return this.#duplicate;
  }

  #value(shape: Shape, depth: number, lists: number): void {
    switch (this.next()) {
      case 0x7b: // {
        this.#object(shape, depth, lists);
        return;
      case 0x5b: // [
        this.#list(shape, depth, lists);
        return;
      case 0x22: // "
        shape.strings = true;
        if (shape.text === 0) this.skipString();
        else this.#readText(shape, this.string());
        return;
      case 0x6e: // null
        this.at += 4;
        return;
      case 0x74: // true
        shape.bools = true;
        this.at += 4;
        return;
      case 0x66: // false
        shape.bools = true;
        this.at += 5;
        return;
      default:
        this.#number(shape);
    }
  }

  #readText(shape: Shape, text: string): void {
    const bits = textBits(text);
    shape.text &= bits;
    if ((bits & TEXT.number) !== 0) noteRange(shape, text);
  }

  #object(shape: Shape, depth: number, lists: number): void {
    shape.objects++;
    const object = ++this.#objects;
    if (depth >= DEPTH_MAX) {
      this.#skipDeep(shape);
      return;
    }
    shape.fields ??= new Map();
    this.at++;
    if (this.next() === 0x7d) {
      this.at++;
      return;
    }
    for (;;) {
      this.next();
      this.#value(this.#field(shape.fields, this.string(), object), depth + 1, lists);
      if (this.next() === 0x7d) break;
      this.at++;
    }
    this.at++;
  }

  /** Steps over the colon too. */
  #field(fields: Map<string, FieldShape>, name: string, object: number): Shape {
    this.next();
    this.at++;
    let field = fields.get(name);
    if (field === undefined) {
      field = { shape: emptyShape(), count: 0, object: 0 };
      fields.set(name, field);
    }
    if (field.object === object) this.#duplicate ??= name;
    field.object = object;
    field.count++;
    return field.shape;
  }

  #list(shape: Shape, depth: number, lists: number): void {
    shape.lists = true;
    if (depth >= DEPTH_MAX || lists >= LISTS_MAX) {
      this.#skipDeep(shape);
      return;
    }
    this.at++;
    if (this.next() === 0x5d) {
      this.at++;
      return;
    }
    shape.element ??= emptyShape();
    for (;;) {
      this.#value(shape.element, depth + 1, lists + 1);
      if (this.next() === 0x5d) break;
      this.at++;
    }
    this.at++;
  }

  /** Over a value that is not looked into. */
  #skipDeep(shape: Shape): void {
    shape.objects++;
    shape.lists = true;
    this.skipNested();
  }

  #number(shape: Shape): void {
    const from = this.at;
    let real = false;
    let exponent = false;
    for (; this.at < this.text.length; this.at++) {
      const code = this.text.charCodeAt(this.at);
      if (code === 0x2e) real = true;
      else if (code === 0x65 || code === 0x45) exponent = true;
      else if (!((code >= 0x30 && code <= 0x39) || code === 0x2d || code === 0x2b)) break;
    }
    real ||= exponent;
    if (this.at === from) throw new Error("not a JSON value");
    if (this.#countsDigits) countDigits(shape, this.text.slice(from, this.at));
    if ((real || this.at - from >= 10) && !(shape.longs && shape.doubles))
      noteRange(shape, this.text.slice(from, this.at));
    if (real) {
      shape.reals = true;
      // 1e400: a double would make it infinite.
      const long = exponent || this.at - from > 300;
      if (long && !Number.isFinite(Number(this.text.slice(from, this.at)))) {
        shape.huge = true;
        shape.rounds = true;
      }
    } else if (this.at - from <= 15) shape.ints = true;
    else longNumber(shape, this.text.slice(from, this.at));
  }
}

function noteRange(shape: Shape, text: string): void {
  if (text.length < 10 && !/[eE]/.test(text)) return;
  const value = Math.abs(Number(text));
  if (value > INT_MAX && !(Number(text) === -INT_MAX - 1)) shape.longs = true;
  if (value > FLOAT_MAX) shape.doubles = true;
}

function countDigits(shape: Shape, text: string): void {
  const { whole, fraction } = digitsOf(text) ?? { whole: Number.POSITIVE_INFINITY, fraction: 0 };
  shape.whole = Math.max(shape.whole, whole);
  shape.fraction = Math.max(shape.fraction, fraction);
}

function longNumber(shape: Shape, text: string): void {
  const value = BigInt(text);
  if (BigInt.asIntN(64, value) === value) shape.ints = true;
  else if (text.replace("-", "").length <= 38) shape.bigs = true;
  else shape.huge = true;
  if (shape.huge || BigInt(Number(text)) !== value) shape.rounds = true;
}

export function textBits(text: string): number {
  const code = text.charCodeAt(0);
  if ((code >= 0x30 && code <= 0x39) || code === 0x2d || code === 0x2b) return numberBits(text) || timeBits(text);
  return /^(?:true|false)$/i.test(text) ? TEXT.bool : 0;
}

function numberBits(text: string): number {
  if (/^[+-]?\d+$/.test(text)) return TEXT.int | TEXT.number;
  return /^[+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?$/.test(text) ? TEXT.number : 0;
}

/** None: there is no such month. */
function daysOf(year: number, month: number): number {
  if (month !== 2) return MONTH_DAYS[month - 1] ?? 0;
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
}

function timeBits(text: string): number {
  const match = TIMESTAMP.exec(text);
  if (match === null) return 0;
  const [, year, month, day, hour, minute, second = "0", zone] = match;
  if (year === "0000" || Number(day) < 1 || Number(day) > daysOf(Number(year), Number(month))) return 0;
  if (hour === undefined) return TEXT.date;
  if (Number(hour) > 23 || Number(minute) > 59 || Number(second) > 59) return 0;
  return zone === undefined ? TEXT.timestamp : TEXT.timestamptz;
}
