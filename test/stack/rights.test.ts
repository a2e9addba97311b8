// What each function may do, read from the policies as deployed. A right not listed here is a right too many.

import { beforeAll, describe, expect, test } from "vitest";
import { type Json, only, type Synthesized, synthesize } from "./synthesize.ts";

interface Statement {
  readonly actions: readonly string[];
  readonly resources: readonly string[];
}

let stack: Synthesized;
beforeAll(async () => {
  stack = await synthesize();
});

const FUNCTIONS = ["Load", "Commit", "Sweep", "Discovery"] as const;
const WITH_CATALOG: readonly string[] = ["Load", "Commit", "Sweep"];

function statements(name: string): readonly Statement[] {
  const { Properties } = only(stack, "AWS::IAM::Policy", `${name}Code`);
  const document = Properties["PolicyDocument"] as { Statement: { Action: Json; Resource: Json }[] };
  return document.Statement.map(({ Action, Resource }) => ({
    actions: [Action].flat() as string[],
    resources: [Resource].flat().map(flat),
  }));
}

/** `Fn::GetAtt` and `Ref` as <LogicalId>, joins joined. */
function flat(value: Json): string {
  if (typeof value === "string") return value;
  const node = value as { [name: string]: Json };
  if (node["Fn::Join"] !== undefined) return ((node["Fn::Join"] as [string, Json[]])[1] as Json[]).map(flat).join("");
  if (node["Fn::GetAtt"] !== undefined) return `<${(node["Fn::GetAtt"] as string[])[0]}>`;
  return `<${String(node["Ref"])}>`;
}

/** Resources on which the function may do the action. */
function where(name: string, action: string): readonly string[] {
  return statements(name)
    .filter(({ actions }) => actions.includes(action))
    .flatMap(({ resources }) => resources);
}

describe.each(FUNCTIONS)("%s", (name) => {
  test("no action is a wildcard and no resource is everything", () => {
    for (const { actions, resources } of statements(name)) {
      expect(actions.filter((action) => action.includes("*"))).toEqual([]);
      expect(resources.filter((resource) => /^\*|:\*$/.test(resource))).toEqual([]);
    }
  });

  test("no landing object can be written or deleted", () => {
    const writes = statements(name).filter(({ actions }) =>
      actions.some((action) => /^s3:(Put|Delete|Abort|Restore)/.test(action)),
    );
    expect(writes.flatMap(({ resources }) => resources).filter((resource) => resource.startsWith("<Landing"))).toEqual(
      [],
    );
  });

  test("no managed policy widens the role", () => {
    expect(only(stack, "AWS::IAM::Role", `${name}Code`).Properties["ManagedPolicyArns"]).toBeUndefined();
  });

  test("the catalog is open for the configured tables and no others", () => {
    const tables = where(name, "glue:GetTable").filter((arn) => arn.includes(":table/"));
    const configured = ["audit/cloudtrail", "sales/orders", "web/clicks"].flatMap((name) => [
      name,
      `${name}_quarantine`,
    ]);
    expect(tables.map((arn) => arn.replace(/.*:table\//, "")).toSorted()).toEqual(
      WITH_CATALOG.includes(name) ? configured : [],
    );
    expect(where(name, "glue:DeleteTable")).toEqual([]);
  });

  test("the ledger can be neither scanned nor dropped", () => {
    const actions = statements(name).flatMap((statement) =>
      statement.actions.filter((action) => action.startsWith("dynamodb:")),
    );
    expect(actions.toSorted()).toEqual([
      "dynamodb:BatchGetItem",
      "dynamodb:DeleteItem",
      "dynamodb:GetItem",
      "dynamodb:PutItem",
      "dynamodb:Query",
    ]);
  });
});

test("load reads landing objects below the ingestions' prefixes only", () => {
  const landing = where("Load", "s3:GetObject").filter((resource) => resource.startsWith("<Landing"));
  expect(landing.map((resource) => resource.replace(/^<[^>]+>/, "")).toSorted()).toEqual([
    "/clicks/*",
    "/cloudtrail/*",
    "/orders/*",
  ]);
});

test("commit, sweep and discovery read no landing object", () => {
  for (const name of ["Commit", "Sweep", "Discovery"]) {
    expect(where(name, "s3:GetObject").filter((resource) => resource.startsWith("<Landing"))).toEqual([]);
  }
});

test("only the sweeper can delete data files", () => {
  for (const name of ["Load", "Commit"]) {
    for (const resource of where(name, "s3:DeleteObject")) expect(resource).toMatch(/\/metadata\/\*$/);
  }
  expect(where("Sweep", "s3:DeleteObject").some((resource) => resource.endsWith(">/*"))).toBe(true);
});

test("only load creates tables, and only the sweeper alerts", () => {
  expect(where("Load", "glue:CreateTable")).not.toEqual([]);
  expect(where("Commit", "glue:CreateTable")).toEqual([]);
  expect(where("Sweep", "glue:CreateTable")).toEqual([]);
  expect(where("Sweep", "sns:Publish")).toHaveLength(1);
  for (const name of ["Load", "Commit", "Discovery"]) expect(where(name, "sns:Publish")).toEqual([]);
});

test("load and sweep can send events anew, and only to our queues", () => {
  for (const name of ["Load", "Sweep"]) {
    const queues = where(name, "sqs:SendMessage");
    expect(queues.map((queue) => queue.replace(/Queue[0-9A-F]+>$/, ">")).toSorted()).toEqual(["<Commit>", "<Intake>"]);
  }
});

test("a deleted object is answered with 404, not with access denied", () => {
  const listed = where("Load", "s3:ListBucket");
  expect(listed.some((resource) => resource.startsWith("<Landing"))).toBe(true);
  expect(listed.some((resource) => resource.startsWith("<Warehouse"))).toBe(true);
});

test("discovery lists landing buckets, writes below its own folder and sends to the backfill queue alone", () => {
  expect(where("Discovery", "s3:ListBucket").some((resource) => resource.startsWith("<Landing"))).toBe(true);
  for (const action of ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]) {
    for (const resource of where("Discovery", action)) expect(resource).toMatch(/^<Warehouse[^>]+>\/_moraine\/\*$/);
  }
  const [queue = "", ...others] = where("Discovery", "sqs:SendMessage");
  expect(queue).toMatch(/^<IntakeBackfill/);
  expect(others).toEqual([]);
});
