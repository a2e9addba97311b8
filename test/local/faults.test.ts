// Ordered trouble: every fault of the plan has the effect it promises, as the real SDK sees it.

import { GetItemCommand, PutItemCommand } from "@aws-sdk/client-dynamodb";
import { CreateTableCommand, GetTableCommand, UpdateTableCommand } from "@aws-sdk/client-glue";
import { GetObjectCommand, ListObjectsV2Command, PutObjectCommand } from "@aws-sdk/client-s3";
import { beforeAll, describe, expect, test } from "vitest";
import { type FaultPlan, Faults, type RequestFault } from "../../local/faults.ts";
import { pipeline } from "./support/assembly.ts";
import { clientsFor, failureOf, startStack } from "./support/clients.ts";

const ECHO = `exports.handler = async (event) => { console.log(JSON.stringify(event)); return { batchItemFailures: [] }; };`;
let stack: Awaited<ReturnType<typeof startStack>>;
/** Clients without retries see the fault itself. */
let once: ReturnType<typeof clientsFor>;
let Bucket: string;
let TableName: string;

beforeAll(async () => {
  const writer = `
    const { S3Client, PutObjectCommand } = require("@aws-sdk/client-s3");
    const s3 = new S3Client({});
    exports.handler = async ({ key }) => {
      await s3.send(new PutObjectCommand({ Bucket: process.env.LANDING, Key: key + "-1", Body: "x" }));
      await s3.send(new PutObjectCommand({ Bucket: process.env.LANDING, Key: key + "-2", Body: "x" }));
      return "done";
    };`;
  stack = await startStack(pipeline(ECHO, writer), { timeScale: 0.1, schedules: false });
  once = clientsFor(stack.endpoint, 1);
  Bucket = stack.outputs["LandingBucket"] ?? "";
  TableName = stack.resource("Ledger").name;
  await stack.quiet();
});

const plan = (...requests: RequestFault[]): void => stack.faults.set({ seed: 1, requests });
const put = (clients: typeof once, Key: string, more: object = {}) =>
  clients.s3.send(new PutObjectCommand({ Bucket, Key, Body: "x", ...more }));
const exists = async (Key: string) =>
  (await failureOf(stack.clients.s3.send(new GetObjectCommand({ Bucket, Key })))) === "no failure";

describe("requests", () => {
  test("throttling answers as each service does and applies nothing", async () => {
    plan(
      { on: "S3.PutObject", effect: "throttle" },
      { on: "DynamoDB.*", effect: "throttle" },
      { on: "Glue.*", effect: "conflict" },
    );
    expect(await failureOf(put(once, "throttled"))).toBe("SlowDown 503");
    const Item = { pk: { S: "throttled" }, sk: { S: "s" } };
    expect(await failureOf(once.dynamodb.send(new PutItemCommand({ TableName, Item })))).toBe(
      "ProvisionedThroughputExceededException 400",
    );
    const update = new UpdateTableCommand({ DatabaseName: "sales", TableInput: { Name: "t" } });
    expect(await failureOf(once.glue.send(update))).toBe("ConcurrentModificationException 400");
    plan();
    expect(await exists("throttled")).toBe(false);
    expect((await once.dynamodb.send(new GetItemCommand({ TableName, Key: Item }))).Item).toBeUndefined();
  });

  test("a throttled request succeeds when the SDK tries again", async () => {
    plan({ on: "S3.PutObject", effect: "throttle", nth: [1] });
    await put(stack.clients, "second-try");
    expect(stack.faults.fired.at(-1)).toEqual({ occasion: "S3.PutObject", effect: "throttle" });
  });

  test("a dropped request applies nothing", async () => {
    plan({ on: "S3.PutObject", effect: "drop" });
    expect(await failureOf(put(once, "dropped"))).not.toBe("no failure");
    plan();
    expect(await exists("dropped")).toBe(false);
  });

  test("a lost response is an effect without an answer: the SDK's retry of a create finds its own object", async () => {
    plan({ on: "S3.PutObject", effect: "lose-response", nth: [1] });
    expect(await failureOf(put(stack.clients, "lost", { IfNoneMatch: "*" }))).toBe("PreconditionFailed 412");
    expect(await exists("lost")).toBe(true);
  });

  test("a lost response of a catalog commit makes the SDK's retry report a conflict with itself", async () => {
    const { glue } = stack.clients;
    await glue.send(new CreateTableCommand({ DatabaseName: "sales", TableInput: { Name: "lost" } }));
    plan({ on: "Glue.UpdateTable", effect: "lose-response", nth: [1] });
    const commit = { DatabaseName: "sales", TableInput: { Name: "lost", Parameters: { mine: "1" } }, VersionId: "0" };
    expect(await failureOf(glue.send(new UpdateTableCommand(commit)))).toBe("ConcurrentModificationException 400");
    const { Table } = await glue.send(new GetTableCommand({ DatabaseName: "sales", Name: "lost" }));
    expect(Table?.Parameters).toEqual({ mine: "1" });
  });

  test("a lost response of a conditional write gives the retry the item it wrote itself", async () => {
    plan({ on: "DynamoDB.PutItem", effect: "lose-response", nth: [1] });
    const write = new PutItemCommand({
      TableName,
      Item: { pk: { S: "lost" }, sk: { S: "s" }, revision: { S: "mine" } },
      ConditionExpression: "attribute_not_exists(pk)",
      ReturnValuesOnConditionCheckFailure: "ALL_OLD",
    });
    await expect(stack.clients.dynamodb.send(write)).rejects.toMatchObject({ Item: { revision: { S: "mine" } } });
  });

  test("a function dies at the very request it was told to, before or after the effect", async () => {
    plan({ on: "S3.PutObject", effect: "kill-before", nth: [2], from: "Commit" });
    expect(await stack.invoke("Commit", { key: "before" })).toMatchObject({
      kind: "failed",
      errorType: "Runtime.ExitError",
    });
    plan({ on: "S3.PutObject", effect: "kill-after", nth: [2], from: "Commit" });
    expect(await stack.invoke("Commit", { key: "after" })).toMatchObject({
      kind: "failed",
      errorType: "Runtime.ExitError",
    });
    plan();
    const left = await Promise.all(["before-1", "before-2", "after-1", "after-2"].map(exists));
    expect(left).toEqual([true, false, true, true]);
    expect(await stack.invoke("Commit", { key: "fine" })).toEqual({ kind: "returned", payload: "done" });
    expect(stack.requests.counts("Commit")["S3.PutObject"]?.count).toBe(6);
  });
});

describe("load on S3", () => {
  const list = (Prefix: string) => once.s3.send(new ListObjectsV2Command({ Bucket, Prefix }));
  const took = async (work: Promise<unknown>) => {
    const startedMs = performance.now();
    await work;
    return performance.now() - startedMs;
  };

  test("every operation on a matching path takes so much longer, and adds up with other delays", async () => {
    plan(
      { on: "S3.*", path: "/slow/", effect: { delayMs: 150 } },
      { on: "S3.ListObjectsV2", effect: { delayMs: 100 } },
    );
    expect(await took(put(once, "slow/a"))).toBeGreaterThanOrEqual(149);
    expect(stack.faults.request("S3.PutObject", "", `/${Bucket}/fast/a`)).toEqual({ delayMs: 0 });
    expect(await took(list("slow/"))).toBeGreaterThanOrEqual(249);
    plan();
    expect(await exists("slow/a")).toBe(true);
  });

  test("a share of the requests is told to slow down", async () => {
    plan({ on: "S3.PutObject", effect: "throttle", rate: 0.3 });
    const outcomes = await Promise.all(Array.from({ length: 100 }, (_, n) => failureOf(put(once, `share/${n}`))));
    plan();
    const refused = outcomes.filter((outcome) => outcome === "SlowDown 503").length;
    expect(refused).toBeGreaterThan(10);
    expect(refused).toBeLessThan(60);
    expect(outcomes.filter((outcome) => outcome === "no failure")).toHaveLength(100 - refused);
  });

  test("what exceeds a prefix's rate is told to slow down, other prefixes are not", async () => {
    stack.faults.set({ seed: 1, rates: [{ on: "S3.*", perSecond: 0.01, burst: 5, depth: 2 }] });
    const outcomes = async (prefix: string) =>
      (await Promise.all(Array.from({ length: 9 }, (_, n) => failureOf(put(once, `${prefix}/${n}`))))).sort();
    const expected = [...Array(4).fill("SlowDown 503"), ...Array(5).fill("no failure")];
    expect(await outcomes("rate/a")).toEqual(expected);
    expect(await failureOf(list("rate/a/"))).toBe("SlowDown 503");
    expect(await outcomes("rate/b")).toEqual(expected);
    expect(await failureOf(put(once, "rate/c/x"))).toBe("no failure");
    expect(stack.faults.fired.at(-1)).toMatchObject({ effect: "throttle" });
    stack.faults.set();
  });

  test("tokens come back with time, up to the burst", () => {
    let nowMs = 0;
    const faults = new Faults(() => nowMs);
    faults.set({ seed: 1, rates: [{ on: "S3.Get*", path: "/b/", perSecond: 10, burst: 2 }] });
    const get = (path: string, operation = "S3.GetObject") => faults.request(operation, "", path).effect ?? "fine";
    const at = (ms: number, path: string) => {
      nowMs = ms;
      return get(path);
    };
    expect([at(0, "/b/p/1"), at(0, "/b/p/2"), at(0, "/b/p/3"), at(0, "/b/q/1")]).toEqual([
      "fine",
      "fine",
      "throttle",
      "fine",
    ]);
    expect([at(99, "/b/p/1"), at(101, "/b/p/1"), at(150, "/b/p/1")]).toEqual(["throttle", "fine", "throttle"]);
    expect([at(9000, "/b/p/1"), at(9000, "/b/p/1"), at(9000, "/b/p/1")]).toEqual(["fine", "fine", "throttle"]);
    expect([get("/other/p/1"), get("/b/p/1", "S3.PutObject")]).toEqual(["fine", "fine"]);
  });
});

test("the nth invocation is killed or timed out, the next one is not", async () => {
  stack.faults.set({ seed: 1, invocations: [{ function: "Commit", effect: "kill", nth: [1] }] });
  expect(await stack.invoke("Commit", { key: "k" })).toMatchObject({ errorType: "Runtime.ExitError" });
  expect(await stack.invoke("Commit", { key: "k" })).toEqual({ kind: "returned", payload: "done" });
  stack.faults.set({ seed: 1, invocations: [{ function: "Commit", effect: "timeout", nth: [1] }] });
  expect(await stack.invoke("Commit", { key: "k" })).toMatchObject({ errorType: "Sandbox.Timedout" });
  stack.faults.set();
});

test("events come twice, late and out of order, but every one comes", async () => {
  const troubled: FaultPlan = {
    seed: 7,
    events: { duplicateRate: 0.5, lateRate: 0.5, lateMsMax: 300 },
    messages: { duplicateRate: 0.2 },
  };
  stack.faults.set(troubled);
  const names = Array.from({ length: 30 }, (_, index) => `in/${String(index).padStart(2, "0")}`);
  for (const name of names) await put(stack.clients, name);
  await stack.quiet();
  stack.faults.set();
  const keys = stack
    .logs()
    .filter(({ functionId, line }) => functionId === "Load" && line.startsWith("{"))
    .flatMap(({ line }) => (JSON.parse(line) as { Records: { body: string }[] }).Records)
    .flatMap(({ body }) => (JSON.parse(body) as { Records?: { s3: { object: { key: string } } }[] }).Records ?? [])
    .map(({ s3 }) => s3.object.key);
  expect([...new Set(keys)].sort()).toEqual(names);
  expect(keys.length).toBeGreaterThan(names.length + 10);
  const firstSeen = [...new Set(keys)];
  expect(firstSeen).not.toEqual(names);
});
