// The files of one archive are converted as sources of their own; here what was found of them becomes one answer about the archive.

import { assert } from "../../core/errors.ts";
import type { DraftType } from "../../core/iceberg/types.ts";
import type { MisfitColumn, Misfits, SourceFailure } from "../../core/ports.ts";
import { callersIndex, type SpooledSource } from "./format.ts";
import { samplesOf } from "./places.ts";
import { wider } from "./wider.ts";

/** Callers number their sources from 0. */
const MEMBER_INDEX_MIN = 1_000_000;

/** Numbers for the files of archives, which no source of the caller's has. */
export class MemberIndexes {
  #next = MEMBER_INDEX_MIN;

  next(): number {
    return this.#next++;
  }

  static check(index: number): void {
    assert(index < MEMBER_INDEX_MIN, "sources are numbered from 0");
  }
}

/** By the caller's index; of several files of one archive that are to blame the first is told. */
export function failuresOfSources(
  sources: readonly SpooledSource[],
  failures: readonly SourceFailure[],
): SourceFailure[] {
  const indexes = indexesOf(sources);
  const told = new Map<number, SourceFailure>();
  for (const failure of failures) {
    const index = indexes.get(failure.index) ?? failure.index;
    if (!told.has(index)) told.set(index, { ...failure, index });
  }
  return [...told.values()];
}

/** `rowsOf`: of the files of an archive that fit. */
export async function misfitsOfSources(
  sources: readonly SpooledSource[],
  misfits: readonly Misfits[],
  rowsOf: (fitting: readonly SpooledSource[]) => Promise<number>,
): Promise<Misfits[]> {
  const indexes = indexesOf(sources);
  const joined: Misfits[] = [];
  for (const [index, own] of Map.groupBy(misfits, (each) => indexes.get(each.index) ?? each.index)) {
    const parts = sources.filter((source) => callersIndex(source) === index);
    const unfit = new Set(own.map((each) => each.index));
    const fitting = parts.filter(({ source }) => !unfit.has(source.index));
    const records = sum(own.map((each) => each.records)) + (fitting.length > 0 ? await rowsOf(fitting) : 0);
    const columns = [
      ...Map.groupBy(
        own.flatMap((each) => each.columns),
        ({ path }) => path,
      ).values(),
    ];
    joined.push({
      index,
      records,
      unfit: sum(own.map((each) => each.unfit)),
      columns: columns.map((same) => joinColumns(same, parts.length > 1)),
    });
  }
  return joined;
}

/** A line says nothing without the name of its file: of an archive of several there is none. */
function joinColumns(same: readonly MisfitColumn[], several: boolean): MisfitColumn {
  const [first, ...others] = same as [MisfitColumn, ...MisfitColumn[]];
  const { line, ...column } = first;
  return {
    ...column,
    records: sum(same.map(({ records }) => records)),
    fileType: others.reduce((type, { fileType }) => joinTypes(type, fileType), first.fileType),
    samples: samplesOf(same.flatMap(({ samples }) => samples)),
    ...(line === undefined || several ? {} : { line }),
  };
}

function joinTypes(a: DraftType, b: DraftType): DraftType {
  if (JSON.stringify(a) === JSON.stringify(b)) return a;
  return typeof a === "string" && typeof b === "string" ? wider(a, b) : "string";
}

function indexesOf(sources: readonly SpooledSource[]): Map<number, number> {
  return new Map(sources.map((source) => [source.source.index, callersIndex(source)]));
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}
