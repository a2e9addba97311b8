// The parts of the local stack that are plain functions, against models.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compareUtf8 } from "../../lambdas/core/discovery/key-order.ts";
import { random } from "../../local/faults.ts";
import { nextFiring, parseSchedule } from "../../local/schedule.ts";
import { encodeEventKey } from "../../local/servers/s3-events.ts";
import { parseXml, renderXml } from "../../local/servers/s3-xml.ts";
import { SortedKeys } from "../../local/servers/sorted-keys.ts";
import { type Json, resolveValue, type Scope } from "../../local/template.ts";

describe("sorted keys", () => {
  const byBytes = (a: string, b: string) => Math.sign(Buffer.compare(Buffer.from(a), Buffer.from(b)));

  const text = fc
    .array(fc.constantFrom("a", "b", "\u00e9", "\ud7ff", "\ue000", "\uffff", "\u{10000}", "\u{10ffff}"), {
      maxLength: 4,
    })
    .map((all) => all.join(""));

  test("strings compare as their UTF-8 bytes do", () => {
    fc.assert(
      fc.property(text, text, (a, b) => {
        expect(Math.sign(compareUtf8(a, b))).toBe(byBytes(a, b));
      }),
    );
  });

  test("thousands of keys added and removed in any order are a sorted set", () => {
    const draw = random(11);
    const keys = new SortedKeys();
    const model = new Set<string>();
    for (let step = 0; step < 30_000; step++) {
      const key = `k${Math.floor(draw() * 8000).toString(36)}`;
      if (draw() < 0.6) {
        keys.add(key);
        model.add(key);
      } else {
        keys.remove(key);
        model.delete(key);
      }
    }
    const sorted = [...model].sort(byBytes);
    expect(keys.size).toBe(sorted.length);
    expect([...keys.from(() => false)]).toEqual(sorted);
    const middle = sorted[Math.floor(sorted.length / 2)] ?? "";
    expect([...keys.from((key) => compareUtf8(key, middle) < 0)]).toEqual(sorted.slice(sorted.indexOf(middle)));
  });
});

test("an event key decodes to the object's key the way handlers decode it", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), (key) => {
      const encoded = encodeEventKey(key);
      expect(decodeURIComponent(encoded.replaceAll("+", " "))).toBe(key);
      expect(encoded).toMatch(/^[A-Za-z0-9%+/._*-]*$/);
    }),
  );
});

test("XML text comes back as it was written", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), (text) => {
      expect(parseXml(renderXml("A", { B: text }))?.children[0]?.text ?? "").toBe(text);
    }),
  );
});

describe("schedules", () => {
  const next = (expression: string, after: string) => {
    const schedule = parseSchedule(expression);
    const at = schedule === undefined ? undefined : nextFiring(schedule, Date.parse(after));
    return at === undefined ? undefined : new Date(at).toISOString();
  };

  test.each([
    ["rate(5 minutes)", "2026-01-01T00:00:30Z", "2026-01-01T00:05:30.000Z"],
    ["rate(1 day)", "2026-01-31T10:00:00Z", "2026-02-01T10:00:00.000Z"],
    ["cron(0 3 * * ? *)", "2026-01-01T03:00:00Z", "2026-01-02T03:00:00.000Z"],
    ["cron(0/15 * * * ? *)", "2026-01-01T00:31:00Z", "2026-01-01T00:45:00.000Z"],
    ["cron(30 8 ? * MON-FRI *)", "2026-01-02T09:00:00Z", "2026-01-05T08:30:00.000Z"],
    ["cron(0 0 29 2 ? *)", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00.000Z"],
    ["cron(0 0 1,15 6 ? 2027)", "2026-01-01T00:00:00Z", "2027-06-01T00:00:00.000Z"],
  ])("%s after %s is at %s", (expression, after, at) => {
    expect(next(expression, after)).toBe(at);
  });

  test.each(["at(2026-01-01T00:00:00)", "cron(0 0 L * ? *)", "rate(5 weeks)", "cron(0 0)"])(
    "%s is not known",
    (expression) => {
      expect(parseSchedule(expression)).toBeUndefined();
    },
  );
});

describe("intrinsic functions", () => {
  const scope: Scope = {
    template: {
      Conditions: {
        Yes: { "Fn::Equals": [{ Ref: "AWS::Region" }, "us-east-1"] },
        No: { "Fn::Not": [{ Condition: "Yes" }] },
      },
      Parameters: { Stage: { Default: "dev" } },
      Mappings: { Sizes: { dev: { memory: "512" } } },
    },
    pseudo: { "AWS::Region": "us-east-1" },
    identity: (id) => (id === "Queue" ? { ref: "url", attributes: { Arn: "arn:queue" } } : undefined),
    importValue: (name) => `imported ${name}`,
  };
  const dollar = (name: string) => ["$", `{${name}}`].join("");

  const cases: [string, Json, Json][] = [
    ["Ref", { Ref: "Queue" }, "url"],
    ["Ref to a parameter", { Ref: "Stage" }, "dev"],
    ["GetAtt", { "Fn::GetAtt": ["Queue", "Arn"] }, "arn:queue"],
    ["Join", { "Fn::Join": ["/", ["a", { Ref: "Queue" }]] }, "a/url"],
    [
      "Sub",
      { "Fn::Sub": `${dollar("Queue.Arn")}-${dollar("AWS::Region")}-${dollar("!kept")}` },
      `arn:queue-us-east-1-${dollar("kept")}`,
    ],
    ["Sub with names", { "Fn::Sub": [dollar("x"), { x: { Ref: "Stage" } }] }, "dev"],
    ["Select and Split", { "Fn::Select": ["1", { "Fn::Split": [":", { "Fn::GetAtt": ["Queue", "Arn"] }] }] }, "queue"],
    ["If", [{ "Fn::If": ["Yes", 1, 2] }, { "Fn::If": ["No", 1, 2] }], [1, 2]],
    ["NoValue", { kept: 1, left: { "Fn::If": ["No", 1, { Ref: "AWS::NoValue" }] } }, { kept: 1 }],
    ["FindInMap", { "Fn::FindInMap": ["Sizes", { Ref: "Stage" }, "memory"] }, "512"],
    ["ImportValue", { "Fn::ImportValue": "x" }, "imported x"],
  ];
  test.each(cases)("%s resolves", (_, value, resolved) => {
    expect(resolveValue(value, scope)).toEqual(resolved);
  });

  test("an unknown function and an unknown reference are errors that name it", () => {
    expect(() => resolveValue({ "Fn::Cidr": [] }, scope)).toThrow("Fn::Cidr");
    expect(() => resolveValue({ "Fn::GetAtt": ["Nobody", "Arn"] }, scope)).toThrow("resource=Nobody");
  });
});
