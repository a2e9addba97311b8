// The options of delimited text in `moraine.yaml`: what a file looks like, given here or recognised file by file (`dialect: auto`). Those of
// text with columns of fixed width are among them.

import { DIALECT_PARTS, type DialectPart, type FixedColumn, type FixedOptions, type FormatOptions } from "./config.ts";
import type { Section } from "./config-reader.ts";
import { type Check, shown } from "./config-text.ts";

type Delimited = Extract<FormatOptions, { readonly type: "csv" | "tsv" }>;

const DELIMITER_BYTES_MAX = 4;
const LINE_CHARS_MAX = 1_000_000;
const ENCODINGS = ["utf-8", "utf-16", "latin-1", "windows-1252"] as const;

const checkDelimiter: Check = (text) => {
  if (/[\r\n\0]/.test(text)) return `${shown(text)} holds a line end or NUL; choose another delimiter`;
  const bytes = new TextEncoder().encode(text).length;
  return bytes >= 1 && bytes <= DELIMITER_BYTES_MAX
    ? undefined
    : `${shown(text)} has ${bytes} bytes; write 1 to ${DELIMITER_BYTES_MAX}, in quotes`;
};

/** DuckDB knows only bytes here. */
const checkCharacter: Check = (text) => {
  const code = text.length === 1 ? text.charCodeAt(0) : 0;
  return code > 0 && code < 0x80 && text !== "\n" && text !== "\r"
    ? undefined
    : `${shown(text)} is not one ASCII character; write exactly one, in quotes`;
};

const checkCharacterOrNone: Check = (text) =>
  text === "" ? undefined : checkCharacter(text)?.replace("exactly one, in quotes", 'one, or "" for none');

const checkSeparator: Check = (text) =>
  /^[^0-9+\-eE\r\n]$/u.test(text)
    ? undefined
    : `${shown(text)} separates no digits; write one character such as "," or "."`;

const checkName: Check = (text) => (text.trim() === "" ? "is empty; write the column's name" : undefined);

export function readDelimited(section: Section, type: "csv" | "tsv"): FormatOptions {
  const recognise = readDialect(section);
  const quote = section.string("quote", { check: checkCharacterOrNone, fallback: '"' });
  const options: Delimited = {
    type,
    delimiter: section.string("delimiter", { check: checkDelimiter, fallback: type === "tsv" ? "\t" : "," }),
    header: section.boolean("header", true),
    quote,
    escape: section.string("escape", { check: checkCharacterOrNone, fallback: quote }),
    ...readText(section),
    ...whole(section, "headerRows", 1, 10),
    ...(section.has("columns") ? { columns: section.strings("columns", checkName) } : {}),
    ...(section.boolean("trim", false) ? { trim: true } : {}),
    ...(recognise.length === 0 ? {} : { recognise }),
  };
  checkTogether(section, options);
  checkColumns(section, options.columns);
  return options;
}

export function readFixed(section: Section): FixedOptions {
  const columns = section.sections("columns").map((column): FixedColumn => {
    const name = column.string("name", { check: checkName });
    const place = { ...whole(column, "start", 1, LINE_CHARS_MAX), ...whole(column, "width", 1, LINE_CHARS_MAX) };
    column.close();
    return { name, start: 0, ...place };
  });
  return {
    type: "fixed",
    columns: placed(section, columns),
    header: section.boolean("header", false),
    ...readText(section),
  };
}

/** A column without a start stands right behind the one before it. */
function placed(section: Section, columns: readonly FixedColumn[]): FixedColumn[] {
  if (columns.length === 0) section.complain("columns", "is empty; give every column its name, start and width");
  checkTwice(
    section,
    columns.map(({ name }) => name),
  );
  let next: number | undefined = 1;
  return columns.map((column) => {
    const start = column.start === 0 ? (next ?? 1) : column.start;
    if (next === undefined)
      section.complain("columns", `${shown(column.name)} follows a column without width; only the last may be without`);
    else if (start < next)
      section.complain(
        "columns",
        `${shown(column.name)} starts at ${start}, inside the column before; give columns in order`,
      );
    next = column.width === undefined ? undefined : start + column.width;
    return { ...column, start };
  });
}

/** Of all kinds of text with columns. */
function readText(section: Section): Omit<FixedOptions, "type" | "columns" | "header"> {
  const options = {
    nullValues: section.strings("nullValues"),
    encoding: section.choice("encoding", { values: ENCODINGS, fallback: "utf-8" }) ?? "utf-8",
    skipLines: section.integer("skipLines", { fallback: 0, min: 0, max: 1_000_000 }),
    ...whole(section, "footerLines", 0, 1000),
    ...text(section, "comment", checkCharacter),
    ...text(section, "decimalSeparator", checkSeparator),
    ...text(section, "thousandsSeparator", checkSeparator),
    ...text(section, "dateFormat"),
    ...text(section, "timestampFormat"),
  };
  const { decimalSeparator = ".", thousandsSeparator } = options;
  if (thousandsSeparator === decimalSeparator)
    section.complain("thousandsSeparator", `${shown(decimalSeparator)} is the decimal separator too; choose another`);
  return options;
}

/** `auto`: everything that is not given is recognised. */
function readDialect(section: Section): readonly DialectPart[] {
  const dialect = section.choice("dialect", { values: ["given", "auto"], fallback: "given" });
  if (dialect !== "auto") return [];
  // Several header rows are one kind of header: who gives their number has said that there is one.
  return DIALECT_PARTS.filter((part) => !section.has(part) && !(part === "header" && section.has("headerRows")));
}

/** The same character in two roles would make a file mean two things. */
function checkTogether(section: Section, options: Delimited): void {
  if (section.has("headerRows") && !options.header)
    section.complain("headerRows", "needs a header; remove it or header");
  for (const [key, value] of [
    ["quote", options.quote],
    ["comment", options.comment ?? ""],
  ] as const) {
    if (section.has(key) && value !== "" && options.delimiter.includes(value))
      section.complain(key, `${shown(value)} is in the delimiter too; choose another`);
  }
  if (section.has("comment") && options.comment === options.quote)
    section.complain("comment", `${shown(options.quote)} is the quote too; choose another`);
}

/** Names say nothing of a header; taking a first row for one, or one for a row, would lose or add a row. */
function checkColumns(section: Section, columns: readonly string[] | undefined): void {
  if (columns === undefined) return;
  if (columns.length === 0) section.complain("columns", "is empty; name every column of the files, or remove it");
  checkTwice(section, columns);
  if (!section.has("header") && !section.has("headerRows"))
    section.complain("columns", "needs header: false, or header: true for files with a header that is to be left out");
}

function checkTwice(section: Section, names: readonly string[]): void {
  const lower = names.map((name) => name.toLowerCase());
  const twice = names.find((_, index) => lower.indexOf(lower[index] as string) < index);
  if (twice !== undefined)
    section.complain("columns", `${shown(twice)} is there twice; give every column its own name`);
}

function whole<K extends string>(section: Section, key: K, min: number, max: number): { readonly [P in K]?: number } {
  if (!section.has(key)) return {};
  return { [key]: section.integer(key, { fallback: min, min, max }) } as { readonly [P in K]?: number };
}

function text<K extends string>(section: Section, key: K, check?: Check): { readonly [P in K]?: string } {
  const value = section.optionalString(key, check);
  return (value === undefined ? {} : { [key]: value }) as { readonly [P in K]?: string };
}
