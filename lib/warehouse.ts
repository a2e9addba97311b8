// Where tables live: the warehouse bucket and the Glue databases. Both are kept when the stack goes.
// Versions are kept for a week: whatever deletes a live file by mistake, a person can still bring it back.

import { Aws, Duration, RemovalPolicy, Stack } from "aws-cdk-lib";
import * as glue from "aws-cdk-lib/aws-glue";
import * as s3 from "aws-cdk-lib/aws-s3";
import { Construct } from "constructs";
import type { MoraineConfig } from "../lambdas/core/config.ts";
import type { TableName } from "../lambdas/core/ids.ts";
import { quarantineTable } from "../lambdas/core/schema/quarantine.ts";
import { acknowledge } from "./checks.ts";

export class Warehouse extends Construct {
  readonly bucket: s3.IBucket | s3.Bucket;
  /** Without a slash at the end. */
  readonly uri: string;
  /** Bucket ARNs of the warehouse and of every table with a location of its own. */
  readonly bucketArns: readonly string[];
  /** ARN patterns of everything below them. */
  readonly objectArns: readonly string[];
  readonly metadataArns: readonly string[];
  /** The catalog, the databases and the very tables of moraine.yaml: what Glue checks for each call on a table. */
  readonly catalogArns: readonly string[];
  readonly #folderArn: string;

  constructor(scope: Construct, id: string, props: { config: MoraineConfig }) {
    super(scope, id);
    const { config } = props;
    const { bucket, existing, prefix } = config.warehouse;
    this.bucket = existing ? s3.Bucket.fromBucketName(this, bucket, bucket) : this.#create(bucket);
    const folder = prefix === "" ? "" : `/${prefix}`;
    this.uri = `s3://${this.bucket.bucketName}${folder}`;
    const locations = config.ingestions.flatMap(({ target }) => target.location ?? []);
    this.#folderArn = `${this.bucket.bucketArn}${folder}`;
    const folders = [this.#folderArn, ...locations.map((uri) => this.#arnOfLocation(uri, bucket))];
    this.bucketArns = [...new Set([this.bucket.bucketArn, ...locations.map((uri) => this.#bucketArn(uri, bucket))])];
    this.objectArns = [...new Set(folders)].map((arn) => `${arn}/*`);
    this.metadataArns = [
      `${this.bucket.bucketArn}${folder}/*/metadata/*`,
      ...locations.map((uri) => `${this.#arnOfLocation(uri, bucket)}/metadata/*`),
    ];
    this.catalogArns = this.#catalogArns(config);
    this.#createDatabases(config);
  }

  /** ARN pattern of keys below the warehouse's own folder. */
  arnOf(pattern: string): string {
    return `${this.#folderArn}/${pattern}`;
  }

  #create(name: string): s3.Bucket {
    const bucket = new s3.Bucket(this, name, {
      encryption: s3.BucketEncryption.S3_MANAGED,
      blockPublicAccess: s3.BlockPublicAccess.BLOCK_ALL,
      enforceSSL: true,
      versioned: true,
      removalPolicy: RemovalPolicy.RETAIN,
      lifecycleRules: [
        {
          abortIncompleteMultipartUploadAfter: Duration.days(7),
          noncurrentVersionExpiration: Duration.days(7),
          expiredObjectDeleteMarker: true,
        },
      ],
    });
    acknowledge(bucket, {
      "AwsSolutions-S1": "snapshots record every write; access logs are the owner's choice and cost",
    });
    return bucket;
  }

  #createDatabases(config: MoraineConfig): void {
    for (const { database, existing } of config.databases ?? []) {
      if (existing) continue;
      const created = new glue.CfnDatabase(this, `Database-${database}`, {
        catalogId: Aws.ACCOUNT_ID,
        databaseInput: { name: database, locationUri: `${this.uri}/${database}` },
      });
      created.applyRemovalPolicy(RemovalPolicy.RETAIN);
    }
  }

  #catalogArns(config: MoraineConfig): readonly string[] {
    const arn = (resource: string): string => Stack.of(this).formatArn({ service: "glue", resource });
    const tables = config.ingestions.map(({ target }) => target);
    // Also where nothing is put into quarantine any more: what was may still be on its way.
    const targets: TableName[] = [...tables, ...tables.map(quarantineTable)];
    return [
      arn("catalog"),
      ...new Set(targets.map(({ database }) => arn(`database/${database}`))),
      ...new Set(targets.map(({ database, table }) => arn(`table/${database}/${table}`))),
    ];
  }

  #bucketArn(uri: string, warehouse: string): string {
    const name = uri.split("/")[2] ?? "";
    return name === warehouse
      ? this.bucket.bucketArn
      : Stack.of(this).formatArn({ service: "s3", region: "", account: "", resource: name });
  }

  #arnOfLocation(uri: string, warehouse: string): string {
    return `${this.#bucketArn(uri, warehouse)}/${uri.split("/").slice(3).join("/")}`;
  }
}
