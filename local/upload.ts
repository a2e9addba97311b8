// Puts folders and samples into the landing bucket, a few at a time.

import { createReadStream, readdirSync, statSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { mapLimit } from "../lambdas/core/concurrency.ts";
import { objectUri, splitUri } from "../lambdas/core/ids.ts";
import type { ObjectStore } from "../lambdas/core/ports.ts";
import type { SampleObject } from "./sample.ts";

const UPLOADS_MAX = 16;

export interface UploadFolder {
  readonly folder: string;
  readonly bucket: string;
  readonly prefix: string;
}

/** `DIR=s3://bucket/prefix/`; `bucketOf` turns a name of moraine.yaml into the real one. */
export function parseUpload(text: string, bucketOf: (name: string) => string): UploadFolder {
  const cut = text.indexOf("=s3://");
  if (cut <= 0) throw new Error(`--upload ${text}: write it as DIR=s3://bucket/prefix/`);
  const target = text.slice(cut + 1);
  const { bucket, key } = splitUri(target.endsWith("/") ? `${target}x` : `${target}/x`);
  return { folder: text.slice(0, cut), bucket: bucketOf(bucket), prefix: key.slice(0, -1) };
}

/** Every file below the folder, in order of its path. Returns how many. */
export async function uploadFolder(store: ObjectStore, { folder, bucket, prefix }: UploadFolder): Promise<number> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
  await mapLimit(files, UPLOADS_MAX, async (file) => {
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
