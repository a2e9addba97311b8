// The local S3 against the real SDK client: what Moraine's correctness rests on must be as on S3.

import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { request as httpRequest } from "node:http";
import { Readable } from "node:stream";
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListBucketsCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  ListPartsCommand,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import type { LocalStack } from "../../local/stack.ts";
import { EMPTY, failureOf, startStack } from "./support/clients.ts";

const Bucket = "things";
let stack: LocalStack;
let s3: S3Client;

beforeAll(async () => {
  const started = await startStack(EMPTY);
  stack = started;
  s3 = started.clients.s3;
  await s3.send(new CreateBucketCommand({ Bucket }));
});

const put = (Key: string, Body: string | Uint8Array, more: object = {}) =>
  s3.send(new PutObjectCommand({ Bucket, Key, Body, ...more }));
const read = async (Key: string, more: object = {}) => {
  const answer = await s3.send(new GetObjectCommand({ Bucket, Key, ...more }));
  return Buffer.from((await answer.Body?.transformToByteArray()) ?? []);
};
const md5 = (bytes: Uint8Array) => createHash("md5").update(bytes).digest("hex");

describe("objects", () => {
  test.each([
    "plain",
    "a b+é&<>\"'/💥?#%25.json",
    "line\nbreak\u0001",
    `${"long/".repeat(200)}end`,
    "../up",
    "a//b",
    "trailing/",
  ])("the key %j comes back as it was written", async (key) => {
    await put(key, key);
    expect((await read(key)).toString()).toBe(key);
    const listed = await s3.send(new ListObjectsV2Command({ Bucket, Prefix: key }));
    expect(listed.Contents?.map((each) => each.Key)).toContain(key);
    await s3.send(new DeleteObjectCommand({ Bucket, Key: key }));
    expect(await failureOf(read(key))).toBe("NoSuchKey 404");
  });

  test("metadata and content type are kept, the ETag is the MD5 of the body", async () => {
    const body = randomBytes(1000);
    await put("meta", body, { Metadata: { owner: "me" }, ContentType: "text/csv" });
    const head = await s3.send(new HeadObjectCommand({ Bucket, Key: "meta" }));
    expect(head).toMatchObject({
      ETag: `"${md5(body)}"`,
      ContentLength: 1000,
      ContentType: "text/csv",
      Metadata: { owner: "me" },
    });
  });

  test("a streamed body arrives without its chunk framing and with its trailing checksum verified", async () => {
    const chunks = Array.from({ length: 50 }, (_, index) => randomBytes(1 + index * 997));
    const whole = Buffer.concat(chunks);
    const body = Readable.from(chunks, { objectMode: false });
    await put("streamed", body as never, { ContentLength: whole.length });
    const head = await s3.send(new HeadObjectCommand({ Bucket, Key: "streamed", ChecksumMode: "ENABLED" }));
    expect(head.ChecksumCRC32).toMatch(/^[\w+/]{6}==$/);
    expect((await read("streamed")).equals(whole)).toBe(true);
  });

  test.each(["CRC32C", "SHA1", "SHA256", "CRC32"] as const)(
    "a %s checksum by the SDK is accepted",
    async (ChecksumAlgorithm) => {
      await put("summed", randomBytes(5000), { ChecksumAlgorithm });
      expect((await read("summed")).length).toBe(5000);
    },
  );

  test("a body that is not what its digest promises is refused and leaves nothing", async () => {
    expect(await failureOf(put("bad", "body", { ChecksumCRC32: "AAAAAA==" }))).toBe("BadDigest 400");
    expect(await failureOf(put("bad", "body", { ContentMD5: "AAAAAAAAAAAAAAAAAAAAAA==" }))).toBe("BadDigest 400");
    expect(await failureOf(read("bad"))).toBe("NoSuchKey 404");
  });

  test("ranges give the bytes asked for, and 416 beyond the end", async () => {
    await put("digits", "0123456789");
    expect((await read("digits", { Range: "bytes=2-4" })).toString()).toBe("234");
    expect((await read("digits", { Range: "bytes=7-" })).toString()).toBe("789");
    expect((await read("digits", { Range: "bytes=-3" })).toString()).toBe("789");
    expect((await read("digits", { Range: "bytes=8-100" })).toString()).toBe("89");
    expect(await failureOf(read("digits", { Range: "bytes=10-" }))).toBe("InvalidRange 416");
  });

  test("a read of an object that is being replaced gives the old bytes to the end", async () => {
    const old = randomBytes(4_000_000);
    await put("replaced", old);
    const answer = await s3.send(new GetObjectCommand({ Bucket, Key: "replaced" }));
    await put("replaced", "new");
    expect(md5((await answer.Body?.transformToByteArray()) ?? new Uint8Array())).toBe(md5(old));
    expect((await read("replaced")).toString()).toBe("new");
  });

  test("a copy has the bytes and metadata of its source", async () => {
    await put("copy source é", "bytes", { Metadata: { a: "1" } });
    const CopySource = `${Bucket}/${encodeURIComponent("copy source é")}`;
    await s3.send(new CopyObjectCommand({ Bucket, Key: "copied", CopySource }));
    await s3.send(new DeleteObjectCommand({ Bucket, Key: "copy source é" }));
    expect((await read("copied")).toString()).toBe("bytes");
    expect((await s3.send(new HeadObjectCommand({ Bucket, Key: "copied" }))).Metadata).toEqual({ a: "1" });
  });

  test("a batch delete removes what is there and succeeds for what is not", async () => {
    await put("gone/1", "x");
    const Objects = [{ Key: "gone/1" }, { Key: "gone/never" }];
    const answer = await s3.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects } }));
    expect(answer.Deleted?.map((each) => each.Key)).toEqual(["gone/1", "gone/never"]);
    expect(await failureOf(read("gone/1"))).toBe("NoSuchKey 404");
  });

  test("buckets are listed, and removed only when empty", async () => {
    await s3.send(new CreateBucketCommand({ Bucket: "other-bucket" }));
    await s3.send(new PutObjectCommand({ Bucket: "other-bucket", Key: "k", Body: "x" }));
    expect(await failureOf(s3.send(new DeleteBucketCommand({ Bucket: "other-bucket" })))).toBe("BucketNotEmpty 409");
    await s3.send(new DeleteObjectCommand({ Bucket: "other-bucket", Key: "k" }));
    await s3.send(new DeleteBucketCommand({ Bucket: "other-bucket" }));
    const { Buckets } = await s3.send(new ListBucketsCommand({}));
    expect(Buckets?.map((each) => each.Name)).toEqual([Bucket]);
    expect(await failureOf(s3.send(new ListObjectsV2Command({ Bucket: "other-bucket" })))).toBe("NoSuchBucket 404");
  });
});

describe("conditions", () => {
  test("of twenty racing creators of one key exactly one wins and its bytes stay", async () => {
    const outcomes = await Promise.all(
      Array.from({ length: 20 }, async (_, index) => {
        const failure = await failureOf(put("race", `writer ${index}`, { IfNoneMatch: "*" }));
        return { index, failure };
      }),
    );
    const winners = outcomes.filter(({ failure }) => failure === "no failure");
    expect(winners).toHaveLength(1);
    expect(new Set(outcomes.map(({ failure }) => failure))).toEqual(new Set(["no failure", "PreconditionFailed 412"]));
    expect((await read("race")).toString()).toBe(`writer ${winners[0]?.index}`);
  });

  test("of twenty racing replacers of one version exactly one wins", async () => {
    const { ETag } = await put("swap", "base");
    const failures = await Promise.all(
      Array.from({ length: 20 }, (_, index) => failureOf(put("swap", `next ${index}`, { IfMatch: ETag }))),
    );
    expect(failures.filter((failure) => failure === "no failure")).toHaveLength(1);
    expect(failures.filter((failure) => failure === "PreconditionFailed 412")).toHaveLength(19);
  });

  test("If-Match on a key that is not there is 404, on a read of another version 412, If-None-Match of this one 304", async () => {
    expect(await failureOf(put("nothing", "x", { IfMatch: '"0"' }))).toBe("NoSuchKey 404");
    const { ETag } = await put("versioned", "x");
    expect(await failureOf(read("versioned", { IfMatch: '"0"' }))).toBe("PreconditionFailed 412");
    expect((await read("versioned", { IfMatch: ETag })).toString()).toBe("x");
    expect(await failureOf(read("versioned", { IfNoneMatch: ETag }))).toContain("304");
  });
});

test("a conditional create during which the key is deleted is told of the conflict", async () => {
  await put("disturbed", "old");
  const request = httpRequest(`${stack.endpoint}/${Bucket}/disturbed`, {
    method: "PUT",
    headers: { "if-none-match": "*", expect: "100-continue", "content-length": "3" },
  });
  const status = new Promise((resolve, reject) => {
    request.on("response", (response) => resolve(response.resume().statusCode)).on("error", reject);
  });
  request.flushHeaders();
  // The server says so in the moment it begins with the request.
  await once(request, "continue");
  await s3.send(new DeleteObjectCommand({ Bucket, Key: "disturbed" }));
  request.end("new");
  expect(await status).toBe(409);
  expect(await failureOf(read("disturbed"))).toBe("NoSuchKey 404");
});

describe("multipart uploads", () => {
  const start = async (Key: string) => (await s3.send(new CreateMultipartUploadCommand({ Bucket, Key }))).UploadId;
  const part = async (Key: string, UploadId: string | undefined, PartNumber: number, Body: Uint8Array) => {
    const { ETag } = await s3.send(new UploadPartCommand({ Bucket, Key, UploadId, PartNumber, Body }));
    return { ETag, PartNumber };
  };
  const FIVE_MIB = 5 * 1024 * 1024;

  test("the parts become one object, readable across their borders, with the multipart ETag", async () => {
    const UploadId = await start("multi");
    const bodies = [randomBytes(FIVE_MIB), randomBytes(FIVE_MIB + 7), randomBytes(10)];
    const Parts = [];
    for (const [index, body] of bodies.entries()) Parts.push(await part("multi", UploadId, index + 1, body));
    const listed = await s3.send(new ListPartsCommand({ Bucket, Key: "multi", UploadId }));
    expect(listed.Parts?.map((each) => each.Size)).toEqual(bodies.map((body) => body.length));
    const done = await s3.send(
      new CompleteMultipartUploadCommand({ Bucket, Key: "multi", UploadId, MultipartUpload: { Parts } }),
    );
    const sums = Buffer.concat(bodies.map((body) => createHash("md5").update(body).digest()));
    expect(done.ETag).toBe(`"${md5(sums)}-3"`);
    const whole = Buffer.concat(bodies);
    expect(md5(await read("multi"))).toBe(md5(whole));
    const Range = `bytes=${FIVE_MIB - 3}-${FIVE_MIB + 3}`;
    expect(await read("multi", { Range })).toEqual(whole.subarray(FIVE_MIB - 3, FIVE_MIB + 4));
  });

  test("parts that are too small, unknown or out of order are refused", async () => {
    const UploadId = await start("refused");
    const one = await part("refused", UploadId, 1, randomBytes(10));
    const two = await part("refused", UploadId, 2, randomBytes(10));
    const complete = (Parts: object[]) =>
      failureOf(
        s3.send(new CompleteMultipartUploadCommand({ Bucket, Key: "refused", UploadId, MultipartUpload: { Parts } })),
      );
    expect(await complete([one, two])).toBe("EntityTooSmall 400");
    expect(await complete([two, one])).toBe("InvalidPartOrder 400");
    expect(await complete([{ PartNumber: 3, ETag: one.ETag }])).toBe("InvalidPart 400");
    await s3.send(new AbortMultipartUploadCommand({ Bucket, Key: "refused", UploadId }));
    expect(await complete([one])).toBe("NoSuchUpload 404");
    expect((await s3.send(new ListMultipartUploadsCommand({ Bucket }))).Uploads ?? []).toEqual([]);
  });

  test("completing with If-None-Match loses against an object that came meanwhile, and can be repeated", async () => {
    const UploadId = await start("contended");
    const Parts = [await part("contended", UploadId, 1, randomBytes(10))];
    await put("contended", "first");
    const command = { Bucket, Key: "contended", UploadId, MultipartUpload: { Parts }, IfNoneMatch: "*" };
    expect(await failureOf(s3.send(new CompleteMultipartUploadCommand(command)))).toBe("PreconditionFailed 412");
    await s3.send(new DeleteObjectCommand({ Bucket, Key: "contended" }));
    await s3.send(new CompleteMultipartUploadCommand(command));
    expect((await read("contended")).length).toBe(10);
  });
});

describe("listing", () => {
  // Few letters, so that prefixes are shared; characters whose UTF-16 and UTF-8 orders differ; cases that collation mixes up.
  const letter = fc.constantFrom("a", "B", "b", "/", "é", "\u{1f4a5}", "\uffee", "Z", "-");
  const key = fc.array(letter, { minLength: 1, maxLength: 6 }).map((letters) => letters.join(""));
  const byBytes = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b));

  function model(keys: readonly string[], prefix: string, delimiter: string, startAfter: string): string[] {
    const rolled = keys
      .filter((each) => each.startsWith(prefix) && byBytes(each, startAfter) > 0)
      .map((each) => {
        const at = delimiter === "" ? -1 : each.indexOf(delimiter, prefix.length);
        return at < 0 ? `key ${each}` : `prefix ${each.slice(0, at + delimiter.length)}`;
      });
    return [...new Set(rolled)].sort();
  }

  test("pages joined give what a sorted list would, for any keys, prefix, delimiter, start and page size", async () => {
    const bucket = "model";
    await s3.send(new CreateBucketCommand({ Bucket: bucket }));
    const present = new Set<string>();
    await fc.assert(
      fc.asyncProperty(
        fc.array(key, { maxLength: 8 }),
        fc.array(key, { maxLength: 3 }),
        fc.array(letter, { maxLength: 2 }).map((letters) => letters.join("")),
        fc.constantFrom("", "/", "b"),
        fc.oneof(fc.constant(""), key),
        fc.integer({ min: 1, max: 7 }),
        async (added, removed, prefix, delimiter, startAfter, maxKeys) => {
          await Promise.all(added.map((Key) => s3.send(new PutObjectCommand({ Bucket: bucket, Key, Body: "x" }))));
          for (const each of added) present.add(each);
          for (const Key of removed) await s3.send(new DeleteObjectCommand({ Bucket: bucket, Key }));
          for (const each of removed) present.delete(each);
          const seen: string[] = [];
          const order: string[] = [];
          let token: string | undefined;
          do {
            const page = await s3.send(
              new ListObjectsV2Command({
                Bucket: bucket,
                Prefix: prefix,
                MaxKeys: maxKeys,
                ...(delimiter === "" ? {} : { Delimiter: delimiter }),
                ...(startAfter === "" ? {} : { StartAfter: startAfter }),
                ...(token === undefined ? {} : { ContinuationToken: token }),
              }),
            );
            const keys = (page.Contents ?? []).map((each) => each.Key ?? "");
            const prefixes = (page.CommonPrefixes ?? []).map((each) => each.Prefix ?? "");
            expect(keys.length + prefixes.length).toBe(page.KeyCount);
            expect(page.KeyCount).toBeLessThanOrEqual(maxKeys);
            seen.push(...keys.map((each) => `key ${each}`), ...prefixes.map((each) => `prefix ${each}`));
            order.push(...keys);
            token = page.NextContinuationToken;
          } while (token !== undefined);
          expect([...seen].sort()).toEqual(model([...present], prefix, delimiter, startAfter));
          expect(order).toEqual([...order].sort(byBytes));
        },
      ),
      { numRuns: 60 },
    );
  });

  test("encoding-type=url encodes keys and prefixes", async () => {
    await put("enc/a b+é", "x");
    const answer = await s3.send(new ListObjectsV2Command({ Bucket, Prefix: "enc/", EncodingType: "url" }));
    expect(answer.Contents?.map((each) => each.Key)).toEqual(["enc/a%20b%2B%C3%A9"]);
  });
});

test("requests are counted by operation with their payload bytes", async () => {
  stack.requests.reset();
  await put("counted", "12345");
  await read("counted");
  expect(stack.requests.counts()).toEqual({
    "S3.GetObject": { count: 1, retries: 0, bytesIn: 0, bytesOut: 5 },
    "S3.PutObject": { count: 1, retries: 0, bytesIn: 5, bytesOut: 0 },
  });
});
