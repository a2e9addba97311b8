// What keeps data safe and private, whatever the configuration: encryption, TLS, retention, and where notifications go.

import { beforeAll, describe, expect, test } from "vitest";
import { parseConfig } from "../../lambdas/core/config-file.ts";
import { ENV, LEDGER_INDEX } from "../../lambdas/core/environment.ts";
import { notificationPrefixes } from "../../lib/landing.ts";
import { type Json, only, readExample, type Synthesized, synthesize } from "./synthesize.ts";

let stack: Synthesized;
beforeAll(async () => {
  stack = await synthesize();
});

/** Logical ids of the targets of policies that deny every request without TLS. */
function targetsOfTlsPolicies(type: string, property: string): readonly string[] {
  return stack.resources(type).flatMap(([, { Properties }]) => {
    const { Statement } = Properties["PolicyDocument"] as { Statement: { [name: string]: Json }[] };
    const denies = Statement.some((statement) => {
      const everybody = JSON.stringify(statement["Principal"]) === '{"AWS":"*"}';
      const withoutTls = JSON.stringify(statement["Condition"]) === '{"Bool":{"aws:SecureTransport":"false"}}';
      return statement["Effect"] === "Deny" && everybody && withoutTls && /:\*$/.test(String(statement["Action"]));
    });
    return denies ? ([Properties[property]].flat() as { Ref: string }[]).map(({ Ref }) => Ref) : [];
  });
}

test("no bucket and no queue answers a request without TLS", () => {
  const buckets = stack.resources("AWS::S3::Bucket").map(([id]) => id);
  expect(targetsOfTlsPolicies("AWS::S3::BucketPolicy", "Bucket").toSorted()).toEqual(buckets.toSorted());
  const queues = stack.resources("AWS::SQS::Queue").map(([id]) => id);
  expect(targetsOfTlsPolicies("AWS::SQS::QueuePolicy", "Queues").toSorted()).toEqual(queues.toSorted());
});

test("every bucket is encrypted, closed to the public and rid of abandoned uploads", () => {
  const buckets = stack.resources("AWS::S3::Bucket");
  expect(buckets).toHaveLength(2);
  for (const [, { Properties }] of buckets) {
    expect(Properties["BucketEncryption"]).toMatchObject({
      ServerSideEncryptionConfiguration: [{ ServerSideEncryptionByDefault: { SSEAlgorithm: "AES256" } }],
    });
    expect(Object.values(Properties["PublicAccessBlockConfiguration"] as object)).toEqual([true, true, true, true]);
    expect(JSON.stringify(Properties["LifecycleConfiguration"])).toContain("AbortIncompleteMultipartUpload");
  }
});

test("every queue is encrypted", () => {
  for (const [, { Properties }] of stack.resources("AWS::SQS::Queue"))
    expect(Properties["SqsManagedSseEnabled"]).toBe(true);
});

test("deleting the stack deletes neither landed files nor tables nor what was loaded", () => {
  for (const type of ["AWS::S3::Bucket", "AWS::DynamoDB::Table", "AWS::Glue::Database"]) {
    const found = stack.resources(type);
    expect(found.length).toBeGreaterThan(0);
    for (const [, resource] of found) {
      expect(resource.DeletionPolicy).toBe("Retain");
      expect(resource.UpdateReplacePolicy).toBe("Retain");
    }
  }
});

test("the ledger has the keys, the index and the expiry its adapter writes", () => {
  const { Properties } = only(stack, "AWS::DynamoDB::Table", "Ledger");
  expect(Properties["KeySchema"]).toEqual([
    { AttributeName: "partition", KeyType: "HASH" },
    { AttributeName: "sort", KeyType: "RANGE" },
  ]);
  expect(Properties["GlobalSecondaryIndexes"]).toMatchObject([
    {
      IndexName: LEDGER_INDEX,
      KeySchema: [
        { AttributeName: "indexPartition", KeyType: "HASH" },
        { AttributeName: "indexSort", KeyType: "RANGE" },
      ],
    },
  ]);
  expect(Properties["TimeToLiveSpecification"]).toEqual({ AttributeName: "expiresAt", Enabled: true });
});

test("a mistake on the ledger can be undone", () => {
  const { Properties } = only(stack, "AWS::DynamoDB::Table", "Ledger");
  expect(Properties["PointInTimeRecoverySpecification"]).toEqual({ PointInTimeRecoveryEnabled: true });
  expect(Properties["DeletionProtectionEnabled"]).toBe(true);
});

test("a stack made again has another ledger id: the id is the ledger table's own name", () => {
  const table = stack.resources("AWS::DynamoDB::Table")[0]?.[0];
  for (const name of ["LoadCode", "CommitCode", "SweepCode", "DiscoveryCode"]) {
    const { Variables } = only(stack, "AWS::Lambda::Function", name).Properties["Environment"] as {
      Variables: Record<string, Json>;
    };
    expect(Variables[ENV.ledgerId]).toEqual({ Ref: table });
    const missing = Object.values(ENV).filter((variable) => !(variable in Variables));
    expect(missing).toEqual(name === "SweepCode" ? [] : [ENV.alertTopicArn]);
  }
});

describe("notifications", () => {
  test("every ingestion's prefix is sent to the intake queue", () => {
    const { Properties } = only(stack, "Custom::S3BucketNotifications", "Landing");
    const { QueueConfigurations } = Properties["NotificationConfiguration"] as {
      QueueConfigurations: { [name: string]: Json }[];
    };
    expect(QueueConfigurations.map(({ Filter }) => JSON.stringify(Filter)).join()).toMatch(
      /clicks\/.*cloudtrail\/.*orders\//,
    );
    for (const { Events } of QueueConfigurations) expect(Events).toEqual(["s3:ObjectCreated:*"]);
  });

  test("prefixes that overlap become one rule, which S3 would otherwise refuse", () => {
    expect(rules(["logs/eu/", "logs/", "orders/"])).toEqual(["logs/", "orders/"]);
    expect(rules(["", "orders/"])).toEqual([""]);
  });

  test("a rule ends before a character that S3 wants encoded", () => {
    expect(rules(["logs/dt=2026/", "logs/über/"])).toEqual(["logs/"]);
  });

  test("more prefixes than S3 allows rules become one rule for the bucket", () => {
    expect(rules(Array.from({ length: 101 }, (_, index) => `source-${1000 + index}/`))).toEqual([""]);
  });
});

function rules(prefixes: readonly string[]): readonly string[] {
  const ingestions = prefixes.map((prefix, index) => ({
    id: `i${index}`,
    source: { prefix },
    format: { type: "ndjson" },
    target: { database: "d", table: `t${index}` },
  }));
  const { config, errors } = parseConfig(JSON.stringify({ ingestions }), "test.yaml");
  if (config === undefined) throw new Error(errors.join("\n"));
  return notificationPrefixes(config, "landing");
}

describe("existing buckets and databases", () => {
  test("are used and not created, and their other notifications stay", async () => {
    const existing = await synthesize(readExample("examples/cloudtrail.yaml"));
    expect(existing.resources("AWS::S3::Bucket").map(([id]) => id.startsWith("Warehouse"))).toEqual([true]);
    expect(existing.resources("AWS::Glue::Database")).toEqual([]);
    const { Properties } = only(existing, "Custom::S3BucketNotifications", "Landing");
    expect(Properties["BucketName"]).toBe("my-company-cloudtrail");
    expect(Properties["Managed"]).toBe(false);
  });
});
