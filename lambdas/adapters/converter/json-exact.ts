// Numbers with more digits than a double holds, on their way to a decimal column. DuckDB's JSON reader makes a double of every number with
// a fraction, even where it is asked for text (5980802578965.9641 becomes …964), so such numbers are put in quotes in the spooled file:
// then they are text, and are cast strictly. Everything else stays byte for byte, line for line.

import { createReadStream, createWriteStream } from "node:fs";
import { rename, stat } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import { decimalOf } from "../../core/iceberg/type-text.ts";
import type { NestedField, Type } from "../../core/iceberg/types.ts";
import { stringEnd } from "./json-text.ts";

/** RE2: in a record's text, something that may be a number of more than 15 digits. */
export const LONG_NUMBER = "[0-9][0-9.]{15}";
/** A double keeps 15 digits of every number. Whole numbers are exact however long they are. */
const LOSSY = /^-?(?=[0-9.]*[.eE])(?:[0-9]\.?){16}/;

/** A place in the records under which there are decimals. */
export type Place = "decimal" | { readonly element: Place } | { readonly keys: ReadonlyMap<string, Place> };

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
    return decimalOf(type) !== undefined || (texts && type === "string") ? "decimal" : undefined;
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

  constructor(root: Place) {
    this.#root = root;
  }

  add(piece: string): string {
    const text = this.#rest + piece;
    const starts = /["{}[\],]|[^\s"{}[\],:]+/g;
    let out = "";
    let done = 0;
    for (let match = starts.exec(text); match !== null; match = starts.exec(text)) {
      const at = match.index;
      const end = match[0] === '"' ? stringEnd(text, at) : starts.lastIndex;
      // What reaches the very end may go on in the next piece.
      if (end < 0 || (end === text.length && !/["{}[\],]/.test(match[0]))) {
        this.#rest = text.slice(at);
        return out + text.slice(done, at);
      }
      out += text.slice(done, at) + this.#token(text.slice(at, end));
      done = end;
      starts.lastIndex = end;
    }
    this.#rest = "";
    return out + text.slice(done);
  }

  end(): string {
    const rest = this.#rest;
    this.#rest = "";
    return rest;
  }

  #token(token: string): string {
    const level = this.#levels.at(-1);
    switch (token[0]) {
      case "{":
      case "[":
        this.#levels.push(this.#inside(token === "{", level));
        return token;
      case "}":
      case "]":
        this.#levels.pop();
        return token;
      case ",":
        if (level?.object === true) level.key = true;
        return token;
      case '"':
        if (level?.key === true) {
          level.key = false;
          level.place = level.keys?.get(keyOf(token));
        }
        return token;
      default:
        return level?.place === "decimal" && LOSSY.test(token) ? `"${token}"` : token;
    }
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
