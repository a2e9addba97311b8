// The measures of Pollock (Vitagliano et al., "Pollock: A Data Loading Benchmark", VLDB 2023): success, and precision, recall and F1 of the
// header's names, of the records and of the cells, each from 0 to 1; a file's score is the sum of the ten. As in the benchmark's own code a
// record is the texts of its cells one after the other, so that an empty one more or less is none, and names are cells too. Texts are
// compared as they are, where that code forgives case and ways to write a number.

export interface Loaded {
  readonly header: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

export interface Clean extends Loaded {
  /** Without a header there is nothing to measure of it: it is as if the rows were written out without one, as the benchmark would have it. */
  readonly hasHeader: boolean;
}

export interface Measures {
  readonly success: number;
  readonly header: Agreement;
  readonly record: Agreement;
  readonly cell: Agreement;
}

export interface Agreement {
  readonly precision: number;
  readonly recall: number;
  readonly f1: number;
}

const NONE: Agreement = { precision: 0, recall: 0, f1: 0 };
const ALL: Agreement = { precision: 1, recall: 1, f1: 1 };
export const FAILED: Measures = { success: 0, header: NONE, record: NONE, cell: NONE };

export function measure(clean: Clean, loaded: Loaded): Measures {
  return {
    success: 1,
    header: clean.hasHeader ? agreement(clean.header, loaded.header) : ALL,
    record: agreement(clean.rows.map(textOf), loaded.rows.map(textOf)),
    cell: agreement(cellsOf(clean, clean), cellsOf(loaded, clean)),
  };
}

export function scoreOf({ success, header, record, cell }: Measures): number {
  return [header, record, cell].reduce((sum, { precision, recall, f1 }) => sum + precision + recall + f1, success);
}

export function sameRows(clean: Clean, loaded: Loaded): boolean {
  return JSON.stringify(clean.rows.map(keyOf).sort()) === JSON.stringify(loaded.rows.map(keyOf).sort());
}

function textOf(row: readonly string[]): string {
  return row.join("");
}

function cellsOf({ header, rows }: Loaded, { hasHeader }: Clean): readonly string[] {
  return hasHeader ? [...header, ...rows.flat()] : rows.flat();
}

function keyOf(row: readonly string[]): string {
  return JSON.stringify(row);
}

/** Of two multisets. Nothing expected is all found, as in the benchmark. */
function agreement(expected: readonly string[], found: readonly string[]): Agreement {
  if (expected.length === 0) return ALL;
  const left = new Map<string, number>();
  for (const item of expected) left.set(item, (left.get(item) ?? 0) + 1);
  let common = 0;
  for (const item of found) {
    const count = left.get(item) ?? 0;
    if (count > 0) common++;
    left.set(item, count - 1);
  }
  if (common === 0) return NONE;
  const precision = common / found.length;
  const recall = common / expected.length;
  return { precision, recall, f1: (2 * precision * recall) / (precision + recall) };
}

/** Clean files quote every field and double quotes in them. */
export function readClean(text: string): string[][] {
  const records = text.match(/(?:"(?:[^"]|"")*",?)+(?:\r\n|\n|$)/g) ?? [];
  return records.map((record) =>
    [...record.matchAll(/"((?:[^"]|"")*)"(?:,|\r?\n|$)/g)].map((match) => (match[1] as string).replaceAll('""', '"')),
  );
}
