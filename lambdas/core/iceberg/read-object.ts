// The whole bytes of one object of a table: metadata files, manifest lists and manifests are small.
// An object that the table names and the store does not have is Corrupt: somebody deleted a live file.

import { MoraineError } from "../errors.ts";
import type { ObjectUri } from "../ids.ts";
import type { ObjectStore } from "../ports.ts";

export async function readObject(store: ObjectStore, uri: ObjectUri): Promise<Uint8Array | undefined> {
  const outcome = await store.get(uri);
  if (outcome.kind !== "found") return undefined;
  const chunks: Uint8Array[] = [];
  for await (const chunk of outcome.body) chunks.push(chunk);
  return new Uint8Array(Buffer.concat(chunks));
}

/** `role`: what the table needs it for, for the message. */
export async function readLiveObject(store: ObjectStore, path: string, role: string): Promise<Uint8Array> {
  const bytes = await readObject(store, path as ObjectUri);
  if (bytes !== undefined) return bytes;
  throw new MoraineError(
    "Corrupt",
    `${role} is named by the table but is not in the store; restore it from the bucket's versions`,
    { file: path },
  );
}
