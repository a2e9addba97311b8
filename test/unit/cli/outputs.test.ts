import { describe, expect, test } from "vitest";
import { DEPLOYED_OUTPUTS, findParts, LOCAL_OUTPUTS, type PartsOptions } from "../../../cli/outputs.ts";

function find(files: Record<string, string>, options: Partial<PartsOptions> = {}, env: Record<string, string> = {}) {
  return findParts({ readFile: (path) => files[path], env }, { stack: "Moraine", ...options });
}

const file = (ledgerTable: string, more: Record<string, string> = {}, stack = "Moraine") =>
  JSON.stringify({ [stack]: { LedgerTable: ledgerTable, Buckets: '{"landing":"landing-1"}', ...more } });

describe("the stack's parts", () => {
  const both = { [DEPLOYED_OUTPUTS]: file("deployed"), [LOCAL_OUTPUTS]: file("local", { EndpointUrl: "http://here" }) };

  test("are those of the deployed stack when both stacks are known", () => {
    expect(find(both)).toMatchObject({ ledgerTable: "deployed", buckets: { landing: "landing-1" } });
  });

  test("are those of the local stack when an endpoint is given, or nothing is deployed", () => {
    expect(find(both, { endpointUrl: "http://x" }).ledgerTable).toBe("local");
    const local = find({ [LOCAL_OUTPUTS]: both[LOCAL_OUTPUTS] });
    expect(local).toMatchObject({ ledgerTable: "local", endpointUrl: "http://here" });
  });

  test("come from the file that was named, before every other", () => {
    const files = { ...both, "mine.json": file("mine"), "env.json": file("env") };
    expect(find(files, { outputs: "mine.json" }, { MORAINE_OUTPUTS: "env.json" }).ledgerTable).toBe("mine");
    expect(find(files, {}, { MORAINE_OUTPUTS: "env.json" }).ledgerTable).toBe("env");
  });

  test("never mix a named ledger with another stack's queues", () => {
    const files = { [DEPLOYED_OUTPUTS]: file("deployed", { IntakeQueueUrl: "https://q" }) };
    expect(find(files, { ledgerTable: "other" })).toEqual({ ledgerTable: "other", buckets: {}, queues: [] });
    expect(find(files, { ledgerTable: "deployed" }).queues).toHaveLength(1);
  });

  test("that cannot be found are an error naming every remedy", () => {
    expect(() => find({})).toThrow(/npm run deploy.*npm start.*--outputs FILE.*--ledger-table/);
    expect(() => find(both, { outputs: "gone.json" })).toThrow("gone.json does not exist");
  });

  test("of a stack with another name are an error listing the names there are", () => {
    expect(() => find({ [DEPLOYED_OUTPUTS]: file("x", {}, "Other") })).toThrow("--stack with one of: Other");
  });

  test.each(["{", "[]", '"text"'])("%s is no outputs file", (text) => {
    expect(() => find({ [DEPLOYED_OUTPUTS]: text })).toThrow("is no JSON object");
  });

  test("without a ledger say so", () => {
    expect(() => find({ [DEPLOYED_OUTPUTS]: '{"Moraine":{}}' })).toThrow("no output LedgerTable");
  });
});
