// Escapes that stand before neither a quote nor an escape, where the escape is not the quote itself: letters of their field to PostgreSQL, Spark
// and others that write them (`"C:\temp"`), but DuckDB drops them without a word. In the file in the work directory each is doubled. As with
// rows that have fields too many (csv/excess.ts) nobody but DuckDB sees that.

import { insertMarks } from "./excess.ts";
import { type Dialect, eachRecord, fieldsOf } from "./records.ts";

const SPACE = 0x20;

/** Returns where escapes were doubled. */
export async function doubleEscapes(path: string, dialect: Dialect): Promise<readonly number[]> {
  const { quote, escape: escaping } = dialect;
  if (quote === "" || escaping === "" || escaping === quote) return [];
  const code = escaping.charCodeAt(0);
  const places: number[] = [];
  await eachRecord(path, dialect, (bytes, record) => {
    if (record.broken || !bytes.subarray(record.start, record.end).includes(code)) return;
    for (const field of fieldsOf(bytes, record, dialect))
      for (const at of loneEscapes(bytes, field, dialect)) places.push(record.byte - record.start + at);
  });
  await insertMarks(path, places, escaping);
  return places;
}

function* loneEscapes(
  bytes: Buffer,
  { start, end }: { readonly start: number; readonly end: number },
  { quote, escape: escaping, delimiter }: Dialect,
): Generator<number> {
  const [quoteCode, code] = [quote.charCodeAt(0), escaping.charCodeAt(0)];
  const first = bytes[start] === SPACE && !delimiter.startsWith(" ") ? start + 1 : start;
  if (bytes[first] !== quoteCode) return;
  for (let at = first + 1; at < end; at++) {
    if (bytes[at] !== code) continue;
    if (bytes[at + 1] === quoteCode || bytes[at + 1] === code) at++;
    else yield at;
  }
}
