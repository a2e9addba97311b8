// JSONata as Step Functions evaluates it: `{% … %}` strings anywhere in a field, no input document (`$` is nothing), `$states`
// and the variables in scope, six functions more and `$eval` less.
// Invariant: what comes back is plain JSON; an expression that yields nothing, or a function, is an error and never a hole.
// Source: https://docs.aws.amazon.com/step-functions/latest/dg/transforming-data.html

import { createHash, randomUUID } from "node:crypto";
import jsonata from "jsonata";
import { random } from "../faults.ts";
import type { Json, JsonRecord } from "../template.ts";
import { StatesError } from "./failure.ts";

export type Bindings = Readonly<Record<string, unknown>>;

const OPEN = "{%";
const CLOSE = "%}";
const RANGE_ITEMS_MAX = 1000;

export function isExpression(text: string): boolean {
  return text.startsWith(OPEN) && text.endsWith(CLOSE);
}

/** Why the text is no expression, or undefined: what CreateStateMachine would look at. */
export function syntaxErrorOf(text: string): string | undefined {
  try {
    compile(text);
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}

/** `field`: where the template stands, such as `Arguments`, for the error. */
export async function evaluateTemplate(template: Json, bindings: Bindings, field: string): Promise<Json> {
  if (typeof template === "string") return isExpression(template) ? evaluate(template, bindings, field) : template;
  if (Array.isArray(template)) {
    return Promise.all(template.map((each, index) => evaluateTemplate(each, bindings, `${field}[${index}]`)));
  }
  if (typeof template !== "object" || template === null) return template;
  const made: JsonRecord = {};
  for (const [name, each] of Object.entries(template)) {
    made[name] = await evaluateTemplate(each, bindings, `${field}/${name}`);
  }
  return made;
}

async function evaluate(text: string, bindings: Bindings, field: string): Promise<Json> {
  const which = `The JSONata expression '${text.slice(OPEN.length, -CLOSE.length).trim()}' specified for the field '${field}'`;
  let result: unknown;
  try {
    result = await compile(text).evaluate(undefined, bindings);
  } catch (error) {
    throw queryError(`${which} threw an error during evaluation. ${messageOf(error)}`, field);
  }
  if (result === undefined) throw queryError(`${which} returned nothing (undefined).`, field);
  try {
    return JSON.parse(JSON.stringify(result, onlyJson)) as Json;
  } catch (error) {
    throw queryError(`${which} returned an unsupported result type. ${messageOf(error)}`, field);
  }
}

/** JSONata's own functions are objects, and some would pass for JSON. */
function onlyJson(_: string, value: unknown): unknown {
  const marks = value as { _jsonata_function?: boolean; _jsonata_lambda?: boolean } | null | undefined;
  if (typeof value !== "function" && marks?._jsonata_function !== true && marks?._jsonata_lambda !== true) return value;
  throw new Error("a function is no JSON");
}

function queryError(cause: string, field: string): StatesError {
  return new StatesError("States.QueryEvaluationError", cause, field);
}

function messageOf(error: unknown): string {
  const { code, message } = error as { code?: string; message?: string };
  return [code, message ?? String(error)].filter((part) => part !== undefined).join(": ");
}

// ---- compiling -----------------------------------------------------------------------------------------------------

/** As many as the definitions have; an evaluation binds in a frame of its own, so one compiled expression serves all. */
const compiled = new Map<string, jsonata.Expression>();

function compile(text: string): jsonata.Expression {
  const known = compiled.get(text);
  if (known !== undefined) return known;
  const expression = jsonata(text.slice(OPEN.length, -CLOSE.length));
  for (const [name, run] of Object.entries(EXTRAS)) expression.registerFunction(name, run as Registered);
  // Bound to nothing, so that a call fails as one of any unknown function does.
  expression.assign("eval", undefined);
  compiled.set(text, expression);
  return expression;
}

type Registered = Parameters<jsonata.Expression["registerFunction"]>[1];

const HASHES: Readonly<Record<string, string>> = {
  MD5: "md5",
  "SHA-1": "sha1",
  "SHA-256": "sha256",
  "SHA-384": "sha384",
  "SHA-512": "sha512",
};

const EXTRAS: Readonly<Record<string, (...given: never[]) => unknown>> = {
  partition(items: unknown[] | undefined, size: number) {
    if (items === undefined) return undefined;
    if (!Number.isInteger(size) || size < 1) throw new Error("$partition needs a size of at least 1");
    const all = Array.isArray(items) ? items : [items];
    return Array.from({ length: Math.ceil(all.length / size) }, (_, n) => all.slice(n * size, (n + 1) * size));
  },
  range(first: number, last: number, step: number) {
    if (![first, last, step].every(Number.isInteger) || step === 0) throw new Error("$range needs three integers");
    const length = Math.max(0, Math.floor((last - first) / step) + 1);
    if (length > RANGE_ITEMS_MAX) throw new Error(`$range makes at most ${RANGE_ITEMS_MAX} items`);
    return Array.from({ length }, (_, n) => first + n * step);
  },
  hash(content: unknown, algorithm: string) {
    if (content === undefined) return undefined;
    const name = HASHES[algorithm];
    if (name === undefined) throw new Error(`$hash knows no algorithm ${algorithm}`);
    return createHash(name)
      .update(typeof content === "string" ? content : JSON.stringify(content))
      .digest("hex");
  },
  random: (seed?: number) => (seed === undefined ? Math.random() : random(seed)()),
  uuid: () => randomUUID(),
  parse: (text: string | undefined) => (text === undefined ? undefined : JSON.parse(text)),
};
