// JSON by the letter of RFC 8259, byte by byte: where a file breaks it, and where its records begin and end. DuckDB takes more than the
// standard (commas before a bracket, NaN, form feeds between records) and does not say on which line it stopped.
// Reads 100 to 200 MB a second, so it reads only what looks odd (json/odd.ts), is known to be broken, or has to be written anew.

import { isNumberEnd, numberStep, QUOTE, SLASH, State, skipPlain } from "./grammar.ts";

/** `lines`: one record a line; `list`: the elements of the one list; `documents`: one of any kind, or objects one after the other. */
export type JsonLayout = "lines" | "list" | "documents";

/** What is wrong, and where: line from 1, byte of the line from 1. */
export interface JsonFault {
  readonly problem: string;
  readonly line: number;
  readonly byte: number;
}

/** Told of what is met; places are bytes of the file from 0. */
export interface JsonListener {
  /** A record begins at the byte, which is its first. */
  recordStarts?(at: number, firstByte: number): void;
  /** The last record has ended before the byte. */
  recordEnds?(at: number): void;
  opens?(isObject: boolean): void;
  closes?(): void;
  /** A key, quotes and escapes as they are written, began at the byte. */
  key?(text: Buffer, at: number): void;
  /** The comma after a value of the innermost list or object. */
  comma?(at: number): void;
}

const WORDS: Readonly<Record<number, string>> = { 116: "true", 102: "false", 110: "null" };
const ESCAPES = new Set(Buffer.from('"\\/bfnrt'));

export class JsonScan {
  readonly #layout: JsonLayout;
  readonly #listener: JsonListener;
  /** Of each open list or object, outermost first: whether it is an object. */
  readonly #open: boolean[] = [];
  #state: number;
  #fault: JsonFault | undefined;
  /** Bytes before the present piece, lines before the present one, and where that one begins. */
  #before: number;
  #line = 1;
  #lineStart: number;
  #recordInLine = false;
  #recordSeen = false;
  #objectsOnly = true;
  #isKey = false;
  #keyParts: Buffer[] | undefined;
  #keyAt = 0;
  #word = "";
  #hex = "";
  #lowHalf = false;
  /** Bytes of the character that are still to come, and what the next must be. */
  #more = 0;
  #moreMin = 0x80;
  #moreMax = 0xbf;

  /** `start`: bytes of the file that are left out, and are no line of it. */
  constructor(layout: JsonLayout, start = 0, listener: JsonListener = {}) {
    this.#layout = layout;
    this.#listener = listener;
    this.#before = start;
    this.#lineStart = start;
    this.#state = State.top;
  }

  /** The first fault so far: nothing is told of what comes after it. */
  get fault(): JsonFault | undefined {
    return this.#fault;
  }

  add(piece: Buffer): void {
    let keyFrom = this.#keyParts === undefined ? -1 : 0;
    for (let i = 0; i < piece.length && this.#fault === undefined; i++) {
      if (this.#state === State.string) i = skipPlain(piece, i);
      if (i === piece.length) break;
      const wasKey = this.#keyParts !== undefined;
      this.#byte(piece[i] as number, this.#before + i);
      const isKey = this.#keyParts !== undefined;
      if (!wasKey && isKey) keyFrom = i;
      if (wasKey && !isKey) this.#endKey(piece.subarray(keyFrom, i + 1));
    }
    if (this.#keyParts !== undefined) this.#keyParts.push(Buffer.from(piece.subarray(Math.max(0, keyFrom))));
    this.#before += piece.length;
  }

  end(): void {
    if (this.#fault !== undefined) return;
    if (this.#open.length === 0 && isNumberEnd(this.#state)) this.#endValue(this.#before);
    if (this.#state !== State.top && this.#state !== State.end)
      this.#fail("ends in the middle of a record", this.#before);
  }

  #byte(byte: number, at: number): void {
    switch (this.#state) {
      case State.string:
        this.#inString(byte, at);
        return;
      case State.escape:
        this.#escaped(byte, at);
        return;
      case State.hex:
        this.#hexDigit(byte, at);
        return;
      case State.continuation:
        this.#continued(byte, at);
        return;
      case State.halfPair:
        this.#expect(byte === SLASH, State.halfPairEscape, "half of a surrogate pair", at);
        return;
      case State.halfPairEscape:
        this.#lowHalf = true;
        this.#hex = "";
        this.#expect(byte === 0x75, State.hex, "half of a surrogate pair", at);
        return;
      case State.word:
        this.#inWord(byte, at);
        return;
      default:
        if (this.#state >= State.minus && this.#state <= State.exponentDigits) this.#inNumber(byte, at);
        else this.#between(byte, at);
    }
  }

  #between(byte: number, at: number): void {
    if (byte === 0x0a) {
      this.#newLine(at);
      return;
    }
    if (byte === 0x20 || byte === 0x09 || byte === 0x0d) return;
    switch (this.#state) {
      case State.top:
        this.#top(byte, at);
        return;
      case State.end:
        this.#fail("something stands after the end of the list", at);
        return;
      case State.firstValue:
        if (byte === 0x5d) this.#close(false, at);
        else this.#startValue(byte, at);
        return;
      case State.value:
        this.#startValue(byte, at);
        return;
      case State.firstKey:
        if (byte === 0x7d) this.#close(true, at);
        else this.#startKey(byte, at);
        return;
      case State.key:
        this.#startKey(byte, at);
        return;
      case State.colon:
        this.#expect(byte === 0x3a, State.value, "a colon is missing after a key", at);
        return;
      default:
        this.#afterValue(byte, at);
    }
  }

  #top(byte: number, at: number): void {
    if (this.#layout === "lines" && this.#recordInLine) {
      this.#fail("a line holds more than one record", at);
      return;
    }
    const isObject = byte === 0x7b;
    if (this.#layout === "documents" && this.#recordSeen && !(isObject && this.#objectsOnly)) {
      this.#fail("something stands after the document", at);
      return;
    }
    this.#recordInLine = true;
    this.#recordSeen = true;
    this.#objectsOnly &&= isObject;
    if (byte === 0x5d || byte === 0x7d) {
      this.#fail("a bracket that closes nothing", at);
      return;
    }
    this.#startValue(byte, at);
  }

  #newLine(at: number): void {
    if (this.#layout === "lines" && this.#open.length > 0) {
      this.#fail("a line ends in the middle of its record", at);
      return;
    }
    this.#recordInLine = false;
    this.#line++;
    this.#lineStart = at + 1;
  }

  #startValue(byte: number, at: number): void {
    if (this.#open.length === this.#recordDepth()) this.#listener.recordStarts?.(at, byte);
    if (byte === 0x7b || byte === 0x5b) {
      this.#open.push(byte === 0x7b);
      this.#listener.opens?.(byte === 0x7b);
      this.#state = byte === 0x7b ? State.firstKey : State.firstValue;
    } else if (byte === QUOTE) {
      this.#isKey = false;
      this.#state = State.string;
    } else if (byte === 0x2d) this.#state = State.minus;
    else if (byte === 0x30) this.#state = State.zero;
    else if (byte > 0x30 && byte <= 0x39) this.#state = State.whole;
    else if (WORDS[byte] !== undefined) {
      this.#word = (WORDS[byte] as string).slice(1);
      this.#state = State.word;
    } else this.#fail(byte === 0x5d || byte === 0x7d ? "a comma or colon with no value after it" : "no JSON value", at);
  }

  #startKey(byte: number, at: number): void {
    if (byte !== QUOTE) {
      this.#fail(byte === 0x7d ? "a comma before a closing brace" : "a key without quotes", at);
      return;
    }
    this.#isKey = true;
    if (this.#listener.key !== undefined) this.#keyParts = [];
    this.#keyAt = at;
    this.#state = State.string;
  }

  #endKey(last: Buffer): void {
    this.#listener.key?.(Buffer.concat([...this.#ended, last]), this.#keyAt);
  }

  /** Of the key that has just ended. */
  #ended: Buffer[] = [];

  #afterValue(byte: number, at: number): void {
    const inObject = this.#open.at(-1) === true;
    if (byte === 0x2c) {
      this.#listener.comma?.(at);
      this.#state = inObject ? State.key : State.value;
    } else if (byte === 0x7d || byte === 0x5d) {
      if (inObject !== (byte === 0x7d)) this.#fail("a bracket that closes another kind", at);
      else this.#close(inObject, at);
    } else this.#fail("a comma is missing between two values, or something stands after one", at);
  }

  #close(isObject: boolean, at: number): void {
    if (this.#open.pop() !== isObject) {
      this.#fail("a bracket that closes nothing", at);
      return;
    }
    this.#listener.closes?.();
    this.#endValue(at + 1);
  }

  #endValue(at: number): void {
    const depth = this.#open.length;
    if (depth === this.#recordDepth()) this.#listener.recordEnds?.(at);
    if (depth > 0) this.#state = State.after;
    else this.#state = this.#layout === "list" ? State.end : State.top;
  }

  #recordDepth(): number {
    return this.#layout === "list" ? 1 : 0;
  }

  #inString(byte: number, at: number): void {
    if (byte === QUOTE) {
      this.#endString(at);
      return;
    }
    if (byte === SLASH) this.#state = State.escape;
    else if (byte < 0x20) this.#fail("a control character in a string; escape it", at);
    else if (byte >= 0x80) this.#startCharacter(byte, at);
  }

  #endString(at: number): void {
    if (!this.#isKey) {
      this.#endValue(at + 1);
      return;
    }
    this.#ended = this.#keyParts ?? [];
    this.#keyParts = undefined;
    this.#state = State.colon;
  }

  /** By table 3-7 of the Unicode standard. */
  #startCharacter(byte: number, at: number): void {
    this.#more = byte >= 0xf0 ? 3 : byte >= 0xe0 ? 2 : 1;
    this.#moreMin = byte === 0xe0 ? 0xa0 : byte === 0xf0 ? 0x90 : 0x80;
    this.#moreMax = byte === 0xed ? 0x9f : byte === 0xf4 ? 0x8f : 0xbf;
    this.#expect(byte >= 0xc2 && byte <= 0xf4, State.continuation, "text that is not UTF-8", at);
  }

  #continued(byte: number, at: number): void {
    if (byte < this.#moreMin || byte > this.#moreMax) {
      this.#fail("text that is not UTF-8", at);
      return;
    }
    this.#moreMin = 0x80;
    this.#moreMax = 0xbf;
    if (--this.#more === 0) this.#state = State.string;
  }

  #escaped(byte: number, at: number): void {
    this.#hex = "";
    this.#lowHalf = false;
    this.#expect(byte === 0x75 || ESCAPES.has(byte), byte === 0x75 ? State.hex : State.string, "an unknown escape", at);
  }

  #hexDigit(byte: number, at: number): void {
    const digit = String.fromCharCode(byte);
    if (!/[0-9a-fA-F]/.test(digit)) {
      this.#fail("an unknown escape", at);
      return;
    }
    this.#hex += digit;
    if (this.#hex.length < 4) return;
    const code = Number.parseInt(this.#hex, 16);
    const isLow = code >= 0xdc00 && code <= 0xdfff;
    if (isLow !== this.#lowHalf) {
      this.#fail("half of a surrogate pair", at);
      return;
    }
    this.#state = code >= 0xd800 && code <= 0xdbff ? State.halfPair : State.string;
  }

  #inWord(byte: number, at: number): void {
    if (byte !== this.#word.charCodeAt(0)) {
      this.#fail("no JSON value", at);
      return;
    }
    this.#word = this.#word.slice(1);
    if (this.#word === "") this.#endValue(at + 1);
  }

  #inNumber(byte: number, at: number): void {
    const next = numberStep(this.#state, byte);
    if (next !== undefined) this.#state = next;
    else if (!isNumberEnd(this.#state)) this.#fail("a number that is not written as JSON's are", at);
    else {
      this.#endValue(at);
      // `1x` and `01`: nothing but white space may follow a number that is a document.
      if (this.#open.length === 0 && byte > 0x20) this.#fail("something stands after a number", at);
      else this.#between(byte, at);
    }
  }

  #expect(isRight: boolean, next: number, problem: string, at: number): void {
    if (isRight) this.#state = next;
    else this.#fail(problem, at);
  }

  #fail(problem: string, at: number): void {
    this.#fault = { problem, line: this.#line, byte: at - this.#lineStart + 1 };
  }
}
