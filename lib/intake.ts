// The intake queues: every event that may become rows waits in one of them for the loader. Events of S3 and of the sweeper go to
// the first, what a listing found to the second, which has functions of its own: a backfill never keeps a live event waiting.
// An event is deleted only when its file's fate is on record; what fails ten times rests in the dead-letter queue of both.

import { Duration } from "aws-cdk-lib";
import * as sqs from "aws-cdk-lib/aws-sqs";
import { Construct } from "constructs";
import { LIMITS } from "../lambdas/core/environment.ts";
import { acknowledge } from "./checks.ts";

export class Intake extends Construct {
  readonly queue: sqs.Queue;
  readonly backfill: sqs.Queue;
  readonly deadLetters: sqs.Queue;

  constructor(scope: Construct, id: string) {
    super(scope, id);
    this.deadLetters = new sqs.Queue(this, "DeadLetters", {
      encryption: sqs.QueueEncryption.SQS_MANAGED,
      enforceSSL: true,
      retentionPeriod: Duration.seconds(LIMITS.deadLetterRetentionSeconds),
    });
    acknowledge(this.deadLetters, { "Serverless-SQSRedrivePolicy": "this is the dead-letter queue" });
    this.queue = this.#queue("Queue");
    this.backfill = this.#queue("Backfill");
  }

  #queue(id: string): sqs.Queue {
    return new sqs.Queue(this, id, {
      encryption: sqs.QueueEncryption.SQS_MANAGED,
      enforceSSL: true,
      visibilityTimeout: Duration.seconds(
        LIMITS.loadTimeoutSeconds * LIMITS.visibilityPerTimeout + LIMITS.intakeWindowSeconds,
      ),
      retentionPeriod: Duration.seconds(LIMITS.queueRetentionSeconds),
      deadLetterQueue: { queue: this.deadLetters, maxReceiveCount: LIMITS.receivesMax },
    });
  }
}
