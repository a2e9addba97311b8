// A small cloud assembly with the resource kinds of Moraine's stack, written by hand, so that the local stack is tested
// without the app: what goes wrong here is the emulation's fault.

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export interface FixtureFunction {
  /** CommonJS source of index.js. */
  readonly source: string;
  readonly timeout?: number;
  readonly environment?: Record<string, unknown>;
}

export interface Fixture {
  readonly functions: Readonly<Record<string, FixtureFunction>>;
  readonly resources: Readonly<Record<string, unknown>>;
  readonly outputs?: Readonly<Record<string, unknown>>;
}

export function writeAssembly(folder: string, fixture: Fixture): string {
  const files: Record<string, unknown> = {};
  const functions = Object.entries(fixture.functions).map(([id, { source, timeout, environment }]) => {
    const hash = `hash${id.toLowerCase()}`;
    mkdirSync(join(folder, `asset.${hash}`), { recursive: true });
    writeFileSync(join(folder, `asset.${hash}`, "index.js"), source);
    files[hash] = {
      source: { path: `asset.${hash}`, packaging: "zip" },
      destinations: { here: { bucketName: "assets", objectKey: `${hash}.zip` } },
    };
    const S3Bucket = { "Fn::Sub": ["cdk-assets-$", "{AWS::AccountId}"].join("") };
    const Code = { S3Bucket, S3Key: `${hash}.zip` };
    const Environment = { Variables: environment ?? {} };
    const Properties = { Code, Handler: "index.handler", Runtime: "nodejs24.x", Timeout: timeout ?? 10, Environment };
    return [id, { Type: "AWS::Lambda::Function", Properties, Metadata: { "aws:cdk:path": `Test/${id}/Resource` } }];
  });
  const template = {
    Resources: { ...Object.fromEntries(functions), ...fixture.resources },
    Outputs: fixture.outputs ?? {},
  };
  const artifacts = {
    "Test.assets": { type: "cdk:asset-manifest", properties: { file: "Test.assets.json" } },
    Test: { type: "aws:cloudformation:stack", properties: { templateFile: "Test.template.json" } },
  };
  writeFileSync(join(folder, "manifest.json"), JSON.stringify({ version: "43.0.0", artifacts }));
  writeFileSync(join(folder, "Test.assets.json"), JSON.stringify({ version: "43.0.0", files }));
  writeFileSync(join(folder, "Test.template.json"), JSON.stringify(template));
  return folder;
}

export const arn = (id: string) => ({ "Fn::GetAtt": [id, "Arn"] });
export const ref = (id: string) => ({ Ref: id });

/** Landing bucket, intake queue with dead-letter queue, loader, ledger table, commit queue, committer, schedule, database. */
export function pipeline(loader: string, committer = "exports.handler = async () => null;"): Fixture {
  const environment = { LEDGER_TABLE: ref("Ledger"), COMMIT_QUEUE_URL: ref("CommitQueue"), LANDING: ref("Landing") };
  return {
    functions: { Load: { source: loader, environment, timeout: 20 }, Commit: { source: committer, environment } },
    resources: {
      Landing: { Type: "AWS::S3::Bucket", Properties: {} },
      LandingNotifications: {
        Type: "Custom::S3BucketNotifications",
        Properties: {
          ServiceToken: "unused",
          BucketName: ref("Landing"),
          NotificationConfiguration: {
            QueueConfigurations: [
              {
                Events: ["s3:ObjectCreated:*"],
                QueueArn: arn("Intake"),
                Filter: { Key: { FilterRules: [{ Name: "prefix", Value: "in/" }] } },
              },
            ],
          },
        },
      },
      IntakeDlq: { Type: "AWS::SQS::Queue", Properties: {} },
      Intake: {
        Type: "AWS::SQS::Queue",
        Properties: {
          VisibilityTimeout: 30,
          RedrivePolicy: { deadLetterTargetArn: arn("IntakeDlq"), maxReceiveCount: 3 },
        },
      },
      IntakeSource: {
        Type: "AWS::Lambda::EventSourceMapping",
        Properties: {
          FunctionName: ref("Load"),
          EventSourceArn: arn("Intake"),
          BatchSize: 100,
          MaximumBatchingWindowInSeconds: 1,
          FunctionResponseTypes: ["ReportBatchItemFailures"],
        },
      },
      CommitQueue: {
        Type: "AWS::SQS::Queue",
        Properties: { QueueName: "test-commit.fifo", FifoQueue: true, DelaySeconds: 1, VisibilityTimeout: 30 },
      },
      CommitSource: {
        Type: "AWS::Lambda::EventSourceMapping",
        Properties: {
          FunctionName: ref("Commit"),
          EventSourceArn: arn("CommitQueue"),
          FunctionResponseTypes: ["ReportBatchItemFailures"],
        },
      },
      Ledger: {
        Type: "AWS::DynamoDB::GlobalTable",
        Properties: {
          AttributeDefinitions: ["pk", "sk", "gpk", "gsk"].map((name) => ({ AttributeName: name, AttributeType: "S" })),
          KeySchema: [
            { AttributeName: "pk", KeyType: "HASH" },
            { AttributeName: "sk", KeyType: "RANGE" },
          ],
          BillingMode: "PAY_PER_REQUEST",
          GlobalSecondaryIndexes: [
            {
              IndexName: "people",
              KeySchema: [
                { AttributeName: "gpk", KeyType: "HASH" },
                { AttributeName: "gsk", KeyType: "RANGE" },
              ],
              Projection: { ProjectionType: "ALL" },
            },
          ],
          TimeToLiveSpecification: { AttributeName: "expiresAt", Enabled: true },
          Replicas: [{ Region: { Ref: "AWS::Region" } }],
        },
      },
      Sweep: {
        Type: "AWS::Events::Rule",
        Properties: {
          ScheduleExpression: "rate(1 minute)",
          State: "ENABLED",
          Targets: [{ Id: "Target0", Arn: arn("Commit"), Input: '{"sweep":true}' }],
        },
      },
      Database: {
        Type: "AWS::Glue::Database",
        Properties: { CatalogId: ref("AWS::AccountId"), DatabaseInput: { Name: "Sales" } },
      },
      Role: { Type: "AWS::IAM::Role", Properties: {} },
    },
    outputs: {
      LandingBucket: { Value: ref("Landing") },
      Where: { Value: { "Fn::Join": ["-", ["in", ref("AWS::Region")]] } },
    },
  };
}
