// State machines in a handmade template, the functions they call, and the client's calls around an execution.

import {
  DescribeExecutionCommand,
  type DescribeExecutionCommandOutput,
  GetExecutionHistoryCommand,
  type HistoryEvent,
  StartExecutionCommand,
} from "@aws-sdk/client-sfn";
import type { LocalStack } from "../../../local/stack.ts";
import { arn, type Fixture } from "./assembly.ts";
import type { Clients } from "./clients.ts";

export const LAMBDA_INVOKE = "arn:aws:states:::lambda:invoke";

/** A machine as CDK writes it: the definition a joined text, ARNs in it by reference. `@Work@` is the ARN of Work. */
export function machine(states: Record<string, unknown>, more: Record<string, unknown> = {}): unknown {
  const definition = { QueryLanguage: "JSONata", StartAt: Object.keys(states)[0], States: states, ...more };
  const parts = JSON.stringify(definition)
    .split("@")
    .map((part, n) => (n % 2 === 0 ? part : arn(part)));
  return {
    Type: "AWS::StepFunctions::StateMachine",
    Properties: { DefinitionString: { "Fn::Join": ["", parts] }, RoleArn: arn("Role") },
  };
}

export function invoke(Payload: unknown = "{% $states.input %}", more: Record<string, unknown> = {}) {
  const Arguments = { FunctionName: "@Work@", Payload };
  return {
    Type: "Task",
    Resource: LAMBDA_INVOKE,
    Arguments,
    Output: "{% $states.result.Payload %}",
    End: true,
    ...more,
  };
}

/** `work`: the body of a handler of `event`. */
export function fixture(work: string, machines: Record<string, unknown>, more: Record<string, unknown> = {}): Fixture {
  return {
    functions: {
      Work: { source: `let calls = 0; exports.handler = async (event) => { calls++; ${work} };`, timeout: 5 },
    },
    resources: {
      Bucket: { Type: "AWS::S3::Bucket", Properties: {} },
      Role: { Type: "AWS::IAM::Role", Properties: {} },
      ...machines,
      ...more,
    },
  };
}

type Started = LocalStack & { readonly clients: Clients };

export async function start(stack: Started, machineId: string, input: unknown = {}, name?: string): Promise<string> {
  const stateMachineArn = stack.resource(machineId).ref;
  const asked = { stateMachineArn, name, input: JSON.stringify(input) };
  return String((await stack.clients.sfn.send(new StartExecutionCommand(asked))).executionArn);
}

/** Starts an execution and waits for its end. */
export async function run(
  stack: Started,
  machineId: string,
  input: unknown = {},
): Promise<DescribeExecutionCommandOutput & { readonly result: unknown }> {
  const executionArn = await start(stack, machineId, input);
  await stack.quiet();
  const described = await stack.clients.sfn.send(new DescribeExecutionCommand({ executionArn }));
  return { ...described, result: described.output === undefined ? undefined : JSON.parse(described.output) };
}

export async function historyOf(stack: Started, executionArn: string | undefined): Promise<HistoryEvent[]> {
  const { events = [] } = await stack.clients.sfn.send(
    new GetExecutionHistoryCommand({ executionArn, maxResults: 1000 }),
  );
  return events;
}
