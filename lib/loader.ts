// The load function: takes events from the intake queue in large groups, converts their files and seals batches.
// It reads landing buckets below the ingestions' prefixes and never writes there.

import { Duration } from "aws-cdk-lib";
import { SqsEventSource } from "aws-cdk-lib/aws-lambda-event-sources";
import { Construct } from "constructs";
import type { MoraineConfig } from "../lambdas/core/config.ts";
import { LIMITS } from "../lambdas/core/environment.ts";
import type { CommitQueue } from "./commit-queue.ts";
import { DuckdbLayer } from "./duckdb-layer.ts";
import { grantCommit, grantLedger } from "./grants.ts";
import type { Intake } from "./intake.ts";
import type { Landing } from "./landing.ts";
import type { Ledger } from "./ledger.ts";
import { MoraineFunction } from "./moraine-function.ts";
import type { Warehouse } from "./warehouse.ts";

export interface LoaderProps {
  readonly config: MoraineConfig;
  readonly bundle: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly landing: Landing;
  readonly intake: Intake;
  readonly ledger: Ledger;
  readonly warehouse: Warehouse;
  readonly commitQueue: CommitQueue;
}

export class Loader extends Construct {
  readonly code: MoraineFunction;

  constructor(scope: Construct, id: string, props: LoaderProps) {
    super(scope, id);
    this.code = new MoraineFunction(this, "Code", {
      bundle: props.bundle,
      description: "Moraine: converts landed files and seals them into batches",
      memoryMb: LIMITS.loadMemoryMb,
      timeoutSeconds: LIMITS.loadTimeoutSeconds,
      diskMb: LIMITS.loadDiskMb,
      layer: new DuckdbLayer(this, "Duckdb").layer,
      environment: props.environment,
    });
    this.code.function.addEventSource(
      new SqsEventSource(props.intake.queue, {
        batchSize: LIMITS.intakeBatchSize,
        maxBatchingWindow: Duration.seconds(LIMITS.intakeWindowSeconds),
        maxConcurrency: LIMITS.loadConcurrencyMax,
        reportBatchItemFailures: true,
      }),
    );
    this.code.function.addEventSource(
      new SqsEventSource(props.intake.backfill, {
        batchSize: LIMITS.backfillBatchSize,
        maxConcurrency: LIMITS.backfillConcurrencyMax,
        reportBatchItemFailures: true,
      }),
    );
    this.#grant(props);
  }

  #grant({ config, landing, intake, ledger, warehouse, commitQueue }: LoaderProps): void {
    const sources = config.ingestions.map(({ source }) => landing.arnOf(source.bucket, `${source.prefix}*`));
    this.code.allow(["s3:GetObject"], [...new Set(sources)]);
    // Without ListBucket S3 answers 403 for an object that is gone, and a deleted file would look like a missing right.
    this.code.allow(
      ["s3:ListBucket"],
      [...landing.buckets.values()].map((bucket) => bucket.bucketArn),
    );
    grantLedger(this.code, ledger);
    grantCommit(this.code, warehouse);
    this.code.allow(["glue:CreateTable"], warehouse.catalogArns);
    this.code.allow(["sqs:SendMessage"], [intake.queue.queueArn, commitQueue.queue.queueArn]);
  }
}
