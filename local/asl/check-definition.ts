// Whether this interpreter runs a machine, found out before anything runs: a field it does not know would otherwise be ignored,
// and a test on the stack would be green and prove nothing. Also the mistakes CreateStateMachine itself refuses.

import type { Json, JsonRecord } from "../template.ts";
import { CSV_DELIMITERS } from "./csv.ts";
import { GET_OBJECT, LIST_OBJECTS } from "./item-reader.ts";
import { isExpression, syntaxErrorOf } from "./jsonata.ts";
import { PUT_OBJECT } from "./result-writer.ts";

/** The reason why not, or undefined. */
export function whyRefused(definition: Json): string | undefined {
  try {
    const machine = recordOf(definition, "the definition");
    onlyFields(machine, ["Comment", "Version", "QueryLanguage", "TimeoutSeconds", "StartAt", "States"], "the machine");
    checkExpressions(machine, "");
    checkFlow(machine, "", String(machine["QueryLanguage"] ?? "JSONPath"), new Set());
    return undefined;
  } catch (error) {
    if (error instanceof Refusal) return error.message;
    throw error;
  }
}

class Refusal extends Error {}

function refuse(reason: string): never {
  throw new Refusal(reason);
}

function recordOf(value: Json | undefined, what: string): JsonRecord {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
  return refuse(`${what} is not an object`);
}

function listOf(value: Json | undefined, what: string): JsonRecord[] {
  if (!Array.isArray(value)) return refuse(`${what} is not an array`);
  return value.map((each) => recordOf(each, `an entry of ${what}`));
}

function onlyFields(record: JsonRecord, known: readonly string[], what: string): void {
  const unknown = Object.keys(record).find((name) => !known.includes(name));
  if (unknown !== undefined) refuse(`${what} has a field that is not supported locally: ${unknown}`);
}

function checkExpressions(value: Json, path: string): void {
  if (typeof value === "object" && value !== null) {
    for (const [name, each] of Object.entries(value)) checkExpressions(each, `${path}/${name}`);
  }
  if (typeof value !== "string" || !value.startsWith("{%")) return;
  const error = isExpression(value) ? syntaxErrorOf(value) : "it does not end with %}";
  if (error !== undefined) refuse(`no JSONata expression at ${path}: ${error}`);
}

// ---- flows and states ----------------------------------------------------------------------------------------------

/** `assigned`: variables of the flows around, which an inner flow may read but not assign. */
function checkFlow(flow: JsonRecord, where: string, language: string, assigned: ReadonlySet<string>): void {
  const states = recordOf(flow["States"], `${where}States`);
  const names = Object.keys(states);
  const target = (name: Json | undefined, from: string) => {
    if (!names.includes(String(name))) refuse(`${from} leads to no state: ${String(name)}`);
  };
  target(flow["StartAt"], `${where}StartAt`);
  const own = new Set(Object.values(states).flatMap((state) => assignedBy(recordOf(state, "a state"))));
  for (const name of own) {
    if (name === "states") refuse("the variable $states is reserved");
    if (assigned.has(name)) refuse(`the variable $${name} is assigned in a flow and in one inside it`);
  }
  const visible = new Set([...assigned, ...own]);
  for (const [name, state] of Object.entries(states)) {
    checkState(recordOf(state, name), { what: `${where}${name}`, language, visible, target });
  }
}

function assignedBy(state: JsonRecord): string[] {
  const within = [state, ...entriesOf(state["Choices"]), ...entriesOf(state["Catch"])];
  return within.flatMap((each) => Object.keys(recordOf(each["Assign"] ?? {}, "Assign")));
}

function entriesOf(value: Json | undefined): JsonRecord[] {
  return value === undefined ? [] : listOf(value, "a list of rules");
}

interface Place {
  readonly what: string;
  readonly language: string;
  readonly visible: ReadonlySet<string>;
  target(name: Json | undefined, from: string): void;
}

const FALLIBLE = ["Retry", "Catch"];
const LEAVES = ["Output", "Assign"];
const GOES_ON = [...LEAVES, "Next", "End"];

const FIELDS: Readonly<Record<string, readonly string[]>> = {
  Task: ["Resource", "Arguments", "TimeoutSeconds", ...GOES_ON, ...FALLIBLE],
  Pass: GOES_ON,
  Choice: ["Choices", "Default", ...LEAVES],
  Wait: ["Seconds", "Timestamp", ...GOES_ON],
  Succeed: ["Output"],
  Fail: ["Error", "Cause"],
  Parallel: ["Branches", "Arguments", ...GOES_ON, ...FALLIBLE],
  Map: ["ItemProcessor", "Items", "ItemSelector", "MaxConcurrency", ...GOES_ON, ...FALLIBLE],
};
const DISTRIBUTED = [
  "ItemReader",
  "ItemBatcher",
  "ResultWriter",
  "ToleratedFailurePercentage",
  "ToleratedFailureCount",
  "Label",
];

function checkState(state: JsonRecord, place: Place): void {
  const { what, target } = place;
  const type = String(state["Type"]);
  const known = FIELDS[type] ?? refuse(`${what} is of a type that is not supported locally: ${type}`);
  const language = String(state["QueryLanguage"] ?? place.language);
  if (language !== "JSONata") refuse(`${what} has the query language ${language}; only JSONata is interpreted locally`);
  const distributed = type === "Map" && modeOf(state) === "DISTRIBUTED" ? DISTRIBUTED : [];
  onlyFields(state, ["Type", "Comment", "QueryLanguage", ...known, ...distributed], what);
  if (known.includes("Next")) {
    if ((state["Next"] === undefined) === (state["End"] !== true)) refuse(`${what} needs either Next or End`);
    if (state["Next"] !== undefined) target(state["Next"], what);
  }
  checkRules(state, place);
  if (type === "Task" && typeof state["Resource"] !== "string") refuse(`${what} has no Resource`);
  if (type === "Wait" && (state["Seconds"] === undefined) === (state["Timestamp"] === undefined)) {
    refuse(`${what} needs either Seconds or Timestamp`);
  }
  if (type === "Parallel") {
    listOf(state["Branches"], `Branches of ${what}`).forEach((branch, n) => {
      onlyFields(branch, ["StartAt", "States", "Comment"], `a branch of ${what}`);
      checkFlow(branch, `${what}[${n}]/`, place.language, place.visible);
    });
  }
  if (type === "Map") checkMap(state, place);
}

function checkRules(state: JsonRecord, { what, target }: Place): void {
  const catchers = entriesOf(state["Catch"]);
  for (const rule of entriesOf(state["Choices"])) {
    onlyFields(rule, ["Condition", "Next", "Comment", ...LEAVES], `a choice rule of ${what}`);
    if (rule["Condition"] === undefined) refuse(`a choice rule of ${what} has no Condition`);
    target(rule["Next"], what);
  }
  for (const catcher of catchers) {
    onlyFields(catcher, ["ErrorEquals", "Next", "Comment", ...LEAVES], `a catcher of ${what}`);
    target(catcher["Next"], what);
  }
  if (state["Default"] !== undefined) target(state["Default"], what);
  const timing = ["IntervalSeconds", "MaxAttempts", "BackoffRate", "MaxDelaySeconds", "JitterStrategy"];
  const retriers = entriesOf(state["Retry"]);
  for (const retrier of retriers) onlyFields(retrier, ["ErrorEquals", "Comment", ...timing], `a retrier of ${what}`);
  for (const list of [retriers, catchers]) {
    for (const [n, rule] of list.entries()) checkErrorEquals(rule, n === list.length - 1, what);
  }
}

function checkErrorEquals(rule: JsonRecord, isLast: boolean, what: string): void {
  const names = rule["ErrorEquals"];
  if (!Array.isArray(names) || names.length === 0) refuse(`a rule of ${what} has no ErrorEquals`);
  else if (names.includes("States.ALL") && (names.length > 1 || !isLast)) {
    refuse(`States.ALL of ${what} must stand alone and last`);
  }
}

// ---- maps ----------------------------------------------------------------------------------------------------------

function modeOf(state: JsonRecord): string {
  const processor = recordOf(state["ItemProcessor"], "ItemProcessor");
  return String(recordOf(processor["ProcessorConfig"] ?? {}, "ProcessorConfig")["Mode"] ?? "INLINE");
}

function checkMap(state: JsonRecord, { what, language, visible }: Place): void {
  const processor = recordOf(state["ItemProcessor"], "ItemProcessor");
  const config = recordOf(processor["ProcessorConfig"] ?? {}, "ProcessorConfig");
  onlyFields(processor, ["ProcessorConfig", "StartAt", "States", "Comment"], `the item processor of ${what}`);
  onlyFields(config, ["Mode", "ExecutionType"], `the processor's configuration of ${what}`);
  const isDistributed = modeOf(state) === "DISTRIBUTED";
  checkFlow(processor, `${what}/`, language, isDistributed ? new Set() : visible);
  if (!isDistributed) return;
  if (!["STANDARD", "EXPRESS"].includes(String(config["ExecutionType"]))) refuse(`${what} has no ExecutionType`);
  const label = state["Label"];
  if (label !== undefined && !/^[^\s?*<>{}[\]:;,\\|^~$#%&`"/]{1,40}$/.test(String(label))) {
    refuse(`${what} has a Label that is not allowed: ${String(label)}`);
  }
  checkReader(state["ItemReader"], state["Items"], what);
  checkPart(
    state["ItemBatcher"],
    ["MaxItemsPerBatch", "MaxInputBytesPerBatch", "BatchInput"],
    `ItemBatcher of ${what}`,
  );
  const writer = checkPart(state["ResultWriter"], ["Resource", "Arguments", "WriterConfig"], `ResultWriter of ${what}`);
  if (writer === undefined) return;
  checkPart(writer["WriterConfig"], ["OutputType", "Transformation"], `WriterConfig of ${what}`);
  if (writer["Resource"] !== PUT_OBJECT) refuse(`the ResultWriter of ${what} does not write to S3`);
}

const READER_CONFIG = ["InputType", "CSVHeaderLocation", "CSVHeaders", "CSVDelimiter", "MaxItems", "ItemsPointer"];

function checkReader(given: Json | undefined, items: Json | undefined, what: string): void {
  const reader = checkPart(given, ["Resource", "Arguments", "ReaderConfig"], `ItemReader of ${what}`);
  if (reader === undefined) return;
  if (items !== undefined) refuse(`${what} has both Items and an ItemReader`);
  const config = checkPart(reader["ReaderConfig"], READER_CONFIG, `ReaderConfig of ${what}`) ?? {};
  const type = config["InputType"];
  if (reader["Resource"] === LIST_OBJECTS) {
    if (type !== undefined) refuse(`${what} lists objects and has an InputType`);
    return;
  }
  if (reader["Resource"] !== GET_OBJECT) refuse(`${what} reads items from ${String(reader["Resource"])}`);
  if (!["JSON", "JSONL", "CSV"].includes(String(type))) refuse(`${what} reads items of the type ${String(type)}`);
  if (CSV_DELIMITERS[String(config["CSVDelimiter"] ?? "COMMA")] === undefined) {
    refuse(`${what} has an unknown CSVDelimiter`);
  }
}

function checkPart(given: Json | undefined, known: readonly string[], what: string): JsonRecord | undefined {
  if (given === undefined) return undefined;
  const part = recordOf(given, what);
  onlyFields(part, known, `the ${what}`);
  return part;
}
