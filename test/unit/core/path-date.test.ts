import { expect, test } from "vitest";
import { checkPathDate, pathDateOf } from "../../../lambdas/core/path-date.ts";

const found = (pattern: string, key: string) => {
  const ms = pathDateOf(pattern).find(key);
  return ms === undefined ? undefined : new Date(ms).toISOString();
};

test.each([
  ["%Y/%m/%d", "logs/2026/02/03/a.txt", "2026-02-03T00:00:00.000Z"],
  ["%Y/%m/%d", "2026/02/03", "2026-02-03T00:00:00.000Z"],
  ["%Y", "x/0099/a", "0099-01-01T00:00:00.000Z"],
  ["%Y-%m", "x/2026-11/a", "2026-11-01T00:00:00.000Z"],
  ["%d.%m.%Y", "scan 03.02.2026.pdf", "2026-02-03T00:00:00.000Z"],
  ["IMG_%Y%m%d_%H", "dcim/IMG_20260203_235959.jpg", undefined],
  ["IMG_%Y%m%d_%H", "dcim/IMG_20260203_23.jpg", "2026-02-03T23:00:00.000Z"],
  ["dt=%Y-%m-%dT%H", "dt=2026-02-03T24/dt=2026-02-03T07/a", "2026-02-03T07:00:00.000Z"],
  ["[%Y]", "x/[2026]/a", "2026-01-01T00:00:00.000Z"],
  ["%Y.%m", "2026-02", undefined],
  ["%Y%m%d", "120260203", undefined],
  ["%Y%m%d", "202602031", undefined],
  ["%Y/%m/%d", "2025/02/29", undefined],
  ["%Y/%m/%d", "0000/01/01", undefined],
  ["%Y/%m/%d", "2026/2/3", undefined],
])("%s in %s is %s", (pattern, key, expected) => {
  expect(found(pattern, key)).toBe(expected);
});

test("only patterns that name a day without a gap are taken", () => {
  const refused = ["", "%m/%Y/%H", "%d", "%H", "%", "%Y%%", "%y", "%Y %Y"];
  expect(refused.filter((pattern) => checkPathDate(pattern) === undefined)).toEqual([]);
});
