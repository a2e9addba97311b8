// The deployed app itself on a local stack of its own: files go in, faults strike, and in the end the table is read back row by row.
// A row is `{"id": n}`; ids are never used twice in a world, so a row that is lost, doubled or stale shows as what it is.

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import { mapLimit } from "../../../lambdas/core/concurrency.ts";
import type { MoraineConfig } from "../../../lambdas/core/config.ts";
import { parseConfig } from "../../../lambdas/core/config-file.ts";
import { ENV, LOCAL_ENV } from "../../../lambdas/core/environment.ts";
import { type IngestionId, objectUri } from "../../../lambdas/core/ids.ts";
import { type FileRecord, fileKey, readFile } from "../../../lambdas/core/records.ts";
import { resolveBuckets } from "../../../lambdas/core/resolve-buckets.ts";
import { type LocalPorts, takeBalance } from "../../../local/accounting.ts";
import type { FaultPlan } from "../../../local/faults.ts";
import { openPorts } from "../../../local/ports.ts";
import { exportRows } from "../../../local/rows.ts";
import { settle } from "../../../local/settle.ts";
import { type LocalStack, startLocalStack } from "../../../local/stack.ts";
import { synthesize } from "../../stack/synthesize.ts";

export const LIMITS = { leaseMs: 3_000, functionLifetimeMs: 8_000, redeliveryFirstMs: 500 };

/** Visibility of the intake queue 5 s, its window 30 ms; a commit interval of 400 s becomes a delay of 1 s. */
const TIME_SCALE = 0.003;
/** As long as the delay: else a hint could be seen before the interval's last batch, and the next one be taken for it. */
const COMMIT_INTERVAL_SECONDS = "1";
const UPLOADS_MAX = 16;
const SETTLE_MS = 60_000;

export interface App {
  readonly assembly: string;
  readonly config: MoraineConfig;
}

export async function synthesizeApp(yaml: string): Promise<App> {
  const { config, errors } = parseConfig(yaml, "test.yaml");
  if (config === undefined) throw new Error(errors.join("\n"));
  return { assembly: (await synthesize(yaml)).folder, config };
}

export interface WorldOptions {
  readonly limits?: Readonly<Record<string, number>>;
  readonly timeScale?: number;
}

const SEED = 7;

export class World {
  readonly stack: LocalStack;
  readonly ports: LocalPorts;
  readonly config: MoraineConfig;
  readonly bucket: string;
  #ids = 0;
  /** What every file put so far holds now: key to ids. */
  readonly #expected = new Map<string, readonly number[]>();

  private constructor(stack: LocalStack, config: MoraineConfig) {
    this.stack = stack;
    this.ports = openPorts(stack);
    this.config = resolveBuckets(config, JSON.parse(stack.outputs["Buckets"] ?? "{}") as Record<string, string>);
    this.bucket = this.config.landing[0]?.bucket ?? "";
  }

  static async start(app: App, options: WorldOptions = {}): Promise<World> {
    const stack = await startLocalStack({
      assembly: app.assembly,
      timeScale: options.timeScale ?? TIME_SCALE,
      schedules: false,
      environmentsMax: 2,
      env: {
        [ENV.commitIntervalSeconds]: COMMIT_INTERVAL_SECONDS,
        [LOCAL_ENV.limits]: JSON.stringify({ ...LIMITS, ...options.limits }),
      },
    });
    const world = new World(stack, app.config);
    // S3's test event is behind us and the load function warm: the first occasion of a fault is one that matters.
    await stack.quiet();
    return world;
  }

  /** Puts a file of so many new rows; its key's first folder is the ingestion, which knows the format. */
  async put(key: string, rows: number): Promise<void> {
    const ids = Array.from({ length: rows }, () => ++this.#ids);
    const format = this.config.ingestions.find(({ source }) => key.startsWith(source.prefix))?.format.type;
    const lines = format === "csv" ? ["id", ...ids.map(String)] : ids.map((id) => JSON.stringify({ id }));
    this.#expected.set(key, ids);
    await this.ports.store.put(objectUri(this.bucket, key), Buffer.from(`${lines.join("\n")}\n`));
  }

  /** So many files below the folder, three rows each. */
  async putMany(folder: string, files: number): Promise<void> {
    const keys = Array.from({ length: files }, (_, n) => `${folder}/${n}`);
    await mapLimit(keys, UPLOADS_MAX, (key) => this.put(key, 3));
  }

  /**
   * Faults strike while the work goes on and until all is settled. Then every effect must have struck: a typo in a fault would
   * otherwise pass for a world that survives it.
   */
  async under(faults: Omit<FaultPlan, "seed">, work: () => Promise<void>): Promise<void> {
    const { fired } = this.stack.faults;
    const before = fired.length;
    this.stack.faults.set({ seed: SEED, ...faults });
    await work();
    await this.settle();
    this.stack.faults.set();
    const struck = new Set(fired.slice(before).map(({ effect }) => effect));
    const wanted = [...(faults.requests ?? []), ...(faults.invocations ?? [])].map(({ effect }) => effect);
    expect(wanted.filter((effect) => typeof effect === "string" && !struck.has(effect))).toEqual([]);
  }

  /** Every file has a final word, or the test fails with those that have none. */
  async settle(): Promise<void> {
    const options = { timeoutMs: SETTLE_MS, pauseMs: 300, idleSweepsMax: 20 };
    const { open } = await settle(this.stack, this.ports, this.config, options);
    expect(open, this.#story()).toEqual([]);
    // A sealed batch may have been settled by its files alone: what is left of it is the committer's.
    await this.stack.quiet();
  }

  /** What the functions said last, for the report of a failure. */
  #story(): string {
    const lines = this.stack.logs().filter(({ line }) => !line.includes('"_aws"'));
    const said = lines.slice(-30).map(({ functionId, line }) => `${functionId.slice(0, 6)} ${line.slice(0, 1500)}`);
    return [JSON.stringify(this.stack.queueDepths()), ...said].join("\n");
  }

  async file(key: string): Promise<FileRecord | undefined> {
    return (await this.#files([key]))[0];
  }

  async #files(keys: readonly string[]): Promise<(FileRecord | undefined)[]> {
    const ledgerKeys = keys.map((key) => fileKey(key.split("/")[0] as IngestionId, this.bucket, key));
    const items = await this.ports.ledger.readMany(ledgerKeys);
    return items.map((item) => item && readFile(item));
  }

  /** Ids by key, of every row that the table of the ingestion shows; sorted. */
  async rows(ingestion: string): Promise<Record<string, number[]>> {
    const target = this.config.ingestions.find(({ id }) => id === ingestion)?.target;
    const table = target && (await this.ports.catalog.load(target));
    if (table === undefined) return {};
    const folder = mkdtempSync(join(tmpdir(), "moraine-world-"));
    try {
      const file = join(folder, "rows.ndjson");
      await exportRows(this.ports.store, table.metadata, file);
      const found: Record<string, number[]> = {};
      for (const line of readFileSync(file, "utf8").split("\n").filter(Boolean)) {
        const { id, _file_path: path } = JSON.parse(line) as { id: number; _file_path: string };
        const key = path.slice(`s3://${this.bucket}/`.length);
        found[key] = [...(found[key] ?? []), id].sort((a, b) => a - b);
      }
      return found;
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }

  /** The tables hold exactly the rows that were put last, and the ledger says so of each file; but for those named, which FAILED. */
  async expectExactly({ failed = [] as readonly string[] } = {}): Promise<void> {
    const loaded = [...this.#expected].filter(([key]) => !failed.includes(key));
    for (const { id, source } of this.config.ingestions) {
      const expected = loaded.filter(([key]) => key.startsWith(source.prefix));
      expect(await this.rows(id)).toEqual(Object.fromEntries(expected));
    }
    const files = await this.#files(loaded.map(([key]) => key));
    loaded.forEach(([key, ids], n) => {
      expect(files[n]).toMatchObject({ key, status: "SUCCESS", records: ids.length });
    });
    const { files: counts, failures } = await takeBalance(this.ports, this.config);
    expect(counts).toMatchObject({ success: loaded.length, failed: failed.length });
    expect(failures.map(({ path }) => path)).toEqual(failed.map((key) => objectUri(this.bucket, key)));
  }

  stop(): Promise<void> {
    return this.stack.stop();
  }
}
