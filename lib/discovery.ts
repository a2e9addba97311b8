// Discovery: the function that lists, the state machine that runs it, and the schedules that start runs by themselves.
// What is found goes to the backfill queue; rows are made by the loader alone.

import { Duration, Stack } from "aws-cdk-lib";
import * as events from "aws-cdk-lib/aws-events";
import { SfnStateMachine } from "aws-cdk-lib/aws-events-targets";
import type * as sfn from "aws-cdk-lib/aws-stepfunctions";
import { Construct } from "constructs";
import type { DiscoveryConfig, Ingestion, MoraineConfig } from "../lambdas/core/config.ts";
import { DISCOVERY_FOLDER } from "../lambdas/core/discovery/defaults.ts";
import type { Listing } from "../lambdas/core/discovery/model.ts";
import { DISCOVER_NODE_FLAGS, LIMITS } from "../lambdas/core/environment.ts";
import { backfillMachine } from "./backfill-machine.ts";
import { acknowledge } from "./checks.ts";
import { grantLedger } from "./grants.ts";
import type { Intake } from "./intake.ts";
import type { Landing } from "./landing.ts";
import type { Ledger } from "./ledger.ts";
import { MoraineFunction } from "./moraine-function.ts";
import type { Warehouse } from "./warehouse.ts";

export interface DiscoveryProps {
  /** With real bucket names. */
  readonly config: MoraineConfig;
  readonly bundle: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly landing: Landing;
  readonly intake: Intake;
  readonly ledger: Ledger;
  readonly warehouse: Warehouse;
}

export class Discovery extends Construct {
  readonly code: MoraineFunction;
  readonly machine: sfn.StateMachine;

  constructor(scope: Construct, id: string, props: DiscoveryProps) {
    super(scope, id);
    this.code = new MoraineFunction(this, "Code", {
      bundle: props.bundle,
      description: "Moraine: lists buckets and sends what the ledger does not know to be loaded",
      memoryMb: LIMITS.discoverMemoryMb,
      timeoutSeconds: LIMITS.discoverTimeoutSeconds,
      environment: { ...props.environment, NODE_OPTIONS: DISCOVER_NODE_FLAGS.join(" ") },
    });
    this.#grant(props);
    this.#reachCache(props.config.discovery);
    this.machine = backfillMachine(this, "Backfill", {
      code: this.code.function,
      bucketName: props.warehouse.bucket.bucketName,
      roundsArn: props.warehouse.arnOf(`${DISCOVERY_FOLDER}/*/runs/*`),
    });
    for (const ingestion of props.config.ingestions) this.#schedule(ingestion);
  }

  #grant({ config, landing, intake, ledger, warehouse }: DiscoveryProps): void {
    this.code.allow(
      ["s3:ListBucket"],
      [...landing.buckets.values()].map((bucket) => bucket.bucketArn),
    );
    // Its own folder in the warehouse: what rounds consist of, and what earlier runs have seen.
    this.code.allow(["s3:GetObject", "s3:PutObject", "s3:DeleteObject"], [warehouse.arnOf(`${DISCOVERY_FOLDER}/*`)]);
    this.code.allow(["s3:ListBucket"], [warehouse.bucket.bucketArn]);
    const inventories = [...new Set(config.ingestions.flatMap(inventoryLocations))];
    this.code.allow(
      ["s3:GetObject"],
      inventories.map((uri) => this.#arnOf(`${uri}/*`)),
    );
    this.code.allow(
      ["s3:ListBucket"],
      inventories.map((uri) => this.#arnOf(uri.split("/").slice(0, 3).join("/"))),
    );
    grantLedger(this.code, ledger);
    this.code.allow(["sqs:SendMessage"], [intake.backfill.queueArn]);
  }

  #arnOf(uri: string): string {
    return Stack.of(this).formatArn({ service: "s3", region: "", account: "", resource: uri.replace("s3://", "") });
  }

  /** The server is somebody else's: here is only what the function needs to get at it. */
  #reachCache({ cache, vpc }: DiscoveryConfig = {}): void {
    if (cache?.secretArn !== undefined) this.code.allow(["secretsmanager:GetSecretValue"], [cache.secretArn]);
    if (vpc !== undefined) this.code.enterVpc(vpc);
  }

  /** One ingestion may have several listings of one strategy: each rule says all of its own. */
  #schedule({ id, discovery }: Ingestion): void {
    for (const [index, { listing, everySeconds }] of discovery.schedules.entries()) {
      const input = { ingestion: id, strategy: listing.strategy, ...optionsOf(listing), trigger: "schedule" };
      const rule = new events.Rule(this, `Schedule-${id}-${index}`, {
        description: `Moraine: lists ${id} (${listing.strategy})`,
        schedule: events.Schedule.rate(Duration.seconds(everySeconds)),
        targets: [
          new SfnStateMachine(this.machine, { input: events.RuleTargetInput.fromObject(input), retryAttempts: 0 }),
        ],
      });
      acknowledge(rule, { "Serverless-EventBusDLQ": "a lost tick is repeated by the next one" });
    }
  }
}

/** As a run's input names them: docs/backfill.md. How old an inventory may be is looked up by its location. */
function optionsOf(listing: Listing): Record<string, unknown> {
  const seconds = (ms: number) => `${ms / 1000}s`;
  switch (listing.strategy) {
    case "full":
      return {};
    case "incremental_lexical":
      return { lookback: listing.lookbackKeys };
    case "incremental_time":
      return { overlap: seconds(listing.overlapMs) };
    case "partitioned":
      return { pattern: listing.pattern, lookback: seconds(listing.lookbackMs) };
    case "inventory":
      return { inventory: listing.location };
  }
}

function inventoryLocations({ discovery }: Ingestion): string[] {
  const listings = [discovery.listing, ...discovery.schedules.map(({ listing }) => listing)];
  return listings.flatMap((listing) => (listing.strategy === "inventory" ? [listing.location.replace(/\/$/, "")] : []));
}
