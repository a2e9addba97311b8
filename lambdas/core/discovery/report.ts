// The answer of a run: what its shards counted, and what that cost.

import type { BrokenAssumption, Counts, RunRecord, RunReport } from "./model.ts";

/** us-east-1, November 2025. S3: LIST. DynamoDB on demand: a strongly consistent read of up to 4 KB. SQS standard: 64 KB each. */
const DOLLARS_PER_LIST = 0.005 / 1000;
const DOLLARS_PER_READ = 0.125 / 1_000_000;
const DOLLARS_PER_SEND = 0.4 / 1_000_000;

export function reportOf(run: RunRecord, counts: Counts, shards: number, nowMs: number): RunReport {
  const { ingestion, runId, input } = run;
  const durationMs = nowMs - run.startedAtMs;
  return {
    ...counts,
    ingestion,
    runId,
    strategy: input.listing.strategy,
    dryRun: input.dryRun,
    durationMs,
    requests: counts.listRequests + counts.ledgerRequests + counts.sendRequests,
    filesPerSecond: Math.round((1000 * counts.total) / Math.max(1, durationMs)),
    shards,
    assumptionsBroken: Object.entries(counts.broken)
      .filter(([, { count }]) => count > 0)
      .map(([name]) => name as BrokenAssumption),
    dollars: dollarsOf(counts),
  };
}

/** Of listing and checking. Hundreds of thousands of files cost a cent, so it is not rounded to cents. */
export function dollarsOf({ listRequests, ledgerReads, sendRequests }: Counts): number {
  const dollars = listRequests * DOLLARS_PER_LIST + ledgerReads * DOLLARS_PER_READ + sendRequests * DOLLARS_PER_SEND;
  return Math.round(dollars * 1e6) / 1e6;
}
