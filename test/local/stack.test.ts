// The whole path on the local stack: an upload becomes an event, a message, an invocation of a bundle; and what goes wrong on it.

import { PutObjectCommand } from "@aws-sdk/client-s3";
import { ReceiveMessageCommand } from "@aws-sdk/client-sqs";
import { describe, expect, test } from "vitest";
import type { LocalStack } from "../../local/stack.ts";
import { pipeline, ref } from "./support/assembly.ts";
import { type Clients, startStack } from "./support/clients.ts";

type Started = LocalStack & { readonly clients: Clients };

const ECHO = `exports.handler = async (event) => { console.log(JSON.stringify(event)); return { batchItemFailures: [] }; };`;

const upload = async (stack: Started, Key: string, Body = "x") => {
  await stack.clients.s3.send(new PutObjectCommand({ Bucket: stack.outputs["LandingBucket"], Key, Body }));
};

interface S3Record {
  readonly eventName: string;
  readonly eventTime: string;
  readonly s3: { readonly bucket: { readonly name: string }; readonly object: Record<string, string | number> };
}
interface SqsRecord {
  readonly messageId: string;
  readonly body: string;
  readonly eventSourceARN: string;
  readonly attributes: Record<string, string>;
}

/** What the echoing loader logged. */
function invocations(stack: LocalStack): { Records: SqsRecord[] }[] {
  const lines = stack.logs().filter(({ functionId, line }) => functionId === "Load" && line.startsWith("{"));
  return lines.map(({ line }) => JSON.parse(line) as { Records: SqsRecord[] });
}
function messages(stack: LocalStack): SqsRecord[] {
  return invocations(stack).flatMap(({ Records }) => Records);
}
function s3Records(stack: LocalStack): S3Record[] {
  return messages(stack).flatMap(({ body }) => (JSON.parse(body) as { Records?: S3Record[] }).Records ?? []);
}

describe("from upload to invocation", () => {
  test("the function sees S3's own event, once per object under the prefix, with the key form-encoded", async () => {
    const stack = await startStack(pipeline(ECHO), { timeScale: 0.1, schedules: false });
    await upload(stack, "in/a b+é.json", "12345");
    await upload(stack, "out/ignored.json");
    await stack.quiet();
    expect(messages(stack).filter(({ body }) => body.includes("s3:TestEvent"))).toHaveLength(1);
    const [record, ...more] = s3Records(stack);
    expect(more).toEqual([]);
    expect(record).toMatchObject({
      eventName: "ObjectCreated:Put",
      s3: {
        bucket: { name: stack.outputs["LandingBucket"] },
        object: { key: "in/a+b%2B%C3%A9.json", size: 5, eTag: "827ccb0eea8a706c4c34a16891f84e7b" },
      },
    });
    expect(record?.s3.object["sequencer"]).toMatch(/^[0-9A-F]{18}$/);
    expect(messages(stack)[0]).toMatchObject({
      eventSourceARN: stack.resource("Intake", "AWS::SQS::Queue").arn,
      attributes: { ApproximateReceiveCount: "1" },
    });
  });

  test("the sequencer of a later version of a key is larger", async () => {
    const stack = await startStack(pipeline(ECHO), { timeScale: 0.1, schedules: false });
    for (let version = 0; version < 20; version++) await upload(stack, "in/same", String(version));
    await stack.quiet();
    const bySequencer = s3Records(stack).map(({ s3 }) => `${s3.object["sequencer"]} ${s3.object["eTag"]}`);
    const sorted = [...bySequencer].sort();
    expect(new Set(bySequencer.map((each) => each.split(" ")[0])).size).toBe(20);
    // MD5 of "0" was written first, MD5 of "19" last.
    expect(sorted[0]).toContain("cfcd208495d565ef66e7dff9f98764da");
    expect(sorted.at(-1)).toContain("1f0e3dad99908345f7439f8ffabdffc4");
  });

  test("uploads within the window are handed over together", async () => {
    const stack = await startStack(pipeline(ECHO), { schedules: false });
    await stack.quiet();
    await Promise.all(Array.from({ length: 60 }, (_, index) => upload(stack, `in/${index}`)));
    await stack.quiet();
    const sizes = invocations(stack).map(({ Records }) => Records.length);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(61);
    expect(Math.max(...sizes)).toBeGreaterThan(10);
  });

  test("a message that is reported as failed is tried again alone and ends in the dead-letter queue; its neighbours are done", async () => {
    const poison = `
      exports.handler = async (event) => {
        console.log(JSON.stringify(event));
        const failed = event.Records.filter((each) => each.body.includes("poison"));
        return { batchItemFailures: failed.map((each) => ({ itemIdentifier: each.messageId })) };
      };`;
    const stack = await startStack(pipeline(poison), { timeScale: 0.04, schedules: false });
    for (const name of ["good-1", "poison", "good-2"]) await upload(stack, `in/${name}`);
    await stack.quiet();
    const attempts = (name: string) => messages(stack).filter(({ body }) => body.includes(name));
    expect(attempts("good-1")).toHaveLength(1);
    expect(attempts("good-2")).toHaveLength(1);
    expect(attempts("poison").map(({ attributes }) => attributes["ApproximateReceiveCount"])).toEqual(["1", "2", "3"]);
    const dead = stack.resource("IntakeDlq");
    expect(stack.queueDepths()[dead.name]?.visible).toBe(1);
    const { Messages } = await stack.clients.sqs.send(new ReceiveMessageCommand({ QueueUrl: dead.ref }));
    expect(Messages?.[0]?.Body).toContain("poison");
  });

  test.each([
    ["throws", `throw new Error("no");`, 3],
    ["names an unknown message", `return { batchItemFailures: [{ itemIdentifier: "nobody" }] };`, 3],
    ["returns an empty name", `return { batchItemFailures: [{ itemIdentifier: "" }] };`, 3],
    ["returns nothing", `return undefined;`, 1],
  ])("a function that %s is called with its batch as often as AWS would", async (_, body, calls) => {
    const stack = await startStack(
      pipeline(`exports.handler = async (event) => { console.log(JSON.stringify(event)); ${body} };`),
      {
        timeScale: 0.04,
        schedules: false,
      },
    );
    await stack.quiet();
    expect(messages(stack)).toHaveLength(calls);
  });
});

describe("functions", () => {
  test("get the template's environment resolved, the endpoints, and nothing of this process", async () => {
    const source = `exports.handler = async () => ({ ...process.env, here: __dirname, cwd: process.cwd() });`;
    const stack = await startStack(pipeline(source), { schedules: false, env: { EXTRA: "1" } });
    const outcome = await stack.invoke("Load", {});
    expect(outcome).toMatchObject({
      kind: "returned",
      payload: {
        LEDGER_TABLE: stack.resource("Ledger").name,
        COMMIT_QUEUE_URL: `${stack.endpoint}/000000000000/test-commit.fifo`,
        AWS_ENDPOINT_URL_S3: stack.endpoint,
        AWS_ENDPOINT_URL_GLUE: stack.endpoint,
        AWS_ENDPOINT_URL_SFN: stack.endpoint,
        AWS_REGION: "us-east-1",
        EXTRA: "1",
      },
    });
    const environment = (outcome as { payload: Record<string, string> }).payload;
    expect(environment["VITEST"]).toBeUndefined();
    expect(environment["here"]).toBe(environment["cwd"]);
  });

  test("a bundle without a package.json is CommonJS and finds the host's native packages", async () => {
    const source = `const { DuckDBInstance } = require("@duckdb/node-api"); exports.handler = async () => typeof DuckDBInstance.create;`;
    const stack = await startStack(pipeline(source), { schedules: false });
    expect(await stack.invoke("Load", {})).toEqual({ kind: "returned", payload: "function" });
  });

  test("stay warm between invocations, and two at once have nothing in common", async () => {
    const source = `let calls = 0; exports.handler = async ({ wait }) => { calls++; await new Promise((r) => setTimeout(r, wait)); return calls; };`;
    const stack = await startStack(pipeline(ECHO, source), { schedules: false });
    const call = async (wait: number) => ((await stack.invoke("Commit", { wait })) as { payload: number }).payload;
    expect(await call(0)).toBe(1);
    expect(await call(0)).toBe(2);
    expect((await Promise.all([call(200), call(200)])).sort()).toEqual([1, 3]);
  });

  test("a function that never ends is ended at its timeout, and the next invocation starts afresh", async () => {
    const source = `let calls = 0; exports.handler = async ({ hang }) => { calls++; while (hang); return calls; };`;
    const fixture = pipeline(ECHO, source);
    const functions = { ...fixture.functions, Commit: { source, timeout: 1 } };
    const stack = await startStack({ ...fixture, functions }, { schedules: false });
    expect(await stack.invoke("Commit", {})).toEqual({ kind: "returned", payload: 1 });
    expect(await stack.invoke("Commit", { hang: true })).toMatchObject({
      kind: "failed",
      errorType: "Sandbox.Timedout",
    });
    expect(await stack.invoke("Commit", {})).toEqual({ kind: "returned", payload: 1 });
  });

  test("a handler that throws, a bundle that cannot load and a process that exits are told apart", async () => {
    const failing = async (source: string) => {
      const fixture = pipeline(ECHO, source);
      const stack = await startStack(fixture, { schedules: false });
      return stack.invoke("Commit", {});
    };
    expect(await failing(`exports.handler = async () => { throw new TypeError("bad"); };`)).toMatchObject({
      errorType: "TypeError",
      errorMessage: "bad",
    });
    expect(await failing(`require("no-such-package");`)).toMatchObject({
      errorMessage: expect.stringContaining("no-such-package") as string,
    });
    expect(await failing(`exports.handler = async () => process.exit(3);`)).toMatchObject({
      errorType: "Runtime.ExitError",
    });
  });

  test("a schedule fires its target with its input, by hand and by the clock", async () => {
    const source = `exports.handler = async (event) => { console.log(JSON.stringify(event)); return event; };`;
    const stack = await startStack(pipeline(ECHO, source), { timeScale: 0.005 });
    expect(await stack.trigger("Sweep")).toEqual([{ kind: "returned", payload: { sweep: true } }]);
    const sweeps = () =>
      stack.logs().filter(({ functionId, line }) => functionId === "Commit" && line === '{"sweep":true}').length;
    await expect.poll(sweeps, { timeout: 20_000 }).toBeGreaterThan(2);
  });
});

test("what the template holds and the stack does not know is listed, not silently dropped", async () => {
  const stack = await startStack(pipeline(ECHO), { schedules: false });
  expect(stack.skipped).toEqual([{ id: "Role", type: "AWS::IAM::Role", reason: "unknown type" }]);
  expect(stack.outputs["Where"]).toBe("in-us-east-1");
  expect(() => stack.resource("Nowhere")).toThrow(/no single resource fits name=Nowhere/);
});

test("a template that refers to nothing is refused by name", async () => {
  const fixture = pipeline(ECHO);
  const functions = { ...fixture.functions, Commit: { source: ECHO, environment: { X: ref("Missing") } } };
  await expect(startStack({ ...fixture, functions })).rejects.toThrow("ref=Missing");
});
