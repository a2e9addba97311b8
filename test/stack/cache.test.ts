// The discover function with and without a cache: what it may do, where it runs, and that no other function changes.

import { AwsSolutionsChecks, ServerlessChecks } from "cdk-nag";
import { beforeAll, describe, expect, test } from "vitest";
import { type Json, only, readExample, type Synthesized, synthesize } from "./synthesize.ts";

const SECRET = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:cache-AbCdEf";
const VPC = { SubnetIds: ["subnet-01234567", "subnet-89abcdef"], SecurityGroupIds: ["sg-01234567"] };
const SECTION = `
discovery:
  cache: { url: "rediss://cache.example.com:6379", secretArn: "${SECRET}" }
  vpc: { subnetIds: [${VPC.SubnetIds.join(", ")}], securityGroupIds: [${VPC.SecurityGroupIds.join(", ")}] }
`;

let without: Synthesized;
let cached: Synthesized;
beforeAll(async () => {
  without = await synthesize();
  cached = await synthesize(`${readExample("moraine.yaml")}${SECTION}`);
});

function statements(stack: Synthesized, name: string): readonly { Action: Json; Resource: Json }[] {
  const { Properties } = only(stack, "AWS::IAM::Policy", `${name}Code`);
  return (Properties["PolicyDocument"] as { Statement: { Action: Json; Resource: Json }[] }).Statement;
}

const vpcOf = (stack: Synthesized, name: string) =>
  only(stack, "AWS::Lambda::Function", `${name}Code`).Properties["VpcConfig"];

describe("the discover function", () => {
  test("enters the VPC that is named, and none otherwise", () => {
    expect(vpcOf(cached, "Discovery")).toEqual(VPC);
    expect(vpcOf(without, "Discovery")).toBe(undefined);
  });

  test("may read that one secret and have network interfaces, and nothing of it without a cache", () => {
    const added = statements(cached, "Discovery").slice(statements(without, "Discovery").length);
    expect(added).toMatchObject([
      { Action: "secretsmanager:GetSecretValue", Resource: SECRET },
      { Action: expect.arrayContaining(["ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface"]), Resource: "*" },
    ]);
    expect(
      added.flatMap(({ Action }) => Action).filter((action) => !/^(ec2|secretsmanager):/.test(String(action))),
    ).toEqual([]);
  });
});

test.each(["Load", "Commit", "Sweep"])("the function of %s stays as it is", (name) => {
  expect(vpcOf(cached, name)).toBe(undefined);
  expect(statements(cached, name).length).toBe(statements(without, name).length);
});

test("cdk-nag finds nothing in a stack with a cache", () => {
  const packs = [new AwsSolutionsChecks(cached.app), new ServerlessChecks(cached.app)];
  expect(packs.flatMap((pack) => pack.validateScope(cached.stack).violations.map(({ ruleName }) => ruleName))).toEqual(
    [],
  );
});
