// One put to S3, small or large. The object appears whole or not at all: parts are invisible until the upload is completed,
// and a failed upload is aborted (what a crash leaves, the bucket's lifecycle rule removes).
// If-None-Match is judged by S3 when the object would appear. A 412 on a request the SDK had to send again may be the work
// of our own first sending, so it is an unknown outcome and never "exists".

import {
  AbortMultipartUploadCommand,
  type CompletedPart,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { assert, isKind, MoraineError } from "../core/errors.ts";
import { type ObjectUri, splitUri } from "../core/ids.ts";
import type { PutBody } from "../core/ports.ts";
import { describeFailure, toMoraineError } from "./sdk-errors.ts";

export interface PutOptions {
  readonly ifAbsent?: boolean;
  readonly contentType?: string;
}
export type PutOutcome = { readonly kind: "stored"; readonly etag: string } | { readonly kind: "exists" };

interface Upload {
  readonly client: S3Client;
  readonly uri: ObjectUri;
  readonly place: { readonly Bucket: string; readonly Key: string };
  readonly options: PutOptions;
}

const SINGLE_BYTES_MAX = 64 * 1024 * 1024;
/** S3 takes 10,000 parts of at least 5 MiB: enough for 156 GiB. */
const PART_BYTES = 16 * 1024 * 1024;
const PARTS_AT_ONCE = 4;
/** An upload begun with a checksum is completed only with the checksum of every part; the SDK would begin one unasked. */
const CHECKSUM = { ChecksumAlgorithm: "CRC32" } as const;

export async function putObject(
  client: S3Client,
  uri: ObjectUri,
  body: PutBody,
  options: PutOptions,
): Promise<PutOutcome> {
  const { bucket, key } = splitUri(uri);
  const upload: Upload = { client, uri, place: { Bucket: bucket, Key: key }, options };
  const sizeBytes = body instanceof Uint8Array ? body.length : body.sizeBytes;
  const parts = partsOf(uri, body, sizeBytes, sizeBytes > SINGLE_BYTES_MAX ? PART_BYTES : SINGLE_BYTES_MAX);
  if (sizeBytes > SINGLE_BYTES_MAX) return putInParts(upload, parts);
  const { value } = await parts[Symbol.asyncIterator]().next();
  return putWhole(upload, value ?? new Uint8Array());
}

async function putWhole({ client, uri, place, options }: Upload, bytes: Uint8Array): Promise<PutOutcome> {
  const request = { ...place, Body: bytes, ContentLength: bytes.length, ...typeOf(options), ...conditionOf(options) };
  try {
    const { ETag } = await client.send(new PutObjectCommand(request));
    return stored(ETag);
  } catch (error) {
    return refusal(error, uri);
  }
}

async function putInParts(upload: Upload, parts: AsyncIterable<Uint8Array>): Promise<PutOutcome> {
  const { client, uri, place, options } = upload;
  const { UploadId } = await client
    .send(new CreateMultipartUploadCommand({ ...place, ...CHECKSUM, ...typeOf(options) }))
    .catch(invisible(uri));
  try {
    const Parts = await sendParts(upload, UploadId, parts);
    const request = { ...place, UploadId, MultipartUpload: { Parts }, ...conditionOf(options) };
    const outcome = await client.send(new CompleteMultipartUploadCommand(request)).then(
      ({ ETag }) => stored(ETag),
      (error: unknown) => refusal(error, uri),
    );
    if (outcome.kind === "exists") await abort(upload, UploadId);
    return outcome;
  } catch (error) {
    // An upload that may have been completed is left alone: aborting is deleting.
    if (!isKind(error, "UnknownOutcome")) await abort(upload, UploadId);
    throw error;
  }
}

/** Reads the body in order and keeps at most `PARTS_AT_ONCE` parts in memory. */
async function sendParts(
  { client, uri, place }: Upload,
  UploadId: string | undefined,
  parts: AsyncIterable<Uint8Array>,
) {
  const sent: CompletedPart[] = [];
  const flying = new Set<Promise<void>>();
  let failure: unknown;
  let PartNumber = 0;
  try {
    for await (const Body of parts) {
      PartNumber += 1;
      const part: CompletedPart = { PartNumber };
      sent.push(part);
      const facts = { UploadId, PartNumber, ContentLength: Body.length, ...CHECKSUM };
      const flight: Promise<void> = client
        .send(new UploadPartCommand({ ...place, ...facts, Body }))
        .then(
          ({ ETag, ChecksumCRC32 }) => void Object.assign(part, { ETag, ChecksumCRC32 }),
          (error: unknown) => {
            failure ??= error;
          },
        )
        .finally(() => flying.delete(flight));
      flying.add(flight);
      if (flying.size >= PARTS_AT_ONCE) await Promise.race(flying);
      if (failure !== undefined) break;
    }
  } finally {
    await Promise.all(flying);
  }
  if (failure !== undefined) invisible(uri)(failure);
  return sent;
}

async function abort({ client, place }: Upload, UploadId: string | undefined): Promise<void> {
  try {
    await client.send(new AbortMultipartUploadCommand({ ...place, UploadId }));
  } catch {
    // The first failure is the one to report; the bucket's lifecycle rule removes the parts.
  }
}

/** Cuts a body into parts of exactly `partBytes` (the last may be shorter) and holds it to its announced length. */
async function* partsOf(
  uri: ObjectUri,
  body: PutBody,
  sizeBytes: number,
  partBytes: number,
): AsyncGenerator<Uint8Array, undefined> {
  if (body instanceof Uint8Array) {
    for (let start = 0; start < sizeBytes; start += partBytes) yield body.subarray(start, start + partBytes);
    return;
  }
  let takenBytes = 0;
  let part = Buffer.alloc(Math.min(partBytes, sizeBytes));
  let filled = 0;
  for await (const bytes of body.open()) {
    if (takenBytes + bytes.length > sizeBytes) throw wrongLength(uri, sizeBytes, takenBytes + bytes.length);
    for (let start = 0; start < bytes.length; ) {
      if (filled === part.length) {
        yield part;
        part = Buffer.alloc(Math.min(partBytes, sizeBytes - takenBytes));
        filled = 0;
      }
      const piece = bytes.subarray(start, start + part.length - filled);
      part.set(piece, filled);
      filled += piece.length;
      start += piece.length;
      takenBytes += piece.length;
    }
  }
  // The last part is held back until the body is known to be as long as it was said to be.
  if (takenBytes !== sizeBytes) throw wrongLength(uri, sizeBytes, takenBytes);
  if (filled > 0) yield part;
}

function wrongLength(uri: ObjectUri, sizeBytes: number, sentBytes: number): MoraineError {
  return new MoraineError("Invalid", "a body is not as long as it was said to be", { uri, sizeBytes, sentBytes });
}

function stored(etag: string | undefined): PutOutcome {
  assert(etag !== undefined, "s3 answered a put without an etag");
  return { kind: "stored", etag: etag.replaceAll('"', "") };
}

function refusal(error: unknown, uri: ObjectUri): PutOutcome {
  const failure = describeFailure(error);
  if (failure.status === 412 && failure.attempts === 1) return { kind: "exists" };
  throw toMoraineError(error, { action: "s3:PutObject", effect: "write", facts: { uri } });
}

/** Until the upload is completed nothing can be seen: its failures are those of a read. */
function invisible(uri: ObjectUri): (error: unknown) => never {
  return (error) => {
    throw toMoraineError(error, { action: "s3:PutObject", effect: "read", facts: { uri } });
  };
}

function typeOf(options: PutOptions) {
  return options.contentType === undefined ? {} : { ContentType: options.contentType };
}

function conditionOf(options: PutOptions) {
  return options.ifAbsent === true ? { IfNoneMatch: "*" } : {};
}
