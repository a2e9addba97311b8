// A bucket to list and nothing else: ListObjectsV2 over a million made-up keys, each answer held back for a fixed time as S3's is.
// A process of its own, so that whoever lists does not share its processor; the same for every lister that is compared.
// node bench/list-server.ts --layout flat --keys 1000000 --latency 60      prints its address as one JSON line

import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { parseArgs } from "node:util";
import { compareUtf8 } from "../lambdas/core/discovery/key-order.ts";
import { isLayout, keysOf } from "./layouts.ts";

const { values } = parseArgs({
  options: {
    layout: { type: "string", default: "flat" },
    keys: { type: "string", default: "100000" },
    latency: { type: "string", default: "60" },
  },
});
if (!isLayout(values.layout)) throw new Error(`unknown layout ${values.layout}`);
const keys = [...keysOf(values.layout, Number(values.keys))].sort(compareUtf8);
const latencyMs = Number(values.latency);
let requests = 0;

/** Index of the first key that is not before `key` (or not at it either). */
function seek(key: string, behind: boolean): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const order = compareUtf8(keys[middle] as string, key);
    if (order < 0 || (behind && order === 0)) low = middle + 1;
    else high = middle;
  }
  return low;
}

interface Page {
  readonly contents: readonly string[];
  readonly folders: readonly string[];
  /** Continuation: all up to this key, and all below it if it is a folder. */
  readonly next?: string;
}

function pageOf(query: URLSearchParams): Page {
  const prefix = query.get("prefix") ?? "";
  const delimiter = query.get("delimiter") ?? "";
  const max = Number(query.get("max-keys") ?? "1000");
  const after = query.get("continuation-token") ?? query.get("start-after") ?? "";
  let at = Math.max(seek(prefix, false), after === "" ? 0 : behindAll(after, delimiter));
  const contents: string[] = [];
  const folders: string[] = [];
  let last = "";
  for (;;) {
    const key = keys[at];
    if (key === undefined || !key.startsWith(prefix)) return { contents, folders };
    if (contents.length + folders.length === max) return { contents, folders, next: last };
    const end = delimiter === "" ? -1 : key.indexOf(delimiter, prefix.length);
    if (end < 0) {
      contents.push(key);
      last = key;
      at++;
    } else {
      last = key.slice(0, end + delimiter.length);
      folders.push(last);
      at = seek(`${last}\u{10ffff}`, true);
    }
  }
}

function behindAll(after: string, delimiter: string): number {
  return delimiter !== "" && after.endsWith(delimiter) ? seek(`${after}\u{10ffff}`, true) : seek(after, true);
}

function escapeXml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}

function render({ contents, folders, next }: Page, url: boolean): string {
  const encode = url ? (key: string) => encodeURIComponent(key).replaceAll("%2F", "/") : escapeXml;
  const rows = contents.map(
    (key) =>
      `<Contents><Key>${encode(key)}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>&quot;d41d8cd98f00b204e9800998ecf8427e&quot;</ETag><Size>1024</Size><StorageClass>STANDARD</StorageClass></Contents>`,
  );
  const groups = folders.map((folder) => `<CommonPrefixes><Prefix>${encode(folder)}</Prefix></CommonPrefixes>`);
  const more = next === undefined ? "" : `<NextContinuationToken>${escapeXml(next)}</NextContinuationToken>`;
  return (
    '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>bench</Name>' +
    `<KeyCount>${contents.length + folders.length}</KeyCount><MaxKeys>1000</MaxKeys>${url ? "<EncodingType>url</EncodingType>" : ""}` +
    `<IsTruncated>${next !== undefined}</IsTruncated>${more}${rows.join("")}${groups.join("")}</ListBucketResult>`
  );
}

function answer(request: IncomingMessage, response: ServerResponse): void {
  const { pathname, searchParams } = new URL(request.url ?? "/", "http://localhost");
  request.resume();
  if (pathname === "/requests") {
    response.end(String(requests));
    requests = 0;
    return;
  }
  if (searchParams.get("list-type") !== "2") {
    response.writeHead(200).end("");
    return;
  }
  requests++;
  setTimeout(() => {
    const body = render(pageOf(searchParams), searchParams.get("encoding-type") === "url");
    response.writeHead(200, { "content-type": "application/xml", "content-length": Buffer.byteLength(body) });
    response.end(body);
  }, latencyMs);
}

const server = createServer(answer).listen(0, "127.0.0.1", () => {
  const { port } = server.address() as AddressInfo;
  console.log(JSON.stringify({ endpoint: `http://127.0.0.1:${port}`, keys: keys.length }));
});
server.keepAliveTimeout = 60_000;
process.once("SIGTERM", () => process.exit(0));
