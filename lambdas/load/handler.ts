// The load function: everything it does is in core/pipeline.ts. What it tried and could not finish goes back to the intake queue,
// message by message, what it had no time for is sent there anew; it fails as a whole only when it cannot start.

import { rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import type { Context, SQSBatchResponse, SQSEvent } from "aws-lambda";
import { DuckDbConverter } from "../adapters/converter/duckdb-converter.ts";
import { receivesOf, returnMessages } from "../adapters/redelivery.ts";
import { createRuntime } from "../adapters/runtime.ts";
import { ENV, LIMITS } from "../core/environment.ts";
import { isKind } from "../core/errors.ts";
import { type LoadReport, load } from "../core/pipeline.ts";
import { createRouter } from "../core/routing.ts";
import { quarantineIngestions } from "../core/schema/quarantine.ts";

const runtime = createRuntime(import.meta.dirname);
const ports = { ...runtime.ports, converter: startConverter() };
const { ingestions } = runtime.config;
const route = createRouter([...ingestions, ...quarantineIngestions(ingestions, runtime.settings.warehouseUri)]);
const QUEUE_URLS = [process.env[ENV.intakeQueueUrl] ?? "", process.env[ENV.backfillQueueUrl] ?? ""];

function startConverter(): DuckDbConverter {
  const workDir = join(tmpdir(), "moraine-load");
  // A sandbox whose invocation timed out is used again, with what that invocation left on its disk.
  rmSync(workDir, { recursive: true, force: true });
  const memoryBytes = Number(process.env["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] ?? LIMITS.loadMemoryMb) * 1024 * 1024;
  return new DuckDbConverter({
    workDir,
    // The rest is Node's: the bodies being read and the parts being uploaded.
    memoryLimitBytes: Math.floor(memoryBytes * 0.6),
    threads: availableParallelism(),
    diskBytesMax: Math.floor((LIMITS.loadDiskMb * 1024 * 1024) / LIMITS.loadDiskShares),
  });
}

export async function handler(event: SQSEvent, context: Context): Promise<SQSBatchResponse> {
  runtime.logger.addContext(context);
  const messages = event.Records.map((record) => ({
    id: record.messageId,
    body: record.body,
    receiveCount: receivesOf(record),
  }));
  const startedMs = ports.clock.now();
  // A batch begun in the first half has at least the other half to finish.
  const deadlineMs = startedMs + context.getRemainingTimeInMillis() / 2;
  const report = await load({ ports, settings: runtime.settings, route, deadlineMs }, messages);
  publish(report, messages.length, ports.clock.now() - startedMs);
  return returnMessages(runtime.redelivery(queueUrlOf(event)), event.Records, new Set(report.retry));
}

/** Live events and what listings found come from queues of their own, one of them per invocation. */
function queueUrlOf({ Records }: SQSEvent): string | undefined {
  const name = Records[0]?.eventSourceARN.split(":").at(-1);
  return QUEUE_URLS.find((url) => url.endsWith(`/${name}`));
}

function publish(report: LoadReport, messages: number, durationMs: number): void {
  const { outcomes, records, bytesRead, spentMs, unrouted, retry, postponed, errors } = report;
  for (const error of errors) runtime.logger.error("load failed", { error: error as Error });
  const times = { spentMs, durationMs };
  runtime.logger.info("loaded", {
    messages,
    ...outcomes,
    records,
    bytesRead,
    unrouted,
    returned: retry.length,
    postponed,
    ...times,
  });
  runtime.count({
    filesLoaded: outcomes.loaded,
    filesFailed: outcomes.failed,
    filesSkipped: outcomes.skipped,
    rowsLoaded: records,
    bytesRead,
    tableCorrupt: errors.filter((error) => isKind(error, "Corrupt")).length,
  });
}
