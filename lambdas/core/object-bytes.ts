// Small metadata objects, read whole, while others may be expiring them.

import { MoraineError } from "./errors.ts";
import { readObject } from "./iceberg/read-object.ts";
import type { ObjectUri } from "./ids.ts";
import type { ObjectStore } from "./ports.ts";

/** Throws Conflict when the object is not there: whoever named it works on table metadata that was replaced meanwhile. */
export async function readBytes(store: ObjectStore, uri: ObjectUri): Promise<Uint8Array> {
  const bytes = await readObject(store, uri);
  if (bytes !== undefined) return bytes;
  throw new MoraineError("Conflict", "table metadata names an object that is not there any more", { uri });
}
