// What becomes of a JSON record's values that do not fit: they are cut out of its text, and what was cut stays in it under a key of ours,
// so that the ordinary read takes the record. Texts are moved as they stand: numbers keep their digits.

import type { Treatment } from "../../../core/ports.ts";
import { ownName } from "../own-name.ts";
import type { Finding, Fit, Span } from "./fit.ts";

/** Keys of ours in rewritten records. */
export const RESCUED_KEY = ownName("rescued");
export function routeKey(route: number): string {
  return ownName(`route_${route}`);
}

/** Where each finding of a record goes. */
export interface Settled {
  /** Nowhere: the treatment has no place for it. */
  readonly open: readonly Finding[];
  readonly rescued: readonly Finding[];
  /** By the number of the route. */
  readonly routed: ReadonlyMap<number, Finding>;
}

export function settle({ findings, filled }: Fit, treatment: Treatment | undefined): Settled {
  const open: Finding[] = [];
  const rescued: Finding[] = [];
  const routed = new Map<number, Finding>();
  const taken = new Set<string>();
  for (const finding of findings) {
    if (finding.reason === "") continue;
    const number = treatment?.routes.findIndex(({ path }) => path === finding.column) ?? -1;
    const column = treatment?.routes[number]?.column;
    if (column !== undefined && !filled.has(column) && !taken.has(column)) {
      taken.add(column);
      routed.set(number, finding);
    } else if (treatment?.rescue === true) rescued.push(finding);
    else open.push(finding);
  }
  return { open, rescued, routed };
}

export interface RecordPlace {
  readonly file: string;
  /** `"line":17` */
  readonly where: string;
}

/** The record as one line without what does not fit, its rescued and routed values under keys of ours. */
export function rewritten(record: string, fit: Fit, settled: Settled, place: RecordPlace): string {
  const wholes = [...settled.routed.values()].flatMap(({ whole }) => (whole === undefined ? [] : [whole]));
  const outside = (span: Span) => !wholes.some(({ start, end }) => span.start > start && span.end < end);
  const edits: { readonly span: Span; readonly text: string }[] = [
    ...wholes.map((span) => ({ span, text: "null" })),
    ...fit.findings
      .filter(outside)
      .map(({ start, end, cut }) =>
        cut === undefined ? { span: { start, end }, text: "null" } : { span: cut, text: "" },
      ),
  ].sort((a, b) => b.span.start - a.span.start);
  const added = [...settled.routed].map(
    ([number, finding]) => `${JSON.stringify(routeKey(number))}:${JSON.stringify(plainText(record, finding))}`,
  );
  const kept = settled.rescued.filter(outside);
  if (kept.length > 0) added.push(rescuedMember(rescuedText(record, kept, place)));
  let text = record.slice(0, fit.brace);
  for (const { span, text: replacement } of edits)
    text = text.slice(0, span.start) + replacement + text.slice(span.end);
  const comma = fit.empty || added.length === 0 ? "" : ",";
  return `${oneLine(text)}${comma}${added.join(",")}}`;
}

/** A record of nothing but a row that was none. */
export function rescuedRow(row: string, reason: string, { file, where }: RecordPlace): string {
  const text = `{"row":${JSON.stringify(row)},"reasons":{"*":${JSON.stringify(reason)}},"file":${JSON.stringify(file)},${where}}`;
  return `{${rescuedMember(text)}}`;
}

export function isRescuedRow(record: string): boolean {
  return record.startsWith(RESCUED_ROW);
}

const RESCUED_ROW = `{${JSON.stringify(RESCUED_KEY)}:`;

function rescuedMember(text: string): string {
  return `${JSON.stringify(RESCUED_KEY)}:${JSON.stringify(text)}`;
}

function rescuedText(record: string, findings: readonly Finding[], { file, where }: RecordPlace): string {
  const names = new Set<string>();
  const members = findings.map((finding) => {
    let name = finding.path;
    for (let n = 1; names.has(name); n++) name = `${finding.path}_${n}`;
    names.add(name);
    const key = JSON.stringify(name);
    return {
      value: `${key}:${oneLine(record.slice(finding.start, finding.end))}`,
      reason: `${key}:${JSON.stringify(finding.reason)}`,
    };
  });
  const values = members.map(({ value }) => value).join(",");
  const reasons = members.map(({ reason }) => reason).join(",");
  return `{"values":{${values}},"reasons":{${reasons}},"file":${JSON.stringify(file)},${where}}`;
}

/** The value itself if it is a scalar, else its JSON text. */
export function plainText(record: string, finding: Finding): string {
  const { start, end } = finding.whole ?? finding;
  const text = oneLine(record.slice(start, end));
  return text.startsWith('"') ? (JSON.parse(text) as string) : text;
}

/** Line ends in JSON text are white space: inside strings they are escaped. */
export function oneLine(text: string): string {
  return /[\r\n]/.test(text) ? text.replace(/[\r\n]+/g, " ") : text;
}
