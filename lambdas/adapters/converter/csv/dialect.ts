// The dialect of a CSV file, told by its first bytes: pure, and the same for the same bytes. Every candidate takes the text apart; the best is
// the one whose rows agree most, in how many fields they have and in what the cells look like (van den Burg, Nazábal and Sutton, "Wrangling
// messy CSV files by detecting row and type patterns", 2019). What cannot be told is said so: a wrong guess would load rows that are none.

import { DIALECT_PARTS, type DialectPart } from "../../../core/config.ts";
import { countFooter, findTable } from "./dialect-table.ts";
import type { CsvOptions } from "./header.ts";
import { type CellKind, kindOf, type Row, rowsOf, type Separators } from "./rows.ts";

export type Dialect = Pick<CsvOptions, DialectPart | "headerRows">;

export type Recognised =
  | { readonly dialect: Dialect; readonly unknown?: never }
  /** Why not, with the remedy. `line`: from 1. */
  | { readonly dialect?: never; readonly unknown: string; readonly line?: number };

export interface Sample {
  readonly head: string;
  /** The head is the whole file. */
  readonly whole: boolean;
  /** The last bytes; may start inside a line. */
  readonly tail: string;
}

/** Rarer ones must be better to win: words are delimited by spaces in any text. */
const DELIMITERS: readonly (readonly [delimiter: string, weight: number])[] = [
  [",", 1],
  [";", 1],
  ["\t", 1],
  ["|", 1],
  [", ", 1],
  ["; ", 1],
  ["||", 1],
  ["\u0001", 1],
  ["^", 0.9],
  ["~", 0.9],
  [":", 0.6],
  [" ", 0.6],
];
const KIND_SCORES: Readonly<Record<CellKind, number>> = {
  typed: 1,
  quoted: 1,
  word: 0.95,
  text: 0.9,
  empty: 0.8,
  odd: 0.1,
};
/** A file of one column is one that nothing delimits better. */
const ONE_COLUMN_SCORE = 0.3;
/** Of text that is judged: more does not tell more, and every candidate reads it. */
const JUDGED_CHARS = 16 * 1024;
/** Of a candidate's rows, for what their cells look like. */
const JUDGED_ROWS = 40;
/** Below: most rows have another number of fields, or their cells look like nothing. */
const SHARE_MIN = 0.5;
const SCORE_MIN = 0.1;
/** Two different delimiters so close to each other are not told apart. */
const CLOSE = 0.97;

interface Weighted extends Separators {
  readonly weight: number;
}

interface Candidate extends Separators {
  readonly score: number;
  /** Of its rows, those of the usual width. */
  readonly share: number;
  readonly width: number;
  readonly rows: readonly Row[];
}

/** `given`: what is not recognised stays as it says. Undefined: there are no rows. */
export function recogniseDialect(sample: Sample, given: CsvOptions): Recognised | undefined {
  const recognised = new Set(given.recognise ?? DIALECT_PARTS);
  const text = withoutLines(sample.head, recognised.has("skipLines") ? 0 : given.skipLines);
  const best = bestOf(text.rest, sample.whole, given, recognised);
  if (best === undefined) return undefined;
  if ("unknown" in best) return best;
  const table = findTable(best.rows, best.width, {
    ...(recognised.has("header") ? {} : { header: given.header }),
    preamble: recognised.has("skipLines"),
    unread: given.columns !== undefined,
  });
  if (table.unknown !== undefined) {
    const { line } = table;
    return { unknown: table.unknown, ...(line === undefined ? {} : { line: line + text.lines + 1 }) };
  }
  return {
    dialect: {
      delimiter: best.delimiter,
      quote: best.quote,
      escape: best.escape,
      header: table.header,
      ...(table.headerRows > 1 ? { headerRows: table.headerRows } : {}),
      skipLines: text.lines + table.skipLines,
      footerLines: recognised.has("footerLines")
        ? countFooter(sample.tail, sample.whole, best, best.width)
        : (given.footerLines ?? 0),
    },
  };
}

function withoutLines(text: string, lines: number): { readonly rest: string; readonly lines: number } {
  let at = 0;
  for (let n = 0; n < lines; n++) {
    const end = /\r\n|\r|\n/g;
    end.lastIndex = at;
    if (end.exec(text) === null) return { rest: "", lines };
    at = end.lastIndex;
  }
  return { rest: text.slice(at), lines };
}

function bestOf(
  text: string,
  whole: boolean,
  given: CsvOptions,
  recognised: ReadonlySet<DialectPart>,
): Candidate | { readonly unknown: string } | undefined {
  const judged = text.slice(0, JUDGED_CHARS);
  const isWhole = whole && judged.length === text.length;
  const candidates: Candidate[] = [];
  let atLeast = 0;
  for (const separators of separatorsOf(judged, given, recognised)) {
    const candidate = judge(judged, isWhole, separators, given.comment, atLeast);
    atLeast = Math.max(atLeast, candidate.score * CLOSE);
    if (candidate.rows.length > 0) candidates.push(candidate);
  }
  candidates.sort((a, b) => b.score - a.score);
  const [first] = candidates;
  if (first === undefined)
    return judged.trim() === "" ? undefined : { unknown: "no row ends within the first 16 KiB; give the dialect" };
  const best = candidates.find((candidate) => isLonger(candidate, first)) ?? first;
  if (best.share < SHARE_MIN || best.score < SCORE_MIN)
    return { unknown: "no delimiter divides its rows alike; give the dialect" };
  const rival = candidates.find((other) => other.delimiter !== best.delimiter && !isLonger(best, other));
  if (rival !== undefined && rival.width > 1 && rival.score > best.score * CLOSE) {
    const [one, other] = [best.delimiter, rival.delimiter].map((delimiter) => JSON.stringify(delimiter));
    return { unknown: `its delimiter may be ${one} or ${other}; give the delimiter` };
  }
  return best;
}

/** `||` where `|` finds nothing between each two, `, ` where `,` finds a space before each value. */
function isLonger(longer: Candidate, shorter: Candidate): boolean {
  const times = longer.delimiter.split(shorter.delimiter).length - 1;
  const same = shorter.width > 1 && (longer.width - 1) * times === shorter.width - 1;
  return longer.delimiter !== shorter.delimiter && times > 0 && same && longer.share >= shorter.share;
}

/** Only what the text has room for: a delimiter it does not hold tells nothing, nor does an escape. */
function separatorsOf(text: string, given: CsvOptions, recognised: ReadonlySet<DialectPart>): Weighted[] {
  const held = DELIMITERS.filter(([delimiter]) => text.includes(delimiter));
  const delimiters = !recognised.has("delimiter")
    ? ([[given.delimiter, 1]] as const)
    : // A comma that it does not hold makes one column of it.
      [...held, ...(text.includes(",") ? [] : ([[",", 1]] as const))];
  const quoting = ['"', "'"].filter((quote) => text.includes(quote));
  const quotes = recognised.has("quote")
    ? [...new Set(['"', ...quoting, ...(quoting.length > 0 ? [""] : [])])]
    : [given.quote];
  return delimiters.flatMap(([delimiter, weight]) =>
    quotes.flatMap((quote) =>
      escapesOf(text, quote, given, recognised).map((escaping) => ({ delimiter, quote, escape: escaping, weight })),
    ),
  );
}

function escapesOf(
  text: string,
  quote: string,
  given: CsvOptions,
  recognised: ReadonlySet<DialectPart>,
): readonly string[] {
  if (!recognised.has("escape")) return [given.escape];
  return quote !== "" && text.includes(`\\${quote}`) ? [quote, "\\"] : [quote];
}

/** `atLeast`: a candidate that cannot score so much need not be looked at closely; its score is then what it could reach at most. */
function judge(
  text: string,
  whole: boolean,
  { weight, ...separators }: Weighted,
  comment: string | undefined,
  atLeast: number,
): Candidate {
  const rows = rowsOf(text, separators, whole).filter(
    ({ cells }) => comment === undefined || cells[0]?.quoted === true || cells[0]?.text.startsWith(comment) !== true,
  );
  const width = usualWidth(rows);
  const usual = rows.filter((row) => !row.malformed && row.cells.length === width);
  const share = rows.length === 0 ? 0 : usual.length / rows.length;
  const most = share * (width === 1 ? ONE_COLUMN_SCORE : (1 - 1 / width) * weight);
  const score = most < atLeast ? most : most * kindScore(usual.slice(0, JUDGED_ROWS)) ** 2;
  return { ...separators, rows, width, share, score };
}

/** How many fields most rows have; of two numbers the larger. */
function usualWidth(rows: readonly Row[]): number {
  const counts = new Map<number, number>();
  for (const { cells, malformed } of rows)
    if (!malformed) counts.set(cells.length, (counts.get(cells.length) ?? 0) + 1);
  return [...counts].toSorted(([a, n], [b, m]) => m - n || b - a)[0]?.[0] ?? 1;
}

function kindScore(rows: readonly Row[]): number {
  let sum = 0;
  let cells = 0;
  for (const row of rows) for (const cell of row.cells) sum += KIND_SCORES[kindOf(cell)];
  for (const row of rows) cells += row.cells.length;
  return cells === 0 ? 0 : sum / cells;
}
