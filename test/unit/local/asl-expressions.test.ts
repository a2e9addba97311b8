// JSONata as Step Functions evaluates it: what is added, what is taken away, and what may not come out.

import { describe, expect, test } from "vitest";
import { StatesError } from "../../../local/asl/failure.ts";
import { evaluateTemplate, syntaxErrorOf } from "../../../local/asl/jsonata.ts";
import type { Json } from "../../../local/template.ts";

const states = {
  input: { items: [1, 2, 3, 4, 5], text: '{"a":1}', none: [] },
  context: { Execution: { Name: "one" } },
};
const evaluate = (template: Json) => evaluateTemplate(template, { states, seen: { deep: 7 } }, "Output");

test.each<[string, Json]>([
  ["{% $states.input.items[0] %}", 1],
  ["{% $seen.deep + 1 %}", 8],
  ["{%$count($states.input.items)%}", 5],
  ["{% $states.input.none %}", []],
  ["{% $states.input.items[$ > 3] %}", [4, 5]],
  ["{% $partition($states.input.items, 2) %}", [[1, 2], [3, 4], [5]]],
  ["{% $range(0, 10, 5) %}", [0, 5, 10]],
  ["{% $range(3, 1, -1) %}", [3, 2, 1]],
  ["{% $hash('abc', 'MD5') %}", "900150983cd24fb0d6963f7d28e17f72"],
  ["{% $parse($states.input.text).a %}", 1],
  ["{% $random(7) = $random(7) %}", true],
  ["{% $random() < 1 %}", true],
  ["{% $length($uuid()) %}", 36],
  ["{% null %}", null],
  ["plain {% text %}", "plain {% text %}"],
  ["{% 'not closed", "{% 'not closed"],
])("%s is %j", async (template, value) => {
  expect(await evaluate(template)).toEqual(value);
});

test("expressions stand anywhere in a field, also in arrays and below names", async () => {
  const template = { list: [{ n: "{% 1 %}" }, true], "{% name %}": null };
  expect(await evaluate(template)).toEqual({ list: [{ n: 1 }, true], "{% name %}": null });
});

describe("errors", () => {
  test.each([
    ["nothing", "{% $states.input.missing %}", "returned nothing (undefined)"],
    ["nothing at the top, where there is no document", "{% $ %}", "returned nothing (undefined)"],
    ["a function", "{% function($x) { $x } %}", "unsupported result type"],
    ["a function of JSONata's own, deeper", "{% {'f': [$sum]} %}", "unsupported result type"],
    ["$eval, which is taken away", "{% $eval('1') %}", "T1006"],
    ["an unknown function", "{% $nobody() %}", "T1006"],
    ["a type error", "{% 1 + 'a' %}", "T2002"],
    ["too long a range", "{% $range(1, 2000, 1) %}", "at most 1000"],
    ["an unknown hash", "{% $hash('a', 'CRC') %}", "CRC"],
  ])("%s", async (_, template, message) => {
    const failure = await evaluate(template).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(StatesError);
    expect((failure as StatesError).error).toBe("States.QueryEvaluationError");
    expect((failure as StatesError).message).toContain(message);
    expect((failure as StatesError).message).toContain("'Output'");
  });

  test("what does not parse is found without running it", () => {
    expect(syntaxErrorOf("{% 1 + %}")).toContain("S0207");
    expect(syntaxErrorOf("{% 1 + 1 %}")).toBeUndefined();
  });
});
