// Task states: Lambda functions, by the optimized integration or by their ARN. Any other resource fails the execution and is named.
// Errors map as the service maps them: a function that throws gives the error its own type's name, one that ran out of time
// `Sandbox.Timedout`, one whose process died `Runtime.ExitError`, and a failure without a type `Lambda.Unknown`.
// Source: https://docs.aws.amazon.com/step-functions/latest/dg/connect-lambda.html

import type { InvokeOutcome } from "../lambda.ts";
import type { Json, JsonRecord } from "../template.ts";
import type { TaskState } from "./definition.ts";
import { checkPayload, errorFields, runtimeError, StatesError } from "./failure.ts";
import { payload } from "./history.ts";
import { evaluate, evaluateNumber, type Outcome, type Visit } from "./visit.ts";

const LAMBDA_INVOKE = "arn:aws:states:::lambda:invoke";

export async function runTask(visit: Visit<TaskState>): Promise<Outcome> {
  const { state, input } = visit;
  const given = state.Arguments === undefined ? input : await evaluate(visit, state.Arguments, "Arguments");
  checkPayload(given, `The state/task '${visit.name}' was given arguments`);
  const seconds = await evaluateNumber(visit, state.TimeoutSeconds, "TimeoutSeconds", 1);
  const result = await callOf(visit, given, seconds);
  const what = state.Resource === LAMBDA_INVOKE ? "lambda" : state.Resource;
  checkPayload(result, `The state/task '${what}' returned a result`);
  return { result, shaping: state, next: state.Next };
}

function callOf(visit: Visit<TaskState>, given: Json, timeoutSeconds: number | undefined): Promise<Json> {
  const { Resource } = visit.state;
  if (Resource === LAMBDA_INVOKE) return integration(visit, given, timeoutSeconds);
  if (Resource.startsWith("arn:aws:lambda:")) return direct(visit, given, timeoutSeconds);
  throw runtimeError(`The resource '${Resource}' is not supported locally.`);
}

/** The result carries the function's answer in `Payload`, with what Lambda's own API says around it. */
async function integration(visit: Visit<TaskState>, given: Json, timeoutSeconds: number | undefined): Promise<Json> {
  const { FunctionName, Payload = {} } = invokeArguments(given);
  const service = { resourceType: "lambda", resource: "invoke" };
  const names: EventNames = { prefix: "Task", details: "task", service };
  const { region } = visit.scope.world;
  note(visit, names, "Scheduled", { region, parameters: JSON.stringify(given) });
  note(visit, names, "Started");
  const returned = await invoke(visit, names, FunctionName, Payload, timeoutSeconds);
  const result = responseOf(returned, visit.scope.world.uuid());
  note(visit, names, "Succeeded", payload("output", result));
  return result;
}

function invokeArguments(given: Json): { readonly FunctionName: string; readonly Payload?: Json } {
  const { FunctionName, Payload, InvocationType = "RequestResponse", ...others } = given as JsonRecord;
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) throw runtimeError(`The field 'Arguments/${unknown}' is not supported locally.`);
  if (InvocationType !== "RequestResponse") {
    throw runtimeError(`The InvocationType ${JSON.stringify(InvocationType)} is not supported locally.`);
  }
  if (typeof FunctionName !== "string") throw runtimeError("The field 'Arguments/FunctionName' is not a string.");
  return Payload === undefined ? { FunctionName } : { FunctionName, Payload };
}

function responseOf(returned: Json, requestId: string): Json {
  return {
    ExecutedVersion: "$LATEST",
    Payload: returned,
    SdkHttpMetadata: {
      AllHttpHeaders: { "x-amzn-RequestId": [requestId], "Content-Type": ["application/json"] },
      HttpHeaders: { "x-amzn-RequestId": requestId, "Content-Type": "application/json" },
      HttpStatusCode: 200,
    },
    SdkResponseMetadata: { RequestId: requestId },
    StatusCode: 200,
  };
}

async function direct(visit: Visit<TaskState>, given: Json, timeoutSeconds: number | undefined): Promise<Json> {
  const { Resource } = visit.state;
  const names: EventNames = { prefix: "LambdaFunction", details: "lambdaFunction", service: {} };
  note(visit, names, "Scheduled", { resource: Resource, ...payload("input", given) });
  note(visit, names, "Started");
  const returned = await invoke(visit, names, Resource, given, timeoutSeconds);
  note(visit, names, "Succeeded", payload("output", returned));
  return returned;
}

// ---- the invocation ------------------------------------------------------------------------------------------------

async function invoke(
  visit: Visit,
  names: EventNames,
  functionName: string,
  event: Json,
  timeoutSeconds: number | undefined,
): Promise<Json> {
  const { world, cancellation } = visit.scope;
  try {
    const invoked = world.invoke(functionName, event);
    if (invoked === undefined) {
      throw new StatesError("Lambda.ResourceNotFoundException", `Function not found: ${functionName}`);
    }
    return answerOf(await cancellation.race(limited(invoked, timeoutSeconds)));
  } catch (failure) {
    if (failure instanceof StatesError) {
      const kind = failure.error === "States.Timeout" ? "TimedOut" : "Failed";
      note(visit, names, kind, errorFields(failure));
    }
    throw failure;
  }
}

/** The function runs on after the timeout, as it does in AWS. */
function limited<T>(work: Promise<T>, timeoutSeconds: number | undefined): Promise<T> {
  if (timeoutSeconds === undefined) return work;
  const late = Promise.withResolvers<T>();
  const timer = setTimeout(() => late.reject(new StatesError("States.Timeout")), timeoutSeconds * 1000);
  return Promise.race([work, late.promise]).finally(() => clearTimeout(timer));
}

function answerOf(outcome: InvokeOutcome): Json {
  if (outcome.kind === "returned") return (outcome.payload ?? null) as Json;
  const { errorType, errorMessage, trace } = outcome;
  const answer = { errorType, errorMessage, ...(trace.length === 0 ? {} : { trace }) };
  throw new StatesError(errorType === "" ? "Lambda.Unknown" : errorType, JSON.stringify(answer));
}

interface EventNames {
  readonly prefix: string;
  readonly details: string;
  readonly service: Readonly<Record<string, unknown>>;
}

function note(
  { scope }: Visit,
  { prefix, details, service }: EventNames,
  kind: string,
  more: Readonly<Record<string, unknown>> = {},
): void {
  const name = `${details}${kind}EventDetails`;
  scope.execution.history.add(scope.trail, `${prefix}${kind}`, name, { ...service, ...more });
}
