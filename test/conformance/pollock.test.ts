// Every polluted CSV file of the Pollock benchmark, loaded with the dialect it says it has and with nothing said: each loads or fails with
// a reason, and what lands is compared with the clean file. Prints the scores; a floor keeps them from falling.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { DIALECT_PARTS } from "../../lambdas/core/config.ts";
import { convertAll, csv, jobOf, type Scratch, scratch } from "../contract/converter/harness.ts";
import {
  type Clean,
  FAILED,
  type Loaded,
  type Measures,
  measure,
  readClean,
  sameRows,
  scoreOf,
} from "./pollock-score.ts";

const folder = new URL("../../../shared/data/pollock/", import.meta.url).pathname;
/** Comes with the benchmark: how often each pollution was met in a survey of 3,712 open data files. */
const weightsFile = `${folder}pollock_weights.json`;

const badRows = { onBadRow: "rescue", shareMax: 1 } as const;
const rescue = {
  treat: () => ({ rescue: true, routes: [] }),
  adds: [{ name: "_rescued_data", type: "string" }],
} as const;

/**
 * Of https://duckdb.org/2025/04/16/duckdb-csv-pollock-benchmark.html, and what is reached here and must stay. What is lost is lost by rule: a second table in the file is rows, words between spaces are fields, and a damaged header is not recognised.
 */
const EXPECTED = {
  given: { published: 9.96, floor: 9.9, equalFloor: 0.55 },
  inferred: { published: 9.08, floor: 9.68, equalFloor: 0.55 },
};

interface Parameters {
  readonly delimiter: string;
  readonly quotechar: string;
  readonly escapechar: string;
  readonly header_lines: number;
  readonly preamble_lines: number;
  readonly footnote_lines: number;
}

interface Result {
  readonly name: string;
  readonly measures: Measures;
  readonly equal: boolean;
  readonly reason?: string;
}

const parametersOf = (name: string) =>
  JSON.parse(readFileSync(`${folder}parameters/${name}_parameters.json`, "utf8")) as Parameters;

/** An empty file has no delimiter. */
function formatOf(name: string): typeof csv {
  const { delimiter, quotechar, escapechar, header_lines, preamble_lines, footnote_lines } = parametersOf(name);
  if (delimiter === "") return csv;
  return {
    ...csv,
    delimiter,
    quote: quotechar,
    escape: escapechar,
    header: header_lines > 0,
    ...(header_lines > 1 ? { headerRows: header_lines } : {}),
    skipLines: preamble_lines,
    ...(footnote_lines > 0 ? { footerLines: footnote_lines } : {}),
  };
}

/** Names of several header rows are joined by a blank there, by `_` here. */
function cleanOf(name: string): Clean {
  const rows = readClean(readFileSync(`${folder}clean/${name}`, "utf8"));
  const { header_lines } = parametersOf(name);
  const header = header_lines === 0 ? [] : (rows[0] ?? []);
  const names = header_lines > 1 ? header.map((column) => column.replaceAll(" ", "_")) : header;
  return { hasHeader: header.length > 0, header: names, rows: header_lines === 0 ? rows : rows.slice(1) };
}

async function load(work: Scratch, name: string, format: typeof csv): Promise<Result> {
  const bytes = readFileSync(`${folder}csv/${name}`);
  const { failures, inspection, rows } = await convertAll(work, jobOf(format, { badRows }), { [name]: bytes }, rescue);
  const [failure] = failures;
  if (failure !== undefined) {
    expect([name, failure.reason]).toEqual([name, expect.stringMatching(/^[A-Z_]+$/)]);
    return { name, measures: FAILED, equal: false, reason: failure.reason };
  }
  const header = inspection.fields.map((field) => field.name);
  const loaded: Loaded = { header, rows: rows.map((row) => header.map((column) => String(row[column] ?? ""))) };
  const clean = cleanOf(name);
  return { name, measures: measure(clean, loaded), equal: sameRows(clean, loaded) };
}

/** `row_less_sep` of the files whose names differ only in the place that was damaged. */
function kindOf(name: string): string {
  return /^(row_[a-z_]+?)_?(row)?\d/.exec(name)?.[1] ?? name;
}

/** Weights are of kinds of pollution: a kind of many files shares its weight among those that are here. */
function weightedScore(results: readonly Result[]): number | undefined {
  if (!existsSync(weightsFile)) return undefined;
  const weights = JSON.parse(readFileSync(weightsFile, "utf8")) as Record<string, number>;
  const totals = Map.groupBy(Object.keys(weights), kindOf);
  const present = Map.groupBy(results, ({ name }) => kindOf(name));
  let [sum, total] = [0, 0];
  for (const [kind, files] of present) {
    const weight = (totals.get(kind) ?? []).reduce((all, name) => all + (weights[name] ?? 0), 0);
    sum += weight * average(files.map(({ measures }) => scoreOf(measures)));
    total += weight;
  }
  return sum / total;
}

function average(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
}

/** In how many columns the whole benchmark pollutes each of its 84 rows, the first of which is the header. */
const COLUMNS: Readonly<Record<string, number>> = {
  row_more_sep: 9,
  row_less_sep: 8,
  row_extra_quote: 9,
  row_field_delimiter: 1,
};

/** As over all 2,289 files, if those of a kind that are not here score as those that are: damaged headers are more of the files here. */
function wholeScore(results: readonly Result[]): number {
  let [sum, files] = [0, 0];
  for (const [kind, alike] of Map.groupBy(results, ({ name }) => kindOf(name))) {
    const ofHeader = alike.filter(({ name }) => /^row_[a-z_]+?0_/.test(name));
    for (const [part, rows] of [
      [ofHeader, 1] as const,
      [alike.filter((file) => !ofHeader.includes(file)), 83] as const,
    ]) {
      const weight = kind in COLUMNS ? (COLUMNS[kind] as number) * rows : part.length;
      if (part.length === 0) continue;
      sum += weight * average(part.map(({ measures }) => scoreOf(measures)));
      files += weight;
    }
  }
  return sum / files;
}

/** One line for each kind of pollution that does not score full marks. */
function kindsBelow(results: readonly Result[]): string[] {
  return [...Map.groupBy(results, ({ name }) => kindOf(name))].flatMap(([kind, files]) => {
    const score = average(files.map(({ measures }) => scoreOf(measures)));
    const note = files.length > 1 ? ` over ${files.length} files` : ` ${files[0]?.reason ?? ""}`;
    return score < 9.995 ? [`  ${kind}: ${score.toFixed(2)}${note}`.trimEnd()] : [];
  });
}

function report(
  title: string,
  results: readonly Result[],
  published: number,
): { readonly score: number; readonly whole: number; readonly equal: number } {
  const whole = wholeScore(results);
  const score = average(results.map(({ measures }) => scoreOf(measures)));
  const equal = results.filter((result) => result.equal).length / results.length;
  const weighted = weightedScore(results);
  const failed = results.filter(({ reason }) => reason !== undefined);
  const reasons = [...Map.groupBy(failed, ({ reason }) => reason)].map(
    ([reason, files]) => `${reason} ${files.length}`,
  );
  const part = (of: "header" | "record" | "cell") => average(results.map(({ measures }) => measures[of].f1)).toFixed(3);
  console.log(
    [
      `Pollock, ${title}: ${score.toFixed(2)} of 10 over ${results.length} files`,
      `  as in the whole benchmark: ${whole.toFixed(2)} (DuckDB, published: ${published})`,
      `  weighted: ${weighted?.toFixed(2) ?? "not told, the benchmark's weights are not there"}`,
      `  rows equal to the clean file: ${(100 * equal).toFixed(1)} % of files; F1 of header ${part("header")}, record ${part("record")}, cell ${part("cell")}`,
      `  failed with a reason: ${failed.length} (${reasons.join(", ") || "none"})`,
      ...kindsBelow(results),
    ].join("\n"),
  );
  return { score, whole, equal };
}

if (!existsSync(folder)) {
  test("NOT RUN: ../shared/data/pollock is not there", () => expect(existsSync(folder)).toBe(false));
} else {
  describe("Pollock's polluted files", () => {
    const names = readdirSync(`${folder}csv`).filter((name) => name.endsWith(".csv"));
    let work: Scratch;
    beforeAll(async () => {
      work = await scratch();
    });
    afterAll(() => work.remove());

    test.each([
      ["given", "dialect given", (name: string) => formatOf(name)],
      ["inferred", "dialect inferred", () => ({ ...csv, recognise: DIALECT_PARTS })],
    ] as const)("with their dialect %s load as well as ever, or fail with a reason", async (kind, title, format) => {
      const results: Result[] = [];
      for (const name of names) results.push(await load(work, name, format(name)));
      const { published, floor, equalFloor } = EXPECTED[kind];
      const { score, whole, equal } = report(title, results, published);
      expect(score).toBeGreaterThanOrEqual(floor);
      expect(whole).toBeGreaterThan(published);
      expect(equal).toBeGreaterThanOrEqual(equalFloor);
    });
  });
}
