// The record of one distributed map: what DescribeMapRun shows, and whether its failures are still tolerated.
// With a batcher, a failed child counts as all the items of its batch.
// Source: https://docs.aws.amazon.com/step-functions/latest/dg/state-map-distributed.html

import type { Execution } from "./execution.ts";
import type { ChildInput } from "./item-batcher.ts";

export interface Tolerance {
  readonly percentage: number | undefined;
  readonly count: number | undefined;
}

export interface MapRunFacts {
  readonly arn: string;
  readonly executionArn: string;
  readonly machineArn: string;
  readonly label: string;
  readonly concurrencyMax: number;
  readonly tolerance: Tolerance;
}

/** `children[n]` was made from `inputs[n]`; a hole: it has not begun. */
export class MapRun {
  readonly facts: MapRunFacts;
  readonly startMs: number;
  inputs: readonly ChildInput[] = [];
  readonly children: (Execution | undefined)[] = [];
  status: "RUNNING" | "SUCCEEDED" | "FAILED" | "ABORTED" = "RUNNING";
  stopMs: number | undefined;

  constructor(facts: MapRunFacts, nowMs: number) {
    this.facts = facts;
    this.startMs = nowMs;
  }

  /** Whether more has failed than is tolerated. Percentages are of all items. */
  overLimit(): boolean {
    const { total, failed, timedOut, aborted } = this.counts(({ itemCount }) => itemCount);
    const bad = failed + timedOut + aborted;
    const { percentage, count } = this.facts.tolerance;
    if (bad === 0) return false;
    if (percentage === undefined && count === undefined) return true;
    const overCount = count !== undefined && bad > count;
    return overCount || (percentage !== undefined && (bad / total) * 100 > percentage);
  }

  /** `weigh`: 1 for executions, the size of the batch for items. */
  counts(weigh: (child: ChildInput) => number) {
    const counts = { pending: 0, running: 0, succeeded: 0, failed: 0, timedOut: 0, aborted: 0, total: 0 };
    for (const [n, input] of this.inputs.entries()) {
      const weight = weigh(input);
      counts.total += weight;
      counts[COUNTED[this.children[n]?.status ?? "PENDING"]] += weight;
    }
    return { ...counts, resultsWritten: this.status === "RUNNING" ? 0 : counts.total - counts.pending };
  }
}

const COUNTED = {
  PENDING: "pending",
  RUNNING: "running",
  SUCCEEDED: "succeeded",
  FAILED: "failed",
  TIMED_OUT: "timedOut",
  ABORTED: "aborted",
} as const;
