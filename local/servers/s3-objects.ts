// Object operations of the local S3: put, get, head, copy, delete, with the conditions exactly as S3 answers them.
// Invariant: a write's condition is checked in the same synchronous step that stores the object, after its body is on disk,
// so of any number of racing `If-None-Match: *` writers one wins and the others get 412.
// Sources: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html and conditional-reads.html

import { createHash } from "node:crypto";
import { linkSync, rmSync } from "node:fs";
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import { pipeline } from "node:stream/promises";
import { writeBody } from "./s3-body.ts";
import type { S3Change } from "./s3-events.ts";
import type { S3Request } from "./s3-route.ts";
import type { Bucket, S3Store, StoredObject, Watch } from "./s3-store.ts";
import { childrenOf, parseXml, renderXml, S3Error, textOf, type XmlRecord } from "./s3-xml.ts";

export interface S3Context {
  readonly store: S3Store;
  now(): number;
  /** Called in the step that made the change visible. */
  changed(change: S3Change): void;
}

export interface S3Call {
  readonly context: S3Context;
  readonly route: S3Request;
  readonly bucket: Bucket;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

const KEPT_HEADERS = ["content-type", "cache-control", "content-disposition", "content-language", "expires"];
const KEY_BYTES_MAX = 1024;

export async function putObject({ context, route, bucket, request, response }: S3Call): Promise<void> {
  const { store } = context;
  checkKey(route.key);
  const { blob, file } = store.newBlob();
  const { watch, end } = store.watch(bucket, route.key);
  try {
    const written = await writeBody(request, request.headers, file);
    unlessRefused(file, () => checkWrite(request.headers, bucket.objects.get(route.key), watch));
    const checksum = written.checksum === undefined ? {} : { [written.checksum.header]: written.checksum.value };
    store.put(bucket, {
      key: route.key,
      segments: [{ blob, sizeBytes: written.sizeBytes }],
      sizeBytes: written.sizeBytes,
      etag: written.md5,
      lastModifiedMs: context.now(),
      headers: { ...keptHeaders(request.headers), ...checksum },
    });
    const { sizeBytes, md5: etag } = written;
    context.changed({ name: "ObjectCreated:Put", bucket: bucket.name, key: route.key, sizeBytes, etag });
    sendEmpty(response, 200, { etag: `"${etag}"`, ...checksum });
  } finally {
    end();
  }
}

/** Synchronous on purpose: an await between check and store would let another writer in. */
function unlessRefused(file: string, check: () => void): void {
  try {
    check();
  } catch (error) {
    rmSync(file, { force: true });
    throw error;
  }
}

export function checkWrite(headers: IncomingHttpHeaders, current: StoredObject | undefined, watch: Watch): void {
  const { "if-match": ifMatch, "if-none-match": ifNoneMatch } = headers;
  if (ifMatch === undefined && ifNoneMatch === undefined) return;
  if (ifNoneMatch !== undefined && ifNoneMatch !== "*") {
    throw new S3Error(501, "NotImplemented", "If-None-Match on a write supports only *");
  }
  if (ifNoneMatch === "*" && current !== undefined) throw preconditionFailed("If-None-Match");
  if (ifMatch !== undefined && current === undefined) throw noSuchKey();
  if (ifMatch !== undefined && current !== undefined && !etagListed(ifMatch, current.etag))
    throw preconditionFailed("If-Match");
  if (watch.disturbed) {
    throw new S3Error(
      409,
      "ConditionalRequestConflict",
      "A conflicting operation occurred during the conditional request.",
    );
  }
}

export async function getObject({ context, route, bucket, request, response }: S3Call): Promise<void> {
  const object = bucket.objects.get(route.key);
  if (object === undefined) throw noSuchKey();
  const head = { ...objectHeaders(object, request.headers), "accept-ranges": "bytes" };
  if (etagListed(request.headers["if-none-match"], object.etag)) return sendEmpty(response, 304, head);
  if (request.headers["if-match"] !== undefined && !etagListed(request.headers["if-match"], object.etag)) {
    throw preconditionFailed("If-Match");
  }
  const range = rangeOf(request.headers.range, object.sizeBytes);
  const { start, end } = range ?? { start: 0, end: object.sizeBytes };
  const partial = range === undefined ? {} : { "content-range": `bytes ${start}-${end - 1}/${object.sizeBytes}` };
  response.writeHead(range === undefined ? 200 : 206, { ...head, ...partial, "content-length": end - start });
  if (request.method === "HEAD" || start === end) {
    response.end();
    return;
  }
  const release = context.store.pin(object);
  try {
    await pipeline(context.store.read(object, start, end), response);
  } finally {
    release();
  }
}

function objectHeaders(object: StoredObject, asked: IncomingHttpHeaders): Record<string, string> {
  const whole = asked.range === undefined && asked["x-amz-checksum-mode"] === "ENABLED";
  const headers: Record<string, string> = {
    etag: `"${object.etag}"`,
    "last-modified": new Date(object.lastModifiedMs).toUTCString(),
    "content-type": "binary/octet-stream",
  };
  for (const [name, value] of Object.entries(object.headers)) {
    if (whole || !name.startsWith("x-amz-checksum-")) headers[name] = value;
  }
  return headers;
}

/** undefined: the whole object, also for a Range that is not understood (RFC 9110, 14.2). */
function rangeOf(header: string | undefined, sizeBytes: number): { start: number; end: number } | undefined {
  const [, first, last] = /^bytes=(\d*)-(\d*)$/.exec(header ?? "") ?? [];
  if (first === undefined || last === undefined || (first === "" && last === "")) return undefined;
  const start = first === "" ? Math.max(0, sizeBytes - Number(last)) : Number(first);
  const end = first === "" || last === "" ? sizeBytes : Math.min(sizeBytes, Number(last) + 1);
  if (first !== "" && last !== "" && Number(last) < Number(first)) return undefined;
  if (start >= sizeBytes || start >= end) {
    const headers = { "content-range": `bytes */${sizeBytes}` };
    throw new S3Error(416, "InvalidRange", "The requested range is not satisfiable", headers);
  }
  return { start, end };
}

export async function copyObject({ context, route, bucket, request, response }: S3Call): Promise<void> {
  const { store } = context;
  checkKey(route.key);
  const source = copySource(context, request.headers);
  const { watch, end } = store.watch(bucket, route.key);
  const release = store.pin(source);
  try {
    const { blob, file } = store.newBlob();
    const etag = await copyBytes(store, source, file);
    unlessRefused(file, () => checkWrite(request.headers, bucket.objects.get(route.key), watch));
    const replace = request.headers["x-amz-metadata-directive"] === "REPLACE";
    const lastModifiedMs = context.now();
    const { sizeBytes } = source;
    const headers = replace ? keptHeaders(request.headers) : source.headers;
    store.put(bucket, { key: route.key, segments: [{ blob, sizeBytes }], sizeBytes, etag, lastModifiedMs, headers });
    context.changed({ name: "ObjectCreated:Copy", bucket: bucket.name, key: route.key, sizeBytes, etag });
    sendXml(response, "CopyObjectResult", { ETag: `"${etag}"`, LastModified: listedTime(lastModifiedMs) });
  } finally {
    release();
    end();
  }
}

async function copyBytes(store: S3Store, source: StoredObject, file: string): Promise<string> {
  const [only, ...more] = source.segments;
  if (only !== undefined && more.length === 0) {
    linkSync(store.fileOf(only.blob), file);
    // A one-part multipart object has a multipart ETag; its copy has the plain one.
    if (!source.etag.includes("-")) return source.etag;
    const md5 = createHash("md5");
    for await (const chunk of store.read(source, 0, source.sizeBytes)) md5.update(chunk);
    return md5.digest("hex");
  }
  return (await writeBody(store.read(source, 0, source.sizeBytes), {}, file)).md5;
}

export function copySource(context: S3Context, headers: IncomingHttpHeaders): StoredObject {
  const named = decodeURIComponent(String(headers["x-amz-copy-source"]).replace(/\?versionId=.*$/, "")).replace(
    /^\//,
    "",
  );
  const slash = named.indexOf("/");
  const object = context.store.buckets.get(named.slice(0, slash))?.objects.get(named.slice(slash + 1));
  if (object === undefined) throw noSuchKey();
  const wanted = headers["x-amz-copy-source-if-match"];
  if (wanted !== undefined && !etagListed(String(wanted), object.etag))
    throw preconditionFailed("x-amz-copy-source-If-Match");
  return object;
}

export function deleteObject({ context, route, bucket, request, response }: S3Call): void {
  const wanted = request.headers["if-match"];
  const current = bucket.objects.get(route.key);
  if (wanted !== undefined && current !== undefined && !etagListed(wanted, current.etag))
    throw preconditionFailed("If-Match");
  remove(context, bucket, route.key);
  sendEmpty(response, 204);
}

function remove(context: S3Context, bucket: Bucket, key: string): void {
  if (context.store.delete(bucket, key)) context.changed({ name: "ObjectRemoved:Delete", bucket: bucket.name, key });
}

export async function deleteObjects({ context, bucket, request, response }: S3Call): Promise<void> {
  const root = parseXml((await readSmall(request)).toString());
  const entries = childrenOf(root, "Object");
  if (root === undefined || entries.length === 0 || entries.length > 1000) throw malformedXml();
  const deleted: XmlRecord[] = [];
  for (const entry of entries) {
    const key = textOf(entry, "Key") ?? "";
    remove(context, bucket, key);
    deleted.push({ Key: key });
  }
  sendXml(response, "DeleteResult", textOf(root, "Quiet") === "true" ? {} : { Deleted: deleted });
}

// ---- shared by the operations --------------------------------------------------------------------------------------

export function keptHeaders(headers: IncomingHttpHeaders): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (KEPT_HEADERS.includes(name) || name.startsWith("x-amz-meta-")) kept[name] = String(value);
  }
  const codings = (headers["content-encoding"] ?? "").split(",").map((coding) => coding.trim());
  const encoding = codings.filter((coding) => coding !== "" && coding !== "aws-chunked").join(",");
  return encoding === "" ? kept : { ...kept, "content-encoding": encoding };
}

export function checkKey(key: string): void {
  if (Buffer.byteLength(key) > KEY_BYTES_MAX) throw new S3Error(400, "KeyTooLongError", "Your key is too long");
}

function etagListed(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false;
  return header.split(",").some((each) => ["*", etag].includes(each.trim().replace(/^"|"$/g, "")));
}

export async function readSmall(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

export function sendXml(response: ServerResponse, name: string, content: XmlRecord, status = 200): void {
  const body = renderXml(name, content);
  response.writeHead(status, { "content-type": "application/xml", "content-length": Buffer.byteLength(body) });
  response.end(body);
}

export function sendEmpty(
  response: ServerResponse,
  status: number,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, status === 200 ? { ...headers, "content-length": "0" } : headers);
  response.end();
}

/** S3 keeps whole seconds. */
export function listedTime(ms: number): string {
  return new Date(Math.floor(ms / 1000) * 1000).toISOString();
}

export function noSuchKey(): S3Error {
  return new S3Error(404, "NoSuchKey", "The specified key does not exist.");
}

export function malformedXml(): S3Error {
  return new S3Error(
    400,
    "MalformedXML",
    "The XML you provided was not well-formed or did not validate against our published schema",
  );
}

function preconditionFailed(condition: string): S3Error {
  return new S3Error(
    412,
    "PreconditionFailed",
    `At least one of the pre-conditions you specified did not hold: ${condition}`,
  );
}
