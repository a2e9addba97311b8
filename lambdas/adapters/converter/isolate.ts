// One bad file never fails its neighbours. All sources are tried together; when that fails, the format says who is to blame; if it cannot,
// a slower way of reading is tried where there is one, and then each source on its own.

import { MoraineError } from "../../core/errors.ts";
import type { Schema } from "../../core/iceberg/types.ts";
import type { SourceFailure } from "../../core/ports.ts";
import {
  isDiskFull,
  isOurs,
  isOutOfMemory,
  isPoisoned,
  isTooFar,
  kindOf,
  nullColumn,
  tooLargeForMemory,
} from "./duckdb-errors.ts";
import { type FormatReader, failure, requiredIsNull, type SpooledSource } from "./format.ts";

export interface Trial<T> {
  attempt(sources: readonly SpooledSource[]): Promise<T>;
  /** Of an attempt that was only to see whether it succeeds. */
  discard(outcome: T): Promise<void>;
}

export async function isolate<T>(
  reader: FormatReader,
  sources: readonly SpooledSource[],
  schema: Schema,
  trial: Trial<T>,
): Promise<{ readonly outcome: T; readonly failures: readonly SourceFailure[] }> {
  const failures: SourceFailure[] = [];
  let good = sources;
  let poisoned = false;
  for (;;) {
    try {
      return { outcome: await trial.attempt(good), failures };
    } catch (error) {
      refuseSystemError(error);
      const own = await reader.blame(good, schema);
      if (own.length === 0 && reader.fallback?.(true) === true) continue;
      const blamed = own.length > 0 ? own : await tryEach(good, trial);
      if (blamed.length === 0 && isPoisoned(error) && !poisoned) {
        // Another conversion broke the instance both used.
        poisoned = true;
        continue;
      }
      if (blamed.length === 0) throw unexplained(error, good.length);
      failures.push(...blamed);
      const bad = new Set(blamed.map(({ index }) => index));
      good = good.filter(({ source }) => !bad.has(source.index));
    }
  }
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
  if (isTooFar(error)) {
    const message =
      "a timestamp of the type INT96 lies outside of the years 1 to 9999; correct it, or write timestamps in microseconds";
    return failure(source, "TIMESTAMP_OUT_OF_RANGE", message);
  }
  const message = "a value does not fit the table's schema; correct it or give its column a hint";
  return failure(source, "TYPE_MISMATCH", message);
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
