// Reads a few rows back with a reader that is not our writer: icebird, Iceberg and Parquet in plain JavaScript. It knows S3 by
// its public address only, so its requests for a bucket are led to the local one while it reads.

import { icebergRead } from "icebird";
import type { ObjectUri } from "../lambdas/core/ids.ts";
import { readBytes } from "../lambdas/core/object-bytes.ts";
import type { ObjectStore } from "../lambdas/core/ports.ts";

export async function readSomeRows(
  store: ObjectStore,
  endpoint: string,
  table: { readonly location: string; readonly metadataLocation: string },
  count: number,
): Promise<readonly Record<string, unknown>[]> {
  const bytes = await readBytes(store, table.metadataLocation as ObjectUri);
  // icebird keeps snapshot ids as numbers: ours stay below 2^53 for such readers.
  const metadata = JSON.parse(Buffer.from(bytes).toString()) as NonNullable<
    Parameters<typeof icebergRead>[0]["metadata"]
  >;
  const direct = globalThis.fetch;
  globalThis.fetch = (input, init) => direct(localAddress(endpoint, input), init);
  try {
    return await icebergRead({
      tableUrl: table.location,
      ...(metadata === undefined ? {} : { metadata }),
      rowStart: 0,
      rowEnd: count,
    });
  } finally {
    globalThis.fetch = direct;
  }
}

function localAddress(endpoint: string, input: Parameters<typeof fetch>[0]): Parameters<typeof fetch>[0] {
  const url = new URL(input instanceof Request ? input.url : input);
  const [bucket, ...service] = url.hostname.split(".s3.");
  return service.length === 0 ? input : `${endpoint}/${bucket}${url.pathname}`;
}
