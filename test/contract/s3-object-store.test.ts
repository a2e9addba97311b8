// The S3 adapter over the local S3: the object store contract, then what only a network can do to it.

import { S3Client } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { S3ObjectStore } from "../../lambdas/adapters/s3-object-store.ts";
import type { ObjectUri } from "../../lambdas/core/ids.ts";
import { collect, kindOf } from "./collect.ts";
import { type LossyProxy, startLossyProxy } from "./lossy-proxy.ts";
import { objectStoreContract } from "./object-store.contract.ts";
import { BUCKET, clientOptions, type Service, startS3 } from "./services.ts";

function clientOf(endpoint: string, maxAttempts?: number): S3Client {
  return new S3Client({ ...clientOptions(endpoint, maxAttempts), forcePathStyle: true });
}

objectStoreContract("s3", async () => {
  const s3 = await startS3();
  const client = clientOf(s3.url);
  const close = async () => {
    client.destroy();
    await s3.close();
  };
  return { store: new S3ObjectStore(client), bucket: BUCKET, close };
});

describe("the s3 adapter on a bad network", () => {
  let s3: Service;
  let proxy: LossyProxy;
  let store: S3ObjectStore;
  let once: S3ObjectStore;
  let keys = 0;
  const fresh = (bucket = BUCKET) => `s3://${bucket}/key-${keys++}` as ObjectUri;
  const text = (words: string) => new TextEncoder().encode(words);

  beforeAll(async () => {
    s3 = await startS3();
    proxy = await startLossyProxy(s3.url);
    store = new S3ObjectStore(clientOf(proxy.url));
    once = new S3ObjectStore(clientOf(proxy.url, 1));
  });
  afterAll(async () => {
    await proxy?.close();
    await s3?.close();
  });

  test("a body that breaks off is an error, never a shorter file", async () => {
    const uri = fresh();
    await store.put(uri, new Uint8Array(300_000));
    proxy.lose(["cut-body"], (request) => request.method === "GET");
    const got = await store.get(uri);
    if (got.kind !== "found") throw new Error(got.kind);
    expect(await kindOf(collect(got.body))).toBe("Unavailable");
  });

  test("a put whose answer is lost is sent again and stored", async () => {
    const uri = fresh();
    proxy.lose(["lose-answer"], (request) => request.method === "PUT");
    expect(await store.put(uri, text("kept"))).toMatchObject({ kind: "stored" });
  });

  test("a creation whose answer is lost is never taken for somebody else's object", async () => {
    const uri = fresh();
    proxy.lose(["lose-answer"], (request) => request.method === "PUT");
    expect(await kindOf(store.put(uri, text("mine"), { ifAbsent: true }))).toBe("UnknownOutcome");
    expect(await store.get(uri)).toMatchObject({ kind: "found", sizeBytes: 4 });
  });

  test.each(["lose-answer", "answer-500"] as const)("a put that ends in %s has an unknown outcome", async (fault) => {
    proxy.lose([fault], (request) => request.method === "PUT");
    expect(await kindOf(once.put(fresh(), text("x")))).toBe("UnknownOutcome");
  });

  test("a read that fails every time is unavailable", async () => {
    proxy.lose(["lose-request", "answer-500", "lose-answer"]);
    expect(await kindOf(store.get(fresh()))).toBe("Unavailable");
  });

  test("an upload is completed with the checksum of every part, without which S3 refuses it", async () => {
    proxy.seen.length = 0;
    await store.put(fresh(), { sizeBytes: 70_000_000, open: () => zeros(70_000_000) });
    const parts = proxy.seen.filter(({ path }) => path.includes("partNumber="));
    const completion = proxy.seen.find(({ method, path }) => method === "POST" && path.includes("uploadId="));
    const named = [...String(completion?.body).matchAll(/<ChecksumCRC32>(.+?)<\/ChecksumCRC32>/g)].map(
      ([, sum]) => sum,
    );
    expect(parts).toHaveLength(5);
    expect(named.sort()).toEqual(parts.map(({ headers }) => headers["x-amz-checksum-crc32"]).sort());
  });

  test("a lost part fails the put as unavailable, and the upload is aborted", async () => {
    const uri = fresh();
    proxy.seen.length = 0;
    proxy.lose(["lose-request"], (request) => /partNumber=2/.test(request.path));
    const body = { sizeBytes: 70_000_000, open: () => zeros(70_000_000) };
    expect(await kindOf(once.put(uri, body))).toBe("Unavailable");
    expect(await store.get(uri)).toEqual({ kind: "absent" });
    expect(proxy.seen.filter(({ method, path }) => method === "DELETE" && path.includes("uploadId="))).toHaveLength(1);
  });

  test("an upload whose completion got no answer is not aborted: it may be there", async () => {
    const uri = fresh();
    proxy.seen.length = 0;
    proxy.lose(["lose-answer"], ({ method, path }) => method === "POST" && path.includes("uploadId="));
    const body = { sizeBytes: 70_000_000, open: () => zeros(70_000_000) };
    expect(await kindOf(once.put(uri, body))).toBe("UnknownOutcome");
    expect(proxy.seen.filter(({ method }) => method === "DELETE")).toHaveLength(0);
    expect(await store.get(uri)).toMatchObject({ kind: "found", sizeBytes: 70_000_000 });
  });

  test("a bucket that does not exist is a mistake to correct, not a missing object", async () => {
    const uri = fresh("no-such-bucket");
    const calls = [store.get(uri), store.put(uri, text("x")), store.remove([uri]), collect(store.list(uri))];
    expect(await Promise.all(calls.map(kindOf))).toEqual(["Invalid", "Invalid", "Invalid", "Invalid"]);
  });

  test("a server that is not there has applied nothing", async () => {
    const nowhere = new S3ObjectStore(clientOf("http://127.0.0.1:9", 1));
    expect(await kindOf(nowhere.put(fresh(), text("x")))).toBe("Unavailable");
  });
});

async function* zeros(sizeBytes: number): AsyncIterable<Uint8Array> {
  const piece = new Uint8Array(1_000_000);
  for (let sent = 0; sent < sizeBytes; sent += piece.length) yield piece.subarray(0, sizeBytes - sent);
}
