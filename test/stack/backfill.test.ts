// The state machine as Step Functions would take it, and what starts it by itself.

import { createRequire } from "node:module";
import { beforeAll, expect, test } from "vitest";
import type { MoraineConfig } from "../../lambdas/core/config.ts";
import { parseConfig } from "../../lambdas/core/config-file.ts";
import { readRunInput } from "../../lambdas/core/discovery/run-input.ts";
import { resolveBuckets } from "../../lambdas/core/resolve-buckets.ts";
import { type Json, only, type Synthesized, synthesize } from "./synthesize.ts";

/** Has no types of its own. */
const validate = createRequire(import.meta.url)("asl-validator") as (
  definition: unknown,
  options: { readonly checkArn: boolean },
) => { readonly isValid: boolean };

const YAML = `
warehouse: { bucket: warehouse }
ingestions:
  - id: logs
    source: { prefix: logs/ }
    format: { type: ndjson }
    target: { database: d, table: logs }
    discovery:
      reconcile:
        - { strategy: partitioned, pattern: "%Y/%m/%d", lookback: 2d, every: 1h }
        - { strategy: partitioned, pattern: "%Y/%m/%d", lookback: 30d, every: 7d }
        - { strategy: incremental_lexical, lookback: 5, every: 1d }
        - { strategy: incremental_time, lookback: 90m, every: 1d }
        - { strategy: inventory, location: "s3://warehouse/reports/landing/all", ageMax: 30h, every: 1d }
        - { strategy: inventory, location: "s3://elsewhere/reports/landing/all", every: 1d }
        - { strategy: full, every: 1d }
  - id: orders
    source: { prefix: orders/ }
    format: { type: csv }
    target: { database: d, table: orders }
`;

let stack: Synthesized;
let definition: { readonly States: Readonly<Record<string, { [name: string]: Json }>> };
const state = (name: string) => definition.States[name] as { [name: string]: Json };
beforeAll(async () => {
  stack = await synthesize(YAML);
  const { DefinitionString } = only(stack, "AWS::StepFunctions::StateMachine", "Discovery").Properties;
  const parts = (DefinitionString as { "Fn::Join": [string, Json[]] })["Fn::Join"][1];
  definition = JSON.parse(parts.map((part) => (typeof part === "string" ? part : "aws")).join(""));
});

test("the definition is one that Step Functions accepts", () => {
  expect(validate(definition, { checkArn: false })).toMatchObject({ isValid: true });
});

test("a listing function that dies fails no run: what it left is gathered into the next round", () => {
  const { ListShards } = definition.States;
  expect(ListShards).toMatchObject({ ToleratedFailurePercentage: 100, Next: "Gather" });
  expect(definition.States["MoreToList"]).toMatchObject({ Choices: [{ Next: "ListShards" }], Default: "Finish" });
});

test("a plan that comes to no shards is finished without a map over nothing", () => {
  expect(state("Plan")).toMatchObject({ Next: "AnythingToList" });
  expect(state("AnythingToList")).toMatchObject({
    Choices: [{ Condition: "{% $round.shards = 0 %}", Next: "Finish" }],
    Default: "ListShards",
  });
});

test("an execution that finds another run under way waits, and begins again with its own input", () => {
  const { Choices } = state("AlreadyUnderWay") as unknown as { Choices: { Condition: string; Next: string }[] };
  const busy = Choices.find(({ Condition }) => Condition.includes('"busy"'));
  expect(state(busy?.Next ?? "")).toMatchObject({ Type: "Wait", Next: "Begin" });
  const payload = '"input":"{% $states.context.Execution.Input %}","before":"{% $states.input %}"';
  expect(JSON.stringify(state("Begin"))).toContain(payload);
});

test("every step after the beginning gives the ingestion free when it fails", () => {
  for (const name of ["Plan", "ListShards", "Gather", "Finish"]) {
    const [caught] = state(name)["Catch"] as { ErrorEquals: string[]; Next: string }[];
    expect(caught).toMatchObject({ ErrorEquals: ["States.ALL"], Next: "GiveUp" });
  }
});

test("a wrong input is not tried again", () => {
  const [first] = state("Begin")["Retry"] as { ErrorEquals: string[]; MaxAttempts: number }[];
  expect(first).toEqual({ ErrorEquals: ["Moraine.Invalid", "Moraine.Corrupt"], MaxAttempts: 0 });
});

test("each configured listing has its schedule, and an ingestion without one has none", () => {
  const rules = stack.resources("AWS::Events::Rule").filter(([id]) => id.startsWith("DiscoverySchedule"));
  expect(rules.map(([, { Properties }]) => Properties["ScheduleExpression"])).toEqual(
    ["1 hour", "7 days", ...Array(5).fill("1 day")].map((every) => `rate(${every})`),
  );
});

test("what a schedule asks for is its own listing, also where several have one strategy", () => {
  const real = { landing: "real-landing", warehouse: "real-warehouse" };
  const config = resolveBuckets(parseConfig(YAML, "test.yaml").config as MoraineConfig, real);
  const rules = stack.resources("AWS::Events::Rule").filter(([id]) => id.startsWith("DiscoverySchedule"));
  const listings = rules.map(([, { Properties }]) => {
    const [target] = Properties["Targets"] as { Input: Json }[];
    const { input } = readRunInput(config, JSON.parse(textOf(target?.Input ?? "")));
    expect([input.ingestion, input.trigger]).toEqual(["logs", "schedule"]);
    return input.listing;
  });
  expect(listings).toEqual(config.ingestions[0]?.discovery.schedules.map(({ listing }) => listing));
});

test("inventories can be read wherever they lie, also in a bucket that the stack creates", () => {
  const policies = JSON.stringify(only(stack, "AWS::IAM::Policy", "DiscoveryCode").Properties);
  expect(policies).toMatch(/:s3:::elsewhere\/reports\/landing\/all\/\*"/);
  expect(policies).toMatch(/:s3:::"?,\{"Ref":"Warehouse[^"]+"\},"\/reports\/landing\/all\/\*"/);
});

/** With `real-` names for the stack's buckets. */
function textOf(value: Json): string {
  if (typeof value === "string") return value;
  const { Ref, "Fn::Join": joined } = value as { Ref?: string; "Fn::Join"?: [string, Json[]] };
  return joined === undefined
    ? /^Landing/.test(Ref ?? "")
      ? "real-landing"
      : "real-warehouse"
    : joined[1].map(textOf).join("");
}
