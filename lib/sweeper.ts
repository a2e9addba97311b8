// The sweep function: every five minutes it finishes what crashed and what no queue remembers: expired batches are aborted and
// their files sent back to the intake queue, sealed batches are committed, what aborted batches wrote is removed.

import { Duration } from "aws-cdk-lib";
import * as events from "aws-cdk-lib/aws-events";
import * as targets from "aws-cdk-lib/aws-events-targets";
import type { ITopic } from "aws-cdk-lib/aws-sns";
import { Construct } from "constructs";
import { ENV, LIMITS } from "../lambdas/core/environment.ts";
import { acknowledge } from "./checks.ts";
import type { CommitQueue } from "./commit-queue.ts";
import { grantCommit, grantLedger } from "./grants.ts";
import type { Intake } from "./intake.ts";
import type { Ledger } from "./ledger.ts";
import { MoraineFunction } from "./moraine-function.ts";
import type { Warehouse } from "./warehouse.ts";

export interface SweeperProps {
  readonly bundle: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly intake: Intake;
  readonly ledger: Ledger;
  readonly warehouse: Warehouse;
  readonly commitQueue: CommitQueue;
}

export class Sweeper extends Construct {
  readonly code: MoraineFunction;

  constructor(scope: Construct, id: string, props: SweeperProps) {
    super(scope, id);
    this.code = new MoraineFunction(this, "Code", {
      bundle: props.bundle,
      description: "Moraine: finishes what crashed and removes what was left behind",
      memoryMb: LIMITS.sweepMemoryMb,
      timeoutSeconds: LIMITS.sweepTimeoutSeconds,
      environment: props.environment,
    });
    const schedule = new events.Rule(this, "Schedule", {
      description: "Moraine: runs the sweeper",
      schedule: events.Schedule.rate(Duration.minutes(LIMITS.sweepEveryMinutes)),
      // The next run repeats whatever this one missed: retrying an old tick only doubles work.
      targets: [new targets.LambdaFunction(this.code.function, { retryAttempts: 0 })],
    });
    acknowledge(schedule, { "Serverless-EventBusDLQ": "a lost tick is repeated by the next one five minutes later" });
    grantLedger(this.code, props.ledger);
    // What a person decided about a schema is carried out here when the command that decided it was not.
    grantCommit(this.code, props.warehouse);
    this.code.allow(["s3:DeleteObject"], props.warehouse.objectArns);
    this.code.allow(["sqs:SendMessage"], [props.intake.queue.queueArn, props.commitQueue.queue.queueArn]);
  }

  /** Files that are held back for a decision are told of there. */
  alertTo(topic: ITopic): void {
    this.code.function.addEnvironment(ENV.alertTopicArn, topic.topicArn);
    this.code.allow(["sns:Publish"], [topic.topicArn]);
  }
}
