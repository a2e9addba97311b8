// npm start: the whole stack on this machine. Synthesizes, boots, uploads, shows what happens, and answers for every file.
//
//   npm start                                   a generated sample, then watches until Ctrl-C
//   npm start -- --once                         ends when all is settled; exit 0 only if every file is accounted for
//   npm start -- --config moraine.yaml --upload DIR=s3://landing/prefix/ --data-dir .moraine/data --json

import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { configuredTables } from "../lambdas/adapters/runtime.ts";
import type { MoraineConfig } from "../lambdas/core/config.ts";
import { ENV, LOCAL_ENV } from "../lambdas/core/environment.ts";
import { tableIdOf } from "../lambdas/core/ids.ts";
import { resolveBuckets } from "../lambdas/core/resolve-buckets.ts";
import { type Balance, type LocalPorts, reportTables, type TableReport } from "./accounting.ts";
import { HELP, type Options, parseOptions, UsageError } from "./options.ts";
import { openPorts } from "./ports.ts";
import { Progress, printReport } from "./printing.ts";
import { exportRows } from "./rows.ts";
import { makeSample } from "./sample.ts";
import type { Existing } from "./services.ts";
import { settle } from "./settle.ts";
import { type LocalStack, startLocalStack } from "./stack.ts";
import { synthesize } from "./synthesize.ts";
import { takeOver } from "./take-over.ts";
import { uploadFolder, uploadSample } from "./upload.ts";

/** Queue delays, windows and schedules run this much faster than deployed; a commit happens about once a second. */
const TIME_SCALE = 0.05;
/** What failed comes back after about a second: nobody waits here for a neighbour as long as a deployment would. */
const LIMITS = { redeliveryFirstMs: 700 };
const SETTLE_TIMEOUT_MS = 30 * 60_000;
const EXIT = { accounted: 0, unaccounted: 1, usage: 2, interrupted: 130 };

type Say = (line: string) => void;

async function main(options: Options, signal: AbortSignal): Promise<number> {
  const say: Say = options.json ? () => undefined : (line) => console.log(line);
  const scratch = mkdtempSync(join(tmpdir(), "moraine-start-"));
  try {
    say(`synthesizing ${options.demo ? "the demo" : options.configFile} ...`);
    await synthesize(options.configFile, scratch, signal);
    const stack = await startLocalStack({
      assembly: scratch,
      port: options.port,
      timeScale: TIME_SCALE,
      env: {
        [ENV.commitIntervalSeconds]: "1",
        [LOCAL_ENV.limits]: JSON.stringify(LIMITS),
        POWERTOOLS_DEV: "false",
      },
      existing: existingOf(options.config),
      onPublish: ({ subject, message }) => say(`\n${subject}\n${message}`),
      ...(options.dataDir === undefined ? {} : { dataDir: options.dataDir }),
    });
    try {
      return await run(stack, options, say, signal);
    } finally {
      await stack.stop();
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

async function run(stack: LocalStack, options: Options, say: Say, signal: AbortSignal): Promise<number> {
  const startedMs = Date.now();
  const bucketNames = JSON.parse(stack.outputs["Buckets"] ?? "{}") as Record<string, string>;
  const config = resolveBuckets(options.config, bucketNames);
  const tables = configuredTables(config);
  const ports = openPorts(stack);
  if (options.dataDir !== undefined) await takeOver(ports.ledger, tables, startedMs);
  writeOutputs(stack, options);
  const progress = new Progress(stack, ports, tables, options.json);
  stack.requests.reset();

  say(`uploaded ${await upload(ports, options, bucketNames, signal)} files`);
  const settled = settle(stack, ports, config, { timeoutMs: SETTLE_TIMEOUT_MS, signal });
  await progress.while(settled.then(() => undefined));
  const balance = await settled;
  signal.throwIfAborted();

  await exportTables(ports, options, say);
  const reports = await reportTables(ports, tables);
  const seconds = (Date.now() - startedMs) / 1000;
  if (options.json) console.log(JSON.stringify(jsonOf(stack, balance, reports, seconds)));
  else await printReport(stack, ports, { balance, tables: reports, seconds });
  if (!options.once) await watch(stack, progress, signal);
  return isAccounted(balance) ? EXIT.accounted : EXIT.unaccounted;
}

/** Buckets and databases the deployment would expect to find; a table's own location may lie in any bucket. */
function existingOf({ landing, warehouse, databases = [], ingestions }: MoraineConfig): Existing {
  const created = new Set([...landing, warehouse].filter(({ existing }) => !existing).map(({ bucket }) => bucket));
  const named = [...landing, warehouse].map(({ bucket }) => bucket);
  const locations = ingestions.flatMap(({ target }) => target.location?.split("/")[2] ?? []);
  return {
    buckets: [...named, ...locations].filter((bucket) => !created.has(bucket)),
    databases: databases.filter(({ existing }) => existing).map(({ database }) => database),
  };
}

/** Where the operator's command finds this stack, as it would find a deployed one. */
function writeOutputs(stack: LocalStack, { dataDir }: Options): void {
  const folder = dataDir ?? ".moraine";
  if (!existsSync(folder)) mkdirSync(folder, { recursive: true });
  const outputs = { Moraine: { ...stack.outputs, EndpointUrl: stack.endpoint } };
  writeFileSync(join(folder, "outputs.json"), `${JSON.stringify(outputs, null, 1)}\n`);
}

async function upload(
  ports: LocalPorts,
  { demo, config, uploads }: Options,
  bucketNames: Record<string, string>,
  signal: AbortSignal,
): Promise<number> {
  const realName = (bucket: string) => bucketNames[bucket] ?? bucket;
  if (demo && uploads.length === 0) {
    return uploadSample(ports.store, realName(config.landing[0]?.bucket ?? ""), await makeSample());
  }
  let uploaded = 0;
  for (const each of uploads) {
    uploaded += await uploadFolder(ports.store, { ...each, bucket: realName(each.bucket) }, signal);
  }
  return uploaded;
}

async function exportTables(ports: LocalPorts, { exports }: Options, say: Say): Promise<void> {
  for (const { table: name, file } of exports) {
    const table = await ports.catalog.load(name);
    const id = tableIdOf(name);
    if (table === undefined) throw new Error(`--export ${id}: there is no table, for no file had a column to give it`);
    say(`exported ${await exportRows(ports.store, table.metadata, file)} rows of ${id} to ${file}`);
  }
}

function jsonOf(stack: LocalStack, balance: Balance, tables: readonly TableReport[], seconds: number) {
  return {
    files: balance.files,
    rows: tables.reduce((sum, { rows }) => sum + rows, 0),
    seconds,
    requests: stack.requests.counts(),
    tables,
    failures: balance.failures,
    ...(balance.unrouted > 0 ? { unrouted: balance.unrouted } : {}),
    ...(balance.open.length > 0 ? { open: balance.open } : {}),
  };
}

function isAccounted({ files, open }: Balance): boolean {
  return open.length === 0 && files.total === files.success + files.failed + files.skipped + files.rejected;
}

async function watch(stack: LocalStack, progress: Progress, signal: AbortSignal): Promise<void> {
  console.log(
    `\nwatching; upload more with: aws s3 cp FILE s3://BUCKET/PREFIX/ --endpoint-url ${stack.endpoint}   (Ctrl-C stops)`,
  );
  await progress.while(
    new Promise((done) => {
      if (signal.aborted) done();
      signal.addEventListener("abort", () => done(), { once: true });
    }),
  );
  console.log("\nstopping ...");
}

/** The first signal stops in good order, a second one at once. */
function interruption(): AbortSignal {
  const controller = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) {
    process.on(name, () => {
      if (controller.signal.aborted) process.exit(EXIT.interrupted);
      controller.abort();
    });
  }
  return controller.signal;
}

async function start(args: readonly string[]): Promise<number> {
  if (args.includes("--help")) {
    console.log(HELP);
    return 0;
  }
  const signal = interruption();
  try {
    return await main(parseOptions(args), signal);
  } catch (cause) {
    const error = signal.aborted ? "interrupted before all was settled" : messageOf(cause);
    console.error(error);
    if (cause instanceof UsageError) return EXIT.usage;
    if (args.includes("--json")) console.log(JSON.stringify({ error }));
    return signal.aborted ? EXIT.interrupted : EXIT.unaccounted;
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

process.exitCode = await start(process.argv.slice(2));
