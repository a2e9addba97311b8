// Rows of the first bytes of a CSV file, taken apart as one dialect would have it, and what each cell looks like: what a dialect is judged
// by (csv/dialect.ts). Forgiving, unlike DuckDB: a record that does not fit the dialect is marked, and the next line starts anew.

export interface Separators {
  readonly delimiter: string;
  readonly quote: string;
  readonly escape: string;
}

export interface Cell {
  readonly text: string;
  readonly quoted: boolean;
}

export interface Row {
  readonly cells: readonly Cell[];
  /** Physical line it starts on, from 0. */
  readonly line: number;
  /** A quoted field does not end properly. */
  readonly malformed: boolean;
}

/** Rows that are not blank. `whole`: the text is all there is; else its last row may be cut and is left out. */
export function rowsOf(text: string, separators: Separators, whole: boolean): Row[] {
  const rows: Row[] = [];
  let at = 0;
  let line = 0;
  while (at < text.length) {
    const { cells, malformed, end } = record(text, at, separators);
    if (end >= text.length && !whole) break;
    if (cells.length > 1 || cells[0]?.quoted === true || cells[0]?.text.trim() !== "")
      rows.push({ cells, line, malformed });
    line += 1 + lineEndsIn(text, at, end);
    at = text[end] === "\r" && text[end + 1] === "\n" ? end + 2 : end + 1;
  }
  return rows;
}

function lineEndsIn(text: string, from: number, to: number): number {
  let count = 0;
  for (let at = from; at < to; at++) {
    const char = text[at];
    if (char === "\n" || (char === "\r" && text[at + 1] !== "\n")) count++;
  }
  return count;
}

function record(
  text: string,
  from: number,
  separators: Separators,
): { readonly cells: Cell[]; readonly malformed: boolean; readonly end: number } {
  const { delimiter, quote } = separators;
  const cells: Cell[] = [];
  let at = from;
  let lineEnd = nextLineEnd(text, from);
  for (;;) {
    const start = delimiter.startsWith(" ") ? at : afterSpaces(text, at);
    if (quote !== "" && text[start] === quote) {
      const close = closingQuote(text, start + 1, separators);
      const end = close < 0 ? -1 : afterSpaces(text, close + 1, delimiter);
      const proper = end >= 0 && (end >= text.length || isLineEnd(text[end]) || text.startsWith(delimiter, end));
      // Not found, or garbage after it: one line is given up, not the rest of the text.
      if (!proper)
        return { cells: [...cells, { text: text.slice(at, lineEnd), quoted: false }], malformed: true, end: lineEnd };
      cells.push({ text: text.slice(start + 1, close), quoted: true });
      if (end >= lineEnd) lineEnd = nextLineEnd(text, end);
      if (!text.startsWith(delimiter, end)) return { cells, malformed: false, end };
      at = end + delimiter.length;
      continue;
    }
    const next = text.indexOf(delimiter, at);
    const end = next < 0 || next >= lineEnd ? lineEnd : next;
    cells.push({ text: text.slice(at, end), quoted: false });
    if (end === lineEnd) return { cells, malformed: false, end };
    at = end + delimiter.length;
  }
}

function nextLineEnd(text: string, from: number): number {
  for (let at = from; at < text.length; at++) if (isLineEnd(text[at])) return at;
  return text.length;
}

function isLineEnd(char: string | undefined): boolean {
  return char === "\n" || char === "\r";
}

function afterSpaces(text: string, from: number, delimiter = ""): number {
  let at = from;
  while (text[at] === " " && !(delimiter !== "" && text.startsWith(delimiter, at))) at++;
  return at;
}

/** -1: there is none. */
function closingQuote(text: string, from: number, separators: Separators): number {
  const { quote } = separators;
  for (let at = text.indexOf(quote, from); at >= 0; at = text.indexOf(quote, at + 1)) {
    if (separators.escape === quote) {
      if (text[at + 1] !== quote) return at;
      at++;
    } else if (separators.escape === "" || !isEscaped(text, at, from, separators)) return at;
  }
  return -1;
}

function isEscaped(text: string, at: number, from: number, separators: Separators): boolean {
  let count = 0;
  while (at - 1 - count >= from && text[at - 1 - count] === separators.escape) count++;
  return count % 2 === 1;
}

export type CellKind = "empty" | "typed" | "word" | "text" | "quoted" | "odd";

const TIME = String.raw`\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?: ?[AaPp][Mm])?(?: ?Z| ?[+-]\d{2}(?::?\d{2})?)?`;
const DATE = String.raw`\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}`;
const TYPED = [
  String.raw`[+-]?(?:\p{Sc} ?)?[+-]?(?:\d+|\d{1,3}(?:[ .,']\d{3})+)(?:[.,]\d+)?(?:[eE][+-]?\d+)?(?: ?%| ?\p{Sc})?`,
  `(?:${DATE})(?:[T ]${TIME})?`,
  TIME,
  "(?:true|false|TRUE|FALSE|True|False)",
  String.raw`[A-Za-z][A-Za-z0-9+.-]*://[^\s,;|"]+`,
  String.raw`[^\s@,;|"]+@[^\s@,;|"]+\.[^\s@,;|"]+`,
].map((pattern) => new RegExp(`^(?:${pattern})$`, "u"));
const NOTHING = /^(?:|-|n\/a|na|null|none|nan)$/i;
const WORD = /^[\p{L}\p{N}_.\-/#$%&+]+$/u;
/** Words and what stands between them; none of the usual delimiters. */
const TEXT = /^[\p{L}\p{N}\p{M}(#$%&'"][\p{L}\p{N}\p{M} _.\-–/#$%&+'’"()!?:*@[\]]*$/u;
const ODD_QUOTE = /^["']|["']$/;

/** Cells longer than this are not looked through: they are text. */
const LENGTH_MAX = 200;

export function kindOf({ text, quoted }: Cell): CellKind {
  if (NOTHING.test(text)) return "empty";
  if (text.length <= LENGTH_MAX && TYPED.some((pattern) => pattern.test(text))) return "typed";
  if (quoted) return "quoted";
  if (WORD.test(text)) return "word";
  return TEXT.test(text) && !text.endsWith(" ") && !ODD_QUOTE.test(text) ? "text" : "odd";
}
