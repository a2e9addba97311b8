// Alarms, each with a section of the same title in docs/operations.md. They publish to one topic; subscribe to be told.
// An alarm stands for something a person must decide or repair; whatever heals itself has none.

import { Duration, Stack } from "aws-cdk-lib";
import * as cloudwatch from "aws-cdk-lib/aws-cloudwatch";
import { SnsAction } from "aws-cdk-lib/aws-cloudwatch-actions";
import type * as lambda from "aws-cdk-lib/aws-lambda";
import * as sns from "aws-cdk-lib/aws-sns";
import type * as sqs from "aws-cdk-lib/aws-sqs";
import type * as sfn from "aws-cdk-lib/aws-stepfunctions";
import { Construct } from "constructs";
import { LIMITS, METRIC_NAMESPACE, METRICS } from "../lambdas/core/environment.ts";
import type { CommitQueue } from "./commit-queue.ts";
import type { Intake } from "./intake.ts";

export interface AlarmsProps {
  readonly intake: Intake;
  readonly commitQueue: CommitQueue;
  readonly load: lambda.Function;
  readonly commit: lambda.Function;
  readonly sweep: lambda.Function;
  readonly backfill: sfn.StateMachine;
}

interface AlarmOptions {
  readonly title: string;
  readonly metric: cloudwatch.Metric;
  readonly threshold: number;
  /** Periods that must breach, of as many looked at. */
  readonly periods: number;
}

const PERIOD = Duration.minutes(5);
const HOUR_SECONDS = 3600;

export class Alarms extends Construct {
  readonly topic: sns.Topic;

  constructor(scope: Construct, id: string, props: AlarmsProps) {
    super(scope, id);
    this.topic = new sns.Topic(this, "Topic", { enforceSSL: true });
    this.#add("IntakeDeadLetters", {
      title: "Intake dead-letter queue not empty",
      metric: visible(props.intake.deadLetters),
      threshold: 1,
      periods: 1,
    });
    this.#add("IntakeAge", {
      title: "Intake queue is falling behind",
      metric: props.intake.queue.metricApproximateAgeOfOldestMessage({ period: PERIOD, statistic: "max" }),
      threshold: HOUR_SECONDS,
      periods: 3,
    });
    this.#add("LoadErrors", { title: "Load function fails", metric: errors(props.load), threshold: 1, periods: 3 });
    this.#add("FilesFailed", {
      title: "Files failed",
      metric: own(this, METRICS.filesFailed),
      threshold: 1,
      periods: 1,
    });
    this.#add("CommitDeadLetters", {
      title: "Commit dead-letter queue not empty",
      metric: visible(props.commitQueue.deadLetters),
      threshold: 1,
      periods: 1,
    });
    this.#add("CommitAge", {
      title: "Commit queue is falling behind",
      metric: props.commitQueue.queue.metricApproximateAgeOfOldestMessage({ period: PERIOD, statistic: "max" }),
      threshold: HOUR_SECONDS,
      periods: 3,
    });
    this.#add("CommitErrors", {
      title: "Commit function fails",
      metric: errors(props.commit),
      threshold: 1,
      periods: 3,
    });
    this.#add("SweepErrors", { title: "Sweep function fails", metric: errors(props.sweep), threshold: 1, periods: 3 });
    this.#add("BackfillFailed", {
      title: "Listing run failed",
      metric: props.backfill.metricFailed({ period: PERIOD, statistic: "sum" }),
      threshold: 1,
      periods: 1,
    });
    this.#add("ListingSlow", {
      title: "Listing takes long",
      metric: own(this, METRICS.listingSeconds, "max"),
      threshold: LIMITS.listingSecondsMax,
      periods: 1,
    });
    this.#add("FilesMissed", {
      title: "Events missed files",
      metric: own(this, METRICS.filesMissed),
      threshold: 1,
      periods: 1,
    });
    this.#add("AssumptionsBroken", {
      title: "Listing assumption broken",
      metric: own(this, METRICS.assumptionsBroken),
      threshold: 1,
      periods: 1,
    });
    this.#add("TableCorrupt", {
      title: "Table corrupt",
      metric: own(this, METRICS.tableCorrupt),
      threshold: 1,
      periods: 1,
    });
  }

  #add(id: string, { title, metric, threshold, periods }: AlarmOptions): void {
    const alarm = new cloudwatch.Alarm(this, id, {
      alarmName: `${Stack.of(this).stackName}: ${title}`,
      alarmDescription: `What it means and what to do: docs/operations.md, section "${title}"`,
      metric,
      threshold,
      evaluationPeriods: periods,
      comparisonOperator: cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
      treatMissingData: cloudwatch.TreatMissingData.NOT_BREACHING,
    });
    alarm.addAlarmAction(new SnsAction(this.topic));
  }
}

function visible(queue: sqs.Queue): cloudwatch.Metric {
  return queue.metricApproximateNumberOfMessagesVisible({ period: PERIOD, statistic: "max" });
}

function errors(fn: lambda.Function): cloudwatch.Metric {
  return fn.metricErrors({ period: PERIOD, statistic: "sum" });
}

/** Powertools adds the dimension `service`, which tells the stacks of one account apart. */
function own(scope: Construct, metricName: string, statistic: "sum" | "max" = "sum"): cloudwatch.Metric {
  return new cloudwatch.Metric({
    namespace: METRIC_NAMESPACE,
    metricName,
    dimensionsMap: { service: Stack.of(scope).stackName },
    period: PERIOD,
    statistic,
  });
}
