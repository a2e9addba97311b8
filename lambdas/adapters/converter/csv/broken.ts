// What can be read of a CSV row with a broken quote, where bad rows are rescued. Two ways to read it are tried: a quote that is not followed
// by a delimiter or the end is a letter of its field (`"the 5" pipe",x`), or one that does not close properly is a letter, and the field is
// none in quotes (`"1,a,"b, c"`). The way that gives as many fields as the header is taken; where they divide the row differently, neither.

interface Quoting {
  readonly delimiter: string;
  readonly quote: string;
  readonly escape: string;
}

interface Field {
  readonly end: number;
  /** As it may be written in a row that is read again. */
  readonly written: string;
}

/** Longer rows are not looked into: every quote may be one that is looked behind for its end. */
const CHARS_MAX = 256 * 1024;

/** The fields as they may be written, or undefined where the row cannot be divided into `width`. */
export function readBroken(row: string, dialect: Quoting, width: number): readonly string[] | undefined {
  if (row.length > CHARS_MAX) return undefined;
  const [way, other] = [closeOfLenient, closeOfStrict].flatMap((closeOf) => {
    const fields = split(row, dialect, width, closeOf);
    return fields.length === width ? [fields] : [];
  });
  if (other !== undefined && way?.some(({ end }, column) => end !== other[column]?.end)) return undefined;
  return way?.map(({ written }) => written);
}

type CloseOf = (row: string, from: number, dialect: Quoting) => number;

/** At most one field more than `width`. */
function split(row: string, dialect: Quoting, width: number, closeOf: CloseOf): Field[] {
  const { delimiter, quote } = dialect;
  const fields: Field[] = [];
  for (let start = 0; fields.length <= width; ) {
    const close = row.startsWith(quote, start) ? closeOf(row, start + 1, dialect) : -1;
    const next = row.indexOf(delimiter, close < 0 ? start : close + 1);
    const end = next < 0 ? row.length : next;
    const plain = row.slice(start, end);
    const text = close < 0 ? plain : unescaped(row.slice(start + 1, close), dialect);
    fields.push({ end, written: close < 0 && !plain.trimStart().startsWith(quote) ? plain : inQuotes(text, dialect) });
    if (next < 0) break;
    start = next + delimiter.length;
  }
  return fields;
}

/** The first quote that a delimiter or the end follows; -1: there is none. */
function closeOfLenient(row: string, from: number, dialect: Quoting): number {
  for (let at = nextQuote(row, from, dialect); at >= 0; at = nextQuote(row, at + 1, dialect)) {
    if (endsField(row, at + 1, dialect)) return at;
  }
  return -1;
}

/** The next quote, if a delimiter or the end follows it. */
function closeOfStrict(row: string, from: number, dialect: Quoting): number {
  const at = nextQuote(row, from, dialect);
  return at >= 0 && endsField(row, at + 1, dialect) ? at : -1;
}

/** One that is not escaped. */
function nextQuote(row: string, from: number, { quote, escape: escaping }: Quoting): number {
  for (let at = from; at < row.length; at++) {
    if (row[at] === escaping && row[at + 1] === quote) at++;
    else if (row[at] === quote) return at;
    else if (row[at] === escaping && row[at + 1] === escaping) at++;
  }
  return -1;
}

function endsField(row: string, from: number, { delimiter }: Quoting): boolean {
  let at = from;
  while (row[at] === " " && !delimiter.startsWith(" ")) at++;
  return at >= row.length || row.startsWith(delimiter, at);
}

/** What is between two quotes. An escape before neither a quote nor an escape is a letter. */
export function unescaped(inner: string, { quote, escape: escaping }: Quoting): string {
  if (escaping === "") return inner;
  let text = "";
  for (let at = 0; at < inner.length; at++) {
    const [char, next] = [inner[at] as string, inner[at + 1]];
    text += char === escaping && (next === quote || next === escaping) ? inner[++at] : char;
  }
  return text;
}

/** Without an escape of the dialect's own the quote escapes itself (csv/reader.ts). */
export function inQuotes(text: string, { quote, escape: escaping }: Quoting): string {
  const used = escaping === "" ? quote : escaping;
  const inner = used === quote ? text : text.replaceAll(used, used + used);
  return quote + inner.replaceAll(quote, used + quote) + quote;
}
