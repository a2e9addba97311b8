// Moraine as it runs in production, in one process: the real load and commit paths with the S3, Glue and DuckDB adapters, over
// the local stack's S3 and Glue. Only the ledger and the queues are in memory: no reader of tables ever sees them.
// The clock stands still during a call, so that `_ingested_at` and LastModified are known without asking the table.

import { mkdirSync } from "node:fs";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { DuckDbConverter } from "../../lambdas/adapters/converter/duckdb-converter.ts";
import { GluePointer } from "../../lambdas/adapters/glue-pointer.ts";
import { S3ObjectStore } from "../../lambdas/adapters/s3-object-store.ts";
import { createClients } from "../../lambdas/adapters/sdk-clients.ts";
import { SystemRandom } from "../../lambdas/adapters/system.ts";
import { commitTable } from "../../lambdas/core/commit.ts";
import type { Ingestion } from "../../lambdas/core/config.ts";
import { PointerCatalog } from "../../lambdas/core/iceberg/pointer-catalog.ts";
import type { TableMetadata } from "../../lambdas/core/iceberg/types.ts";
import { verifyTable } from "../../lambdas/core/iceberg/verify.ts";
import { objectUri, type TableName } from "../../lambdas/core/ids.ts";
import { type LoadReport, load } from "../../lambdas/core/pipeline.ts";
import { readFile } from "../../lambdas/core/records.ts";
import { createRouter } from "../../lambdas/core/routing.ts";
import { carryOut, decide } from "../../lambdas/core/schema/carry-out.ts";
import { changesOf } from "../../lambdas/core/schema/history.ts";
import type { Verdict } from "../../lambdas/core/schema/records.ts";
import { DEFAULT_LIMITS, type Settings } from "../../lambdas/core/settings.ts";
import { sweepTables } from "../../lambdas/core/sweep.ts";
import { createGlue } from "../../local/servers/glue.ts";
import { createS3 } from "../../local/servers/s3.ts";
import { MemoryLedger } from "../fakes/memory-ledger.ts";
import { MemoryQueues } from "../fakes/memory-queues.ts";

export const DATABASE = "interop";
const LANDING = "landing";
const WAREHOUSE = "warehouse";
const MEGABYTE = 1024 * 1024;

export const SETTINGS: Settings = { ...DEFAULT_LIMITS, ledgerId: "interop", warehouseUri: `s3://${WAREHOUSE}/tables` };

export interface Loaded {
  /** Milliseconds of the call: the value of `_ingested_at`. */
  readonly atMs: number;
  readonly report: LoadReport;
}

export class Moraine {
  readonly urls: { readonly s3: string; readonly glue: string };
  readonly store: S3ObjectStore;
  readonly #clock = { ms: Date.now(), now: () => this.#clock.ms };
  readonly #ledger = new MemoryLedger();
  readonly #queues = new MemoryQueues(this.#clock);
  readonly #catalog: PointerCatalog;
  readonly #converter: DuckDbConverter;
  /** S3 notifications nobody has loaded yet. */
  readonly #events: string[];
  readonly #ingestions: Ingestion[] = [];

  private constructor(urls: { readonly s3: string; readonly glue: string }, events: string[], folder: string) {
    this.urls = urls;
    this.#events = events;
    const clients = createClients({ pathStyle: true });
    this.store = new S3ObjectStore(clients.s3);
    const pointer = new GluePointer(clients.glue);
    this.#catalog = new PointerCatalog({ store: this.store, pointer, clock: this.#clock, random: new SystemRandom() });
    const workDir = `${folder}/work`;
    mkdirSync(workDir, { recursive: true });
    const limits = { memoryLimitBytes: 512 * MEGABYTE, threads: 2, diskBytesMax: 512 * MEGABYTE };
    this.#converter = new DuckDbConverter({ workDir, ...limits });
  }

  /** Everything lies below `folder`; the servers end with the process. */
  static async start(folder: string): Promise<Moraine> {
    const glue = createGlue(undefined, () => Date.now());
    glue.call("CreateDatabase", { DatabaseInput: { Name: DATABASE } });
    const events: string[] = [];
    const s3 = createS3({
      folder: `${folder}/s3`,
      region: "us-east-1",
      now: () => Date.now(),
      deliver: (_target, message) => events.push(message),
    });
    for (const bucket of [LANDING, WAREHOUSE]) s3.ensureBucket(bucket);
    s3.setNotifications(LANDING, [
      { id: "intake", events: ["s3:ObjectCreated:*"], prefix: "", suffix: "", target: "intake" },
    ]);
    const s3Url = await listen((request, response) => void s3.handle(request, response));
    const glueUrl = await listen((request, response) => void glue.handle(request, response));
    Object.assign(process.env, {
      AWS_ENDPOINT_URL_S3: s3Url,
      AWS_ENDPOINT_URL_GLUE: glueUrl,
      AWS_REGION: "us-east-1",
      AWS_ACCESS_KEY_ID: "local",
      AWS_SECRET_ACCESS_KEY: "local",
    });
    return new Moraine({ s3: s3Url, glue: glueUrl }, events, folder);
  }

  register(ingestion: Ingestion): void {
    this.#ingestions.push(ingestion);
  }

  /** The S3 event of this object waits for the next `load`. Its uri, its LastModified as GetObject will say it, and the event's time. */
  async put(key: string, body: string | Uint8Array): Promise<{ uri: string; modifiedMs: number; eventMs: number }> {
    const uri = objectUri(LANDING, key);
    await this.store.put(uri, typeof body === "string" ? Buffer.from(body) : body);
    for await (const listed of this.store.list(uri)) {
      if (listed.uri !== uri) continue;
      const { Records } = JSON.parse(this.#events.at(-1) ?? "") as { Records: { eventTime: string }[] };
      const eventMs = Date.parse(Records[0]?.eventTime ?? "");
      return { uri, modifiedMs: Math.floor(listed.lastModifiedMs / 1000) * 1000, eventMs };
    }
    throw new Error(`${uri} was put and is not listed`);
  }

  /** All events that wait, as one delivery. Anything that would be delivered again is an error here. */
  async load(): Promise<Loaded> {
    const atMs = this.#tick();
    const messages = this.#events.splice(0).map((body, n) => ({ id: `m${n}`, body, receiveCount: 1 }));
    const context = {
      ports: { ...this.#ports(), queues: this.#queues, converter: this.#converter },
      settings: SETTINGS,
      route: createRouter(this.#ingestions),
      deadlineMs: atMs + 1,
    };
    const report = await load(context, messages);
    const [error] = report.errors;
    if (error !== undefined) throw error;
    if (report.retry.length > 0) throw new Error(`load left messages: ${JSON.stringify(report.outcomes)}`);
    return { atMs, report };
  }

  /** Decides what is open; the files that waited are in the next `load`. Their number. */
  async decide(ingestion: Ingestion, verdict: Verdict): Promise<number> {
    this.#tick();
    const ports = { ...this.#ports(), queues: this.#queues };
    const { id, target } = ingestion;
    const open = (await changesOf(this.#ledger, id)).filter(({ status }) => status === "OPEN");
    let released = 0;
    for (const { fingerprint } of open) {
      const change = await decide(ports, { ingestion: id, target, fingerprint }, { verdict, by: "operator" });
      released += (await carryOut(ports, SETTINGS, target, change)).released;
    }
    this.#events.push(...this.#queues.intake.splice(0));
    return released;
  }

  /** The metadata the commit made. */
  async commit(table: TableName): Promise<TableMetadata> {
    const deadlineMs = this.#tick() + 1;
    const report = await commitTable(
      { ports: { ...this.#ports(), queues: this.#queues }, settings: SETTINGS, deadlineMs },
      table,
    );
    if (report.commits !== 1) throw new Error(`${report.commits} commits instead of one`);
    return this.metadata(table);
  }

  async sweep(table: TableName): Promise<void> {
    const deadlineMs = this.#tick(SETTINGS.functionLifetimeMs + 1) + 1;
    const ports = { ...this.#ports(), queues: this.#queues };
    const [report] = await sweepTables({ ports, settings: SETTINGS, deadlineMs, turn: 0 }, [table]);
    for (const error of report?.errors ?? []) throw error;
  }

  async metadata(table: TableName): Promise<TableMetadata> {
    const loaded = await this.#catalog.load(table);
    if (loaded === undefined) throw new Error(`${table.table} does not exist`);
    return loaded.metadata;
  }

  /** Findings of Moraine's own checker, over all snapshots. */
  async verify(table: TableName): Promise<string[]> {
    return verifyTable(this.store, await this.metadata(table));
  }

  #tick(aheadMs = 0): number {
    this.#clock.ms = Date.now() + aheadMs;
    return this.#clock.ms;
  }

  #ports() {
    const catalog = this.#catalog;
    return { clock: this.#clock, random: new SystemRandom(), store: this.store, ledger: this.#ledger, catalog };
  }

  /** Status and reason of every file of an ingestion, by key. */
  files(ingestion: string): Record<string, string> {
    const records = this.#ledger
      .items()
      .filter((item) => item.body["kind"] === "file")
      .map(readFile)
      .filter((file) => file.ingestion === ingestion);
    return Object.fromEntries(
      records.map(({ key, status, reason, error }) => [key, [status, reason, error?.message].join(" ").trim()]),
    );
  }
}

async function listen(handle: RequestListener): Promise<string> {
  const server = createServer(handle);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
