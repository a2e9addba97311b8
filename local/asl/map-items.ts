// What a map iterates over, and what it makes of each item. Items are the state's input unless `Items` says otherwise.

import type { Json } from "../template.ts";
import type { MapState } from "./definition.ts";
import type { MapItem } from "./execution.ts";
import { runtimeError } from "./failure.ts";
import { evaluateTemplate } from "./jsonata.ts";
import { bindingsOf, evaluate, type Visit } from "./visit.ts";

export async function itemsOf(visit: Visit<MapState>): Promise<readonly Json[]> {
  const { state, input } = visit;
  const items = state.Items === undefined ? input : await evaluate(visit, state.Items, "Items");
  if (Array.isArray(items)) return items;
  throw runtimeError("The items of a Map state are not an array; an object is not supported locally.");
}

/** `$states.input` is the map's input, `$states.context.Map.Item` the item. */
export async function selectItem(visit: Visit<MapState>, item: MapItem): Promise<Json> {
  const { ItemSelector } = visit.state;
  if (ItemSelector === undefined) return item.Value;
  return evaluateTemplate(ItemSelector, bindingsOf(visit, {}, item), "ItemSelector");
}
