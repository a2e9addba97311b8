// A JSON record beside the table's columns: which of its values do not fit, and where in its text they are. Judged from the text, because a
// parsed number has lost its digits. What is found is reported, or cut out of the text and kept (json/rescue.ts).
// The text is known to be a valid JSON object.

import type { NestedField, PrimitiveType } from "../../../core/iceberg/types.ts";
import { reasonOf } from "../places.ts";
import { keysOf } from "./columns.ts";
import { type Expected, expectedOf, type Member, typeOf } from "./expected.ts";
import { type Holds, holdsOf } from "./scalars.ts";
import { TextWalk } from "./text.ts";

export interface Finding {
  /** Dot path of the value, by columns' names as far as there are any. */
  readonly path: string;
  /** The column that takes it only with a loss: the smallest around it, where there is none of its own. */
  readonly column: string;
  readonly reason: string;
  /** Of the value, in the record's text. */
  readonly start: number;
  readonly end: number;
  /** A key that no column has: what to cut for it to be gone. */
  readonly cut?: Span;
  /** Of such a key: the value of its column. */
  readonly whole?: Span;
}

export interface Span {
  readonly start: number;
  readonly end: number;
}

export interface Fit {
  readonly findings: readonly Finding[];
  /** Top-level columns with a value. */
  readonly filled: ReadonlySet<string>;
  /** Where the record's closing brace is, and whether anything is left before it once all is cut. */
  readonly brace: number;
  readonly empty: boolean;
}

export class FitReader extends TextWalk {
  readonly #root: Expected;
  #findings: Finding[] = [];
  #filled = new Set<string>();
  #left = 0;

  /** `renamed`: source key to column name, where they differ. */
  constructor(columns: readonly NestedField[], renamed: ReadonlyMap<string, string>) {
    super();
    const keys = keysOf(renamed);
    const fields = columns.map(
      ({ name, type }) => [keys.get(name) ?? name, { name, expected: expectedOf(type) }] as const,
    );
    this.#root = { kind: "struct", type: undefined, fields: new Map(fields) };
  }

  /** Throws on what is no JSON object. */
  read(record: string): Fit {
    this.start(record);
    this.#findings = [];
    this.#filled = new Set();
    if (this.next() !== 0x7b || this.#root.kind !== "struct") throw new Error("not a JSON object");
    this.#members(this.#root.fields, "");
    return { findings: this.#findings, filled: this.#filled, brace: this.at - 1, empty: this.#left === 0 };
  }

  /** The members of the object that is next; what does not fit is found one by one. */
  #members(fields: ReadonlyMap<string, Member>, prefix: string): void {
    let left = 0;
    this.#eachMember((key, member, comma) => {
      const field = fields.get(key);
      const start = this.at;
      if (field !== undefined) {
        if (prefix === "" && this.text.charCodeAt(start) !== 0x6e) this.#filled.add(field.name);
        this.#visit(field.expected, prefix + field.name);
        left++;
        return true;
      }
      const isNull = this.text.charCodeAt(start) === 0x6e;
      if (isNull) this.at += 4;
      else this.#skip();
      this.#stray(key, prefix, start, fields, this.#cutOf(member, left, comma), isNull);
      return true;
    });
    this.#left = left;
  }

  /** A key with nothing in it loses nothing, but may stand in the way of reading. */
  #stray(
    key: string,
    prefix: string,
    start: number,
    fields: ReadonlyMap<string, Member>,
    cut: Span,
    isNull: boolean,
  ): void {
    const lower = key.toLowerCase();
    const twin = [...fields.values()].find(({ name }) => name.toLowerCase() === lower);
    const column = prefix === "" ? (twin?.name ?? key) : prefix.slice(0, -1);
    const end = this.at;
    this.#findings.push({ path: prefix + key, column, reason: isNull ? "" : reasonOf(undefined), start, end, cut });
  }

  /** With the comma before it if something is left there, else with the one behind it. */
  #cutOf(member: number, left: number, comma: number): Span {
    const end = this.at;
    if (left > 0) return { start: comma, end };
    const here = this.at;
    const behind = this.next() === 0x2c ? this.at + 1 : end;
    this.at = here;
    return { start: member, end: behind };
  }

  #visit(expected: Expected, path: string): void {
    const start = this.at;
    if (expected.kind === "struct" && this.text.charCodeAt(start) === 0x7b) {
      const first = this.#findings.length;
      this.#members(expected.fields, `${path}.`);
      for (let i = first; i < this.#findings.length; i++) {
        const finding = this.#findings[i] as Finding;
        if (finding.column === path) this.#findings[i] = { ...finding, whole: { start, end: this.at } };
      }
      return;
    }
    const before = this.#findings.length;
    if (this.#fits(expected)) return;
    const reason = reasonOf(typeOf(expected));
    this.#findings.length = before;
    this.at = start;
    this.#skip();
    this.#findings.push({ path, column: path, reason, start, end: this.at });
  }

  /** Goes over the value if it fits; if not, it may stop anywhere. */
  #fits(expected: Expected): boolean {
    const code = this.next();
    if (expected.kind === "any") {
      this.#skip();
      return true;
    }
    if (code === 0x6e) {
      this.at += 4;
      return true;
    }
    if (expected.kind === "scalar") return this.#fitsScalar(expected.holds, code);
    if (expected.kind === "list") return code === 0x5b && this.#fitsList(expected.element);
    if (expected.kind === "map") return code === 0x7b && this.#fitsMap(expected.value);
    return code === 0x7b && this.#fitsStruct(expected.fields);
  }

  #fitsScalar(holds: Holds, code: number): boolean {
    if (code === 0x7b || code === 0x5b) return false;
    return code === 0x22 ? holds(this.string(), true) : holds(this.#word(), false);
  }

  #fitsList(element: Expected): boolean {
    this.at++;
    if (this.next() === 0x5d) {
      this.at++;
      return true;
    }
    for (;;) {
      if (!this.#fits(element)) return false;
      if (this.next() === 0x5d) break;
      this.at++;
    }
    this.at++;
    return true;
  }

  /** Keys with nothing in them are cut out here, too: elsewhere in the file they may have values, and then DuckDB is not told of them. */
  #fitsStruct(fields: ReadonlyMap<string, Member>): boolean {
    let left = 0;
    return this.#eachMember((key, member, comma) => {
      const field = fields.get(key);
      if (field !== undefined) {
        left++;
        return this.#fits(field.expected);
      }
      const start = this.at;
      if (this.text.charCodeAt(start) !== 0x6e) return false;
      this.at += 4;
      const cut = this.#cutOf(member, left, comma);
      this.#findings.push({ path: "", column: "", reason: "", start, end: this.at, cut });
      return true;
    });
  }

  /** What a map makes of a value must come back from it as it was written. */
  #fitsMap(type: PrimitiveType | undefined): boolean {
    return this.#eachMember(() => {
      const code = this.next();
      if (code === 0x6e) {
        this.at += 4;
        return true;
      }
      if (code === 0x22) return this.string() !== undefined && type === "string";
      if (code === 0x7b || code === 0x5b) return false;
      const word = this.#word();
      if (type === "boolean") return word === "true" || word === "false";
      if (type === "int" || type === "long") return /^-?\d+$/.test(word) && holdsOf(type)(word, false);
      return type === "double" && /^-?\d+\.\d+$/.test(word) && String(Number(word)) === word;
    });
  }

  /** `member`: where it starts; `comma`: where the comma before it is. */
  #eachMember(fits: (key: string, member: number, comma: number) => boolean): boolean {
    let comma = -1;
    this.at++;
    if (this.next() === 0x7d) {
      this.at++;
      return true;
    }
    for (;;) {
      this.next();
      const member = this.at;
      const key = this.string();
      this.next();
      this.at++;
      this.next();
      if (!fits(key, member, comma)) return false;
      if (this.next() === 0x7d) break;
      comma = this.at++;
    }
    this.at++;
    return true;
  }

  #skip(): void {
    const code = this.next();
    if (code === 0x22) {
      this.skipString();
      return;
    }
    if (code !== 0x7b && code !== 0x5b) {
      this.#word();
      return;
    }
    this.skipNested();
  }

  /** A number, true, false, or what Python writes for numbers that are none. */
  #word(): string {
    const from = this.at;
    for (; this.at < this.text.length; this.at++) {
      const code = this.text.charCodeAt(this.at);
      if (code <= 0x20 || code === 0x2c || code === 0x7d || code === 0x5d) break;
    }
    if (this.at === from) throw new Error("not a JSON value");
    return this.text.slice(from, this.at);
  }
}
