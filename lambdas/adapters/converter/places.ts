// Values of a source beside the columns they are meant for, in SQL: for the formats that DuckDB reads as rows. One list of places says what
// does not fit (`findMisfits`) and what is kept when it is treated (`treatedSelect`), so that the two can never disagree.

import { RESCUED_DATA } from "../../core/iceberg/schema.ts";
import type { DraftType, NestedField, Schema, Type } from "../../core/iceberg/types.ts";
import type { MisfitColumn, Misfits, Route, SourceFailure, Treatment } from "../../core/ports.ts";
import type { Session } from "./engine.ts";
import { FILE_COLUMN, requiredIsNull, type SpooledSource } from "./format.ts";
import { memberJson } from "./member-name.ts";
import { ownName } from "./own-name.ts";
import { ident, literal } from "./sql.ts";
import { MISFIT } from "./strict-cast.ts";

/** A place of a row where there may be a value that does not fit. All members but the first two are SQL. */
export interface Place {
  /** Dot path of the column. */
  readonly path: string;
  /** Undefined: the table has no such column, and every value is one too many. */
  readonly type: Type | undefined;
  /** Boolean, never null, and never an error. */
  readonly unfit: string;
  /** The value as text, and as JSON text. */
  readonly text: string;
  readonly json: string;
}

/** Column of a `numbered` read: the row's number in its source, from 1. */
export const ROW = ownName("row");
const SAMPLE_LENGTH = 100;
/** Among so many values samples are looked for: often they are all the same. */
const SAMPLED = 30;

export interface Scan {
  /** All are treated alike. */
  readonly sources: readonly SpooledSource[];
  readonly treatment: Treatment | undefined;
  readonly places: readonly Place[];
  readonly required: readonly { readonly name: string; readonly isNull: string }[];
  /** SQL of what a row itself has in a column that values are routed to. */
  readonly own: (column: string) => string;
  /** A FROM item of all sources, with FILE_COLUMN. Rows of which all fits may be left out, if `records` counts them. */
  readonly from: string;
  records?(source: SpooledSource): number | undefined;
  /** A FROM item of one source with ROW too. */
  numbered(source: SpooledSource): string;
  lineOf?(source: SpooledSource, row: number): Promise<number | undefined>;
  /** SQL that is true of rows that were none, and have nowhere to go. */
  readonly badRows?: string;
  /** The narrowest types that hold all the source's values in these places. */
  typesOf(source: SpooledSource, places: readonly Place[]): Promise<readonly DraftType[]>;
}

export interface Found {
  readonly failures: readonly SourceFailure[];
  readonly misfits: readonly Misfits[];
}

/** One pass over all sources says which are concerned; those are read once more, in order. */
export async function findMisfits(session: Session, scan: Scan): Promise<Found> {
  const places = scan.places.filter(({ type }) => type !== undefined);
  const open = places.map((place) => openSql(place, places, scan));
  const nulls = scan.required.map(({ name, isNull }) => nullSql(name, isNull, places, scan.treatment));
  const { badRows = "false" } = scan;
  if (open.length + nulls.length === 0 && badRows === "false") return { failures: [], misfits: [] };
  const counts = [...open, ...nulls].map((sql, i) => `count_if(${sql}) AS "c${i}"`);
  const any = [...open, badRows].join(" OR ");
  const rows = await session.rows(
    `SELECT ${FILE_COLUMN} AS path, count(*) AS records, count_if(${any}) AS unfit, ${["true", ...counts].join(", ")} FROM ${scan.from} GROUP BY ALL`,
  );
  const byPath = new Map(rows.map((row) => [String(row["path"]), row]));
  const failures: SourceFailure[] = [];
  const misfits: Misfits[] = [];
  for (const source of scan.sources) {
    const row = byPath.get(source.path);
    if (row === undefined) continue;
    const missing = nulls.findIndex((_, i) => Number(row[`c${open.length + i}`]) > 0);
    if (missing >= 0) {
      const [place] = await firstOf(session, scan, source, [{ sql: nulls[missing] as string, text: "NULL" }]);
      failures.push(requiredIsNull(source, scan.required[missing]?.name ?? "", place?.line));
    } else if (Number(row["unfit"]) > 0) {
      const guilty = places.flatMap((place, i) => {
        const records = Number(row[`c${i}`]);
        return records === 0 ? [] : [{ place, records, sql: open[i] as string, text: place.text }];
      });
      const firsts = await firstOf(session, scan, source, guilty);
      const asked = guilty.map(({ place }) => place);
      const types = asked.length === 0 ? [] : await scan.typesOf(source, asked);
      const columns = guilty.map(({ place, records }, i): MisfitColumn => {
        return { path: place.path, fileType: types[i] ?? "string", records, samples: [], ...firsts[i] };
      });
      misfits.push({
        index: source.source.index,
        records: scan.records?.(source) ?? Number(row["records"]),
        unfit: Number(row["unfit"]),
        columns,
      });
    }
  }
  return { failures, misfits };
}

/** Where each of the conditions is first true, and the texts there. */
async function firstOf(
  session: Session,
  scan: Scan,
  source: SpooledSource,
  asked: readonly { readonly sql: string; readonly text: string }[],
): Promise<{ readonly samples: readonly string[]; readonly line?: number }[]> {
  if (asked.length === 0) return [];
  const answers = asked.flatMap(({ sql, text }, i) => [
    `min(${ROW}) FILTER (WHERE ${sql}) AS "n${i}"`,
    `to_json(arg_min(left(CAST(${text} AS VARCHAR), ${SAMPLE_LENGTH}), ${ROW}, ${SAMPLED}) FILTER (WHERE ${sql})) AS "s${i}"`,
  ]);
  const [row = {}] = await session.rows(`SELECT ${answers.join(", ")} FROM ${scan.numbered(source)}`);
  const firsts = [];
  for (const i of asked.keys()) {
    const line = await scan.lineOf?.(source, Number(row[`n${i}`] ?? 0));
    const samples = JSON.parse(String(row[`s${i}`] ?? "[]")) as (string | null)[] | null;
    firsts.push({
      samples: samplesOf((samples ?? []).filter((sample) => sample !== null)),
      ...(line === undefined ? {} : { line }),
    });
  }
  return firsts;
}

export const SAMPLES_MAX = 3;

/** The first values that differ. */
export function samplesOf(values: readonly string[]): string[] {
  return [...new Set(values)].slice(0, SAMPLES_MAX);
}

/** The condition that a value has nowhere to go. */
function openSql(place: Place, places: readonly Place[], { treatment, own }: Scan): string {
  if (treatment?.rescue === true) return "false";
  const taken = routedSql(place, places, treatment?.routes ?? [], own, (other) => other.unfit);
  return taken === undefined ? place.unfit : `(${place.unfit} AND NOT ${taken})`;
}

/** A required column that a value is taken out of is as empty as one without. */
function nullSql(name: string, isNull: string, places: readonly Place[], treatment: Treatment | undefined): string {
  const place = treatment === undefined ? undefined : places.find(({ path }) => path === name);
  return place === undefined ? `(${isNull})` : `(${isNull} OR ${place.unfit})`;
}

/** The condition that an unfit value's route is free: the row itself has nothing there, nor has a route before this one. */
function routedSql(
  place: Place,
  places: readonly Place[],
  routes: readonly Route[],
  own: (column: string) => string,
  unfit: (place: Place) => string,
): string | undefined {
  const at = routes.findIndex(({ path }) => path === place.path);
  const route = routes[at];
  if (route === undefined) return undefined;
  const before = routes.slice(0, at).filter(({ column }) => column === route.column);
  const others = before.flatMap(({ path }) => places.filter((other) => other.path === path).map(unfit));
  return `(${[`${own(route.column)} IS NULL`, ...others.map((sql) => `NOT ${sql}`)].join(" AND ")})`;
}

export interface Treated {
  readonly schema: Schema;
  readonly places: readonly Place[];
  readonly treatment: Treatment;
  readonly own: (column: string) => string;
  /** SQL of a column, null where its value does not fit; `unfit`: the SQL that says so. */
  readonly column: (field: NestedField, unfit: (path: string) => string | undefined) => string;
  /** A FROM item with ROW and FILE_COLUMN. */
  readonly from: string;
  /** SQL of JSON members that say where the row is: `"file":"s3://bucket/key","line":17`. */
  readonly where: string;
  readonly notes?: RowNotes;
}

/** SQL of JSON members that are known of a row beforehand, or null: for the values, for the reasons, and beside them. */
export interface RowNotes {
  readonly values: string;
  readonly reasons: string;
  readonly row: string;
}

/** All rows of sources that are treated alike: the schema's columns, then FILE_COLUMN. */
export function treatedSelect(treated: Treated): string {
  const { schema, places, treatment, own } = treated;
  const flags = new Map(places.map((place, i) => [place, ident(ownName(`unfit_${i}`))]));
  const unfit = (place: Place) => flags.get(place) as string;
  const byPath = new Map(places.map((place) => [place.path, unfit(place)]));
  const routed = (place: Place) => routedSql(place, places, treatment.routes, own, unfit);
  const openFlag = (place: Place) => {
    const free = routed(place);
    return free === undefined ? unfit(place) : `(${unfit(place)} AND NOT ${free})`;
  };
  const columns = schema.fields.map((field) => {
    if (field.name === RESCUED_DATA) return `${rescuedSql(treated, unfit, routed)} AS ${ident(RESCUED_DATA)}`;
    const incoming = treatment.routes
      .filter(({ column }) => column === field.name)
      .flatMap(({ path }) => places.filter((place) => place.path === path))
      .map((place) => `CASE WHEN ${unfit(place)} AND ${routed(place)} THEN ${place.text} END`);
    const value = treated.column(field, (path) => byPath.get(path));
    return `${incoming.length === 0 ? value : `coalesce(${[value, ...incoming].join(", ")})`} AS ${ident(field.name)}`;
  });
  const marked = places.map((place) => `${place.unfit} AS ${unfit(place)}`);
  const from = `(SELECT ${["*", ...marked].join(", ")} FROM ${treated.from})`;
  const open = treatment.rescue ? [] : places.filter(({ type }) => type !== undefined).map((place) => openFlag(place));
  const where = open.length === 0 ? "" : ` WHERE ${refusing(open.join(" OR "))}`;
  return `SELECT ${[...columns, FILE_COLUMN].join(", ")} FROM ${from}${where}`;
}

/** A condition that is true, or raises an error. */
function refusing(open: string): string {
  return `CASE WHEN ${open} THEN CAST(error(${literal(MISFIT)}) AS BOOLEAN) ELSE true END`;
}

function rescuedSql(
  { places, treatment, where, notes }: Treated,
  unfit: (place: Place) => string,
  routed: (place: Place) => string | undefined,
): string {
  const noted = notes === undefined ? [] : [notes.values, notes.reasons, notes.row];
  if (!treatment.rescue || places.length + noted.length === 0) return "CAST(NULL AS VARCHAR)";
  const kept = places.map((place) => {
    const free = routed(place);
    const name = literal(`${JSON.stringify(place.path)}:`);
    const reason = literal(JSON.stringify(reasonOf(place.type)));
    const when = free === undefined ? unfit(place) : `(${unfit(place)} AND NOT ${free})`;
    return { when, value: `${name} || ${place.json}`, reason: `${name} || ${reason}` };
  });
  const members = (parts: readonly string[]) => `concat_ws(',', ${["NULL::VARCHAR", ...parts].join(", ")})`;
  const values = members([
    ...kept.map(({ when, value }) => `CASE WHEN ${when} THEN ${value} END`),
    ...noted.slice(0, 1),
  ]);
  const reasons = members([
    ...kept.map(({ when, reason }) => `CASE WHEN ${when} THEN ${reason} END`),
    ...noted.slice(1, 2),
  ]);
  const row = notes === undefined ? "" : `coalesce(${notes.row} || ',', '') || `;
  // Of a row that is kept whole there are no values beside it.
  const inner = `coalesce('"values":{' || nullif(${values}, '') || '},', '')`;
  const text = `'{' || ${row}${inner} || '"reasons":{' || ${reasons} || '},' || ${where} || '}'`;
  const when = [...kept.map((place) => place.when), ...(notes === undefined ? [] : [`${notes.reasons} IS NOT NULL`])];
  return `CASE WHEN ${when.join(" OR ")} THEN ${text} END`;
}

/** SQL for `where`: a row of one source. */
export function rowOf(spooled: SpooledSource): string {
  return `${literal(`"file":${JSON.stringify(spooled.source.uri)},${memberJson(spooled)}"row":`)} || ${ROW}`;
}

export function reasonOf(type: Type | undefined): string {
  if (type === undefined) return "no such column";
  return `no ${typeof type === "string" ? type : type.type}`;
}
