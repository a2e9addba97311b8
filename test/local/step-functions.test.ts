// Step Functions of the local stack, through the real client: the states, their failures, and the executions around them.

import {
  DescribeExecutionCommand,
  DescribeStateMachineCommand,
  ListExecutionsCommand,
  ListStateMachinesCommand,
  StartExecutionCommand,
  StopExecutionCommand,
} from "@aws-sdk/client-sfn";
import { beforeAll, describe, expect, test } from "vitest";
import { arn } from "./support/assembly.ts";
import { failureOf, scratchFolder, startStack } from "./support/clients.ts";
import { fixture, historyOf, invoke, LAMBDA_INVOKE, machine, run, start } from "./support/machines.ts";

let stack: Awaited<ReturnType<typeof startStack>>;

const WORK = `
  if (event.throws) { const error = new Error(event.throws); error.name = event.throws; throw error; }
  if (event.failUntil >= calls) throw new TypeError("not yet");
  if (event.exits) process.exit(1);
  if (event.sleepMs) await new Promise((wake) => setTimeout(wake, event.sleepMs));
  if (event.sizeBytes) return "x".repeat(event.sizeBytes);
  return { calls, event };`;

const caught = (names: string[]) => [
  {
    ErrorEquals: names,
    Next: "Caught",
    Output: "{% $states.errorOutput %}",
    Assign: { error: "{% $states.errorOutput.Error %}" },
  },
];
const CAUGHT = { Caught: { Type: "Pass", Output: { error: "{% $error %}", was: "{% $states.input %}" }, End: true } };

beforeAll(async () => {
  const machines = {
    Calls: machine({ Call: invoke() }),
    Direct: machine({ Call: { Type: "Task", Resource: "@Work@", End: true } }),
    Shapes: machine({
      First: {
        Type: "Pass",
        Output: { name: "{% $states.context.Execution.Input.name %}", list: ["{% 1 + 1 %}", "plain"] },
        Assign: { before: "{% $states.input.name %}" },
        Next: "Second",
      },
      Second: {
        Type: "Pass",
        Assign: { before: "later" },
        Output: "{% {'before': $before, 'input': $states.input, 'state': $states.context.State.Name} %}",
        Next: "Third",
      },
      Third: { Type: "Succeed", Output: "{% $merge([$states.input, {'after': $before}]) %}" },
    }),
    Loop: machine({
      Start: { Type: "Pass", Assign: { n: 0, sum: 0 }, Next: "Again" },
      Again: {
        Type: "Choice",
        Choices: [
          {
            Condition: "{% $n < $states.input.count %}",
            Assign: { n: "{% $n + 1 %}", sum: "{% $sum + $n %}" },
            Next: "Pause",
          },
        ],
        Default: "Done",
      },
      Pause: { Type: "Wait", Seconds: 1, Next: "Again" },
      Done: { Type: "Succeed", Output: "{% $sum %}" },
    }),
    Retries: machine({
      Call: invoke("{% $states.input %}", {
        Retry: [{ ErrorEquals: ["TypeError"], IntervalSeconds: 1, MaxAttempts: 2, BackoffRate: 1.5 }],
      }),
    }),
    Catches: machine({ Call: invoke("{% $states.input %}", { Catch: caught(["States.ALL"]) }), ...CAUGHT }),
    CatchesTasks: machine({
      Call: invoke("{% $states.input %}", { TimeoutSeconds: 1, Catch: caught(["States.TaskFailed"]) }),
      ...CAUGHT,
    }),
    Waits: machine({ Wait: { Type: "Wait", Seconds: 3600, End: true } }),
    TooLong: machine({ Wait: { Type: "Wait", Seconds: 3600, End: true } }, { TimeoutSeconds: 1 }),
    Fails: machine({ Fail: { Type: "Fail", Error: "Mine", Cause: "{% 'because of ' & $states.input.why %}" } }),
    NoChoice: machine({
      Choose: { Type: "Choice", Choices: [{ Condition: "{% $states.input.yes %}", Next: "Yes" }] },
      Yes: { Type: "Succeed" },
    }),
    Unsupported: machine({
      Send: {
        Type: "Task",
        Resource: "arn:aws:states:::sqs:sendMessage",
        Arguments: {},
        End: true,
        Catch: caught(["States.ALL"]),
      },
      ...CAUGHT,
    }),
    Undefined: machine({ Pass: { Type: "Pass", Output: "{% $states.input.nothing %}", End: true } }),
    SideBySide: machine({
      Both: {
        Type: "Parallel",
        Branches: [
          { StartAt: "A", States: { A: { Type: "Pass", Output: "{% $states.input.a %}", End: true } } },
          { StartAt: "B", States: { B: invoke({ throws: "{% $states.input.throws %}" }) } },
        ],
        End: true,
      },
    }),
    Inline: machine({
      Each: {
        Type: "Map",
        Items: "{% $states.input.items %}",
        ItemSelector: { value: "{% $states.context.Map.Item.Value %}" },
        ItemProcessor: {
          StartAt: "Double",
          States: {
            Double: {
              Type: "Pass",
              Output: "{% $states.input.value * 2 + $states.context.Map.Item.Index %}",
              End: true,
            },
          },
        },
        End: true,
      },
    }),
    Scheduled: {
      Type: "AWS::Scheduler::Schedule",
      Properties: {
        ScheduleExpression: "rate(1 day)",
        Target: { Arn: arn("Shapes"), RoleArn: arn("Role"), Input: '{"name":"scheduled"}' },
      },
    },
    Ruled: {
      Type: "AWS::Events::Rule",
      Properties: {
        ScheduleExpression: "rate(1 day)",
        Targets: [{ Id: "one", Arn: arn("Calls"), RoleArn: arn("Role") }],
      },
    },
  };
  stack = await startStack(fixture(WORK, machines), { timeScale: 0.01, schedules: false });
});

describe("states", () => {
  test("an optimized invocation gives what Lambda's API says, a direct one the function's answer alone", async () => {
    const { status, result } = await run(stack, "Calls", { a: 1 });
    expect({ status, result }).toMatchObject({ status: "SUCCEEDED", result: { event: { a: 1 } } });
    expect((await run(stack, "Direct", { b: 2 })).result).toMatchObject({ event: { b: 2 } });
    const { events } = { events: await historyOf(stack, (await run(stack, "Calls", {})).executionArn) };
    expect(events.map(({ type }) => type)).toEqual([
      "ExecutionStarted",
      "TaskStateEntered",
      "TaskScheduled",
      "TaskStarted",
      "TaskSucceeded",
      "TaskStateExited",
      "ExecutionSucceeded",
    ]);
    const returned = JSON.parse(events[4]?.taskSucceededEventDetails?.output ?? "{}");
    expect(returned).toMatchObject({ StatusCode: 200, ExecutedVersion: "$LATEST", Payload: { event: {} } });
  });

  test("Output and Assign of a state see the variables from before it", async () => {
    expect((await run(stack, "Shapes", { name: "ada" })).result).toEqual({
      before: "ada",
      input: { name: "ada", list: [2, "plain"] },
      state: "Second",
      after: "later",
    });
  });

  test("a choice loops on its variables, with waits in between", async () => {
    expect((await run(stack, "Loop", { count: 5 })).result).toBe(10);
  });

  test("branches run side by side, and the failure of one is the state's", async () => {
    expect(await run(stack, "SideBySide", { a: 1, throws: "" })).toMatchObject({
      result: [1, { event: { throws: "" } }],
    });
    expect(await run(stack, "SideBySide", { a: 1, throws: "Broken" })).toMatchObject({
      status: "FAILED",
      error: "Broken",
    });
  });

  test("an inline map gives each iteration its item and its index", async () => {
    expect((await run(stack, "Inline", { items: [5, 6, 7] })).result).toEqual([10, 13, 16]);
    expect((await run(stack, "Inline", { items: [] })).result).toEqual([]);
    expect(await run(stack, "Inline", { items: 1 })).toMatchObject({ status: "FAILED", error: "States.Runtime" });
  });
});

describe("failures", () => {
  test.each([
    ["a function's own error", "Calls", { throws: "MyError" }, "MyError"],
    ["a process that ends", "Calls", { exits: true }, "Runtime.ExitError"],
    ["a Fail state", "Fails", { why: "x" }, "Mine"],
    ["no matching choice", "NoChoice", { yes: false }, "States.NoChoiceMatched"],
    ["a condition that is no boolean", "NoChoice", { yes: 1 }, "States.QueryEvaluationError"],
    ["an expression that yields nothing", "Undefined", {}, "States.QueryEvaluationError"],
    ["a resource that is not there locally", "Unsupported", {}, "States.Runtime"],
    ["a result over 256 KiB", "Calls", { sizeBytes: 262_145 }, "States.DataLimitExceeded"],
    ["a result over 256 KiB, in spite of a catch", "Catches", { sizeBytes: 262_145 }, "States.DataLimitExceeded"],
    ["a timeout, for which States.TaskFailed does not stand", "CatchesTasks", { sleepMs: 1500 }, "States.Timeout"],
  ])("%s fails the execution by its name", async (_, id, input, error) => {
    expect(await run(stack, id, input)).toMatchObject({ status: "FAILED", error });
  });

  test("causes carry what the function said, or name what is not supported", async () => {
    const { cause } = await run(stack, "Calls", { throws: "MyError" });
    expect(JSON.parse(cause ?? "")).toMatchObject({ errorType: "MyError", errorMessage: "MyError" });
    expect((await run(stack, "Fails", { why: "x" })).cause).toBe("because of x");
    expect((await run(stack, "Unsupported")).cause).toBe(
      "An error occurred while executing the state 'Send' (entered at the event id #2). " +
        "The resource 'arn:aws:states:::sqs:sendMessage' is not supported locally.",
    );
    expect((await run(stack, "CatchesTasks", { sleepMs: 1500 })).cause).toBeUndefined();
  });

  test("an expression that fails is told with its state and its field", async () => {
    const { executionArn } = await run(stack, "Undefined");
    const cause = expect.stringContaining(
      "The JSONata expression '$states.input.nothing' specified for the field 'Output'",
    );
    const events = await historyOf(stack, executionArn);
    expect(events.at(-2)?.evaluationFailedEventDetails).toMatchObject({ cause, state: "Pass", location: "Output" });
    expect(events.at(-1)?.executionFailedEventDetails).toMatchObject({ cause, error: "States.QueryEvaluationError" });
  });

  test("a catcher goes on with the error, and assigns from it", async () => {
    const { result } = await run(stack, "Catches", { throws: "MyError" });
    expect(result).toMatchObject({ error: "MyError", was: { Error: "MyError", Cause: expect.any(String) } });
  });

  test("a retrier tries so often and not more", async () => {
    const entered = async (failUntil: number) => {
      const { status, executionArn } = await run(stack, "Retries", { failUntil });
      const events = await historyOf(stack, executionArn);
      return [status, events.filter(({ type }) => type === "TaskFailed").length];
    };
    const { calls } = (await run(stack, "Calls", {})).result as { calls: number };
    expect(await entered(calls + 2)).toEqual(["SUCCEEDED", 2]);
    expect(await entered(calls + 100)).toEqual(["FAILED", 3]);
  });

  test("a function whose process is killed or runs out of time fails as Lambda says it did", async () => {
    stack.faults.set({ seed: 1, invocations: [{ function: "Work", effect: "kill" }] });
    expect(await run(stack, "Catches", { sleepMs: 2000 })).toMatchObject({ result: { error: "Runtime.ExitError" } });
    stack.faults.set({ seed: 1, invocations: [{ function: "Work", effect: "timeout" }] });
    expect(await run(stack, "Catches", { sleepMs: 2000 })).toMatchObject({ result: { error: "Sandbox.Timedout" } });
    stack.faults.set();
  });
});

describe("executions", () => {
  const sfn = () => stack.clients.sfn;
  const statusOf = async (executionArn: string) =>
    (await sfn().send(new DescribeExecutionCommand({ executionArn }))).status;

  test("one name and one input are one execution while it runs; another input, or a name used up, is an error", async () => {
    const stateMachineArn = stack.resource("Waits").ref;
    const started = (name: string, input: string) =>
      sfn().send(new StartExecutionCommand({ stateMachineArn, name, input }));
    const first = await started("once", '{"a":1}');
    const second = await started("once", '{ "a": 1 }');
    expect(second.executionArn).toBe(first.executionArn);
    expect(second.startDate).toEqual(first.startDate);
    expect(await failureOf(started("once", "{}"))).toBe("ExecutionAlreadyExists 400");
    await sfn().send(new StopExecutionCommand({ executionArn: first.executionArn }));
    expect(await failureOf(started("once", '{"a":1}'))).toBe("ExecutionAlreadyExists 400");
    for (const name of ["a b", "a/b", "a:b", "é\u0001", "x".repeat(81)]) {
      expect(await failureOf(started(name, "{}"))).toBe("InvalidName 400");
    }
  });

  test("inputs are JSON of at most 256 KiB for machines that exist", async () => {
    const stateMachineArn = stack.resource("Shapes").ref;
    const started = (input: string, arnOfMachine = stateMachineArn) =>
      failureOf(sfn().send(new StartExecutionCommand({ stateMachineArn: arnOfMachine, input })));
    expect(await started("{")).toBe("InvalidExecutionInput 400");
    expect(await started(JSON.stringify("é".repeat(131_072)))).toBe("ValidationException 400");
    expect(await started("{}", `${stateMachineArn}x`)).toBe("StateMachineDoesNotExist 400");
    expect(await started(JSON.stringify({ name: "x".repeat(250_000) }))).toBe("no failure");
  });

  test("a stopped execution is aborted, with the caller's words; stopping it again changes nothing", async () => {
    const executionArn = await start(stack, "Waits");
    await sfn().send(new StopExecutionCommand({ executionArn, error: "Enough", cause: "of it" }));
    await stack.quiet();
    await sfn().send(new StopExecutionCommand({ executionArn, error: "More" }));
    expect(await sfn().send(new DescribeExecutionCommand({ executionArn }))).toMatchObject({
      status: "ABORTED",
      error: "Enough",
      cause: "of it",
    });
    expect((await historyOf(stack, executionArn)).at(-1)?.type).toBe("ExecutionAborted");
  });

  test("what is no ARN is told so", async () => {
    const nowhere = sfn().send(new DescribeExecutionCommand({ executionArn: "nowhere" }));
    expect(await failureOf(nowhere)).toBe("InvalidArn 400");
  });

  test("a machine's own timeout ends its executions", async () => {
    expect(await run(stack, "TooLong")).toMatchObject({ status: "TIMED_OUT" });
  });

  test("an execution under way is not quiet", async () => {
    const executionArn = await start(stack, "Loop", { count: 20 });
    await expect(stack.quiet(50)).rejects.toThrow("still busy");
    await stack.quiet();
    expect(await statusOf(executionArn)).toBe("SUCCEEDED");
  });

  test("machines and executions are listed and described", async () => {
    const { stateMachines = [] } = await sfn().send(new ListStateMachinesCommand({}));
    expect(stateMachines.map(({ name }) => name)).toContain(stack.resource("Loop").name);
    const stateMachineArn = stack.resource("Fails").ref;
    const { definition, roleArn } = await sfn().send(new DescribeStateMachineCommand({ stateMachineArn }));
    expect(JSON.parse(definition ?? "{}")).toMatchObject({ StartAt: "Fail" });
    expect(roleArn).toBe(stack.resource("Role").arn);
    await run(stack, "Fails", { why: "listed" });
    const failed = await sfn().send(
      new ListExecutionsCommand({ stateMachineArn, statusFilter: "FAILED", maxResults: 1 }),
    );
    expect(failed.executions).toHaveLength(1);
    expect(failed.nextToken).toBeDefined();
  });

  test("schedules and rules start executions", async () => {
    await stack.trigger("Scheduled");
    await stack.trigger("Ruled");
    await stack.quiet();
    const newest = async (id: string) => {
      const asked = { stateMachineArn: stack.resource(id).ref, maxResults: 1 };
      const [execution] = (await sfn().send(new ListExecutionsCommand(asked))).executions ?? [];
      return sfn().send(new DescribeExecutionCommand({ executionArn: execution?.executionArn }));
    };
    expect(await newest("Shapes")).toMatchObject({ status: "SUCCEEDED", input: '{"name":"scheduled"}' });
    expect(JSON.parse((await newest("Calls")).input ?? "")).toMatchObject({ "detail-type": "Scheduled Event" });
  });
});

test("a machine this stack cannot run is skipped, says why, and is named when it is started", async () => {
  const plain = { Type: "AWS::StepFunctions::StateMachine" };
  const task = { Type: "Task", Resource: LAMBDA_INVOKE, End: true };
  const machines = {
    Paths: { ...plain, Properties: { Definition: { StartAt: "A", States: { A: { Type: "Pass", End: true } } } } },
    Beats: machine({ A: { ...task, HeartbeatSeconds: 5 } }),
    Express: { ...plain, Properties: { StateMachineType: "EXPRESS" } },
    Syntax: machine({ A: { Type: "Pass", Output: "{% ( %}", End: true } }),
    NoRole: {
      Type: "AWS::Scheduler::Schedule",
      Properties: { ScheduleExpression: "rate(1 day)", Target: { Arn: "arn:aws:states:us-east-1:0:stateMachine:x" } },
    },
  };
  const odd = await startStack(fixture("", machines));
  const reasons = Object.fromEntries(odd.skipped.map(({ id, reason }) => [id, reason]));
  expect(reasons).toMatchObject({
    Paths: "A has the query language JSONPath; only JSONata is interpreted locally",
    Beats: "A has a field that is not supported locally: HeartbeatSeconds",
    Express: "a state machine of the type EXPRESS",
    Syntax: expect.stringContaining("/States/A/Output"),
    NoRole: "a state machine as target needs a RoleArn",
  });
  await expect(start(odd, "Paths")).rejects.toThrow("only JSONata is interpreted locally");
});

test("a definition may be an object, with substitutions; stopping the stack aborts what runs", async () => {
  const placeholder = ["$", "{Seconds}"].join("");
  const Definition = {
    QueryLanguage: "JSONata",
    StartAt: "Wait",
    States: { Wait: { Type: "Wait", Seconds: `{% ${placeholder} %}`, End: true } },
  };
  const Properties = { Definition, DefinitionSubstitutions: { Seconds: 3600 }, StateMachineName: "sleepy" };
  const asleep = await startStack(fixture("", { Sleepy: { Type: "AWS::StepFunctions::StateMachine", Properties } }));
  expect(asleep.resource("Sleepy").ref).toBe("arn:aws:states:us-east-1:000000000000:stateMachine:sleepy");
  await start(asleep, "Sleepy");
  await expect(asleep.quiet(50)).rejects.toThrow("still busy");
  await asleep.stop();
});

test("a restart keeps the machines and forgets the executions, also where data is kept", async () => {
  const folder = scratchFolder();
  const pass = fixture("", { Pass: machine({ Pass: { Type: "Pass", End: true } }) });
  const before = await startStack(pass, { dataDir: folder });
  const { executionArn } = await run(before, "Pass", { a: 1 });
  await before.stop();
  const after = await startStack(pass, { dataDir: folder });
  const forgotten = after.clients.sfn.send(new DescribeExecutionCommand({ executionArn }));
  expect(await failureOf(forgotten)).toBe("ExecutionDoesNotExist 400");
  expect((await run(after, "Pass", { a: 2 })).result).toEqual({ a: 2 });
});
