// Runs a flow: from StartAt, state after state, until one ends. Read order: here, visit.ts, states.ts, task.ts, map.ts.
// Invariant: a failure leaves a state only after its Retry and its Catch have been asked, in this order; an end from outside
// (stop, timeout, a failed sibling) asks neither.

import type { Json } from "../template.ts";
import type { Flow, State } from "./definition.ts";
import type { Scope } from "./execution.ts";
import { Ended, runtimeError, type StatesError, statesErrorOf } from "./failure.ts";
import { runMap } from "./map.ts";
import { catcherFor, Retries } from "./retry.ts";
import { runChoice, runFail, runParallel, runPass, runSucceed, runWait } from "./states.ts";
import { runTask } from "./task.ts";
import { leave, type Outcome, recordEntered, recordExited, recordFailed, type Step, type Visit } from "./visit.ts";

export async function runFlow(flow: Flow, input: Json, scope: Scope): Promise<Json> {
  let name = flow.StartAt;
  let value = input;
  for (;;) {
    const state = flow.States[name];
    if (state === undefined) throw runtimeError(`there is no state of the name '${name}'`);
    const step = await visitState(name, state, value, scope);
    if (step.next === undefined) return step.output;
    name = step.next;
    value = step.output;
  }
}

async function visitState(name: string, state: State, input: Json, scope: Scope): Promise<Step> {
  const visit: Visit = { name, state, input, scope, enteredMs: scope.world.now(), enteredEventId: 0, retryCount: 0 };
  recordEntered(visit);
  const step = await tryState(visit);
  recordExited(visit, step.output, step.assigned);
  return step;
}

async function tryState(visit: Visit): ReturnType<typeof leave> {
  const { state, scope } = visit;
  const retries = new Retries("Retry" in state ? state.Retry : [], scope.world.random);
  for (;;) {
    try {
      // Even a loop of states that wait for nothing lets others run, and ends when it is stopped.
      await scope.cancellation.race(Promise.resolve());
      return await leave(visit, await perform(visit));
    } catch (thrown) {
      if (thrown instanceof Ended) throw thrown;
      const failure = recordFailed(visit, statesErrorOf(thrown));
      const seconds = retries.next(failure.error);
      if (seconds === undefined) return await catchFailure(visit, failure);
      visit.retryCount++;
      await scope.cancellation.sleep(seconds * 1000 * scope.world.timeScale);
    }
  }
}

async function catchFailure(visit: Visit, failure: StatesError): ReturnType<typeof leave> {
  const catcher = "Catch" in visit.state ? catcherFor(visit.state.Catch, failure.error) : undefined;
  if (catcher === undefined) throw failure;
  const errorOutput = { Error: failure.error, Cause: failure.message };
  try {
    return await leave(visit, { errorOutput, shaping: catcher, next: catcher.Next });
  } catch (thrown) {
    throw recordFailed(visit, statesErrorOf(thrown));
  }
}

function perform(visit: Visit): Promise<Outcome> {
  const { state } = visit;
  switch (state.Type) {
    case "Task":
      return runTask({ ...visit, state });
    case "Pass":
      return runPass({ ...visit, state });
    case "Choice":
      return runChoice({ ...visit, state });
    case "Wait":
      return runWait({ ...visit, state });
    case "Succeed":
      return runSucceed({ ...visit, state });
    case "Fail":
      return runFail({ ...visit, state });
    case "Parallel":
      return runParallel({ ...visit, state });
    case "Map":
      return runMap({ ...visit, state });
  }
}
