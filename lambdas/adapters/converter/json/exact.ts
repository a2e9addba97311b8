// Numbers with more digits than a double holds, on their way to a decimal column. DuckDB's JSON reader makes a double of every number with
// a fraction, even where it is asked for text (5980802578965.9641 becomes …964), so such numbers are put in quotes in the spooled file:
// then they are text, and are cast strictly. Where all digits of texts are wanted too, a structure on its way to a column of text is put in
// quotes as a whole if it holds such a number. Everything else stays byte for byte, line for line.

import { createReadStream, createWriteStream } from "node:fs";
import { rename, stat } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import { decimalOf } from "../../../core/iceberg/type-text.ts";
import type { NestedField, Type } from "../../../core/iceberg/types.ts";
import { stringEnd } from "./text.ts";

/** RE2: in a record's text, something that may be a number of more than 15 digits, or with an exponent of more than two. */
export const LONG_NUMBER = "[0-9][0-9.]{15}|[:,\\[]\\s*-?[0-9.]+[eE][+-]?[0-9]{3}";
/** A double keeps 15 digits of every number that is not beyond its range. Whole numbers are exact however long they are. */
const LOSSY = /^-?(?=[0-9.]*[.eE])(?:(?:[0-9]\.?){16}|[0-9.]+[eE][+-]?[0-9]{3})/;

/** A place in the records under which there are decimals, or texts that numbers become. */
export type Place = "decimal" | "text" | { readonly element: Place } | { readonly keys: ReadonlyMap<string, Place> };

/** `texts`: numbers in columns of text are kept as well. */
export function decimalPlaces(fields: readonly NestedField[], texts = false): Place | undefined {
  const keys = new Map<string, Place>();
  for (const { name, type } of fields) {
    const place = placeOf(type, texts);
    if (place !== undefined) keys.set(name, place);
  }
  return keys.size === 0 ? undefined : { keys };
}

function placeOf(type: Type, texts: boolean): Place | undefined {
  if (typeof type === "string") {
    if (decimalOf(type) !== undefined) return "decimal";
    return texts && type === "string" ? "text" : undefined;
  }
  if (type.type === "struct") return decimalPlaces(type.fields, texts);
  const element = type.type === "list" ? placeOf(type.element, texts) : undefined;
  return element && { element };
}

/** Replaces the file, and returns its new size. `root`: of a document; a list at the top holds such documents. */
export async function quoteDecimals(path: string, root: Place): Promise<number> {
  const quoted = `${path}.exact`;
  const quoter = new Quoter(root);
  const parts = async function* (chunks: AsyncIterable<Buffer>) {
    for await (const chunk of chunks) yield Buffer.from(quoter.add(chunk.toString("latin1")), "latin1");
    yield Buffer.from(quoter.end(), "latin1");
  };
  await pipeline(createReadStream(path, { highWaterMark: 1024 * 1024 }), parts, createWriteStream(quoted));
  await rename(quoted, path);
  return (await stat(path)).size;
}

interface Level {
  /** Of the values here: a list's elements, or an object's value under the key before. */
  place: Place | undefined;
  readonly keys: ReadonlyMap<string, Place> | undefined;
  readonly object: boolean;
  /** The next string is a key. */
  key: boolean;
}

/** Goes over JSON text in pieces, cut anywhere; bytes as latin1, because only ASCII matters to it. */
export class Quoter {
  readonly #root: Place;
  readonly #levels: Level[] = [];
  /** A string or number that the pieces so far have not ended. */
  #rest = "";
  #out = "";
  /** The structure of a column of text that goes on here. */
  #structure: { readonly depth: number; text: string; isLossy: boolean } | undefined;

  constructor(root: Place) {
    this.#root = root;
  }

  add(piece: string): string {
    const text = this.#rest + piece;
    const starts = /["{}[\],]|[^\s"{}[\],:]+/g;
    let done = 0;
    for (let match = starts.exec(text); match !== null; match = starts.exec(text)) {
      const at = match.index;
      const end = match[0] === '"' ? stringEnd(text, at) : starts.lastIndex;
      // What reaches the very end may go on in the next piece.
      if (end < 0 || (end === text.length && !/["{}[\],]/.test(match[0]))) {
        this.#emit(text.slice(done, at));
        this.#rest = text.slice(at);
        return this.#taken();
      }
      this.#emit(text.slice(done, at));
      this.#token(text.slice(at, end));
      done = end;
      starts.lastIndex = end;
    }
    this.#rest = "";
    this.#emit(text.slice(done));
    return this.#taken();
  }

  end(): string {
    this.#emit(this.#rest);
    this.#rest = "";
    return this.#taken() + (this.#structure?.text ?? "");
  }

  #emit(text: string): void {
    if (this.#structure === undefined) this.#out += text;
    else this.#structure.text += text;
  }

  #taken(): string {
    const out = this.#out;
    this.#out = "";
    return out;
  }

  #token(token: string): void {
    const level = this.#levels.at(-1);
    switch (token[0]) {
      case "{":
      case "[":
        if (level?.place === "text") this.#structure = { depth: this.#levels.length, text: "", isLossy: false };
        this.#levels.push(this.#inside(token === "{", level));
        this.#emit(token);
        return;
      case "}":
      case "]":
        this.#levels.pop();
        this.#emit(token);
        this.#endStructure();
        return;
      case ",":
        if (level?.object === true) level.key = true;
        this.#emit(token);
        return;
      case '"':
        if (level?.key === true) {
          level.key = false;
          level.place = level.keys?.get(keyOf(token));
        }
        this.#emit(token);
        return;
      default:
        this.#emit(this.#scalar(token, level));
    }
  }

  #scalar(token: string, level: Level | undefined): string {
    if (!LOSSY.test(token)) return token;
    if (this.#structure !== undefined) this.#structure.isLossy = true;
    return level?.place === "decimal" || level?.place === "text" ? `"${token}"` : token;
  }

  #endStructure(): void {
    const structure = this.#structure;
    if (structure?.depth !== this.#levels.length) return;
    this.#structure = undefined;
    this.#emit(structure.isLossy ? JSON.stringify(structure.text) : structure.text);
  }

  #inside(object: boolean, level: Level | undefined): Level {
    const place = level === undefined ? this.#root : level.place;
    if (object) {
      const keys = typeof place === "object" && "keys" in place ? place.keys : undefined;
      return { place: undefined, keys, object, key: true };
    }
    const element = typeof place === "object" && "element" in place ? place.element : undefined;
    return { place: element ?? (level === undefined ? place : undefined), keys: undefined, object, key: false };
  }
}

function keyOf(token: string): string {
  const text = Buffer.from(token, "latin1").toString("utf8");
  try {
    return JSON.parse(text) as string;
  } catch {
    return text.slice(1, -1);
  }
}
