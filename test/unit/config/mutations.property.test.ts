// Whatever is done to a valid file, reading it gives a configuration or located errors, and never throws.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { parse, stringify } from "yaml";
import { parseConfig } from "../../../lambdas/core/config-file.ts";

const EXAMPLE = readFileSync(join(import.meta.dirname, "../../../examples/many-sources.yaml"), "utf8");
/** File, line, path or "not valid YAML", and a remedy after the semicolon. */
const LOCATED = /^f\.yaml:[1-9]\d*: .+; ?.+$/;

function check(text: string): void {
  const { config, errors } = parseConfig(text, "f.yaml");
  if (config !== undefined) {
    expect(config.ingestions.length).toBeGreaterThan(0);
    return;
  }
  expect(errors.length).toBeGreaterThan(0);
  const lines = text.split("\n").length;
  for (const error of errors) {
    expect(error).toMatch(LOCATED);
    expect(Number(error.split(":")[1])).toBeLessThanOrEqual(lines);
  }
}

test("any text cut out of and put into a valid file gives a configuration or located errors", () => {
  const place = fc.nat({ max: EXAMPLE.length });
  const piece = fc.oneof(
    fc.string({ maxLength: 12 }),
    fc.constantFrom("\n", "  ", ": ", "- ", "{", "]", '"', "&a", "*a", "<<: ", "|", "!!binary "),
  );
  fc.assert(
    fc.property(place, fc.nat({ max: 20 }), piece, (at, length, text) => {
      check(EXAMPLE.slice(0, at) + text + EXAMPLE.slice(at + length));
    }),
    { numRuns: 400 },
  );
});

test("any value put anywhere into a valid file gives a configuration or located errors", () => {
  const value = fc.oneof(
    fc.jsonValue({ maxDepth: 2 }),
    fc.constantFrom("", "replace", "csv", 0, -1, 1e300, null, [], {}),
  );
  fc.assert(
    fc.property(fc.nat(), fc.constantFrom("set", "drop", "rename"), value, (n, how, replacement) => {
      const tree = parse(EXAMPLE) as Tree;
      const places = placesOf(tree);
      const { parent, key } = places[n % places.length] as Place;
      if (how === "set") parent[key] = replacement;
      else if (how === "rename") parent[`${key}x`] = parent[key];
      if (how !== "set") delete parent[key];
      check(stringify(tree));
    }),
    { numRuns: 400 },
  );
});

type Tree = Record<string, unknown>;
interface Place {
  readonly parent: Tree;
  readonly key: string;
}

function placesOf(tree: Tree): readonly Place[] {
  return Object.entries(tree).flatMap(([key, child]) => [
    { parent: tree, key },
    ...(typeof child === "object" && child !== null ? placesOf(child as Tree) : []),
  ]);
}
