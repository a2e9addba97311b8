// Processor time of one listed page of 1,000 keys: the SDK's own parser beside S3Lister, on a canned answer. `node bench/list-page.ts`.

import { Readable } from "node:stream";
import { ListObjectsV2Command, S3Client, type S3ClientConfig } from "@aws-sdk/client-s3";
import { S3Lister } from "../lambdas/adapters/s3-lister.ts";

const PAGES = 60;

const contents = Array.from({ length: 1000 }, (_, index) => {
  const key = `events/2024/01/02/03/part-${String(index).padStart(8, "0")}-3f0e9a3e.json.gz`;
  return `<Contents><Key>${key}</Key><LastModified>2024-01-02T03:04:05.000Z</LastModified><ETag>&quot;d41d8cd98f00b204e9800998ecf8427e&quot;</ETag><ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType><Size>1234</Size><StorageClass>STANDARD</StorageClass></Contents>`;
}).join("");
const xml = Buffer.from(
  `<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name><Prefix>events/</Prefix><KeyCount>1000</KeyCount><MaxKeys>1000</MaxKeys><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated><NextContinuationToken>x</NextContinuationToken>${contents}</ListBucketResult>`,
);

const answer = async () => {
  const headers = { "content-type": "application/xml" };
  return { response: { statusCode: 200, headers, body: Readable.from([xml]) } };
};
const client = new S3Client({
  region: "us-east-1",
  credentials: { accessKeyId: "local", secretAccessKey: "local" },
  requestHandler: { handle: answer } as unknown as NonNullable<S3ClientConfig["requestHandler"]>,
});
const lister = new S3Lister(client);

await time("SDK parser", async () => {
  const command = new ListObjectsV2Command({ Bucket: "b", Prefix: "events/", EncodingType: "url" });
  return (await client.send(command)).Contents?.length;
});
await time("S3Lister", async () => (await lister.page({ bucket: "b", prefix: "events/" })).objects.length);

async function time(name: string, page: () => Promise<number | undefined>): Promise<void> {
  for (let warm = 0; warm < 10; warm++) await page();
  const before = process.cpuUsage();
  for (let at = 0; at < PAGES; at++) if ((await page()) !== 1000) throw new Error("a page is not whole");
  const { user, system } = process.cpuUsage(before);
  process.stdout.write(`${name}: ${((user + system) / 1000 / PAGES).toFixed(1)} ms of processor per page\n`);
}
