// Claim: from upload to committed rows, on the local stack with the deployed bundles, many small files and one big one; and
// where the time goes. Numbers of the emulated services are this machine's, not AWS's: compare shares and versions, not clouds.
// node bench/end-to-end.ts [--files 2000] [--kb 20] [--mb 200]

import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { configuredTables } from "../lambdas/adapters/runtime.ts";
import { parseConfig } from "../lambdas/core/config-file.ts";
import { ENV } from "../lambdas/core/environment.ts";
import { resolveBuckets } from "../lambdas/core/resolve-buckets.ts";
import { type LocalPorts, reportTables } from "../local/accounting.ts";
import { openPorts } from "../local/ports.ts";
import { settle } from "../local/settle.ts";
import { type LocalStack, startLocalStack } from "../local/stack.ts";
import { synthesize } from "../local/synthesize.ts";
import { uploadFolder } from "../local/upload.ts";
import { CSV_HEADER, csvRow, type Dice, eventRow, writeRows } from "./datasets.ts";

const YAML = `
ingestions:
  - { id: small, source: { prefix: small/ }, format: { type: csv }, target: { database: bench, table: small } }
  - { id: big, source: { prefix: big/ }, format: { type: ndjson }, target: { database: bench, table: big } }
`;
/** The intake window is 0.5 s, the commit hint waits 1.6 s: what is idle is mostly these. */
const TIME_SCALE = 0.05;

const { values } = parseArgs({
  options: {
    files: { type: "string", default: "2000" },
    kb: { type: "string", default: "20" },
    mb: { type: "string", default: "200" },
  },
});

const directory = mkdtempSync(join(tmpdir(), "moraine-bench-"));
let expectedRows = 0;

interface Line {
  readonly message: string;
  readonly timestamp: string;
  readonly durationMs: number;
  readonly spentMs?: Readonly<Record<string, number>>;
}

interface Load {
  readonly name: string;
  readonly folder: string;
  readonly files: number;
  readonly bytes: number;
  readonly rows: number;
}

type Row = (dice: Dice, id: number) => string;

async function make(name: string, header: string, row: Row, files: number, bytesEach: number): Promise<Load> {
  const folder = mkdtempSync(join(directory, "files-"));
  let rows = 0;
  let bytes = 0;
  for (let n = 0; n < files; n++) {
    const path = join(folder, String(n));
    rows += await writeRows(path, header, row, bytesEach, n + 1);
    bytes += statSync(path).size;
  }
  return { name, folder, files, bytes, rows };
}

/** Milliseconds in which at least one function worked. */
function busyMs(lines: readonly Line[]): number {
  const spans = lines.map(({ timestamp, durationMs }) => {
    const endMs = Date.parse(timestamp);
    return { fromMs: endMs - durationMs, endMs };
  });
  let total = 0;
  let untilMs = 0;
  for (const { fromMs, endMs } of spans.sort((a, b) => a.fromMs - b.fromMs)) {
    total += Math.max(0, endMs - Math.max(fromMs, untilMs));
    untilMs = Math.max(untilMs, endMs);
  }
  return total;
}

function report(load: Load, uploadMs: number, totalMs: number, lines: readonly Line[]): void {
  const spent: Record<string, number> = {};
  for (const { spentMs = {} } of lines) {
    for (const [step, ms] of Object.entries(spentMs)) spent[step] = (spent[step] ?? 0) + ms;
  }
  const commits = lines.filter(({ message }) => message === "committed");
  const commit = commits.reduce((sum, { durationMs }) => sum + durationMs, 0);
  const idle = totalMs - busyMs(lines);
  const seconds = (ms = 0) => `${(ms / 1000).toFixed(2)} s`;
  console.log(
    `${load.name}, ${load.rows} rows: ${seconds(totalMs)} from first upload to last row committed: ` +
      `${(load.files / (totalMs / 1000)).toFixed(0)} files/s, ${(load.bytes / 1e3 / totalMs).toFixed(1)} MB/s\n` +
      `  upload alone ${seconds(uploadMs)}; no function at work ${seconds(idle)} (windows, cold starts)\n` +
      `  claim (ledger) ${seconds(spent["claim"])}, fetch (S3) ${seconds(spent["fetch"])}, inspect ${seconds(spent["inspect"])}, ` +
      `convert ${seconds(spent["convert"])}, stage (S3) ${seconds(spent["stage"])}, seal (ledger) ${seconds(spent["seal"])}, ` +
      `commit and settle ${seconds(commit)}`,
  );
}

/** `prefix` begins with the ingestion's. */
async function run(stack: LocalStack, ports: LocalPorts, lines: Line[], load: Load, prefix: string): Promise<void> {
  const names = JSON.parse(stack.outputs["Buckets"] ?? "{}") as Record<string, string>;
  const config = resolveBuckets(readConfig(), names);
  const bucket = names["landing"] ?? "";
  lines.length = 0;
  const startedMs = Date.now();
  await uploadFolder(ports.store, { folder: load.folder, bucket, prefix });
  const uploadMs = Date.now() - startedMs;
  const { files, open, failures } = await settle(stack, ports, config, { timeoutMs: 10 * 60_000 });
  const ended = lines.filter(({ message }) => message === "committed").map(({ timestamp }) => Date.parse(timestamp));
  const tables = await reportTables(ports, configuredTables(config));
  const rows = tables.reduce((sum, table) => sum + table.rows, 0);
  expectedRows += load.rows;
  if (open.length > 0 || failures.length > 0 || rows !== expectedRows)
    throw new Error(`rows were lost: ${rows} of ${expectedRows}, files ${JSON.stringify(files)}`);
  report(load, uploadMs, Math.max(...ended) - startedMs, lines);
}

function readConfig() {
  const { config, errors } = parseConfig(YAML, "bench.yaml");
  if (config === undefined) throw new Error(errors.join("\n"));
  return config;
}

try {
  const configFile = join(directory, "moraine.yaml");
  writeFileSync(configFile, YAML);
  const assembly = join(directory, "assembly");
  await synthesize(configFile, assembly);
  const count = Number(values.files);
  const small = await make(`${count} x ${values.kb} KB csv`, CSV_HEADER, csvRow, count, Number(values.kb) * 1000);
  const big = await make(`1 x ${values.mb} MB ndjson`, "", eventRow, 1, Number(values.mb) * 1e6);
  // Types are looked for in all values once per table: that is the first file's, and not what the others cost.
  const firstSmall = await make("the first 1 MB csv, which makes the table", CSV_HEADER, csvRow, 1, 1e6);
  const firstBig = await make("the first 1 MB ndjson, which makes the table", "", eventRow, 1, 1e6);
  const lines: Line[] = [];
  const stack = await startLocalStack({
    assembly,
    timeScale: TIME_SCALE,
    schedules: false,
    env: { [ENV.commitIntervalSeconds]: "1" },
    onLog: ({ line }) => {
      if (line.includes('"durationMs"')) lines.push(JSON.parse(line) as Line);
      else if (line.includes('"level":"ERROR"')) console.error(line);
    },
  });
  try {
    const ports = openPorts(stack);
    await stack.quiet();
    await run(stack, ports, lines, firstSmall, "small/first/");
    await run(stack, ports, lines, small, "small/");
    await run(stack, ports, lines, firstBig, "big/first/");
    await run(stack, ports, lines, big, "big/");
  } finally {
    await stack.stop();
  }
} finally {
  rmSync(directory, { recursive: true, force: true });
}
