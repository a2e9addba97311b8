// Which S3 operation a request is: path-style addressing, the method and the sub-resource in the query.
// One table serves the server, the request counts and the fault plan, so they can never disagree on a name.

import type { IncomingMessage } from "node:http";

export interface S3Request {
  readonly operation: string;
  readonly bucket: string;
  readonly key: string;
  readonly query: URLSearchParams;
}

/** undefined: the path is not valid percent-encoded UTF-8. */
export function routeS3(request: IncomingMessage): S3Request | undefined {
  const url = request.url ?? "/";
  const mark = url.indexOf("?");
  const path = mark < 0 ? url : url.slice(0, mark);
  const query = new URLSearchParams(mark < 0 ? "" : url.slice(mark + 1));
  const slash = path.indexOf("/", 1);
  try {
    const bucket = decodeURIComponent(slash < 0 ? path.slice(1) : path.slice(1, slash));
    const key = slash < 0 ? "" : decodeURIComponent(path.slice(slash + 1));
    return { operation: operationOf(request, bucket, key, query), bucket, key, query };
  } catch {
    return undefined;
  }
}

function operationOf(request: IncomingMessage, bucket: string, key: string, query: URLSearchParams): string {
  const method = request.method ?? "GET";
  if (bucket === "") return method === "GET" ? "ListBuckets" : "Unknown";
  if (key === "") return bucketOperation(method, query);
  const copies = request.headers["x-amz-copy-source"] !== undefined;
  if (query.has("uploadId")) {
    if (method === "PUT") return copies ? "UploadPartCopy" : "UploadPart";
    return { POST: "CompleteMultipartUpload", DELETE: "AbortMultipartUpload", GET: "ListParts" }[method] ?? "Unknown";
  }
  if (method === "POST") return query.has("uploads") ? "CreateMultipartUpload" : "Unknown";
  if (["tagging", "acl", "retention", "legal-hold", "attributes", "torrent"].some((name) => query.has(name)))
    return "Unknown";
  if (method === "PUT") return copies ? "CopyObject" : "PutObject";
  return { GET: "GetObject", HEAD: "HeadObject", DELETE: "DeleteObject" }[method] ?? "Unknown";
}

const BUCKET_SUBRESOURCES: Readonly<Record<string, string>> = {
  "GET location": "GetBucketLocation",
  "GET versioning": "GetBucketVersioning",
  "GET uploads": "ListMultipartUploads",
  "GET notification": "GetBucketNotificationConfiguration",
  "PUT notification": "PutBucketNotificationConfiguration",
  "POST delete": "DeleteObjects",
};
const PLAIN = new Set([
  "list-type",
  "prefix",
  "delimiter",
  "start-after",
  "continuation-token",
  "max-keys",
  "encoding-type",
]);
const ALSO_PLAIN = new Set(["fetch-owner", "marker", "x-id", "max-buckets", "optional-object-attributes"]);

function bucketOperation(method: string, query: URLSearchParams): string {
  for (const name of query.keys()) {
    const named = BUCKET_SUBRESOURCES[`${method} ${name}`];
    if (named !== undefined) return named;
    if (!PLAIN.has(name) && !ALSO_PLAIN.has(name)) return "Unknown";
  }
  if (method === "GET") return query.get("list-type") === "2" ? "ListObjectsV2" : "ListObjects";
  return { PUT: "CreateBucket", HEAD: "HeadBucket", DELETE: "DeleteBucket" }[method] ?? "Unknown";
}
