import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Ingestion } from "../../../lambdas/core/config.ts";
import { createRouter } from "../../../lambdas/core/routing.ts";
import { ingestionOf } from "./harness.ts";

function from(id: string, source: Partial<Ingestion["source"]>): Ingestion {
  return ingestionOf(id, { source: { bucket: "b", prefix: "", include: [], exclude: [], ...source } });
}

function idOf(ingestions: readonly Ingestion[], key: string, bucket = "b"): string | undefined {
  return createRouter(ingestions)(bucket, key)?.id;
}

describe("a key goes to", () => {
  const all = from("all", {});
  const logs = from("logs", { prefix: "logs/" });
  const json = from("json", { prefix: "logs/app/", include: ["**/*.json", "**/*.json.gz"], exclude: ["**/_tmp/**"] });

  test("the ingestion with the longest prefix, in whatever order they are written", () => {
    for (const order of [
      [all, logs, json],
      [json, logs, all],
    ]) {
      expect(idOf(order, "logs/app/1.json")).toBe("json");
      expect(idOf(order, "logs/x")).toBe("logs");
      expect(idOf(order, "x")).toBe("all");
    }
  });

  test("the next shorter prefix when globs leave it out of the longest", () => {
    expect(idOf([all, logs, json], "logs/app/1.csv")).toBe("logs");
    expect(idOf([all, logs, json], "logs/app/_tmp/1.json")).toBe("logs");
  });

  test("nobody when nobody asks for it, and never to another bucket's ingestion", () => {
    expect(idOf([logs], "log")).toBeUndefined();
    expect(idOf([all], "x", "other")).toBeUndefined();
    expect(idOf([], "x")).toBeUndefined();
  });

  test("globs see the key below the prefix", () => {
    const top = from("top", { prefix: "in/", include: ["*.csv"] });
    expect(idOf([top], "in/1.csv")).toBe("top");
    expect(idOf([top], "in/deep/1.csv")).toBeUndefined();
  });

  test("hidden names match like others: a file is not lost for its dot", () => {
    expect(idOf([from("g", { include: ["**/*.csv"] })], ".hidden/.a.csv")).toBe("g");
  });

  test("exclude wins over include", () => {
    expect(idOf([from("g", { include: ["**"], exclude: ["**/*.bak"] })], "a/b.bak")).toBeUndefined();
  });

  test("the same as the model says, for any set of prefixes", () => {
    const prefix = fc.array(fc.constantFrom("a/", "b/", "ab/", "c"), { maxLength: 3 }).map((parts) => parts.join(""));
    fc.assert(
      fc.property(fc.uniqueArray(prefix, { maxLength: 12 }), prefix, (prefixes, key) => {
        const ingestions = prefixes.map((text, n) => from(`i${n}`, { prefix: text }));
        const fitting = prefixes.filter((text) => key.startsWith(text)).sort((a, b) => b.length - a.length);
        const expected = fitting[0] === undefined ? undefined : `i${prefixes.indexOf(fitting[0])}`;
        expect(idOf(ingestions, key)).toBe(expected);
      }),
    );
  });
});
