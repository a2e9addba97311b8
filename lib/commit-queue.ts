// The commit queue: one FIFO group per target table, so one committer at a time works on a table, and its delay gathers the
// batches of an interval into one snapshot. It only saves work: a lost hint is found by the sweeper, a doubled one does nothing.

import { Duration } from "aws-cdk-lib";
import * as sqs from "aws-cdk-lib/aws-sqs";
import { Construct } from "constructs";
import { LIMITS } from "../lambdas/core/environment.ts";
import { acknowledge } from "./checks.ts";

export class CommitQueue extends Construct {
  readonly queue: sqs.Queue;
  readonly deadLetters: sqs.Queue;

  constructor(scope: Construct, id: string, props: { intervalSeconds: number }) {
    super(scope, id);
    this.deadLetters = new sqs.Queue(this, "DeadLetters", {
      fifo: true,
      encryption: sqs.QueueEncryption.SQS_MANAGED,
      enforceSSL: true,
      retentionPeriod: Duration.seconds(LIMITS.deadLetterRetentionSeconds),
    });
    acknowledge(this.deadLetters, { "Serverless-SQSRedrivePolicy": "this is the dead-letter queue" });
    this.queue = new sqs.Queue(this, "Queue", {
      fifo: true,
      encryption: sqs.QueueEncryption.SQS_MANAGED,
      enforceSSL: true,
      deliveryDelay: Duration.seconds(props.intervalSeconds + LIMITS.commitDelayMarginSeconds),
      visibilityTimeout: Duration.seconds(LIMITS.commitTimeoutSeconds * LIMITS.visibilityPerTimeout),
      retentionPeriod: Duration.seconds(LIMITS.queueRetentionSeconds),
      deadLetterQueue: { queue: this.deadLetters, maxReceiveCount: LIMITS.receivesMax },
    });
  }
}
