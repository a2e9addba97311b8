// Claim: a whole run - plan, listing, every file asked for, report - is bounded by S3 and not by the ledger check, the first time and ever
// after. One process lists as one function does, over HTTP (bench/list-server.ts, a year of hourly folders); the ledger answers after a
// latency of its own, 100 keys a request.
// node bench/runs.ts [--keys 10000,100000,1000000] [--latency 60] [--ledger-latency 5] [--concurrency 64]

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { gzipSync } from "node:zlib";
import { S3Lister } from "../lambdas/adapters/s3-lister.ts";
import { createClients } from "../lambdas/adapters/sdk-clients.ts";
import { SystemClock, SystemRandom, SystemTimer } from "../lambdas/adapters/system.ts";
import { mapLimit } from "../lambdas/core/concurrency.ts";
import { type DiscoveryPorts, listShard, openShard, type ShardTask } from "../lambdas/core/discovery/list-shard.ts";
import type { RunReport } from "../lambdas/core/discovery/model.ts";
import { beginRun, finishRun, gatherRound, planRound, type RunContext } from "../lambdas/core/discovery/run.ts";
import { objectUri } from "../lambdas/core/ids.ts";
import type { LedgerItem, LedgerKey, ObjectStore } from "../lambdas/core/ports.ts";
import { decidedRevision, type FileRecord, fileItem } from "../lambdas/core/records.ts";
import { MemoryEventSink } from "../test/fakes/memory-event-sink.ts";
import { MemoryLedger } from "../test/fakes/memory-ledger.ts";
import { MemoryObjectStore } from "../test/fakes/memory-object-store.ts";
import { ingestionOf, SETTINGS } from "../test/unit/core/harness.ts";
import { keysOf } from "./layouts.ts";

const { values } = parseArgs({
  options: {
    keys: { type: "string", default: "10000,100000,1000000" },
    latency: { type: "string", default: "60" },
    "ledger-latency": { type: "string", default: "5" },
    concurrency: { type: "string", default: "64" },
  },
});
const LAYOUT = "foldered";
const BUCKET = "bench";
const LEDGER_LATENCY_MS = Number(values["ledger-latency"]);
const READ_MANY_KEYS = 100;
const INVENTORY = "s3://warehouse/inventories/bench/all";
/** What the server says of each object. */
const VERSION = {
  etag: "d41d8cd98f00b204e9800998ecf8427e",
  sizeBytes: 1024,
  timeMs: Date.parse("2026-01-01T00:00:00Z"),
};

const timer = new SystemTimer();
const clock = new SystemClock();

/** Answers after a latency; of files it says, when told to, that all of them were loaded, without holding a million records. */
class SlowLedger extends MemoryLedger {
  filesAreLoaded = false;

  override async readMany(keys: readonly LedgerKey[]): Promise<readonly (LedgerItem | undefined)[]> {
    const requests = Math.ceil(keys.length / READ_MANY_KEYS);
    await Promise.all(Array.from({ length: requests }, () => timer.sleep(LEDGER_LATENCY_MS)));
    const items = await super.readMany(keys);
    return this.filesAreLoaded ? items.map((item, n) => item ?? loaded(keys[n] as LedgerKey)) : items;
  }
}

function loaded({ partition }: LedgerKey): LedgerItem {
  const key = partition.slice(`F#orders#${BUCKET}/`.length);
  const facts = { ingestion: "orders", bucket: BUCKET, key, version: VERSION, table: "db.orders", batch: "b" };
  const state = { status: "SUCCESS", batchFiles: 1, attempts: 1, deaths: 0, discoveredAtMs: 0, startedAtMs: 0 };
  const outcome = { version: VERSION, batch: "b", records: 1, bytesRead: 1, seq: 1, processedAtMs: 0 };
  const record = { ...facts, ...state, loaded: outcome } as unknown as FileRecord;
  return fileItem(record, decidedRevision(record.batch));
}

async function startServer(keys: number): Promise<{ readonly endpoint: string; readonly process: ChildProcess }> {
  const script = join(import.meta.dirname, "list-server.ts");
  const options = ["--layout", LAYOUT, "--keys", String(keys), "--latency", values.latency];
  const child = spawn(process.execPath, [script, ...options], { stdio: ["ignore", "pipe", "inherit"] });
  const [line] = (await once(createInterface(child.stdout), "line")) as [string];
  return { endpoint: (JSON.parse(line) as { endpoint: string }).endpoint, process: child };
}

interface Measured {
  readonly report: RunReport;
  readonly planSeconds: number;
}

class Bench {
  readonly ledger = new SlowLedger();
  readonly store = new MemoryObjectStore(clock);
  readonly #ports: DiscoveryPorts;

  constructor(endpoint: string) {
    const credentials = { accessKeyId: "local", secretAccessKey: "local" };
    const clients = createClients({ pathStyle: true, place: { endpoint, region: "us-east-1", credentials } });
    const { ledger, store } = this;
    const lister = new S3Lister(clients.listing);
    this.#ports = { clock, timer, random: new SystemRandom(), ledger, store, lister, events: new MemoryEventSink() };
  }

  /** All of one run, its shards by the functions that the state machine would start: here they share one process. */
  async run(name: string, input: object): Promise<Measured> {
    const { source, discovery, ...rest } = ingestionOf("orders");
    const inventory = { strategy: "inventory", location: INVENTORY, ageMaxMs: 3_600_000 } as const;
    const schedules = [{ listing: inventory, everySeconds: 86_400 }];
    const context: RunContext = {
      ports: { ...this.#ports, events: new MemoryEventSink() },
      settings: SETTINGS,
      config: {
        landing: [{ bucket: BUCKET, existing: false }],
        warehouse: { bucket: "warehouse", prefix: "tables", existing: false },
        commit: { intervalSeconds: 30 },
        ingestions: [
          { ...rest, source: { ...source, bucket: BUCKET, prefix: "" }, discovery: { ...discovery, schedules } },
        ],
      },
    };
    const asked = { ingestion: "orders", concurrency: Number(values.concurrency), ...input };
    const begun = await beginRun(context, asked, { name, arn: name });
    if (begun.kind !== "begun") throw new Error(`the run did not begin: ${begun.kind}`);
    const { run } = begun;
    const bounds = { deadlineMs: Number.POSITIVE_INFINITY, objectsMax: Number.POSITIVE_INFINITY };
    const from = performance.now();
    let round = await planRound(context, run);
    const planSeconds = (performance.now() - from) / 1000;
    for (;;) {
      await mapLimit(await tasksOf(this.store, round), begun.functionsMax, async (task) => {
        await listShard(await openShard(context, run, bounds), task);
      });
      const gathered = await gatherRound(context, run, round);
      if (gathered.kind === "done") return { report: await finishRun(context, run), planSeconds };
      round = gathered.round;
    }
  }

  async writeInventory(keys: number): Promise<void> {
    const rows = [...keysOf(LAYOUT, keys)].map(
      (key) => `"${BUCKET}","${encodeURIComponent(key)}","1024","2026-01-01T00:00:00.000Z","${VERSION.etag}"\n`,
    );
    const folder = `${INVENTORY}/2026-03-01T01-00Z`;
    const file = "inventories/bench/all/data/part.csv.gz";
    const bytes = gzipSync(rows.join(""));
    const manifest = {
      sourceBucket: BUCKET,
      destinationBucket: "arn:aws:s3:::warehouse",
      version: "2016-11-30",
      creationTimestamp: String(clock.now()),
      fileFormat: "CSV",
      fileSchema: "Bucket, Key, Size, LastModifiedDate, ETag",
      files: [{ key: file, size: bytes.length }],
    };
    await this.store.put(objectUri("warehouse", file), bytes);
    const at = `${folder.slice("s3://warehouse/".length)}/manifest.json`;
    await this.store.put(objectUri("warehouse", at), new Uint8Array(Buffer.from(JSON.stringify(manifest))));
  }
}

async function tasksOf(
  store: ObjectStore,
  round: { readonly bucket: string; readonly key: string },
): Promise<ShardTask[]> {
  const got = await store.get(objectUri(round.bucket, round.key));
  if (got.kind !== "found") throw new Error("the round is not there");
  const chunks: Uint8Array[] = [];
  for await (const chunk of got.body) chunks.push(chunk);
  return JSON.parse(Buffer.concat(chunks).toString()) as ShardTask[];
}

for (const keys of values.keys.split(",").map(Number)) {
  const server = await startServer(keys);
  try {
    const bench = new Bench(server.endpoint);
    await bench.writeInventory(keys);
    let baseline: number | undefined;
    const measure = async (what: string, input: object): Promise<void> => {
      const cpuBefore = process.cpuUsage();
      const from = performance.now();
      const { report, planSeconds } = await bench.run(`${keys} ${what}`, input);
      const seconds = (performance.now() - from) / 1000;
      const { user, system } = process.cpuUsage(cpuBefore);
      const { total, listRequests, ledgerRequests } = report;
      if (total !== keys) throw new Error(`${total} of ${keys} keys were listed`);
      baseline ??= seconds;
      console.log(
        `${String(keys).padStart(8)} ${what.padEnd(44)} ${seconds.toFixed(2).padStart(7)} s (planning ${planSeconds.toFixed(2)} s, processor ${((user + system) / 1e6).toFixed(2)} s), ` +
          `${(seconds / baseline).toFixed(2)} x the first; ${report.new} new, ${report.known} known, ${listRequests} list and ${ledgerRequests} ledger requests`,
      );
    };
    await measure("first run: nothing is known", { dryRun: true });
    bench.ledger.filesAreLoaded = true;
    await measure("all loaded, and the ledger asked for each", {});
    await measure("all loaded and seen", {});
    await measure("the same from an inventory", { strategy: "inventory" });
  } finally {
    server.process.kill();
  }
}
