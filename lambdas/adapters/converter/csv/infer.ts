// Types of CSV columns nobody has described yet, from all their values: a sample would type a column by its first thousand rows
// and fail on the next. Each column walks down its list of candidates; one pass over the files checks one candidate per column.

import type { PrimitiveType } from "../../../core/iceberg/types.ts";
import type { Session } from "../engine.ts";
import { literal } from "../sql.ts";
import { misfits, type TextFormats } from "../strict-cast.ts";
import { numberText } from "./numbers.ts";

/** In the order they are tried; what fits none, or is never filled, is a string. */
const CANDIDATES: readonly PrimitiveType[] = [
  "boolean",
  "long",
  "decimal(38, 0)",
  "double",
  "date",
  "timestamp",
  "timestamptz",
];
const SAMPLE_ROWS = 4096;

/** Of these a text that is written like one is one. (A cast to 38 digits takes 5 µs.) */
const TOLD_BY_SHAPE: ReadonlySet<PrimitiveType> = new Set(["boolean", "decimal(38, 0)"]);

// Leading zeros are identifiers (postal codes, article numbers): such a column stays text.
const SHAPES: Readonly<Record<string, string>> = {
  boolean: "(?i)true|false",
  long: "[+-]?(0|[1-9][0-9]*)",
  "decimal(38, 0)": "[+-]?(0|[1-9][0-9]{0,37})",
  double: "[+-]?(0|[1-9][0-9]*)?(\\.[0-9]*)?([eE][+-]?[0-9]+)?|(?i)nan|[+-]?inf(inity)?",
  date: "[0-9]{4}-[0-9]{2}-[0-9]{2}",
  timestamp: "[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\\.[0-9]+)?)?",
  timestamptz:
    "[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\\.[0-9]+)?)? ?([zZ]|[+-][0-9]{2}(:?[0-9]{2})?| UTC)",
};

/** True where a text is not written the way this type is. Most are told by their shape, and only the others are cast. */
function unlike(text: string, type: PrimitiveType, formats: TextFormats): string {
  const formatted = type === "date" ? formats.date : type.startsWith("timestamp") ? formats.timestamp : undefined;
  const refused = TOLD_BY_SHAPE.has(type) ? "false" : misfits(text, type, formats);
  if (formatted !== undefined) return refused;
  const written = numberText(text, type, formats);
  const shape = `regexp_full_match(${written}, ${literal(SHAPES[type] as string)})`;
  // A double keeps 15 digits of every whole number; longer ones would be rounded without a word.
  const rounded = `strlen(${text}) > 15 AND regexp_full_match(${written}, '[+-]?[0-9]{16,}')`;
  const otherwise = type === "double" ? `(${rounded}) OR ${refused}` : refused;
  return `(CASE WHEN ${text} IS NULL THEN false WHEN ${shape} THEN ${otherwise} ELSE true END)`;
}

function candidatesOf(formats: TextFormats): readonly PrimitiveType[] {
  const zoned = /%[zZ]/.test(formats.timestamp ?? "");
  if (formats.timestamp === undefined) return CANDIDATES;
  return CANDIDATES.filter((type) => type !== (zoned ? "timestamp" : "timestamptz"));
}

/** `from`: a FROM item whose columns are VARCHAR; `columns`: the ones to type (SQL names). In the order asked. */
export async function inferTypes(
  session: Session,
  from: string,
  columns: readonly string[],
  formats: TextFormats,
): Promise<PrimitiveType[]> {
  const candidates = candidatesOf(formats);
  const sampled = new Map(columns.map((column) => [column, candidates]));
  const sample = await look(session, `(SELECT * FROM ${from} LIMIT ${SAMPLE_ROWS})`, sampled, formats);
  const decided = new Map<string, PrimitiveType>();
  let open = new Map(
    columns.map((column) => [column, candidates.filter((type) => !sample.get(column)?.refused.has(type))]),
  );
  while (open.size > 0) {
    const first = new Map([...open].map(([column, types]) => [column, types.slice(0, 1)]));
    const seen = await look(session, from, first, formats);
    const next = new Map<string, PrimitiveType[]>();
    for (const [column, [candidate, ...others]] of open) {
      const { filled, refused } = seen.get(column) ?? NOTHING;
      if (candidate === undefined || !filled) decided.set(column, "string");
      else if (refused.size === 0) decided.set(column, candidate);
      else next.set(column, others);
    }
    open = next;
  }
  return columns.map((column) => decided.get(column) ?? "string");
}

/** For columns the table has as int or float: long or double where some value fits only that. Others are left to the conversion. */
export async function widenTypes(
  session: Session,
  from: string,
  columns: readonly { readonly column: string; readonly type: "int" | "float" }[],
): Promise<PrimitiveType[]> {
  if (columns.length === 0) return [];
  const wider = { int: "long", float: "double" } as const;
  const answers = columns.map(({ column, type }, i) => {
    const needs = `${misfits(column, type, {})} AND NOT ${misfits(column, wider[type], {})}`;
    return `coalesce(bool_or(${needs}), false) AS "w${i}"`;
  });
  const [row = {}] = await session.rows(`SELECT ${answers.join(", ")} FROM ${from}`);
  return columns.map(({ type }, i) => (row[`w${i}`] === true ? wider[type] : type));
}

interface Look {
  /** Some value is not null. */
  readonly filled: boolean;
  readonly refused: ReadonlySet<PrimitiveType>;
}
const NOTHING: Look = { filled: false, refused: new Set() };

/** One pass: for each column, which of the asked types some value is not written like. */
async function look(
  session: Session,
  from: string,
  asked: ReadonlyMap<string, readonly PrimitiveType[]>,
  formats: TextFormats,
): Promise<Map<string, Look>> {
  const columns = [...asked];
  const answers = columns.flatMap(([column, types], i) => [
    `coalesce(bool_or(${column} IS NOT NULL), false) AS "f${i}"`,
    ...types.map((type, j) => `coalesce(bool_or(${unlike(column, type, formats)}), false) AS "r${i}_${j}"`),
  ]);
  const [row = {}] = await session.rows(`SELECT ${answers.join(", ")} FROM ${from}`);
  return new Map(
    columns.map(([column, types], i) => [
      column,
      { filled: row[`f${i}`] === true, refused: new Set(types.filter((_, j) => row[`r${i}_${j}`] === true)) },
    ]),
  );
}
