// Whether a file that nobody had heard of breaks what a strategy, or an ingestion fed by events, relies on. Reported, never acted on: the
// file is sent like any other.

import type { ListedObject } from "../ports.ts";
import { addBroken } from "./counts.ts";
import { compareUtf8 } from "./key-order.ts";
import type { Assumptions, BrokenAssumption, BrokenAssumptions } from "./model.ts";

/** `unheard`: objects that were neither in the seen manifest nor in the ledger. */
export function brokenBy(unheard: readonly ListedObject[], assumptions: Assumptions): BrokenAssumptions {
  const tests = testsOf(assumptions);
  return tests.reduce<BrokenAssumptions>((sum, [name, breaks]) => {
    const keys = unheard.filter(breaks).map(({ key }) => key);
    return keys.length === 0 ? sum : addBroken(sum, { [name]: { count: keys.length, examples: keys } });
  }, {});
}

type Test = readonly [BrokenAssumption, (object: ListedObject) => boolean];

function testsOf({ lexicalLast, windowFromMs, eventsUntilMs, windowPrefixes }: Assumptions): readonly Test[] {
  const tests: Test[] = [];
  if (lexicalLast !== undefined) tests.push(["key_below_cursor", ({ key }) => compareUtf8(key, lexicalLast) <= 0]);
  if (windowFromMs !== undefined)
    tests.push(["older_file_appeared", ({ lastModifiedMs }) => lastModifiedMs < windowFromMs]);
  if (eventsUntilMs !== undefined)
    tests.push(["missed_by_events", ({ lastModifiedMs }) => lastModifiedMs < eventsUntilMs]);
  if (windowPrefixes !== undefined)
    tests.push(["partition_outside_window", ({ key }) => !windowPrefixes.some((prefix) => key.startsWith(prefix))]);
  return tests;
}
