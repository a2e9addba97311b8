// S3 as the item reader and the result writer use it: a client like any other, so requests are counted and faults strike.
// Its access key tells the front who asks; like the service, it tries again when S3 throttles it.

import { GetObjectCommand, PutObjectCommand, paginateListObjectsV2, S3Client } from "@aws-sdk/client-s3";
import type { Json } from "../template.ts";

export const STATES_ACCESS_KEY = "LOCALSTATES00000";

export interface ObjectAccess {
  get(bucket: string, key: string, versionId?: string): Promise<string>;
  put(bucket: string, key: string, body: string): Promise<void>;
  /** As the item reader gives them: Etag (sic), LastModified in epoch seconds. */
  list(bucket: string, prefix: string): AsyncIterable<Json>;
  close(): void;
}

export function openObjects(endpoint: string, region: string): ObjectAccess {
  const credentials = { accessKeyId: STATES_ACCESS_KEY, secretAccessKey: "local" };
  const client = new S3Client({ endpoint, region, credentials, forcePathStyle: true });
  return {
    async get(Bucket, Key, VersionId) {
      const { Body } = await client.send(new GetObjectCommand({ Bucket, Key, VersionId }));
      return (await Body?.transformToString()) ?? "";
    },
    async put(Bucket, Key, Body) {
      await client.send(new PutObjectCommand({ Bucket, Key, Body, ContentType: "application/json" }));
    },
    async *list(Bucket, Prefix) {
      for await (const { Contents = [] } of paginateListObjectsV2({ client }, { Bucket, Prefix })) {
        for (const { ETag = "", Key = "", LastModified, Size = 0, StorageClass = "STANDARD" } of Contents) {
          yield { Etag: ETag, Key, LastModified: (LastModified?.getTime() ?? 0) / 1000, Size, StorageClass };
        }
      }
    },
    close: () => client.destroy(),
  };
}
