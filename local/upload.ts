// Puts folders and samples into the landing bucket, a few at a time.

import { createReadStream, readdirSync, statSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { mapLimit } from "../lambdas/core/concurrency.ts";
import { objectUri } from "../lambdas/core/ids.ts";
import type { ObjectStore } from "../lambdas/core/ports.ts";
import type { UploadFolder } from "./options.ts";
import type { SampleObject } from "./sample.ts";

const UPLOADS_MAX = 16;

/** Every file below the folder, in order of its path; `bucket` is the real one. Returns how many. */
export async function uploadFolder(
  store: ObjectStore,
  { folder, bucket, prefix }: UploadFolder,
  signal?: AbortSignal,
): Promise<number> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
  await mapLimit(files, UPLOADS_MAX, async (file) => {
    signal?.throwIfAborted();
    const key = prefix + relative(folder, file).split(sep).join("/");
    const body = { sizeBytes: statSync(file).size, open: () => createReadStream(file) };
    await store.put(objectUri(bucket, key), body);
  });
  return files.length;
}

export async function uploadSample(
  store: ObjectStore,
  bucket: string,
  objects: readonly SampleObject[],
): Promise<number> {
  await mapLimit(objects, UPLOADS_MAX, ({ key, bytes }) => store.put(objectUri(bucket, key), bytes));
  return objects.length;
}
