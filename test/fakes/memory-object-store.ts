// S3 as the port sees it, in memory: whole objects, strong consistency, 412 semantics, listing in UTF-8 byte order.
// Every effect is one synchronous step, so a simulator may put a delay or a fault before or after it. `calls` counts
// requests as S3 bills them: one per listed page of 1,000 keys, one per 1,000 deletes.

import { createHash } from "node:crypto";
import { MoraineError } from "../../lambdas/core/errors.ts";
import { type ObjectUri, splitUri } from "../../lambdas/core/ids.ts";
import type { ByteRange, Clock, GetOutcome, ObjectFacts, ObjectStore, PutBody } from "../../lambdas/core/ports.ts";

export interface StoredObject {
  readonly bytes: Uint8Array;
  readonly etag: string;
  readonly lastModifiedMs: number;
}

const PAGE_KEYS = 1000;
const CHUNK_BYTES = 64 * 1024;

export class MemoryObjectStore implements ObjectStore {
  readonly objects = new Map<ObjectUri, StoredObject>();
  readonly calls = new Map<string, number>();
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  async get(
    uri: ObjectUri,
    options: { readonly ifMatch?: string; readonly range?: ByteRange } = {},
  ): Promise<GetOutcome> {
    this.#count("get");
    splitUri(uri);
    const object = this.objects.get(uri);
    if (object === undefined) return { kind: "absent" };
    if (options.ifMatch !== undefined && options.ifMatch !== object.etag) return { kind: "changed" };
    const { start, end } = options.range ?? { start: 0, end: object.bytes.length };
    return { kind: "found", body: chunksOf(object.bytes.subarray(start, end)), ...factsOf(object) };
  }

  async put(
    uri: ObjectUri,
    body: PutBody,
    options: { readonly ifAbsent?: boolean; readonly contentType?: string; readonly startedAtMs?: number } = {},
  ): Promise<{ readonly kind: "stored"; readonly etag: string } | { readonly kind: "exists" }> {
    this.#count("put");
    splitUri(uri);
    const bytes = body instanceof Uint8Array ? Uint8Array.from(body) : await collect(uri, body);
    // S3 judges If-None-Match when the body has arrived, not when the request begins.
    if (options.ifAbsent === true && this.objects.has(uri)) return { kind: "exists" };
    const etag = createHash("md5").update(bytes).digest("hex");
    // Of a multipart upload LastModified is when it was started, however much was put and overwritten before it was completed.
    const modifiedMs = options.startedAtMs ?? this.#clock.now();
    this.objects.set(uri, { bytes, etag, lastModifiedMs: Math.floor(modifiedMs / 1000) * 1000 });
    return { kind: "stored", etag };
  }

  async remove(uris: readonly ObjectUri[]): Promise<void> {
    this.#count("remove", Math.ceil(uris.length / PAGE_KEYS));
    for (const uri of uris) this.objects.delete(uri);
  }

  /** Each page is read when it is reached: keys that come and go meanwhile are seen or not, as with S3. */
  async *list(prefix: string): AsyncIterable<{ readonly uri: ObjectUri } & ObjectFacts> {
    let after: Buffer | undefined;
    for (;;) {
      const page = this.#page(prefix, after);
      for (const { uri, object } of page) yield { uri, ...factsOf(object) };
      const last = page.at(-1);
      if (page.length < PAGE_KEYS || last === undefined) return;
      after = last.bytes;
    }
  }

  #page(prefix: string, after: Buffer | undefined) {
    this.#count("list");
    return this.objects
      .entries()
      .filter(([uri]) => uri.startsWith(prefix))
      .map(([uri, object]) => ({ uri, object, bytes: Buffer.from(uri) }))
      .filter(({ bytes }) => after === undefined || Buffer.compare(bytes, after) > 0)
      .toArray()
      .sort((a, b) => Buffer.compare(a.bytes, b.bytes))
      .slice(0, PAGE_KEYS);
  }

  #count(method: string, requests = 1): void {
    this.calls.set(method, (this.calls.get(method) ?? 0) + requests);
  }
}

function factsOf(object: StoredObject): ObjectFacts {
  return { etag: object.etag, sizeBytes: object.bytes.length, lastModifiedMs: object.lastModifiedMs };
}

async function* chunksOf(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  for (let start = 0; start < bytes.length; start += CHUNK_BYTES) yield bytes.slice(start, start + CHUNK_BYTES);
}

async function collect(uri: ObjectUri, body: Exclude<PutBody, Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body.open()) chunks.push(Uint8Array.from(chunk));
  const bytes = Uint8Array.from(Buffer.concat(chunks));
  if (bytes.length !== body.sizeBytes) {
    const facts = { uri, sizeBytes: body.sizeBytes, sentBytes: bytes.length };
    throw new MoraineError("Invalid", "a body is not as long as it was said to be", facts);
  }
  return bytes;
}
