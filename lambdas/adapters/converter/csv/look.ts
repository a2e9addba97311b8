// The first look at a CSV file: its dialect, where that is recognised, its header, and what is no row, which is taken out of the file here.

import { isUtf8 } from "node:buffer";
import type { SourceFailure } from "../../../core/ports.ts";
import { failure, type SpooledSource } from "../format.ts";
import { readBroken } from "./broken.ts";
import { recogniseDialect } from "./dialect.ts";
import { blankOut, cutLines, overwrite, tailOf } from "./edges.ts";
import { doubleEscapes } from "./escapes.ts";
import { markExcess } from "./excess.ts";
import { type CsvOptions, type Header, headerOf } from "./header.ts";
import { dialectOf } from "./lines.ts";
import { textOf } from "./records.ts";

/** Notes after the rows are looked for here. */
const TAIL_BYTES = 4096;

export interface Looked {
  /** As given, with what was recognised. */
  readonly options: CsvOptions;
  readonly header: Header;
  /** Where bytes were inserted for DuckDB, the last ones last (csv/excess.ts, csv/escapes.ts). */
  readonly marks: readonly (readonly number[])[];
}

/** `head`: the first bytes. `rescue`: a broken header is read like a broken row. Undefined: there are no rows. */
export async function lookAt(
  source: SpooledSource,
  head: Buffer,
  given: CsvOptions,
  rescue: boolean,
): Promise<Looked | SourceFailure | undefined> {
  const text = head.toString("utf8");
  if (text.includes("\0")) return failure(source, "NOT_TEXT", "holds NUL bytes; set the format or encoding it has");
  const whole = source.sizeBytes <= head.length;
  const options = await recognised(source, text, whole, given);
  if (options === undefined || "reason" in options) return options;
  const found = findHeader(text, options, whole);
  if (found === undefined) return undefined;
  if (found === "cut") {
    const message = "the first record does not end within 64 KiB; check quote and delimiter";
    return failure(source, "MALFORMED_HEADER", message, { line: 1 });
  }
  const header = await readHeader(source, text, options, found, { rescue, whole });
  if ("reason" in header) return header;
  const unread = options.columns !== undefined;
  const refused =
    (unread ? undefined : refuseHeader(source, head, header)) ?? (await cutFooter(source, text, options, header));
  if (refused !== undefined) return refused;
  const plain = await blankQuotes(source, text, options, header);
  const from = Buffer.byteLength(text.slice(0, options.header ? header.end : header.start));
  const isAll = whole && options.footerLines === undefined;
  const width = options.columns?.length ?? header.values.length;
  const excess = await markExcess(source.path, head, isAll, from, width, options);
  const escapes = await doubleEscapes(source.path, dialectOf({ options, columns: [], linesBefore: plain.linesBefore }));
  return { options, header: plain, marks: [excess, escapes] };
}

/** A header that is not read ends with its line, if its quotes do not end properly. */
function findHeader(text: string, options: CsvOptions, whole: boolean): ReturnType<typeof headerOf> {
  const found = headerOf(text, options, whole);
  const proper = found !== "cut" && found?.broken === undefined;
  if (proper || !options.header || options.columns === undefined) return found;
  return headerOf(text, { ...options, quote: "" }, whole);
}

async function readHeader(
  source: SpooledSource,
  text: string,
  options: CsvOptions,
  found: Header,
  how: { readonly rescue: boolean; readonly whole: boolean },
): Promise<Header | SourceFailure> {
  if (!options.header) return found;
  if (options.columns === undefined)
    return found.broken === undefined ? found : mendHeader(source, text, options, found, how);
  const isLine = !/[\r\n]/.test(text.slice(found.start, found.end).trimEnd());
  if (isLine) await dashQuotes(source, text, options, found);
  return found;
}

async function recognised(
  source: SpooledSource,
  head: string,
  whole: boolean,
  given: CsvOptions,
): Promise<CsvOptions | SourceFailure | undefined> {
  if (given.recognise === undefined || given.recognise.length === 0) return given;
  const tail = whole ? head : (await tailOf(source.path, TAIL_BYTES)).toString("utf8");
  const told = recogniseDialect({ head, whole, tail }, given);
  if (told === undefined) return undefined;
  if (told.dialect !== undefined) return { ...given, ...told.dialect };
  const place = told.line === undefined ? {} : { line: told.line };
  return failure(source, "DIALECT_UNKNOWN", `the dialect cannot be told: ${told.unknown}`, place);
}

/** Names of a header with a broken quote, divided into as many as the first row has fields. Its quotes then mean nothing to DuckDB either. */
async function mendHeader(
  source: SpooledSource,
  text: string,
  options: CsvOptions,
  header: Header,
  how: { readonly rescue: boolean; readonly whole: boolean },
): Promise<Header | SourceFailure> {
  const line = header.linesBefore + 1;
  const firstRow = headerOf(text.slice(header.end), { ...options, header: false, skipLines: 0 }, how.whole);
  const width = firstRow === undefined || firstRow === "cut" ? 0 : firstRow.values.length;
  const names = how.rescue ? readBroken(header.broken ?? "", options, width) : undefined;
  if (names === undefined) {
    const message = `a quoted name of the header does not end properly (line ${line}); double quotes inside quoted names`;
    return failure(source, "MALFORMED_HEADER", message, { line });
  }
  await dashQuotes(source, text, options, header);
  return { ...header, values: names.map((name) => textOf(name, options)) };
}

async function dashQuotes(source: SpooledSource, text: string, { quote }: CsvOptions, header: Header): Promise<void> {
  const [before, upTo] = [header.start, header.end].map((place) => Buffer.byteLength(text.slice(0, place)));
  if (quote !== "") await overwrite(source.path, quote, before as number, upTo as number);
}

/** DuckDB does not look at the bytes of a header, and a name would have a replacement character. */
function refuseHeader(source: SpooledSource, head: Buffer, { values, linesBefore }: Header): SourceFailure | undefined {
  if (!values.some((name) => name.includes("\ufffd")) || isUtf8(head.subarray(0, head.lastIndexOf("\n") + 1)))
    return undefined;
  const line = linesBefore + 1;
  return failure(source, "INVALID_ENCODING", `the header is not UTF-8 (line ${line}); set the format's encoding`, {
    line,
  });
}

async function cutFooter(
  source: SpooledSource,
  text: string,
  { footerLines = 0, header }: CsvOptions,
  { start, end }: Header,
): Promise<SourceFailure | undefined> {
  if (footerLines === 0) return undefined;
  const keepBytes = Buffer.byteLength(text.slice(0, header ? end : start));
  if (await cutLines(source.path, footerLines, keepBytes)) return undefined;
  const message = `has fewer lines than skipLines, the header and footerLines (${footerLines}) together; correct footerLines`;
  return failure(source, "MALFORMED_CSV", message);
}

/** A lone quote in a line that DuckDB skips would take the next lines with it. */
async function blankQuotes(
  source: SpooledSource,
  text: string,
  { quote }: CsvOptions,
  header: Header,
): Promise<Header> {
  const before = text.slice(0, header.start);
  if (quote === "" || !before.includes(quote)) return header;
  await blankOut(source.path, Buffer.byteLength(before));
  return { ...header, skip: header.skip + header.comments };
}
