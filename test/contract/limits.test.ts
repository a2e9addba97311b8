// Limits by environment variable are for tests and the local stack; a wrong one must never pass for one that holds.

import { describe, expect, test } from "vitest";
import { readLimits } from "../../lambdas/adapters/runtime.ts";
import { DEFAULT_LIMITS } from "../../lambdas/core/settings.ts";

describe("limits by environment variable", () => {
  test("are the defaults without the variable", () => {
    expect(readLimits(undefined)).toMatchObject(DEFAULT_LIMITS);
  });

  test("replace those they name and no others", () => {
    const { leaseMs, redeliveryFirstMs, ...others } = readLimits('{"leaseMs": 5000, "redeliveryFirstMs": 700}');
    const { leaseMs: _, ...unchanged } = DEFAULT_LIMITS;
    expect([leaseMs, redeliveryFirstMs]).toEqual([5000, 700]);
    expect(others).toEqual(unchanged);
  });

  test.each([
    ['{"leaseMS": 5000}', "unknown name leaseMS"],
    ['{"toString": 5000}', "unknown name toString"],
    ['{"ledgerId": 5000}', "unknown name ledgerId"],
    ['{"leaseMs": "5000"}', "wrong value of leaseMs"],
    ['{"leaseMs": 0}', "wrong value of leaseMs"],
    ['{"leaseMs": 1.5}', "wrong value of leaseMs"],
    ['{"leaseMs": null}', "wrong value of leaseMs"],
    ["[]", "not an object"],
    ["null", "not an object"],
    ["leaseMs=5000", "not json"],
  ])("%s is refused with the names there are", (text, problem) => {
    expect(() => readLimits(text)).toThrow(new RegExp(`${problem} variable=MORAINE_LIMITS known=leaseMs,`));
  });
});
