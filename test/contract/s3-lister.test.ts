// The lister contract against S3Lister over the local S3; its reading of XML beside the SDK's; and what a network and S3 do to it.

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { ListObjectsV2Command } from "@aws-sdk/client-s3";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ListXmlError, readListXml } from "../../lambdas/adapters/list-xml.ts";
import { S3Lister } from "../../lambdas/adapters/s3-lister.ts";
import { S3ObjectStore } from "../../lambdas/adapters/s3-object-store.ts";
import { createClients } from "../../lambdas/adapters/sdk-clients.ts";
import { mapLimit } from "../../lambdas/core/concurrency.ts";
import type { ObjectUri } from "../../lambdas/core/ids.ts";
import type { MayAskOn } from "../../lambdas/core/ports.ts";
import { renderXml } from "../../local/servers/s3-xml.ts";
import { kindOf } from "./collect.ts";
import { listerContract, ODD_KEYS } from "./lister.contract.ts";
import { type LossyProxy, startLossyProxy } from "./lossy-proxy.ts";
import { BUCKET, clientOptions, type Service, startS3 } from "./services.ts";

function clientsOf(endpoint: string) {
  const { region, credentials } = clientOptions(endpoint);
  return createClients({ pathStyle: true, place: { endpoint, region, credentials } });
}

async function fill(store: S3ObjectStore, keys: readonly string[]): Promise<void> {
  await mapLimit(keys, 32, (key) => store.put(`s3://${BUCKET}/${key}` as ObjectUri, Buffer.from(key)));
}

listerContract("s3", async (keys) => {
  const s3 = await startS3();
  const { s3: client, listing } = clientsOf(s3.url);
  await fill(new S3ObjectStore(client), keys);
  const close = async () => {
    client.destroy();
    listing.destroy();
    await s3.close();
  };
  return { lister: new S3Lister(listing), bucket: BUCKET, close };
});

describe("the s3 lister on a bad network", () => {
  let s3: Service;
  let proxy: LossyProxy;
  let lister: S3Lister;
  const listed = () => lister.page({ bucket: BUCKET, prefix: "" });

  beforeAll(async () => {
    s3 = await startS3();
    proxy = await startLossyProxy(s3.url);
    const { s3: client, listing } = clientsOf(s3.url);
    await fill(new S3ObjectStore(client), ODD_KEYS);
    listing.destroy();
    lister = new S3Lister(clientsOf(proxy.url).listing);
  });
  afterAll(async () => {
    await proxy?.close();
    await s3?.close();
  });

  test.each(["lose-request", "lose-answer", "answer-500", "cut-body"] as const)(
    "%s makes a page unavailable, and it is asked for once",
    async (fault) => {
      proxy.lose([fault]);
      proxy.seen.length = 0;
      expect(await kindOf(listed())).toBe("Unavailable");
      expect(proxy.seen).toHaveLength(1);
      expect((await listed()).objects).toHaveLength(ODD_KEYS.length);
    },
  );

  test.each([
    [503, "SlowDown", { kind: "Unavailable", context: { throttled: true } }],
    [503, "ServiceUnavailable", { kind: "Unavailable", context: { throttled: true } }],
    [429, "TooManyRequests", { kind: "Unavailable", context: { throttled: true } }],
    [500, "InternalError", { kind: "Unavailable" }],
    [403, "AccessDenied", { kind: "Invalid" }],
    [404, "NoSuchBucket", { kind: "Invalid" }],
  ])("%i %s is %j", async (status, code, expected) => {
    const failing = await answering(status, renderXml("Error", { Code: code, Message: "said so" }));
    const error: unknown = await failing.page().catch((reason: unknown) => reason);
    await failing.close();
    expect(error).toMatchObject(expected);
    expect((error as { context: object }).context).toHaveProperty("bucket", BUCKET);
    expect("throttled" in (error as { context: object }).context).toBe("context" in expected);
  });

  test.each([
    ["an error in place of a listing", renderXml("Error", { Code: "InternalError", Message: "said so" })],
    ["nothing", ""],
    ["half a listing", "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>a</Key>"],
  ])("200 with %s is unavailable, never an empty page", async (_, body) => {
    const failing = await answering(200, body);
    expect(await kindOf(failing.page())).toBe("Unavailable");
    await failing.close();
  });
});

async function answering(status: number, body: string) {
  const server = createServer((_, response) => void response.writeHead(status).end(body));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { listing } = clientsOf(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  const close = async () => {
    listing.destroy();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  const page = (mayAskOn?: MayAskOn) => new S3Lister(listing).page({ bucket: BUCKET, prefix: "p" }, mayAskOn);
  return { page, close };
}

describe("reading a listing's XML", () => {
  test("gives what the SDK gives", async () => {
    const s3 = await startS3();
    const { s3: client, listing } = clientsOf(s3.url);
    await fill(new S3ObjectStore(client), ODD_KEYS);
    for (const Delimiter of [undefined, "/"]) {
      const request = { Bucket: BUCKET, Prefix: "odd/", EncodingType: "url" as const, Delimiter };
      const sdk = await client.send(new ListObjectsV2Command(request));
      const page = await new S3Lister(listing).page({
        bucket: BUCKET,
        prefix: "odd/",
        folded: Delimiter !== undefined,
      });
      const decode = (text = "") => decodeURIComponent(text.replaceAll("+", " "));
      expect(page).toEqual({
        objects: (sdk.Contents ?? []).map(({ Key, ETag, Size, LastModified }) => ({
          key: decode(Key),
          etag: ETag?.replaceAll('"', ""),
          sizeBytes: Size,
          lastModifiedMs: LastModified?.getTime(),
        })),
        folders: (sdk.CommonPrefixes ?? []).map(({ Prefix }) => decode(Prefix)),
        truncated: sdk.IsTruncated,
      });
    }
    client.destroy();
    listing.destroy();
    await s3.close();
  });

  const AWS = `<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name><Prefix></Prefix><Delimiter>%2F</Delimiter><KeyCount>3</KeyCount>
  <Contents><Key>a+b%2Bc%25/%F0%9F%98%80</Key><LastModified>2024-01-02T03:04:05.000Z</LastModified><ETag>&quot;ab-2&quot;</ETag>
    <ChecksumAlgorithm>CRC32</ChecksumAlgorithm><ChecksumType>COMPOSITE</ChecksumType><Size>5368709120</Size>
    <Owner><ID>x</ID><DisplayName/></Owner><StorageClass>GLACIER</StorageClass>
    <RestoreStatus><IsRestoreInProgress>false</IsRestoreInProgress></RestoreStatus></Contents>
  <CommonPrefixes><Prefix>c%26/</Prefix></CommonPrefixes><CommonPrefixes><Prefix>d/</Prefix></CommonPrefixes>
  <IsTruncated>true</IsTruncated><EncodingType>url</EncodingType></ListBucketResult>
`;

  test("steps over what was not asked for, and decodes what was", () => {
    expect(readListXml(Buffer.from(AWS))).toEqual({
      objects: [
        { key: "a b+c%/😀", etag: "ab-2", sizeBytes: 5368709120, lastModifiedMs: Date.UTC(2024, 0, 2, 3, 4, 5) },
      ],
      folders: ["c&/", "d/"],
      truncated: true,
    });
  });

  test("without url encoding, keys are as XML has them", () => {
    const plain = AWS.replace("<EncodingType>url</EncodingType>", "").replace("a+b%2Bc", "é+%2B&amp;&#x1F600;&#65;");
    expect(readListXml(Buffer.from(plain)).objects[0]?.key).toBe("é+%2B&😀A%25/%F0%9F%98%80");
  });

  test("cut anywhere, it is an error and not a shorter page", () => {
    const whole = Buffer.from(AWS.trimEnd());
    for (let length = 0; length < whole.length; length++) {
      expect(() => readListXml(whole.subarray(0, length))).toThrow(ListXmlError);
    }
  });

  test.each([
    ["a key without its etag", AWS.replace(/<ETag>.*<\/ETag>/, "")],
    ["a size that is no number", AWS.replace("5368709120", "5e9")],
    ["a size too large", AWS.replace("5368709120", "53687091205368709120")],
    ["a date that is none", AWS.replace("2024-01-02", "soon")],
    ["an unknown entity", AWS.replace("&quot;ab", "&nbsp;ab")],
    ["broken url encoding", AWS.replace("%F0", "%FF")],
    ["no IsTruncated", AWS.replace(/<IsTruncated>.*<\/IsTruncated>/, "")],
    ["an unknown encoding", AWS.replace(">url<", ">base64<")],
    ["another document", AWS.replaceAll("ListBucketResult", "ListVersionsResult")],
    ["something behind it", `${AWS}<more/>`],
    ["text between tags", AWS.replace("<Contents>", "<Contents>text")],
    ["tags that cross", AWS.replace("</Owner><StorageClass>", "<StorageClass></Owner>")],
  ])("%s is refused", (_, xml) => {
    expect(() => readListXml(Buffer.from(xml))).toThrow(ListXmlError);
  });

  test("whatever the key, it comes back", () => {
    const key = fc.string({ unit: "binary", minLength: 1, maxLength: 40 }).filter((text) => text.isWellFormed());
    const encodings = [
      (text: string) => encodeURIComponent(text),
      (text: string) => encodeURIComponent(text).replaceAll("%20", "+").replaceAll("%2F", "/"),
    ];
    fc.assert(
      fc.property(key, fc.constantFrom(...encodings), (text, encode) => {
        const xml = AWS.replace(/<Key>.*<\/Key>/, () => `<Key>${encode(text)}</Key>`);
        return readListXml(Buffer.from(xml)).objects[0]?.key === text;
      }),
    );
  });
});

describe("pages that hold nothing, and none of them the last", () => {
  const nothing = renderXml("ListBucketResult", { Name: "b", IsTruncated: true, NextContinuationToken: "more" });

  test("are asked for no longer than whoever waits allows", async () => {
    const s3 = await answering(200, nothing);
    let asked = 0;
    const error: unknown = await s3.page(() => ++asked < 3).catch((reason: unknown) => reason);
    await s3.close();
    expect(error).toMatchObject({ kind: "Unavailable", context: { bucket: BUCKET, prefix: "p", pages: 3 } });
    expect(asked).toBe(3);
  });

  test("are given up in the end, with what helps", async () => {
    const s3 = await answering(200, nothing);
    const error: unknown = await s3.page().catch((reason: unknown) => reason);
    await s3.close();
    expect(error).toMatchObject({ kind: "Invalid", context: { pages: 1000 } });
    expect((error as Error).message).toContain("lifecycle rule");
  });
});

test("a walk over empty pages that S3 throttles goes on where it was broken off", async () => {
  const head = { Name: "b", Prefix: "", KeyCount: 0, MaxKeys: 1000 };
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const token = new URL(request.url ?? "", "http://s3").searchParams.get("continuation-token") ?? "";
    asked.push(token);
    if (asked.length === 3) response.writeHead(503).end(renderXml("Error", { Code: "SlowDown", Message: "slower" }));
    else if (token === "xxx") response.end(renderXml("ListBucketResult", { ...head, IsTruncated: false }));
    else
      response.end(renderXml("ListBucketResult", { ...head, IsTruncated: true, NextContinuationToken: `${token}x` }));
  }).listen(0, "127.0.0.1");
  try {
    await new Promise((resolve) => server.once("listening", resolve));
    const { port } = server.address() as AddressInfo;
    const lister = new S3Lister(clientsOf(`http://127.0.0.1:${port}`).listing);
    await expect(lister.page({ bucket: "b", prefix: "" })).rejects.toMatchObject({ context: { throttled: true } });
    expect(await lister.page({ bucket: "b", prefix: "" })).toMatchObject({ objects: [], truncated: false });
    await lister.page({ bucket: "b", prefix: "" });
    expect(asked).toEqual(["", "x", "xx", "xx", "xxx", "", "x", "xx", "xxx"]);
  } finally {
    server.close();
  }
});

test("a page that holds nothing and is not the last, as S3 gives over delete markers, is read on", async () => {
  const key = "behind-the-markers";
  const head = { Name: "b", Prefix: "", KeyCount: 0, MaxKeys: 1000 };
  const object = { Key: key, LastModified: "2026-01-01T00:00:00.000Z", ETag: '"e"', Size: 1, StorageClass: "STANDARD" };
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const token = new URL(request.url ?? "", "http://s3").searchParams.get("continuation-token");
    asked.push(token ?? "");
    const more = { ...head, IsTruncated: true, NextContinuationToken: `${token ?? ""}&+` };
    response.end(
      renderXml("ListBucketResult", token === "&+&+" ? { ...head, IsTruncated: false, Contents: [object] } : more),
    );
  }).listen(0, "127.0.0.1");
  try {
    await new Promise((resolve) => server.once("listening", resolve));
    const { port } = server.address() as AddressInfo;
    const page = await new S3Lister(clientsOf(`http://127.0.0.1:${port}`).listing).page({ bucket: "b", prefix: "" });
    expect(page).toMatchObject({ objects: [{ key }], truncated: false });
    expect(asked).toEqual(["", "&+", "&+&+"]);
  } finally {
    server.close();
  }
});
