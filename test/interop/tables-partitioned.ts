// The same rows under every partition transform, with predicates that must find them in fewer files.

import type { Predicate } from "./predicate.ts";
import type { Column, Row } from "./rows.ts";
import { DECIMAL_HINTS, FLAT, type Story } from "./story.ts";
import { WrittenTable } from "./table.ts";
import { Values } from "./values.ts";

const REGIONS = ["eu west", "a/b", "ünïcode ☃", "x=1&y=%20", "plain", "", null];
const HOURS = ["1969-12-31T22", "1969-12-31T23", "1970-01-01T00", "2024-02-29T23", "2024-03-01T00"];

function partitionedRow(values: Values, n: number): Row {
  const time = () =>
    `${values.pick(HOURS)}:${String(10 + values.upTo(50))}:07.${String(values.upTo(1e6)).padStart(6, "0")}`;
  const at = time();
  const some = <T>(value: T) => (values.upTo(12) === 0 ? null : value);
  return {
    ...values.row(FLAT),
    id: String(n),
    region: values.pick(REGIONS),
    name: some(`${values.pick(["alpha", "alpine", "beta-", "日本語の", "ß"])}${values.upTo(3)}`),
    day: some(values.pick(["1969-12-31", "1970-01-01", "2024-02-29", "2024-03-01"])),
    local_at: some(time()),
    at: some(`${at}Z`),
    amount: some(String(values.upTo(60) - 30)),
    small: some(values.pick(["-12.50", "-0.01", "0.00", "19.99", "1234567.89"])),
  };
}

const PARTITIONED: readonly Column[] = [...FLAT, { name: "region", type: "string" }];

function partitioned(
  name: string,
  partitionBy: readonly string[],
  predicates: readonly Predicate[],
  count = 40,
): Story {
  return async function* (moraine) {
    const table = new WrittenTable(moraine, { name, partitionBy, hints: DECIMAL_HINTS });
    const values = new Values(7);
    for (let commit = 0; commit < 3; commit++) {
      const first = commit * count;
      const rows = Array.from({ length: count }, (_, n) => partitionedRow(values, first + n));
      await table.write(PARTITIONED, {
        [`${commit}-a.json`]: rows.slice(0, count / 2),
        [`${commit}-b.json`]: rows.slice(count / 2),
      });
    }
    yield table.expectation(predicates);
  };
}

const LEAP_DAY: Predicate = [
  { column: "at", op: ">=", value: "2024-02-29T00:00:00.000000Z" },
  { column: "at", op: "<", value: "2024-03-01T00:00:00.000000Z" },
];
const BEFORE_1970: Predicate = [{ column: "at", op: "<", value: "1970-01-01T00:00:00.000000Z" }];

export const PARTITIONED_TABLES: Readonly<Record<string, Story>> = {
  by_day: partitioned("by_day", ["day(at)"], [LEAP_DAY, BEFORE_1970, [{ column: "at", op: "is null" }]]),
  by_hour: partitioned("by_hour", ["hour(at)"], [LEAP_DAY, BEFORE_1970]),
  by_bucket: partitioned("by_bucket", ["bucket(16, id)"], [[{ column: "id", op: "=", value: "17" }]]),
  by_truncate: partitioned(
    "by_truncate",
    ["truncate(4, name)"],
    [
      [{ column: "name", op: "=", value: "alpha1" }],
      [{ column: "name", op: "starts with", value: "日本語の" }],
      [{ column: "name", op: "is null" }],
    ],
  ),
  by_region: partitioned(
    "by_region",
    ["region"],
    [
      ...REGIONS.filter((region) => region !== null).map((value): Predicate => [{ column: "region", op: "=", value }]),
      [{ column: "region", op: "is null" }],
    ],
  ),
  by_month: partitioned(
    "by_month",
    ["month(day)"],
    [[{ column: "day", op: "=", value: "1969-12-31" }], [{ column: "day", op: ">=", value: "2024-03-01" }]],
  ),
  by_many: partitioned(
    "by_many",
    ["year(local_at)", "bucket(3, name)", "truncate(10, amount)", "small", "flag"],
    [
      [{ column: "local_at", op: "<", value: "1970-01-01T00:00:00.000000" }],
      [{ column: "name", op: "=", value: "beta-1" }],
      [{ column: "amount", op: "<", value: "-20" }],
      [{ column: "small", op: "=", value: "-12.50" }],
    ],
    30,
  ),
};
