// A regular expression that takes a line of NDJSON only if every value of its record fits the table by the rules of json/fit.ts. It is narrower
// than they are: what it refuses is doubtful, not unfit. V8 compiles it to machine code: finding what does not fit
// costs half of a plain load, where looking at every value costs several (bench/rescue.ts).
// It is learned from a file's first records: the order of their keys, and which columns have values. Text is latin1, one character for a byte.

import { decimalOf } from "../../../core/iceberg/type-text.ts";
import type { NestedField, PrimitiveType, Type } from "../../../core/iceberg/types.ts";
import { latin1, NO_KEYS, type Order, orderOf } from "./order.ts";
import { emptyShape, type Shape, TEXT } from "./shape.ts";

/** Beyond it V8 refuses an expression, or takes long to compile it. */
const SOURCE_LENGTH_MAX = 16_384;
/** As many digits a double keeps; and a long, in files whose longs have more than that. */
const DIGITS_MAX = 15;
const LONG_DIGITS_MAX = 18;

const NUMBER = /^(?:int|long|float|double|decimal)/;
const DAY =
  "(?!0000)\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|02-(?:0[1-9]|1\\d|2[0-8]))";
const TIME = `${DAY}[T ](?:[01]\\d|2[0-3]):[0-5]\\d(?::[0-5]\\d(?:\\.\\d{1,9})?)?`;
const ZONE = "(?:Z|[+-](?:0\\d|1[0-4])(?::?[0-5]\\d)?)";
const PLAIN = '[^"\\\\\\x00-\\x1f]*';
/** Halves of surrogate pairs are not looked at here. */
const ESCAPE = '\\\\(?:["\\\\/bfnrt]|u(?![dD][89a-fA-F])[0-9a-fA-F]{4})';
const COMMA = ", ?";
const NO_COMMA = "(?<!,)(?<!, )";

export class LinePattern {
  readonly #columns: readonly NestedField[];
  readonly #order: Order;
  /** Paths of the values outside of lists that some record has and that fit. */
  readonly #filled: ReadonlySet<string>;
  readonly #longDigits: number;
  /** Sticky. */
  readonly line: RegExp;

  private constructor(columns: readonly NestedField[], order: Order, { filled, longDigits }: Trial) {
    this.#columns = columns;
    this.#order = order;
    this.#filled = filled;
    this.#longDigits = longDigits;
    this.line = new RegExp(sourceOf(columns, order, { filled, longDigits }), "y");
  }

  /** `columns`: under the keys that the records have for them. Undefined: no pattern is worth its while. */
  static learn(columns: readonly NestedField[], records: readonly string[]): LinePattern | undefined {
    if (hasDots(columns)) return undefined;
    const order = orderOf(columns, records);
    if (order.keys.length === 0) return undefined;
    const narrow = tryOn(records, columns, order, DIGITS_MAX - 1);
    if (narrow === undefined) return undefined;
    const wide = narrow.taken < records.length ? tryOn(records, columns, order, LONG_DIGITS_MAX) : undefined;
    const best = wide !== undefined && wide.taken > narrow.taken ? wide : narrow;
    return best.filled.size === 0 ? undefined : new LinePattern(columns, order, best);
  }

  /** Notes what the records hold that the pattern takes, as far as it decides on types: see `tells`. */
  addTo(shape: Shape): void {
    noteKeys(shape, this.#columns, this.#order, this.#filled, "");
    if (this.#longDigits > DIGITS_MAX) noteRounding(shape, this.#columns, this.#filled, "");
  }

  /** Whether all is known of what the lines that were taken hold at a path. `shape`: of the place, with that. */
  tells(path: string, shape: Shape): boolean {
    const type = typeAt(this.#columns, path);
    if (type === undefined || !this.#filled.has(path)) return type === undefined || isScalar(type);
    if (!isScalar(type)) return false;
    return !NUMBER.test(type) || shape.strings || shape.bools || shape.lists || shape.objects > 0;
  }
}

/** How a pattern in which every column may have values does with the first records. */
interface Trial {
  readonly taken: number;
  readonly filled: ReadonlySet<string>;
  readonly longDigits: number;
}

function tryOn(
  records: readonly string[],
  columns: readonly NestedField[],
  order: Order,
  longDigits: number,
): Trial | undefined {
  const paths: string[] = [];
  const source = sourceOf(columns, order, { paths, longDigits });
  if (source.length > SOURCE_LENGTH_MAX) return undefined;
  const line = new RegExp(source, "y");
  const filled = new Set<string>();
  let taken = 0;
  for (const record of records) {
    line.lastIndex = 0;
    const match = line.exec(record);
    if (match === null) continue;
    taken++;
    for (const [i, value] of match.slice(1).entries()) if (value !== undefined) filled.add(paths[i] as string);
  }
  return { taken, filled, longDigits };
}

function isScalar(type: Type): type is PrimitiveType {
  return typeof type === "string" && type !== "string";
}

/** Paths are told apart by their dots. */
function hasDots(fields: readonly NestedField[]): boolean {
  return fields.some(({ name, type }) => {
    return name.includes(".") || (typeof type === "object" && type.type === "struct" && hasDots(type.fields));
  });
}

/** `paths`: every value is a group, whose path is added; else only the filled columns may have one. */
type Groups = { readonly longDigits: number } & (
  | { readonly paths: string[] }
  | { readonly filled: ReadonlySet<string> }
);

function sourceOf(columns: readonly NestedField[], order: Order, groups: Groups): string {
  return `${objectSource(columns, order, groups, "")}\\r?(?:\\n|$)`;
}

/** `prefix`: undefined inside of lists. */
function objectSource(
  fields: readonly NestedField[],
  order: Order,
  groups: Groups,
  prefix: string | undefined,
): string {
  const byKey = new Map(fields.map((field) => [latin1(field.name), field]));
  const members = order.keys.map((key) => {
    const { name, type, required } = byKey.get(key) as NestedField;
    const path = prefix === undefined ? undefined : prefix + name;
    const value = `${escaped(JSON.stringify(key))}: ?${memberSource(type, order.inner.get(key), groups, path, required)}`;
    const member = `${value}(?:${COMMA}|(?=\\}))`;
    return required && prefix === "" ? member : `(?:${member})?`;
  });
  const missing = fields.some(({ name, required }) => required && prefix === "" && !order.keys.includes(latin1(name)));
  return `\\{${missing ? "(?!)" : ""}${members.join("")}${NO_COMMA}\\}`;
}

function memberSource(
  type: Type,
  order: Order | undefined,
  groups: Groups,
  path: string | undefined,
  required: boolean,
): string {
  const place = "paths" in groups && path !== undefined ? groups.paths.push(path) - 1 : undefined;
  const taken = place !== undefined || path === undefined || !("filled" in groups) || groups.filled.has(path);
  const value = taken ? valueSource(type, order, groups, path) : undefined;
  if (place !== undefined) return `(?:null|(${value ?? "(?!)"}))`;
  if (value === undefined) return "null";
  return required && path !== undefined && !path.includes(".") ? `(?:${value})` : `(?:null|${value})`;
}

/** Undefined: no value of the type is judged here. */
function valueSource(
  type: Type,
  order: Order | undefined,
  groups: Groups,
  path: string | undefined,
): string | undefined {
  if (typeof type === "string") return scalarSource(type, groups.longDigits);
  if (type.type === "map") return undefined;
  if (type.type === "struct") {
    const inner = order ?? NO_KEYS;
    return objectSource(type.fields, inner, groups, path === undefined ? undefined : `${path}.`);
  }
  const element = valueSource(type.element, order, groups, undefined);
  return element && `\\[(?:(?:null|${element})(?:${COMMA}|(?=\\])))*${NO_COMMA}\\]`;
}

function scalarSource(type: PrimitiveType, longDigits: number): string | undefined {
  switch (type) {
    case "string":
      return `"${PLAIN}(?:${ESCAPE}${PLAIN})*"`;
    case "boolean":
      return "true|false";
    case "int":
      return wholeSource(9);
    case "long":
      return wholeSource(longDigits);
    case "float":
    case "double":
      return `${wholeSource(DIGITS_MAX)}(?:\\.\\d+)?(?:[eE][+-]?[01]?\\d)?`;
    case "date":
      return `"${DAY}"`;
    case "timestamp":
      return `"${TIME}"`;
    case "timestamptz":
      return `"${TIME}${ZONE}"`;
    default: {
      const decimal = decimalOf(type);
      if (decimal === undefined) return undefined;
      const fraction = decimal.scale > 0 ? `(?:\\.\\d{1,${decimal.scale}})?` : "";
      return wholeSource(Math.min(decimal.precision - decimal.scale, DIGITS_MAX)) + fraction;
    }
  }
}

function wholeSource(digits: number): string {
  return digits < 1 ? "-?0" : `-?(?:0|[1-9]\\d{0,${digits - 1}})`;
}

function noteKeys(
  shape: Shape,
  fields: readonly NestedField[],
  order: Order,
  filled: ReadonlySet<string>,
  prefix: string,
): void {
  shape.objects++;
  shape.fields ??= new Map();
  for (const { name, type } of fields) {
    if (!order.keys.includes(latin1(name))) continue;
    const field = shape.fields.get(name) ?? { shape: emptyShape(), count: 0, object: 0 };
    shape.fields.set(name, field);
    if (!filled.has(prefix + name)) continue;
    if (typeof type === "string") noteScalar(field.shape, type);
    else if (type.type === "list") field.shape.lists = true;
    else if (type.type === "struct") {
      const inner = order.inner.get(latin1(name)) ?? NO_KEYS;
      noteKeys(field.shape, type.fields, inner, filled, `${prefix}${name}.`);
    }
  }
}

/** Longs of more digits than a double keeps are not read as doubles. */
function noteRounding(shape: Shape, fields: readonly NestedField[], filled: ReadonlySet<string>, prefix: string): void {
  for (const { name, type } of fields) {
    const inner = shape.fields?.get(name)?.shape;
    if (inner === undefined || !filled.has(prefix + name)) continue;
    if (type === "long") inner.rounds = true;
    if (typeof type === "object" && type.type === "struct") {
      noteRounding(inner, type.fields, filled, `${prefix}${name}.`);
    }
  }
}

function noteScalar(shape: Shape, type: PrimitiveType): void {
  switch (type) {
    case "boolean":
      shape.bools = true;
      return;
    case "string":
      shape.strings = true;
      shape.text = 0;
      return;
    case "date":
    case "timestamp":
    case "timestamptz":
      shape.strings = true;
      shape.text &= TEXT[type];
      return;
    case "int":
    case "long":
      shape.ints = true;
      return;
    default:
      shape.reals = true;
  }
}

function typeAt(fields: readonly NestedField[], path: string): Type | undefined {
  for (const { name, type } of fields) {
    if (name === path) return type;
    const inside = typeof type === "object" && type.type === "struct" && path.startsWith(`${name}.`);
    const found = inside ? typeAt(type.fields, path.slice(name.length + 1)) : undefined;
    if (found !== undefined) return found;
  }
  return undefined;
}

function escaped(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
}
