// Multipart uploads of the local S3. Completing is one synchronous step: the parts become the segments of the object.
// As on S3, the object's Last-Modified is the time the upload began, and its ETag is md5(md5s)-count.

import { createHash, randomUUID } from "node:crypto";
import { writeBody } from "./s3-body.ts";
import {
  checkKey,
  checkWrite,
  copySource,
  keptHeaders,
  listedTime,
  malformedXml,
  readSmall,
  type S3Call,
  sendEmpty,
  sendXml,
} from "./s3-objects.ts";
import type { Upload, UploadPart } from "./s3-store.ts";
import { childrenOf, parseXml, S3Error, textOf } from "./s3-xml.ts";

const PART_BYTES_MIN = 5 * 1024 * 1024;
const PART_NUMBER_MAX = 10_000;

export function createUpload({ context, route, bucket, request, response }: S3Call): void {
  checkKey(route.key);
  const id = randomUUID().replaceAll("-", "");
  const headers = keptHeaders(request.headers);
  context.store.startUpload({ id, bucket: bucket.name, key: route.key, startedMs: context.now(), headers });
  sendXml(response, "InitiateMultipartUploadResult", { Bucket: bucket.name, Key: route.key, UploadId: id });
}

export async function uploadPart(call: S3Call): Promise<void> {
  const { context, request, response } = call;
  const { store } = context;
  const copies = call.route.operation === "UploadPartCopy";
  const number = Number(call.route.query.get("partNumber"));
  if (!Number.isInteger(number) || number < 1 || number > PART_NUMBER_MAX) {
    throw new S3Error(400, "InvalidArgument", "Part number must be an integer between 1 and 10000, inclusive");
  }
  uploadOf(call);
  const { blob, file } = store.newBlob();
  const written = copies ? await copyRange(call, file) : await writeBody(request, request.headers, file);
  const segment = { blob, sizeBytes: written.sizeBytes };
  const part = { number, segment, etag: written.md5, lastModifiedMs: context.now() };
  // The upload may have been aborted while the body arrived.
  store.addPart(uploadOf(call), part);
  const etag = `"${part.etag}"`;
  if (copies) return sendXml(response, "CopyPartResult", { ETag: etag, LastModified: listedTime(part.lastModifiedMs) });
  const { checksum } = written;
  sendEmpty(response, 200, { etag, ...(checksum === undefined ? {} : { [checksum.header]: checksum.value }) });
}

async function copyRange({ context, request }: S3Call, file: string) {
  const source = copySource(context, request.headers);
  const range = /^bytes=(\d+)-(\d+)$/.exec(String(request.headers["x-amz-copy-source-range"] ?? ""));
  const [start, end] = range === null ? [0, source.sizeBytes] : [Number(range[1]), Number(range[2]) + 1];
  if (end > source.sizeBytes)
    throw new S3Error(400, "InvalidArgument", "Range specified is not valid for source object");
  const release = context.store.pin(source);
  try {
    return await writeBody(context.store.read(source, start, end), {}, file);
  } finally {
    release();
  }
}

export async function completeUpload(call: S3Call): Promise<void> {
  const { context, route, bucket, request, response } = call;
  const { store } = context;
  const { watch, end } = store.watch(bucket, route.key);
  try {
    const wanted = childrenOf(parseXml((await readSmall(request)).toString()), "Part");
    if (wanted.length === 0) throw malformedXml();
    const upload = uploadOf(call);
    const parts = wanted.map((part) => partOf(upload, Number(textOf(part, "PartNumber")), textOf(part, "ETag") ?? ""));
    checkParts(parts);
    checkWrite(request.headers, bucket.objects.get(route.key), watch);
    const sizeBytes = parts.reduce((sum, part) => sum + part.segment.sizeBytes, 0);
    const etag = multipartEtag(parts);
    store.endUpload(
      upload,
      parts.map((part) => part.number),
    );
    store.put(bucket, {
      key: upload.key,
      segments: parts.map((part) => part.segment),
      sizeBytes,
      etag,
      lastModifiedMs: upload.startedMs,
      headers: upload.headers,
    });
    context.changed({
      name: "ObjectCreated:CompleteMultipartUpload",
      bucket: bucket.name,
      key: route.key,
      sizeBytes,
      etag,
    });
    const location = `/${bucket.name}/${route.key}`;
    const result = { Location: location, Bucket: bucket.name, Key: route.key, ETag: `"${etag}"` };
    sendXml(response, "CompleteMultipartUploadResult", result);
  } finally {
    end();
  }
}

function partOf(upload: Upload, number: number, etag: string): UploadPart {
  const part = upload.parts.get(number);
  if (part === undefined || part.etag !== etag.replaceAll('"', "")) {
    throw new S3Error(400, "InvalidPart", `One or more of the specified parts could not be found: part ${number}`);
  }
  return part;
}

function checkParts(parts: readonly UploadPart[]): void {
  if (parts.some((part, index) => index > 0 && part.number <= (parts[index - 1]?.number ?? 0))) {
    throw new S3Error(400, "InvalidPartOrder", "The list of parts was not in ascending order.");
  }
  if (parts.slice(0, -1).some((part) => part.segment.sizeBytes < PART_BYTES_MIN)) {
    throw new S3Error(400, "EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size");
  }
}

function multipartEtag(parts: readonly UploadPart[]): string {
  const md5 = createHash("md5");
  for (const part of parts) md5.update(Buffer.from(part.etag, "hex"));
  return `${md5.digest("hex")}-${parts.length}`;
}

export function abortUpload(call: S3Call): void {
  call.context.store.endUpload(uploadOf(call), []);
  sendEmpty(call.response, 204);
}

export function listParts(call: S3Call): void {
  const upload = uploadOf(call);
  const after = Number(call.route.query.get("part-number-marker") ?? 0);
  const max = Number(call.route.query.get("max-parts") ?? 1000);
  const all = [...upload.parts.values()].filter((part) => part.number > after).sort((a, b) => a.number - b.number);
  const parts = all.slice(0, max);
  sendXml(call.response, "ListPartsResult", {
    Bucket: upload.bucket,
    Key: upload.key,
    UploadId: upload.id,
    MaxParts: max,
    IsTruncated: all.length > parts.length,
    NextPartNumberMarker: parts.at(-1)?.number,
    Part: parts.map((part) => ({
      PartNumber: part.number,
      LastModified: listedTime(part.lastModifiedMs),
      ETag: `"${part.etag}"`,
      Size: part.segment.sizeBytes,
    })),
  });
}

export function listUploads({ context, route, bucket, response }: S3Call): void {
  const prefix = route.query.get("prefix") ?? "";
  const uploads = [...context.store.uploads.values()].filter(
    (upload) => upload.bucket === bucket.name && upload.key.startsWith(prefix),
  );
  sendXml(response, "ListMultipartUploadsResult", {
    Bucket: bucket.name,
    Prefix: prefix,
    IsTruncated: false,
    Upload: uploads.map(({ key, id, startedMs }) => ({ Key: key, UploadId: id, Initiated: listedTime(startedMs) })),
  });
}

function uploadOf({ context, route, bucket }: S3Call): Upload {
  const upload = context.store.uploads.get(route.query.get("uploadId") ?? "");
  if (upload === undefined || upload.bucket !== bucket.name || upload.key !== route.key) {
    throw new S3Error(404, "NoSuchUpload", "The specified upload does not exist. The upload ID may be invalid.");
  }
  return upload;
}
