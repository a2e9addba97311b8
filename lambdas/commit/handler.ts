// The commit function: every hint names a table; each table named is committed once, whatever number of hints named it.
// A hint is acknowledged when nothing is left to commit. One table's failure is not another's.

import type { Context, SQSBatchResponse, SQSEvent } from "aws-lambda";
import { returnMessages } from "../adapters/redelivery.ts";
import { createRuntime } from "../adapters/runtime.ts";
import { type CommitContext, commitTable } from "../core/commit.ts";
import { ENV } from "../core/environment.ts";
import { isKind } from "../core/errors.ts";
import type { TableName } from "../core/ids.ts";

const runtime = createRuntime(import.meta.dirname);
const redelivery = runtime.redelivery(process.env[ENV.commitQueueUrl]);
/** One commit attempt and its settling fit in this; none is begun later. */
const MARGIN_MS = 40_000;

export async function handler(event: SQSEvent, context: Context): Promise<SQSBatchResponse> {
  runtime.logger.addContext(context);
  const deadlineMs = runtime.ports.clock.now() + context.getRemainingTimeInMillis() - MARGIN_MS;
  const work = { ports: runtime.ports, settings: runtime.settings, deadlineMs };
  const failed = new Set<string>();
  for (const [hint, records] of Map.groupBy(event.Records, (record) => record.body)) {
    const done = await commit(work, hint);
    if (!done) for (const { messageId } of records) failed.add(messageId);
  }
  return returnMessages(redelivery, event.Records, failed);
}

async function commit(work: CommitContext, hint: string): Promise<boolean> {
  const startedMs = runtime.ports.clock.now();
  try {
    const { database, table } = JSON.parse(hint) as TableName;
    const report = await commitTable(work, { database, table });
    const durationMs = runtime.ports.clock.now() - startedMs;
    runtime.logger.info("committed", { database, table, ...report, durationMs });
    runtime.count({ commits: report.commits, commitConflicts: report.conflicts });
    return !report.more;
  } catch (error) {
    runtime.logger.error("commit failed", { hint, error: error as Error });
    runtime.count({ tableCorrupt: isKind(error, "Corrupt") ? 1 : 0 });
    return false;
  }
}
