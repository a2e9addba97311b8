// The commands around schema changes, over a ledger in memory.

import { beforeEach, describe, expect, test } from "vitest";
import { Harness, nameOf } from "../core/harness.ts";
import { CONFIG, outputsFile, type Ran, run } from "./terminal.ts";

let harness: Harness;

beforeEach(async () => {
  harness = new Harness();
  for (const [key, line] of [
    ["1", "a@price"],
    ["2", "b@price:long"],
    ["3", "c@price:long"],
  ]) {
    await harness.load([await harness.put(`orders/${key}`, line as string)]);
    await harness.commit();
  }
});

function moraine(...argv: string[]): Promise<Ran> {
  const files = { "moraine.yaml": CONFIG, "cdk-outputs.json": outputsFile() };
  const { ledger, clock } = harness;
  const decisionPorts = () => harness.ports();
  return run({ files, env: { USER: "ada" }, ledger, decisionPorts, now: () => clock.now() }, ...argv);
}

async function fingerprint(): Promise<string> {
  const { out } = await moraine("--json", "schema", "list");
  return (JSON.parse(out) as { fingerprint: string }[])[0]?.fingerprint ?? "";
}

describe("moraine schema", () => {
  test("list shows what waits, with how much of it", async () => {
    const { out, code } = await moraine("schema", "list");
    expect(code).toBe(0);
    expect(out).toMatch(/^FINGERPRINT +STATUS +INGESTION +HELD FILES +ROWS +OPENED +DIFFERENCE\n/);
    expect(out).toMatch(/[0-9a-f]{12} +OPEN +orders +2 +2 .* price: string, the file has long\n$/);
    expect((await moraine("schema", "list", "--ingestion", "clicks")).out).toBe(
      "no schema change waits for a decision\n",
    );
  });

  test("status counts what waits for a decision", async () => {
    const { out } = await moraine("status");
    expect(out).toMatch(/UNDECIDED\norders .* 1\nclicks .* 0\n/);
  });

  test("show takes the start of a fingerprint, and says what can be done", async () => {
    const print = await fingerprint();
    const { out } = await moraine("schema", "show", print.slice(0, 5));
    expect(out).toContain(`schema change ${print}`);
    expect(out).toContain("2 files, 2 rows");
    expect(out).toContain(`moraine schema merge ${print}`);
  });

  test.each([
    ["accept", "ACCEPTED", "released"],
    ["merge", "MERGED -> what does not fit price goes to price_string", "released"],
    ["reject", "REJECTED", "rejected"],
  ])("%s decides, by whoever is at the shell, and carries it out", async (verdict, status, verb) => {
    const print = await fingerprint();
    const { out, code } = await moraine("schema", verdict, print, "--why", "it is so");
    expect(out).toBe(`schema change ${print} is ${status}: 2 files ${verb}\n`);
    expect(code).toBe(0);
    expect(harness.queues.intake).toHaveLength(verdict === "reject" ? 0 : 2);
    const history = await moraine("schema", "history", "orders");
    expect(history.out).toMatch(new RegExp(`${print} ${verdict} by ada .*: it is so`));
    expect((await moraine("schema", "show", print)).out).toContain("being carried out");
    expect((await moraine("file", "s3://landing/orders/2")).out).toContain(print);
  });

  test("a change that was decided otherwise is not decided again", async () => {
    const print = await fingerprint();
    await moraine("schema", "accept", print);
    const again = await moraine("schema", "reject", print, "--by", "bob");
    expect(again.err).toContain("the change was decided already: accept by ada");
    expect(again.code).toBe(1);
  });

  test("a change nobody knows is an error with what to do", async () => {
    const { err, code } = await moraine("schema", "accept", "ffff");
    expect(err).toContain("no schema change ffff: moraine schema list --all shows those there were");
    expect(code).toBe(2);
  });

  test("a table that cannot be so is refused before anything is decided", async () => {
    harness.pointer.drop(nameOf("orders"));
    const { err, code } = await moraine("schema", "accept", await fingerprint());
    expect(err).toContain("the table is gone");
    expect(code).toBe(2);
    expect((await moraine("schema", "list")).out).toContain("OPEN");
  });
});
