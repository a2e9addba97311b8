// cdk-nag over the whole app: a finding fails the synth. An exception stands beside the construct it is for, with its reason.

import { type App, Stack, Validations } from "aws-cdk-lib";
import { AwsSolutionsChecks, ServerlessChecks } from "cdk-nag";
import { flattenCfnReference } from "cdk-nag/lib/utils/flatten-cfn-reference.js";
import type { IConstruct } from "constructs";

const LOG_POLICY = "service-role/AWSLambdaBasicExecutionRole";

export function checkRules(app: App): void {
  Validations.of(app).addPlugins(new AwsSolutionsChecks(app), new ServerlessChecks(app));
}

/** `reasons`: rule id to the reason why it does not hold for this construct and what is below it. */
export function acknowledge(construct: IConstruct, reasons: Readonly<Record<string, string>>): void {
  for (const [id, reason] of Object.entries(reasons)) Validations.of(construct).acknowledge({ id, reason });
}

/** One wildcard resource of a role, and no other: a wildcard added elsewhere is still a finding. */
export function acknowledgeWildcard(construct: IConstruct, resource: string, reason: string): void {
  const written = flattenCfnReference(Stack.of(construct).resolve(resource));
  acknowledge(construct, { [`AwsSolutions-IAM5[Resource::${written}]`]: reason });
}

/** CDK makes this function itself, once per stack, to write bucket notifications; its code and role are not ours to change. */
export function acknowledgeNotificationsHandler(stack: Stack): void {
  const handler = stack.node.children.find((child) => child.node.id.startsWith("BucketNotificationsHandler"));
  if (handler === undefined) return;
  acknowledge(handler, {
    [`AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/${LOG_POLICY}]`]:
      "cdk's own notifications handler: the managed policy lets it write its log and nothing more",
    "AwsSolutions-IAM5[Resource::*]":
      "cdk's own notifications handler: it puts notifications on existing buckets, known only when deployed",
  });
}
