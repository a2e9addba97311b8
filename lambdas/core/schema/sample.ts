// A new table is typed by several of the first files together: when few have been claimed, others that lie beside them are looked at too.
// They are read for their columns only; their own events load them. What cannot be read now is left out, and a file that was tried before
// is loaded without company that may have killed it: a sample is no promise.

import type { ClaimedTask } from "../batch-work.ts";
import type { Ingestion } from "../config.ts";
import { isKind } from "../errors.ts";
import { objectUri, splitUri } from "../ids.ts";
import { needsBody } from "../object-rows.ts";
import type { Conversion, ObjectStore } from "../ports.ts";
import { createRouter } from "../routing.ts";

/** So many files, claimed ones and others, and so many bytes of others, type a new table. */
export const SAMPLE_FILES = 20;
const SAMPLE_BYTES_MAX = 64 * 1024 * 1024;
/** Objects listed in search of them. */
const LOOKED_AT_MAX = 1000;

/** Indices, beyond those of the claimed files, of the sources that were added. */
export async function addSamples(
  { store }: { readonly store: ObjectStore },
  ingestion: Ingestion,
  conversion: Conversion,
  claimed: readonly ClaimedTask[],
): Promise<number[]> {
  const wanted = SAMPLE_FILES - claimed.length;
  if (claimed.some(({ file }) => file.attempts > 1)) return [];
  if (wanted <= 0 || !needsBody(ingestion.format, 1) || ingestion.format.type === "binary") return [];
  const known = new Set(claimed.map(({ file }) => `${file.bucket}/${file.key}`));
  const { bucket, prefix } = ingestion.source;
  const route = createRouter([ingestion]);
  const added: number[] = [];
  let lookedAt = 0;
  let bytes = 0;
  try {
    for await (const object of store.list(`s3://${bucket}/${prefix}`)) {
      if (++lookedAt > LOOKED_AT_MAX || added.length === wanted) break;
      const { key } = splitUri(object.uri);
      if (known.has(`${bucket}/${key}`) || route(bucket, key) === undefined) continue;
      if (object.sizeBytes === 0 || bytes + object.sizeBytes > SAMPLE_BYTES_MAX) continue;
      const got = await store.get(objectUri(bucket, key), { ifMatch: object.etag });
      if (got.kind !== "found") continue;
      bytes += object.sizeBytes;
      const index = claimed.length + added.length;
      const { uri, etag, sizeBytes, lastModifiedMs } = object;
      const refused = await conversion.add({ index, uri, etag, sizeBytes, lastModifiedMs }, got.body);
      if (refused === undefined) added.push(index);
    }
  } catch (error) {
    if (!isKind(error, "Unavailable", "Rejected")) throw error;
  }
  return added;
}
