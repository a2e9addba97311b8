// Reads a YAML tree field by field and keeps every complaint with its line, so that one run names all errors at once.
// A section remembers which keys were asked for: what nobody asked for is an unknown key. After a complaint reading goes on
// with a stand-in value; whoever reads must look at `complaints` before using the result.

import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  type YAMLMap,
} from "yaml";
import { type Check, parseDuration, shown } from "./config-text.ts";

export interface Complaints {
  /** One line: place, path, what is wrong and the remedy. */
  add(node: Node | null | undefined, path: string, message: string): void;
}

export interface Source extends Complaints {
  readonly document: Document;
  readonly errors: readonly string[];
}

export function openYaml(text: string, fileName: string): Source {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, logLevel: "silent" });
  const found: { line: number; text: string }[] = [];
  const note = (offset: number, message: string): void => {
    const line = Math.max(1, lines.linePos(offset).line);
    found.push({ line, text: `${fileName}:${line}: ${message.replaceAll(/\s+/g, " ")}` });
  };
  for (const error of document.errors) note(error.pos[0], `not valid YAML: ${error.message}; correct the syntax here`);
  return {
    document,
    add: (node, path, message) => note(node?.range?.[0] ?? 0, path === "" ? message : `${path}: ${message}`),
    get errors() {
      return [...new Set(found.toSorted((a, b) => a.line - b.line).map((complaint) => complaint.text))];
    },
  };
}

/** A node and its path; what `list` and `section` hand out. */
export interface Place {
  readonly node: Node;
  readonly path: string;
}

export interface Choice<T extends string> {
  readonly values: readonly T[];
  readonly fallback?: T;
  /** Designed, not built: refused with words of its own. */
  readonly planned?: readonly string[];
}

export interface DurationRange {
  readonly fallback: number;
  readonly min: number;
  readonly max: number;
  readonly required?: boolean;
}

export class Section {
  readonly place: Place;
  readonly #source: Source;
  readonly #map: YAMLMap | undefined;
  readonly #known = new Set<string>();

  constructor(source: Source, place: Place) {
    this.#source = source;
    this.place = place;
    const node = resolved(source, place.node);
    this.#map = isMap(node) ? node : undefined;
    if (this.#map === undefined)
      source.add(place.node, place.path, `is ${kindOf(node)}; write a mapping of "key: value" lines`);
  }

  complain(key: string, message: string): void {
    this.#source.add(this.#nodeOf(key) ?? this.place.node, this.#pathOf(key), message);
  }

  has(key: string): boolean {
    return this.#nodeOf(key) !== undefined;
  }

  /** `check`: the complaint about a value, or undefined. */
  string(key: string, { fallback, check }: { fallback?: string; check?: Check } = {}): string {
    const node = this.#get(key, fallback === undefined);
    if (node === undefined) return fallback ?? "";
    return this.#text(node, this.#pathOf(key), check) ?? "";
  }

  optionalString(key: string, check?: Check): string | undefined {
    return this.has(key) ? this.string(key, { ...(check === undefined ? {} : { check }) }) : undefined;
  }

  choice<T extends string>(key: string, { values, fallback, planned = [] }: Choice<T>): T | undefined {
    const node = this.#get(key, fallback === undefined);
    if (node === undefined) return fallback;
    const text = this.#text(node, this.#pathOf(key));
    if (text === undefined) return fallback;
    const value = values.find((candidate) => candidate === text);
    if (value !== undefined) return value;
    const remedy = `use ${values.join(", ")}`;
    this.complain(
      key,
      planned.includes(text)
        ? `${shown(text)} is not available yet; ${remedy}`
        : `${shown(text)} is not known; ${remedy}${hint(text, values)}`,
    );
    return fallback;
  }

  boolean(key: string, fallback: boolean): boolean {
    const node = this.#get(key, false);
    if (node === undefined) return fallback;
    if (isScalar(node) && typeof node.value === "boolean") return node.value;
    this.complain(key, `is ${kindOf(node)}; write true or false`);
    return fallback;
  }

  integer(key: string, { fallback, min, max }: { fallback: number; min: number; max: number }): number {
    const node = this.#get(key, false);
    if (node === undefined) return fallback;
    const value = isScalar(node) ? node.value : undefined;
    if (typeof value === "number" && Number.isSafeInteger(value) && value >= min && value <= max) return value;
    this.complain(key, `is ${kindOf(node)}; write a whole number from ${min} to ${max}`);
    return fallback;
  }

  /** A part of a whole, from 0 to 1. */
  share(key: string, fallback: number): number {
    const node = this.#get(key, false);
    if (node === undefined) return fallback;
    const value = isScalar(node) ? node.value : undefined;
    if (typeof value === "number" && value >= 0 && value <= 1) return value;
    this.complain(key, `is ${kindOf(node)}; write a number from 0 to 1, such as 0.01`);
    return fallback;
  }

  /** `30s`, `15m`, `12h`, `7d`, in seconds. Required: `fallback` stands in after the complaint. */
  duration(key: string, { fallback, min, max, required = false }: DurationRange): number {
    const node = this.#get(key, required);
    if (node === undefined) return fallback;
    const seconds = isScalar(node) && typeof node.value === "string" ? parseDuration(node.value) : undefined;
    if (seconds !== undefined && seconds >= min && seconds <= max) return seconds;
    this.complain(key, `is ${kindOf(node)}; write a duration such as 30s, 15m, 12h or 7d, from ${min}s to ${max}s`);
    return fallback;
  }

  strings(key: string, check?: Check): readonly string[] {
    return this.list(key).flatMap((place) => this.#text(resolved(this.#source, place.node), place.path, check) ?? []);
  }

  /** Places of a sequence; none when the key is absent. */
  list(key: string, required = false): readonly Place[] {
    const node = this.#get(key, required);
    if (node === undefined) return [];
    if (!isSeq(node)) {
      this.complain(key, `is ${kindOf(node)}; write a list: [a, b]`);
      return [];
    }
    return node.items.map((item, index) => ({ node: item as Node, path: `${this.#pathOf(key)}[${index}]` }));
  }

  /** String values by name, for free-form mappings. */
  texts(key: string, check?: (value: string, name: string) => string | undefined): Readonly<Record<string, string>> {
    const section = this.section(key);
    const read = (name: string): string => section?.string(name, { check: (value) => check?.(value, name) }) ?? "";
    return Object.fromEntries(section?.keys().map((name) => [name, read(name)]) ?? []);
  }

  keys(): readonly string[] {
    return (this.#map?.items ?? []).flatMap(({ key }) => (isScalar(key) ? [String(key.value)] : []));
  }

  section(key: string): Section | undefined {
    const node = this.#get(key, false);
    return node === undefined ? undefined : new Section(this.#source, { node, path: this.#pathOf(key) });
  }

  /** One mapping, or a list of them. */
  sections(key: string): readonly Section[] {
    const node = this.#get(key, false);
    if (node === undefined) return [];
    return isSeq(node)
      ? this.list(key).map((place) => new Section(this.#source, place))
      : [new Section(this.#source, { node, path: this.#pathOf(key) })];
  }

  requiredSection(key: string): Section | undefined {
    return this.#get(key, true) === undefined ? undefined : this.section(key);
  }

  /** Call after the last read: complains about every key nobody asked for. `planned`: designed, not built. */
  close(planned: readonly string[] = []): void {
    for (const { key } of this.#map?.items ?? []) {
      const name = isScalar(key) ? String(key.value) : "(not text)";
      if (this.#known.has(name)) continue;
      const path = this.#pathOf(name);
      const message = planned.includes(name)
        ? "is not available yet; remove it"
        : `is not known; remove it${hint(name, [...this.#known])}`;
      this.#source.add(key as Node, path, message);
    }
  }

  #get(key: string, required: boolean): Node | undefined {
    this.#known.add(key);
    const node = this.#nodeOf(key);
    if (node === undefined) {
      if (required && this.#map !== undefined)
        this.#source.add(this.place.node, this.#pathOf(key), "is missing; add it");
      return undefined;
    }
    if (!isScalar(node) || node.value !== null) return node;
    this.#source.add(node, this.#pathOf(key), "has no value; give one or delete the line");
    return undefined;
  }

  #nodeOf(key: string): Node | undefined {
    const pair = this.#map?.items.find((item) => isScalar(item.key) && String(item.key.value) === key);
    if (pair === undefined) return undefined;
    return pair.value === null || pair.value === undefined
      ? (pair.key as Node)
      : resolved(this.#source, pair.value as Node);
  }

  #pathOf(key: string): string {
    return this.place.path === "" ? key : `${this.place.path}.${key}`;
  }

  #text(node: Node | undefined, path: string, check?: Check): string | undefined {
    if (node === undefined || !isScalar(node) || typeof node.value !== "string") {
      this.#source.add(node, path, `is ${kindOf(node)}; write text, in quotes if need be`);
      return undefined;
    }
    const complaint = check?.(node.value);
    if (complaint !== undefined) this.#source.add(node, path, complaint);
    return node.value;
  }
}

function resolved(source: Source, node: Node): Node {
  return isAlias(node) ? ((node.resolve(source.document) as Node | undefined) ?? node) : node;
}

function kindOf(node: Node | undefined): string {
  if (isMap(node)) return "a mapping";
  if (isSeq(node)) return "a list";
  if (isScalar(node))
    return node.value === null ? "empty" : typeof node.value === "string" ? shown(node.value) : String(node.value);
  return "empty";
}

function hint(name: string, known: readonly string[]): string {
  const nearest = known
    .map((candidate) => ({ candidate, distance: editDistance(name.toLowerCase(), candidate.toLowerCase()) }))
    .filter(({ candidate, distance }) => distance <= Math.max(1, Math.floor(candidate.length / 3)))
    .sort((a, b) => a.distance - b.distance)[0];
  return nearest === undefined ? "" : ` (did you mean ${nearest.candidate}?)`;
}

function editDistance(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > 3) return Number.POSITIVE_INFINITY;
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const substitute = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(substitute, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? Number.POSITIVE_INFINITY;
}
