// The states that call nothing: Pass, Choice, Wait, Succeed, Fail; and Parallel, which runs flows side by side.

import type { Json } from "../template.ts";
import type { ChoiceState, FailState, ParallelState, PassState, SucceedState, WaitState } from "./definition.ts";
import { runtimeError, StatesError } from "./failure.ts";
import { runSideBySide } from "./side-by-side.ts";
import { Variables } from "./variables.ts";
import { evaluate, evaluateNumber, type Outcome, type Visit } from "./visit.ts";

export async function runPass({ state }: Visit<PassState>): Promise<Outcome> {
  return { shaping: state, next: state.Next };
}

export async function runSucceed({ state }: Visit<SucceedState>): Promise<Outcome> {
  return { shaping: state, next: undefined };
}

/** The rule that applies has its own Output and Assign; the state's are for the default. */
export async function runChoice(visit: Visit<ChoiceState>): Promise<Outcome> {
  const { state } = visit;
  for (const [index, rule] of state.Choices.entries()) {
    const field = `Choices[${index}]/Condition`;
    const met = await evaluate(visit, rule.Condition, field);
    if (typeof met !== "boolean") {
      const cause = `The field '${field}' is not a boolean: ${JSON.stringify(met)}`;
      throw new StatesError("States.QueryEvaluationError", cause, field);
    }
    if (met) return { shaping: rule, next: rule.Next };
  }
  if (state.Default === undefined) throw new StatesError("States.NoChoiceMatched", "No choice rule matched.");
  return { shaping: state, next: state.Default };
}

export async function runWait(visit: Visit<WaitState>): Promise<Outcome> {
  const { state, scope } = visit;
  await scope.cancellation.sleep((await waitMs(visit)) * scope.world.timeScale);
  return { shaping: state, next: state.Next };
}

async function waitMs(visit: Visit<WaitState>): Promise<number> {
  const { state, scope } = visit;
  const seconds = await evaluateNumber(visit, state.Seconds, "Seconds");
  if (seconds !== undefined) return seconds * 1000;
  const timestamp = await evaluate(visit, state.Timestamp ?? null, "Timestamp");
  const at = typeof timestamp === "string" ? Date.parse(timestamp) : Number.NaN;
  if (Number.isNaN(at)) throw runtimeError(`The field 'Timestamp' is not a time: ${JSON.stringify(timestamp)}`);
  return at - scope.world.now();
}

export async function runFail(visit: Visit<FailState>): Promise<Outcome> {
  const { Error: error, Cause: cause } = visit.state;
  const text = async (template: string | undefined, field: string) =>
    template === undefined ? "" : String(await evaluate(visit, template, field));
  throw new StatesError(await text(error, "Error"), await text(cause, "Cause"));
}

export async function runParallel(visit: Visit<ParallelState>): Promise<Outcome> {
  const { state, scope, input } = visit;
  const { history } = scope.execution;
  const given = state.Arguments === undefined ? input : await evaluate(visit, state.Arguments, "Arguments");
  history.add(scope.trail, "ParallelStateStarted");
  const result = await runSideBySide<Json>(
    state.Branches.length,
    state.Branches.length,
    scope.cancellation,
    (index, cancellation) => {
      const branch = state.Branches[index] as ParallelState["Branches"][number];
      const trail = { ...scope.trail };
      return scope.runFlow(branch, given, { ...scope, cancellation, trail, variables: new Variables(scope.variables) });
    },
  ).catch((failure: unknown) => {
    history.add(scope.trail, "ParallelStateFailed");
    throw failure;
  });
  history.add(scope.trail, "ParallelStateSucceeded");
  return { result, shaping: state, next: state.Next };
}
