// Where the rows of a CSV file begin and end, once its delimiter is known: lines before the header, the header, lines after the rows.
// In doubt it is not told: a row taken for a header, or for a note, is a row lost.

import { kindOf, type Row, rowsOf, type Separators } from "./rows.ts";

export type Table =
  | { readonly header: boolean; readonly headerRows: number; readonly skipLines: number; readonly unknown?: never }
  /** `line`: from 0. */
  | {
      readonly header?: never;
      readonly headerRows?: never;
      readonly skipLines?: never;
      readonly unknown: string;
      readonly line?: number;
    };

/** A column is typed if so many of its filled cells are. */
const TYPED_SHARE = 0.9;
const NAME_LENGTH_MAX = 128;
const HEADER_ROWS_MAX = 3;
/** Below: too little to tell a second header row from a row of texts. */
const TYPED_COLUMNS_MIN = 3;
const TYPED_ROWS_MIN = 10;
const FOOTER_LINES_MAX = 10;

export function findTable(
  rows: readonly Row[],
  width: number,
  options: { readonly header?: boolean; readonly preamble: boolean; readonly unread: boolean },
): Table {
  // A header that nobody reads may look like anything, a note among others.
  if (options.header === true && options.unread) return { header: true, headerRows: 1, skipLines: 0 };
  const start = options.preamble ? rows.findIndex((row) => !isNote(row, width)) : 0;
  const first = rows[start];
  if (first === undefined) return { unknown: "it has notes and no rows; give the dialect" };
  if (first.malformed)
    return {
      unknown: `a quoted field of line ${first.line + 1} does not end properly; correct it, or give the dialect`,
      line: first.line,
    };
  if (first.cells.length !== width) {
    const message = `line ${first.line + 1} has ${first.cells.length} fields, most rows have ${width}; correct it, or give the dialect`;
    return { unknown: message, line: first.line };
  }
  const header = options.header ?? isHeader(first, rows.slice(start + 1), width);
  if (header === undefined) {
    const message = `whether line ${first.line + 1} is a header cannot be told; give header: true or false`;
    return { unknown: message, line: first.line };
  }
  if (start > 0 && !header) {
    const message = `no header follows the notes before line ${first.line + 1}; give skipLines and header`;
    return { unknown: message, line: first.line };
  }
  const headerRows = header && options.header === undefined ? countHeaderRows(rows.slice(start), width) : 1;
  const again = header ? rows.slice(start + headerRows).find((row) => sameCells(row, first)) : undefined;
  if (again !== undefined) {
    const message = `line ${again.line + 1} is the header again; give headerRows, or split the file`;
    return { unknown: message, line: again.line };
  }
  return { header, headerRows, skipLines: start > 0 ? first.line : 0 };
}

/** Rows of text in every one of several columns that are numbers, dates and the like below. */
function countHeaderRows(rows: readonly Row[], width: number): number {
  for (let count = HEADER_ROWS_MAX; count > 1; count--) {
    const body = bodyOf(rows.slice(count), width);
    if (body.length < TYPED_ROWS_MIN) continue;
    const typed = Array.from({ length: width }, (_, column) => column).filter((column) => isTyped(body, column));
    const titles = rows.slice(0, count).every((row) => !row.malformed && typed.every((column) => isText(row, column)));
    if (titles && typed.length >= TYPED_COLUMNS_MIN) return count;
  }
  return 1;
}

function isText({ cells }: Row, column: number): boolean {
  const cell = cells[column];
  return cell !== undefined && !["empty", "typed"].includes(kindOf(cell));
}

function bodyOf(rows: readonly Row[], width: number): Row[] {
  return rows.filter((row) => !row.malformed && row.cells.length === width);
}

function sameCells(a: Row, b: Row): boolean {
  return a.cells.length === b.cells.length && a.cells.every(({ text }, column) => text === b.cells[column]?.text);
}

/** A line that stands beside a table: one filled cell where rows have three or more, or no more than half of the fields. */
function isNote({ cells, malformed }: Row, width: number): boolean {
  if (malformed || width < 2) return false;
  if (cells.length < width) return cells.length <= Math.max(1, Math.floor(width / 2));
  return width >= 3 && cells.filter(({ text }) => text.trim() !== "").length <= 1;
}

/** Undefined: it may be one or not. */
function isHeader(first: Row, others: readonly Row[], width: number): boolean | undefined {
  const kinds = first.cells.map(kindOf);
  if (kinds.includes("typed")) return false;
  const names = first.cells.map(({ text }) => text.trim().toLowerCase());
  const filled = names.filter((name) => name !== "");
  const body = bodyOf(others, width);
  if (filled.length === 0) return body.length === 0 ? false : undefined;
  if (names.some((name) => name.length > NAME_LENGTH_MAX)) return undefined;
  if (body.length === 0) return true;
  if (names.some((_, column) => isTyped(body, column))) return true;
  // Text over text: names are all there, differ, and do not come again as values.
  const distinct = filled.length === width && new Set(names).size === width;
  const comesAgain = names.some((name, column) =>
    body.some(({ cells }) => cells[column]?.text.trim().toLowerCase() === name),
  );
  return distinct && !comesAgain ? true : undefined;
}

function isTyped(body: readonly Row[], column: number): boolean {
  const kinds = body.flatMap(({ cells }) => {
    const cell = cells[column];
    const kind = cell === undefined ? "empty" : kindOf(cell);
    return kind === "empty" ? [] : [kind];
  });
  return kinds.length > 0 && kinds.filter((kind) => kind === "typed").length >= TYPED_SHARE * kinds.length;
}

/**
 * Lines after the rows: one field where rows have three or more, or after a blank line. The last line must be ended: what an upload
 * that broke off leaves is no note, but a row that cannot be read. Blank lines are not counted.
 */
export function countFooter(tail: string, whole: boolean, separators: Separators, width: number): number {
  const lines = tail.split(/\r\n|\r|\n/);
  if (lines.at(-1) !== "" || width < 2) return 0;
  let count = 0;
  let blankBefore = false;
  for (let at = lines.length - 1; at >= (whole ? 1 : 2); at--) {
    const line = lines[at] as string;
    if (line.trim() === "") {
      blankBefore = count > 0;
      continue;
    }
    const note =
      separators.quote === "" || !line.includes(separators.quote) ? rowsOf(line, separators, true)[0] : undefined;
    if (note === undefined || note.cells.length !== 1) return width >= 3 || blankBefore ? count : 0;
    blankBefore = false;
    if (++count > FOOTER_LINES_MAX) return 0;
  }
  return 0;
}
