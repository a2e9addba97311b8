// Small metadata objects are read whole.

import { MoraineError } from "./errors.ts";
import type { ObjectUri } from "./ids.ts";
import type { ObjectStore } from "./ports.ts";

/** Throws Conflict when the object is not there: whoever named it works on table metadata that was replaced meanwhile. */
export async function readBytes(store: Pick<ObjectStore, "get">, uri: ObjectUri): Promise<Uint8Array> {
  const got = await store.get(uri);
  if (got.kind !== "found")
    throw new MoraineError("Conflict", "table metadata names an object that is not there any more", { uri });
  const chunks: Uint8Array[] = [];
  for await (const chunk of got.body) chunks.push(chunk);
  return chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : new Uint8Array(Buffer.concat(chunks));
}
