// One visit of one state: what its fields are evaluated against, and how it is left. Shared by all kinds of states.

import type { Json, JsonRecord } from "../template.ts";
import type { Shaping, State } from "./definition.ts";
import type { MapItem, Scope } from "./execution.ts";
import { checkPayload, runtimeError, StatesError } from "./failure.ts";
import { payload } from "./history.ts";
import { type Bindings, evaluateTemplate } from "./jsonata.ts";

export interface Visit<S extends State = State> {
  readonly name: string;
  readonly state: S;
  readonly input: Json;
  readonly scope: Scope;
  readonly enteredMs: number;
  /** Id of the event of its entering. */
  enteredEventId: number;
  retryCount: number;
}

/** What a state did, before Output and Assign. */
export interface Outcome {
  /** `$states.result`, and the output unless Output says otherwise; absent: the input is. */
  readonly result?: Json;
  readonly errorOutput?: JsonRecord;
  /** undefined: the flow ends here. */
  readonly next: string | undefined;
  readonly shaping: Shaping;
}

/** The next state's input, and its name. */
export interface Step {
  readonly output: Json;
  readonly next: string | undefined;
}

export function bindingsOf(
  visit: Visit,
  more: JsonRecord = {},
  item: MapItem | undefined = visit.scope.item,
): Bindings {
  const context = contextOf(visit, item);
  return { ...visit.scope.variables.all(), states: { input: visit.input, context, ...more } };
}

/** https://docs.aws.amazon.com/step-functions/latest/dg/input-output-contextobject.html; no Task.Token: nothing waits for one. */
function contextOf({ name, state, enteredMs, retryCount, scope }: Visit, item: MapItem | undefined) {
  const { facts, startMs } = scope.execution;
  return {
    Execution: {
      Id: facts.arn,
      Input: facts.input,
      Name: facts.name,
      RoleArn: facts.machine.roleArn,
      StartTime: new Date(startMs).toISOString(),
      RedriveCount: 0,
    },
    State: {
      EnteredTime: new Date(enteredMs).toISOString(),
      Name: name,
      ...(RETRYABLE.has(state.Type) ? { RetryCount: retryCount } : {}),
    },
    StateMachine: { Id: facts.machine.arn, Name: facts.machine.name },
    ...(item === undefined ? {} : { Map: { Item: item } }),
  };
}

const RETRYABLE: ReadonlySet<string> = new Set(["Task", "Parallel", "Map"]);

export function evaluate(visit: Visit, template: Json, field: string): Promise<Json> {
  return evaluateTemplate(template, bindingsOf(visit), field);
}

/** A number within bounds; undefined where the field is absent. */
export async function evaluateNumber(
  visit: Visit,
  template: number | string | undefined,
  field: string,
  least = 0,
  most = Number.POSITIVE_INFINITY,
): Promise<number | undefined> {
  if (template === undefined) return undefined;
  const value = await evaluate(visit, template, field);
  if (typeof value === "number" && Number.isFinite(value) && value >= least && value <= most) return value;
  throw runtimeError(`The field '${field}' is not a number that is allowed: ${JSON.stringify(value)}`);
}

/** An object all of whose fields are among those this interpreter knows, and strings. */
export async function evaluateStrings<Name extends string>(
  visit: Visit,
  template: Json,
  field: string,
  names: readonly Name[],
): Promise<Partial<Record<Name, string>>> {
  const value = await evaluate(visit, template, field);
  const entries = Object.entries(typeof value === "object" && value !== null ? value : {});
  for (const [name, each] of entries) {
    if (!names.includes(name as Name)) throw runtimeError(`The field '${field}/${name}' is not supported locally.`);
    if (typeof each !== "string") throw runtimeError(`The field '${field}/${name}' is not a string.`);
  }
  return Object.fromEntries(entries) as Partial<Record<Name, string>>;
}

/** Output and Assign see the same variables: those from before. */
export async function leave(visit: Visit, outcome: Outcome): Promise<Step & { readonly assigned: JsonRecord }> {
  const { shaping, result, errorOutput, next } = outcome;
  const bindings = bindingsOf(visit, {
    ...(result === undefined ? {} : { result }),
    ...(errorOutput === undefined ? {} : { errorOutput }),
  });
  const byDefault = result ?? errorOutput ?? visit.input;
  const output = shaping.Output === undefined ? byDefault : await evaluateTemplate(shaping.Output, bindings, "Output");
  checkPayload(output, `The state/task '${visit.name}' returned a result`);
  const assigned = (await evaluateTemplate(shaping.Assign ?? {}, bindings, "Assign")) as JsonRecord;
  visit.scope.variables.assign(assigned);
  return { output, next, assigned };
}

export function recordEntered(visit: Visit): void {
  const { name, state, input, scope } = visit;
  const details = { name, ...payload("input", input) };
  scope.execution.history.add(scope.trail, `${state.Type}StateEntered`, "stateEnteredEventDetails", details);
  visit.enteredEventId = scope.trail.previous;
}

const PLACED = "An error occurred while executing the state ";

/** The cause of what is the machine's own mistake names the state it happened in: the innermost. */
export function recordFailed({ name, scope, enteredEventId }: Visit, failure: StatesError): StatesError {
  const { error, message, location } = failure;
  if (error !== "States.Runtime" && error !== "States.QueryEvaluationError") return failure;
  if (message.startsWith(PLACED)) return failure;
  const cause = `${PLACED}'${name}' (entered at the event id #${enteredEventId}). ${message}`;
  if (location !== undefined) {
    const details = { cause, error, location, state: name };
    scope.execution.history.add(scope.trail, "EvaluationFailed", "evaluationFailedEventDetails", details);
  }
  return new StatesError(error, cause, location);
}

export function recordExited({ name, state, scope }: Visit, output: Json, assigned: JsonRecord): void {
  const assignedVariables = Object.fromEntries(
    Object.entries(assigned).map(([variable, value]) => [variable, JSON.stringify(value)]),
  );
  const variables =
    Object.keys(assigned).length === 0 ? {} : { assignedVariables, assignedVariablesDetails: { truncated: false } };
  const details = { name, ...payload("output", output), ...variables };
  scope.execution.history.add(scope.trail, `${state.Type}StateExited`, "stateExitedEventDetails", details);
}
