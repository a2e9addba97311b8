// The sweep function: on a schedule, every configured table once. A table that fails does not keep the others from being
// swept; the invocation fails at the end, so that the alarm on this function's errors sees it.

import type { Context, ScheduledEvent } from "aws-lambda";
import { configuredTables, createRuntime } from "../adapters/runtime.ts";
import { SnsAlerts } from "../adapters/sns-alerts.ts";
import { ENV, LIMITS } from "../core/environment.ts";
import { isKind } from "../core/errors.ts";
import { tendSchemas } from "../core/schema/tend.ts";
import { sweepTables } from "../core/sweep.ts";

const runtime = createRuntime(import.meta.dirname);
const alerts = new SnsAlerts(process.env[ENV.alertTopicArn] ?? "");
/** What was begun ends within this: one batch or one commit cleared away. */
const MARGIN_MS = 30_000;

export async function handler(_event: ScheduledEvent, context: Context): Promise<void> {
  const { config, ports, settings, logger } = runtime;
  logger.addContext(context);
  const startedMs = ports.clock.now();
  const deadlineMs = startedMs + context.getRemainingTimeInMillis() - MARGIN_MS;
  const turn = Math.floor(startedMs / (LIMITS.sweepEveryMinutes * 60_000));
  // Releasing very many files leaves half of the time for what the tables wait for.
  const tendedUntilMs = (startedMs + deadlineMs) / 2;
  const tending = { ports: { ...ports, alerts }, settings, deadlineMs: tendedUntilMs };
  const tended = await tendSchemas(tending, config.ingestions);
  if (tended.alerted + tended.released > 0) logger.info("tended schemas", { ...tended });
  for (const error of tended.errors) logger.error("tending schemas failed", { error: error as Error });
  const reports = await sweepTables({ ports, settings, deadlineMs, turn }, configuredTables(config));
  for (const { name, errors, ...counts } of reports) {
    if (errors.length === 0) logger.info("swept", { ...name, ...counts });
    for (const error of errors) logger.error("sweep failed", { ...name, error: error as Error });
  }
  const failures = [...tended.errors, ...reports.flatMap(({ errors }) => errors)];
  runtime.count({ tableCorrupt: failures.filter((error) => isKind(error, "Corrupt")).length });
  if (failures.length > 0)
    throw new AggregateError(failures, `${failures.length} tables or schemas could not be swept`);
}
