// Listing runs as text for people.

import type { Counts, CursorRecord, RunRecord } from "../lambdas/core/discovery/model.ts";
import type { Progress } from "./runs.ts";
import { formatBytes, formatCount, formatDuration, formatFacts, formatTable, formatTime, printable } from "./text.ts";

export function renderRuns(runs: readonly RunRecord[]): string {
  if (runs.length === 0) return "no run\n";
  return formatTable(
    ["STATUS", "INGESTION", "STRATEGY", "STARTED", "TOOK", "LISTED", "NEW", "CHANGED", "KNOWN", "RUN"],
    runs.map((run) => {
      const counts = run.report ?? run.counts;
      return [
        run.input.dryRun ? `${run.status} (dry)` : run.status,
        run.ingestion,
        run.input.listing.strategy,
        formatTime(run.startedAtMs),
        run.endedAtMs === undefined ? "" : formatDuration(run.endedAtMs - run.startedAtMs),
        ...[counts.total, counts.new, counts.changed, counts.known].map(formatCount),
        run.runId,
      ];
    }),
  );
}

export function renderRun({ run, counts, shards, shardsDone, elapsedMs, rate, leftMs }: Progress): string {
  const { report } = run;
  const under = run.status === "RUNNING";
  return `${run.runId}\n${formatFacts([
    ["ingestion", run.ingestion],
    ["status", run.input.dryRun ? `${run.status}, nothing was sent (dry run)` : run.status],
    ["error", run.error === undefined ? undefined : printable(run.error)],
    ["strategy", run.input.listing.strategy],
    ["started", `${formatTime(run.startedAtMs)} by ${run.input.trigger}`],
    ["resumes", run.resumes],
    [under ? "so far" : "took", formatDuration(elapsedMs)],
    ["left", leftMs === undefined ? undefined : `about ${formatDuration(leftMs)}`],
    ["files", filesText(counts)],
    ["bytes", `${formatBytes(counts.bytes)}, of which ${formatBytes(counts.newBytes)} to load`],
    ["speed", `${formatCount(Math.round(report?.filesPerSecond ?? rate))} files/s`],
    ["shards", `${formatCount(shardsDone)} of ${formatCount(shards)} done, ${formatCount(counts.splits)} splits`],
    ["requests", requestsText(counts)],
    ["cost", report === undefined ? undefined : `$${report.dollars.toFixed(4)} of listing and checking`],
    ...brokenFacts(counts),
  ])}`;
}

function filesText(counts: Counts): string {
  const { total, ...parts } = {
    total: counts.total,
    new: counts.new,
    changed: counts.changed,
    known: counts.known,
    skipped: counts.skipped,
    excluded: counts.excluded,
  };
  const each = Object.entries(parts).map(([name, count]) => `${formatCount(count)} ${name}`);
  return `${formatCount(total)} listed: ${each.join(", ")}`;
}

function requestsText({ listRequests, ledgerRequests, ledgerReads, sendRequests, throttled }: Counts): string {
  const asked = `${formatCount(listRequests)} to S3, ${formatCount(ledgerRequests)} to the ledger (${formatCount(ledgerReads)} items)`;
  return `${asked}, ${formatCount(sendRequests)} messages${throttled === 0 ? "" : `; ${formatCount(throttled)} throttled`}`;
}

function brokenFacts({ broken }: Counts): [string, string][] {
  return Object.entries(broken).map(([name, { count, examples }]) => {
    return ["noticed", `${name}: ${formatCount(count)}, such as ${examples.map(printable).join(", ")}`];
  });
}

/** One line for a run under way. */
export function renderProgress({ counts, shards, shardsDone, rate, elapsedMs, leftMs }: Progress): string {
  const left = leftMs === undefined ? "" : `, about ${formatDuration(leftMs)} left`;
  return `${formatDuration(elapsedMs)}: ${filesText(counts)}; ${formatCount(Math.round(rate))}/s, shards ${shardsDone}/${shards}${left}`;
}

export interface Checkpoint {
  readonly ingestion: string;
  readonly cursor?: CursorRecord;
  readonly reset?: boolean;
}

export function renderCheckpoints(checkpoints: readonly Checkpoint[]): string {
  return checkpoints
    .map(({ ingestion, cursor, reset }) => {
      const facts = formatFacts([
        ["reset", reset === undefined ? undefined : reset ? "yes: the next run starts from nothing" : "there was none"],
        ["last key", cursor?.lexical === undefined ? undefined : printable(cursor.lexical.last)],
        ["listed from", cursor?.listedFromMs === undefined ? undefined : formatTime(cursor.listedFromMs)],
        ["partitions", cursor?.partitioned && formatCount(cursor.partitioned.folders.length)],
        ...inventoryFacts(cursor),
        ["seen manifest", cursor?.seen],
        ["updated", cursor === undefined ? undefined : formatTime(cursor.updatedAtMs)],
      ]);
      return `${ingestion}\n${facts === "" ? "  nothing remembered\n" : facts}`;
    })
    .join("");
}

function inventoryFacts(cursor: CursorRecord | undefined): [string, string][] {
  return Object.entries(cursor?.inventoriesAtMs ?? {}).map(([location, atMs]) => {
    return ["inventory of", `${formatTime(atMs)}, ${printable(location)}`];
  });
}
