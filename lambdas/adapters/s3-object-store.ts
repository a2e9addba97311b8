// Objects on S3. What was claimed is what is read: a get with If-Match answers "changed" for another version, and a body
// that ends early is an error, never a shorter file. Bodies above 64 MiB go up in parts, of which a bounded number is held
// in memory; parts and small bodies are buffers, so the SDK can send them again with a plain checksum header.

import { DeleteObjectsCommand, GetObjectCommand, ListObjectsV2Command, type S3Client } from "@aws-sdk/client-s3";
import { mapLimit } from "../core/concurrency.ts";
import { assert, type ErrorContext, MoraineError } from "../core/errors.ts";
import { type ObjectUri, objectUri, splitUri } from "../core/ids.ts";
import type { ByteRange, GetOutcome, ObjectFacts, ObjectStore, PutBody } from "../core/ports.ts";
import { chunk } from "./bounded.ts";
import { putObject } from "./s3-put.ts";
import { describeFailure, toMoraineError } from "./sdk-errors.ts";

const DELETE_KEYS = 1000;
const DELETES_AT_ONCE = 4;

export class S3ObjectStore implements ObjectStore {
  readonly #client: S3Client;

  constructor(client: S3Client) {
    this.#client = client;
  }

  async get(
    uri: ObjectUri,
    { ifMatch, range }: { readonly ifMatch?: string; readonly range?: ByteRange } = {},
  ): Promise<GetOutcome> {
    const { bucket, key } = splitUri(uri);
    const request = {
      Bucket: bucket,
      Key: key,
      ...(ifMatch === undefined ? {} : { IfMatch: `"${ifMatch}"` }),
      ...(range === undefined ? {} : { Range: `bytes=${range.start}-${range.end - 1}` }),
    };
    try {
      const answer = await this.#client.send(new GetObjectCommand(request));
      const bodyBytes = answer.ContentLength ?? 0;
      const size = range === undefined ? answer.ContentLength : wholeSize(answer.ContentRange);
      const facts = factsOf(uri, { ETag: answer.ETag, Size: size, LastModified: answer.LastModified });
      assert(answer.Body !== undefined, "s3 answered a get without a body");
      return { kind: "found", body: bodyOf(uri, answer.Body as AsyncIterable<Uint8Array>, bodyBytes), ...facts };
    } catch (error) {
      const { name, status } = describeFailure(error);
      if (status === 412) return { kind: "changed" };
      if (status === 404 && name !== "NoSuchBucket") return { kind: "absent" };
      if (name === "InvalidObjectState") {
        throw new MoraineError("Rejected", "the object is archived: restore it, then load it again", { uri }, error);
      }
      // Without s3:ListBucket a key that is not there is answered with 403 as well.
      const action = status === 403 ? "s3:GetObject and s3:ListBucket" : "s3:GetObject";
      throw toMoraineError(error, { action, effect: "read", facts: { uri } });
    }
  }

  put(
    uri: ObjectUri,
    body: PutBody,
    options: { readonly ifAbsent?: boolean; readonly contentType?: string } = {},
  ): Promise<{ readonly kind: "stored"; readonly etag: string } | { readonly kind: "exists" }> {
    return putObject(this.#client, uri, body, options);
  }

  async remove(uris: readonly ObjectUri[]): Promise<void> {
    const byBucket = Map.groupBy(uris.map(splitUri), ({ bucket }) => bucket);
    const requests = [...byBucket].flatMap(([bucket, objects]) =>
      chunk(
        objects.map(({ key }) => key),
        DELETE_KEYS,
      ).map((keys) => ({ bucket, keys })),
    );
    await mapLimit(requests, DELETES_AT_ONCE, ({ bucket, keys }) => this.#removeKeys(bucket, keys));
  }

  async *list(prefix: string): AsyncIterable<{ readonly uri: ObjectUri } & ObjectFacts> {
    const { bucket, start } = splitPrefix(prefix);
    let token: string | undefined;
    do {
      // Keys may hold characters XML cannot: S3 sends them URL-encoded when asked, and the SDK leaves decoding to us.
      const request = { Bucket: bucket, Prefix: start, EncodingType: "url" as const, ContinuationToken: token };
      const page = await this.#client.send(new ListObjectsV2Command(request)).catch((error: unknown) => {
        throw toMoraineError(error, { action: "s3:ListBucket", effect: "read", facts: { prefix } });
      });
      for (const object of page.Contents ?? []) {
        const key = object.Key ?? "";
        const uri = objectUri(bucket, page.EncodingType === "url" ? decodeKey(key) : key);
        yield { uri, ...factsOf(uri, object) };
      }
      token = page.IsTruncated === true ? page.NextContinuationToken : undefined;
    } while (token !== undefined);
  }

  async #removeKeys(bucket: string, keys: readonly string[]): Promise<void> {
    const Delete = { Objects: keys.map((Key) => ({ Key })), Quiet: true };
    const action = "s3:DeleteObject";
    const { Errors = [] } = await this.#client
      .send(new DeleteObjectsCommand({ Bucket: bucket, Delete }))
      .catch((error: unknown) => {
        throw toMoraineError(error, { action, effect: "write", facts: { bucket, keys: keys.length } });
      });
    const [first] = Errors;
    if (first === undefined) return;
    const denied = Errors.find((entry) => entry.Code === "AccessDenied");
    const facts: ErrorContext = { bucket, failed: Errors.length, key: (denied ?? first).Key, error: first.Code };
    if (denied !== undefined) {
      throw new MoraineError("Invalid", `access was denied: allow ${action} to this role`, facts);
    }
    throw new MoraineError("Unavailable", "s3 did not delete every object: delete them again", facts);
  }
}

/** Streams a body, and holds S3 to the length it announced: a connection may end early without an error. */
async function* bodyOf(uri: ObjectUri, body: AsyncIterable<Uint8Array>, sizeBytes: number): AsyncIterable<Uint8Array> {
  let readBytes = 0;
  try {
    for await (const part of body) {
      readBytes += part.length;
      yield part;
    }
  } catch (error) {
    throw new MoraineError("Unavailable", "an object's body broke off", { uri, readBytes, sizeBytes }, error);
  }
  if (readBytes !== sizeBytes) {
    throw new MoraineError("Unavailable", "an object's body ended early", { uri, readBytes, sizeBytes });
  }
}

function factsOf(
  uri: ObjectUri,
  object: { ETag?: string | undefined; Size?: number | undefined; LastModified?: Date | undefined },
): ObjectFacts {
  const { ETag, Size, LastModified } = object;
  if (ETag === undefined || Size === undefined || LastModified === undefined) {
    throw new MoraineError("Unavailable", "s3 left out an object's etag, size or date", { uri });
  }
  return { etag: ETag.replaceAll('"', ""), sizeBytes: Size, lastModifiedMs: LastModified.getTime() };
}

/** Of `bytes 0-9/100`. */
function wholeSize(contentRange: string | undefined): number | undefined {
  const size = /\/(\d+)$/.exec(contentRange ?? "")?.[1];
  return size === undefined ? undefined : Number(size);
}

function decodeKey(encoded: string): string {
  return decodeURIComponent(encoded.replaceAll("+", " "));
}

/** As `splitUri`, but the key may be empty: all of a bucket. */
function splitPrefix(prefix: string): { bucket: string; start: string } {
  const match = /^s3:\/\/([^/]+)\/(.*)$/s.exec(prefix);
  assert(match?.[1] !== undefined && match[2] !== undefined, `a prefix is s3://bucket/start-of-key: ${prefix}`);
  return { bucket: match[1], start: match[2] };
}
