// The sample `npm start` uploads: what lands in real buckets, in small. CSV plain and gzipped, a header in another order, nested
// NDJSON with a column that appears half-way, CloudTrail documents, Parquet, an empty file - and files that are broken, each in its own way.
// Seeded: every run makes the same bytes, so that a second run over the same data directory has nothing to add.

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { DuckDBInstance } from "@duckdb/node-api";

export interface SampleObject {
  readonly key: string;
  readonly bytes: Uint8Array;
}

const START_MS = Date.UTC(2026, 10, 1);

export async function makeSample(): Promise<SampleObject[]> {
  const text = (key: string, content: string): SampleObject => ({ key, bytes: Buffer.from(content) });
  const gzipped = (key: string, content: string): SampleObject => ({ key, bytes: gzipSync(content) });
  return [
    ...range(24).map((n) =>
      n % 3 === 0 ? gzipped(`orders/2026/11/${n}.csv.gz`, orders(n)) : text(`orders/2026/11/${n}.csv`, orders(n)),
    ),
    text("orders/2026/11/other order of columns é+.csv", ordersReversed(99)),
    text("orders/2026/11/empty.csv", ""),
    text("orders/broken/too many fields.csv", `${orders(50)}1,2,3,4,5,6,7,8,9\n`),
    text("orders/broken/a date that is none.csv", `${orders(51)}9051,51,1,1.00,yesterday,new\n`),
    { key: "orders/broken/truncated.csv.gz", bytes: gzipSync(orders(52)).subarray(0, 300) },
    ...range(12).map((n) => text(`clicks/${n}.ndjson`, clicks(n))),
    text("clicks/broken/cut off.ndjson", `${clicks(70)}{"user_id": 1, "page": "/un`),
    ...range(4).map((n) => gzipped(`cloudtrail/AWSLogs/2026/11/0${n + 1}/trail-${n}.json.gz`, cloudTrail(n))),
    text("cloudtrail/broken/not json.json", "<Error><Code>SlowDown</Code></Error>"),
    ...(await readings()),
  ];
}

function orders(file: number): string {
  return `order_id,customer_id,quantity,amount,ordered_at,status\n${orderRows(file)
    .map((row) => `${row.join(",")}\n`)
    .join("")}`;
}

function ordersReversed(file: number): string {
  return `status,ordered_at,amount,quantity,customer_id,order_id\n${orderRows(file)
    .map((row) => `${row.toReversed().join(",")}\n`)
    .join("")}`;
}

function orderRows(file: number): string[][] {
  const next = lcg(file + 1);
  return range(150).map((n) => {
    const at = new Date(START_MS + next(20 * 86_400) * 1000).toISOString();
    const amount = (next(50_000) / 100).toFixed(2);
    return [
      `${file * 1000 + n}`,
      `${next(400)}`,
      `${1 + next(9)}`,
      amount,
      at,
      ["new", "paid", "sent", ""][next(4)] ?? "",
    ];
  });
}

function clicks(file: number): string {
  const next = lcg(file + 1000);
  return range(300)
    .map((n) => {
      const click = {
        user_id: next(1000),
        at: new Date(START_MS + (file * 300 + n) * 7_000).toISOString(),
        page: `/p/${next(50)}`,
        device: { os: ["linux", "ios", "android"][next(3)], version: `${next(20)}.${next(10)}` },
        tags: range(next(3)).map(() => `t${next(6)}`),
        ...(file >= 6 ? { campaign: `c${next(5)}` } : {}),
      };
      return `${JSON.stringify(click)}\n`;
    })
    .join("");
}

function cloudTrail(file: number): string {
  const next = lcg(file + 2000);
  const names = ["ListBuckets", "GetObject", "AssumeRole", "RunInstances"];
  return JSON.stringify({
    Records: range(60).map((n) => ({
      eventVersion: "1.08",
      eventTime: new Date(START_MS + (file * 86_400 + n * 60) * 1000).toISOString().replace(".000", ""),
      eventName: names[next(4)],
      awsRegion: "us-east-1",
      sourceIPAddress: `198.51.100.${next(250)}`,
      userIdentity: { type: "IAMUser", userName: `user-${next(9)}` },
      requestParameters: next(3) === 0 ? null : { [`param${next(4)}`]: `value-${next(100)}` },
      readOnly: next(2) === 0,
    })),
  });
}

async function readings(): Promise<SampleObject[]> {
  const folder = mkdtempSync(join(tmpdir(), "moraine-sample-"));
  const instance = await DuckDBInstance.create(":memory:", { threads: "1" });
  const connection = await instance.connect();
  try {
    const objects: SampleObject[] = [];
    for (const n of range(3)) {
      const file = join(folder, `${n}.parquet`);
      await connection.run(
        `COPY (SELECT ${n} * 1000 + i AS sensor, TIMESTAMPTZ '2026-11-01 00:00:00+00' + INTERVAL (i) MINUTE AS at, (i * 7 % 100)::DECIMAL(9,2) / 4 AS value
         FROM range(200) t(i)) TO '${file}' (FORMAT parquet)`,
      );
      objects.push({ key: `readings/line-${n}.parquet`, bytes: readFileSync(file) });
    }
    objects.push({
      key: "readings/broken/only the head.parquet",
      bytes: objects[0]?.bytes.subarray(0, 200) ?? new Uint8Array(),
    });
    return objects;
  } finally {
    connection.closeSync();
    instance.closeSync();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Small deterministic numbers: a linear congruential generator (Numerical Recipes), next(max) in [0, max). */
function lcg(seed: number): (max: number) => number {
  let state = seed >>> 0;
  return (max) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * max);
  };
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, n) => n);
}
