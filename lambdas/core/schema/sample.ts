// A new table is typed by several of the first files together: when few have been claimed, others that lie beside them are looked at too.
// They are read for their columns only; their own events load them. What cannot be read now is left out, and a file that was tried before
// is loaded without company that may have killed it: a sample is no promise.

import type { ClaimedTask } from "../batch-work.ts";
import type { Ingestion } from "../config.ts";
import { isKind } from "../errors.ts";
import { type ObjectUri, splitUri } from "../ids.ts";
import { needsBody } from "../object-rows.ts";
import type { Conversion, ObjectFacts, ObjectStore } from "../ports.ts";
import type { Router } from "../routing.ts";

/** So many files, claimed ones and others, and so many bytes of others, type a new table. */
export const SAMPLE_FILES = 20;
const SAMPLE_BYTES_MAX = 64 * 1024 * 1024;
/** Objects listed in search of them, and those asked for. */
const LOOKED_AT_MAX = 1000;
const TRIED_MAX = 2 * SAMPLE_FILES;

export interface SamplePorts {
  readonly store: ObjectStore;
  /** Over all ingestions: a folder below may be another's. */
  readonly route: Router;
}

/** Indices, beyond those of the claimed files, of the sources that were added. */
export async function addSamples(
  { store, route }: SamplePorts,
  ingestion: Ingestion,
  conversion: Conversion,
  claimed: readonly ClaimedTask[],
): Promise<number[]> {
  const wanted = SAMPLE_FILES - claimed.length;
  if (claimed.some(({ file }) => file.attempts > 1)) return [];
  if (wanted <= 0 || !needsBody(ingestion.format, 1) || ingestion.format.type === "binary") return [];
  const known = new Set(claimed.map(({ file }) => `${file.bucket}/${file.key}`));
  const added: number[] = [];
  let lookedAt = 0;
  let tried = 0;
  let bytes = 0;
  try {
    for await (const object of store.list(`s3://${ingestion.source.bucket}/${ingestion.source.prefix}`)) {
      if (++lookedAt > LOOKED_AT_MAX || tried === TRIED_MAX || added.length === wanted) break;
      const { bucket, key } = splitUri(object.uri);
      if (known.has(`${bucket}/${key}`) || route(bucket, key)?.id !== ingestion.id) continue;
      if (object.sizeBytes === 0 || bytes + object.sizeBytes > SAMPLE_BYTES_MAX) continue;
      tried++;
      bytes += object.sizeBytes;
      const index = claimed.length + added.length;
      if (await addSample(store, conversion, index, object)) added.push(index);
    }
  } catch (error) {
    if (!isKind(error, "Unavailable", "Invalid")) throw error;
  }
  return added;
}

type ListedFile = ObjectFacts & { readonly uri: ObjectUri };

async function addSample(
  store: ObjectStore,
  conversion: Conversion,
  index: number,
  { uri, etag, sizeBytes, lastModifiedMs }: ListedFile,
): Promise<boolean> {
  try {
    const got = await store.get(uri, { ifMatch: etag });
    if (got.kind !== "found") return false;
    const refused = await conversion.add({ index, uri, etag, sizeBytes, lastModifiedMs }, got.body);
    return refused === undefined;
  } catch (error) {
    // Archived, or not ours to read; a store that is away is away for the next one too.
    if (!isKind(error, "Rejected", "Invalid")) throw error;
    return false;
  }
}
