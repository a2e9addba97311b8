// Listing a million keys holds pages, never the listing: the heap is measured while it goes on, in a process of its own, once over
// the fake and once with the real adapter over HTTP.

import { execFile } from "node:child_process";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { DISCOVER_NODE_FLAGS } from "../../lambdas/core/environment.ts";
import type { ListPage } from "../../lambdas/core/ports.ts";
import { SequenceLister } from "../fakes/memory-lister.ts";
import { LAYOUTS } from "../unit/discovery/layouts.ts";

const MIB = 1024 * 1024;
/** Fewer over HTTP, where each page costs its server more than the one who asks. */
const SERVED = 200_000;
const layout = LAYOUTS["date folders, counters"];
let server: Server;

beforeAll(async () => {
  const lister = new SequenceLister(layout?.keys(SERVED) ?? []);
  server = createServer(async (request, response) => {
    const { searchParams } = new URL(request.url ?? "", "http://localhost");
    const prefix = searchParams.get("prefix") ?? "";
    const after = searchParams.get("start-after") ?? "";
    response.end(xmlOf(await lister.page({ bucket: "bucket", prefix, after, folded: searchParams.has("delimiter") })));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});
afterAll(() => server.close());

function xmlOf({ objects, folders, truncated }: ListPage): string {
  const contents = objects.map(
    ({ key, etag, sizeBytes, lastModifiedMs }) =>
      `<Contents><Key>${encodeURIComponent(key)}</Key><LastModified>${new Date(lastModifiedMs).toISOString()}</LastModified>` +
      `<ETag>&quot;${etag.padEnd(32, "0")}&quot;</ETag><Size>${sizeBytes}</Size><StorageClass>STANDARD</StorageClass></Contents>`,
  );
  const prefixes = folders.map((folder) => `<CommonPrefixes><Prefix>${folder}</Prefix></CommonPrefixes>`);
  return `<ListBucketResult><EncodingType>url</EncodingType><IsTruncated>${truncated}</IsTruncated>${contents.join("")}${prefixes.join("")}</ListBucketResult>`;
}

/** With the flags of the discover function, and the heap a function of 512 MB might have. */
async function measured(...address: string[]) {
  const program = join(import.meta.dirname, "list-million.ts");
  const flags = ["--expose-gc", ...DISCOVER_NODE_FLAGS, "--max-old-space-size=192", program, ...address];
  const { stdout } = await promisify(execFile)(process.execPath, flags);
  return JSON.parse(stdout) as { keys: number; heapGrowth: number; rssMax: number };
}

test("a million keys at 64 at once take memory for the pages in hand and no more", async () => {
  const { keys, heapGrowth } = await measured();
  expect(keys).toBe(1_000_000);
  expect(heapGrowth).toBeLessThan(48 * MIB);
}, 120_000);

test("with the real adapter, all of the process stays below 256 MiB", async () => {
  const { keys, heapGrowth, rssMax } = await measured(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  expect(keys).toBe(SERVED);
  expect(heapGrowth).toBeLessThan(48 * MIB);
  expect(rssMax).toBeLessThan(256 * MIB);
}, 120_000);
