// A partition pattern such as `year=%Y/month=%m/day=%d`: from a stretch of time to the prefixes that hold its files, and back. UTC.
// Invariant: every instant lies in exactly one partition, and the prefix of one partition is never the start of another's.

import { assert } from "../errors.ts";

export type Unit = "year" | "month" | "day" | "hour";

const UNITS: readonly Unit[] = ["year", "month", "day", "hour"];
const SPECIFIERS: Readonly<Record<string, Unit>> = { Y: "year", m: "month", d: "day", H: "hour" };

type Piece =
  | { readonly text: string }
  /** Not padded: `%-m`, as Spark and Hive name partitions of whole numbers (`month=1`). */
  | { readonly unit: Unit; readonly padded: boolean };

export interface PartitionPattern {
  readonly text: string;
  /** The finest: how long one partition is. */
  readonly unit: Unit;
  readonly pieces: readonly Piece[];
  /** Matches the start of a path below the prefix; groups are named by unit. */
  readonly expression: RegExp;
}

export type ReadPattern =
  | { readonly pattern: PartitionPattern; readonly complaint?: never }
  | { readonly complaint: string; readonly pattern?: never };

/** Knows `%Y %m %d %H`, and `%-m %-d %-H` without leading zeros. The complaint names the remedy. */
export function readPattern(text: string): ReadPattern {
  const pieces = piecesOf(text);
  const complaint = typeof pieces === "string" ? pieces : (complaintAbout(text) ?? complaintAboutUnits(pieces));
  if (typeof pieces === "string" || complaint !== undefined) return { complaint: complaint ?? "" };
  const unit = finest(pieces);
  assert(unit !== undefined, "a pattern without complaint has a unit");
  return { pattern: { text, unit, pieces, expression: expressionOf(pieces) } };
}

/** Of a pattern that was validated with the configuration. */
export function patternOf(text: string): PartitionPattern {
  const { pattern, complaint } = readPattern(text);
  assert(pattern !== undefined, `the pattern was not validated: ${complaint}`);
  return pattern;
}

/** Text to append to the ingestion's prefix. */
export function partitionPath(pattern: Pick<PartitionPattern, "pieces">, atMs: number): string {
  const parts = partsOf(atMs);
  return pattern.pieces
    .map((piece) => ("text" in piece ? piece.text : digits(parts[piece.unit], piece.unit, piece.padded)))
    .join("");
}

/** Start of the partition that `path` (a key or folder below the ingestion's prefix) lies in; undefined when it lies in none. */
export function partitionStart(pattern: PartitionPattern, path: string): number | undefined {
  const groups = pattern.expression.exec(path)?.groups;
  if (groups === undefined) return undefined;
  const [year = 0, month = 1, day = 1, hour = 0] = UNITS.map((unit) => {
    const found = groups[unit];
    return found === undefined ? undefined : Number(found);
  });
  const startMs = utc(year, month - 1, day, hour);
  const parts = partsOf(startMs);
  const real = parts.year === year && parts.month === month && parts.day === day && parts.hour === hour;
  return real ? startMs : undefined;
}

/** Paths of all partitions that hold an instant of fromMs <= t < toMs, oldest first. */
export function partitionsBetween(pattern: PartitionPattern, fromMs: number, toMs: number): readonly string[] {
  const paths: string[] = [];
  for (let at = startOfUnit(fromMs, pattern.unit); at < toMs; at = startOfNext(at, pattern.unit)) {
    paths.push(partitionPath(pattern, at));
  }
  return paths;
}

/**
 * The same partitions, neighbours of one folder joined: between `…/07` and `…/12` there is next to nothing but partitions, so one
 * listing from the first to the last is cheaper than one for each. Numbers without leading zeros are not in order: never joined.
 */
export function partitionRuns(
  pattern: PartitionPattern,
  fromMs: number,
  toMs: number,
): readonly { readonly first: string; readonly last: string }[] {
  const at = pattern.pieces.findIndex((piece) => "unit" in piece && piece.unit === pattern.unit);
  const finest = pattern.pieces[at];
  const padded = finest !== undefined && "unit" in finest && finest.padded;
  const parent = { ...pattern, pieces: pattern.pieces.slice(0, at) };
  const runs: { first: string; last: string; parent: string }[] = [];
  for (let ms = startOfUnit(fromMs, pattern.unit); ms < toMs; ms = startOfNext(ms, pattern.unit)) {
    const here = { path: partitionPath(pattern, ms), parent: partitionPath(parent, ms) };
    const run = runs.at(-1);
    if (padded && run?.parent === here.parent) run.last = here.path;
    else runs.push({ first: here.path, last: here.path, parent: here.parent });
  }
  return runs.map(({ first, last }) => ({ first, last }));
}

/**
 * From the look-back before `sinceMs`, when all was listed, to the end of the next partition: writers' clocks run ahead, and some write
 * local time.
 */
export function lookbackWindow(
  pattern: PartitionPattern,
  lookbackMs: number,
  { nowMs, sinceMs }: { readonly nowMs: number; readonly sinceMs: number },
): { readonly fromMs: number; readonly toMs: number } {
  const next = startOfNext(nowMs, pattern.unit);
  return { fromMs: Math.min(nowMs, sinceMs) - lookbackMs, toMs: startOfNext(next, pattern.unit) };
}

export interface PatternLevel extends PartitionPattern {
  /** Of the folder that holds the folders of this level: text for `partitionPath`. */
  readonly parent: Pick<PartitionPattern, "pieces">;
}

/**
 * The pattern cut at each "/": `%Y/%m/%d` gives `%Y/`, `%Y/%m/` and `%Y/%m/%d/`. Only levels at which a new unit comes in;
 * the folders of each can be listed folded.
 */
export function patternLevels(pattern: PartitionPattern): readonly PatternLevel[] {
  const segments = pattern.text.replace(/\/$/, "").split("/");
  const levels: PatternLevel[] = [];
  for (const index of segments.keys()) {
    const parentText = segments
      .slice(0, index)
      .map((segment) => `${segment}/`)
      .join("");
    const level = readPattern(`${parentText}${segments[index]}/`).pattern;
    const pieces = piecesOf(parentText);
    if (level === undefined || typeof pieces === "string" || level.unit === levels.at(-1)?.unit) continue;
    levels.push({ ...level, parent: { pieces } });
  }
  return levels;
}

function startOfUnit(atMs: number, unit: Unit): number {
  const { year, month, day, hour } = partsOf(atMs);
  const kept = UNITS.indexOf(unit);
  return utc(year, kept >= 1 ? month - 1 : 0, kept >= 2 ? day : 1, kept >= 3 ? hour : 0);
}

function startOfNext(atMs: number, unit: Unit): number {
  const { year, month, day, hour } = partsOf(startOfUnit(atMs, unit));
  const more = (other: Unit): number => (other === unit ? 1 : 0);
  return utc(year + more("year"), month - 1 + more("month"), day + more("day"), hour + more("hour"));
}

function partsOf(atMs: number): Readonly<Record<Unit, number>> {
  const at = new Date(atMs);
  return { year: at.getUTCFullYear(), month: at.getUTCMonth() + 1, day: at.getUTCDate(), hour: at.getUTCHours() };
}

/** `Date.UTC` reads the years 0 to 99 as 1900 to 1999. */
function utc(year: number, month: number, day: number, hour: number): number {
  return new Date(0).setUTCFullYear(year, month, day) + hour * 3_600_000;
}

function digits(value: number, unit: Unit, padded: boolean): string {
  return padded ? String(value).padStart(unit === "year" ? 4 : 2, "0") : String(value);
}

function piecesOf(text: string): readonly Piece[] | string {
  const pieces: Piece[] = [];
  for (const [part, flag, letter] of text.matchAll(/%(-?)(.?)|[^%]+/gs)) {
    const unit = SPECIFIERS[letter ?? ""];
    if (!part.startsWith("%")) pieces.push({ text: part });
    else if (unit === undefined || (flag === "-" && unit === "year")) {
      return `has ${JSON.stringify(part)}; use %Y, %m, %d and %H, or %-m, %-d and %-H where there are no leading zeros`;
    } else pieces.push({ unit, padded: flag === "" });
  }
  return pieces;
}

function complaintAbout(text: string): string | undefined {
  if (text.startsWith("/")) return "starts with /; it continues the prefix, remove the /";
  if (/[*?[\]{}]/.test(text)) return "looks like a glob; write its text and %Y, %m, %d, %H only";
  return undefined;
}

function complaintAboutUnits(pieces: readonly Piece[]): string | undefined {
  const spelled = new Map<Unit, boolean>();
  for (const [index, piece] of pieces.entries()) {
    if ("text" in piece) continue;
    const before = spelled.get(piece.unit);
    if (before === undefined && piece.unit !== UNITS[spelled.size]) {
      return "has its units in the wrong order; begin with %Y, then %m, %d, %H, leaving none out between";
    }
    if (before !== undefined && before !== piece.padded) {
      return `names the ${piece.unit} with and without leading zeros; write it one way`;
    }
    spelled.set(piece.unit, piece.padded);
    const next = pieces[index + 1];
    const ends = next !== undefined && "text" in next && /^\D/.test(next.text);
    if (!piece.padded && !ends) {
      return `ends in a number without leading zeros, which is the start of a longer one; add what follows it, such as "/"`;
    }
  }
  return spelled.size === 0 ? "names no date; use %Y, %m, %d and %H" : undefined;
}

function finest(pieces: readonly Piece[]): Unit | undefined {
  return UNITS.findLast((unit) => pieces.some((piece) => "unit" in piece && piece.unit === unit));
}

function expressionOf(pieces: readonly Piece[]): RegExp {
  const named = new Set<Unit>();
  const source = pieces.map((piece) => {
    if ("text" in piece) return piece.text.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, "\\$&");
    if (named.has(piece.unit)) return `\\k<${piece.unit}>`;
    named.add(piece.unit);
    return `(?<${piece.unit}>${piece.unit === "year" ? "\\d{4}" : piece.padded ? "\\d{2}" : "0|[1-9]\\d?"})`;
  });
  return new RegExp(`^${source.join("")}`, "s");
}
