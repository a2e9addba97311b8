// What `npm start` shows people: one live line while files are on their way, a report when they have arrived.

import type { TableName } from "../lambdas/core/ids.ts";
import { tableIdOf } from "../lambdas/core/ids.ts";
import { headKey, readHead } from "../lambdas/core/records.ts";
import type { Balance, LocalPorts, TableReport } from "./accounting.ts";
import { readSomeRows } from "./foreign-reader.ts";
import type { LocalStack } from "./stack.ts";

const REFRESH_MS = 500;
const ROWS_SHOWN = 2;
const FAILURES_SHOWN = 20;

export class Progress {
  readonly #stack: LocalStack;
  readonly #ports: LocalPorts;
  readonly #tables: readonly TableName[];
  readonly #silent: boolean;

  constructor(stack: LocalStack, ports: LocalPorts, tables: readonly TableName[], silent: boolean) {
    this.#stack = stack;
    this.#ports = ports;
    this.#tables = tables;
    this.#silent = silent;
  }

  async while(done: Promise<void>): Promise<void> {
    if (this.#silent) return done;
    let last = "";
    const timer = setInterval(() => {
      this.#line().then(
        (line) => {
          if (line !== last) process.stdout.write(process.stdout.isTTY ? `\r\x1b[2K${line}` : `${line}\n`);
          last = line;
        },
        () => undefined,
      );
    }, REFRESH_MS);
    try {
      await done;
    } finally {
      clearInterval(timer);
      const line = await this.#line();
      process.stdout.write(process.stdout.isTTY ? `\r\x1b[2K${line}\n` : `${line}\n`);
    }
  }

  async #line(): Promise<string> {
    const items = await this.#ports.ledger.readMany(this.#tables.map((name) => headKey(tableIdOf(name))));
    const heads = items.flatMap((item) => (item === undefined ? [] : [readHead(item)]));
    const sum = (pick: (head: (typeof heads)[number]) => number) =>
      heads.reduce((total, head) => total + pick(head), 0);
    const depths = Object.values(this.#stack.queueDepths());
    const queued = depths.reduce((total, { visible, inFlight, delayed }) => total + visible + inFlight + delayed, 0);
    const read = this.#stack.requests.counts()["S3.GetObject"]?.bytesOut ?? 0;
    return `settled ${sum((head) => head.totals.files)} files, ${sum((head) => head.totals.records)} rows, ${sum((head) => head.seq)} commits; read ${bytes(read)}; queued ${queued}`;
  }
}

export async function printReport(
  stack: LocalStack,
  ports: LocalPorts,
  {
    balance,
    tables,
    seconds,
  }: { readonly balance: Balance; readonly tables: readonly TableReport[]; readonly seconds: number },
): Promise<void> {
  console.log("");
  printTables(tables);
  for (const table of tables.filter(({ rows }) => rows > 0)) await printRows(stack, ports, table);
  printBalance(balance, seconds);
  console.log(`\nall services: ${stack.endpoint}   (S3, SQS, DynamoDB, Glue; region ${stack.region}, any credentials)`);
  console.log(`buckets: ${stack.outputs["Buckets"]}   ledger: ${stack.outputs["LedgerTable"]}`);
}

function printTables(tables: readonly TableReport[]): void {
  const rows = tables.map((table) =>
    [table.name, table.rows, table.dataFiles, table.snapshots, table.location].map(String),
  );
  const header = ["table", "rows", "data files", "snapshots", "location"];
  const widths = header.map((title, n) => Math.max(title.length, ...rows.map((row) => row[n]?.length ?? 0)));
  for (const row of [header, ...rows])
    console.log(
      row
        .map((cell, n) => cell.padEnd(widths[n] ?? 0))
        .join("  ")
        .trimEnd(),
    );
}

async function printRows(stack: LocalStack, ports: LocalPorts, table: TableReport): Promise<void> {
  console.log(`\n${table.name}, read by icebird:`);
  try {
    for (const row of await readSomeRows(ports.store, stack.endpoint, table, ROWS_SHOWN)) {
      console.log(
        `  ${JSON.stringify(row, (_, value: unknown) => (typeof value === "bigint" ? Number(value) : value))}`,
      );
    }
  } catch (error) {
    console.log(`  cannot: ${error instanceof Error ? error.message : error}`);
  }
}

function printBalance({ files, failures, open, unrouted }: Balance, seconds: number): void {
  console.log(
    `\n${files.total} files in ${seconds.toFixed(1)} s: ${files.success} loaded, ${files.failed} failed, ${files.skipped} skipped, ${files.rejected} rejected`,
  );
  if (unrouted > 0) console.log(`${unrouted} objects belong to no ingestion`);
  for (const { path, status, reason, message } of failures.slice(0, FAILURES_SHOWN)) {
    console.log(`  ${status} ${reason} ${path}\n    ${message}`);
  }
  if (failures.length > FAILURES_SHOWN)
    console.log(`  and ${failures.length - FAILURES_SHOWN} more: npm run moraine -- files --status FAILED`);
  for (const uri of open) console.log(`  NOT ACCOUNTED FOR ${uri}`);
}

function bytes(count: number): string {
  return count < 1e6 ? `${(count / 1e3).toFixed(0)} kB` : `${(count / 1e6).toFixed(1)} MB`;
}
