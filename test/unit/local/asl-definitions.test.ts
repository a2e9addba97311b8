// What keeps a machine from being run here: everything the interpreter does not do, and the mistakes AWS itself refuses.

import { expect, test } from "vitest";
import { whyRefused } from "../../../local/asl/check-definition.ts";
import type { Json, JsonRecord } from "../../../local/template.ts";

const pass: JsonRecord = { Type: "Pass", End: true };
const machine = (states: JsonRecord, more: JsonRecord = {}): JsonRecord => ({
  QueryLanguage: "JSONata",
  StartAt: "A",
  States: states,
  ...more,
});
const task = (more: JsonRecord): JsonRecord => ({ Type: "Task", Resource: "arn:aws:lambda:x", End: true, ...more });
const distributed: JsonRecord = { Mode: "DISTRIBUTED", ExecutionType: "STANDARD" };
const map = (more: JsonRecord, config: JsonRecord = distributed, states: JsonRecord = { B: pass }): JsonRecord => ({
  Type: "Map",
  ItemProcessor: { ProcessorConfig: config, StartAt: "B", States: states },
  End: true,
  ...more,
});
const reader = (InputType: Json, Resource = "arn:aws:states:::s3:getObject", more: JsonRecord = {}): JsonRecord => ({
  ItemReader: { Resource, ReaderConfig: { InputType, ...more }, Arguments: {} },
});

test.each<[string, JsonRecord]>([
  ["a machine of one state", machine({ A: pass })],
  ["a language told by the states alone", { StartAt: "A", States: { A: { ...pass, QueryLanguage: "JSONata" } } }],
  ["a map with everything", machine({ A: map({ ...reader("CSV"), Label: "each-one", ToleratedFailureCount: 1 }) })],
  [
    "a distributed map that assigns what its parent does",
    machine({
      A: { Type: "Pass", Assign: { n: 1 }, Next: "B" },
      B: map({}, distributed, { B: { ...pass, Assign: { n: 2 } } }),
    }),
  ],
])("%s is run", (_, definition) => {
  expect(whyRefused(definition)).toBeUndefined();
});

test.each<[string, JsonRecord, string]>([
  ["JSONPath", { StartAt: "A", States: { A: pass } }, "query language JSONPath"],
  ["JSONPath within", machine({ A: { ...pass, QueryLanguage: "JSONPath" } }), "query language JSONPath"],
  ["a start that is not there", machine({ B: pass }), "StartAt leads to no state: A"],
  ["a next that is not there", machine({ A: { Type: "Pass", Next: "B" } }), "A leads to no state: B"],
  ["neither next nor end", machine({ A: { Type: "Pass" } }), "either Next or End"],
  ["both next and end", machine({ A: { ...pass, Next: "A" } }), "either Next or End"],
  ["an unknown type", machine({ A: { Type: "Activity" } }), "type that is not supported locally: Activity"],
  ["an unknown field", machine({ A: { ...pass, InputPath: "$" } }), "not supported locally: InputPath"],
  ["heartbeats", machine({ A: task({ HeartbeatSeconds: 5 }) }), "HeartbeatSeconds"],
  ["credentials", machine({ A: task({ Credentials: {} }) }), "Credentials"],
  ["an unknown field of a retrier", machine({ A: task({ Retry: [{ ErrorEquals: ["A"], X: 1 }] }) }), "X"],
  [
    "States.ALL among others",
    machine({ A: task({ Retry: [{ ErrorEquals: ["States.ALL", "A"] }] }) }),
    "alone and last",
  ],
  [
    "States.ALL before others",
    machine({ A: task({ Retry: [{ ErrorEquals: ["States.ALL"] }, { ErrorEquals: ["B"] }] }) }),
    "alone and last",
  ],
  ["a catcher that leads nowhere", machine({ A: task({ Catch: [{ ErrorEquals: ["A"], Next: "B" }] }) }), "no state: B"],
  ["a rule without a condition", machine({ A: { Type: "Choice", Choices: [{ Next: "A" }] } }), "no Condition"],
  ["a wait for nothing", machine({ A: { ...pass, Type: "Wait" } }), "either Seconds or Timestamp"],
  ["an expression that does not end", machine({ A: { ...pass, Output: "{% 1" } }), "does not end"],
  ["an expression that does not parse", machine({ A: { ...pass, Output: { x: ["{% ( %}"] } } }), "/A/Output/x/0"],
  ["the reserved variable", machine({ A: { ...pass, Assign: { states: 1 } } }), "reserved"],
  [
    "a variable of an outer flow",
    machine({
      A: { Type: "Pass", Assign: { n: 1 }, Next: "B" },
      B: map({}, { Mode: "INLINE" }, { B: { ...pass, Assign: { n: 2 } } }),
    }),
    "$n is assigned in a flow and in one inside it",
  ],
  ["a reader in an inline map", machine({ A: map(reader("JSON"), {}) }), "not supported locally: ItemReader"],
  ["a distributed map without a kind", machine({ A: map({}, { Mode: "DISTRIBUTED" }) }), "no ExecutionType"],
  ["a label that is not allowed", machine({ A: map({ Label: "a b" }) }), "Label"],
  ["an inventory", machine({ A: map(reader("MANIFEST")) }), "type MANIFEST"],
  ["a reader of something else", machine({ A: map(reader("JSON", "arn:aws:states:::s3:headObject")) }), "headObject"],
  ["an unknown delimiter", machine({ A: map(reader("CSV", undefined, { CSVDelimiter: "TILDE" })) }), "CSVDelimiter"],
  [
    "flattened listings",
    machine({ A: map(reader(null, "arn:aws:states:::s3:listObjectsV2", { Transformation: "LOAD_AND_FLATTEN" })) }),
    "Transformation",
  ],
  ["items twice", machine({ A: map({ ...reader("JSON"), Items: [] }) }), "both Items and an ItemReader"],
])("%s is refused by name", (_, definition, reason) => {
  expect(whyRefused(definition)).toContain(reason);
});
