// Map states in distributed mode: every item or batch is an execution of its own, below a map run that counts and tolerates.
// Invariant: a child sees nothing of its parent but its input: no variables, no Map.Item, a context of its own.
// Children of kind EXPRESS differ only in their five minutes; here they are listed and described too.

import type { Json } from "../template.ts";
import type { MapState } from "./definition.ts";
import { Execution } from "./execution.ts";
import { byteLength, checkPayload, Ended, errorFields, PAYLOAD_BYTES_MAX, StatesError } from "./failure.ts";
import { batchItems, type ChildInput } from "./item-batcher.ts";
import { readItems } from "./item-reader.ts";
import { itemsOf, selectItem } from "./map-items.ts";
import { MapRun } from "./map-run.ts";
import { outputOf, writeResults } from "./result-writer.ts";
import { evaluate, evaluateNumber, type Visit } from "./visit.ts";

/** As many as the service starts when MaxConcurrency is 0 or absent. */
const CONCURRENCY_MAX = 10_000;
const EXPRESS_SECONDS_MAX = 300;

export async function runDistributedMap(visit: Visit<MapState>): Promise<Json> {
  const { scope, state } = visit;
  // A reader is asked only within the map run; until then it gives no items.
  const items = state.ItemReader === undefined ? await itemsOf(visit) : [];
  const started = { length: items.length };
  scope.execution.history.add(scope.trail, "MapStateStarted", "mapStateStartedEventDetails", started);
  const mapRun = await openMapRun(visit);
  const { history } = scope.execution;
  const note = (kind: string, details: Readonly<Record<string, unknown>> = {}) =>
    history.add(scope.trail, `MapRun${kind}`, `mapRun${kind}EventDetails`, details);
  const end = (status: MapRun["status"]) => {
    mapRun.status = status;
    mapRun.stopMs = scope.world.now();
  };
  note("Started", { mapRunArn: mapRun.facts.arn });
  try {
    const output = await runChildren(visit, mapRun, items);
    end("SUCCEEDED");
    note("Succeeded");
    history.add(scope.trail, "MapStateSucceeded");
    return output;
  } catch (failure) {
    end(failure instanceof StatesError ? "FAILED" : "ABORTED");
    if (failure instanceof StatesError) note("Failed", errorFields(failure));
    else note("Aborted");
    history.add(scope.trail, failure instanceof StatesError ? "MapStateFailed" : "MapStateAborted");
    throw failure;
  }
}

async function openMapRun(visit: Visit<MapState>): Promise<MapRun> {
  const { state, name, scope } = visit;
  const { machine, arn: executionArn } = scope.execution.facts;
  const label = state.Label ?? name.replace(/[^A-Za-z0-9_-]/g, "").slice(0, 40);
  const prefix = machine.arn.replace(":stateMachine:", ":mapRun:");
  const number = (
    field: "ToleratedFailurePercentage" | "ToleratedFailureCount" | "MaxConcurrency",
    most = Number.POSITIVE_INFINITY,
  ) => evaluateNumber(visit, state[field], field, 0, most);
  const concurrencyMax = (await number("MaxConcurrency")) ?? 0;
  const tolerance = {
    percentage: await number("ToleratedFailurePercentage", 100),
    count: await number("ToleratedFailureCount"),
  };
  const facts = { arn: `${prefix}/${label}:${scope.world.uuid()}`, executionArn, machineArn: machine.arn, label };
  const mapRun = new MapRun({ ...facts, concurrencyMax, tolerance }, scope.world.now());
  scope.world.mapRunOpened(mapRun);
  return mapRun;
}

async function runChildren(visit: Visit<MapState>, mapRun: MapRun, given: readonly Json[]): Promise<Json> {
  const { state, scope } = visit;
  const items = state.ItemReader === undefined ? given : await readItems(visit, state.ItemReader);
  mapRun.inputs = await childInputs(visit, items);
  const isTolerated = await runAll(visit, mapRun);
  if (scope.cancellation.reason !== undefined) throw scope.cancellation.reason;
  const output = state.ResultWriter === undefined ? undefined : await writeResults(visit, mapRun, state.ResultWriter);
  if (!isTolerated) {
    throw new StatesError(
      "States.ExceedToleratedFailureThreshold",
      "The specified tolerated failure threshold was exceeded",
    );
  }
  if (output !== undefined) return output;
  const results = outputOf(mapRun);
  checkPayload(results, `The state/task '${visit.name}' returned a result`);
  return results;
}

async function childInputs(visit: Visit<MapState>, items: readonly Json[]): Promise<readonly ChildInput[]> {
  const { state } = visit;
  const selected: Json[] = [];
  for (const [Index, Value] of items.entries()) selected.push(await selectItem(visit, { Index, Value }));
  if (state.ItemBatcher === undefined) return selected.map((input) => ({ input, itemCount: 1 }));
  const { MaxItemsPerBatch, MaxInputBytesPerBatch, BatchInput } = state.ItemBatcher;
  const limits = {
    itemsMax: await evaluateNumber(visit, MaxItemsPerBatch, "ItemBatcher/MaxItemsPerBatch", 1),
    inputBytesMax: await evaluateNumber(visit, MaxInputBytesPerBatch, "ItemBatcher/MaxInputBytesPerBatch", 1),
  };
  const common = BatchInput === undefined ? undefined : await evaluate(visit, BatchInput, "ItemBatcher/BatchInput");
  return batchItems(selected, limits, common);
}

/** Whether the failures stayed within what is tolerated; if not, children are ended or never begin. */
async function runAll(visit: Visit<MapState>, mapRun: MapRun): Promise<boolean> {
  const cancellation = visit.scope.cancellation.child();
  let next = 0;
  let isTolerated = true;
  async function worker(): Promise<void> {
    while (next < mapRun.inputs.length && cancellation.reason === undefined) {
      const child = await runChild(visit, mapRun, next++, cancellation);
      if (child.status === "SUCCEEDED" || cancellation.reason !== undefined || !mapRun.overLimit()) continue;
      isTolerated = false;
      cancellation.cancel(new Ended("ABORTED"));
    }
  }
  const workers = Math.min(mapRun.inputs.length, mapRun.facts.concurrencyMax || CONCURRENCY_MAX);
  await Promise.all(Array.from({ length: workers }, worker));
  cancellation.release();
  return isTolerated;
}

async function runChild(
  visit: Visit<MapState>,
  mapRun: MapRun,
  index: number,
  cancellation: Visit["scope"]["cancellation"],
): Promise<Execution> {
  const { world, runFlow, execution } = visit.scope;
  const { ItemProcessor } = visit.state;
  const { input, itemCount } = mapRun.inputs[index] as ChildInput;
  const { machine } = execution.facts;
  const [machineArn, name] = [`${machine.arn}/${mapRun.facts.label}`, world.uuid()];
  const facts = {
    arn: `${machineArn.replace(":stateMachine:", ":execution:")}:${name}`,
    name,
    machine: { arn: machineArn, name: `${machine.name}/${mapRun.facts.label}`, roleArn: machine.roleArn },
    input,
    mapRunArn: mapRun.facts.arn,
    itemCount,
  };
  const child = new Execution(facts, world, cancellation);
  mapRun.children[index] = child;
  world.opened(child);
  const isExpress = ItemProcessor.ProcessorConfig?.ExecutionType === "EXPRESS";
  await child.run(ItemProcessor, isExpress ? EXPRESS_SECONDS_MAX : undefined, tooLarge(input) ?? runFlow);
  return child;
}

function tooLarge(input: Json): (() => Promise<never>) | undefined {
  if (byteLength(input) <= PAYLOAD_BYTES_MAX) return undefined;
  return async () => {
    throw new StatesError("States.DataLimitExceeded", "The input of the child workflow execution is too large.");
  };
}
