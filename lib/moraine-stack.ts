// The stack, wired in the order data flows: landing -> intake -> load -> ledger and warehouse -> commit queue -> commit, with
// discovery before it (what no event named) and the sweeper behind all of it. Read this file first; each construct is one file.

import { CfnOutput, Stack } from "aws-cdk-lib";
import type { Construct } from "constructs";
import { idsText, type MoraineConfig } from "../lambdas/core/config.ts";
import { ENV } from "../lambdas/core/environment.ts";
import { resolveBuckets } from "../lambdas/core/resolve-buckets.ts";
import { Alarms } from "./alarms.ts";
import type { Bundles } from "./bundle.ts";
import { acknowledgeNotificationsHandler } from "./checks.ts";
import { CommitQueue } from "./commit-queue.ts";
import { Committer } from "./committer.ts";
import { Discovery } from "./discovery.ts";
import { Intake } from "./intake.ts";
import { Landing } from "./landing.ts";
import { Ledger } from "./ledger.ts";
import { Loader } from "./loader.ts";
import { Sweeper } from "./sweeper.ts";
import { Warehouse } from "./warehouse.ts";

export interface MoraineStackProps {
  readonly config: MoraineConfig;
  readonly bundles: Bundles;
}

export class MoraineStack extends Stack {
  constructor(scope: Construct, id: string, { config, bundles }: MoraineStackProps) {
    super(scope, id, {
      description: "Moraine: files that land in S3 become rows of Iceberg tables, each file exactly once",
    });
    const intake = new Intake(this, "Intake");
    const landing = new Landing(this, "Landing", { config, intake: intake.queue });
    const ledger = new Ledger(this, "Ledger");
    const warehouse = new Warehouse(this, "Warehouse", { config });
    acknowledgeNotificationsHandler(this);
    const { intervalSeconds } = config.commit;
    const commitQueue = new CommitQueue(this, "CommitQueue", { intervalSeconds });

    const created = createdBuckets(config, landing, warehouse);
    const buckets = this.toJsonString(created);
    const environment = {
      [ENV.buckets]: buckets,
      [ENV.ledgerTable]: ledger.table.tableName,
      [ENV.ledgerId]: ledger.ledgerId,
      [ENV.intakeQueueUrl]: intake.queue.queueUrl,
      [ENV.backfillQueueUrl]: intake.backfill.queueUrl,
      [ENV.commitQueueUrl]: commitQueue.queue.queueUrl,
      [ENV.warehouseUri]: warehouse.uri,
      [ENV.commitIntervalSeconds]: String(intervalSeconds),
    };
    const parts = { environment, intake, ledger, warehouse, commitQueue };
    const loader = new Loader(this, "Load", { ...parts, config, landing, bundle: bundles.load });
    const committer = new Committer(this, "Commit", { ...parts, bundle: bundles.commit });
    const sweeper = new Sweeper(this, "Sweep", { ...parts, bundle: bundles.sweep });
    const discovery = new Discovery(this, "Discovery", {
      ...parts,
      config: resolveBuckets(config, created),
      landing,
      bundle: bundles.discover,
    });

    const alarms = new Alarms(this, "Alarms", {
      intake,
      commitQueue,
      load: loader.code.function,
      commit: committer.code.function,
      sweep: sweeper.code.function,
      backfill: discovery.machine,
    });
    sweeper.alertTo(alarms.topic);
    this.#output({
      Buckets: buckets,
      Ingestions: idsText(config),
      WarehouseUri: warehouse.uri,
      LedgerTable: ledger.table.tableName,
      LedgerId: ledger.ledgerId,
      IntakeQueueUrl: intake.queue.queueUrl,
      BackfillQueueUrl: intake.backfill.queueUrl,
      BackfillStateMachineArn: discovery.machine.stateMachineArn,
      IntakeDeadLetterQueueUrl: intake.deadLetters.queueUrl,
      CommitQueueUrl: commitQueue.queue.queueUrl,
      CommitDeadLetterQueueUrl: commitQueue.deadLetters.queueUrl,
      AlarmTopicArn: alarms.topic.topicArn,
    });
  }

  /** The operator's command finds the stack's parts by these. */
  #output(values: Readonly<Record<string, string>>): void {
    for (const [name, value] of Object.entries(values)) new CfnOutput(this, name, { value });
  }
}

/** Buckets that existed before keep the name they have; only created ones need a translation. */
function createdBuckets(config: MoraineConfig, landing: Landing, warehouse: Warehouse): Record<string, string> {
  const created = config.landing
    .filter(({ existing }) => !existing)
    .map(({ bucket }) => [bucket, landing.bucket(bucket).bucketName] as const);
  const store = config.warehouse.existing ? [] : [[config.warehouse.bucket, warehouse.bucket.bucketName] as const];
  return Object.fromEntries([...created, ...store]);
}
