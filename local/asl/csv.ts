// CSV as the item reader takes it (RFC 4180, a configurable delimiter): each row an object of strings by the header's names.
// Rows shorter than the header have empty strings for what is missing, longer ones lose what has no name.
// Source: https://docs.aws.amazon.com/step-functions/latest/dg/input-output-itemreader.html

export const CSV_DELIMITERS: Readonly<Record<string, string>> = {
  COMMA: ",",
  PIPE: "|",
  SEMICOLON: ";",
  SPACE: " ",
  TAB: "\t",
};

/** Without `header`, the first row is it. */
export function parseCsv(text: string, delimiter: string, header?: readonly string[]): Record<string, string>[] {
  const rows = rowsOf(text.replace(/^\uFEFF/, ""), delimiter);
  const names = header ?? rows.shift() ?? [];
  if (new Set(names).size < names.length) throw new Error("CSV headers cannot contain duplicates.");
  return rows.map((row) => Object.fromEntries(names.map((name, n) => [name, row[n] ?? ""])));
}

function rowsOf(text: string, delimiter: string): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  let at = 0;
  while (at < text.length) {
    const { field, end } = text[at] === '"' ? quoted(text, at) : plain(text, at, delimiter);
    row.push(field);
    at = end;
    if (text[at] === delimiter) {
      at++;
      if (at === text.length) row.push("");
      continue;
    }
    at += text.startsWith("\r\n", at) ? 2 : 1;
    if (row.length > 1 || row[0] !== "") rows.push(row);
    row = [];
  }
  if (row.length > 0) rows.push(row);
  return rows;
}

function plain(text: string, start: number, delimiter: string): { field: string; end: number } {
  let end = start;
  while (end < text.length && text[end] !== delimiter && text[end] !== "\n" && !text.startsWith("\r\n", end)) end++;
  return { field: text.slice(start, end), end };
}

function quoted(text: string, start: number): { field: string; end: number } {
  let field = "";
  let at = start + 1;
  for (;;) {
    const quote = text.indexOf('"', at);
    if (quote < 0) throw new Error("a quoted field does not end");
    field += text.slice(at, quote);
    if (text[quote + 1] !== '"') return { field, end: quote + 1 };
    field += '"';
    at = quote + 2;
  }
}
