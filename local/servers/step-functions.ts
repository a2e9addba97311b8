// Step Functions: the state machines of the template, their executions and map runs. How a machine runs is in ../asl/.
// Executions and their history are in memory only: a restart forgets them all, also with a data folder that is kept.
// Invariant: of any number of StartExecution calls with one name, one begins an execution; the others are told of it.

import type { IncomingMessage, ServerResponse } from "node:http";
import type { Machine } from "../asl/definition.ts";
import { Execution, type World } from "../asl/execution.ts";
import { PAYLOAD_BYTES_MAX } from "../asl/failure.ts";
import { runFlow } from "../asl/interpreter.ts";
import type { MapRun } from "../asl/map-run.ts";
import type { Json } from "../template.ts";
import { type JsonObject, parseObject, readBody, ServiceError, sendJson, sendServiceError } from "./json-protocol.ts";
import {
  describeExecution,
  describeMachine,
  describeMapRun,
  listedExecution,
  pageOf,
} from "./step-functions-shapes.ts";

export interface StateMachineSpec {
  /** Logical id. */
  readonly id: string;
  readonly name: string;
  readonly arn: string;
  readonly roleArn: string;
  readonly definition: Machine;
}

export interface StepFunctionsOptions {
  readonly machines: readonly StateMachineSpec[];
  /** ARNs of machines the template has and this stack does not run, and why. */
  readonly refused: ReadonlyMap<string, string>;
  readonly world: Omit<World, "opened" | "mapRunOpened">;
}

export interface LocalStepFunctions {
  handle(request: IncomingMessage, response: ServerResponse): Promise<void>;
  /** What a schedule does. `input` is JSON text. */
  start(machineArn: string, input: string): Execution;
  /** Executions under way, those of map runs not counted. */
  readonly running: number;
  /** Ends every execution as StopExecution does. */
  stop(): Promise<void>;
}

interface State {
  readonly options: StepFunctionsOptions;
  readonly world: World;
  readonly createdMs: number;
  readonly executions: Map<string, Execution>;
  readonly mapRuns: Map<string, MapRun>;
  readonly running: Set<Promise<void>>;
}

export function createStepFunctions(options: StepFunctionsOptions): LocalStepFunctions {
  const executions = new Map<string, Execution>();
  const mapRuns = new Map<string, MapRun>();
  const world: World = {
    ...options.world,
    opened: (execution) => void executions.set(execution.facts.arn, execution),
    mapRunOpened: (mapRun) => void mapRuns.set(mapRun.facts.arn, mapRun),
  };
  const state: State = { options, world, createdMs: world.now(), executions, mapRuns, running: new Set() };
  return {
    async handle(request, response) {
      try {
        const operation = String(request.headers["x-amz-target"]).split(".")[1] ?? "";
        const run = OPERATIONS[operation];
        const input = parseObject(await readBody(request));
        if (run === undefined) {
          throw new ServiceError("UnknownOperationException", `the local Step Functions does not do ${operation}`);
        }
        sendJson(response, run(state, input));
      } catch (error) {
        sendServiceError(response, error);
      }
    },
    start: (machineArn, input) => startExecution(state, machineArn, input, world.uuid()),
    get running() {
      return state.running.size;
    },
    async stop() {
      for (const execution of executions.values()) {
        if (execution.facts.mapRunArn === undefined) execution.abort();
      }
      await Promise.all(state.running);
    },
  };
}

type Operation = (state: State, input: JsonObject) => JsonObject;

const OPERATIONS: Readonly<Record<string, Operation>> = {
  StartExecution(state, input) {
    const { stateMachineArn, name = state.world.uuid(), input: text = "{}" } = input;
    const { facts, startMs } = startExecution(state, String(stateMachineArn), String(text), String(name));
    return { executionArn: facts.arn, startDate: startMs / 1000 };
  },
  StopExecution(state, input) {
    const execution = executionOf(state, input);
    const text = (value: unknown) => (value === undefined ? undefined : String(value));
    execution.abort(text(input["error"]), text(input["cause"]));
    return { stopDate: (execution.stopMs ?? state.world.now()) / 1000 };
  },
  DescribeExecution: (state, input) => describeExecution(executionOf(state, input)),
  GetExecutionHistory(state, input) {
    const { events } = executionOf(state, input).history;
    return pageOf("events", input["reverseOrder"] === true ? [...events].reverse() : events, input);
  },
  ListExecutions(state, input) {
    const { stateMachineArn, mapRunArn, statusFilter } = input;
    if (mapRunArn === undefined) machineOf(state, stateMachineArn);
    const listed = [...state.executions.values()]
      .filter(({ facts }) =>
        mapRunArn === undefined ? facts.machine.arn === stateMachineArn : facts.mapRunArn === mapRunArn,
      )
      .filter(({ status }) => statusFilter === undefined || status === statusFilter)
      .reverse();
    return pageOf("executions", listed.map(listedExecution), input);
  },
  ListMapRuns(state, input) {
    const { arn } = executionOf(state, input).facts;
    const listed = [...state.mapRuns.values()].filter(({ facts }) => facts.executionArn === arn).reverse();
    const shown = listed.map(({ facts, startMs, stopMs }) => ({
      executionArn: facts.executionArn,
      mapRunArn: facts.arn,
      stateMachineArn: `${facts.machineArn}/${facts.label}`,
      startDate: startMs / 1000,
      ...(stopMs === undefined ? {} : { stopDate: stopMs / 1000 }),
    }));
    return pageOf("mapRuns", shown, input);
  },
  DescribeMapRun(state, input) {
    const mapRun = state.mapRuns.get(String(input["mapRunArn"]));
    if (mapRun === undefined) throw new ServiceError("ResourceNotFound", `Resource not found: ${input["mapRunArn"]}`);
    return describeMapRun(mapRun);
  },
  DescribeStateMachine: (state, input) => describeMachine(machineOf(state, input["stateMachineArn"]), state.createdMs),
  ListStateMachines(state, input) {
    const creationDate = state.createdMs / 1000;
    const listed = state.options.machines.map(({ arn, name }) => ({
      stateMachineArn: arn,
      name,
      type: "STANDARD",
      creationDate,
    }));
    return pageOf("stateMachines", listed, input);
  },
};

function executionOf(state: State, input: JsonObject): Execution {
  const arn = arnOf(input["executionArn"]);
  const execution = state.executions.get(arn);
  if (execution !== undefined) return execution;
  throw new ServiceError("ExecutionDoesNotExist", `Execution Does Not Exist: '${arn}'`);
}

function arnOf(value: unknown): string {
  const text = String(value);
  if (!text.startsWith("arn:")) throw new ServiceError("InvalidArn", `Invalid Arn: 'Invalid ARN prefix: ${text}'`);
  return text;
}

function machineOf({ options }: State, given: unknown): StateMachineSpec {
  const arn = arnOf(given);
  const machine = options.machines.find((each) => each.arn === arn);
  if (machine !== undefined) return machine;
  const reason = options.refused.get(arn);
  const why = reason === undefined ? "" : ` (not run locally: ${reason})`;
  throw new ServiceError("StateMachineDoesNotExist", `State Machine Does Not Exist: '${arn}'${why}`);
}

// ---- starting ------------------------------------------------------------------------------------------------------

const NAME_KEPT_MS = 90 * 86_400_000;
const NAME = /^[^\s<>{}[\]?*"#%\\^|~`$&,;:/\p{Cc}\p{Cs}]{1,80}$/u;

function startExecution(state: State, machineArn: string, text: string, name: string): Execution {
  const machine = machineOf(state, machineArn);
  if (!NAME.test(name)) throw new ServiceError("InvalidName", `Invalid Name: '${name}'`);
  const input = parseInput(text);
  const arn = `${machineArn.replace(":stateMachine:", ":execution:")}:${name}`;
  const known = namesake(state, arn, input);
  if (known !== undefined) return known;
  const { world } = state;
  const execution = new Execution({ arn, name, machine, input }, world);
  // Behind the namesake it replaces, if there is one: newest last.
  state.executions.delete(arn);
  world.opened(execution);
  const { definition } = machine;
  const running: Promise<void> = execution
    .run(definition, definition.TimeoutSeconds, runFlow)
    .finally(() => state.running.delete(running));
  state.running.add(running);
  return execution;
}

function parseInput(text: string): Json {
  if (Buffer.byteLength(text) > PAYLOAD_BYTES_MAX) {
    const constraint = `Member must have length less than or equal to ${PAYLOAD_BYTES_MAX}`;
    throw new ServiceError("ValidationException", `Value at 'input' failed to satisfy constraint: ${constraint}`);
  }
  try {
    return JSON.parse(text) as Json;
  } catch (error) {
    throw new ServiceError("InvalidExecutionInput", `Invalid State Machine Execution Input: '${String(error)}'`);
  }
}

/** The execution of that name, if the call is the one that began it, come again; a name that is taken is an error. */
function namesake(state: State, arn: string, input: Json): Execution | undefined {
  const known = state.executions.get(arn);
  if (known === undefined) return undefined;
  const isSame = JSON.stringify(known.facts.input) === JSON.stringify(input);
  if (known.status === "RUNNING" && isSame) return known;
  if (known.stopMs !== undefined && state.world.now() - known.stopMs > NAME_KEPT_MS) return undefined;
  throw new ServiceError("ExecutionAlreadyExists", `Execution Already Exists: '${arn}'`);
}
