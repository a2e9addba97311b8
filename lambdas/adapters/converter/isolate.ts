// One bad file never fails its neighbours. All sources are tried together; when that fails, the format says who is to blame; if it cannot,
// a slower way of reading is tried where there is one, and then each source on its own.

import { MoraineError } from "../../core/errors.ts";
import type { Schema } from "../../core/iceberg/types.ts";
import type { SourceFailure } from "../../core/ports.ts";
import { isDiskFull, isOurs, isOutOfMemory, isPoisoned, tooLargeForMemory } from "./duckdb-errors.ts";
import type { Session } from "./engine.ts";
import { type FormatReader, failure, type SpooledSource } from "./format.ts";

export async function isolate<T>(
  session: Session,
  reader: FormatReader,
  sources: readonly SpooledSource[],
  schema: Schema,
  attempt: (sources: readonly SpooledSource[]) => Promise<T>,
): Promise<{ readonly outcome: T; readonly failures: readonly SourceFailure[] }> {
  const failures: SourceFailure[] = [];
  let good = sources;
  let poisoned = false;
  for (;;) {
    try {
      return { outcome: await attempt(good), failures };
    } catch (error) {
      refuseSystemError(error);
      const own = await reader.blame(good, schema);
      if (own.length === 0 && reader.fallback?.(true) === true) continue;
      const blamed = own.length > 0 ? own : await tryEach(session, reader, good, schema);
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

async function tryEach(
  session: Session,
  reader: FormatReader,
  sources: readonly SpooledSource[],
  schema: Schema,
): Promise<readonly SourceFailure[]> {
  const failures: SourceFailure[] = [];
  const ours: unknown[] = [];
  for (const source of sources) {
    try {
      for (const select of await reader.selects([source], schema)) {
        await session.run(`SELECT count(COLUMNS(*)) FROM (${select})`);
      }
    } catch (error) {
      refuseSystemError(error);
      if (isOurs(error)) ours.push(error);
      if (isOutOfMemory(error)) {
        failures.push(tooLargeForMemory(source));
        continue;
      }
      const message = "a value does not fit the table's schema; correct it or give its column a hint";
      failures.push(failure(source, "TYPE_MISMATCH", message));
    }
  }
  if (ours.length > 0 && ours.length === sources.length) throw unexplained(ours[0], sources.length);
  return failures;
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
