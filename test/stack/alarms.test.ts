// Every alarm tells a person what to do: a topic to be told by, and a section of docs/operations.md of the same title.

import { beforeAll, expect, test } from "vitest";
import { METRIC_NAMESPACE, METRICS } from "../../lambdas/core/environment.ts";
import { type Json, readExample, type Synthesized, synthesize } from "./synthesize.ts";

let stack: Synthesized;
let titles: readonly string[];
beforeAll(async () => {
  stack = await synthesize();
  titles = alarms().map(({ Properties }) => String(Properties["AlarmName"]).replace("Moraine: ", ""));
});

const alarms = () => stack.resources("AWS::CloudWatch::Alarm").map(([, alarm]) => alarm);

test("every alarm has its section, and every section its alarm", () => {
  const sections = readExample("docs/operations.md").matchAll(/^## (.+)$/gm);
  expect([...sections].map((match) => match[1]).toSorted()).toEqual(titles.toSorted());
});

test("every section says what it means, how to look and what to do", () => {
  for (const section of readExample("docs/operations.md").split(/^## /m).slice(1)) {
    for (const part of ["**Description.**", "**Investigation.**", "**Resolution.**"]) expect(section).toContain(part);
  }
});

test("every alarm names its section and reaches the topic", () => {
  const topic = stack.resources("AWS::SNS::Topic")[0]?.[0];
  for (const [index, { Properties }] of alarms().entries()) {
    expect(Properties["AlarmDescription"]).toContain(`docs/operations.md, section "${titles[index]}"`);
    expect(Properties["AlarmActions"]).toEqual([{ Ref: topic }]);
  }
});

test("a table that disagrees with its ledger raises an alarm on the metric the functions emit", () => {
  const alarm = alarms().find(({ Properties }) => Properties["MetricName"] === METRICS.tableCorrupt);
  expect(alarm?.Properties).toMatchObject({ Namespace: METRIC_NAMESPACE, Threshold: 1, EvaluationPeriods: 1 });
  const services = stack.resources("AWS::Lambda::Function").flatMap(([, { Properties }]) => {
    const { Variables } = (Properties["Environment"] ?? {}) as { Variables?: Record<string, Json> };
    return Variables?.["POWERTOOLS_SERVICE_NAME"] ?? [];
  });
  expect(services).toHaveLength(4);
  for (const Value of services) expect(alarm?.Properties["Dimensions"]).toEqual([{ Name: "service", Value }]);
});

test("both dead-letter queues raise an alarm at the first message", () => {
  const watched = alarms()
    .filter(({ Properties }) => Properties["MetricName"] === "ApproximateNumberOfMessagesVisible")
    .map(({ Properties }) => JSON.stringify(Properties["Dimensions"]));
  expect(watched).toHaveLength(2);
  for (const dimensions of watched) expect(dimensions).toContain("DeadLetters");
});
