// The landing buckets and their notifications into the intake queue. S3 refuses two rules of one bucket whose prefixes
// overlap, so ingestions are covered by the fewest prefixes that contain them all; the loader routes by the exact ones.
// Where files are found by listing alone, the bucket gets no rule.
// A bucket that was there before must have no foreign ObjectCreated rule on an overlapping prefix: S3 would refuse ours.

import { Duration, RemovalPolicy } from "aws-cdk-lib";
import * as s3 from "aws-cdk-lib/aws-s3";
import { SqsDestination } from "aws-cdk-lib/aws-s3-notifications";
import type * as sqs from "aws-cdk-lib/aws-sqs";
import { Construct } from "constructs";
import type { MoraineConfig } from "../lambdas/core/config.ts";
import { acknowledge } from "./checks.ts";

/** S3 allows 100 notification rules per bucket. */
const RULES_MAX = 100;

export class Landing extends Construct {
  /** By the name in moraine.yaml. */
  readonly buckets: ReadonlyMap<string, s3.IBucket | s3.Bucket>;

  constructor(scope: Construct, id: string, props: { config: MoraineConfig; intake: sqs.Queue }) {
    super(scope, id);
    const buckets = new Map<string, s3.IBucket | s3.Bucket>();
    for (const { bucket: name, existing } of props.config.landing) {
      const bucket = existing ? s3.Bucket.fromBucketName(this, name, name) : this.#create(name);
      for (const prefix of notificationPrefixes(props.config, name)) {
        const filter = prefix === "" ? [] : [{ prefix }];
        bucket.addEventNotification(s3.EventType.OBJECT_CREATED, new SqsDestination(props.intake), ...filter);
      }
      buckets.set(name, bucket);
    }
    this.buckets = buckets;
  }

  /** `pattern`: of the keys meant. */
  arnOf(name: string, pattern: string): string {
    return this.bucket(name).arnForObjects(pattern);
  }

  bucket(name: string): s3.IBucket | s3.Bucket {
    const bucket = this.buckets.get(name);
    if (bucket === undefined) throw new Error(`landing bucket not declared name=${name}`);
    return bucket;
  }

  #create(name: string): s3.Bucket {
    const bucket = new s3.Bucket(this, name, {
      encryption: s3.BucketEncryption.S3_MANAGED,
      blockPublicAccess: s3.BlockPublicAccess.BLOCK_ALL,
      enforceSSL: true,
      removalPolicy: RemovalPolicy.RETAIN,
      lifecycleRules: [{ abortIncompleteMultipartUploadAfter: Duration.days(7) }],
    });
    acknowledge(bucket, {
      "AwsSolutions-S1": "the ledger records every object read; access logs are the owner's choice and cost",
    });
    return bucket;
  }
}

/** Prefixes of which none contains another and which together contain every ingestion of the bucket that events bring files to. */
export function notificationPrefixes(config: MoraineConfig, bucket: string): readonly string[] {
  const wanted = config.ingestions
    .filter((ingestion) => ingestion.source.bucket === bucket && ingestion.discovery.events)
    .map((ingestion) => beforeUnsafe(ingestion.source.prefix))
    .sort();
  const covering: string[] = [];
  for (const prefix of wanted) {
    const last = covering.at(-1);
    if (last === undefined || !prefix.startsWith(last)) covering.push(prefix);
  }
  return covering.length <= RULES_MAX ? covering : [""];
}

/** Rules want other characters URL-encoded, with differences between tools; the rule ends before the first one instead. */
function beforeUnsafe(prefix: string): string {
  return /^[A-Za-z0-9!_.*'()/-]*/.exec(prefix)?.[0] ?? "";
}
