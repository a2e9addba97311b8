// The answers of the command as text for people. Pure: what is shown here is what `--json` gives to machines.

import type { FileRecord, LoadedVersion } from "../lambdas/core/records.ts";
import type { FileStory, KnownFile } from "./file-story.ts";
import type { CappedCount, FilePage } from "./ledger-index.ts";
import { ATTENTION, type Status, type TableStatus } from "./status.ts";
import { formatBytes, formatCount, formatDuration, formatFacts, formatTable, formatTime, printable } from "./text.ts";

export function renderStatus(status: Status): string {
  const tables = formatTable(
    ["TABLE", "COMMITS", "FILES", "ROWS", "LAST COMMIT", "OPEN COMMIT", "BATCHES OPEN", "SEALED", "ABORTED"],
    status.tables.map((table) => [
      table.table,
      formatCount(table.commits),
      formatCount(table.files),
      formatCount(table.rows),
      table.lastCommit === undefined ? "none" : formatTime(table.lastCommit.landedAtMs),
      openCommit(table),
      ...(["OPEN", "SEALED", "ABORTED"] as const).map((state) => formatCount(table.batches[state])),
    ]),
  );
  const ingestions = formatTable(
    ["INGESTION", "SOURCE", "TABLE", ...ATTENTION, "UNDECIDED"],
    status.ingestions.map(({ ingestion, source, table, files, undecided }) => {
      const counts = ATTENTION.map((name) => formatCapped(files[name]));
      return [ingestion, source, table, ...counts, formatCount(undecided)];
    }),
  );
  return [tables, ingestions, ...(status.queues.length === 0 ? [] : [renderQueues(status)])].join("\n");
}

function renderQueues({ queues }: Status): string {
  return formatTable(
    ["QUEUE", "WAITING", "IN FLIGHT", "DELAYED"],
    queues.map(({ queue, waiting, inFlight, delayed }) => [
      queue,
      formatCount(waiting),
      formatCount(inFlight),
      formatCount(delayed),
    ]),
  );
}

function openCommit({ openIntent }: TableStatus): string {
  if (openIntent === undefined) return "none";
  return `${openIntent.seq} since ${formatTime(openIntent.openedAtMs)}, ${formatCount(openIntent.batches.length)} batches`;
}

function formatCapped({ count, capped }: CappedCount): string {
  return `${formatCount(count)}${capped ? "+" : ""}`;
}

export function renderFiles({ files, more }: FilePage): string {
  if (files.length === 0) return "no file\n";
  const table = formatTable(
    ["STATUS", "REASON", "INGESTION", "ROWS", "SIZE", "PROCESSED", "PATH"],
    files.map((file) => [
      file.status,
      file.reason ?? "",
      file.ingestion,
      file.records === undefined ? "" : formatCount(file.records),
      formatBytes(file.version.sizeBytes),
      file.processedAtMs === undefined ? "" : formatTime(file.processedAtMs),
      printable(`s3://${file.bucket}/${file.key}`),
    ]),
  );
  return more ? `${table}there are more: raise --limit, or narrow with --prefix, --status, --ingestion\n` : table;
}

export function renderStory(story: FileStory): string {
  if (story.records.length === 0) return `${printable(story.path)} is not known\n  ${printable(story.hint ?? "")}\n`;
  const records = story.records.map((file) => formatFacts([...fileFacts(file), ...inTheTable(file)]));
  return `${printable(story.path)}\n${records.join("\n")}`;
}

function fileFacts(file: KnownFile): (readonly [string, string | undefined])[] {
  const { loaded } = file;
  const current = loaded !== undefined && isLoaded(file, loaded) ? loaded : undefined;
  return [
    ["ingestion", file.ingestion],
    ["table", file.table],
    ["status", statusOf(file)],
    ["etag", file.version.etag],
    ["version id", file.version.versionId],
    ["sequencer", file.version.sequencer],
    ["size", formatBytes(file.version.sizeBytes)],
    ["written", formatTime(file.version.timeMs)],
    ["attempts", formatCount(file.attempts)],
    ["discovered", formatTime(file.discoveredAtMs)],
    ["started", formatTime(file.startedAtMs)],
    ["processed", file.processedAtMs === undefined ? undefined : formatTime(file.processedAtMs)],
    ["duration", file.durationMs === undefined ? undefined : formatDuration(file.durationMs)],
    ["run", file.runId],
    ["batch", batchOf(file)],
    ["schema change", file.fingerprint],
    ...(current === undefined ? [] : tableFacts(current)),
    ["error", file.error === undefined ? undefined : printable(file.error.message)],
    ["place", placeOf(file)],
  ];
}

function statusOf({ status, reason }: FileRecord): string {
  return reason === undefined ? status : `${status} (${reason})`;
}

function batchOf(file: KnownFile): string {
  const { batch, batchState, leaseUntilMs } = file;
  if (file.status !== "PROCESSING") return batch;
  switch (batchState) {
    case "OPEN":
      return `${batch}, being loaded; its lease ends ${formatTime(leaseUntilMs ?? 0)}`;
    case "SEALED":
      return `${batch}, sealed: waits for the next commit`;
    case "ABORTED":
      return `${batch}, aborted: the file is free, and its event is sent again`;
    default:
      return `${batch}, over: the file is free, and its event comes back`;
  }
}

function placeOf({ error }: FileRecord): string | undefined {
  if (error === undefined) return undefined;
  const { line, byte, column } = error;
  const parts = [
    line === undefined ? [] : [`line ${line}`],
    byte === undefined ? [] : [`byte ${byte}`],
    column === undefined ? [] : [`column ${printable(column)}`],
  ].flat();
  return parts.length === 0 ? undefined : parts.join(", ");
}

function isLoaded(file: FileRecord, loaded: LoadedVersion): boolean {
  return file.status === "SUCCESS" && file.version.etag === loaded.version.etag;
}

function tableFacts(loaded: LoadedVersion): (readonly [string, string | undefined])[] {
  return [
    ["rows", formatCount(loaded.records)],
    ["rescued", loaded.rescued === undefined ? undefined : `${formatCount(loaded.rescued)} of these rows`],
    ["quarantined", loaded.quarantined === undefined ? undefined : `${formatCount(loaded.quarantined)} more rows`],
    ["bytes read", formatBytes(loaded.bytesRead)],
    ["commit", loaded.seq === 0 ? "none: an empty file, and no table yet" : formatCount(loaded.seq)],
    ["snapshot", loaded.snapshotId],
  ];
}

/** Rows of an earlier version stand in the table while a newer one is on its way, or failed. */
function inTheTable(file: FileRecord): (readonly [string, string | undefined])[] {
  const { loaded } = file;
  if (loaded === undefined || isLoaded(file, loaded)) return [];
  const facts = tableFacts(loaded).map(([label, value]) => [`  ${label}`, value] as const);
  return [
    ["in the table now", `the version of ${formatTime(loaded.version.timeMs)}`],
    ["  etag", loaded.version.etag],
    ["  batch", loaded.batch],
    ["  processed", formatTime(loaded.processedAtMs)],
    ...facts,
  ];
}
