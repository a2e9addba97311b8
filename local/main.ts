// npm start: the whole stack on this machine. Synthesizes, boots, uploads, shows what happens, and answers for every file.
//
//   npm start                                   a generated sample, then watches until Ctrl-C
//   npm start -- --once                         ends when all is settled; exit 0 only if every file is accounted for
//   npm start -- --config moraine.yaml --upload DIR=s3://landing/prefix/ --data-dir .moraine/data --json

import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { configuredTables } from "../lambdas/adapters/runtime.ts";
import type { MoraineConfig } from "../lambdas/core/config.ts";
import { parseConfig } from "../lambdas/core/config-file.ts";
import { ENV } from "../lambdas/core/environment.ts";
import { resolveBuckets } from "../lambdas/core/resolve-buckets.ts";
import { type Balance, reportTables, type TableReport, takeBalance } from "./accounting.ts";
import { openPorts } from "./ports.ts";
import { Progress, printReport } from "./printing.ts";
import { exportRows } from "./rows.ts";
import { makeSample } from "./sample.ts";
import { type LocalStack, startLocalStack } from "./stack.ts";
import { synthesize } from "./synthesize.ts";
import { parseUpload, uploadFolder, uploadSample } from "./upload.ts";

const { values: flags } = parseArgs({
  options: {
    once: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    config: { type: "string" },
    upload: { type: "string", multiple: true, default: [] },
    "data-dir": { type: "string" },
    port: { type: "string", default: "0" },
    export: { type: "string", multiple: true, default: [] },
    help: { type: "boolean", default: false },
  },
});

const HELP = `usage: npm start -- [options]

  --once                 end when all is settled; exit 0 only if every file is accounted for
  --json                 print one JSON document last, and nothing else on standard output
  --config FILE          a moraine.yaml (default: a demo with a generated sample)
  --upload DIR=s3://B/P  upload a folder below s3://B/P; B is a landing bucket of the configuration (repeatable)
  --data-dir DIR         keep everything there across runs
  --port N               serve S3, SQS, DynamoDB and Glue there (default: any free port)
  --export TABLE=FILE    write the rows of database.table as NDJSON, through its current snapshot (repeatable)`;

/** Queue delays, windows and schedules run this much faster than deployed; a commit happens about once a second. */
const TIME_SCALE = 0.05;
const SETTLE_TIMEOUT_MS = 30 * 60_000;

async function main(): Promise<number> {
  if (flags.help) {
    console.log(HELP);
    return 0;
  }
  const say = flags.json ? () => undefined : (line: string) => console.log(line);
  const configFile = flags.config ?? join(import.meta.dirname, "demo.yaml");
  const scratch = mkdtempSync(join(tmpdir(), "moraine-start-"));
  try {
    say(`synthesizing ${flags.config ?? "the demo"} ...`);
    await synthesize(configFile, scratch);
    const stack = await startLocalStack({
      assembly: scratch,
      port: Number(flags.port),
      timeScale: TIME_SCALE,
      env: { [ENV.commitIntervalSeconds]: "1", POWERTOOLS_DEV: "false" },
      ...(flags["data-dir"] === undefined ? {} : { dataDir: flags["data-dir"] }),
    });
    try {
      return await run(stack, configFile, say);
    } finally {
      await stack.stop();
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

async function run(stack: LocalStack, configFile: string, say: (line: string) => void): Promise<number> {
  const startedMs = Date.now();
  const bucketNames = JSON.parse(stack.outputs["Buckets"] ?? "{}") as Record<string, string>;
  const config = readConfig(configFile, bucketNames);
  const ports = openPorts(stack);
  writeOutputs(stack);
  const progress = new Progress(stack, ports, configuredTables(config), flags.json);
  stack.requests.reset();

  const uploaded = await upload(ports, config, bucketNames);
  say(`uploaded ${uploaded} files`);
  await settle(stack, ports, config, progress);

  const balance = await takeBalance(ports, config);
  const tables = await reportTables(ports, configuredTables(config));
  await exportTables(ports, config, say);
  const seconds = (Date.now() - startedMs) / 1000;
  if (!flags.json) await printReport(stack, ports, { balance, tables, seconds });
  if (!flags.once && !flags.json) await watch(stack, progress);
  if (flags.json) console.log(JSON.stringify(jsonOf(stack, balance, tables, seconds)));
  return isAccounted(balance) ? 0 : 1;
}

function readConfig(file: string, bucketNames: Record<string, string>): MoraineConfig {
  const parsed = parseConfig(readFileSync(file, "utf8"), file);
  if (parsed.errors !== undefined) throw new Error(parsed.errors.join("\n"));
  return resolveBuckets(parsed.config, bucketNames);
}

/** Where the operator's command finds this stack, as it would find a deployed one. */
function writeOutputs(stack: LocalStack): void {
  const folder = flags["data-dir"] ?? ".moraine";
  if (!existsSync(folder)) mkdirSync(folder, { recursive: true });
  const outputs = { Moraine: { ...stack.outputs, EndpointUrl: stack.endpoint } };
  writeFileSync(join(folder, "outputs.json"), `${JSON.stringify(outputs, null, 1)}\n`);
}

type Ports = ReturnType<typeof openPorts>;

async function upload(ports: Ports, config: MoraineConfig, bucketNames: Record<string, string>): Promise<number> {
  if (flags.config === undefined && flags.upload.length === 0) {
    const [landing] = config.landing;
    return landing === undefined ? 0 : uploadSample(ports.store, landing.bucket, await makeSample());
  }
  let uploaded = 0;
  for (const text of flags.upload) {
    uploaded += await uploadFolder(
      ports.store,
      parseUpload(text, (name) => bucketNames[name] ?? name),
    );
  }
  return uploaded;
}

/** Until no queue holds a message and no file is on its way. What only the sweeper can finish, it is called for. */
async function settle(stack: LocalStack, ports: Ports, config: MoraineConfig, progress: Progress): Promise<void> {
  const untilMs = Date.now() + SETTLE_TIMEOUT_MS;
  while (Date.now() < untilMs) {
    await progress.while(stack.quiet(SETTLE_TIMEOUT_MS));
    const { open } = await takeBalance(ports, config);
    if (open.length === 0) return;
    await stack.trigger("Sweep");
    await sleep(1000);
    if ((await takeBalance(ports, config)).open.length === open.length && isIdle(stack)) return;
  }
}

function isIdle(stack: LocalStack): boolean {
  return Object.entries(stack.queueDepths()).every(([name, { visible, inFlight, delayed }]) => {
    return /dead/i.test(name) || visible + inFlight + delayed === 0;
  });
}

async function exportTables(ports: Ports, config: MoraineConfig, say: (line: string) => void): Promise<void> {
  for (const text of flags.export) {
    const [id = "", file = ""] = text.split("=", 2);
    const name = configuredTables(config).find(({ database, table }) => id === table || id === `${database}.${table}`);
    if (name === undefined || file === "") throw new Error(`--export ${text}: write it as database.table=FILE.ndjson`);
    const table = await ports.catalog.load(name);
    if (table === undefined)
      throw new Error(`--export ${text}: the table was not created, no file had a column to give it`);
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

async function watch(stack: LocalStack, progress: Progress): Promise<void> {
  console.log(
    `\nwatching; upload more with: aws s3 cp FILE s3://BUCKET/PREFIX/ --endpoint-url ${stack.endpoint}   (Ctrl-C stops)`,
  );
  const stopped = new Promise<void>((done) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => done());
  });
  await progress.while(stopped);
  console.log("\nstopping ...");
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
