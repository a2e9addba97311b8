// Map states whose iterations run inside the execution, and the parts both kinds of map share. The other kind is in
// distributed-map.ts.

import type { Json } from "../template.ts";
import type { MapState } from "./definition.ts";
import { runDistributedMap } from "./distributed-map.ts";
import { StatesError } from "./failure.ts";
import { itemsOf, selectItem } from "./map-items.ts";
import { runSideBySide } from "./side-by-side.ts";
import { Variables } from "./variables.ts";
import { evaluateNumber, type Outcome, type Visit } from "./visit.ts";

const INLINE_CONCURRENCY_MAX = 40;

export async function runMap(visit: Visit<MapState>): Promise<Outcome> {
  const { state } = visit;
  const isDistributed = state.ItemProcessor.ProcessorConfig?.Mode === "DISTRIBUTED";
  const result = isDistributed ? await runDistributedMap(visit) : await runInlineMap(visit);
  return { result, shaping: state, next: state.Next };
}

async function runInlineMap(visit: Visit<MapState>): Promise<Json> {
  const { state, scope } = visit;
  const { history } = scope.execution;
  const items = await itemsOf(visit);
  const asked = (await evaluateNumber(visit, state.MaxConcurrency, "MaxConcurrency")) || INLINE_CONCURRENCY_MAX;
  history.add(scope.trail, "MapStateStarted", "mapStateStartedEventDetails", { length: items.length });
  try {
    const concurrencyMax = Math.min(asked, INLINE_CONCURRENCY_MAX);
    const results = await runSideBySide<Json>(items.length, concurrencyMax, scope.cancellation, (index, cancellation) =>
      iterate(visit, { Index: index, Value: items[index] as Json }, cancellation),
    );
    history.add(scope.trail, "MapStateSucceeded");
    return results;
  } catch (failure) {
    history.add(scope.trail, "MapStateFailed");
    throw failure;
  }
}

async function iterate(
  visit: Visit<MapState>,
  item: { readonly Index: number; readonly Value: Json },
  cancellation: Visit["scope"]["cancellation"],
): Promise<Json> {
  const { state, scope, name } = visit;
  const trail = { ...scope.trail };
  const note = (kind: string) =>
    scope.execution.history.add(trail, `MapIteration${kind}`, `mapIteration${kind}EventDetails`, {
      name,
      index: item.Index,
    });
  note("Started");
  try {
    const input = await selectItem(visit, item);
    const variables = new Variables(scope.variables);
    const output = await scope.runFlow(state.ItemProcessor, input, { ...scope, cancellation, trail, variables, item });
    note("Succeeded");
    return output;
  } catch (failure) {
    note(failure instanceof StatesError ? "Failed" : "Aborted");
    throw failure;
  }
}
