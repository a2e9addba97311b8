// The sweep function: on a schedule, every configured table once. A table that fails does not keep the others from being
// swept; the invocation fails at the end, so that the alarm on this function's errors sees it.

import type { Context, ScheduledEvent } from "aws-lambda";
import { configuredTables, createRuntime } from "../adapters/runtime.ts";
import { isKind } from "../core/errors.ts";
import { sweepTable } from "../core/sweep.ts";

const runtime = createRuntime(import.meta.dirname);

export async function handler(_event: ScheduledEvent, context: Context): Promise<void> {
  runtime.logger.addContext(context);
  const failures: unknown[] = [];
  for (const table of configuredTables(runtime.config)) {
    try {
      const report = await sweepTable(runtime.ports, runtime.settings, table);
      runtime.logger.info("swept", { ...table, ...report });
    } catch (error) {
      failures.push(error);
      runtime.logger.error("sweep failed", { ...table, error: error as Error });
    }
  }
  const corrupt = failures.filter((error) => isKind(error, "Corrupt")).length;
  runtime.count({ tableCorrupt: corrupt });
  if (failures.length > 0) throw new AggregateError(failures, `${failures.length} tables could not be swept`);
}
