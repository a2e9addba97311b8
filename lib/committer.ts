// The commit function: splices all sealed batches of a table into one snapshot and settles their files.
// FIFO groups keep two committers off one table most of the time; Head and the catalog's compare-and-swap do so always.

import { SqsEventSource } from "aws-cdk-lib/aws-lambda-event-sources";
import { Construct } from "constructs";
import { LIMITS } from "../lambdas/core/environment.ts";
import type { CommitQueue } from "./commit-queue.ts";
import { grantCommit, grantLedger } from "./grants.ts";
import type { Intake } from "./intake.ts";
import type { Ledger } from "./ledger.ts";
import { MoraineFunction } from "./moraine-function.ts";
import type { Warehouse } from "./warehouse.ts";

export interface CommitterProps {
  readonly bundle: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly intake: Intake;
  readonly ledger: Ledger;
  readonly warehouse: Warehouse;
  readonly commitQueue: CommitQueue;
}

export class Committer extends Construct {
  readonly code: MoraineFunction;

  constructor(scope: Construct, id: string, props: CommitterProps) {
    super(scope, id);
    this.code = new MoraineFunction(this, "Code", {
      bundle: props.bundle,
      description: "Moraine: commits sealed batches, one snapshot per table and interval",
      memoryMb: LIMITS.commitMemoryMb,
      timeoutSeconds: LIMITS.commitTimeoutSeconds,
      environment: props.environment,
    });
    this.code.function.addEventSource(
      new SqsEventSource(props.commitQueue.queue, {
        batchSize: LIMITS.commitBatchSize,
        maxConcurrency: LIMITS.commitConcurrencyMax,
        reportBatchItemFailures: true,
      }),
    );
    grantLedger(this.code, props.ledger);
    grantCommit(this.code, props.warehouse);
    // Rows that a commit put into quarantine are loaded like any file.
    this.code.allow(["sqs:SendMessage"], [props.intake.queue.queueArn]);
  }
}
