// The local S3: dispatch, bucket operations, listing, notifications. Objects are in s3-objects.ts, uploads in s3-multipart.ts.
// It answers like S3 with versioning off; IAM and signatures are not looked at. An event is handed to its target before the
// client gets the answer to its write, so whoever waits for the stack to go quiet after a write never misses one.

import { randomUUID } from "node:crypto";
import { mkdirSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import {
  eventRecord,
  type NotificationRule,
  rulesFor,
  rulesOfXml,
  type S3Change,
  Sequencer,
  testEvent,
} from "./s3-events.ts";
import { decodeCursor, encodeCursor, listPage } from "./s3-list.ts";
import { abortUpload, completeUpload, createUpload, listParts, listUploads, uploadPart } from "./s3-multipart.ts";
import {
  copyObject,
  deleteObject,
  deleteObjects,
  getObject,
  listedTime,
  putObject,
  readSmall,
  type S3Call,
  type S3Context,
  sendEmpty,
  sendXml,
} from "./s3-objects.ts";
import { routeS3, type S3Request } from "./s3-route.ts";
import { type Bucket, S3Store } from "./s3-store.ts";
import { parseXml, renderXml, S3Error } from "./s3-xml.ts";

export interface S3Options {
  readonly folder: string;
  readonly region: string;
  now(): number;
  /** Hands a notification to the queue or function of that ARN. */
  deliver(targetArn: string, message: string): void;
}

export interface LocalS3 {
  handle(request: IncomingMessage, response: ServerResponse): Promise<void>;
  ensureBucket(name: string): void;
  /** Replaces the bucket's notification configuration and, as S3 does, sends every target an s3:TestEvent. */
  setNotifications(bucket: string, rules: readonly NotificationRule[]): void;
  close(): void;
}

type Operation = (call: S3Call) => void | Promise<void>;

const OPERATIONS: Readonly<Record<string, Operation>> = {
  HeadBucket: ({ response }) => sendEmpty(response, 200, { "x-amz-bucket-region": "us-east-1" }),
  DeleteBucket: deleteBucket,
  GetBucketLocation: ({ response }) => sendXml(response, "LocationConstraint", {}),
  GetBucketVersioning: ({ response }) => sendXml(response, "VersioningConfiguration", {}),
  ListObjects: listObjects,
  ListObjectsV2: listObjects,
  ListMultipartUploads: listUploads,
  DeleteObjects: deleteObjects,
  PutObject: putObject,
  GetObject: getObject,
  HeadObject: getObject,
  DeleteObject: deleteObject,
  CopyObject: copyObject,
  CreateMultipartUpload: createUpload,
  UploadPart: uploadPart,
  UploadPartCopy: uploadPart,
  CompleteMultipartUpload: completeUpload,
  AbortMultipartUpload: abortUpload,
  ListParts: listParts,
};

export function createS3(options: S3Options): LocalS3 {
  mkdirSync(options.folder, { recursive: true });
  const store = new S3Store(options.folder);
  const notifications = new Map<string, readonly NotificationRule[]>();
  const sequencer = new Sequencer();

  function changed(change: S3Change): void {
    const nowMs = options.now();
    const sequence = sequencer.next(nowMs);
    for (const rule of rulesFor(notifications.get(change.bucket) ?? [], change)) {
      const record = eventRecord(change, rule, sequence, nowMs, options.region);
      options.deliver(rule.target, JSON.stringify({ Records: [record] }));
    }
  }

  function setNotifications(bucket: string, rules: readonly NotificationRule[]): void {
    notifications.set(bucket, rules);
    const message = JSON.stringify(testEvent(bucket, options.now()));
    for (const target of new Set(rules.map((rule) => rule.target))) options.deliver(target, message);
  }

  const context: S3Context = { store, now: options.now, changed };

  async function dispatch(route: S3Request, request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (route.operation === "ListBuckets") return listBuckets(context, response);
    if (route.operation === "CreateBucket") return createBucket(context, route, response);
    const bucket = store.buckets.get(route.bucket);
    if (bucket === undefined) throw new S3Error(404, "NoSuchBucket", "The specified bucket does not exist");
    const call = { context, route, bucket, request, response };
    if (route.operation === "PutBucketNotificationConfiguration") {
      setNotifications(bucket.name, rulesOfXml(parseXml((await readSmall(request)).toString())));
      return sendEmpty(response, 200);
    }
    const operation = OPERATIONS[route.operation];
    if (operation === undefined) throw new S3Error(501, "NotImplemented", "the local S3 does not do this");
    await operation(call);
  }

  return {
    async handle(request, response) {
      response.setHeader("x-amz-request-id", randomUUID());
      try {
        const route = routeS3(request);
        if (route === undefined) throw new S3Error(400, "InvalidURI", "Couldn't parse the specified URI.");
        await dispatch(route, request, response);
      } catch (error) {
        sendError(error, request, response);
      }
    },
    ensureBucket(name) {
      if (!store.buckets.has(name)) store.createBucket(name, options.now());
    },
    setNotifications,
    close: () => store.close(),
  };
}

/** An error after the head was sent, or of a client that went away, can only end the connection. */
function sendError(error: unknown, request: IncomingMessage, response: ServerResponse): void {
  request.resume();
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  const known = error instanceof S3Error ? error : new S3Error(500, "InternalError", String(error));
  const body = renderXml("Error", { Code: known.code, Message: known.message, Resource: request.url ?? "" });
  response.writeHead(known.status, { ...known.headers, "content-type": "application/xml" });
  response.end(request.method === "HEAD" ? undefined : body.replace(/ xmlns="[^"]*"/, ""));
}

function listBuckets({ store }: S3Context, response: ServerResponse): void {
  const buckets = [...store.buckets.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  const listed = buckets.map(({ name, createdMs }) => ({ Name: name, CreationDate: listedTime(createdMs) }));
  sendXml(response, "ListAllMyBucketsResult", { Owner: { ID: "LOCAL" }, Buckets: { Bucket: listed } });
}

function createBucket({ store, now }: S3Context, { bucket }: S3Request, response: ServerResponse): void {
  if (!/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(bucket)) {
    throw new S3Error(400, "InvalidBucketName", "The specified bucket is not valid.");
  }
  if (!store.buckets.has(bucket)) store.createBucket(bucket, now());
  sendEmpty(response, 200, { location: `/${bucket}` });
}

function deleteBucket({ context, bucket, response }: S3Call): void {
  if (bucket.objects.size > 0) throw new S3Error(409, "BucketNotEmpty", "The bucket you tried to delete is not empty");
  context.store.deleteBucket(bucket.name);
  sendEmpty(response, 204);
}

const LIST_KEYS_MAX = 1000;

function listObjects({ route, bucket, response }: S3Call): void {
  const { query, operation } = route;
  const v2 = operation === "ListObjectsV2";
  const token = query.get("continuation-token");
  const continuation = token === null ? undefined : decodeCursor(token);
  if (token !== null && continuation === undefined) {
    throw new S3Error(400, "InvalidArgument", "The continuation token provided is incorrect");
  }
  const asked = Number(query.get("max-keys") ?? LIST_KEYS_MAX);
  if (!Number.isInteger(asked) || asked < 0)
    throw new S3Error(400, "InvalidArgument", "Provided max-keys not an integer");
  const maxKeys = Math.min(asked, LIST_KEYS_MAX);
  const prefix = query.get("prefix") ?? "";
  const delimiter = query.get("delimiter") ?? "";
  const startAfter = query.get(v2 ? "start-after" : "marker") ?? "";
  const page = listPage(bucket.keys, {
    prefix,
    delimiter,
    startAfter,
    maxKeys,
    ...(continuation === undefined ? {} : { continuation }),
  });
  const encoded = query.get("encoding-type") === "url";
  const text = (value: string) => (encoded ? encodeURIComponent(value).replaceAll("%2F", "/") : value);
  const next = page.next === undefined ? undefined : v2 ? encodeCursor(page.next) : text(page.next.after);
  sendXml(response, "ListBucketResult", {
    Name: bucket.name,
    Prefix: text(prefix),
    Delimiter: delimiter === "" ? undefined : text(delimiter),
    MaxKeys: maxKeys,
    EncodingType: encoded ? "url" : undefined,
    KeyCount: v2 ? page.keys.length + page.commonPrefixes.length : undefined,
    StartAfter: v2 && startAfter !== "" ? text(startAfter) : undefined,
    ContinuationToken: token ?? undefined,
    IsTruncated: page.next !== undefined,
    [v2 ? "NextContinuationToken" : "NextMarker"]: next,
    Contents: page.keys.map((key) => listedObject(bucket, key, text)),
    CommonPrefixes: page.commonPrefixes.map((each) => ({ Prefix: text(each) })),
  });
}

function listedObject(bucket: Bucket, key: string, text: (value: string) => string) {
  const object = bucket.objects.get(key);
  return {
    Key: text(key),
    LastModified: listedTime(object?.lastModifiedMs ?? 0),
    ETag: `"${object?.etag}"`,
    Size: object?.sizeBytes,
    StorageClass: "STANDARD",
  };
}
