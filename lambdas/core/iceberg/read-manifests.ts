// Reads manifest lists and manifests from the store, with the ids that entries inherit.

import type { ObjectStore } from "../ports.ts";
import { decodeManifest, inherit } from "./manifest.ts";
import { decodeManifestList } from "./manifest-list.ts";
import { readLiveObject } from "./read-object.ts";
import type { ManifestEntry, ManifestFile } from "./types.ts";

export async function readManifests(store: ObjectStore, manifestList: string): Promise<ManifestFile[]> {
  return decodeManifestList(await readLiveObject(store, manifestList, "manifest list"), manifestList);
}

/** Entries with inherited ids, deleted ones too. */
export async function readEntries(store: ObjectStore, manifest: ManifestFile): Promise<ManifestEntry[]> {
  const bytes = await readLiveObject(store, manifest.manifestPath, "manifest");
  return inherit(decodeManifest(bytes, manifest.manifestPath).entries, manifest);
}
