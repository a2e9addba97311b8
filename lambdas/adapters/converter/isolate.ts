// One bad file never fails its neighbours. All sources are tried together; when that fails, the format says who is to blame; if it cannot,
// a slower way of reading is tried where there is one, and then each source on its own.

import { MoraineError } from "../../core/errors.ts";
import type { Schema } from "../../core/iceberg/types.ts";
import type { Misfits, SourceFailure } from "../../core/ports.ts";
import {
  isDiskFull,
  isOurs,
  isOutOfMemory,
  isPoisoned,
  isTooFar,
  kindOf,
  nullColumn,
  tooFar,
  tooLargeForMemory,
} from "./duckdb-errors.ts";
import {
  callersIndex,
  type FormatReader,
  failure,
  NO_VERDICT,
  requiredIsNull,
  type SpooledSource,
  type Verdict,
} from "./format.ts";

/** An attempt came to another number of rows than its sources have: of these, without a doubt. */
export class Miscounted extends Error {
  readonly sources: readonly SpooledSource[];

  constructor(sources: readonly SpooledSource[]) {
    super("rows do not add up");
    this.sources = sources;
  }
}

export interface Trial<T> {
  attempt(sources: readonly SpooledSource[]): Promise<T>;
  /** Of an attempt that was only to see whether it succeeds. */
  discard(outcome: T): Promise<void>;
}

/** `outcome` is undefined if and only if there are misfits: nobody is converted before it is known what becomes of them. */
export interface Isolated<T> {
  readonly outcome: T | undefined;
  readonly failures: readonly SourceFailure[];
  readonly misfits: readonly Misfits[];
}

export async function isolate<T>(
  reader: FormatReader,
  sources: readonly SpooledSource[],
  schema: Schema,
  trial: Trial<T>,
): Promise<Isolated<T>> {
  const failures: SourceFailure[] = [];
  let good = sources;
  let poisoned = false;
  const foreseen = await reader.foresee?.(sources, schema);
  if (foreseen?.failures.length === 0 && foreseen.misfits.length > 0) {
    return { outcome: undefined, failures, misfits: foreseen.misfits };
  }
  for (;;) {
    try {
      return { outcome: await trial.attempt(good), failures, misfits: [] };
    } catch (error) {
      refuseSystemError(error);
      const own = error instanceof Miscounted ? miscounted(error) : await reader.blame(good, schema, error);
      const left = without(good, own.failures);
      const misfits = own.misfits.filter(({ index }) => left.some(({ source }) => source.index === index));
      if (misfits.length > 0) return { outcome: undefined, failures: [...failures, ...own.failures], misfits };
      if (own.failures.length === 0 && (own.again || reader.fallback?.(true) === true)) continue;
      const blamed = own.failures.length > 0 ? own.failures : await tryEach(good, trial);
      if (blamed.length === 0 && isPoisoned(error) && !poisoned) {
        // Another conversion broke the instance both used.
        poisoned = true;
        continue;
      }
      if (blamed.length === 0) throw unexplained(error, good.length);
      failures.push(...blamed);
      good = without(good, blamed);
    }
  }
}

/** With a file of an archive all its others go. */
export function without(
  sources: readonly SpooledSource[],
  failures: readonly { readonly index: number }[],
): SpooledSource[] {
  const own = new Set(failures.map(({ index }) => index));
  const bad = new Set(sources.filter(({ source }) => own.has(source.index)).map(callersIndex));
  return sources.filter((source) => !bad.has(callersIndex(source)));
}

/** Sources that fail when they are converted alone, found by halving: few are guilty, and each try costs a conversion. */
async function tryParts<T>(sources: readonly SpooledSource[], trial: Trial<T>): Promise<readonly Guilty[]> {
  const guilty: Guilty[] = [];
  const half = Math.ceil(sources.length / 2);
  const parts = sources.length === 1 ? [sources] : [sources.slice(0, half), sources.slice(half)];
  for (const part of parts) {
    try {
      await trial.discard(await trial.attempt(part));
    } catch (error) {
      refuseSystemError(error);
      const [only, ...others] = part;
      if (only !== undefined && others.length === 0) guilty.push({ source: only, error });
      else guilty.push(...(await tryParts(part, trial)));
    }
  }
  return guilty;
}

interface Guilty {
  readonly source: SpooledSource;
  readonly error: unknown;
}

async function tryEach<T>(sources: readonly SpooledSource[], trial: Trial<T>): Promise<readonly SourceFailure[]> {
  const guilty = await tryParts(sources, trial);
  const ours = guilty.find(({ error }) => isOurs(error));
  if (ours !== undefined && guilty.length === sources.length) throw unexplained(ours.error, sources.length);
  return guilty.map(({ source, error }) => aloneFailure(source, error));
}

function aloneFailure(source: SpooledSource, error: unknown): SourceFailure {
  if (isOutOfMemory(error)) return tooLargeForMemory(source);
  const column = nullColumn(error);
  if (column !== undefined) return requiredIsNull(source, column);
  if (isPoisoned(error)) {
    return failure(source, "CONVERSION_FAILED", `cannot be converted (${kindOf(error)}); write the file again`);
  }
  if (isTooFar(error)) return tooFar(source);
  const message = "a value does not fit the table's schema; correct it or give its column a hint";
  return failure(source, "TYPE_MISMATCH", message);
}

function miscounted({ sources }: Miscounted): Verdict {
  const message = "its rows, counted in two ways, do not agree; correct quotes and line ends, or write the file again";
  return { ...NO_VERDICT, failures: sources.map((source) => failure(source, "MALFORMED_ROWS", message)) };
}

/** No file is to blame for a full disk. */
function refuseSystemError(error: unknown): void {
  if (error instanceof MoraineError) throw error;
  if (isDiskFull(error)) {
    throw new MoraineError(
      "Invalid",
      "conversion ran out of disk; give the load function more, or lower batch.bytesMax",
      {},
      error,
    );
  }
}

function unexplained(error: unknown, sources: number): MoraineError {
  const problem = isOutOfMemory(error)
    ? "conversion ran out of memory; give the load function more, or lower batch.bytesMax"
    : "conversion failed and no source is to blame";
  return new MoraineError("Invalid", problem, { sources }, error);
}
