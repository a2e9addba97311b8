// Distributed maps of the local stack: where items come from, how they are batched, what is tolerated, where results go.

import { createRequire } from "node:module";
import { GetObjectCommand, PutObjectCommand } from "@aws-sdk/client-s3";
import {
  DescribeExecutionCommand,
  DescribeMapRunCommand,
  GetExecutionHistoryCommand,
  ListExecutionsCommand,
  ListMapRunsCommand,
  StopExecutionCommand,
} from "@aws-sdk/client-sfn";
import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import { failureOf, startStack } from "./support/clients.ts";
import { fixture, historyOf, invoke, machine, run, start } from "./support/machines.ts";

const WORK = `
  const items = event.Items ?? [event];
  if (items.some((item) => item?.bad)) throw new RangeError("bad item");
  if (event.sleepMs || items[0]?.sleepMs) await new Promise((wake) => setTimeout(wake, event.sleepMs ?? items[0].sleepMs));
  return event;`;

type Fields = Record<string, unknown>;

const reader = (ReaderConfig: Fields, Key: unknown = "{% $states.input.key %}") => ({
  Resource: "arn:aws:states:::s3:getObject",
  ReaderConfig,
  Arguments: { Bucket: "{% $states.input.bucket %}", Key },
});
const WRITER = {
  Resource: "arn:aws:states:::s3:putObject",
  Arguments: { Bucket: "{% $states.input.bucket %}", Prefix: "results" },
};

/** A distributed map over Work, or over the states given. */
function map(fields: Fields, states: Fields = { Call: invoke() }): Fields {
  const ItemProcessor = {
    ProcessorConfig: { Mode: "DISTRIBUTED", ExecutionType: "STANDARD" },
    StartAt: Object.keys(states)[0],
    States: states,
  };
  return {
    Type: "Map",
    Label: "Each",
    ItemProcessor,
    ...(fields["Next"] === undefined ? { End: true } : {}),
    ...fields,
  };
}

const context = { Look: { Type: "Pass", Output: "{% $states.context %}", End: true } };
const RETRY = [{ ErrorEquals: ["States.TaskFailed"], IntervalSeconds: 1, MaxAttempts: 3 }];
const DISCOVERY = {
  Clear: { Type: "Pass", Assign: { bucket: "{% $states.input.bucket %}" }, Next: "Each" },
  Each: map(
    {
      ItemReader: reader({ InputType: "JSON", ItemsPointer: "/files" }),
      ItemBatcher: { MaxItemsPerBatch: 10, BatchInput: { bucket: "{% $bucket %}" } },
      MaxConcurrency: 3,
      ToleratedFailurePercentage: 10,
      ResultWriter: WRITER,
      Retry: [{ ErrorEquals: ["States.ItemReaderFailed"], MaxAttempts: 1 }],
      Catch: [{ ErrorEquals: ["States.ALL"], Next: "Failed", Output: "{% $states.errorOutput %}" }],
      Next: "Written",
    },
    { Call: invoke("{% $states.input %}", { Retry: RETRY }) },
  ),
  Written: { Type: "Succeed" },
  Failed: { Type: "Succeed", Output: "{% $states.input.Error %}" },
};

let stack: Awaited<ReturnType<typeof startStack>>;
let bucket: string;

beforeAll(async () => {
  const machines = {
    Discovery: machine(DISCOVERY),
    Plain: machine({ Each: map({ Items: "{% $states.input.items %}" }) }),
    Counted: machine({
      Each: map({
        Items: "{% $states.input.items %}",
        ToleratedFailureCount: "{% $states.input.tolerated %}",
        MaxConcurrency: 1,
      }),
    }),
    Json: machine({ Each: map({ ItemReader: reader({ InputType: "JSON", MaxItems: 2 }) }) }),
    Lines: machine({ Each: map({ ItemReader: reader({ InputType: "JSONL" }) }) }),
    Csv: machine({ Each: map({ ItemReader: reader({ InputType: "CSV", CSVHeaderLocation: "FIRST_ROW" }) }) }),
    Given: machine({
      Each: map({
        ItemReader: reader({
          InputType: "CSV",
          CSVHeaderLocation: "GIVEN",
          CSVHeaders: ["a", "b"],
          CSVDelimiter: "PIPE",
        }),
      }),
    }),
    Listing: machine({
      Each: map({
        ItemReader: {
          Resource: "arn:aws:states:::s3:listObjectsV2",
          Arguments: { Bucket: "{% $states.input.bucket %}", Prefix: "{% $states.input.prefix %}" },
        },
        ItemSelector: {
          n: "{% $states.context.Map.Item.Index %}",
          key: "{% $states.context.Map.Item.Value.Key %}",
          size: "{% $states.context.Map.Item.Value.Size %}",
        },
      }),
    }),
    Context: machine({ Each: map({}, context) }),
    Outer: machine({
      Set: { Type: "Pass", Assign: { seen: 1 }, Output: [1], Next: "Each" },
      Each: map({}, { Look: { Type: "Pass", Output: "{% $seen %}", End: true } }),
    }),
    Compact: machine({
      Each: map({
        Items: "{% $states.input.items %}",
        ResultWriter: { ...WRITER, WriterConfig: { OutputType: "JSONL", Transformation: "FLATTEN" } },
      }),
    }),
  };
  stack = await startStack(fixture(WORK, machines), { timeScale: 0.01, schedules: false });
  bucket = stack.resource("Bucket", "AWS::S3::Bucket").name;
});
beforeEach(() => stack.faults.set());

const put = (Key: string, Body: string) => stack.clients.s3.send(new PutObjectCommand({ Bucket: bucket, Key, Body }));
async function get(Key: string): Promise<string> {
  const { Body } = await stack.clients.s3.send(new GetObjectCommand({ Bucket: bucket, Key }));
  return (await Body?.transformToString()) ?? "";
}
const getJson = async (key: string) => JSON.parse(await get(key)) as Fields;
async function mapRunOf(executionArn: string | undefined) {
  const { mapRuns = [] } = await stack.clients.sfn.send(new ListMapRunsCommand({ executionArn }));
  return stack.clients.sfn.send(new DescribeMapRunCommand({ mapRunArn: mapRuns[0]?.mapRunArn }));
}

async function discover(files: readonly Fields[]) {
  await put("files.json", JSON.stringify({ files }));
  return run(stack, "Discovery", { bucket, key: "files.json" });
}
const files = (count: number, bad: readonly number[] = []): Fields[] =>
  Array.from({ length: count }, (_, n) => ({ n, ...(bad.includes(n) ? { bad: true } : {}) }));

interface Written {
  readonly MapRunArn: string;
  readonly ResultWriterDetails: { readonly Bucket: string; readonly Key: string };
}
interface Manifest {
  readonly ResultFiles: Record<"SUCCEEDED" | "FAILED" | "PENDING", { readonly Key: string; readonly Size: number }[]>;
}

describe("a list of files in S3, in batches, with results written", () => {
  test("the machine is valid to a validator we did not write", () => {
    const definition = { QueryLanguage: "JSONata", StartAt: "Clear", States: DISCOVERY };
    const text = JSON.stringify(definition).replace("@Work@", "arn:aws:lambda:us-east-1:000000000000:function:Work");
    // The package brings no type declarations.
    type Validate = (definition: unknown) => { isValid: boolean; errors: { message: string }[] };
    const validate = createRequire(import.meta.url)("asl-validator") as Validate;
    expect(validate(JSON.parse(text)).errors.map(({ message }) => message)).toEqual([]);
  });

  test("every item reaches one child, and the result files tell of every child", async () => {
    const { status, result, executionArn } = await discover(files(25));
    expect(status).toBe("SUCCEEDED");
    const { MapRunArn, ResultWriterDetails } = result as Written;
    const id = MapRunArn.split(":").at(-1);
    expect(MapRunArn).toBe(`${stack.resource("Discovery").arn.replace(":stateMachine:", ":mapRun:")}/Each:${id}`);
    expect(ResultWriterDetails).toEqual({ Bucket: bucket, Key: `results/${id}/manifest.json` });
    const manifest = await getJson(ResultWriterDetails.Key);
    expect(manifest).toMatchObject({ DestinationBucket: bucket, MapRunArn, ResultFiles: { FAILED: [], PENDING: [] } });
    const [file] = (manifest as unknown as Manifest).ResultFiles.SUCCEEDED;
    const results = (await getJson(file?.Key ?? "")) as unknown as { Input: string; Output: string; Status: string }[];
    expect(file?.Size).toBe((await get(file?.Key ?? "")).length);
    const inputs = results.map(({ Input }) => JSON.parse(Input) as { BatchInput: Fields; Items: { n: number }[] });
    expect(inputs.map(({ Items }) => Items.length)).toEqual([10, 10, 5]);
    expect(inputs.flatMap(({ Items }) => Items.map(({ n }) => n))).toEqual(files(25).map(({ n }) => n));
    expect(inputs[0]?.BatchInput).toEqual({ bucket });
    expect(results[0]).toMatchObject({ Status: "SUCCEEDED", Output: results[0]?.Input, RedriveCount: 0 });
    expect(await mapRunOf(executionArn)).toMatchObject({
      status: "SUCCEEDED",
      maxConcurrency: 3,
      itemCounts: { total: 25, succeeded: 25, pending: 0, running: 0, resultsWritten: 25 },
      executionCounts: { total: 3, succeeded: 3, failed: 0 },
    });
  });

  test("tolerated failures are written beside the successes, and count as all items of their batch", async () => {
    const { status, result, executionArn } = await discover(files(100, [42]));
    expect(status).toBe("SUCCEEDED");
    const manifest = (await getJson((result as Written).ResultWriterDetails.Key)) as unknown as Manifest;
    const failed = (await getJson(manifest.ResultFiles.FAILED[0]?.Key ?? "")) as unknown as Fields[];
    expect(failed).toHaveLength(1);
    expect(failed[0]).toMatchObject({ Status: "FAILED", Error: "RangeError", RedriveStatus: "REDRIVABLE" });
    expect(await mapRunOf(executionArn)).toMatchObject({
      itemCounts: { total: 100, succeeded: 90, failed: 10 },
      executionCounts: { total: 10, succeeded: 9, failed: 1 },
    });
  });

  test("one failure too many fails the map run, ends what runs, and still writes what is known", async () => {
    const { result, executionArn } = await discover(files(100, [1, 11, 21]));
    expect(result).toBe("States.ExceedToleratedFailureThreshold");
    const mapRun = await mapRunOf(executionArn);
    expect(mapRun.status).toBe("FAILED");
    const { failed = 0, total, succeeded = 0, running, aborted = 0, pending = 0 } = mapRun.executionCounts ?? {};
    expect({ total, running }).toEqual({ total: 10, running: 0 });
    expect(failed).toBeGreaterThanOrEqual(2);
    expect(failed + succeeded + aborted + pending).toBe(10);
    const id = mapRun.mapRunArn?.split(":").at(-1);
    const { ResultFiles } = (await getJson(`results/${id}/manifest.json`)) as unknown as Manifest;
    expect(ResultFiles.FAILED).toHaveLength(1);
    expect(ResultFiles.PENDING).toHaveLength(aborted + pending > 0 ? 1 : 0);
  });

  test("a killed function and throttled reads cost attempts, not items", async () => {
    stack.faults.set({
      seed: 1,
      invocations: [{ function: "Work", effect: "kill", nth: [1, 3] }],
      requests: [{ on: "S3.GetObject", from: "StepFunctions", effect: "throttle", nth: [1] }],
    });
    const { executionArn } = await discover(files(30).map((file) => ({ ...file, sleepMs: 60 })));
    expect(stack.faults.fired.length).toBe(3);
    expect(await mapRunOf(executionArn)).toMatchObject({ itemCounts: { succeeded: 30 } });
  });

  test("a list that is not there is a failure of the reader", async () => {
    const { result, executionArn } = await run(stack, "Discovery", { bucket, key: "nothing.json" });
    expect(result).toBe("States.ItemReaderFailed");
    const types = (await historyOf(stack, executionArn)).map(({ type }) => type);
    const attempt = ["MapStateStarted", "MapRunStarted", "MapRunFailed", "MapStateFailed"];
    expect(types.slice(4)).toEqual([
      ...attempt,
      ...attempt,
      "MapStateExited",
      "SucceedStateEntered",
      "SucceedStateExited",
      "ExecutionSucceeded",
    ]);
  });

  test("no items are a success with nothing to tell", async () => {
    const { result } = await discover([]);
    const manifest = (await getJson((result as Written).ResultWriterDetails.Key)) as unknown as Manifest;
    expect(manifest.ResultFiles).toEqual({ SUCCEEDED: [], FAILED: [], PENDING: [] });
  });
});

describe("items", () => {
  test.each([
    ["a JSON array, up to MaxItems", "Json", "[1,2,3]", [1, 2]],
    ["JSON lines", "Lines", '{"a":1}\n\n{"a":2}\n', [{ a: 1 }, { a: 2 }]],
    [
      "CSV with a header",
      "Csv",
      'a,b\n1,"x, ""y"""\n2\n',
      [
        { a: "1", b: 'x, "y"' },
        { a: "2", b: "" },
      ],
    ],
    [
      "CSV with names given",
      "Given",
      "1|2\r\n3|4",
      [
        { a: "1", b: "2" },
        { a: "3", b: "4" },
      ],
    ],
  ])("%s", async (_, id, text, items) => {
    await put(`items/${id}`, text);
    expect((await run(stack, id, { bucket, key: `items/${id}` })).result).toEqual(items);
  });

  test("a listing gives every page, selected item by item", async () => {
    const keys = Array.from({ length: 1005 }, (_, n) => `list/${String(n).padStart(4, "0")}`);
    for (let n = 0; n < keys.length; n += 100) await Promise.all(keys.slice(n, n + 100).map((key) => put(key, "xy")));
    const { result, executionArn } = await run(stack, "Listing", { bucket, prefix: "list/100" });
    expect(result).toEqual([0, 1, 2, 3, 4].map((n) => ({ n, key: `list/100${n}`, size: 2 })));
    expect(await mapRunOf(executionArn)).toMatchObject({ itemCounts: { total: 5 } });
    const all = await run(stack, "Listing", { bucket, prefix: "list/" });
    expect((all.result as { key: string }[]).map(({ key }) => key)).toEqual(keys);
  });
});

describe("children", () => {
  test("have a context of their own, and no variables of their parent", async () => {
    const { result, executionArn } = await run(stack, "Context", [{ a: 1 }]);
    const [seen] = result as { Execution: Fields; StateMachine: Fields; Map?: Fields; Task?: Fields }[];
    const { arn, name } = stack.resource("Context");
    expect(seen?.StateMachine).toEqual({ Id: `${arn}/Each`, Name: `${name}/Each` });
    expect(seen?.Execution).toMatchObject({ Input: { a: 1 }, Id: expect.stringContaining(`:execution:${name}/Each:`) });
    expect([seen?.Map, seen?.Task]).toEqual([undefined, undefined]);
    const { mapRunArn } = await mapRunOf(executionArn);
    const { executions = [] } = await stack.clients.sfn.send(new ListExecutionsCommand({ mapRunArn }));
    expect(executions.map((each) => each.executionArn)).toEqual([seen?.Execution["Id"]]);
    expect(await run(stack, "Outer")).toMatchObject({
      status: "FAILED",
      error: "States.ExceedToleratedFailureThreshold",
    });
  });

  test("that fail within what is tolerated leave their description in the output", async () => {
    const input = { items: [{ bad: true }, { a: 1 }], tolerated: 1 };
    const { result } = await run(stack, "Counted", input);
    expect(result).toMatchObject([{ Status: "FAILED", Error: "RangeError" }, { a: 1 }]);
    expect(await run(stack, "Counted", { ...input, tolerated: 0 })).toMatchObject({
      error: "States.ExceedToleratedFailureThreshold",
    });
    expect(await run(stack, "Plain", input)).toMatchObject({ error: "States.ExceedToleratedFailureThreshold" });
  });

  test("end with their parent when it is stopped", async () => {
    const executionArn = await start(stack, "Plain", { items: [{ sleepMs: 1000 }, { sleepMs: 1000 }] });
    while ((await historyOf(stack, executionArn)).length < 4) await new Promise((wake) => setTimeout(wake, 10));
    await stack.clients.sfn.send(new StopExecutionCommand({ executionArn }));
    await stack.quiet();
    expect(await mapRunOf(executionArn)).toMatchObject({ status: "ABORTED", executionCounts: { aborted: 2 } });
    const events = await historyOf(stack, executionArn);
    expect(events.slice(-3).map(({ type }) => type)).toEqual(["MapRunAborted", "MapStateAborted", "ExecutionAborted"]);
  });

  test("fail on an input over 256 KiB, and their outputs together need a writer when they are", async () => {
    const line = JSON.stringify({ text: "x".repeat(80_000) });
    const read = async (text: string) => {
      await put("large.jsonl", text);
      return run(stack, "Lines", { bucket, key: "large.jsonl" });
    };
    expect((await read(`${line}\n`.repeat(3))).status).toBe("SUCCEEDED");
    expect((await read(`${line}\n`.repeat(4))).error).toBe("States.DataLimitExceeded");
    expect((await read(`[${line},${line},${line},${line}]`)).error).toBe("States.ExceedToleratedFailureThreshold");
  });

  test("give lines of flattened outputs if the writer is told so", async () => {
    const { result } = await run(stack, "Compact", { bucket, items: [[1, 2], [3]] });
    const manifest = (await getJson((result as Written).ResultWriterDetails.Key)) as unknown as Manifest;
    expect(await get(manifest.ResultFiles.SUCCEEDED[0]?.Key ?? "")).toBe("1\n2\n3\n");
  });
});

test("histories come in pages, forwards and backwards", async () => {
  const { executionArn } = await run(stack, "Plain", { items: [1] });
  const page = await stack.clients.sfn.send(new GetExecutionHistoryCommand({ executionArn, maxResults: 2 }));
  expect(page.events?.map(({ type }) => type)).toEqual(["ExecutionStarted", "MapStateEntered"]);
  const { nextToken } = page;
  const next = await stack.clients.sfn.send(new GetExecutionHistoryCommand({ executionArn, nextToken }));
  expect(next.events?.map(({ type }) => type)).toEqual([
    "MapStateStarted",
    "MapRunStarted",
    "MapRunSucceeded",
    "MapStateSucceeded",
    "MapStateExited",
    "ExecutionSucceeded",
  ]);
  const last = await stack.clients.sfn.send(
    new GetExecutionHistoryCommand({ executionArn, maxResults: 1, reverseOrder: true }),
  );
  expect(last.events?.[0]).toMatchObject({ id: 8, previousEventId: 7, type: "ExecutionSucceeded" });
  const unknown = stack.clients.sfn.send(new DescribeExecutionCommand({ executionArn: `${executionArn}x` }));
  expect(await failureOf(unknown)).toBe("ExecutionDoesNotExist 400");
});
