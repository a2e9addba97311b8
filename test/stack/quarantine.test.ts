// A quarantine is a table like the others to those who may touch tables, and nobody had to list it.

import { expect, test } from "vitest";
import { synthesize } from "./synthesize.ts";

const YAML = `
ingestions:
  - id: lines
    source: { prefix: lines/ }
    format: { type: ndjson }
    target: { database: test, table: lines }
    onBadRow: quarantine
  - { id: sheets, source: { prefix: sheets/ }, format: { type: csv }, target: { database: test, table: sheets } }
`;

test("the quarantine of every table may be made, read and committed to: an option taken back strands no row", async () => {
  const stack = await synthesize(YAML);
  for (const name of ["Load", "Commit", "Sweep"]) {
    const [policy] = stack.resources("AWS::IAM::Policy").filter(([id]) => id.startsWith(`${name}Code`));
    const text = JSON.stringify(policy);
    expect(text).toContain("table/test/lines_quarantine");
    expect(text).toContain("table/test/sheets_quarantine");
  }
});

test("the commit function may send what it put into quarantine to the intake queue", async () => {
  const stack = await synthesize();
  const [policy] = stack.resources("AWS::IAM::Policy").filter(([id]) => id.startsWith("CommitCode"));
  expect(JSON.stringify(policy)).toMatch(/"sqs:SendMessage","Effect":"Allow","Resource":\{"Fn::GetAtt":\["Intake/);
});
