// One bad file never fails its neighbours. All sources are tried together; when that fails, the format says who is to blame, and if it
// cannot, each source is tried on its own.

import { MoraineError } from "../../core/errors.ts";
import type { Schema } from "../../core/iceberg/types.ts";
import type { SourceFailure } from "../../core/ports.ts";
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
  for (;;) {
    try {
      return { outcome: await attempt(good), failures };
    } catch (error) {
      refuseSystemError(error);
      const blamed = await blame(session, reader, good, schema);
      if (blamed.length === 0) throw unexplained(error, good.length);
      failures.push(...blamed);
      const bad = new Set(blamed.map(({ index }) => index));
      good = good.filter(({ source }) => !bad.has(source.index));
    }
  }
}

async function blame(
  session: Session,
  reader: FormatReader,
  sources: readonly SpooledSource[],
  schema: Schema,
): Promise<readonly SourceFailure[]> {
  const blamed = await reader.blame(sources, schema);
  if (blamed.length > 0) return blamed;
  const failures: SourceFailure[] = [];
  for (const source of sources) {
    try {
      for (const select of await reader.selects([source], schema)) {
        await session.run(`SELECT count(COLUMNS(*)) FROM (${select})`);
      }
    } catch (error) {
      refuseSystemError(error);
      const message = "a value does not fit the table's schema; correct it or give its column a hint";
      failures.push(failure(source, "TYPE_MISMATCH", message));
    }
  }
  return failures;
}

/** No file is to blame for a full disk or too little memory. */
function refuseSystemError(error: unknown): void {
  const text = error instanceof Error ? error.message : String(error);
  if (error instanceof MoraineError) throw error;
  if (/^Out of Memory Error|No space left|max_temp_directory_size/.test(text)) {
    throw new MoraineError(
      "Invalid",
      "conversion ran out of memory or disk; give the load function more, or lower batch.bytesMax",
      {},
      error,
    );
  }
}

function unexplained(error: unknown, sources: number): MoraineError {
  return new MoraineError("Invalid", "conversion failed and no source is to blame", { sources }, error);
}
